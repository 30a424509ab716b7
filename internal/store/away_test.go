package store_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/store/storetest"
)

// TestConnectionsLost ends the store's connections while it stores events: each
// error says that the database is away, and once it is back everything is there
// exactly once.
func TestConnectionsLost(t *testing.T) {
	dsn := postgresDSN(t)
	s := openEvents(t, dsn+"&application_name=lost")
	killer, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer killer.Close()
	stop, killed := make(chan struct{}), make(chan error, 1)
	go func() {
		tick := time.NewTicker(7 * time.Millisecond)
		defer tick.Stop()
		// Not for ever: on a busy machine no transaction might be quick enough.
		for range 200 {
			select {
			case <-stop:
				killed <- nil
				return
			case <-tick.C:
				if _, err := killer.ExecContext(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lost'"); err != nil {
					killed <- err
					return
				}
			}
		}
		killed <- nil
	}()
	failures := 0
	const rounds, each = 60, 40
	for n := range rounds {
		b := event.Batch{Instance: "i", Client: "c", Journal: "j", Received: time.Now(), Events: storetest.Happened(uint64(n*each+1), each)}
		for {
			_, err := s.AppendEvents(t.Context(), []event.Batch{b})
			if err == nil {
				break
			}
			if failures++; !errors.Is(err, dormer.ErrUnavailable) {
				t.Fatalf("error is %v, want dormer.ErrUnavailable", err)
			}
		}
	}
	close(stop)
	if err := <-killed; err != nil {
		t.Fatal(err)
	}
	if failures == 0 {
		t.Error("no connection was lost: this tests nothing")
	}
	var rows []event.Row
	for rows == nil {
		if rows, _, err = s.Follow(t.Context(), "i", 0, 2*rounds*each); err != nil && !errors.Is(err, dormer.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if len(rows) != rounds*each {
		t.Errorf("%d events, want %d", len(rows), rounds*each)
	}
	t.Logf("%d transactions failed", failures)
}

// TestReadOnly: a database that cannot be written to is away, not wrong.
func TestReadOnly(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			dsn := e.dsn(t)
			s := openEvents(t, dsn)
			storetest.AppendSome(t, s, "i", "c", 1, 5)
			store.SetReadOnly(t, s, true)
			b := event.Batch{Instance: "i", Client: "c", Journal: "j-c", Received: time.Now(), Events: storetest.Happened(6, 1)}
			if _, err := s.AppendEvents(t.Context(), []event.Batch{b}); !errors.Is(err, dormer.ErrUnavailable) {
				t.Errorf("error is %v, want dormer.ErrUnavailable", err)
			}
			if n := len(storetest.Rows(t, s, "i")); n != 5 {
				t.Errorf("%d events, want 5", n)
			}
			store.SetReadOnly(t, s, false)
			if marks, err := s.AppendEvents(t.Context(), []event.Batch{b}); err != nil || marks[0] != 6 {
				t.Errorf("afterwards: %v, %v", marks, err)
			}
		})
	}
}

// TestLockedFile: somebody else who writes for long makes others wait, and then
// the database is away.
func TestLockedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locked.db")
	s := openEvents(t, "sqlite:"+path)
	storetest.AppendSome(t, s, "i", "c", 1, 5)
	store.SetBusyTime(t, s, 50*time.Millisecond)
	db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	b := event.Batch{Instance: "i", Client: "c", Journal: "j-c", Received: time.Now(), Events: storetest.Happened(6, 1)}
	if _, err := s.AppendEvents(t.Context(), []event.Batch{b}); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("error is %v, want dormer.ErrUnavailable", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AppendEvents(t.Context(), []event.Batch{b}); err != nil {
		t.Error(err)
	}
}

// TestUpgradeOfEvents: events that a build with step 1 alone stored are there
// with everything that they said, and go on where they were.
func TestUpgradeOfEvents(t *testing.T) {
	fixture, err := os.ReadFile("testdata/events_0001.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			ctx, dsn := t.Context(), e.dsn(t)
			if err := store.MigrateEventsTo(ctx, dsn, 1); err != nil {
				t.Fatal(err)
			}
			text := string(fixture)
			if e.name == "postgres" {
				text = partitionsOfFixture + text
			}
			fill(t, dsn, text)
			s := openEvents(t, dsn)
			rows := storetest.Rows(t, s, "one")
			if len(rows) != 4 {
				t.Fatalf("%d events, want 4: %+v", len(rows), rows)
			}
			want := event.Row{ID: 3, Client: "client-1", Event: dormer.Event{
				Code: 501, Severity: dormer.Error, Category: "workspace", Description: "third", Host: "PC-1", User: "Anna", Workspace: "w",
				WorkspaceName: "Office", Guest: "PC", Time: time.UnixMicro(1_750_000_100_000_000).UTC(), Received: time.UnixMicro(1_750_000_200_000_000).UTC(),
				ClientVersion: "0.1", PolicyRevision: 2, Image: "office/1",
			}}
			if rows[2] != want {
				t.Errorf("row is %+v, want %+v", rows[2], want)
			}
			if n := len(storetest.Rows(t, s, "two")); n != 1 {
				t.Errorf("%d events of the other instance, want 1", n)
			}
			for journal, mark := range map[dormer.JournalID]uint64{"a": 9, "b": 1} {
				if w, err := s.Watermark(ctx, "one", "client-1", journal); err != nil || w != mark {
					t.Errorf("watermark of %s is %d (%v), want %d", journal, w, err, mark)
				}
			}
			b := event.Batch{Instance: "one", Client: "client-1", Journal: "a", Received: time.UnixMicro(1_750_000_300_000_000), Events: storetest.Happened(8, 3)}
			if marks, err := s.AppendEvents(ctx, []event.Batch{b}); err != nil || marks[0] != 10 {
				t.Errorf("going on: %v, %v", marks, err)
			}
			if rows = storetest.Rows(t, s, "one"); len(rows) != 5 || rows[4].ID <= 20 {
				t.Errorf("identity of the last of %d events is %d, want one that was never given", len(rows), rows[len(rows)-1].ID)
			}
		})
	}
}

// partitionsOfFixture are what a build with step 1 made for the days of
// testdata/events_0001.sql.
const partitionsOfFixture = `CREATE TABLE events_00000000000000aa PARTITION OF events FOR VALUES IN ('one') PARTITION BY RANGE (received);
CREATE TABLE events_00000000000000aa_20254 PARTITION OF events_00000000000000aa FOR VALUES FROM (1749945600000000) TO (1750032000000000);
CREATE TABLE events_00000000000000aa_1 PARTITION OF events_00000000000000aa FOR VALUES FROM (86400000000) TO (172800000000);
CREATE TABLE events_00000000000000bb PARTITION OF events FOR VALUES IN ('two') PARTITION BY RANGE (received);
CREATE TABLE events_00000000000000bb_20254 PARTITION OF events_00000000000000bb FOR VALUES FROM (1749945600000000) TO (1750032000000000);
SELECT setval('events_id', 20);
`

// TestUnusedContexts: what no event names any more goes with the events, and
// comes back with the next; also in a server that did not see it go.
func TestUnusedContexts(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			dsn := e.dsn(t)
			one, other := openEvents(t, dsn), openEvents(t, dsn)
			day := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
			sequence := uint64(0)
			put := func(s *store.Events, client dormer.ClientID, days int) {
				t.Helper()
				sequence++
				b := event.Batch{Instance: "i", Client: client, Journal: "j", Received: day.AddDate(0, 0, days), Events: storetest.Happened(sequence, 1)}
				if _, err := s.AppendEvents(t.Context(), []event.Batch{b}); err != nil {
					t.Fatal(err)
				}
			}
			put(one, "gone", 0)
			put(other, "stays", 0)
			put(one, "stays", 40)
			remove := func(days, contexts, journals int) {
				t.Helper()
				if _, err := one.DeleteEventsBefore(t.Context(), "i", day.AddDate(0, 0, days)); err != nil {
					t.Fatal(err)
				}
				if c, j := store.Rowcounts(t, one); c != contexts || j != journals {
					t.Errorf("before day %d: %d contexts and %d journals are kept, want %d and %d", days, c, j, contexts, journals)
				}
			}
			remove(30, 1, 2)
			remove(60, 1, 2) // the last days' stay, others may be about to use them
			put(other, "stays", 40)
			put(other, "gone", 61)
			put(one, "gone", 61)
			if rows := storetest.Rows(t, one, "i"); len(rows) != 3 {
				t.Errorf("%d events can be read, want 3", len(rows))
			}
			remove(62, 1, 2)
			put(one, "stays", 600)
			remove(601, 1, 1) // who was away for over a year
			put(other, "gone", 601)
			if rows := storetest.Rows(t, other, "i"); len(rows) != 1 || rows[0].Client != "gone" {
				t.Errorf("events are %+v, want one of the client that was gone", rows)
			}
		})
	}
}
