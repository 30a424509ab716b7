package event

import (
	"context"
	"log/slog"
	"time"
)

// Pauses after a replication that failed.
const (
	replicateRetry    = time.Second
	maxReplicateRetry = 30 * time.Second
)

// safety knows how much of what was received is on another disk too. For each
// journal that is being stored, or has events that may not be there yet, it
// knows the watermark up to which they are. Its maps are guarded by the
// ingester's mu.
type safety struct {
	// replicates is false where what is received is safe.
	replicates bool
	// replicated says that there was a replication since the start: everything
	// that was stored before it is safe.
	replicated bool
	// Commits of storing run; those of pending came after the replication that
	// runs has begun, those of underway before. The values are watermarks before
	// the first of them.
	storing, pending, underway map[journalKey]uint64
	// kick has room for one: something was committed.
	kick chan struct{}
}

func newSafety(replicate func(context.Context) error) safety {
	s := safety{replicates: replicate != nil, kick: make(chan struct{}, 1)}
	if s.replicates {
		s.storing, s.pending, s.underway = make(map[journalKey]uint64), make(map[journalKey]uint64), make(map[journalKey]uint64)
		s.kick <- struct{}{} // for what was stored before the start
	}
	return s
}

// of returns the safe watermark of a journal, of which that much was received.
func (s *safety) of(k journalKey, received uint64) uint64 {
	switch {
	case !s.replicates:
		return received
	case !s.replicated:
		return 0
	}
	// The oldest come first: what counts is where the first began.
	for _, m := range []map[journalKey]uint64{s.underway, s.pending, s.storing} {
		if mark, ok := m[k]; ok {
			return min(mark, received)
		}
	}
	return received
}

// begin notes that events of a journal are being stored, above that watermark.
func (s *safety) begin(k journalKey, above uint64) {
	if !s.replicates {
		return
	}
	if _, ok := s.storing[k]; !ok {
		s.storing[k] = above
	}
}

// end notes that they may be stored now: also where the store said otherwise.
func (s *safety) end(k journalKey) {
	above, ok := s.storing[k]
	if !ok {
		return
	}
	delete(s.storing, k)
	if _, ok := s.pending[k]; !ok {
		s.pending[k] = above
	}
}

func (s *safety) unsafe() int { return len(s.pending) + len(s.underway) }

// wake makes the replication look again.
func (s *safety) wake() {
	if !s.replicates {
		return
	}
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// start begins a replication of all that is pending.
func (s *safety) start() { s.underway, s.pending = s.pending, make(map[journalKey]uint64) }

// finish ends it.
func (s *safety) finish(err error) {
	if err == nil {
		s.replicated = true
		s.underway = make(map[journalKey]uint64)
		return
	}
	for k, mark := range s.pending {
		if _, ok := s.underway[k]; !ok {
			s.underway[k] = mark
		}
	}
	s.pending, s.underway = s.underway, make(map[journalKey]uint64)
}

// replicate makes safe what is committed, until ctx ends.
func (g *Ingester) replicate(ctx context.Context) {
	if g.c.Replicate == nil {
		return
	}
	pause := replicateRetry
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.safety.kick:
		}
		g.mu.Lock()
		g.safety.start()
		g.mu.Unlock()
		err := g.c.Replicate(ctx)
		g.mu.Lock()
		g.safety.finish(err)
		g.mu.Unlock()
		if err == nil {
			pause = replicateRetry
			continue
		}
		if ctx.Err() != nil {
			return
		}
		g.c.Logger.LogAttrs(ctx, slog.LevelWarn, "events are not replicated; clients keep them", slog.Duration("pause", pause), slog.Any("error", err))
		retry := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			retry.Stop()
			return
		case <-retry.C:
		}
		pause = min(2*pause, maxReplicateRetry)
		g.safety.wake()
	}
}
