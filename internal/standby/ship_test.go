package standby

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/dormer-project/dormer"
)

const instance = dormer.InstanceID("an-instance")

// primary is a database, keys and images that are shipped.
type primary struct {
	t       *testing.T
	dir     string
	owner   string
	epoch   dormer.Epoch
	db      *sql.DB
	shipper *Shipper
	fenced  chan dormer.Epoch
	stop    func()
}

func testLogger(t *testing.T) *slog.Logger {
	if os.Getenv("DORMER_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func keyFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("AGE-SECRET-KEY-1N9JEPW6DWJ0ZQUDX63F5A03GX8QUW7PXDE39N8UYF82VZ9PC8UFS3M7XA9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func testLock(t *testing.T) *Lock {
	t.Helper()
	l, err := ReadLock(keyFile(t))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func openDatabase(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func newPrimary(t *testing.T) *primary {
	t.Helper()
	p := &primary{t: t, dir: t.TempDir(), owner: NewOwner(), epoch: 1}
	p.db = openDatabase(t, filepath.Join(p.dir, "state.db"))
	p.exec("CREATE TABLE rows (n INTEGER PRIMARY KEY)")
	write(t, filepath.Join(p.dir, "keys", "root.key"), "a root key")
	write(t, filepath.Join(p.dir, "keys", "tls", "authority.pem"), "an authority")
	write(t, filepath.Join(p.dir, "config.toml"), "data = \"/x\"\n")
	write(t, filepath.Join(p.dir, "repository", "packs", "ab", "abcd"), "a pack")
	write(t, filepath.Join(p.dir, "repository", "names", "i", "office", "000000001"), "a name")
	write(t, filepath.Join(p.dir, "repository", "pending", "i", "x"), "a push")
	return p
}

func (p *primary) exec(query string) {
	p.t.Helper()
	if _, err := p.db.Exec(query); err != nil {
		p.t.Fatal(err)
	}
}

func (p *primary) insert(n int) { p.exec(fmt.Sprintf("INSERT INTO rows VALUES (%d)", n)) }

// rule makes a shipper and lets it rule.
func (p *primary) rule(target *Target) error {
	p.fenced = make(chan dormer.Epoch, 1)
	fenced := p.fenced
	p.shipper = NewShipper(ShipConfig{
		Target: target, Lock: testLock(p.t), Instance: instance, Epoch: p.epoch, Owner: p.owner, Host: "primary",
		Databases: map[string]string{"state": filepath.Join(p.dir, "state.db")},
		Keys:      filepath.Join(p.dir, "keys"), Config: filepath.Join(p.dir, "config.toml"), Repository: filepath.Join(p.dir, "repository"),
		Interval: 20 * time.Millisecond, Fenced: func(e dormer.Epoch) { fenced <- e }, Now: time.Now, Logger: testLogger(p.t),
	})
	return p.shipper.Rule(p.t.Context(), false)
}

// run rules and ships until the test ends or stop is called.
func (p *primary) run(target *Target) {
	p.t.Helper()
	if err := p.rule(target); err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	s := p.shipper
	go func() { ended <- s.Run(ctx) }()
	p.stop = func() {
		cancel()
		if err := errors.Join(<-ended, s.Close()); err != nil {
			p.t.Error(err)
		}
		p.stop = func() {}
	}
	p.t.Cleanup(func() { p.stop() })
}

func (p *primary) sync() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	defer cancel()
	if err := p.shipper.Sync(ctx); err != nil {
		p.t.Fatal(err)
	}
}

func testFollower(t *testing.T, target *Target) (*Follower, string) {
	t.Helper()
	dir := t.TempDir()
	f, err := NewFollower(FollowConfig{
		Target: target, Lock: testLock(t), Owner: NewOwner(), Host: "standby", Dir: filepath.Join(dir, "following"),
		Databases: []string{"state"}, Repository: filepath.Join(dir, "repository"), Interval: 20 * time.Millisecond, Now: time.Now, Logger: testLogger(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	return f, dir
}

func rows(t *testing.T, path string) int {
	t.Helper()
	// A copy: the file is a follower's.
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	write(t, copied, string(b))
	db := openDatabase(t, copied)
	var n int
	var ok string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&ok); err != nil || ok != "ok" {
		t.Fatalf("integrity: %s, %v", ok, err)
	}
	if err := db.QueryRow("SELECT count(*) FROM rows").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("never: %s", what)
		}
	}
}

// everyTarget runs a test on each kind of target that can be had here.
func everyTarget(t *testing.T, test func(t *testing.T, open func() *Target)) {
	t.Run("folder", func(t *testing.T) {
		url := "file://" + filepath.Join(t.TempDir(), "target")
		test(t, func() *Target { return openTarget(t, TargetConfig{URL: url}) })
	})
	t.Run("bucket", func(t *testing.T) {
		c := startBucket(t)
		test(t, func() *Target { return openTarget(t, c) })
	})
	t.Run("sftp", func(t *testing.T) {
		c := startSSH(t)
		test(t, func() *Target { return openTarget(t, c) })
	})
}

func openTarget(t *testing.T, c TargetConfig) *Target {
	t.Helper()
	c.Logger = testLogger(t)
	target, err := OpenTarget(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Close() })
	return target
}

// TestShipFollowClaim ships, follows, claims and takes over.
func TestShipFollowClaim(t *testing.T) {
	everyTarget(t, func(t *testing.T, open func() *Target) {
		p, target := newPrimary(t), open()
		p.run(target)
		for n := range 50 {
			p.insert(n)
		}
		p.sync()
		f, dir := testFollower(t, open())
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx) }()
		eventually(t, "the follower has the keys", func() bool {
			_, err := os.Stat(filepath.Join(f.Keys(), "root.key"))
			return err == nil
		})
		for n := range 50 {
			p.insert(100 + n)
		}
		p.sync()
		name := filepath.Join(dir, "repository", "names", "i", "office", "000000001")
		eventually(t, "the follower has the images", func() bool {
			_, err := os.Stat(name)
			return err == nil
		})
		eventually(t, "the follower is there", func() bool {
			r, problem := f.State()
			return problem == "" && r.Behind == 0 && r.Source == 1
		})
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		// The primary goes on while nobody follows, and is then superseded.
		for n := range 50 {
			p.insert(200 + n)
		}
		p.sync()
		if err := f.CatchUp(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		r, err := target.Claim(t.Context(), f.cfg.Owner, "standby", 2, false, time.Now())
		if err != nil || r.Epoch != 2 || r.Source != 1 {
			t.Fatalf("claim: %+v, %v", r, err)
		}
		if again, err := target.Claim(t.Context(), f.cfg.Owner, "standby", 2, false, time.Now()); err != nil || again.Epoch != 2 {
			t.Errorf("claim again: %+v, %v", again, err)
		}
		// What is committed from now on must not be called safe.
		p.insert(999)
		if err := p.shipper.Sync(t.Context()); !errors.Is(err, dormer.ErrFenced) {
			t.Errorf("sync of a superseded primary: %v", err)
		}
		if e := <-p.fenced; e != 2 {
			t.Errorf("fenced by %d", e)
		}
		if err := f.CatchUp(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if n := rows(t, f.Database("state")); n < 150 {
			t.Errorf("%d rows arrived", n)
		}
		for file, want := range map[string]string{
			filepath.Join(f.Keys(), "root.key"): "a root key", filepath.Join(f.Keys(), "tls", "authority.pem"): "an authority",
			f.Config(): "data = \"/x\"\n", name: "a name", filepath.Join(dir, "repository", "packs", "ab", "abcd"): "a pack",
		} {
			if b, err := os.ReadFile(file); err != nil || string(b) != want {
				t.Errorf("%s: %q, %v", file, b, err)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "repository", "pending")); err == nil {
			t.Error("a push under way was copied")
		}
		p.stop()

		// The old primary refuses; the new one ships its own epoch, which the
		// next follower takes.
		if err := p.rule(open()); !errors.Is(err, dormer.ErrFenced) {
			t.Errorf("the old primary comes back: %v", err)
		}
		q := newPrimary(t)
		q.epoch, q.owner = 2, f.cfg.Owner
		q.run(open())
		q.insert(1)
		q.sync()
		f2, _ := testFollower(t, open())
		r, err = target.ReadRecord(t.Context())
		if err != nil || r.Source != 2 {
			t.Fatalf("record: %+v, %v", r, err)
		}
		if err := f2.CatchUp(t.Context(), r.Source); err != nil {
			t.Fatal(err)
		}
		if n := rows(t, f2.Database("state")); n != 1 {
			t.Errorf("%d rows of the new epoch", n)
		}
	})
}

// TestRecordIsMadeOnce lets many claim at once: one wins.
func TestRecordIsMadeOnce(t *testing.T) {
	everyTarget(t, func(t *testing.T, open func() *Target) {
		p := newPrimary(t)
		p.run(open())
		p.sync()
		p.stop()
		const many = 6
		results := make(chan error, many)
		for n := range many {
			target := open()
			go func() {
				_, err := target.Claim(t.Context(), fmt.Sprint("owner", n), "host", 2, false, time.Now())
				results <- err
			}()
		}
		won := 0
		for range many {
			switch err := <-results; {
			case err == nil:
				won++
			case !errors.Is(err, dormer.ErrConflict):
				t.Error(err)
			}
		}
		r, err := open().ReadRecord(t.Context())
		if err != nil || won != 1 || r.Epoch != 2 {
			t.Errorf("%d won, the record is %+v, %v", won, r, err)
		}
		// Whoever has won may be gone for good.
		if r, err := open().Claim(t.Context(), "another", "host", 2, true, time.Now()); err != nil || r.Epoch != 3 || r.Source != 1 {
			t.Errorf("instead: %+v, %v", r, err)
		}
	})
}
