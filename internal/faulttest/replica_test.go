package faulttest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/eventbench/load"
)

// pair is a PostgreSQL primary and its standby, as docs/standby.md sets them
// up, with a dormerd whose addresses of databases name both.
type pair struct {
	*house
	place   string // folder of both, and of the archive
	standby *load.Postgres
}

func (p *pair) folder(name string) string { return filepath.Join(p.place, name) }

// newPair starts a primary with these settings and a dormerd on it.
func newPair(t *testing.T, settings ...string) *pair {
	t.Helper()
	p := &pair{house: &house{t: t, driver: "pgx"}, place: openFolder(t)}
	if os.Getuid() == 0 {
		if err := os.Chown(p.place, load.Nobody, load.Nobody); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	p.database, err = load.NewPostgres(t.Context(), p.folder("a"), append(settings, "wal_level=replica", "recovery_init_sync_method=syncfs")...)
	if errors.Is(err, dormer.ErrUnavailable) {
		skip(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	p.startDatabase()
	t.Cleanup(func() { p.database.StopNow() })
	p.sql("CREATE DATABASE state")
	p.sql("CREATE DATABASE events")
	p.dsn = p.both("events")
	text := fmt.Sprintf("[state]\ndsn = %q\n[events]\ndsn = %q\n", p.both("state"), p.dsn)
	if p.server, err = load.NewServer(t.Context(), t.TempDir(), load.Program{Path: os.Args[0], Env: []string{asProgram + "=1"}}, text); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.server.Kill)
	p.startServer()
	token, err := p.server.JoinToken(t.Context(), clients)
	if err != nil {
		t.Fatal(err)
	}
	p.crowd = &crowd{}
	for n := range clients {
		c, err := load.Enrol(t.Context(), token, n)
		if err != nil {
			t.Fatalf("enrol: %v\n%s", err, p.server.Log())
		}
		t.Cleanup(c.Close)
		p.crowd.clients = append(p.crowd.clients, c)
	}
	return p
}

// both is the address of a database on whichever of the two can be written.
func (p *pair) both(database string) string {
	return fmt.Sprintf("postgres://postgres@/%s?host=%s,%s&target_session_attrs=read-write&connect_timeout=3", database, p.folder("a"), p.folder("b"))
}

// tool runs one of PostgreSQL's programs.
func (p *pair) tool(name string, args ...string) {
	p.t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		p.t.Fatalf("%s is missing: %v", name, err)
	}
	slices.Sort(found)
	c := exec.CommandContext(p.t.Context(), found[len(found)-1], args...)
	c.Dir = "/"
	if os.Getuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: load.Nobody, Gid: load.Nobody}}
	}
	if out, err := c.CombinedOutput(); err != nil {
		p.t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// follow makes the standby of a base backup and starts it.
func (p *pair) follow(connection string, more ...string) {
	p.t.Helper()
	if err := os.Mkdir(p.folder("b"), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(p.folder("b"), load.Nobody, load.Nobody); err != nil {
			p.t.Fatal(err)
		}
	}
	p.tool("pg_basebackup", append([]string{"-d", connection, "-D", filepath.Join(p.folder("b"), "data"), "-X", "stream", "-c", "fast"}, more...)...)
}

func (p *pair) startStandby(settings ...string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	var err error
	if p.standby, err = load.NewPostgres(ctx, p.folder("b"), append(settings, "recovery_init_sync_method=syncfs")...); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { p.standby.StopNow() })
	if err := p.standby.Start(ctx); err != nil {
		p.t.Fatal(err)
	}
}

// awaitSQL waits until a statement says something.
func (p *pair) awaitSQL(on *load.Postgres, database, text, want string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if err := load.Until(ctx, func() error {
		got, err := on.SQL(ctx, database, text)
		if err == nil && got != want {
			err = fmt.Errorf("%s says %q, expected %q: %w", text, got, want, dormer.ErrUnavailable)
		}
		return err
	}, nil); err != nil {
		p.t.Fatal(err)
	}
}

// promote makes the standby the primary and returns how long it took until it
// can be written.
func (p *pair) promote() time.Duration {
	p.t.Helper()
	began := time.Now()
	if _, err := p.standby.SQL(p.t.Context(), "postgres", "SELECT pg_promote()"); err != nil {
		p.t.Fatal(err)
	}
	p.awaitSQL(p.standby, "postgres", "SELECT pg_is_in_recovery()", "f")
	return time.Since(began)
}

// TestStreamingStandby: with synchronous replication everything that was
// acknowledged is there when the primary was killed and the standby promoted,
// and dormerd goes on by itself.
func TestStreamingStandby(t *testing.T) {
	p := newPair(t)
	p.follow("host="+p.folder("a")+" user=postgres application_name=standby", "-R", "-C", "-S", "standby")
	p.startStandby()
	p.sql("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
	p.sql("SELECT pg_reload_conf()")
	p.awaitSQL(p.database, "postgres", "SELECT sync_state FROM pg_stat_replication", "sync")

	p.crowd.start(t.Context())
	defer p.crowd.stop()
	p.awaitMore(5000)
	began := time.Now()
	if err := p.database.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.awaitUnready()
	noticed := time.Since(began)
	promoted := p.promote()
	p.awaitReady()
	ready := time.Since(began)
	p.awaitMore(1)
	t.Logf("failover: not ready said after %s, promoted in %s, ready %s and events taken %s after the kill",
		noticed.Round(time.Millisecond), promoted.Round(time.Millisecond), ready.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	p.awaitMore(2000)

	// The old primary comes back as one, which must not be; a dormerd that runs
	// does not go back to it, though its address names it first.
	p.startDatabase()
	for range 3 {
		if _, err := p.standby.SQL(t.Context(), "postgres", "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'dormer'"); err != nil {
			t.Fatal(err)
		}
		p.awaitMore(500)
	}
	p.settle()
	p.database.StopNow()
	p.check()
}

// TestLogShippingStandby: what was shipped is there when the whole primary was
// killed with its dormerd, once. What was not shipped is gone, unless clients
// have it still: they send what the new primary does not have.
func TestLogShippingStandby(t *testing.T) {
	place := openFolder(t)
	archive := filepath.Join(place, "archive")
	if err := os.Mkdir(archive, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(archive, load.Nobody, load.Nobody); err != nil {
			t.Fatal(err)
		}
	}
	p := newPair(t, "archive_mode=on", fmt.Sprintf("archive_command=test ! -f %[1]s/%%f && cp %%p %[1]s/.%%f && sync %[1]s/.%%f && mv %[1]s/.%%f %[1]s/%%f", archive), "archive_timeout=60")
	p.follow("host=" + p.folder("a") + " user=postgres")
	if err := os.WriteFile(filepath.Join(p.folder("b"), "data", "standby.signal"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(filepath.Join(p.folder("b"), "data", "standby.signal"), load.Nobody, load.Nobody); err != nil {
			t.Fatal(err)
		}
	}
	p.startStandby(fmt.Sprintf("restore_command=cp %s/%%f %%p", archive), "wal_retrieve_retry_interval=200ms")

	p.crowd.start(t.Context())
	defer p.crowd.stop()
	p.awaitMore(5000)
	shipped := p.watermarks(p.database)
	p.sql("SELECT pg_switch_wal()")
	p.awaitSQL(p.database, "postgres", "SELECT last_archived_wal >= pg_walfile_name(pg_current_wal_lsn() - 16777216) FROM pg_stat_archiver", "t")
	p.awaitMore(500)
	p.crowd.stop()
	began := time.Now()
	p.server.Kill()
	if err := p.database.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	promoted := p.promote()
	// On another computer there is what docs/standby-postgresql.md has one copy.
	entries, err := os.ReadDir(p.server.Data())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == "keys" || e.Name() == "format" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(p.server.Data(), e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	// Something may be missing: clients are to send it again.
	raise := exec.CommandContext(t.Context(), os.Args[0], "epoch", "raise", "--config", filepath.Join(p.server.Dir, "dormerd.toml"))
	raise.Env = append(os.Environ(), asProgram+"=1")
	if out, err := raise.CombinedOutput(); err != nil {
		t.Fatalf("raise the epoch: %v: %s", err, out)
	}
	p.startServer()
	t.Logf("failover: promoted in %s, dormerd ready %s after the kill", promoted.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))

	after := p.watermarks(p.standby)
	var lost uint64
	for _, c := range p.crowd.clients {
		if has, want := after[string(c.ID)], shipped[string(c.ID)]; has < want {
			t.Errorf("%d events of client %d had been shipped, %d are there", want, c.Number, has)
		}
		lost += c.Received - min(c.Received, after[string(c.ID)])
	}
	t.Logf("%d events were acknowledged and not shipped", lost)
	p.crowd.start(t.Context())
	p.awaitMore(1000)
	p.settle()
	p.check()
}

// TestReplicaDocument: what these tests did is what docs/standby-postgresql.md says.
func TestReplicaDocument(t *testing.T) {
	b, err := os.ReadFile("../../docs/standby-postgresql.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"wal_level = replica", "-X stream -c fast -R -C -S standby", "application_name=standby", "ALTER SYSTEM SET synchronous_standby_names = 'standby'",
		"SELECT sync_state FROM pg_stat_replication", "SELECT pg_promote()", "target_session_attrs=read-write", "connect_timeout=3",
		"archive_mode = on", "test ! -f ARCHIVE/%f && cp %p ARCHIVE/.%f && sync ARCHIVE/.%f && mv ARCHIVE/.%f ARCHIVE/%f", "archive_timeout = 60",
		"cp ARCHIVE/%f %p", "standby.signal", "dormerd epoch raise", "`keys`", "`format`",
	} {
		if !strings.Contains(strings.ReplaceAll(string(b), "/srv/dormer-wal", "ARCHIVE"), want) {
			t.Errorf("the document does not say %q", want)
		}
	}
}

// watermarks returns the highest sequence of each client's journal.
func (p *pair) watermarks(on *load.Postgres) map[string]uint64 {
	p.t.Helper()
	out, err := on.SQL(p.t.Context(), "events", "SELECT client, watermark FROM journals WHERE client <> ''")
	if err != nil {
		p.t.Fatal(err)
	}
	all := map[string]uint64{}
	for line := range strings.Lines(out) {
		client, n, _ := strings.Cut(strings.TrimSpace(line), "|")
		var mark uint64
		if _, err := fmt.Sscan(n, &mark); err != nil {
			p.t.Fatalf("%q: %v", line, err)
		}
		all[client] = mark
	}
	return all
}
