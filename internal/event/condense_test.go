package event_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/wire"
)

// countOf sums what was stored of a client's events of a code.
func (s *memStore) countOf(c dormer.ClientID, code int) (rows, count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.stored {
		for _, e := range b.Events {
			if b.Client == c && e.Event.Code == code {
				rows++
				count += max(1, e.Event.Count)
			}
		}
	}
	return rows, count
}

// flood sends events in batches as an agent does: it comes again when the
// server is busy, and now and then repeats what was stored. Every tenth is an
// error, and no two descriptions are the same.
func flood(ctx context.Context, g *event.Ingester, c, events int) error {
	next, received := uint64(1), uint64(0)
	at := time.Now()
	for received < uint64(events) {
		b := event.Batch{Instance: "i", Client: dormer.ClientID(fmt.Sprint("c", c)), Journal: "j", Host: "pc"}
		for n := next; n < next+wire.MaxEventsPerPoll && n <= uint64(events); n++ {
			e := wire.NumberedEvent{Sequence: n, Event: dormer.Event{
				Code: 632, Severity: dormer.Warning, Description: fmt.Sprint("loop ", n), Time: at, Host: "pc",
			}}
			if n%10 == 0 {
				e.Event.Code, e.Event.Severity = 503, dormer.Error
			}
			b.Events = append(b.Events, e)
		}
		marks, err := g.Submit(ctx, b)
		if errors.Is(err, dormer.ErrUnavailable) {
			timer := time.NewTimer(time.Second)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		}
		if err != nil {
			return err
		}
		received = marks.Received
		next = received + 1
		if received%7 == 0 && next > 100 {
			next -= 100 // its answer got lost in part
		}
	}
	return nil
}

// TestFlood lets one client flood the server while 200 others send: theirs
// take no longer than without it, and every event of the flood is counted.
func TestFlood(t *testing.T) {
	const events = 100_000
	s := &memStore{took: 10 * time.Millisecond}
	var told []string
	config := event.IngestConfig{Tell: func(code event.Code, detail string) { told = append(told, fmt.Sprint(code, " ", detail)) }}
	ingestingWith(t, s, config, func(t *testing.T, g *event.Ingester) {
		var all, others sync.WaitGroup
		all.Go(func() {
			if err := flood(t.Context(), g, 0, events); err != nil {
				t.Error(err)
			}
		})
		var mu sync.Mutex
		var longest time.Duration
		for c := 1; c <= 200; c++ {
			others.Go(func() {
				for n := range uint64(20) {
					start := time.Now()
					if _, err := g.Submit(t.Context(), batchOf(c, n*2+1, n*2+2)); err != nil {
						t.Errorf("client %d: %v", c, err)
					}
					mu.Lock()
					longest = max(longest, time.Since(start))
					mu.Unlock()
					<-time.After(time.Duration(c) * time.Millisecond)
				}
			})
		}
		others.Wait()
		all.Wait()
		// What waits while one commit runs goes with the next.
		if longest > 25*time.Millisecond {
			t.Errorf("one of the others waited %v, want two commits at most", longest)
		}
		stats := g.Stats()
		if stats.Condensed == 0 || stats.Events+stats.Condensed != events+200*40 {
			t.Errorf("%+v: want events and condensed to be all", stats)
		}
	})
	rows, warnings := s.countOf("c0", 632)
	errorRows, failures := s.countOf("c0", 503)
	if warnings != events*9/10 || failures != events/10 {
		t.Errorf("%d warnings and %d errors are counted, want %d and %d", warnings, failures, events*9/10, events/10)
	}
	if rows+errorRows > 2000 {
		t.Errorf("the flood takes %d rows", rows+errorRows)
	}
	for c := 1; c <= 200; c++ {
		if _, n := s.countOf(dormer.ClientID(fmt.Sprint("c", c)), 501); n != 40 {
			t.Fatalf("client %d has %d events, want 40", c, n)
		}
	}
	if len(told) != 1 {
		t.Errorf("told %q, want once an hour", told)
	}
}

// TestBacklogIsNotCondensed brings what happened in half a year off-line.
func TestBacklogIsNotCondensed(t *testing.T) {
	s := &memStore{}
	ingesting(t, s, event.IngestLimits{}, func(t *testing.T, g *event.Ingester) {
		at := time.Now().Add(-180 * 24 * time.Hour)
		for n := uint64(1); n < 4000; n += 400 {
			b := batchOf(1)
			for i := range uint64(400) {
				e := numbered(n + i)
				at = at.Add(time.Hour)
				e.Event.Time = at
				b.Events = append(b.Events, e)
			}
			if _, err := g.Submit(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
	})
	if rows, count := s.countOf("c1", 501); rows != 4000 || count != 4000 {
		t.Errorf("%d rows that stand for %d, want 4000 each", rows, count)
	}
}

// TestEndlessClient has a client that avoids being condensed: its events are a
// year apart each time and of users that never were. It is turned away at last,
// others are not.
func TestEndlessClient(t *testing.T) {
	s := &memStore{}
	ingesting(t, s, event.IngestLimits{}, func(t *testing.T, g *event.Ingester) {
		at, turned := time.UnixMicro(0), 0
		for n := range uint64(820) { // 410,000 events
			b := batchOf(1)
			for i := range uint64(500) {
				e := numbered(n*500 + i + 1)
				at = at.Add(time.Hour)
				e.Event.Time, e.Event.User = at, fmt.Sprint("user", n, i)
				b.Events = append(b.Events, e)
			}
			if _, err := g.Submit(t.Context(), b); errors.Is(err, dormer.ErrUnavailable) {
				turned++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if turned == 0 {
			t.Error("it was never turned away")
		}
		if _, err := g.Submit(t.Context(), batchOf(2, 1)); err != nil {
			t.Errorf("another client: %v", err)
		}
	})
	if rows, _ := s.countOf("c1", 501); rows > 401_000 {
		t.Errorf("it has %d rows", rows)
	}
}

// journalStore is one that knows journals.
type journalStore struct{ *memStore }

func (s journalStore) Watermark(_ context.Context, _ dormer.InstanceID, _ dormer.ClientID, j dormer.JournalID) (mark uint64, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.stored {
		if b.Journal == j {
			mark = max(mark, b.Events[len(b.Events)-1].Sequence)
		}
	}
	return mark, nil
}

// TestEndlessJournals has a client that names another journal each time. What
// it began before goes on to be taken.
func TestEndlessJournals(t *testing.T) {
	s := journalStore{&memStore{marks: map[dormer.ClientID]uint64{}}}
	ingesting(t, s, event.IngestLimits{KnownJournals: 5}, func(t *testing.T, g *event.Ingester) {
		submit := func(journal string, sequence uint64) error {
			b := batchOf(1, sequence)
			b.Journal = dormer.JournalID(journal)
			_, err := g.Submit(t.Context(), b)
			return err
		}
		taken := 0
		for n := range uint64(100) {
			if err := submit(fmt.Sprint("j", n), n+1); err == nil {
				taken++
			} else if !errors.Is(err, dormer.ErrUnavailable) {
				t.Fatal(err)
			}
		}
		if taken != 20 {
			t.Errorf("%d journals were begun, want 20", taken)
		}
		if err := submit("j0", 1000); err != nil {
			t.Errorf("a journal of before: %v", err)
		}
		<-time.After(time.Hour)
		if err := submit("later", 1001); err != nil {
			t.Errorf("a new journal an hour later: %v", err)
		}
	})
}

// TestClientQueueFull fills what one client may have waiting: it is told to
// come again, and nobody else is.
func TestClientQueueFull(t *testing.T) {
	s := &memStore{took: time.Second}
	ingesting(t, s, event.IngestLimits{ClientEvents: 3}, func(t *testing.T, g *event.Ingester) {
		results := make(chan error, 5)
		for n := range uint64(5) {
			go func() {
				_, err := g.Submit(t.Context(), batchOf(1, n+1))
				results <- err
			}()
		}
		for range 2 {
			if err := <-results; !errors.Is(err, dormer.ErrUnavailable) {
				t.Errorf("%v, want that the client is told to come again", err)
			}
		}
		if _, err := g.Submit(t.Context(), batchOf(2, 1)); err != nil {
			t.Errorf("another client: %v", err)
		}
		for range 3 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
	})
}

// raisedStore is one whose watermarks another server of the instance raises
// between the look at them and the commit.
type raisedStore struct {
	*memStore
	raise uint64
}

func (s *raisedStore) Watermark(ctx context.Context, i dormer.InstanceID, c dormer.ClientID, j dormer.JournalID) (uint64, error) {
	mark, err := s.memStore.Watermark(ctx, i, c, j)
	if s.raise > 0 {
		s.mu.Lock()
		s.marks[c], s.raise = s.raise, 0
		s.mu.Unlock()
	}
	return mark, err
}

// TestCondensedForAnotherWatermark sends a flood to two servers at once: what
// the other has stored is not counted again.
func TestCondensedForAnotherWatermark(t *testing.T) {
	s := &raisedStore{memStore: &memStore{marks: map[dormer.ClientID]uint64{}}, raise: 40}
	ingesting(t, s, event.IngestLimits{ClientBurst: 10}, func(t *testing.T, g *event.Ingester) {
		b := batchOf(1)
		for n := range uint64(100) {
			b.Events = append(b.Events, numbered(n+1))
		}
		if _, err := g.Submit(t.Context(), b); !errors.Is(err, dormer.ErrUnavailable) {
			t.Fatalf("%v, want that the client comes again", err)
		}
		if _, err := g.Submit(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	})
	if rows, count := s.countOf("c1", 501); rows != 1 || count != 60 {
		t.Errorf("%d rows that stand for %d events, want 1 for the 60 that the other server has not", rows, count)
	}
}

// TestFailedAttemptsCostNothing: what a broken store did not take is sent again
// and again, and is stored row by row when the store works.
func TestFailedAttemptsCostNothing(t *testing.T) {
	const events, attempts = 20, 200
	broken := true
	s := &memStore{fail: func([]event.Batch) error {
		if broken {
			return dormer.ErrFull
		}
		return nil
	}}
	ingesting(t, s, event.IngestLimits{}, func(t *testing.T, g *event.Ingester) {
		var sequences []uint64
		for n := range uint64(events) {
			sequences = append(sequences, n+1)
		}
		for range attempts {
			if _, err := g.Submit(t.Context(), batchOf(1, sequences...)); !errors.Is(err, dormer.ErrFull) {
				t.Fatalf("%v, want dormer.ErrFull", err)
			}
		}
		broken = false
		marks, err := g.Submit(t.Context(), batchOf(1, sequences...))
		if err != nil || marks.Received != events {
			t.Fatalf("%+v, %v", marks, err)
		}
		if rows, count := s.countOf("c1", 501); rows != events || count != events {
			t.Errorf("%d events in %d rows, want each in its own", count, rows)
		}
	})
}
