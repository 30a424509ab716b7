package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/dump"
)

// LimitPages bounds the size of a SQLite database, as a full disk does.
func LimitPages(t *testing.T, s *Events, pages int) {
	t.Helper()
	if _, err := s.db.write.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
		t.Fatal(err)
	}
}

// MigrateFurther opens a state database and runs one more step than there is.
func MigrateFurther(ctx context.Context, dsn, text string) error {
	s, err := OpenState(ctx, dsn, Options{})
	if err != nil {
		return err
	}
	list := steps(trackState, s.db.postgres)
	err = s.db.migrate(ctx, append(list, step{version: list[len(list)-1].version + 1, text: text}))
	return errors.Join(err, s.Close())
}

// PartitionsOf returns the tables that hold events on PostgreSQL.
func PartitionsOf(t *testing.T, s *Events) []string {
	t.Helper()
	list, err := all(t.Context(), s.db.read, "list partitions", value[string],
		"SELECT relid::text FROM pg_partition_tree('events') WHERE isleaf ORDER BY 1")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// MigrateTo makes a state database as a build did that knew steps up to
// version.
func MigrateTo(ctx context.Context, dsn string, version int) error {
	return migrateTo(ctx, dsn, trackState, version)
}

// MigrateEventsTo is MigrateTo for events.
func MigrateEventsTo(ctx context.Context, dsn string, version int) error {
	return migrateTo(ctx, dsn, trackEvents, version)
}

func migrateTo(ctx context.Context, dsn string, t track, version int) error {
	e, err := connect(dsn, t, Options{})
	if err != nil {
		return err
	}
	list := steps(t, e.postgres)
	return errors.Join(e.migrate(ctx, list[:version]), e.Close())
}

// Newest returns the newest version of a track.
func Newest(name string) int { return len(steps(track(name), false)) }

// FirstDumped is the first version of events that dumps are made of.
const FirstDumped = firstDumped

// TableOf is a table of a dump, and whether its rows are numbered.
type TableOf struct {
	dump.Table
	Numbered bool
}

// TablesOf returns the tables of a dump in their order.
func TablesOf(t *testing.T, name string, version int) []TableOf {
	t.Helper()
	list, err := tablesOf(t.Context(), track(name), version)
	if err != nil {
		t.Fatal(err)
	}
	tables := []TableOf{{Table: givenTable}}
	for _, d := range list {
		tables = append(tables, TableOf{Table: d.Table, Numbered: d.numbered})
	}
	return tables
}

// SizeOf returns the bytes of the events and their indexes.
func SizeOf(t testing.TB, s *Events) int64 {
	t.Helper()
	query := "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
	if s.db.postgres {
		query = "SELECT coalesce(sum(pg_total_relation_size(relid)), 0)::bigint FROM pg_partition_tree('events')"
	}
	n, err := one(t.Context(), s.db.write, "find size", value[int64], query)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Unguarded returns tables with rows of instances that have no row-level
// security. Nobody reads partitions themselves.
func Unguarded(t *testing.T, s *Events) []string {
	t.Helper()
	list, err := all(t.Context(), s.db.read, "list tables", value[string], `SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND NOT c.relrowsecurity
			AND a.attname = 'instance'`)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// VerifierOf is what is stored of a password.
func VerifierOf(password string, salt []byte) (string, error) { return scramVerifierOf(password, salt) }

// SetReadOnly makes a database refuse to store anything.
func SetReadOnly(t *testing.T, s *Events, on bool) {
	t.Helper()
	text := fmt.Sprintf("PRAGMA query_only = %t", on)
	s.db.write.SetMaxOpenConns(1)
	if s.db.postgres {
		text = fmt.Sprintf("SET default_transaction_read_only = %t", on)
	}
	if _, err := s.db.write.ExecContext(t.Context(), text); err != nil {
		t.Fatal(err)
	}
}

// SetBusyTime sets how long a store waits for others who write to its file.
func SetBusyTime(t *testing.T, s *Events, d time.Duration) {
	t.Helper()
	if _, err := s.db.write.ExecContext(t.Context(), fmt.Sprintf("PRAGMA busy_timeout = %d", d.Milliseconds())); err != nil {
		t.Fatal(err)
	}
}

// Rowcounts counts the contexts and the journals.
func Rowcounts(t *testing.T, s *Events) (contexts, journals int) {
	t.Helper()
	if err := s.db.read.QueryRowContext(t.Context(), "SELECT (SELECT count(*) FROM contexts), (SELECT count(*) FROM journals)").Scan(&contexts, &journals); err != nil {
		t.Fatal(err)
	}
	return contexts, journals
}
