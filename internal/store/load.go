package store

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/dump"
)

// LoadState reads a dump of a state database into the database at dsn, all of
// it or nothing, and migrates it to the newest schema. ErrExists if anything is
// stored there, ErrCorrupt for a dump that was changed or cut off, ErrInvalid
// for one of something else, ErrUnsupported for one of a newer version.
func LoadState(ctx context.Context, dsn string, r io.Reader, progress func(table string, rows int64)) error {
	return load(ctx, dsn, trackState, r, progress)
}

// LoadEvents reads a dump of an instance's events into the database at dsn like
// LoadState. Other instances may have events there; ErrExists if this one has.
func LoadEvents(ctx context.Context, dsn string, r io.Reader, progress func(table string, rows int64)) error {
	return load(ctx, dsn, trackEvents, r, progress)
}

func load(ctx context.Context, dsn string, t track, r io.Reader, progress Progress) (err error) {
	what := fmt.Sprintf("load %s database", t)
	d, err := dump.NewReader(r)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer d.Close()
	h := d.Header()
	list := steps(t, false)
	switch {
	case h.Track != string(t):
		return fmt.Errorf("%s: %w", what, dormer.Invalidf("", "this is the dump of a database of another kind (%q)", h.Track))
	case h.Schema < 1 || t == trackEvents && h.Schema < firstDumped:
		return fmt.Errorf("%s: the dump says version %d: %w", what, h.Schema, dormer.ErrCorrupt)
	case h.Schema > len(list):
		return fmt.Errorf("%s: the dump was made by a newer dormerd (its schema has version %d, this build knows %d): %w",
			what, h.Schema, len(list), dormer.ErrUnsupported)
	}
	tables, err := tablesOf(ctx, t, h.Schema)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	e, err := connect(dsn, t, Options{Readers: 1, Writers: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	l := loading{e: e, d: d, tables: tables, progress: progress}
	err = l.run(ctx)
	if errors.Is(err, errOlderDump) {
		return upgradeAndLoad(ctx, dsn, t, d, tables, progress)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, kind(err))
	}
	return e.migrate(ctx, steps(t, e.postgres))
}

// firstDumped is the first schema of events that dumps are made of.
const firstDumped = 2

// errOlderDump: the database has a newer schema than the dump.
var errOlderDump = errors.New("the database has a newer schema than the dump")

// upgradeAndLoad brings a dump to the newest schema in a database of its own
// first.
func upgradeAndLoad(ctx context.Context, dsn string, t track, d *dump.Reader, tables []dumpTable, progress Progress) (err error) {
	dir, err := os.MkdirTemp("", "dormer-load-")
	if err != nil {
		return fmt.Errorf("load %s database: make a folder for its upgrade: %w", t, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	e, err := connect("sqlite:"+filepath.Join(dir, "upgrade.db"), t, Options{Readers: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	l := loading{e: e, d: d, tables: tables}
	if err := l.run(ctx); err != nil {
		return fmt.Errorf("upgrade the dump of the %s database: %w", t, kind(err))
	}
	if err := e.migrate(ctx, steps(t, false)); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, err := e.dump(ctx, w, d.Header().Instance, 1, false, nil)
		w.CloseWithError(err)
	}()
	err = load(ctx, dsn, t, bufio.NewReader(r), progress)
	r.CloseWithError(errors.New("nobody reads"))
	<-written
	return err
}

// references are the columns with numbers of rows of other tables.
var references = map[string]map[string]string{
	"events":  {"context": "contexts", "journal": "journals"},
	"follows": {"position": "events"},
}

// loading is one load.
type loading struct {
	e        *engine
	d        *dump.Reader
	tables   []dumpTable
	progress Progress

	instance int64
	// added is what is added to the numbers of each table's rows: what the
	// database has given to rows of other instances.
	added map[string]int64
}

// run loads everything in one transaction.
func (l *loading) run(ctx context.Context) error {
	if !l.e.postgres {
		return l.e.transact(ctx, "load", func(tx *sql.Tx) error { return l.all(ctx, tx, nil) })
	}
	conn, err := l.e.write.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	// COPY needs the connection below the transaction.
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := l.all(ctx, tx, conn); err != nil {
		return err
	}
	return tx.Commit()
}

func (l *loading) all(ctx context.Context, tx *sql.Tx, conn *sql.Conn) error {
	if err := l.begin(ctx, tx); err != nil {
		return err
	}
	for _, want := range l.tables {
		if err := l.next(want.Table); err != nil {
			return err
		}
		if err := l.rows(ctx, tx, conn, want); err != nil {
			return fmt.Errorf("table %s: %w", want.Name, err)
		}
	}
	if _, err := l.d.Next(); !errors.Is(err, io.EOF) {
		return errors.Join(err, fmt.Errorf("the dump has a table too many: %w", dormer.ErrCorrupt))
	}
	return nil
}

// begin makes the schema if there is none, and sets apart the numbers of the
// rows. Servers of other instances that share the database do not wait longer
// than for that.
func (l *loading) begin(ctx context.Context, tx *sql.Tx) (err error) {
	if l.e.postgres {
		key := "hashtext(current_schema()), hashtext('dormer " + string(l.e.track) + "')"
		if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_lock("+key+")"); err != nil {
			return err
		}
		defer func() {
			_, e := tx.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock("+key+")")
			if err == nil {
				err = e // else the transaction may be over, and the lock goes with the connection
			}
		}()
	}
	schema := l.d.Header().Schema
	at, err := l.e.version(ctx, tx)
	if err != nil {
		return err
	}
	if at > len(steps(l.e.track, l.e.postgres)) {
		return fmt.Errorf("the database was used by a newer dormerd, which is needed to go on: %w", dormer.ErrUnsupported)
	}
	if at < schema {
		if err := l.e.lock(ctx, tx); err != nil {
			return err
		}
	}
	for _, s := range steps(l.e.track, l.e.postgres) {
		if s.version > at && s.version <= schema {
			if err := l.e.step(ctx, tx, s); err != nil {
				return err
			}
		}
	}
	if err := l.empty(ctx, tx); err != nil {
		return err
	}
	if at > schema {
		return errOlderDump
	}
	if err := l.next(givenTable); err != nil {
		return err
	}
	if err := l.numbers(ctx, tx); err != nil {
		return err
	}
	if l.e.track != trackEvents || l.instance != 0 {
		return nil
	}
	l.instance, err = one(ctx, tx, "add the instance", value[int64],
		"INSERT INTO instances (instance) VALUES ($1) RETURNING id",
		string(l.d.Header().Instance))
	return err
}

// next goes to a table of the dump, which must be the one that its schema has.
func (l *loading) next(want dump.Table) error {
	t, err := l.d.Next()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("the dump lacks table %s: %w", want.Name, dormer.ErrCorrupt)
		}
		return err
	}
	if t.Name != want.Name || !slices.Equal(t.Columns, want.Columns) {
		return fmt.Errorf("table %s of the dump is not what version %d of the schema has: %w", t.Name, l.d.Header().Schema, dormer.ErrCorrupt)
	}
	return nil
}

// empty returns ErrExists if rows are there already.
func (l *loading) empty(ctx context.Context, tx *sql.Tx) error {
	if l.e.track == trackEvents {
		id, err := one(ctx, tx, "find instance", value[int64], "SELECT id FROM instances WHERE instance = $1", string(l.d.Header().Instance))
		if errors.Is(err, dormer.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		l.instance = id
	}
	for _, t := range l.tables {
		query, args := "SELECT EXISTS (SELECT 1 FROM "+t.Name, []any(nil)
		if t.shared {
			query, args = query+" WHERE instance = $1", []any{l.instance}
		}
		there, err := one(ctx, tx, "look for rows", value[bool], query+")", args...)
		if err != nil {
			return err
		}
		if there {
			return fmt.Errorf("the database is not empty (table %s): %w", t.Name, dormer.ErrExists)
		}
	}
	return nil
}

// rows loads the rows of the table that the dump is at.
func (l *loading) rows(ctx context.Context, tx *sql.Tx, conn *sql.Conn, t dumpTable) error {
	columns, added := make([]string, 0, len(t.Columns)+1), t.added(l.added)
	for _, c := range t.Columns {
		columns = append(columns, c.Name)
	}
	if t.shared {
		columns = append(columns, "instance")
	}
	received := slices.Index(columns, "received")
	made := make(map[partition]bool)
	var n int64
	next := func() ([]any, error) {
		values, err := l.d.Row()
		if errors.Is(err, io.EOF) {
			l.progress.tell(t.Name, n, true)
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for i, m := range added {
			if v, ok := values[i].(int64); ok {
				values[i] = v + m
			}
		}
		if t.shared {
			values = append(values, l.instance)
		}
		n++
		l.progress.tell(t.Name, n, false)
		return values, nil
	}
	if !l.e.postgres || t.shared && t.Name != "events" {
		return l.e.insertRows(ctx, tx, t.Name, columns, next) // COPY knows no row-level security
	}
	if t.Name != "events" {
		return copyRows(ctx, conn, t.Name, columns, next)
	}
	// Every day needs its partition, and nothing else can be said while rows
	// are copied: a COPY for each day.
	row, err := next()
	for err == nil && row != nil {
		us, _ := row[received].(int64)
		p := partition{instance: l.instance, day: dayOf(us)}
		if !made[p] {
			if err := makePartition(ctx, tx, p); err != nil {
				return err
			}
			made[p] = true
		}
		var after []any
		first := true
		err = copyRows(ctx, conn, p.parent(), columns, func() ([]any, error) {
			if first {
				first = false
				return row, nil
			}
			r, err := next()
			if err != nil || r == nil {
				return nil, err
			}
			if us, _ := r[received].(int64); dayOf(us) != p.day {
				after = r
				return nil, nil
			}
			return r, nil
		})
		row = after
	}
	return err
}

// insertRows inserts what next returns until it is nil.
func (e *engine) insertRows(ctx context.Context, tx *sql.Tx, table string, columns []string, next func() ([]any, error)) error {
	before := "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ")"
	if e.postgres {
		before += " OVERRIDING SYSTEM VALUE"
	}
	insert := func(rows [][]any) error {
		return e.bulk(ctx, tx, before+" VALUES ", make([]string, len(columns)), "", rows, nil)
	}
	var rows [][]any
	size := 0
	for {
		row, err := next()
		if err != nil {
			return err
		}
		if row == nil {
			return insert(rows)
		}
		rows = append(rows, row)
		for _, v := range row {
			switch v := v.(type) {
			case string:
				size += len(v)
			case []byte:
				size += len(v)
			}
		}
		if len(rows) == insertedAtOnce || size > insertedBytes {
			if err := insert(rows); err != nil {
				return err
			}
			rows, size = rows[:0], 0
		}
	}
}

// How many rows are held in memory until they are inserted, and bytes of them.
const (
	insertedAtOnce = 200
	insertedBytes  = 1 << 20
)

// copyRows copies what next returns until it is nil.
func copyRows(ctx context.Context, conn *sql.Conn, table string, columns []string, next func() ([]any, error)) error {
	return conn.Raw(func(driver any) error {
		_, err := driver.(*stdlib.Conn).Conn().CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromFunc(next))
		return err
	})
}

// numbers sets apart the numbers of the rows to come, after those that were
// given to others.
func (l *loading) numbers(ctx context.Context, tx *sql.Tx) error {
	l.added = make(map[string]int64)
	for {
		row, err := l.d.Row()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		table, _ := row[0].(string)
		n, _ := row[1].(int64)
		if !slices.ContainsFunc(l.tables, func(t dumpTable) bool { return t.Name == table && t.numbered }) || n < 0 || n > 1<<62 {
			return fmt.Errorf("numbers of table %.70q: %w", table, dormer.ErrCorrupt)
		}
		if l.added[table], err = l.e.reserve(ctx, tx, table, n); err != nil {
			return err
		}
	}
}

// reserve sets n numbers of a table's rows apart and returns the one before
// them.
func (e *engine) reserve(ctx context.Context, tx *sql.Tx, table string, n int64) (int64, error) {
	if e.postgres && e.track == trackEvents {
		return one(ctx, tx, "set numbers apart", value[int64], "SELECT events_reserve($1, $2)", table, n)
	}
	at, err := e.given(ctx, tx, table)
	if err != nil || n == 0 {
		return at, err
	}
	if e.postgres {
		sequence, err := e.sequence(ctx, tx, table)
		if err != nil {
			return 0, err
		}
		_, err = tx.ExecContext(ctx, "SELECT setval($1, $2)", sequence, at+n)
		return at, err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM sqlite_sequence WHERE name = $1", table); err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)", table, at+n)
	return at, err
}
