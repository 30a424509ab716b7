package store_test

import (
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/store"
)

var update = flag.Bool("update", false, "write schema_*.sql anew")

// TestSchema holds the readable schemas against what the migrations make.
func TestSchema(t *testing.T) {
	for _, test := range []struct {
		track string
		open  func(t testing.TB, dsn string)
	}{
		{"state", func(t testing.TB, dsn string) { openState(t, dsn) }},
		{"events", func(t testing.TB, dsn string) { openEvents(t, dsn) }},
	} {
		t.Run(test.track, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "test.db")
			test.open(t, "sqlite:"+path)
			got := "-- The " + test.track + " database after all migrations, on SQLite, for reading. Compared by\n" +
				"-- TestSchema; `go test ./internal/store -run TestSchema -update` writes it.\n\n" + schemaOf(t, path)
			file := "schema_" + test.track + ".sql"
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s is not what the migrations make (-file +database):\n%s", file, diff)
			}
		})
	}
}

func schemaOf(t *testing.T, path string) string {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), `SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'
		ORDER BY tbl_name, type DESC, name`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(text, "CREATE TABLE") && (!strings.Contains(text[strings.LastIndex(text, ")"):], " STRICT") || !strings.Contains(text, "\n\t-- ")) {
			t.Errorf("a table is not STRICT or has no comment:\n%s", text)
		}
		list = append(list, text+";\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(list, "\n")
}

// TestMigrateAgain opens databases twice, and several at once.
func TestMigrateAgain(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			dsn := e.dsn(t)
			errs := make(chan error)
			const openers = 4
			for range openers {
				go func() {
					s, err := store.OpenState(t.Context(), dsn, store.Options{})
					if err == nil {
						err = s.Close()
					}
					errs <- err
				}()
			}
			for range openers {
				if err := <-errs; err != nil {
					t.Error(err)
				}
			}
			openState(t, dsn)
			if e.name == "postgres" {
				// Both tracks live in one database there if they must.
				openEvents(t, dsn)
			}
		})
	}
}

// TestOpenWhileOtherMakes opens a file that another is about to make its first
// tables in: it waits, where SQLite alone would say at once that it is busy.
func TestOpenWhileOtherMakes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() {
		s, err := store.OpenState(t.Context(), "sqlite:"+path, store.Options{})
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Errorf("it did not wait: %v", err)
		opened <- err
	case <-time.After(200 * time.Millisecond):
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Error(err)
	}
}

// TestLocksStay opens a file a second time in one process: the locks of the
// first go on to hold against other processes.
func TestLocksStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	openState(t, "sqlite:"+path)
	before := locksOf(t, path)
	if before == 0 {
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatal("there are no locks on a file that is open")
		}
		t.Skip("the system does not list locks of files")
	}
	s, err := store.OpenState(t.Context(), "sqlite:"+path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if after := locksOf(t, path); after < before {
		t.Errorf("%d locks on the file, %d before it was opened again", after, before)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if after := locksOf(t, path); after < before {
		t.Errorf("%d locks on the file, %d before it was opened and closed again", after, before)
	}
}

// locksOf counts the locks that this process holds on a file.
func locksOf(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("/proc/locks")
	if err != nil {
		return 0
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, fmt.Sprintf(" %d ", os.Getpid())) && strings.Contains(line, fmt.Sprintf(":%d ", stat.Ino)) {
			n++
		}
	}
	return n
}

// TestOpenAsIs makes nothing and migrates nothing.
func TestOpenAsIs(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			ctx, dsn := t.Context(), e.dsn(t)
			open := func() error {
				s, err := store.OpenState(ctx, dsn, store.Options{AsIs: true})
				if err != nil {
					return err
				}
				return s.Close()
			}
			if err := open(); !errors.Is(err, dormer.ErrNotFound) {
				t.Errorf("nothing there: error is %v, want %v", err, dormer.ErrNotFound)
			}
			if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
				if _, err := os.Stat(path); err == nil {
					t.Error("a file was made")
				}
			}
			if err := store.MigrateTo(ctx, dsn, 1); err != nil {
				t.Fatal(err)
			}
			if err := open(); !errors.Is(err, dormer.ErrUnsupported) || !strings.Contains(err.Error(), "version 1") {
				t.Errorf("an older schema: error is %v, want one that names its version", err)
			}
			if x, err := store.ExamineState(ctx, dsn); err != nil || x.Schema != 1 {
				t.Errorf("its schema is %d now (%v)", x.Schema, err)
			}
			openState(t, dsn)
			if err := open(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestNewerSchema refuses a database that a later version has migrated.
func TestNewerSchema(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			dsn := e.dsn(t)
			openState(t, dsn)
			driver, name := "pgx", dsn
			if path, isSQLite := strings.CutPrefix(dsn, "sqlite:"); isSQLite {
				driver, name = "sqlite", path
			}
			db, err := sql.Open(driver, name)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.ExecContext(t.Context(), "UPDATE schema_version SET version = version + 1"); err != nil {
				t.Fatal(err)
			}
			_, err = store.OpenState(t.Context(), dsn, store.Options{})
			if !errors.Is(err, dormer.ErrUnsupported) || !strings.Contains(err.Error(), "newer dormerd") {
				t.Errorf("error is %v, want one that names a newer dormerd", err)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("this is no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		dsn  string
		want error
	}{
		{"", dormer.ErrInvalid},
		{"mysql:whatever", dormer.ErrInvalid},
		{"sqlite:", dormer.ErrInvalid},
		{"postgres://user:secret@host:notaport/x", dormer.ErrInvalid},
		{"sqlite:" + garbage, dormer.ErrCorrupt},
		{"sqlite:" + filepath.Join(dir, "no", "such", "folder.db"), dormer.ErrUnavailable},
		{"postgres://user:secret@127.0.0.1:1/x?connect_timeout=2", dormer.ErrUnavailable},
	} {
		s, err := store.OpenState(t.Context(), test.dsn, store.Options{})
		if err == nil {
			t.Errorf("%q was opened", test.dsn)
			s.Close()
			continue
		}
		if !errors.Is(err, test.want) {
			t.Errorf("%q: error is %v, want %v", test.dsn, err, test.want)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error tells the password: %v", test.dsn, err)
		}
	}
}

// TestFileMode makes sure that only the owner can read a database, its journal
// files too.
func TestFileMode(t *testing.T) {
	dir := t.TempDir()
	openState(t, "sqlite:"+filepath.Join(dir, "odd name?&#%41.db"))
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 3 {
		t.Errorf("%d files, want the database, its write-ahead log and its shared memory: %v", len(entries), entries)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", entry.Name(), info.Mode())
		}
	}
}
