package notice

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/dormer-project/dormer"
)

// Stream is what one listener is told. Next is for one goroutine.
type Stream struct {
	board *Board
	of    Console
	woken chan struct{} // holds one when there is something to take

	mu      sync.Mutex // guards the fields below
	changes []Change
	missed  bool
	present []Presence
	news    bool // present has not been taken
	over    error
}

// Told is what there is to tell at once.
type Told struct {
	// Missed says that more happened than is told: all may have changed.
	Missed  bool
	Changes []Change
	// Present is who is where now, if Moved says that this is new.
	Present []Presence
	Moved   bool
}

// Next waits for something to tell. It returns the error of ctx when that ends
// first, and ErrUnavailable when the stream is over: it was cut, or the server
// stops. The listener begins anew after the last change that it was told.
func (s *Stream) Next(ctx context.Context) (Told, error) {
	for {
		s.mu.Lock()
		if s.over != nil {
			s.mu.Unlock()
			return Told{}, s.over
		}
		if len(s.changes) > 0 || s.news || s.missed {
			t := Told{Missed: s.missed, Changes: s.changes, Moved: s.news}
			if s.news {
				t.Present = s.present
			}
			s.changes, s.news, s.missed = nil, false, false
			s.mu.Unlock()
			return t, nil
		}
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return Told{}, ctx.Err()
		case <-s.woken:
		}
	}
}

// Close ends the stream. Closing it again does nothing.
func (s *Stream) Close() { s.board.remove(s) }

// tell adds changes for the listener, who is cut when too many wait.
func (s *Stream) tell(changes []Change) {
	if len(changes) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.changes)+len(changes) > maxWaiting {
		s.cut(fmt.Errorf("the listener takes too little of what is told: %w", dormer.ErrUnavailable))
		return
	}
	s.changes = append(s.changes, changes...)
	s.wake()
}

// show replaces who is where.
func (s *Stream) show(present []Presence) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.present, s.news = present, true
	s.wake()
}

// end ends the stream for a reason.
func (s *Stream) end(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut(why)
}

// cut is end, by who holds mu.
func (s *Stream) cut(why error) {
	if s.over == nil {
		s.over, s.changes, s.present = why, nil, nil
	}
	s.wake()
}

func (s *Stream) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// samePresence says whether people would see a difference.
func samePresence(a, b []Presence) bool {
	return slices.EqualFunc(a, b, func(x, y Presence) bool {
		x.Seen = y.Seen
		return x == y
	})
}
