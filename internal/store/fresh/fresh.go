// Package fresh gives tests databases on SQLite as migrations leave them, without
// migrating each: most tests of a package open several, and of what happens then
// package store has tests of its own.
package fresh

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/dormer-project/dormer/internal/store"
)

// Names of the files that Lay makes.
const (
	StateFile  = "state.db"
	EventsFile = "events.db"
)

// Lay puts an empty state database and an empty event database into dir.
func Lay(t testing.TB, dir string) {
	t.Helper()
	for name, content := range map[string]func() ([]byte, error){StateFile: state, EventsFile: events} {
		b, err := content()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// State opens an empty state database of its own. The caller closes it.
func State(t testing.TB) *store.State {
	t.Helper()
	dir := t.TempDir()
	Lay(t, dir)
	s, err := store.OpenState(t.Context(), "sqlite:"+filepath.Join(dir, StateFile), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var (
	state = sync.OnceValues(func() ([]byte, error) {
		return migrated(func(ctx context.Context, dsn string) (interface{ Close() error }, error) {
			return store.OpenState(ctx, dsn, store.Options{})
		})
	})
	events = sync.OnceValues(func() ([]byte, error) {
		return migrated(func(ctx context.Context, dsn string) (interface{ Close() error }, error) {
			return store.OpenEvents(ctx, dsn, store.Options{})
		})
	})
)

// migrated returns the file of a database that open made.
func migrated(open func(ctx context.Context, dsn string) (interface{ Close() error }, error)) (b []byte, err error) {
	dir, err := os.MkdirTemp("", "dormer-fresh-")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "new.db")
	db, err := open(context.Background(), "sqlite:"+path)
	if err != nil {
		return nil, err
	}
	// Who closes it last writes its log into the file.
	if err := db.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}
