package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/dump"
)

// CheckDump refuses a dump that this build cannot load. ErrUnsupported when its
// schema is newer.
func CheckDump(h dump.Header) error {
	t := track(h.Track)
	if t != trackState && t != trackEvents {
		return fmt.Errorf("the dump is of no database of dormerd: %w", dormer.ErrCorrupt)
	}
	list := steps(t, false)
	if newest := list[len(list)-1].version; h.Schema > newest {
		return fmt.Errorf("the dump of the %s database has schema version %d and this build knows %d: it was made by a newer dormerd, which is needed to load it: %w",
			t, h.Schema, newest, dormer.ErrUnsupported)
	}
	return nil
}

// Identity says whose state the database at dsn holds, and changes nothing.
// ErrNotFound when it holds none: the file or the tables are not there.
func Identity(ctx context.Context, dsn string) (dormer.InstanceID, dormer.Epoch, error) {
	var e *engine
	var err error
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return "", 0, fmt.Errorf("read the identity in %s: %w", path, dormer.ErrNotFound)
		}
		e, err = openSQLite(path, Options{Readers: 1, KeepWAL: true})
	} else {
		e, err = openPostgres(dsn, Options{Readers: 1, Writers: 1})
	}
	if err != nil {
		return "", 0, fmt.Errorf("read the identity: %w", err)
	}
	var id dormer.InstanceID
	var epoch dormer.Epoch
	err = e.identity(ctx, &id, &epoch)
	return id, epoch, errors.Join(err, e.Close())
}

func (e *engine) identity(ctx context.Context, id *dormer.InstanceID, epoch *dormer.Epoch) error {
	query := "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'instance'"
	if e.postgres {
		query = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'instance'"
	}
	n, err := one(ctx, e.read, "read the identity", value[int], query)
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("read the identity: %w", dormer.ErrNotFound)
	}
	err = e.read.QueryRowContext(ctx, "SELECT id, epoch FROM instance").Scan(id, epoch)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read the identity: %w", dormer.ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("read the identity: %w", kind(err))
	}
	return nil
}
