package server_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// mustNotSkip fails a test where none may be skipped.
func mustNotSkip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("DORMER_TEST_ALL") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// postgresDSN makes a schema in the server that DORMER_TEST_POSTGRES names.
func postgresDSN(t *testing.T) string {
	t.Helper()
	server := os.Getenv("DORMER_TEST_POSTGRES")
	if server == "" {
		mustNotSkip(t, "DORMER_TEST_POSTGRES is not set: PostgreSQL is not tested (scripts/with-postgres.sh starts one)")
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
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
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

func (i *instance) write(name, content string) string {
	i.t.Helper()
	path := filepath.Join(i.dir, name)
	if err := os.WriteFile(path, []byte(content+"\n"), 0o600); err != nil {
		i.t.Fatal(err)
	}
	return path
}

// TestRestoreIntoTheOtherEngine and back, each time from a running server.
func TestRestoreIntoTheOtherEngine(t *testing.T) {
	dsn := postgresDSN(t)
	i := newInstance(t, "")
	process := i.start()
	c := i.client()
	before, err := c.Instance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const groups = 30
	for n := range groups {
		if _, err := c.CreateGroup(t.Context(), fmt.Sprint("group", n)); err != nil {
			t.Fatal(err)
		}
	}
	first := filepath.Join(t.TempDir(), "first.backup")
	i.must("backup", "create", first, "-c", i.config)
	_ = process.Process.Kill()
	_, _ = process.Process.Wait()
	same := func() {
		t.Helper()
		after, err := c.Instance(t.Context())
		if err != nil || after.ID != before.ID || after.Epoch <= before.Epoch {
			t.Errorf("instance was %+v, is %+v, %v", before, after, err)
		}
		before = after
		if all, err := c.Groups(t.Context()); err != nil || len(all) != groups {
			t.Errorf("%d groups, %v", len(all), err)
		}
	}

	j := i.beside(t.TempDir())
	address := j.write("dsn", dsn)
	out := j.must("backup", "restore", first, "--data", j.data, "--state-dsn-file", address, "--events-dsn-file", address)
	if strings.Contains(out, dsn) {
		t.Errorf("the address of the database was printed:\n%s", out)
	}
	process = j.start()
	same()
	second := filepath.Join(t.TempDir(), "second.backup")
	j.must("backup", "create", second, "-c", j.config)
	if out := j.must("backup", "show", second); !strings.Contains(out, "state (from postgres), events (from postgres)") {
		t.Errorf("show: %s", out)
	}
	_ = process.Process.Kill()
	_, _ = process.Process.Wait()
	k := i.beside(t.TempDir())
	k.refused("the state database holds this instance", "backup", "restore", second, "--data", k.data)
	k.must("backup", "restore", second, "--data", k.data,
		"--state-dsn-file", k.write("state", "sqlite:"+filepath.Join(k.dir, "s.db")), "--events-dsn-file", k.write("events", "sqlite:"+filepath.Join(k.dir, "e.db")))
	k.start()
	same()
}

// TestBackupOnAFullDisk leaves nothing, and is told of.
func TestBackupOnAFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		mustNotSkip(t, "it needs root, to mount a small file system")
	}
	i := newInstance(t, "")
	i.must("init", "-c", i.config)
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=4k,mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	i.refused("no space left", "backup", "create", filepath.Join(disk, "one.backup"), "-c", i.config)
	if entries, err := os.ReadDir(disk); err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
	i.start()
	page, err := i.client().Audit(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range page.Items {
		if r.Action == "instance.backup" {
			t.Errorf("a backup that failed is recorded as made: %+v", r)
		}
	}
	db, err := sql.Open("sqlite", filepath.Join(i.data, "events.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM events WHERE code = 811").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d events of it, %v", n, err)
	}
}
