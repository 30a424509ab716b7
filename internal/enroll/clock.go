package enroll

import (
	"fmt"
	"math"
	"time"

	"github.com/dormer-project/dormer"
)

// How far off a client's clock may be.
const (
	// ClockRight is what counts as right: people are told of more.
	ClockRight = 2 * time.Minute
	// ClockWrong is more than what authentication in domains puts up with.
	ClockWrong = 5 * time.Minute
)

// AheadOf returns by how much a client's clock is ahead of the server's, in
// microseconds; nil when the client did not tell.
func AheadOf(client, server time.Time) *time.Duration {
	if client.IsZero() {
		return nil
	}
	d := client.Sub(server).Truncate(time.Microsecond)
	d = max(d, math.MinInt64+time.Microsecond) // it has an absolute value
	return &d
}

// ClockTurnedWrong reports whether it should be told that a client's clock,
// ahead by that much, is wrong: once until it is right again.
func (s *Service) ClockTurnedWrong(id dormer.ClientID, ahead *time.Duration) bool {
	if ahead == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.known[id]
	if k == nil {
		return false
	}
	switch off := ahead.Abs(); {
	case off > ClockWrong && !k.clock:
		k.clock = true
		return true
	case off <= ClockRight:
		k.clock = false
	}
	return false
}

// ClockText says how far off a clock is, for people: "7m0s ahead".
func ClockText(ahead time.Duration) string {
	side := "ahead"
	if ahead < 0 {
		side = "behind"
	}
	return fmt.Sprintf("%s %s", ahead.Abs().Round(time.Second), side)
}
