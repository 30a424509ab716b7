package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/dump"
)

// Progress is told how many rows of a table were done, now and then and at its
// end; nil: nobody is.
type Progress func(table string, rows int64)

// progressRows is how many rows are done between two tellings.
const progressRows = 10_000

func (p Progress) tell(table string, rows int64, end bool) {
	if p != nil && (end || rows%progressRows == 0) {
		p(table, rows)
	}
}

// dumpTable is a table of a track as it is dumped.
type dumpTable struct {
	dump.Table
	order string // columns
	// numbered says that the database gives the rows numbers, in the column id,
	// none of them twice.
	numbered bool
	// shared says that the rows belong to instances.
	shared bool
}

// tableGiven is the table of a dump that says which numbers were given in
// others of its tables: they are not given again.
const tableGiven = "numbers_given"

var givenTable = dump.Table{Name: tableGiven, Columns: []dump.Column{{Name: "name", Type: dump.Text}, {Name: "number", Type: dump.Integer}}}

// dumpOrders are those of tables that another order than that of their keys
// suits better.
var dumpOrders = map[string]string{
	"events": "received, id", // how partitions follow each other
}

// tablesOf returns the tables that a track has at a version, as its migrations
// make them.
func tablesOf(ctx context.Context, t track, version int) ([]dumpTable, error) {
	what := fmt.Sprintf("find the tables of the %s database at version %d", t, version)
	list := steps(t, false)
	if version < 1 || version > len(list) {
		return nil, fmt.Errorf("%s: %w", what, dormer.ErrUnsupported)
	}
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	db.SetMaxOpenConns(1)
	defer db.Close()
	for _, s := range list[:version] {
		if _, err := db.ExecContext(ctx, s.text); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
	}
	type made struct{ name, text string }
	all1, err := all(ctx, db, what, func(s scanner) (m made, err error) { return m, s.Scan(&m.name, &m.text) },
		"SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'instances' ORDER BY rowid")
	if err != nil {
		return nil, err
	}
	tables := make([]dumpTable, len(all1))
	for i, m := range all1 {
		if tables[i], err = tableOf(ctx, db, t, m.name); err != nil {
			return nil, err
		}
		tables[i].numbered = strings.Contains(m.text, "AUTOINCREMENT")
	}
	return tables, nil
}

// sqliteTypes are the types of the columns of STRICT tables.
var sqliteTypes = map[string]dump.Type{"INTEGER": dump.Integer, "TEXT": dump.Text, "BLOB": dump.Bytes}

func tableOf(ctx context.Context, db *sql.DB, t track, name string) (dumpTable, error) {
	d := dumpTable{Table: dump.Table{Name: name}, order: dumpOrders[name]}
	type column struct {
		dump.Column
		key int
	}
	columns, err := all(ctx, db, "find columns", func(s scanner) (c column, err error) {
		var kind string
		err = s.Scan(&c.Name, &kind, &c.key)
		c.Type = sqliteTypes[kind]
		return c, err
	}, "SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid", name)
	if err != nil {
		return d, err
	}
	keys := make([]string, len(columns))
	for _, c := range columns {
		if t == trackEvents && c.Name == "instance" {
			d.shared = true // the header says which
			continue
		}
		d.Columns = append(d.Columns, c.Column)
		if c.key > 0 {
			keys[c.key-1] = c.Name
		}
	}
	if d.order == "" {
		d.order = strings.Trim(strings.ReplaceAll(strings.Join(keys, ", "), ", , ", ", "), ", ")
	}
	if d.order == "" {
		return d, fmt.Errorf("table %s has no key: %w", name, dormer.ErrUnsupported)
	}
	return d, nil
}

func (d dumpTable) names() string {
	names := make([]string, len(d.Columns))
	for i, c := range d.Columns {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}

// Dump writes all rows to w, as they are at one moment, while others go on
// writing. It takes little memory however many there are.
func (s *State) Dump(ctx context.Context, w io.Writer, progress func(table string, rows int64)) error {
	_, err := s.dump(ctx, w, progress)
	return err
}

func (s *State) dump(ctx context.Context, w io.Writer, progress Progress) (dump.Summary, error) {
	var id dormer.InstanceID
	id, err := one(ctx, s.db.read, "find the instance", value[dormer.InstanceID], "SELECT id FROM instance")
	if err != nil && !errors.Is(err, dormer.ErrNotFound) {
		return dump.Summary{}, err
	}
	return s.db.dump(ctx, w, id, 0, false, progress)
}

// Dump writes all rows of an instance to w, as they are at one moment, while
// others go on writing. It takes little memory however many there are.
func (s *Events) Dump(ctx context.Context, i dormer.InstanceID, w io.Writer, progress func(table string, rows int64)) error {
	_, err := s.dump(ctx, i, w, false, progress)
	return err
}

// dump is Dump; if shifted the numbers of all rows begin with 1, so that they
// are the same wherever the rows were loaded.
func (s *Events) dump(ctx context.Context, i dormer.InstanceID, w io.Writer, shifted bool, progress Progress) (dump.Summary, error) {
	number, err := s.instanceID(ctx, s.db.read, i)
	if err != nil && !errors.Is(err, dormer.ErrNotFound) { // no rows at all
		return dump.Summary{}, err
	}
	return s.db.dump(ctx, w, i, number, shifted, progress)
}

// snapshot begins a transaction in which everything is as it was when it
// began.
func (e *engine) snapshot(ctx context.Context) (*sql.Tx, error) {
	if e.postgres {
		return e.read.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	}
	return e.read.BeginTx(ctx, nil)
}

// dump writes the rows of the track; number is that of the instance where the
// database may have several.
func (e *engine) dump(ctx context.Context, w io.Writer, i dormer.InstanceID, number int64, shifted bool, progress Progress) (dump.Summary, error) {
	what := fmt.Sprintf("dump %s database", e.track)
	fail := func(err error) (dump.Summary, error) { return dump.Summary{}, fmt.Errorf("%s: %w", what, kind(err)) }
	tx, err := e.snapshot(ctx)
	if err != nil {
		return fail(err)
	}
	defer tx.Rollback()
	version, err := one(ctx, tx, "find version", value[int], "SELECT version FROM schema_version WHERE track = $1", string(e.track))
	if err != nil {
		return fail(err)
	}
	tables, err := tablesOf(ctx, e.track, version)
	if err != nil {
		return fail(err)
	}
	d, err := dump.NewWriter(w, dump.Header{Track: string(e.track), Schema: version, Instance: i})
	if err != nil {
		return fail(err)
	}
	// First, so that who loads it can set the numbers apart.
	if err := e.dumpGiven(ctx, tx, d, tables); err != nil {
		return fail(errors.Join(err, d.Close()))
	}
	var before map[string]int64
	if shifted {
		if before, err = firstNumbers(ctx, tx, tables, number); err != nil {
			return fail(errors.Join(err, d.Close()))
		}
	}
	for _, t := range tables {
		if err := e.dumpRows(ctx, tx, d, t, number, before, progress); err != nil {
			return fail(errors.Join(err, d.Close()))
		}
	}
	if err := d.Close(); err != nil {
		return fail(err)
	}
	return d.Summary(), nil
}

func (e *engine) dumpRows(ctx context.Context, tx *sql.Tx, d *dump.Writer, t dumpTable, number int64, before map[string]int64, progress Progress) error {
	if err := d.Table(t.Table); err != nil {
		return err
	}
	query, args := "SELECT "+t.names()+" FROM "+t.Name, []any(nil)
	if t.shared {
		query, args = query+" WHERE instance = $1", []any{number}
	}
	rows, err := tx.QueryContext(ctx, query+" ORDER BY "+t.order, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	values := make([]any, len(t.Columns))
	into := make([]any, len(t.Columns))
	for i := range values {
		into[i] = &values[i]
	}
	added := t.added(before)
	var n int64
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i, m := range added {
			if v, ok := values[i].(int64); ok {
				values[i] = v - m
			}
		}
		if err := d.Row(values); err != nil {
			return err
		}
		n++
		progress.tell(t.Name, n, false)
	}
	progress.tell(t.Name, n, true)
	return rows.Err()
}

// added returns for each column what was added to the numbers in it, if to those
// of each table's rows so much was.
func (d dumpTable) added(numbers map[string]int64) []int64 {
	list := make([]int64, len(d.Columns))
	for i, c := range d.Columns {
		if c.Name == "id" && d.numbered {
			list[i] = numbers[d.Name]
		} else if of, ok := references[d.Name][c.Name]; ok {
			list[i] = numbers[of]
		}
	}
	return list
}

// firstNumbers returns for each table the number before the first of the
// instance's rows.
func firstNumbers(ctx context.Context, tx *sql.Tx, tables []dumpTable, number int64) (map[string]int64, error) {
	before := make(map[string]int64)
	for _, t := range tables {
		if !t.numbered || !t.shared {
			continue
		}
		first, err := one(ctx, tx, "find the first row", value[sql.NullInt64], "SELECT min(id) FROM "+t.Name+" WHERE instance = $1", number)
		if err != nil {
			return nil, err
		}
		before[t.Name] = max(first.Int64-1, 0)
	}
	return before, nil
}

// dumpGiven writes which numbers were given.
func (e *engine) dumpGiven(ctx context.Context, tx *sql.Tx, d *dump.Writer, tables []dumpTable) error {
	if err := d.Table(givenTable); err != nil {
		return err
	}
	for _, t := range tables {
		if !t.numbered {
			continue
		}
		n, err := e.given(ctx, tx, t.Name)
		if err != nil {
			return err
		}
		if err := d.Row([]any{t.Name, n}); err != nil {
			return err
		}
	}
	return nil
}

// given returns the highest number that was given to a row of a table, 0 if
// none was.
func (e *engine) given(ctx context.Context, q querier, table string) (int64, error) {
	if !e.postgres {
		return one(ctx, q, "find the last number of "+table, value[int64], "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = $1", table)
	}
	sequence, err := e.sequence(ctx, q, table)
	if err != nil {
		return 0, err
	}
	return one(ctx, q, "find the last number of "+table, value[int64], "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM "+sequence)
}

// sequence returns the name of the sequence that gives a table's numbers on
// PostgreSQL.
func (e *engine) sequence(ctx context.Context, q querier, table string) (string, error) {
	if table == "events" {
		return "events_id", nil // a partitioned table has no identity column
	}
	return one(ctx, q, "find the sequence of "+table, value[string], "SELECT pg_get_serial_sequence($1, 'id')", table)
}
