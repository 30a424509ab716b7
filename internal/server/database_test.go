package server_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/report"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire"
)

// stop ends a server as an administrator does.
func (i *instance) stop(process *exec.Cmd) {
	i.t.Helper()
	if err := process.Process.Signal(syscall.SIGTERM); err != nil {
		i.t.Fatal(err)
	}
	if err := process.Wait(); err != nil {
		i.t.Fatalf("the server ended badly: %v", err)
	}
}

// databases returns URLs of a state database, an events database and a role of
// reports that are not there yet, and the file of an administrator's URL.
func (i *instance) databases() (state, events, reports, admin string) {
	i.t.Helper()
	server := os.Getenv("DORMER_TEST_POSTGRES")
	if server == "" {
		mustNotSkip(i.t, "DORMER_TEST_POSTGRES is not set: PostgreSQL is not tested (scripts/with-postgres.sh starts one)")
	}
	id := strings.ToLower(rand.Text())[:8]
	at := func(role, database string) string {
		u, err := url.Parse(server)
		if err != nil {
			i.t.Fatal(err)
		}
		u.Path, u.User = "/"+database+"_"+id, url.UserPassword(role+"_"+id, "geheim-"+id)
		return u.String()
	}
	i.t.Cleanup(func() {
		db, err := sql.Open("pgx", server)
		if err != nil {
			i.t.Fatal(err)
		}
		defer db.Close()
		for _, text := range []string{
			"DATABASE IF EXISTS state_X WITH (FORCE)", "DATABASE IF EXISTS events_X WITH (FORCE)",
			"ROLE IF EXISTS keeper_X", "ROLE IF EXISTS teller_X", "ROLE IF EXISTS reader_X", "ROLE IF EXISTS events_X_owner",
		} {
			if _, err := db.ExecContext(context.WithoutCancel(i.t.Context()), "DROP "+strings.ReplaceAll(text, "_X", "_"+id)); err != nil {
				i.t.Error(err)
			}
		}
	})
	return at("keeper", "state"), at("teller", "events"), at("reader", "events"), i.write("admin.url", server)
}

// has counts the events of the instance at dsn that the tests stored.
func (i *instance) has(dsn string) (n int) {
	i.t.Helper()
	s, err := store.OpenEvents(i.t.Context(), dsn, store.Options{})
	if err != nil {
		i.t.Fatal(err)
	}
	defer s.Close()
	columns := report.Activity.Columns()
	q := report.Selection{Kind: report.Activity, Columns: columns, Order: columns[0], Client: "test", Instances: []dormer.InstanceID{i.id()}}
	// As reports do: the role for these may do nothing else.
	if err := s.Reports().Select(i.t.Context(), q, func(_, _ []any) error { n++; return nil }); err != nil {
		i.t.Fatal(err)
	}
	return n
}

// id is the identity of the instance whose state the configuration names, or
// named when it was last asked.
func (i *instance) id() dormer.InstanceID {
	i.t.Helper()
	b, err := os.ReadFile(filepath.Join(i.dir, "id"))
	if err == nil {
		return dormer.InstanceID(strings.TrimSpace(string(b)))
	}
	_, id, _ := strings.Cut(i.must("init", "-c", i.config), "Instance: ")
	i.write("id", strings.TrimSpace(id))
	return dormer.InstanceID(strings.TrimSpace(id))
}

// happen stores events of a client at dsn, 40 days ago and now.
func (i *instance) happen(dsn string, each int) {
	i.t.Helper()
	id := i.id()
	s, err := store.OpenEvents(i.t.Context(), dsn, store.Options{})
	if err != nil {
		i.t.Fatal(err)
	}
	defer s.Close()
	for n, at := range []time.Time{time.Now().AddDate(0, 0, -40), time.Now()} {
		b := event.Batch{Instance: id, Client: "test", Journal: "j", Received: at}
		for k := range each {
			b.Events = append(b.Events, wire.NumberedEvent{Sequence: uint64(n*each + k + 1), Event: event.New(event.AgentStarted, at, "")})
		}
		if _, err := s.AppendEvents(i.t.Context(), []event.Batch{b}); err != nil {
			i.t.Fatal(err)
		}
	}
}

// TestDatabaseClearAndDrop: the name is asked for, and what is said to go goes.
func TestDatabaseClearAndDrop(t *testing.T) {
	i := newInstance(t, "")
	events := "sqlite:" + filepath.Join(i.data, "events.db")
	i.refused("there is no instance yet", "database", "clear", "--all", "-c", i.config)
	i.happen(events, 10)
	process := i.start()
	i.refused("either --older-than or --all", "database", "clear", "-c", i.config)
	i.refused("--older-than", "database", "clear", "--older-than", "soon", "-c", i.config)
	i.refused("is not the name of the database (events.db)", "database", "clear", "--older-than", "30d", "-c", i.config)
	i.refused("is not the name", "database", "clear", "--older-than", "30d", "--confirm", "state.db", "-c", i.config)
	if out := i.must("database", "clear", "--older-than", "30d", "--confirm", "events.db", "--json", "-c", i.config); !strings.Contains(out, `"removed": 10`) {
		t.Errorf("while the server runs: %s", out)
	}
	if n := i.has(events); n != 10 {
		t.Errorf("%d events are left, want 10", n)
	}
	i.must("database", "clear", "--all", "--confirm", "events.db", "-c", i.config)
	if n := i.has(events); n != 0 {
		t.Errorf("%d events are left", n)
	}
	out := i.must("database", "test", "--json", "-c", i.config)
	var tested []struct {
		Store, Engine string
		Wrong         []string
	}
	if err := json.Unmarshal([]byte(out), &tested); err != nil || len(tested) != 2 || len(tested[0].Wrong)+len(tested[1].Wrong) > 0 {
		t.Errorf("%v: %s", err, out)
	}
	i.refused("stop the server first", "database", "drop", "--store", "events", "--confirm", "events.db", "-c", i.config)
	i.stop(process)
	i.refused("--store", "database", "drop", "-c", i.config)
	i.refused("is not the name", "database", "drop", "--store", "state", "--confirm", "events.db", "-c", i.config)
	i.must("database", "drop", "--store", "both", "--confirm", "events.db", "--confirm-state", "state.db", "-c", i.config)
	for _, name := range []string{"events.db", "state.db", "events.db-wal"} {
		if _, err := os.Stat(filepath.Join(i.data, name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	i.refused("2 problems were found", "database", "test", "-c", i.config)
}

// TestCommandsDoNotMigrate: what runs beside a server of the version before
// leaves it its databases as they are.
func TestCommandsDoNotMigrate(t *testing.T) {
	i := newInstance(t, "")
	i.happen("sqlite:"+filepath.Join(i.data, "events.db"), 1)
	older := func(file string) int {
		db, err := sql.Open("sqlite", filepath.Join(i.data, file))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		var v int
		if err := db.QueryRowContext(t.Context(), "UPDATE schema_version SET version = version - 1 RETURNING version").Scan(&v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	commands := [][]string{
		{"user", "reset-password", "admin"},
		{"backup", "create", filepath.Join(t.TempDir(), "one.backup")},
		{"database", "clear", "--all", "--confirm", "events.db"},
	}
	// The events alone are older first: reset-password has nothing to do with them.
	events := older("events.db")
	for _, args := range commands[1:] {
		i.refused("let the server of this version start first", append(args, "-c", i.config)...)
	}
	state := older("state.db")
	for _, args := range commands {
		i.refused("let the server of this version start first", append(args, "-c", i.config)...)
	}
	if out, _, _ := i.command("doctor", "-c", i.config); !strings.Contains(out, "the next start migrates it") {
		t.Errorf("doctor: %s", out)
	}
	for file, want := range map[string]int{"events.db": events, "state.db": state} {
		examine := store.ExamineEvents
		if file == "state.db" {
			examine = store.ExamineState
		}
		if x, err := examine(t.Context(), "sqlite:"+filepath.Join(i.data, file)); err != nil || x.Schema != want {
			t.Errorf("%s: schema %d (%v), want %d", file, x.Schema, err, want)
		}
	}
}

// TestDatabaseMove: an instance goes from files to PostgreSQL and back, and
// everything that was stored goes along.
func TestDatabaseMove(t *testing.T) {
	i := newInstance(t, "# the third floor\n[events]\nqueue = 2000 # enough\n")
	state, events, reports, admin := i.databases()
	process := i.start()
	c := i.client()
	for n := range 20 {
		if _, err := c.CreateGroup(t.Context(), fmt.Sprint("group", n)); err != nil {
			t.Fatal(err)
		}
	}
	before, err := c.Instance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i.write("id", string(before.ID))
	files := "sqlite:" + filepath.Join(i.data, "events.db")
	i.happen(files, 100)

	// The new databases, by a configuration of their own.
	create := i.write("create.toml", fmt.Sprintf("data = %q\n[state]\ndsn = %q\n[events]\ndsn = %q\nreports_dsn = %q", filepath.Join(i.dir, "other"), state, events, reports))
	i.refused("--admin-url-file", "database", "create", "-c", create)
	i.must("database", "create", "--admin-url-file", admin, "-c", create)
	if out := i.must("database", "create", "--admin-url-file", admin, "-c", create); !strings.Contains(out, "was there already") {
		t.Errorf("a second time: %s", out)
	}
	i.must("database", "test", "-c", create)
	i.must("database", "migrate", "-c", create)

	stateFile, eventsFile := i.write("state.url", state), i.write("events.url", events)
	move := []string{"database", "move", "--state-file", stateFile, "--events-file", eventsFile, "--write-config", "-c", i.config}
	i.refused("stop the server first", move...)
	i.refused("must not have a password", "database", "move", "--state", state, "-c", i.config)
	i.stop(process)
	if err := os.Chmod(stateFile, 0o644); err != nil {
		t.Fatal(err)
	}
	i.refused("chmod 600", move...)
	if err := os.Chmod(stateFile, 0o600); err != nil {
		t.Fatal(err)
	}
	i.must(move...)
	b, err := os.ReadFile(i.config)
	if err != nil || !strings.Contains(string(b), "# the third floor") || !strings.Contains(string(b), "queue = 2000 # enough") || !strings.Contains(string(b), events) {
		t.Fatalf("the configuration is now (%v):\n%s", err, b)
	}
	if info, err := os.Stat(i.config); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	process = i.start()
	groups, err := i.client().Groups(t.Context())
	if err != nil || len(groups) < 20 {
		t.Errorf("%d groups after the move (%v)", len(groups), err)
	}
	if after, err := i.client().Instance(t.Context()); err != nil || after.ID != before.ID {
		t.Errorf("the instance is %s after the move (%v), was %s", after.ID, err, before.ID)
	}
	if n := i.has(events); n != 200 {
		t.Errorf("%d events after the move, want 200", n)
	}
	back := "sqlite:" + filepath.Join(i.dir, "back.db")
	i.refused("stop the server first", "database", "move", "--events", back, "-c", i.config)
	i.refused("a server is connected", "database", "move", "--events", back, "-c", create) // from another computer
	i.stop(process)
	if out := i.must("database", "move", "--events", back, "--state", "sqlite:"+filepath.Join(i.dir, "state.db"), "-c", i.config); !strings.Contains(out, "Change "+i.config) || !strings.Contains(out, back) {
		t.Errorf("it does not say what to change: %s", out)
	}
	if n := i.has(back); n != 200 {
		t.Errorf("%d events after moving back, want 200", n)
	}
	i.must("database", "drop", "--store", "both", "--confirm", nameIn(t, events), "--confirm-state", nameIn(t, state), "-c", i.config)
}

func nameIn(t *testing.T, dsn string) string {
	t.Helper()
	p, err := store.PlaceOf(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return p.Database
}

// TestDatabaseShared: two instances share an events database, each with its
// role; neither can be at the other's.
func TestDatabaseShared(t *testing.T) {
	one, two := newInstance(t, ""), newInstance(t, "")
	_, other, _, _ := two.databases()
	_, events, reports, admin := one.databases() // gone first
	u, err := url.Parse(other)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + nameIn(t, events)
	other = u.String()
	one.configure(events, reports)
	two.configure(other, "")
	for _, i := range []*instance{one, two} {
		i.must("database", "create", "--shared", "--admin-url-file", admin, "-c", i.config)
		i.must("database", "test", "-c", i.config)
		i.happen(map[*instance]string{one: events, two: other}[i], 10)
	}
	one.must("database", "migrate", "--store", "events", "--admin-url-file", admin, "-c", one.config)
	process := one.start()
	one.must("database", "clear", "--all", "--confirm", nameIn(t, events), "-c", one.config)
	if a, b := one.has(events), two.has(other); a != 0 || b != 20 {
		t.Errorf("after clearing the one's events there are %d and %d, want 0 and 20", a, b)
	}
	if n := two.has(reports); n != 20 {
		t.Errorf("reports see %d of the other's events, want 20", n)
	}
	if n := two.has(events); n != 0 {
		t.Errorf("the one sees %d of the other's events", n)
	}
	one.stop(process)
	one.must("database", "drop", "--store", "events", "--confirm", nameIn(t, events), "-c", one.config)
	if n := two.has(other); n != 20 {
		t.Errorf("after dropping the one's events the other has %d, want 20", n)
	}
}

// configure names an events database.
func (i *instance) configure(events, reports string) {
	i.t.Helper()
	text := fmt.Sprintf("data = %q\nlisten = [%q]\n[events]\ndsn = %q\nreports_dsn = %q\n", i.data, i.address, events, reports)
	if err := os.WriteFile(i.config, []byte(text), 0o600); err != nil {
		i.t.Fatal(err)
	}
}
