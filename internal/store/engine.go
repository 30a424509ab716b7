// Package store keeps an instance's state and its events, each in a database
// of its own: SQLite by default, PostgreSQL when one machine is not enough.
// Programs open the stores; domain packages know them by their own interfaces.
//
// SQL is written by hand, one text for both engines where that is possible.
// All times are UTC microseconds since 1970 in 64-bit integers, all text
// compares byte by byte. Errors of the drivers are translated into the kinds of
// the root package.
//
// Nothing happens in both databases at once: there is no transaction across
// them, and none is needed (watermarks of events live with the events).
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite" // the driver "sqlite" too
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
)

// Options tune a store. The zero value is right for most.
type Options struct {
	// Readers is how many connections read at once; 0 chooses by the number of
	// processors.
	Readers int
	// Writers is how many connections write at once on PostgreSQL; 0 means 4.
	// On SQLite it is always one.
	Writers int
	// KeepWAL leaves it to another reader of the SQLite file in this process,
	// which ships its log, to write the log back. Should it fail to, that is
	// done when the log has grown very long.
	KeepWAL bool
	// AsIs opens a database that is there, with the schema of this build, and
	// neither makes nor migrates one: for commands beside a server, which may be
	// of another version.
	AsIs bool
}

// busyTimeout is how long who writes into a SQLite file waits for others.
const busyTimeout = 10 * time.Second

// maxReaders bounds what is chosen when Options.Readers is 0.
const maxReaders = 8

func (o Options) readers() int {
	if o.Readers > 0 {
		return o.Readers
	}
	return min(max(runtime.NumCPU(), 4), maxReaders)
}

func (o Options) writers() int {
	if o.Writers > 0 {
		return o.Writers
	}
	return 4
}

// engine is one database: a pool that writes and a pool that reads.
type engine struct {
	write    *sql.DB
	read     *sql.DB
	postgres bool
	track    track
}

// openEngine opens dsn and migrates it to the newest schema of the track,
// unless it is wanted as it is.
func openEngine(ctx context.Context, dsn string, t track, o Options) (*engine, error) {
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok && o.AsIs {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("open %s database: %w", t, durable.Kind(err))
		}
	}
	e, err := connect(dsn, t, o)
	if err != nil {
		return nil, err
	}
	if o.AsIs {
		err = e.checkVersion(ctx)
	} else if err = e.awaitOther(ctx); err == nil {
		err = e.migrate(ctx, steps(t, e.postgres))
	}
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// awaitOther waits while another opens the same SQLite file for the first time.
// Of several that change an empty file's journal mode SQLite tells all but one
// that it is busy, and does not wait as it does elsewhere.
func (e *engine) awaitOther(ctx context.Context) error {
	if e.postgres {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, busyTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := e.write.PingContext(ctx)
		busy, ok := errors.AsType[*sqlite.Error](err)
		if !ok || busy.Code()&0xff != sqlite3.SQLITE_BUSY {
			return nil // or another error, which who uses it gets too
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("open %s database: %w", e.track, kind(err))
		case <-tick.C:
		}
	}
}

// connect opens a database as it is, without migrating it.
func connect(dsn string, t track, o Options) (*engine, error) {
	var (
		e   *engine
		err error
	)
	switch scheme, rest, _ := strings.Cut(dsn, ":"); scheme {
	case "sqlite":
		e, err = openSQLite(rest, o)
	case "postgres", "postgresql":
		e, err = openPostgres(dsn, o)
	default:
		return nil, dormer.Invalidf("", "the %s database must begin with sqlite: or postgres://", t)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s database: %w", t, err)
	}
	e.track = t
	return e, nil
}

// openSQLite opens the file, making it with mode 0600 if it is not there (its
// journal files get the same mode). The pragmas are part of the DSN because a
// pragma run on a pool reaches one connection of it only.
func openSQLite(path string, o Options) (*engine, error) {
	if path == "" {
		return nil, dormer.Invalidf("", "sqlite: needs the path of a file")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("resolve path: %w", err)
	}
	if err := makeFile(path); err != nil {
		return nil, err
	}
	common := url.Values{"_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"journal_mode(WAL)",
		"synchronous(FULL)",
		"foreign_keys(1)",
		"journal_size_limit(67108864)",
	}}
	if o.KeepWAL {
		common.Add("_pragma", "wal_autocheckpoint(200000)") // pages
	}
	open := func(pragma, txlock string, connections int) (*sql.DB, error) {
		q := url.Values{"_pragma": append([]string{pragma}, common["_pragma"]...), "_txlock": {txlock}}
		u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
		db, err := sql.Open("sqlite", u.String())
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(connections)
		db.SetMaxIdleConns(connections)
		return db, nil
	}
	e := &engine{}
	if e.write, err = open("cache_size(-16384)", "immediate", 1); err != nil {
		return nil, err
	}
	if e.read, err = open("query_only(1)", "deferred", o.readers()); err != nil {
		return nil, errors.Join(err, e.write.Close())
	}
	return e, nil
}

// makeFile makes an empty database, for its owner alone. One that is there is
// not opened: closing it again would take away the locks that SQLite holds on
// it in this process.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", dormer.ErrUnavailable, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("close %s: %w", path, err)
	}
	return nil
}

// openPostgres opens a database that somebody made and named in the URL;
// search_path in the URL chooses a schema in it.
func openPostgres(dsn string, o Options) (*engine, error) {
	// The library's error repeats the URL without the password; the name of
	// the field is enough.
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, dormer.Invalidf("", "is not a valid postgres:// URL")
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "dormer"
	}
	// What is acknowledged is durable, whatever the server's default is.
	// "remote_apply" and the like may be asked for in the URL.
	if v := cfg.RuntimeParams["synchronous_commit"]; v == "" || v == "off" {
		cfg.RuntimeParams["synchronous_commit"] = "on"
	}
	refuseSuperseded(cfg)
	return openConfig(cfg, o), nil
}

func openConfig(cfg *pgx.ConnConfig, o Options) *engine {
	open := func(connections int) *sql.DB {
		db := stdlib.OpenDB(*cfg)
		db.SetMaxOpenConns(connections)
		db.SetMaxIdleConns(connections)
		return db
	}
	return &engine{write: open(o.writers()), read: open(o.readers()), postgres: true}
}

// Ping reports whether the database answers.
func (e *engine) Ping(ctx context.Context) error {
	var one int
	if err := e.read.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
		return fmt.Errorf("ask the %s database: %w", e.track, kind(err))
	}
	return nil
}

// Close closes all connections.
func (e *engine) Close() error {
	return errors.Join(e.read.Close(), e.write.Close())
}

// update runs f in a transaction that writes. There is one such transaction at
// a time: on SQLite by nature, on PostgreSQL by a lock that is held until it
// ends, so that f may read and then write without regard to others, replicas
// of the server among them. An error of f is returned translated and wrapped,
// and changes nothing.
func (e *engine) update(ctx context.Context, what string, f func(tx *sql.Tx) error) error {
	return e.transact(ctx, what, func(tx *sql.Tx) error {
		if err := e.lock(ctx, tx); err != nil {
			return err
		}
		return f(tx)
	})
}

// transact runs f in a transaction that writes; on PostgreSQL others may run
// beside it.
func (e *engine) transact(ctx context.Context, what string, f func(tx *sql.Tx) error) error {
	tx, err := e.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", what, kind(err))
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return fmt.Errorf("%s: %w", what, kind(err))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("%s: %w", what, kind(err))
	}
	return nil
}

// lock makes other writers of the same track wait until tx ends.
func (e *engine) lock(ctx context.Context, tx *sql.Tx) error {
	if !e.postgres {
		return nil
	}
	_, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(hashtext(current_schema()), hashtext($1))", "dormer "+string(e.track))
	return err
}

// exec runs one statement in a transaction of its own, like update, and
// returns how many rows it changed.
func (e *engine) exec(ctx context.Context, what, query string, args ...any) (int64, error) {
	var n int64
	err := e.update(ctx, what, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		n, err = r.RowsAffected()
		return err
	})
	return n, err
}
