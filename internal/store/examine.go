package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
)

// quickCheckMost is up to which size a SQLite file is checked for damage when it
// is examined, in bytes.
const quickCheckMost = 1 << 30

// Examination is what was found of a database that nobody changed meanwhile.
type Examination struct {
	// Engine is "SQLite" or "PostgreSQL", with its version.
	Engine string
	// File is that of SQLite.
	File string
	// Schema is the version of what is stored, 0 for nothing yet, Newest the one
	// that this build makes.
	Schema, Newest int
	Bytes          int64
	// Commit is how long a durable transaction took.
	Commit time.Duration
	// Clock is how far the database's clock is ahead of this computer's;
	// meaningful for PostgreSQL alone.
	Clock time.Duration
	// Wrong lists what keeps a server from working with it, Odd what it works
	// with and should not have to.
	Wrong, Odd []string
}

// ExamineState looks at the state database at dsn without making or migrating
// anything. ErrNotFound when there is none yet, ErrUnavailable when it does not
// answer.
func ExamineState(ctx context.Context, dsn string) (Examination, error) {
	return examine(ctx, dsn, trackState)
}

// ExamineEvents is ExamineState of the events database.
func ExamineEvents(ctx context.Context, dsn string) (Examination, error) {
	return examine(ctx, dsn, trackEvents)
}

func examine(ctx context.Context, dsn string, t track) (x Examination, err error) {
	var e *engine
	o := Options{Readers: 1, Writers: 1, KeepWAL: true} // who ships its log goes on undisturbed
	file, isFile := strings.CutPrefix(dsn, "sqlite:")
	if isFile {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return x, fmt.Errorf("examine the %s database: there is no file %s: %w", t, file, dormer.ErrNotFound)
		}
		e, err = openSQLite(file, o)
	} else {
		e, err = openPostgres(dsn, o)
	}
	if err != nil {
		return x, fmt.Errorf("examine the %s database: %w", t, err)
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	e.track, x.File = t, file
	if !isFile {
		x.File = ""
	}
	list := steps(t, e.postgres)
	x.Newest = list[len(list)-1].version
	look := e.lookAtSQLite
	if e.postgres {
		look = e.lookAtPostgres
	}
	if err := look(ctx, &x); err != nil {
		return x, fmt.Errorf("examine the %s database: %w", t, kind(err))
	}
	if x.Bytes, err = e.size(ctx); err != nil {
		return x, err
	}
	if x.Schema == 0 || len(x.Wrong) > 0 {
		return x, nil
	}
	guest, err := e.lookAtRole(ctx, &x)
	if err != nil || len(x.Wrong) > 0 {
		return x, err
	}
	began := time.Now()
	err = e.transact(ctx, fmt.Sprintf("write into the %s database", t), func(tx *sql.Tx) error {
		// It is stored as it was: what counts is that it is durable.
		query, args := "UPDATE schema_version SET version = version WHERE track = $1", []any{string(t)}
		if guest {
			query, args = "UPDATE journals SET watermark = watermark WHERE id = (SELECT min(id) FROM journals)", nil
		}
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	})
	x.Commit = time.Since(began)
	if err != nil {
		x.Wrong = append(x.Wrong, "nothing can be stored: "+err.Error())
	}
	return x, nil
}

func (e *engine) lookAtSQLite(ctx context.Context, x *Examination) error {
	version, err := one(ctx, e.read, "ask for the version", value[string], "SELECT sqlite_version()")
	if err != nil {
		return err
	}
	x.Engine = "SQLite " + version
	if x.Schema, err = e.schema(ctx); err != nil {
		return err
	}
	info, err := os.Stat(x.File)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		x.Wrong = append(x.Wrong, fmt.Sprintf("others can read or change %s; run: chmod 600 %s", x.File, x.File))
	}
	if info.Size() > quickCheckMost {
		return nil
	}
	damage, err := one(ctx, e.read, "look for damage", value[string], "PRAGMA quick_check(1)")
	switch {
	case err != nil:
		return err
	case damage != "ok":
		x.Wrong = append(x.Wrong, "the file is damaged: "+damage)
	}
	return nil
}

// minPostgres is the oldest PostgreSQL that is supported.
const minPostgres = 150000

// lookAtRole says whether the role is a guest in an events database that
// instances share, and whether it may be there.
func (e *engine) lookAtRole(ctx context.Context, x *Examination) (guest bool, err error) {
	if !e.postgres || e.track != trackEvents || x.Schema < x.Newest {
		return false, nil
	}
	var own, reads bool
	err = e.read.QueryRowContext(ctx, `SELECT NOT pg_has_role(relowner, 'MEMBER'), EXISTS (SELECT 1 FROM instances WHERE role = current_user),
		EXISTS (SELECT 1 FROM report_roles WHERE role = current_user) FROM pg_class WHERE oid = 'events'::regclass`).Scan(&guest, &own, &reads)
	switch {
	case err != nil:
		return guest, fmt.Errorf("look for the rights of the role: %w", kind(err))
	case guest && reads:
		x.Wrong = append(x.Wrong, "the role is for reports and can store nothing")
	case guest && !own:
		x.Wrong = append(x.Wrong, "the role has no instance's events; run: dormerd database create --shared")
	}
	return guest, nil
}

func (e *engine) lookAtPostgres(ctx context.Context, x *Examination) error {
	var (
		number                        int
		schema                        sql.NullString
		version, fsync, fullPageWrite string
		recovery, create, there       bool
		now                           time.Time
	)
	began := time.Now()
	err := e.read.QueryRowContext(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_version'), current_setting('fsync'),
		current_setting('full_page_writes'), pg_is_in_recovery(), current_schema(), clock_timestamp(),
		coalesce(has_schema_privilege(current_schema(), 'CREATE'), false), to_regclass('instances') IS NOT NULL`).
		Scan(&number, &version, &fsync, &fullPageWrite, &recovery, &schema, &now, &create, &there)
	if err != nil {
		return err
	}
	took := time.Since(began)
	x.Clock = now.Sub(began.Add(took / 2))
	x.Engine = "PostgreSQL " + version
	for _, c := range []struct {
		list *[]string
		is   bool
		text string
	}{
		{&x.Wrong, number < minPostgres, "PostgreSQL 15 or newer is needed"},
		{&x.Wrong, recovery, "it is a standby that takes no changes; the setting must lead to its primary"},
		{&x.Wrong, !schema.Valid, "the schema of search_path does not exist, or the role may not use it"},
		{&x.Wrong, schema.Valid && !create && !there, "the role may not make tables in its schema (GRANT CREATE ON SCHEMA ...); each day of events needs one"},
		{&x.Odd, fsync == "off", "fsync is off: what clients were told is stored is lost when its computer fails"},
		{&x.Odd, fullPageWrite == "off", "full_page_writes is off: its files may be damaged when its computer fails"},
	} {
		if c.is {
			*c.list = append(*c.list, c.text)
		}
	}
	if !schema.Valid {
		return nil
	}
	x.Schema, err = e.schema(ctx)
	return err
}

// schema is the version of what is stored, 0 for an empty database.
func (e *engine) schema(ctx context.Context) (int, error) {
	tables := "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'"
	if e.postgres {
		tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = 'schema_version'"
	}
	n, err := one(ctx, e.read, "look for tables", value[int], tables)
	if err != nil || n == 0 {
		return 0, err
	}
	v, err := one(ctx, e.read, "ask for the schema", value[sql.NullInt64], "SELECT max(version) FROM schema_version WHERE track = $1", string(e.track))
	return int(v.Int64), err
}

// Kept is what an instance has in the events database.
type Kept struct {
	// Oldest is when the oldest event was received; zero: there is none.
	Oldest time.Time
	// Day is how many were received within a day, at most DayMost.
	Day int
	// Last are when events of the server itself were last received, by code.
	Last map[int]time.Time
}

// DayMost is how many events of the last day are counted.
const DayMost = 1_000_000

// Keeps says what the instance has.
func (s *Events) Keeps(ctx context.Context, i dormer.InstanceID, now time.Time, codes ...int) (Kept, error) {
	k := Kept{Last: map[int]time.Time{}}
	id, err := s.instanceID(ctx, s.db.read, i)
	if errors.Is(err, dormer.ErrNotFound) {
		return k, nil
	}
	if err != nil {
		return k, err
	}
	oldest, err := one(ctx, s.db.read, "find the oldest event", value[sql.NullInt64], "SELECT min(received) FROM events WHERE instance = $1", id)
	if err != nil {
		return k, err
	}
	if oldest.Valid {
		k.Oldest = moment(oldest.Int64)
	}
	k.Day, err = one(ctx, s.db.read, "count the events of a day", value[int],
		"SELECT count(*) FROM (SELECT 1 FROM events WHERE instance = $1 AND received >= $2 LIMIT $3) AS day", id, micros(now.Add(-24*time.Hour)), int64(DayMost))
	if err != nil {
		return k, err
	}
	for _, code := range codes {
		// Only the server's own events have no client: these are few.
		at, err := one(ctx, s.db.read, "find events of the server", value[sql.NullInt64], `SELECT max(received) FROM events
			WHERE context IN (SELECT id FROM contexts WHERE instance = $1 AND client = '') AND instance = $1 AND code = $2`, id, int64(code))
		if err != nil {
			return k, err
		}
		if at.Valid {
			k.Last[code] = moment(at.Int64)
		}
	}
	return k, nil
}
