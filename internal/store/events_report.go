package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/export"
	"github.com/dormer-project/dormer/internal/report"
)

// Reports reads events for reports. It is safe for concurrent use.
type Reports struct {
	db *engine
}

var _ report.Events = (*Reports)(nil)

// Reports returns what reads these events for reports. It is closed with them.
func (s *Events) Reports() *Reports { return &Reports{db: s.db} }

// OpenReports opens an events database that a server has made, to read it
// only: the events of all instances, as far as the role in the dsn may.
// ErrUnsupported when the database is not as this build knows it.
func OpenReports(ctx context.Context, dsn string, o Options) (*Reports, error) {
	if !strings.HasPrefix(dsn, "postgres://") && !strings.HasPrefix(dsn, "postgresql://") {
		return nil, dormer.Invalidf("", "must begin with postgres://")
	}
	o.Writers = 1 // which is never used
	e, err := openPostgres(dsn, o)
	if err != nil {
		return nil, fmt.Errorf("open events database for reports: %w", err)
	}
	e.track = trackEvents
	list := steps(trackEvents, true)
	version, err := one(ctx, e.read, "read the version of the schema", value[int64],
		"SELECT coalesce(max(version), 0) FROM schema_version WHERE track = $1", string(trackEvents))
	if newest := int64(list[len(list)-1].version); err == nil && version != newest {
		err = fmt.Errorf("its schema has version %d and this build reads %d: %w", version, newest, dormer.ErrUnsupported)
	}
	if err != nil {
		return nil, fmt.Errorf("open events database for reports: %w", joinClose(err, e))
	}
	return &Reports{db: e}, nil
}

func joinClose(err error, e *engine) error {
	if closed := e.Close(); closed != nil {
		return fmt.Errorf("%w; %w", err, closed)
	}
	return err
}

// Close closes what OpenReports has opened.
func (s *Reports) Close() error { return s.db.Close() }

const (
	// fewContexts is up to how many contexts a filter may leave for the events of
	// each to be looked up one by one. With more, the newest events are read from
	// the newest on until enough have one of them.
	fewContexts = 64
	// maxInstances is how many instances a report reads at once at most.
	maxInstances = 64
)

// Select implements report.Events.
func (s *Reports) Select(ctx context.Context, q report.Selection, each func(position, values []any) error) error {
	b := builder{postgres: s.db.postgres, q: q}
	var err error
	if b.instances, err = s.instances(ctx, q.Instances); err != nil || len(b.instances) == 0 {
		return err
	}
	if b.narrows() {
		if b.contexts, err = s.contexts(ctx, b); err != nil || len(b.contexts) == 0 {
			return err
		}
	}
	var statement string
	ordered := false
	switch {
	case len(q.Group) > 0:
		statement = b.groups()
	case q.Order.Stored == report.Stored{Table: report.InEvents, Name: "received"}:
		// The events of a few contexts are found by these.
		statement, ordered = b.newest(), b.contexts == nil || len(b.contexts) > fewContexts
	default:
		statement = b.sorted()
	}
	return s.read(ctx, q, ordered, statement, b.args, each)
}

// inOrder keeps PostgreSQL from gathering all rows and sorting them where an
// index has them in order, whatever it knows of a partition that it has not
// analyzed yet.
const inOrder = "SELECT set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true)"

// instances returns the numbers of instances, nil: of all that there are.
func (s *Reports) instances(ctx context.Context, which []dormer.InstanceID) ([]int64, error) {
	b := builder{}
	query := "SELECT id FROM instances"
	if which != nil {
		names := make([]string, len(which))
		for i, w := range which {
			names[i] = b.arg(string(w))
		}
		query += " WHERE instance IN (" + strings.Join(names, ", ") + ")"
	}
	list, err := all(ctx, s.db.read, "find instances", value[int64], query+" ORDER BY id LIMIT "+b.arg(int64(maxInstances+1)), b.args...)
	if err == nil && len(list) > maxInstances {
		return nil, dormer.Invalidf("instances", "must be at most %d", maxInstances)
	}
	return list, err
}

// contexts returns those that the filters leave, one more than fewContexts at
// most.
func (s *Reports) contexts(ctx context.Context, of builder) ([]storedContext, error) {
	b := builder{q: of.q, instances: of.instances}
	query := "SELECT c.id, c.instance FROM contexts c WHERE " + b.contextConditions() + " LIMIT " + b.arg(int64(fewContexts+1))
	return all(ctx, s.db.read, "find contexts of events", func(r scanner) (storedContext, error) {
		var c storedContext
		err := r.Scan(&c.id, &c.instance)
		return c, err
	}, query, b.args...)
}

// read calls each with the rows of a statement: the values of the columns, then
// the position.
func (s *Reports) read(ctx context.Context, q report.Selection, ordered bool, statement string, args []any, each func(position, values []any) error) error {
	tx, err := s.db.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("read events: %w", kind(err))
	}
	defer tx.Rollback()
	if ordered && s.db.postgres {
		if _, err := tx.ExecContext(ctx, inOrder); err != nil {
			return fmt.Errorf("read events: %w", kind(err))
		}
	}
	rows, err := tx.QueryContext(ctx, statement, args...)
	if err != nil {
		return fmt.Errorf("read events: %w", kind(err))
	}
	defer rows.Close()
	parts := q.PositionTypes()
	values, position := make([]any, len(q.Columns)), make([]any, len(parts))
	into := make([]any, 0, len(values)+len(position))
	for _, c := range q.Columns {
		if c.Type == export.Text && c.Name != "severity" {
			into = append(into, new(sql.NullString))
			continue
		}
		into = append(into, new(sql.NullInt64))
	}
	for i, t := range parts {
		if t == export.Text {
			into = append(into, new(string))
			continue
		}
		into = append(into, new(int64))
		position[i] = int64(0)
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("read events: %w", kind(err))
		}
		for i, c := range q.Columns {
			values[i] = valueOf(c, into[i])
		}
		for i := range position {
			switch v := into[len(values)+i].(type) {
			case *string:
				position[i] = *v
			case *int64:
				position[i] = *v
			}
		}
		if err := each(position, values); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read events: %w", kind(err))
	}
	return nil
}

// valueOf turns what was stored into the value of a column. Empty texts and
// revision 0 stand for nothing.
func valueOf(c report.Column, stored any) any {
	switch v := stored.(type) {
	case *sql.NullString:
		if v.String != "" {
			return v.String
		}
	case *sql.NullInt64:
		switch {
		case !v.Valid:
		case c.Type == export.Time:
			return moment(v.Int64)
		case c.Name == "severity":
			return string(severities[v.Int64])
		case c.Stored.Name == "count":
			return max(v.Int64, 1)
		case v.Int64 != 0 || c.Stored.Table != report.InContexts:
			return v.Int64
		}
	}
	return nil
}
