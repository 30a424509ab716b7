package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/dormer-project/dormer"
)

// kind puts the kind of the root package before an error of a driver. Where
// the kind says everything, and a user may come to read it, it stands in its
// place. Other errors are returned as they are.
func kind(err error) error {
	k := kindOf(err)
	switch {
	case k == nil, errors.Is(err, k): // nothing to translate, or done further down
		return err
	case errors.Is(k, dormer.ErrNotFound), errors.Is(k, dormer.ErrExists):
		return k
	}
	if errors.Is(k, dormer.ErrUnavailable) {
		return &awayError{err}
	}
	return fmt.Errorf("%w: %w", k, err)
}

// awayError is an ErrUnavailable: the database does not answer, or not as it
// should.
type awayError struct{ err error }

func (e *awayError) Error() string { return dormer.ErrUnavailable.Error() + ": " + e.err.Error() }

// Away names what does not answer, for who asked for something that needs it.
func (e *awayError) Away() string { return "the server's database" }

func (e *awayError) Unwrap() []error { return []error{dormer.ErrUnavailable, e.err} }

func kindOf(err error) error {
	var (
		lite *sqlite.Error
		pg   *pgconn.PgError
		dial *pgconn.ConnectError
		nerr net.Error
	)
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return dormer.ErrNotFound
	case errors.As(err, &lite):
		return kindOfSQLite(lite.Code())
	case errors.As(err, &pg):
		return kindOfPostgres(pg.Code)
	case errors.As(err, &dial), errors.As(err, &nerr),
		errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone), errors.Is(err, net.ErrClosed),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), pgconn.SafeToRetry(err): // the server is gone
		return dormer.ErrUnavailable
	}
	return nil
}

// kindOfSQLite translates a result code, extended or not.
func kindOfSQLite(code int) error {
	switch code {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return dormer.ErrExists
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return dormer.ErrNotFound
	}
	switch code & 0xff {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH:
		return dormer.ErrInvalid
	case sqlite3.SQLITE_TOOBIG:
		return dormer.ErrTooLarge
	case sqlite3.SQLITE_FULL:
		return dormer.ErrFull
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return dormer.ErrCorrupt
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR,
		sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL:
		return dormer.ErrUnavailable
	}
	return nil
}

// kindOfPostgres translates an SQLSTATE.
func kindOfPostgres(state string) error {
	switch state {
	case "23505":
		return dormer.ErrExists
	case "23503":
		return dormer.ErrNotFound
	case "42501": // insufficient privilege
		return dormer.ErrDenied
	case "53100": // disk full
		return dormer.ErrFull
	case "54000", "54011", "54023": // program limit exceeded
		return dormer.ErrTooLarge
	case "XX001", "XX002": // data or index corrupted
		return dormer.ErrCorrupt
	case "40001", "40P01", "55P03", "25006": // serialization, deadlock, lock, read-only
		return dormer.ErrUnavailable
	case "28000", "28P01", "3D000": // cannot sign in, no such database
		return dormer.ErrUnavailable
	}
	switch {
	case strings.HasPrefix(state, "08"), strings.HasPrefix(state, "53"), strings.HasPrefix(state, "57"), strings.HasPrefix(state, "58"):
		return dormer.ErrUnavailable
	case strings.HasPrefix(state, "22"), strings.HasPrefix(state, "23"):
		return dormer.ErrInvalid
	}
	return nil
}
