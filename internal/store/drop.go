package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
)

// ClearEvents removes all events of an instance, and what was counted of them.
// Watermarks stay, so that no client's event is stored a second time, and
// alerts, which hold now.
func (s *Events) ClearEvents(ctx context.Context, i dormer.InstanceID) (int64, error) {
	// Later than any event, and still a day that can be reckoned with.
	n, err := s.DeleteEventsBefore(ctx, i, time.UnixMicro(math.MaxInt64/2))
	if err != nil {
		return n, err
	}
	return n, s.deleteOf(ctx, i, "clear events", "samples", "event_counts")
}

// DropInstance removes everything of an instance. Others that share the
// database keep theirs.
func (s *Events) DropInstance(ctx context.Context, i dormer.InstanceID) error {
	instance, err := s.instanceID(ctx, s.db.write, i)
	switch {
	case errors.Is(err, dormer.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	defer s.numbers.forget()
	defer s.partitions.forget()
	tables, err := tablesOf(ctx, trackEvents, len(steps(trackEvents, false)))
	if err != nil {
		return err
	}
	return s.db.update(ctx, "drop the events of the instance", func(tx *sql.Tx) error {
		for _, t := range slices.Backward(tables) {
			if !t.shared || s.db.postgres && t.Name == "events" {
				continue
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+t.Name+" WHERE instance = $1", instance); err != nil {
				return err
			}
		}
		query := "DELETE FROM instances WHERE id = $1"
		if s.db.postgres {
			query = "SELECT events_drop_instance($1)"
		}
		_, err := tx.ExecContext(ctx, query, instance)
		return err
	})
}

// deleteOf deletes an instance's rows of some tables.
func (s *Events) deleteOf(ctx context.Context, i dormer.InstanceID, what string, tables ...string) error {
	instance, err := s.instanceID(ctx, s.db.write, i)
	switch {
	case errors.Is(err, dormer.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	for _, t := range tables {
		if _, err := s.db.exec(ctx, what, "DELETE FROM "+t+" WHERE instance = $1", instance); err != nil {
			return err
		}
	}
	return nil
}

// Instances returns the instances that have something in the database, as far
// as its role sees them.
func (s *Events) Instances(ctx context.Context) ([]dormer.InstanceID, error) {
	return all(ctx, s.db.read, "list instances", value[dormer.InstanceID], "SELECT instance FROM instances ORDER BY instance")
}

// DropState removes the state database at dsn: the file, or on PostgreSQL the
// tables. The role and the database itself are an administrator's to drop.
func DropState(ctx context.Context, dsn string) (err error) {
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		return RemoveFile(path)
	}
	e, err := connect(dsn, trackState, Options{Readers: 1, Writers: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	return e.update(ctx, "drop state database", func(tx *sql.Tx) error {
		version, err := e.version(ctx, tx)
		if err != nil || version == 0 {
			return err
		}
		tables, err := tablesOf(ctx, trackState, version)
		if err != nil {
			return err
		}
		names := make([]string, len(tables))
		for i, t := range tables {
			names[i] = t.Name
		}
		if _, err := tx.ExecContext(ctx, "DROP TABLE "+strings.Join(names, ", ")); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM schema_version WHERE track = $1", string(trackState))
		return err
	})
}

// RemoveFile removes a SQLite database that nobody has open.
func RemoveFile(path string) error {
	for _, end := range []string{"-wal", "-shm", ""} {
		if err := os.Remove(path + end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove database: %w", err)
		}
	}
	return nil
}

// Users returns how many connections servers have to the database at dsn; 0 for
// a file, of which that is not known.
func Users(ctx context.Context, dsn string) (n int, err error) {
	if strings.HasPrefix(dsn, "sqlite:") {
		return 0, nil
	}
	cfg, err := adminConfig(dsn, "")
	if err != nil {
		return 0, err
	}
	e := openConfig(cfg, Options{Readers: 1, Writers: 1})
	defer func() { err = errors.Join(err, e.Close()) }()
	return one(ctx, e.read, "look who uses the database", value[int], `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND usename = current_user AND application_name = 'dormer'`)
}
