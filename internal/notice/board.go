package notice

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/audit"
)

// Board tells its listeners what changes. Make it with New and run it with Run.
// It is safe for concurrent use.
type Board struct {
	store Store
	now   func() time.Time
	woken chan struct{} // holds one when there may be something new

	mu      sync.Mutex // guards the fields below
	streams map[*Stream]struct{}
	stopped bool
	// last is the highest number of a record that was told, gaps those below it
	// that were not there yet, with when that was noticed. Both hold while somebody
	// listens.
	last    int64
	gaps    map[int64]time.Time
	present []Presence

	following sync.Mutex // held while the store is asked what is new; before mu
}

// New returns a board that nobody listens to.
func New(store Store, now func() time.Time) *Board {
	return &Board{store: store, now: now, woken: make(chan struct{}, 1), streams: map[*Stream]struct{}{}, gaps: map[int64]time.Time{}}
}

// Log returns a log whose records listeners are told at once.
func (b *Board) Log(log audit.Log) audit.Log { return told{log, b} }

type told struct {
	audit.Log
	board *Board
}

// Append implements audit.Log.
func (t told) Append(ctx context.Context, r audit.Record) error {
	err := t.Log.Append(ctx, r)
	if err == nil {
		t.board.wake()
	}
	return err
}

func (b *Board) wake() {
	select {
	case b.woken <- struct{}{}:
	default:
	}
}

// Run follows the store until ctx ends; an error is one of the store, and Run
// may be called again.
func (b *Board) Run(ctx context.Context) error {
	tick := time.NewTicker(followInterval)
	defer tick.Stop()
	forget := time.NewTicker(PresenceTime)
	defer forget.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.woken:
		case <-tick.C:
		case <-forget.C:
			if err := b.store.DeletePresencesBefore(ctx, b.now().Add(-PresenceTime)); err != nil {
				return err
			}
		}
		if b.Listeners() == 0 {
			continue
		}
		if err := b.follow(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// Listeners returns how many there are.
func (b *Board) Listeners() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.streams)
}

// Stop ends all streams; nobody can listen any more.
func (b *Board) Stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	for s := range b.streams {
		s.end(fmt.Errorf("the server is stopping: %w", dormer.ErrUnavailable))
	}
	clear(b.streams)
}

// Listener is who listens.
type Listener struct {
	Console Console
	// After is the number of the record of the last change that the listener was
	// told; 0: what came before is no news.
	After int64
}

// Listen begins a stream of what comes from now on, and what the listener has
// missed. ErrConflict when the operator has too many, ErrUnavailable when there
// are too many in all. The caller closes it.
func (b *Board) Listen(ctx context.Context, l Listener) (*Stream, error) {
	b.following.Lock()
	defer b.following.Unlock()
	s := &Stream{board: b, of: l.Console, woken: make(chan struct{}, 1)}
	first, err := b.add(s)
	if err != nil {
		return nil, err
	}
	if err := b.begin(ctx, s, first, l.After); err != nil {
		b.remove(s)
		return nil, fmt.Errorf("find what changed: %w", err)
	}
	return s, nil
}

// add enters a stream, and says whether it is the first.
func (b *Board) add(s *Stream) (first bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	own := 0
	for other := range b.streams {
		if other.of.Principal == s.of.Principal {
			own++
		}
	}
	switch {
	case b.stopped:
		return false, dormer.Unavailablef("the server is stopping; try again in a minute")
	case own >= MaxStreamsOfPrincipal:
		return false, fmt.Errorf("you have %d consoles open already, close some: %w", own, dormer.ErrConflict)
	case len(b.streams) >= MaxStreams:
		return false, dormer.Unavailablef("%d consoles are open already, and the server tells no more of them at once; close some", len(b.streams))
	}
	b.streams[s] = struct{}{}
	return len(b.streams) == 1, nil
}

func (b *Board) remove(s *Stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.streams, s)
	s.end(fmt.Errorf("the stream was closed: %w", dormer.ErrUnavailable))
}

// begin brings a stream to where the board is. Its caller holds following.
func (b *Board) begin(ctx context.Context, s *Stream, first bool, after int64) error {
	if first {
		newest, err := b.store.NewestRecord(ctx)
		if err != nil {
			return err
		}
		present, err := b.presences(ctx)
		if err != nil {
			return err
		}
		b.mu.Lock()
		b.last, b.present = newest, present
		clear(b.gaps)
		b.mu.Unlock()
	}
	b.mu.Lock()
	last, present := b.last, b.present
	b.mu.Unlock()
	s.show(present)
	if after <= 0 || after >= last {
		return nil
	}
	records, err := b.store.RecordsAfter(ctx, after, maxMissed+1)
	if err != nil {
		return err
	}
	if len(records) > maxMissed {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.missed = true
		s.wake()
		return nil
	}
	var changes []Change
	for _, r := range records {
		if c, ok := changeOf(r); ok && r.ID <= last {
			changes = append(changes, c)
		}
	}
	s.tell(changes)
	return nil
}

func (b *Board) presences(ctx context.Context) ([]Presence, error) {
	return b.store.Presences(ctx, b.now().Add(-PresenceTime), maxPresences)
}

// follow tells everybody what is new in the store.
func (b *Board) follow(ctx context.Context) error {
	b.following.Lock()
	defer b.following.Unlock()
	for more := true; more; {
		records, err := b.store.RecordsAfter(ctx, b.newest(), pieceRecords)
		if err != nil {
			return err
		}
		b.tell(b.fresh(records))
		more = len(records) == pieceRecords
	}
	if late, ok := b.oldestGap(); ok {
		records, err := b.store.RecordsAfter(ctx, late-1, pieceRecords)
		if err != nil {
			return err
		}
		b.tell(b.fresh(records))
	}
	present, err := b.presences(ctx)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if samePresence(b.present, present) {
		return nil
	}
	b.present = present
	for s := range b.streams {
		s.show(present)
	}
	return nil
}

func (b *Board) newest() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

// oldestGap returns the lowest number whose record may still come, if there is
// one, and gives up on those that had time enough.
func (b *Board) oldestGap() (oldest int64, found bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	for id, noticed := range b.gaps {
		if now.Sub(noticed) > gapTime {
			delete(b.gaps, id)
			continue
		}
		if !found || id < oldest {
			oldest, found = id, true
		}
	}
	return oldest, found
}

// fresh returns the changes that nobody was told, and notes them as told.
func (b *Board) fresh(records []audit.Record) []Change {
	b.mu.Lock()
	defer b.mu.Unlock()
	var changes []Change
	for _, r := range records {
		if _, missing := b.gaps[r.ID]; missing {
			delete(b.gaps, r.ID)
		} else if r.ID <= b.last {
			continue
		}
		for id := b.last + 1; id < r.ID && len(b.gaps) < maxGaps; id++ {
			b.gaps[id] = b.now()
		}
		b.last = max(b.last, r.ID)
		if c, ok := changeOf(r); ok {
			changes = append(changes, c)
		}
	}
	return changes
}

func (b *Board) tell(changes []Change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.streams {
		s.tell(changes)
	}
}

// Be notes that a console shows a page, and tells everybody; with an empty
// page, that it shows none. It has to be renewed each PresenceInterval.
func (b *Board) Be(ctx context.Context, p Presence) error {
	defer b.wake()
	if p.Where == "" {
		return b.store.EndPresence(ctx, p.Console)
	}
	return b.store.SetPresence(ctx, p)
}

// Renew notes that a console shows what it did.
func (b *Board) Renew(ctx context.Context, c Console) error {
	return b.store.RenewPresence(ctx, c, b.now().UTC())
}

// Leave notes that a stream of a console has ended: it shows nothing any more,
// unless it has come again and listens on another.
func (b *Board) Leave(ctx context.Context, c Console) error {
	if b.listens(c) {
		return nil
	}
	defer b.wake()
	return b.store.EndPresence(ctx, c)
}

func (b *Board) listens(c Console) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.streams {
		if s.of == c {
			return true
		}
	}
	return false
}
