package faulttest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/eventbench/load"
)

// fewClients are enough where nothing is killed.
const fewClients = 20

// awaitStandstill waits until each of the clients was refused once more, or not
// answered, and nothing is acknowledged any more.
func (h *house) awaitStandstill() {
	h.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		before, failed := h.crowd.acknowledged.Load(), h.crowd.failed.Load()
		h.passes(time.Second)
		if h.crowd.acknowledged.Load() == before && h.crowd.failed.Load() > failed {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("events are still taken: %d", h.crowd.acknowledged.Load()-before)
		}
	}
}

// rounds is how often something is away and comes back.
func rounds() int {
	if everything() {
		return 2
	}
	return 1
}

// awaitFailing waits until the server says in its metrics that it cannot store
// events. It is ready all the same: everything else of a poll is answered.
func (h *house) awaitFailing() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	err := load.Until(ctx, func() error {
		m, err := h.server.Metrics(ctx)
		if err != nil {
			return err
		}
		if m["dormer_events_store_failing"] != 1 {
			return fmt.Errorf("dormer_events_store_failing is %v: %w", m["dormer_events_store_failing"], dormer.ErrUnavailable)
		}
		return nil
	}, nil)
	if err != nil {
		h.t.Fatalf("the server does not say that it cannot store events: %v", err)
	}
}

// TestFullDisk fills the disk of the events while clients send, and makes room
// again. PostgreSQL keeps its log elsewhere, as one should: without room for that
// it does not run at all.
func TestFullDisk(t *testing.T) {
	needRoot(t)
	for _, engine := range []string{sqlite, postgres} {
		t.Run(engine, func(t *testing.T) {
			disk := openFolder(t)
			if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64m,mode=0755"); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
					t.Error(err)
				}
			})
			events := filepath.Join(disk, "events")
			if err := errors.Join(os.Mkdir(events, 0o700), os.Chown(events, owner[engine], owner[engine])); err != nil {
				t.Fatal(err)
			}
			h := newHouse(t, engine, events, fewClients)
			h.crowd.start(t.Context())
			defer h.crowd.stop()
			for range rounds() {
				h.awaitMore(100)
				ballast := filepath.Join(disk, "ballast")
				if err := fill(ballast); !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("the disk was not filled: %v", err)
				}
				h.awaitStandstill()
				h.awaitFailing()
				if err := os.Remove(ballast); err != nil {
					t.Fatal(err)
				}
			}
			h.awaitMore(100)
			h.awaitReady()
			h.settle()
			h.check()
		})
	}
}

// owner is who the databases run as.
var owner = map[string]int{sqlite: 0, postgres: load.Nobody}

// fill writes a file until there is no room.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(f, endless{})
	return err
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// TestLockedDatabase: another program keeps the file of the events locked for
// longer than the server waits for it.
func TestLockedDatabase(t *testing.T) {
	h := newHouse(t, sqlite, "", fewClients)
	h.crowd.start(t.Context())
	defer h.crowd.stop()
	h.awaitMore(100)
	db, err := sql.Open(h.driver, "file:"+h.dsn+"?_txlock=immediate&_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	h.awaitStandstill()
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	h.awaitMore(100)
	h.settle()
	h.check()
}

// TestReadOnlyDatabase: PostgreSQL takes no writes for a while, as a standby
// does, or one whose administrator has made it so.
func TestReadOnlyDatabase(t *testing.T) {
	h := newHouse(t, postgres, "", fewClients)
	h.crowd.start(t.Context())
	defer h.crowd.stop()
	for range rounds() {
		h.awaitMore(100)
		h.setReadOnly("on")
		h.awaitStandstill()
		h.awaitFailing()
		h.setReadOnly("off")
	}
	h.awaitMore(100)
	h.awaitReady()
	h.settle()
	h.check()
}

func (h *house) setReadOnly(to string) {
	h.t.Helper()
	// psql sends several statements as one transaction, in which ALTER SYSTEM
	// cannot run.
	h.sql("ALTER SYSTEM SET default_transaction_read_only = " + to)
	h.sql("SELECT pg_reload_conf()")
}

// TestStoppedDatabase: PostgreSQL stands still, its connections open. The
// server says so, and goes on where it was.
func TestStoppedDatabase(t *testing.T) {
	h := newHouse(t, postgres, "", fewClients)
	h.crowd.start(t.Context())
	defer h.crowd.stop()
	for range rounds() {
		h.awaitMore(100)
		if err := h.database.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		h.awaitUnready()
		if err := h.database.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		h.awaitReady()
	}
	h.awaitMore(100)
	h.settle()
	h.check()
}
