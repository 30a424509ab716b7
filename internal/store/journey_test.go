package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/store/storetest"
)

// TestJourneyOfEvents carries events from the journals of clients through the
// ingester into the store while answers get lost and journals are reopened:
// each arrives exactly once.
func TestJourneyOfEvents(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			s := openEvents(t, e.dsn(t))
			g := event.NewIngester(s, event.IngestConfig{Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
			ctx, cancel := context.WithCancel(t.Context())
			stopped := make(chan error, 1)
			go func() { stopped <- g.Run(ctx) }()

			const clients, rounds, each = 10, 12, 7
			var wg sync.WaitGroup
			for c := range clients {
				dir := t.TempDir()
				wg.Go(func() {
					if err := client(t.Context(), g, dormer.ClientID(fmt.Sprint("c", c)), dir, rounds, each); err != nil {
						t.Errorf("client %d: %v", c, err)
					}
				})
			}
			wg.Wait()
			cancel()
			if err := <-stopped; err != nil {
				t.Fatal(err)
			}
			rows := storetest.Rows(t, s, "i")
			seen := make(map[string]int)
			for _, r := range rows {
				seen[string(r.Client)+" "+r.Description]++
			}
			if len(rows) != clients*rounds*each || len(seen) != len(rows) {
				t.Errorf("%d events stored, %d of them different, want %d", len(rows), len(seen), clients*rounds*each)
			}
		})
	}
}

// client is what an agent does: it appends, polls, loses every third answer,
// and starts again every fourth round.
func client(ctx context.Context, g *event.Ingester, id dormer.ClientID, dir string, rounds, each int) error {
	j, err := event.OpenJournal(dir, event.JournalOptions{})
	if err != nil {
		return err
	}
	poll := func(lost bool) error {
		journal, events, err := j.Next(0, 50)
		if err != nil {
			return err
		}
		received, err := g.Submit(ctx, event.Batch{Instance: "i", Client: id, Journal: journal, Events: events})
		if err != nil || lost {
			return err
		}
		return j.Trim(journal, received.Safe)
	}
	for round := range rounds {
		for i := range each {
			if _, err := j.Append(event.New(event.ApplicationRun, time.Now(), fmt.Sprint(round, " ", i))); err != nil {
				return err
			}
		}
		if err := poll(round%3 == 1); err != nil {
			return err
		}
		if round%4 == 3 {
			if err := j.Close(); err != nil {
				return err
			}
			if j, err = event.OpenJournal(dir, event.JournalOptions{}); err != nil {
				return err
			}
		}
	}
	for j.Len() > 0 {
		if err := poll(false); err != nil {
			return err
		}
	}
	return j.Close()
}
