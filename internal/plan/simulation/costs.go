package simulation

import (
	"time"

	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/sizing"
	"github.com/dormer-project/dormer/internal/wire"
)

// What a server takes, in seconds of one processor core. PollCost is that of a
// poll on a connection of its own, as package sizing has it. EventCost is what
// each event that it brings adds, and follows from two rows of make
// bench-events, SQLite on 2 cores: a million events take 63.7 s with 20 a poll
// and 28.4 s with 500 a poll, so a poll with 20 takes 1.274 ms and one with 500
// takes 14.2 ms, which makes 26.9 us for each event more.
const (
	PollCost  = 1.0 / sizing.PollsACore
	EventCost = 26.9e-6
	// costSource says so.
	costSource = "make bench-plan, 2 cores: 1,290 polls a second of a core; make bench-events, 2 cores: 63.7 s of processor for a million events with 20 a poll, 28.4 s with 500"
)

const (
	// roundTrips of a poll: connection, session, request.
	roundTrips = 3
	// patience is how long a client waits for an answer.
	patience = 30.0
)

// How the agent polls, times in seconds.
const (
	pollJitter  = 1.0 / wire.PollSpread // of the interval, to both sides
	firstRetry  = float64(wire.FirstRetry / time.Second)
	longRetry   = float64(wire.LongestRetry / time.Second)
	retryJitter = 1.0 / wire.RetrySpread // of a pause is added at most
	moreDelay   = float64(wire.MoreDelay / time.Second)
	pollEvents  = wire.MaxEventsPerPoll
	noneLimits  = lease.NoOfflineIntervals // poll intervals of a workspace that may not be used off-line
	renewal     = 1.0 / lease.RenewAt      // of an off-line limit is used before a lease is renewed
)

// pause is how long a client waits after so many failed polls in a row, without
// what is added.
func pause(failures int) float64 {
	return min(firstRetry*float64(int(1)<<min(failures-1, 10)), longRetry)
}

// longestPause is the longest pause that a client may be in when an outage of so
// many seconds ends.
func longestPause(outage float64) float64 {
	failures := 1
	for sum := pause(1); sum < outage; sum += pause(failures) {
		failures++
	}
	return pause(failures)
}

// usualBytes is what an event takes at least in the agent's journal, beside what
// is around it.
const usualBytes = 200

// journalHolds is how many events the journal of a client holds whose only
// workspace has a limit.
func journalHolds(limit time.Duration, limited bool, bytes int) int {
	size := int64(event.MaxJournalBytes)
	if limited {
		size = event.JournalFor(limit.Seconds())
	}
	return int(size) / (event.RecordBytes + max(bytes, usualBytes))
}

// measured marks a figure that rests on these costs.
func measured(f figure.Figure) figure.Figure { return f.From(figure.Measured, costSource) }
