package store_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/store/storetest"
)

// sharedDatabase is an events database that two instances share, each with its
// role, and a role of reports.
type sharedDatabase struct {
	admin             string
	one, two, reports string
}

// newShared makes one. Names that need quoting are part of the test.
func newShared(t *testing.T) sharedDatabase {
	t.Helper()
	postgresDSN(t) // skips
	ctx := t.Context()
	d := sharedDatabase{admin: os.Getenv("DORMER_TEST_POSTGRES")}
	id := strings.ToLower(rand.Text())[:8]
	database := "Events " + id
	dsn := func(role string) string {
		u, err := url.Parse(d.admin)
		if err != nil {
			t.Fatal(err)
		}
		u.Path, u.User = "/"+database, url.UserPassword(role+" "+id, "pass/wörd")
		return u.String()
	}
	d.one, d.two, d.reports = dsn("One"), dsn("two"), dsn("reports")
	t.Cleanup(func() {
		db, err := sql.Open("pgx", d.admin)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for _, text := range []string{
			`DROP DATABASE "` + database + `" WITH (FORCE)`, `DROP ROLE "` + database + `_owner"`,
			`DROP ROLE "One ` + id + `"`, `DROP ROLE "two ` + id + `"`, `DROP ROLE "reports ` + id + `"`,
		} {
			if _, err := db.ExecContext(context.WithoutCancel(ctx), text); err != nil {
				t.Error(err)
			}
		}
	})
	for n, role := range []string{d.one, d.two} {
		c, err := store.CreateDatabase(ctx, d.admin, role, true)
		if err != nil || !c.MadeRole || c.MadeDatabase != (n == 0) {
			t.Fatalf("create: %+v, %v", c, err)
		}
		if err := store.MigrateShared(ctx, d.admin, role); err != nil {
			t.Fatal(err)
		}
		if err := store.GrantInstance(ctx, d.admin, role, dormer.InstanceID([]string{"i1", "i2"}[n])); err != nil {
			t.Fatal(err)
		}
	}
	if made, err := store.GrantReports(ctx, d.admin, d.reports); err != nil || !made {
		t.Fatal(made, err)
	}
	return d
}

func raw(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// TestRoles: an instance's role sees and changes its own rows and no others, the
// role of reports reads all and changes nothing.
func TestRoles(t *testing.T) {
	d := newShared(t)
	ctx := t.Context()
	one, two := openEvents(t, d.one), openEvents(t, d.two)
	now := time.Now().UTC()
	for n := range uint64(3) {
		for s, i := range map[*store.Events]dormer.InstanceID{one: "i1", two: "i2"} {
			b := event.Batch{Instance: i, Client: "c", Journal: "j", Received: now.AddDate(0, 0, int(n)-2)}
			b.Events = storetest.Happened(n*10+1, 10)
			if _, err := s.AppendEvents(ctx, []event.Batch{b}); err != nil {
				t.Fatal(err)
			}
			if err := s.SetPosition(ctx, i, "somebody", 1, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
	}
	count := func(s *store.Events, i dormer.InstanceID) int { return len(storetest.Rows(t, s, i)) }
	if a, b := count(one, "i1"), count(one, "i2"); a != 30 || b != 0 {
		t.Errorf("role one reads %d of its own events and %d of the other's", a, b)
	}
	ofReports := raw(t, d.reports)
	read := func(i dormer.InstanceID) (n int) {
		t.Helper()
		if err := ofReports.QueryRowContext(ctx, "SELECT count(*) FROM events e JOIN instances i ON i.id = e.instance WHERE i.instance = $1", string(i)).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if a, b := read("i1"), read("i2"); a != 30 || b != 30 {
		t.Errorf("the role of reports reads %d and %d events", a, b)
	}

	// Nothing of another's can be changed through the store ...
	if _, err := one.AppendEvents(ctx, []event.Batch{{
		Instance: "i2", Client: "c", Journal: "j", Received: now, Events: storetest.Happened(100, 1),
	}}); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("storing another's events: %v", err)
	}
	if _, err := one.AppendEvents(ctx, []event.Batch{{
		Instance: "i3", Client: "c", Journal: "j", Received: now, Events: storetest.Happened(100, 1),
	}}); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("storing a new instance's events: %v", err)
	}
	if _, err := one.ClearEvents(ctx, "i2"); err != nil { // it sees none
		t.Errorf("clearing another's events: %v", err)
	}
	// ... nor by hand.
	sees := func(db *sql.DB, query string) (n int) {
		t.Helper()
		if err := db.QueryRowContext(ctx, query).Scan(&n); err != nil {
			t.Errorf("%s: %v", query, err)
		}
		return n
	}
	hand := raw(t, d.one)
	owner := raw(t, adminOf(t, d))
	other := sees(owner, "SELECT id FROM instances WHERE instance = 'i2'")
	for _, table := range []string{"events", "contexts", "journals", "follows", "instances"} {
		column := "instance"
		if table == "instances" {
			column = "id"
		}
		where := " WHERE " + column + " = " + strconv.Itoa(other)
		if n := sees(hand, "SELECT count(*) FROM "+table+where); n != 0 {
			t.Errorf("role one sees %d rows of the other in %s", n, table)
		}
		if n := sees(ofReports, "SELECT count(*) FROM "+table+where); n == 0 {
			t.Errorf("the role of reports sees no rows of the other in %s", table)
		}
		if table == "instances" {
			continue
		}
		r, err := hand.ExecContext(ctx, "DELETE FROM "+table+where)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := r.RowsAffected(); err != nil || n != 0 {
			t.Errorf("role one deleted %d rows of the other in %s (%v)", n, table, err)
		}
	}
	day := now.AddDate(0, 0, -2).Unix() / 86400
	for _, text := range []string{
		"SELECT events_drop_day(" + strconv.Itoa(other) + ", " + strconv.Itoa(int(day)) + ")",
		"SELECT events_drop_instance(" + strconv.Itoa(other) + ")",
		"SELECT events_make_day(" + strconv.Itoa(other) + ", 1)",
		"SELECT count(*) FROM events_" + strconv.Itoa(other),
		"INSERT INTO events_" + strconv.Itoa(other) + " SELECT * FROM events",
		"UPDATE contexts SET instance = " + strconv.Itoa(other),
		"INSERT INTO follows (instance, name, position, state) VALUES (" + strconv.Itoa(other) + ", 'n', 1, '')",
		"UPDATE instances SET role = 'x'",
		"DROP TABLE events",
		"TRUNCATE contexts",
		"ALTER TABLE events DISABLE ROW LEVEL SECURITY",
		"CREATE TABLE mine (n bigint)",
		"UPDATE schema_version SET version = 1",
	} {
		if _, err := hand.ExecContext(ctx, text); !isDenied(err) {
			t.Errorf("role one: %s: %v, want that it is denied", text, err)
		}
	}
	for _, text := range []string{
		"DELETE FROM events", "UPDATE contexts SET used = 0", "SELECT nextval('events_id')",
		"SELECT events_drop_day(" + strconv.Itoa(other) + ", " + strconv.Itoa(int(day)) + ")", "DELETE FROM report_roles",
		"SELECT events_reserve('events', 1::bigint << 34)",
	} {
		if _, err := ofReports.ExecContext(ctx, text); !isDenied(err) {
			t.Errorf("role of reports: %s: %v, want that it is denied", text, err)
		}
	}
	if n := sees(owner, "SELECT count(*) FROM events WHERE instance = "+strconv.Itoa(other)); n != 30 {
		t.Errorf("of the other's 30 events %d are left", n)
	}

	// One's own can be removed, dumped and loaded again.
	if n, err := one.DeleteEventsBefore(ctx, "i1", now.AddDate(0, 0, -1).Truncate(24*time.Hour)); err != nil || n != 10 {
		t.Errorf("%d of one's own events were deleted (%v), want 10", n, err)
	}
	var b bytes.Buffer
	if err := one.Dump(ctx, "i1", &b, nil); err != nil {
		t.Fatal(err)
	}
	if err := one.DropInstance(ctx, "i1"); err != nil {
		t.Fatal(err)
	}
	if err := store.LoadEvents(ctx, d.one, &b, nil); err != nil {
		t.Fatal(err)
	}
	if a, b := count(one, "i1"), read("i2"); a != 20 || b != 30 {
		t.Errorf("after all that there are %d and %d events, want 20 and 30", a, b)
	}
	if n := sees(hand, "SELECT count(*) FROM events"); n != 20 {
		t.Errorf("role one sees %d events, want its own 20", n)
	}
}

// TestRolesAndTemporaryTables: who may make temporary tables, as in a database
// that was there before, deceives nobody with them.
func TestRolesAndTemporaryTables(t *testing.T) {
	d := newShared(t)
	ctx := t.Context()
	now := time.Now().UTC()
	if _, err := openEvents(t, d.two).AppendEvents(ctx, []event.Batch{{
		Instance: "i2", Client: "c", Journal: "j", Received: now, Events: storetest.Happened(1, 3),
	}}); err != nil {
		t.Fatal(err)
	}
	owner, one := raw(t, adminOf(t, d)), raw(t, d.one)
	p, err := store.PlaceOf(d.one)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := owner.ExecContext(ctx, `GRANT TEMPORARY ON DATABASE "`+p.Database+`" TO "`+p.Role+`"`); err != nil {
		t.Fatal(err)
	}
	conn, err := one.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var other int
	if err := owner.QueryRowContext(ctx, "SELECT id FROM instances WHERE instance = 'i2'").Scan(&other); err != nil {
		t.Fatal(err)
	}
	number := strconv.Itoa(other)
	if _, err := conn.ExecContext(ctx, "CREATE TEMPORARY TABLE instances AS SELECT "+number+"::bigint AS id, session_user::text AS role"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(ctx, "GRANT SELECT ON pg_temp.instances TO PUBLIC"); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"SELECT events_drop_day(" + number + ", " + strconv.FormatInt(now.Unix()/86400, 10) + ")",
		"SELECT events_drop_instance(" + number + ")",
		"SELECT count(*) FROM events_" + number,
	} {
		if _, err := conn.ExecContext(ctx, text); !isDenied(err) {
			t.Errorf("%s: %v, want that it is denied", text, err)
		}
	}
	var n int
	if err := owner.QueryRowContext(ctx, "SELECT count(*) FROM events WHERE instance = "+number).Scan(&n); err != nil || n != 3 {
		t.Errorf("of the other's 3 events %d are left (%v)", n, err)
	}
}

func adminOf(t *testing.T, d sharedDatabase) string {
	t.Helper()
	u, err := url.Parse(d.admin)
	if err != nil {
		t.Fatal(err)
	}
	of, err := url.Parse(d.one)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = of.Path
	return u.String()
}

func isDenied(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "42501"
}

// TestRoleCannotMigrate: where a migration is due its owner has to do it, and
// the error says so.
func TestRoleCannotMigrate(t *testing.T) {
	d := newShared(t)
	db := raw(t, adminOf(t, d))
	if _, err := db.ExecContext(t.Context(), "UPDATE schema_version SET version = version - 1"); err != nil {
		t.Fatal(err)
	}
	_, err := store.OpenEvents(t.Context(), d.one, store.Options{})
	if !errors.Is(err, dormer.ErrDenied) || !strings.Contains(err.Error(), "--admin-url-file") {
		t.Errorf("error is %v, want one that says who can migrate", err)
	}
}

// TestSharedTablesAreGuarded: no later migration may forget row-level security.
func TestSharedTablesAreGuarded(t *testing.T) {
	s := openEvents(t, postgresDSN(t))
	if list := store.Unguarded(t, s); len(list) > 0 {
		t.Errorf("these tables have rows of instances and no row-level security: %v", list)
	}
}

// TestVerifier: what is stored of a password is what PostgreSQL makes of it.
func TestVerifier(t *testing.T) {
	postgresDSN(t) // skips
	db := raw(t, os.Getenv("DORMER_TEST_POSTGRES"))
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	role := "verifier_" + strings.ToLower(rand.Text())
	if _, err := tx.ExecContext(t.Context(), "SET LOCAL password_encryption = 'scram-sha-256'; CREATE ROLE "+role+" PASSWORD 'pass/wörd'"); err != nil {
		t.Fatal(err)
	}
	var want string
	if err := tx.QueryRowContext(t.Context(), "SELECT rolpassword FROM pg_authid WHERE rolname = $1", role).Scan(&want); err != nil {
		t.Fatal(err)
	}
	salt, err := base64.StdEncoding.DecodeString(strings.FieldsFunc(want, func(r rune) bool { return r == '$' || r == ':' })[2])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := store.VerifierOf("pass/wörd", salt); err != nil || got != want {
		t.Errorf("verifier is %s (%v), PostgreSQL makes %s", got, err, want)
	}
}
