package faulttest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/eventbench/load"
	"github.com/dormer-project/dormer/internal/server"
)

// asProgram makes the test's program be dormerd, so that tests can kill it.
const asProgram = "DORMER_FAULTTEST_DORMERD"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	err := server.Command("test", os.Stdin, os.Stdout, os.Stderr).ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "dormerd: "+err.Error())
		os.Exit(1)
	}
	os.Exit(0)
}

// everything says that no test may be skipped.
func everything() bool { return os.Getenv("DORMER_TEST_ALL") == "1" }

// skip skips a test, or fails it where none may be skipped.
func skip(t *testing.T, why string) {
	t.Helper()
	if everything() {
		t.Fatal("this test may not be skipped: " + why)
	}
	t.Skip("SKIPPED: " + why)
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		skip(t, "it needs root, to mount a small file system")
	}
}

// Engines of the databases.
const (
	sqlite   = "sqlite"
	postgres = "postgres"
)

// patience is how long anything may take to come back on a busy machine.
const patience = time.Minute

// house is a dormerd, its databases and its clients.
type house struct {
	t        *testing.T
	server   *load.Server
	database *load.Postgres // nil with SQLite
	driver   string         // of database/sql
	dsn      string         // of the events, for the driver
	crowd    *crowd
}

// newHouse starts a server and enrols clients. Events are in the folder; empty:
// where they are by default.
func newHouse(t *testing.T, engine, folder string, clients int) *house {
	t.Helper()
	h := &house{t: t}
	dir := t.TempDir()
	var settings string
	switch engine {
	case postgres:
		var err error
		place := openFolder(t)
		// One sync of the file system instead of one for each file: the recoveries
		// are the longest part of these tests.
		h.database, err = load.NewPostgres(t.Context(), filepath.Join(place, "pg"), "recovery_init_sync_method=syncfs")
		if errors.Is(err, dormer.ErrUnavailable) {
			skip(t, err.Error())
		}
		if err != nil {
			t.Fatal(err)
		}
		h.startDatabase()
		t.Cleanup(h.database.StopNow)
		h.sql("CREATE DATABASE state")
		if folder == "" {
			h.sql("CREATE DATABASE events")
		} else {
			h.sql(fmt.Sprintf("CREATE TABLESPACE elsewhere LOCATION '%s'", folder))
			h.sql("CREATE DATABASE events TABLESPACE elsewhere")
		}
		h.driver, h.dsn = "pgx", h.database.DSN("events")
		settings = fmt.Sprintf("[state]\ndsn = %q\n[events]\ndsn = %q\n", h.database.DSN("state"), h.dsn)
	case sqlite:
		h.driver, h.dsn = "sqlite", filepath.Join(dir, "data", "events.db")
		if folder != "" {
			h.dsn = filepath.Join(folder, "events.db")
			settings = fmt.Sprintf("[events]\ndsn = %q\n", "sqlite:"+h.dsn)
		}
	}
	program := load.Program{Path: os.Args[0], Env: []string{asProgram + "=1"}}
	var err error
	if h.server, err = load.NewServer(t.Context(), dir, program, settings); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.server.Kill)
	h.startServer()
	token, err := h.server.JoinToken(t.Context(), clients)
	if err != nil {
		t.Fatal(err)
	}
	h.crowd = &crowd{}
	for n := range clients {
		c, err := load.Enrol(t.Context(), token, n)
		if err != nil {
			t.Fatalf("enrol: %v\n%s", err, h.server.Log())
		}
		t.Cleanup(c.Close)
		h.crowd.clients = append(h.crowd.clients, c)
	}
	return h
}

// openFolder makes a folder with a short path, for the sockets in it, that
// PostgreSQL reaches where it runs as another user.
func openFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "dormer-faults") //nolint:usetesting // the path of t.TempDir is too long, and closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (h *house) sql(text string) {
	h.t.Helper()
	if _, err := h.database.SQL(h.t.Context(), "postgres", text); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) startServer() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	if err := h.server.StartReady(ctx); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) startDatabase() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	if err := h.database.Start(ctx); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) awaitReady() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	if err := h.server.AwaitReady(ctx); err != nil {
		h.t.Fatal(err)
	}
}

// awaitUnready waits until the server says by itself that it is not ready.
func (h *house) awaitUnready() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	err := load.Until(ctx, func() error {
		if err := h.server.Ready(ctx); !errors.Is(err, dormer.ErrUnavailable) {
			return fmt.Errorf("readiness: %w", err)
		}
		return nil
	}, nil)
	if err != nil {
		h.t.Fatalf("the server does not say that it is not ready: %v", err)
	}
}

// during lets clients send for a random time of at most that.
func (h *house) during(most time.Duration) {
	h.t.Helper()
	h.passes(most/4 + rand.N(most*3/4))
}

func (h *house) passes(d time.Duration) {
	h.t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-h.t.Context().Done():
		h.t.Fatal("the test ends")
	}
}

// awaitMore waits until so many more events were acknowledged, which they are
// only when the server works.
func (h *house) awaitMore(events int64) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	until := h.crowd.acknowledged.Load() + events
	err := load.Until(ctx, func() error {
		if n := h.crowd.acknowledged.Load(); n < until {
			return fmt.Errorf("%d events are acknowledged, %d are wanted: %w", n, until, dormer.ErrUnavailable)
		}
		return nil
	}, nil)
	if err != nil {
		h.t.Fatalf("events are not taken: %v; the last error of a client: %v\n%s", err, h.crowd.lastError(), h.server.Log())
	}
}

// settle stops the clients, each after one more poll that succeeds, so that all
// know what the server has of them.
func (h *house) settle() {
	h.t.Helper()
	h.crowd.stop()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	for _, c := range h.crowd.clients {
		before := c.Received
		err := load.Until(ctx, func() error {
			if _, err := c.Poll(ctx, 20); err != nil {
				return err
			}
			if c.Received < before+20 {
				return fmt.Errorf("no room for events: %w", dormer.ErrUnavailable)
			}
			return nil
		}, nil)
		if err != nil {
			h.t.Fatalf("a last poll: %v\n%s", err, h.server.Log())
		}
	}
}

// check counts what is stored: of each client everything that was acknowledged,
// nothing twice, nothing left out, nothing that was never sent.
func (h *house) check() {
	h.t.Helper()
	db, err := sql.Open(h.driver, h.dsn)
	if err != nil {
		h.t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(h.t.Context(), "SELECT j.client, j.journal, e.sequence FROM events e JOIN journals j ON j.id = e.journal")
	if err != nil {
		h.t.Fatal(err)
	}
	defer rows.Close()
	type key struct{ client, journal string }
	stored := map[key]map[uint64]int{}
	for rows.Next() {
		var (
			k        key
			sequence uint64
		)
		if err := rows.Scan(&k.client, &k.journal, &sequence); err != nil {
			h.t.Fatal(err)
		}
		if stored[k] == nil {
			stored[k] = map[uint64]int{}
		}
		stored[k][sequence]++
	}
	if err := rows.Err(); err != nil {
		h.t.Fatal(err)
	}
	var total, lost, twice, strange uint64
	for _, c := range h.crowd.clients {
		have := stored[key{string(c.ID), string(c.Journal)}]
		highest := uint64(0)
		for sequence, n := range have {
			highest = max(highest, sequence)
			if n > 1 {
				twice++
			}
			if sequence == 0 || sequence > c.Sent {
				strange++
			}
		}
		// Up to the highest that is stored nothing may be missing: a client that
		// comes again sends what follows it.
		for sequence := uint64(1); sequence <= max(highest, c.Received); sequence++ {
			if have[sequence] == 0 {
				lost++
			}
		}
		total += c.Received
	}
	h.t.Logf("%d events were acknowledged; of the polls %d were answered, %d failed, %d sent what was stored already",
		total, h.crowd.answered.Load(), h.crowd.failed.Load(), h.crowd.repeated.Load())
	if lost > 0 || twice > 0 || strange > 0 {
		h.t.Errorf("%d events are lost, %d are there twice, %d were never sent", lost, twice, strange)
	}
	if total == 0 {
		h.t.Error("nothing was acknowledged at all")
	}
}

// crowd is clients that send events for as long as they may.
type crowd struct {
	clients []*load.Client
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	acknowledged, answered, failed atomic.Int64
	// repeated counts polls by which a client learned that an earlier one was
	// stored though nobody told it.
	repeated atomic.Int64

	mu   sync.Mutex // guards last
	last error
}

// When a client comes back that was answered, and one that was not: so many
// refusals at once would keep the processors from what is to recover.
const (
	next  = 50 * time.Millisecond
	again = 100 * time.Millisecond
)

// start lets all clients send, each batch after the one before.
func (c *crowd) start(ctx context.Context) {
	ctx, c.cancel = context.WithCancel(ctx)
	for _, one := range c.clients {
		c.wg.Go(func() { c.send(ctx, one) })
	}
}

func (c *crowd) send(ctx context.Context, one *load.Client) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for ctx.Err() == nil {
		before := one.Received
		n := 1 + rand.IntN(40)
		_, err := one.Poll(ctx, n)
		c.acknowledged.Add(int64(one.Received - before))
		if one.Received > before+uint64(n) {
			c.repeated.Add(1)
		}
		if err == nil && one.Received > before {
			c.answered.Add(1)
			pause.Reset(next)
		} else if ctx.Err() == nil {
			c.failed.Add(1)
			pause.Reset(again)
			c.mu.Lock()
			c.last = err
			c.mu.Unlock()
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
	}
}

// stop ends that; requests under way are given up.
func (c *crowd) stop() {
	if c.cancel != nil {
		c.cancel()
	}
	c.wg.Wait()
}

func (c *crowd) lastError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}
