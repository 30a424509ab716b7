package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

// eventsBase takes events like an ingester, or does not.
type eventsBase struct {
	mu       sync.Mutex // guards the fields below
	away     bool
	unsafe   bool
	received map[dormer.JournalID]uint64
	texts    []string
}

func (b *eventsBase) Submit(_ context.Context, batch event.Batch) (event.Marks, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return event.Marks{}, &event.BusyError{RetryAfter: time.Second, Reason: "away"}
	}
	if b.received == nil {
		b.received = make(map[dormer.JournalID]uint64)
	}
	for _, e := range batch.Events {
		if e.Sequence > b.received[batch.Journal] {
			b.received[batch.Journal] = e.Sequence
			b.texts = append(b.texts, e.Event.Description)
		}
	}
	m := event.Marks{Received: b.received[batch.Journal]}
	if !b.unsafe {
		m.Safe = m.Received
	}
	return m, nil
}

func (b *eventsBase) set(away, unsafe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away, b.unsafe = away, unsafe
}

func newJournal(t *testing.T, dir string) *journal {
	t.Helper()
	file, err := event.OpenJournal(dir, event.JournalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return &journal{
		file: file, instance: "i", host: "server", now: time.Now, logger: slog.New(slog.DiscardHandler), wake: make(chan struct{}, 1),
	}
}

// TestServersOwnEvents tells while the database is away, opens the journal
// again, and brings it back: each event arrives once, and is let go of when it
// is safe.
func TestServersOwnEvents(t *testing.T) {
	dir := t.TempDir()
	base := &eventsBase{away: true}
	synctest.Test(t, func(t *testing.T) {
		first := newJournal(t, dir)
		for i := range journalBatch + 5 {
			first.tell(event.BackupMade, fmt.Sprint(i))
		}
		if err := first.drain(t.Context(), base); !errors.Is(err, dormer.ErrUnavailable) {
			t.Fatalf("drained into a database that is away: %v", err)
		}
		if err := first.file.Close(); err != nil {
			t.Fatal(err)
		}

		j := newJournal(t, dir)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- j.run(ctx, base) }()
		synctest.Wait()
		if j.file.Len() != journalBatch+5 {
			t.Errorf("%d events wait, want all", j.file.Len())
		}
		base.set(false, true)
		<-time.After(2 * journalRetry)
		synctest.Wait()
		if n := j.file.Len(); len(base.texts) != journalBatch+5 || n != journalBatch+5 {
			t.Errorf("%d arrived and %d are held, want all: none of them is safe", len(base.texts), n)
		}
		base.set(false, false)
		j.tell(event.BackupFailed, "at last")
		<-time.After(time.Second)
		synctest.Wait()
		if n := j.file.Len(); len(base.texts) != journalBatch+6 || n != 0 {
			t.Errorf("%d arrived and %d are held, want one more and none", len(base.texts), n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	if len(base.texts) == journalBatch+6 {
		if diff := cmp.Diff("A backup failed: at last", base.texts[journalBatch+5]); diff != "" {
			t.Error(diff)
		}
	}
}
