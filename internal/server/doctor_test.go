package server

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer/internal/directory/ldap"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/wire"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// examined runs the doctor on a configuration.
func examined(t *testing.T, cfg Config, change func(*doctor)) []rest.HealthPart {
	t.Helper()
	d := &doctor{
		cfg: cfg, configFile: filepath.Join(t.TempDir(), "none.toml"), now: time.Now, random: rand.Reader, hostname: "localhost",
		lookup: func(_ context.Context, name string) ([]string, error) {
			if name != "localhost" {
				return nil, errors.New("no such host")
			}
			return []string{"127.0.0.1"}, nil
		},
	}
	if change != nil {
		change(d)
	}
	if err := d.examine(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d.parts
}

// TestDoctor breaks one thing at a time in an instance that is well, and looks
// whether that is found, with what to do about it.
func TestDoctor(t *testing.T) {
	path := func(c Config, name ...string) string { return filepath.Join(append([]string{c.Data}, name...)...) }
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	change := func(t *testing.T, file, query string) {
		t.Helper()
		db, err := sql.Open("sqlite", file)
		must(t, err)
		_, err = db.ExecContext(t.Context(), query)
		must(t, errors.Join(err, db.Close()))
	}
	tell := func(t *testing.T, s *Server, code event.Code, age time.Duration) {
		t.Helper()
		at := time.Now().Add(-age)
		mark, err := s.events.Watermark(t.Context(), s.instance, "", "test")
		must(t, err)
		_, err = s.events.AppendEvents(t.Context(), []event.Batch{{
			Instance: s.instance, Journal: "test", Received: at, Events: []wire.NumberedEvent{{Sequence: mark + 1, Event: event.New(code, at, "")}},
		}})
		must(t, err)
	}
	const (
		ok, warning, wrong = rest.HealthOK, rest.HealthWarning, rest.HealthError
		day                = 24 * time.Hour
	)
	for _, c := range []struct {
		name string
		// before breaks something while the server is open, after when it was closed.
		before func(*testing.T, *Server)
		after  func(*testing.T, *Config)
		doctor func(*doctor)
		open   bool // the server stays open

		part   string
		status rest.Status
		found  string
	}{
		{name: "well", part: "state database", status: ok, found: "is durable in"},
		{name: "well", part: "data folder", status: ok, found: "no server runs on it"},
		{name: "well", part: "repository", status: ok, found: "0 versions"},
		{name: "runs", open: true, part: "data folder", status: ok, found: "dormerd runs on it (process"},
		{name: "data folder open to others", after: func(t *testing.T, c *Config) { must(t, os.Chmod(c.Data, 0o755)) }, part: "data folder", status: wrong, found: "others can enter"},
		{name: "key lost", after: func(t *testing.T, c *Config) { must(t, os.Remove(path(*c, dirKeys, keyEscrow))) }, part: "data folder", status: wrong, found: keyEscrow},
		{name: "key open to others", after: func(t *testing.T, c *Config) { must(t, os.Chmod(path(*c, dirKeys, keyRoot), 0o644)) }, part: "data folder", status: wrong, found: keyRoot},
		{name: "format of a newer version", after: func(t *testing.T, c *Config) {
			must(t, os.WriteFile(path(*c, fileFormat), []byte("dormer data 99\n"), 0o600))
		}, part: "data folder", status: wrong, found: "99"},
		{name: "superseded", after: func(t *testing.T, c *Config) { must(t, os.WriteFile(path(*c, fileFence), []byte("9\n"), 0o600)) }, part: "data folder", status: wrong, found: "taken over"},
		{name: "nothing can be stored", after: func(_ *testing.T, c *Config) { c.Data = "/proc/self" }, part: "data folder", status: wrong, found: "nothing can be stored"},
		{name: "secret open to others", after: func(t *testing.T, c *Config) {
			c.TLS = writePair(t, t.TempDir(), time.Now().Add(100*day))
			must(t, os.Chmod(c.TLS.Key, 0o644))
		}, part: "secrets", status: wrong, found: "tls.key"},
		{name: "secret lost", after: func(_ *testing.T, c *Config) {
			c.Directories = []DirectoryConfig{{Name: "corp", BindPasswordFile: "/no/such/file"}}
		}, part: "secrets", status: wrong, found: "directories[0].bind_password_file"},
		{
			name: "password in a file that others read", after: func(_ *testing.T, c *Config) { c.State.DSN = "postgres://dormer:x@127.0.0.1:1/dormer" },
			doctor: func(d *doctor) {
				d.configFile += ".readable"
				must(t, errors.Join(os.WriteFile(d.configFile, nil, 0o600), os.Chmod(d.configFile, 0o644)))
			}, part: "secrets", status: wrong, found: "a database's password",
		},
		{name: "certificate ended", after: func(t *testing.T, c *Config) { c.TLS = writePair(t, t.TempDir(), time.Now().Add(-time.Hour)) }, part: "certificate", status: wrong, found: "ended"},
		{name: "certificate ends soon", after: func(t *testing.T, c *Config) { c.TLS = writePair(t, t.TempDir(), time.Now().Add(20*day)) }, part: "certificate server", status: warning, found: "ends"},
		{name: "key of another certificate", after: func(t *testing.T, c *Config) {
			c.TLS = writePair(t, t.TempDir(), time.Now().Add(100*day))
			c.TLS.Key = writePair(t, t.TempDir(), time.Now().Add(100*day)).Key
		}, part: "certificate", status: wrong, found: "private key does not match"},
		{name: "certificate for another name", after: func(t *testing.T, c *Config) {
			c.TLS = writePair(t, t.TempDir(), time.Now().Add(100*day))
			c.PublicURLs = []string{"https://dormer.example.com"}
		}, part: "certificate", status: wrong, found: "dormer.example.com"},
		{name: "certificate of an unknown authority", after: func(t *testing.T, c *Config) { c.TLS = writePair(t, t.TempDir(), time.Now().Add(100*day)) }, part: "certificate", status: warning, found: "authority behind it"},
		{name: "own certificate lost", after: func(t *testing.T, c *Config) { must(t, os.Remove(path(*c, dirKeys, dirTLS, tlsAuthorityCert))) }, part: "certificate authority", status: wrong, found: tlsAuthorityCert},
		{name: "plain HTTP", after: func(_ *testing.T, c *Config) { c.TLS.Mode = TLSOff }, part: "certificate", status: warning, found: "readable"},
		{name: "port taken", after: func(t *testing.T, c *Config) { c.Listen = []string{taken(t)} }, part: "listen[0]", status: wrong, found: "another program"},
		{name: "address of another computer", after: func(_ *testing.T, c *Config) { c.Listen = []string{"192.0.2.1:8443"} }, part: "listen[0]", status: wrong, found: "192.0.2.1"},
		{name: "runs and does not answer", open: true, part: "listen[0]", status: wrong, found: "refused"},
		{name: "name that nobody finds", after: func(_ *testing.T, c *Config) { c.PublicURLs = []string{"https://dormer.example.com"} }, part: "public_urls", status: warning, found: "dormer.example.com is not found"},
		{name: "state database lost", open: true, after: func(_ *testing.T, c *Config) { c.State.DSN = "sqlite:/no/such/file" }, part: "state database", status: wrong, found: "/no/such/file"},
		{name: "state database open to others", after: func(t *testing.T, c *Config) { must(t, os.Chmod(path(*c, fileState), 0o640)) }, part: "state database", status: wrong, found: "chmod 600"},
		{name: "state database damaged", after: func(t *testing.T, c *Config) { damage(t, path(*c, fileState)) }, part: "state database", status: wrong, found: ""},
		{name: "state database of a newer version", after: func(t *testing.T, c *Config) {
			change(t, path(*c, fileState), "UPDATE schema_version SET version = 99 WHERE track = 'state'")
		}, part: "state database", status: wrong, found: "99"},
		{name: "events database of an older version", after: func(t *testing.T, c *Config) {
			change(t, path(*c, fileEvents), "UPDATE schema_version SET version = 1 WHERE track = 'events'")
		}, part: "events database", status: warning, found: "schema 1"},
		{name: "PostgreSQL away", after: func(_ *testing.T, c *Config) { c.Events.DSN = "postgres://dormer@127.0.0.1:1/dormer" }, part: "events database", status: wrong, found: "127.0.0.1"},
		{name: "retention does not run", before: func(t *testing.T, s *Server) { tell(t, s, event.ServerStarted, 95*day) }, part: "events", status: warning, found: "the oldest is of"},
		{name: "events for good", before: func(t *testing.T, s *Server) { tell(t, s, event.ServerStarted, 0) }, after: func(_ *testing.T, c *Config) { c.Events.RetentionDays = 0 }, part: "events", status: warning, found: "for good"},
		{name: "no backup", part: "backup", status: warning, found: "no word"},
		{name: "backup", before: func(t *testing.T, s *Server) { tell(t, s, event.BackupMade, day) }, part: "backup", status: ok, found: "last one"},
		{name: "old backup", before: func(t *testing.T, s *Server) { tell(t, s, event.BackupMade, 8*day) }, part: "backup", status: warning, found: "last one"},
		{name: "backup failed", before: func(t *testing.T, s *Server) {
			tell(t, s, event.BackupMade, day)
			tell(t, s, event.BackupFailed, time.Hour)
		}, part: "backup", status: wrong, found: "failed"},
		{name: "repository lost", after: func(t *testing.T, c *Config) { must(t, os.RemoveAll(path(*c, dirRepository))) }, part: "repository", status: wrong, found: dirRepository},
		{name: "record of an image damaged", before: func(t *testing.T, s *Server) {
			dir := path(s.cfg, dirRepository, "names", string(s.instance), "office")
			must(t, errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "1"), []byte("{}"), 0o600)))
		}, part: "repository", status: wrong, found: "office/1"},
		{name: "standby's target away", after: standbyAt("s3://bucket/dormer"), part: "standby", status: wrong, found: "127.0.0.1:1"},
		{name: "nothing shipped", after: standbyAt(""), part: "standby", status: warning, found: "nothing is at"},
		{name: "directory away", after: func(_ *testing.T, c *Config) {
			c.Directories = []DirectoryConfig{{Name: "corp", Type: ldap.Plain, Servers: []string{"ldaps://127.0.0.1:1"}, Base: "dc=example,dc=com", Timeout: Duration(time.Second)}}
		}, part: "directory corp", status: wrong, found: "127.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := testServer(t, func(*Config) {})
			must(t, err)
			if c.before != nil {
				c.before(t, s)
			}
			cfg := s.cfg
			cfg.Listen = []string{free(t)}
			if !c.open {
				must(t, s.Close())
			}
			if c.after != nil {
				c.after(t, &cfg)
			}
			parts := examined(t, cfg, c.doctor)
			for _, p := range parts {
				if p.Part == c.part && p.Status == c.status && strings.Contains(p.Found, c.found) && (p.Status == ok || p.ToDo != "") {
					return
				}
			}
			t.Errorf("not found: %s %s with %q in %+v", c.status, c.part, c.found, parts)
		})
	}
}

// standbyAt sets a target; "" is an empty folder.
func standbyAt(target string) func(*testing.T, *Config) {
	return func(t *testing.T, c *Config) {
		dir := t.TempDir()
		c.Standby.KeyFile = filepath.Join(dir, "key")
		key, err := age.GenerateX25519Identity() // quicker than a passphrase
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(c.Standby.KeyFile, []byte(key.String()+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c.Standby.Target, c.Standby.S3Endpoint, c.Standby.CredentialsFile = target, "http://127.0.0.1:1", filepath.Join(dir, "credentials")
		if err := os.WriteFile(c.Standby.CredentialsFile, []byte("id\nsecret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if target == "" {
			c.Standby.Target = "file://" + dir
		}
	}
}

// free is an address that nothing listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// taken is an address that another program listens on.
func taken(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// damage overwrites the pages of a database after its first.
func damage(t *testing.T, file string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(strings.Repeat("damage! ", 8192)), 4096); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDoctorLeavesAllAsItIs: a server that was examined has the same files, and
// one that runs goes on.
func TestDoctorLeavesAllAsItIs(t *testing.T) {
	s, err := testServer(t, func(*Config) {})
	if err != nil {
		t.Fatal(err)
	}
	names := func() string {
		var all []string
		if err := filepath.WalkDir(s.cfg.Data, func(p string, _ os.DirEntry, err error) error {
			all = append(all, p)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return strings.Join(all, "\n")
	}
	before := names()
	for _, p := range examined(t, s.cfg, nil) {
		if p.Status == rest.HealthError && !strings.HasPrefix(p.Part, "listen") {
			t.Errorf("%+v", p)
		}
	}
	if after := names(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if code, _ := text(t, s.Handler(), "/readyz", ""); code != 200 {
		t.Errorf("afterwards: status %d", code)
	}
	empty := s.cfg
	empty.Data = filepath.Join(t.TempDir(), "none")
	if p := examined(t, empty, nil); worst(p) == rest.HealthError {
		t.Errorf("a new server: %+v", p)
	}
	if _, err := os.Stat(empty.Data); !os.IsNotExist(err) {
		t.Errorf("the folder was made: %v", err)
	}
}

// TestDoctorOfAStandby: that another has taken over is found before a start is
// tried, and another instance's target.
func TestDoctorOfAStandby(t *testing.T) {
	t.Parallel() // the sign of life is written each ten seconds
	s, err := testServer(t, func(c *Config) { standbyAt("")(t, c) })
	if err != nil {
		t.Fatal(err)
	}
	shipping, stop := context.WithCancel(t.Context())
	shipped := make(chan error, 1)
	go func() { shipped <- s.shipper.Run(shipping) }()
	target, _, err := s.cfg.openTarget(s.deps)
	if err != nil {
		t.Fatal(err)
	}
	await(t, 30*time.Second, "whole copy", func() bool {
		r, err := target.ReadRecord(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, safe, err := target.Alive(t.Context(), r.Source)
		return err == nil && r.Source == r.Epoch && !safe.IsZero()
	})
	stop()
	if err := errors.Join(<-shipped, s.Close()); err != nil {
		t.Fatal(err)
	}
	said := func() rest.HealthPart {
		t.Helper()
		for _, p := range examined(t, s.cfg, nil) {
			if p.Part == "standby" {
				return p
			}
		}
		t.Fatal("nothing is said of the standby")
		return rest.HealthPart{}
	}
	if p := said(); p.Status != rest.HealthWarning || !strings.Contains(p.Found, "nobody follows") {
		t.Errorf("without a follower: %+v", p)
	}
	if _, err := target.Claim(t.Context(), "another", "standby.example.com", 0, true, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := target.Close(); err != nil {
		t.Fatal(err)
	}
	if p := said(); p.Status != rest.HealthError || !strings.Contains(p.Found, "standby.example.com has taken over") {
		t.Errorf("after a promotion: %+v", p)
	}
	other, err := testServer(t, func(*Config) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	s.cfg.Data = other.cfg.Data
	if p := said(); p.Status != rest.HealthError || !strings.Contains(p.Found, "another instance") {
		t.Errorf("another instance's target: %+v", p)
	}
}

// TestDoctorCommand: the exit status and both forms of what is found.
func TestDoctorCommand(t *testing.T) {
	old := unix.Umask(0o077) // the program sets it
	t.Cleanup(func() { unix.Umask(old) })
	dir := t.TempDir()
	file := filepath.Join(dir, "dormerd.toml")
	run := func(settings string, args ...string) (string, error) {
		t.Helper()
		if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errOut strings.Builder
		c := Command("test", strings.NewReader(""), &out, &errOut)
		c.SetArgs(append([]string{"doctor", "--config", file}, args...))
		err := c.ExecuteContext(t.Context())
		return out.String(), err
	}
	good := "data = \"" + filepath.Join(dir, "data") + "\"\nlisten = [\"" + free(t) + "\"]\npublic_urls = [\"https://localhost\"]\n"
	out, err := run(good, "--json")
	var h rest.Health
	if e := json.Unmarshal([]byte(out), &h); err != nil || e != nil || h.Status == rest.HealthError || len(h.Parts) < 5 {
		t.Errorf("%v, %v: %s", err, e, out)
	}
	if out, err = run(good); err != nil || !strings.Contains(out, "STATUS") || !strings.Contains(out, "is free") {
		t.Errorf("%v: %s", err, out)
	}
	for _, wrong := range []string{"--no-such-flag", "argument"} {
		if _, err := run(good, wrong); err == nil || ExitCode(err) != 2 || !strings.Contains(err.Error(), "doctor --help") {
			t.Errorf("%s: %v, exit code %d", wrong, err, ExitCode(err))
		}
	}
	out, err = run(good + "retention = 7\n")
	if err == nil || ExitCode(err) != 1 || !strings.Contains(out, "retention") || !strings.Contains(out, "configuration: ") {
		t.Errorf("%v: %s", err, out)
	}
}
