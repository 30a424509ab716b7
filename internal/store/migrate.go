package store

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dormer-project/dormer"
)

// track names one sequence of migrations. Both may live in one PostgreSQL
// database.
type track string

const (
	trackState  track = "state"
	trackEvents track = "events"
)

// migrations holds one file per step: NNNN.sql where one text serves both
// engines, NNNN.sqlite.sql beside NNNN.postgres.sql where they differ. Steps
// go forward only and are never changed once released.
//
//go:embed migrations
var migrations embed.FS

// step is one migration.
type step struct {
	version int
	text    string
	// fill does what no text can to the rows that are there; nil: nothing.
	fill func(ctx context.Context, e *engine, tx *sql.Tx) error
}

// fills are those of steps, by track and version.
var fills = map[track]map[int]func(context.Context, *engine, *sql.Tx) error{
	trackState: {8: foldNames},
}

// postgresTypes turns the SQLite text of a migration into PostgreSQL's. The
// texts are our own, written with this in mind.
var postgresTypes = strings.NewReplacer(
	"INTEGER PRIMARY KEY AUTOINCREMENT", "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
	"INTEGER", "bigint",
	"BLOB", "bytea",
	"COLLATE BINARY", `COLLATE "C"`,
	") STRICT;", ");",
)

// steps returns the migrations of a track in their order.
func steps(t track, postgres bool) []step {
	dir := "migrations/" + string(t)
	entries, err := migrations.ReadDir(dir)
	if err != nil {
		panic(err) // embedded: cannot fail in a build whose tests passed
	}
	var list []step
	for _, entry := range entries {
		number, rest, _ := strings.Cut(entry.Name(), ".")
		version, err := strconv.Atoi(number)
		if err != nil {
			panic(err)
		}
		b, err := migrations.ReadFile(dir + "/" + entry.Name())
		if err != nil {
			panic(err)
		}
		text := string(b)
		switch {
		case rest == "sql" && postgres:
			text = postgresTypes.Replace(text)
		case rest == "sql", rest == "postgres.sql" && postgres, rest == "sqlite.sql" && !postgres:
		default:
			continue
		}
		list = append(list, step{version: version, text: text, fill: fills[t][version]})
	}
	slices.SortFunc(list, func(a, b step) int { return cmp.Compare(a.version, b.version) })
	return list
}

// migrate brings the database to the newest step, one transaction each. A
// process that dies within one leaves the database as it was before it.
func (e *engine) migrate(ctx context.Context, list []step) error {
	newest := list[len(list)-1].version
	what := fmt.Sprintf("migrate %s database", e.track)
	for {
		done := false
		err := e.update(ctx, what, func(tx *sql.Tx) error {
			at, err := e.version(ctx, tx)
			if err != nil {
				return err
			}
			if at > newest {
				return newer(at, newest)
			}
			i := slices.IndexFunc(list, func(s step) bool { return s.version > at })
			if i < 0 {
				done = true
				return nil
			}
			if err := e.step(ctx, tx, list[i]); err != nil {
				return denied(err, fmt.Sprintf("its schema has version %d and this build needs %d", at, newest))
			}
			return nil
		})
		if err != nil || done {
			return err
		}
	}
}

// checkVersion refuses a database that has another schema than this build
// makes.
func (e *engine) checkVersion(ctx context.Context) error {
	list := steps(e.track, e.postgres)
	newest := list[len(list)-1].version
	at, err := e.schema(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("open %s database: %w", e.track, err)
	case at == 0:
		return fmt.Errorf("open %s database: nothing is in it yet: %w", e.track, dormer.ErrNotFound)
	case at > newest:
		return fmt.Errorf("open %s database: %w", e.track, newer(at, newest))
	case at < newest:
		return fmt.Errorf("open %s database: its schema has version %d and this build needs %d; let the server of this version start first, or use dormerd of the version that runs: %w",
			e.track, at, newest, dormer.ErrUnsupported)
	}
	return nil
}

func newer(at, newest int) error {
	return fmt.Errorf("its schema has version %d and this build knows %d: it was used by a newer dormerd, which is needed to go on: %w",
		at, newest, dormer.ErrUnsupported)
}

// denied says what to do when a role of an instance may not migrate.
func denied(err error, why string) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42501" {
		return fmt.Errorf("%s: let who owns the database migrate it (dormerd database migrate --admin-url-file): %w", why, dormer.ErrDenied)
	}
	return err
}

// step takes one step.
func (e *engine) step(ctx context.Context, tx *sql.Tx, s step) error {
	if err := e.script(ctx, tx, s.text); err != nil {
		return fmt.Errorf("step %d: %w", s.version, err)
	}
	if s.fill != nil {
		if err := s.fill(ctx, e, tx); err != nil {
			return fmt.Errorf("step %d: %w", s.version, err)
		}
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO schema_version (track, version) VALUES ($1, $2)
		ON CONFLICT (track) DO UPDATE SET version = excluded.version`, string(e.track), s.version)
	return err
}

// version returns the version of the schema, 0 for an empty database.
func (e *engine) version(ctx context.Context, tx *sql.Tx) (int, error) {
	const table = `CREATE TABLE IF NOT EXISTS schema_version (
	-- How far the migrations of a track have come.
	track TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
	version INTEGER NOT NULL
) STRICT;`
	text := table
	if e.postgres {
		text = postgresTypes.Replace(table)
		// Who may not make tables may not even try where it is there.
		there, err := one(ctx, tx, "find the version", value[bool], "SELECT to_regclass('schema_version') IS NOT NULL")
		if err != nil {
			return 0, err
		}
		if there {
			text = ""
		}
	}
	if text != "" {
		if err := e.script(ctx, tx, text); err != nil {
			return 0, err
		}
	}
	var v sql.NullInt64
	err := tx.QueryRowContext(ctx, "SELECT max(version) FROM schema_version WHERE track = $1", string(e.track)).Scan(&v)
	return int(v.Int64), err
}

// script runs several statements at once.
func (e *engine) script(ctx context.Context, tx *sql.Tx, text string) error {
	var err error
	if e.postgres {
		// Only the simple protocol takes more than one statement.
		_, err = tx.ExecContext(ctx, text, pgx.QueryExecModeSimpleProtocol)
	} else {
		_, err = tx.ExecContext(ctx, text)
	}
	return err
}
