package server

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/store/storetest"
	"github.com/dormer-project/dormer/internal/wire"
)

// TestEventsAway takes the table of events away under a running server:
// clients are told to come again, the server says so, and once the table is
// back everything is stored, what the server tells of it as well.
func TestEventsAway(t *testing.T) {
	s, err := testServer(t, func(*Config) {})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Background(ctx)
	}()
	defer func() { stop(); <-done }()
	submit := func(sequence uint64) error {
		_, err := s.ingester.Submit(t.Context(), event.Batch{
			Instance: s.instance, Client: "aaaaaaaaaaaaaaaaaaaaaaaaaa", Journal: "j",
			Events: []wire.NumberedEvent{{Sequence: sequence, Event: event.New(event.AgentStarted, time.Now(), "")}},
		})
		return err
	}
	if err := submit(1); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+s.data.file(fileEvents)+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rename := func(from, to string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), "ALTER TABLE "+from+" RENAME TO "+to); err != nil {
			t.Fatal(err)
		}
	}
	rename("events", "events_elsewhere")
	for range 3 {
		if err := submit(2); !errors.Is(err, dormer.ErrUnavailable) {
			t.Fatalf("without the table: %v, want that the client comes again", err)
		}
	}
	if stats := s.ingester.Stats(); !stats.Away || stats.Problem == "" {
		t.Errorf("%+v: want that it is away", stats)
	}
	if s.journal.file.Len() == 0 {
		t.Error("the server has told nothing")
	}
	rename("events_elsewhere", "events")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(time.Minute)
	for err = submit(2); err != nil && time.Now().Before(deadline); err = submit(2) {
		<-tick.C // the server's own events may be those that find out
	}
	if err != nil {
		t.Fatal(err)
	}
	var codes []event.Code
	for len(codes) < 4 && time.Now().Before(deadline) {
		<-tick.C
		codes = codes[:0]
		for _, r := range storetest.Rows(t, s.events, s.instance) {
			codes = append(codes, event.Code(r.Code))
			if own := r.Code >= 800; own != (r.Client == "") || own && (r.Host != s.deps.Hostname || r.User != systemUser) {
				t.Errorf("stored %+v", r)
			}
		}
	}
	slices.Sort(codes)
	if want := []event.Code{event.AgentStarted, event.AgentStarted, event.EventsAway, event.EventsBack}; !slices.Equal(codes, want) {
		t.Errorf("stored %v, want %v", codes, want)
	}
}
