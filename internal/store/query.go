package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// querier is a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// scanner is a row.
type scanner interface {
	Scan(dest ...any) error
}

// all returns every row of a query.
func all[T any](ctx context.Context, q querier, what string, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, kind(err))
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, kind(err))
		}
		list = append(list, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", what, kind(err))
	}
	return list, nil
}

// one returns the row of a query, dormer.ErrNotFound if there is none.
func one[T any](ctx context.Context, q querier, what string, scan func(scanner) (T, error), query string, args ...any) (T, error) {
	v, err := scan(q.QueryRowContext(ctx, query, args...))
	if err != nil {
		var zero T
		return zero, fmt.Errorf("%s: %w", what, kind(err))
	}
	return v, nil
}

// value scans a single column.
func value[T any](s scanner) (T, error) {
	var v T
	err := s.Scan(&v)
	return v, err
}

// micros is how times are stored.
func micros(t time.Time) int64 { return t.UnixMicro() }

// moment is the opposite of micros.
func moment(us int64) time.Time { return time.UnixMicro(us).UTC() }

// microsOrNull stores a time that may be absent.
func microsOrNull(t *time.Time) any {
	if t == nil {
		return nil
	}
	return t.UnixMicro()
}

// momentOrNil is the opposite of microsOrNull.
func momentOrNil(us sql.NullInt64) *time.Time {
	if !us.Valid {
		return nil
	}
	t := moment(us.Int64)
	return &t
}

// bit is how booleans are stored.
func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// bytes keeps an absent byte string apart from NULL, which no column of bytes
// allows.
func bytesOf(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// clean makes text from a client fit for every engine: valid UTF-8 without
// NUL. Bulk writes use it, so that one client's text cannot stop the others'.
func clean(s string) string {
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// tuples returns count rows of parameters as "(CAST($1 AS text),...),(...)",
// numbered from first; an empty type means no cast. The casts tell PostgreSQL
// the types where no column does.
func tuples(types []string, first, count int) string {
	var b strings.Builder
	n := first
	for i := range count {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('(')
		for j, t := range types {
			if j > 0 {
				b.WriteByte(',')
			}
			if t == "" {
				b.WriteByte('$')
				b.WriteString(strconv.Itoa(n))
			} else {
				b.WriteString("CAST($")
				b.WriteString(strconv.Itoa(n))
				b.WriteString(" AS ")
				b.WriteString(t)
				b.WriteByte(')')
			}
			n++
		}
		b.WriteByte(')')
	}
	return b.String()
}

// rowsAtOnce is how many rows one statement of a bulk write carries: many on
// PostgreSQL, where each statement is a round trip, one on SQLite, where
// binding many parameters costs more than it saves.
func (e *engine) rowsAtOnce() int {
	if e.postgres {
		return 200
	}
	return 1
}

// bulk runs a statement for all rows: before + tuples + after, as many rows at
// once as suits the engine. each is called with the rows that the statement
// returns, if it is not nil.
func (e *engine) bulk(ctx context.Context, tx *sql.Tx, before string, types []string, after string, rows [][]any, each func(scanner) error) error {
	var (
		stmt     *sql.Stmt
		prepared int
		err      error
	)
	closeStmt := func() {
		if stmt != nil {
			stmt.Close()
		}
	}
	defer func() { closeStmt() }()
	args := make([]any, 0, e.rowsAtOnce()*len(types))
	for len(rows) > 0 {
		n := min(len(rows), e.rowsAtOnce())
		if n != prepared {
			closeStmt()
			if stmt, err = tx.PrepareContext(ctx, before+tuples(types, 1, n)+after); err != nil {
				return err
			}
			prepared = n
		}
		args = args[:0]
		for _, r := range rows[:n] {
			args = append(args, r...)
		}
		rows = rows[n:]
		if each == nil {
			if _, err := stmt.ExecContext(ctx, args...); err != nil {
				return err
			}
			continue
		}
		if err := eachRow(ctx, stmt, args, each); err != nil {
			return err
		}
	}
	return nil
}

func eachRow(ctx context.Context, stmt *sql.Stmt, args []any, each func(scanner) error) error {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
