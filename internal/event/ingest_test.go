package event_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/wire"
)

// memStore is an event.Store in memory whose transactions take a while and can
// be made to fail.
type memStore struct {
	took time.Duration
	fail func(batches []event.Batch) error

	mu      sync.Mutex // guards the fields below
	marks   map[dormer.ClientID]uint64
	stored  []event.Batch
	commits int
	reads   int
}

func (s *memStore) AppendEvents(ctx context.Context, batches []event.Batch) ([]uint64, error) {
	if s.took > 0 {
		select {
		case <-time.After(s.took):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commits++
	if s.fail != nil {
		if err := s.fail(batches); err != nil {
			return nil, err
		}
	}
	if s.marks == nil {
		s.marks = make(map[dormer.ClientID]uint64)
	}
	for _, b := range batches {
		if b.Condensed && s.marks[b.Client] != b.Above {
			return nil, dormer.ErrConflict
		}
	}
	marks := make([]uint64, len(batches))
	for i, b := range batches {
		b.Events = slices.DeleteFunc(slices.Clone(b.Events), func(e wire.NumberedEvent) bool { return e.Sequence <= s.marks[b.Client] })
		s.stored = append(s.stored, b)
		if len(b.Events) > 0 {
			s.marks[b.Client] = b.Events[len(b.Events)-1].Sequence
		}
		marks[i] = s.marks[b.Client]
	}
	return marks, nil
}

func (s *memStore) Watermark(_ context.Context, _ dormer.InstanceID, c dormer.ClientID, _ dormer.JournalID) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.fail != nil {
		if err := s.fail(nil); err != nil {
			return 0, err
		}
	}
	return s.marks[c], nil
}

func numbered(sequence uint64) wire.NumberedEvent {
	return wire.NumberedEvent{Sequence: sequence, Event: dormer.Event{
		Code: 501, Severity: dormer.Information, Description: "d", Time: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
	}}
}

func batchOf(c int, sequences ...uint64) event.Batch {
	b := event.Batch{Instance: "i", Client: dormer.ClientID(fmt.Sprint("c", c)), Journal: "j"}
	for _, n := range sequences {
		b.Events = append(b.Events, numbered(n))
	}
	return b
}

// ingesting runs an ingester in a bubble until f returns.
func ingesting(t *testing.T, s event.Store, limits event.IngestLimits, f func(t *testing.T, g *event.Ingester)) {
	t.Helper()
	ingestingWith(t, s, event.IngestConfig{Limits: limits}, f)
}

// ingestingWith is ingesting with more than limits.
func ingestingWith(t *testing.T, s event.Store, c event.IngestConfig, f func(t *testing.T, g *event.Ingester)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c.Now, c.Logger = time.Now, slog.New(slog.DiscardHandler)
		g := event.NewIngester(s, c)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		f(t, g)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if _, err := g.Submit(t.Context(), batchOf(1, 99)); !errors.Is(err, dormer.ErrUnavailable) {
			t.Errorf("after the end: %v, want dormer.ErrUnavailable", err)
		}
	})
}

func TestGroupCommit(t *testing.T) {
	s := &memStore{took: 10 * time.Millisecond}
	ingesting(t, s, event.IngestLimits{}, func(t *testing.T, g *event.Ingester) {
		var wg sync.WaitGroup
		for c := range 200 {
			wg.Go(func() {
				mark, err := g.Submit(t.Context(), batchOf(c, 1, 2, 7))
				if err != nil || mark.Received != 7 {
					t.Errorf("client %d: watermarks %v, %v; want 7", c, mark, err)
				}
			})
		}
		wg.Wait()
	})
	if s.commits > 3 || len(s.stored) != 200 {
		t.Errorf("%d commits for %d batches, want a few for 200", s.commits, len(s.stored))
	}
	for _, b := range s.stored {
		if b.Received.IsZero() || !b.Events[0].Event.Received.Equal(b.Received) || b.Events[0].Event.Time.Year() != 2099 {
			t.Fatalf("stored %+v: want a time of receipt and the client's time", b)
		}
	}
}

func TestBadBatchHarmsOnlyItsClient(t *testing.T) {
	bad := fmt.Errorf("cannot be stored: %w", dormer.ErrInvalid)
	s := &memStore{took: time.Millisecond, fail: func(batches []event.Batch) error {
		for _, b := range batches {
			if b.Client == "c7" {
				return bad
			}
		}
		return nil
	}}
	ingesting(t, s, event.IngestLimits{}, func(t *testing.T, g *event.Ingester) {
		var wg sync.WaitGroup
		for c := range 20 {
			wg.Go(func() {
				_, err := g.Submit(t.Context(), batchOf(c, 1))
				if c == 7 != (err != nil) || c == 7 && !errors.Is(err, bad) {
					t.Errorf("client %d: %v", c, err)
				}
			})
		}
		wg.Wait()
	})
	if len(s.stored) != 19 {
		t.Errorf("%d batches stored, want 19", len(s.stored))
	}
}

func TestStoreDoesNotWork(t *testing.T) {
	s := &memStore{fail: func([]event.Batch) error { return dormer.ErrFull }}
	ingesting(t, s, event.IngestLimits{}, func(t *testing.T, g *event.Ingester) {
		var wg sync.WaitGroup
		for c := range 50 {
			wg.Go(func() {
				if _, err := g.Submit(t.Context(), batchOf(c, 1)); !errors.Is(err, dormer.ErrFull) {
					t.Errorf("client %d: %v, want dormer.ErrFull", c, err)
				}
			})
		}
		wg.Wait()
	})
	if s.commits > 50 {
		t.Errorf("%d attempts for 50 batches", s.commits)
	}
}

func TestSlowStore(t *testing.T) {
	s := &memStore{took: time.Hour}
	ingesting(t, s, event.IngestLimits{CommitTime: time.Minute}, func(t *testing.T, g *event.Ingester) {
		_, err := g.Submit(t.Context(), batchOf(1, 1))
		var busy *event.BusyError
		if !errors.As(err, &busy) || busy.RetryAfter <= 0 {
			t.Errorf("error is %v, want a BusyError", err)
		}
	})
}

func TestQueueFull(t *testing.T) {
	s := &memStore{took: time.Minute}
	ingesting(t, s, event.IngestLimits{QueueEvents: 5, CommitEvents: 2, RetryAfter: 7 * time.Second, CommitTime: time.Hour, WaitTime: time.Hour}, func(t *testing.T, g *event.Ingester) {
		results := make(chan error, 10)
		for c := range 10 {
			go func() {
				_, err := g.Submit(t.Context(), batchOf(c, 1))
				results <- err
			}()
		}
		synctest.Wait()
		refused := 0
		for range 5 {
			var busy *event.BusyError
			if err := <-results; !errors.As(err, &busy) || busy.RetryAfter != 7*time.Second || !errors.Is(err, dormer.ErrUnavailable) {
				t.Errorf("error is %v, want a BusyError", err)
			} else {
				refused++
			}
		}
		for range 5 {
			if err := <-results; err != nil {
				t.Errorf("one that was accepted: %v", err)
			}
		}
		if refused != 5 {
			t.Errorf("%d refused at once, want 5", refused)
		}
		// There is room again.
		if _, err := g.Submit(t.Context(), batchOf(1, 2)); err != nil {
			t.Error(err)
		}
	})
}

// TestDrain ends the ingester while batches wait: all are stored.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &memStore{took: time.Second}
		g := event.NewIngester(s, event.IngestConfig{Now: time.Now, Logger: slog.New(slog.DiscardHandler), Limits: event.IngestLimits{CommitEvents: 3}})
		ctx, cancel := context.WithCancel(t.Context())
		results := make(chan error, 10)
		for c := range 10 {
			go func() {
				_, err := g.Submit(t.Context(), batchOf(c, 1))
				results <- err
			}()
		}
		synctest.Wait()
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		for range 10 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if len(s.stored) != 10 || s.commits != 4 {
			t.Errorf("%d batches in %d commits, want 10 in 4", len(s.stored), s.commits)
		}
	})
}

func TestSubmitGivenUp(t *testing.T) {
	s := &memStore{took: time.Hour}
	ingesting(t, s, event.IngestLimits{CommitTime: 2 * time.Hour, WaitTime: time.Hour}, func(t *testing.T, g *event.Ingester) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := g.Submit(ctx, batchOf(1, 1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v, want that of the context", err)
		}
	})
	if len(s.stored) != 1 {
		t.Errorf("%d batches stored, want that of the sender who left", len(s.stored))
	}
}

func TestEmptyBatch(t *testing.T) {
	s := &memStore{marks: map[dormer.ClientID]uint64{"c1": 5}}
	ingesting(t, s, event.IngestLimits{}, func(t *testing.T, g *event.Ingester) {
		for range 3 {
			if mark, err := g.Submit(t.Context(), batchOf(1)); err != nil || mark.Received != 5 {
				t.Errorf("watermarks %v, %v; want 5", mark, err)
			}
		}
		if s.reads != 1 {
			t.Errorf("%d reads for three empty batches, want 1", s.reads)
		}
		if _, err := g.Submit(t.Context(), batchOf(1, 6)); err != nil {
			t.Error(err)
		}
		if mark, err := g.Submit(t.Context(), batchOf(1)); err != nil || mark.Received != 6 || s.reads != 1 {
			t.Errorf("watermarks %v, %v after %d reads; want 6 from memory", mark, err, s.reads)
		}
		if mark, err := g.Submit(t.Context(), event.Batch{Instance: "i", Client: "c1"}); err != nil || mark.Received != 0 {
			t.Errorf("without a journal: %v, %v; want 0", mark, err)
		}
	})
}

func TestSubmitRefuses(t *testing.T) {
	tests := map[string]event.Batch{
		"no journal":          {Events: []wire.NumberedEvent{numbered(1)}},
		"long journal":        {Journal: dormer.JournalID(strings.Repeat("j", 65)), Events: []wire.NumberedEvent{numbered(1)}},
		"journal with spaces": {Journal: "a b", Events: []wire.NumberedEvent{numbered(1)}},
		"sequence 0":          batchOf(1, 0),
		"sequence too large":  batchOf(1, 1<<63),
		"same sequence":       batchOf(1, 2, 2),
		"descending":          batchOf(1, 2, 1),
		"too many":            {Journal: "j", Events: make([]wire.NumberedEvent, wire.MaxEventsPerPoll+1)},
	}
	s := &memStore{}
	ingesting(t, s, event.IngestLimits{}, func(t *testing.T, g *event.Ingester) {
		for name, b := range tests {
			if _, err := g.Submit(t.Context(), b); !errors.Is(err, dormer.ErrInvalid) {
				t.Errorf("%s: %v, want dormer.ErrInvalid", name, err)
			}
		}
	})
	if s.commits != 0 {
		t.Errorf("%d commits of refused batches", s.commits)
	}
}
