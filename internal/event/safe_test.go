package event_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

// replica is a target of replication that can be away.
type replica struct {
	mu   sync.Mutex // guards the fields below
	err  error
	took time.Duration
}

func (r *replica) sync(ctx context.Context) error {
	r.mu.Lock()
	took, err := r.took, r.err
	r.mu.Unlock()
	select {
	case <-time.After(took):
	case <-ctx.Done():
		return ctx.Err()
	}
	return err
}

func (r *replica) set(took time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took, r.err = took, err
}

// TestSafe raises the safe watermark when a replication that began after the
// commit has succeeded, and not before.
func TestSafe(t *testing.T) {
	s := &memStore{marks: map[dormer.ClientID]uint64{"c9": 30}}
	r := &replica{err: errors.New("away")}
	ingestingWith(t, s, event.IngestConfig{Replicate: r.sync}, func(t *testing.T, g *event.Ingester) {
		submit := func(c int, want event.Marks, sequences ...uint64) {
			t.Helper()
			synctest.Wait()
			got, err := g.Submit(t.Context(), batchOf(c, sequences...))
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Fatalf("%v\n%s", err, diff)
			}
		}
		submit(9, event.Marks{Received: 30}) // from before the start: not known
		submit(1, event.Marks{Received: 2}, 1, 2)
		r.set(10*time.Second, nil)
		<-time.After(2 * time.Second) // the next attempt is under way
		submit(1, event.Marks{Received: 3}, 3)
		<-time.After(9 * time.Second)
		submit(9, event.Marks{Received: 30, Safe: 30})
		submit(1, event.Marks{Received: 3, Safe: 2})
		<-time.After(10 * time.Second)
		submit(1, event.Marks{Received: 3, Safe: 3})

		r.set(0, errors.New("away again"))
		submit(1, event.Marks{Received: 4, Safe: 3}, 4)
		<-time.After(time.Minute)
		submit(1, event.Marks{Received: 5, Safe: 3}, 5)
		if n := g.Stats().Unsafe; n != 1 {
			t.Errorf("%d journals are not safe, want 1", n)
		}
		r.set(0, nil)
		<-time.After(time.Minute)
		submit(1, event.Marks{Received: 5, Safe: 5})
		submit(2, event.Marks{})
	})
}

// TestStoreAwayAndBack takes the store away under load: clients are told at
// once to come again, it is told once, and what they bring is stored once it
// is back.
func TestStoreAwayAndBack(t *testing.T) {
	for _, cause := range []error{dormer.ErrUnavailable, dormer.ErrFull, context.DeadlineExceeded, errors.New("no such table")} {
		t.Run(cause.Error(), func(t *testing.T) {
			var mu sync.Mutex
			away := true
			s := &memStore{took: 5 * time.Second, fail: func([]event.Batch) error {
				mu.Lock()
				defer mu.Unlock()
				if away {
					return fmt.Errorf("store: %w", cause)
				}
				return nil
			}}
			var told []event.Code
			config := event.IngestConfig{Tell: func(c event.Code, _ string) { told = append(told, c) }}
			ingestingWith(t, s, config, func(t *testing.T, g *event.Ingester) {
				if _, err := g.Submit(t.Context(), batchOf(0, 1)); !errors.Is(err, dormer.ErrUnavailable) || !errors.Is(err, cause) {
					t.Fatalf("%v, want unavailable for %v", err, cause)
				}
				if stats := g.Stats(); !stats.Away || stats.Problem == "" || stats.LastError.IsZero() {
					t.Errorf("%+v: want that it is away", stats)
				}
				var all sync.WaitGroup
				all.Go(func() { _, _ = g.Submit(t.Context(), batchOf(0, 1)) }) // finds out
				synctest.Wait()
				for c := 1; c < 20; c++ {
					start := time.Now()
					_, err := g.Submit(t.Context(), batchOf(c, 1))
					if busy, ok := errors.AsType[*event.BusyError](err); !ok || busy.RetryAfter <= 0 || time.Since(start) > 0 {
						t.Errorf("client %d: %v after %v, want to be told at once", c, err, time.Since(start))
					}
				}
				all.Wait()
				mu.Lock()
				away = false
				mu.Unlock()
				for c := range 20 {
					if _, err := g.Submit(t.Context(), batchOf(c, 1)); err != nil {
						t.Errorf("client %d: %v", c, err)
					}
				}
				if stats := g.Stats(); stats.Away || stats.Problem != "" {
					t.Errorf("%+v: want that it is back", stats)
				}
			})
			if want := []event.Code{event.EventsAway, event.EventsBack}; !slices.Equal(told, want) {
				t.Errorf("told %v, want %v", told, want)
			}
			if len(s.stored) != 20 {
				t.Errorf("%d batches stored, want 20", len(s.stored))
			}
		})
	}
}

// TestWatermarksWhileAway asks for watermarks that are not known, as after a
// restart, of a store that hangs: one waits, all others are told at once.
func TestWatermarksWhileAway(t *testing.T) {
	s := &hangingStore{memStore: &memStore{marks: map[dormer.ClientID]uint64{"c1": 5}}, hangs: true}
	var told []event.Code
	config := event.IngestConfig{Tell: func(c event.Code, _ string) { told = append(told, c) }}
	ingestingWith(t, s, config, func(t *testing.T, g *event.Ingester) {
		if _, err := g.Submit(t.Context(), batchOf(1)); !errors.Is(err, dormer.ErrUnavailable) {
			t.Fatalf("%v, want that the client comes again", err)
		}
		start := time.Now()
		var all sync.WaitGroup
		for c := range 20 {
			all.Go(func() {
				if _, err := g.Submit(t.Context(), batchOf(c)); !errors.Is(err, dormer.ErrUnavailable) {
					t.Errorf("client %d: %v", c, err)
				}
			})
		}
		all.Wait()
		if passed := time.Since(start); passed > event.DefaultIngestLimits().WaitTime {
			t.Errorf("took %v", passed)
		}
		s.mu.Lock()
		asked := s.reads
		s.hangs = false
		s.mu.Unlock()
		if asked != 2 {
			t.Errorf("the store was asked %d times, want that one finds out for all", asked)
		}
		if marks, err := g.Submit(t.Context(), batchOf(1)); err != nil || marks.Received != 5 {
			t.Errorf("%v, %v; want 5", marks, err)
		}
		if _, err := g.Submit(t.Context(), batchOf(1, 6)); err != nil {
			t.Error(err)
		}
	})
	if want := []event.Code{event.EventsAway, event.EventsBack}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

// hangingStore gives no answer for watermarks while it hangs.
type hangingStore struct {
	*memStore
	hangs bool
}

func (s *hangingStore) Watermark(ctx context.Context, i dormer.InstanceID, c dormer.ClientID, j dormer.JournalID) (uint64, error) {
	s.mu.Lock()
	hangs := s.hangs
	if hangs {
		s.reads++
	}
	s.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return s.memStore.Watermark(ctx, i, c, j)
}
