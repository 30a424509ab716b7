package store_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/store/storetest"
)

// engines are the databases that the suites run on. dsn returns that of an
// empty one, which is gone when the test ends.
var engines = []struct {
	name string
	dsn  func(t testing.TB) string
}{
	{"sqlite", func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "test.db") }},
	{"postgres", postgresDSN},
}

// postgresDSN makes a schema in the server that DORMER_TEST_POSTGRES names.
func postgresDSN(t testing.TB) string {
	server := os.Getenv("DORMER_TEST_POSTGRES")
	if server == "" {
		const missing = "DORMER_TEST_POSTGRES is not set: PostgreSQL is not tested (scripts/with-postgres.sh starts one)"
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	schema := "dormer_" + strings.ToLower(rand.Text())
	if _, err := db.ExecContext(t.Context(), "CREATE SCHEMA "+schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The test's own context is over by now.
		if _, err := db.ExecContext(context.WithoutCancel(t.Context()), "DROP SCHEMA "+schema+" CASCADE"); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

func openState(t testing.TB, dsn string) *store.State {
	t.Helper()
	s, err := store.OpenState(t.Context(), dsn, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func openEvents(t testing.TB, dsn string) *store.Events {
	t.Helper()
	s, err := store.OpenEvents(t.Context(), dsn, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Run("state", func(t *testing.T) {
				storetest.RunState(t, func(t *testing.T) storetest.State { return openState(t, e.dsn(t)) })
			})
			t.Run("events", func(t *testing.T) {
				storetest.RunEvents(t, func(t *testing.T) storetest.Events { return openEvents(t, e.dsn(t)) })
			})
		})
	}
}
