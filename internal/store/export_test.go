package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
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
	e, err := openBare(dsn)
	if err != nil {
		return err
	}
	list := steps(trackState, e.postgres)
	return errors.Join(e.migrate(ctx, list[:version]), e.Close())
}

func openBare(dsn string) (e *engine, err error) {
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		e, err = openSQLite(path, Options{})
	} else {
		e, err = openPostgres(dsn, Options{})
	}
	if err == nil {
		e.track = trackState
	}
	return e, err
}
