package server

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/seal"
)

func openTestDir(t *testing.T) *dataDir {
	t.Helper()
	d, err := openDataDir(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := os.MkdirAll(d.file(dirKeys, dirTLS), 0o700); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestOwnAuthority: one authority for good, certificates for all names,
// renewed before their end and when the names change.
func TestOwnAuthority(t *testing.T) {
	d := openTestDir(t)
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	a, err := loadAuthority(d, "instance", clock, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	names := certificateNames([]string{"https://Dormer.example.com:8443", "https://[2001:db8::1]"}, []string{"0.0.0.0:8443", "192.0.2.7:1"}, []string{"alias."}, "host")
	want := []string{"dormer.example.com", "2001:db8::1", "alias", "host", "localhost", "127.0.0.1", "::1", "192.0.2.7"}
	if !slices.Equal(names, want) {
		t.Errorf("names %v", names)
	}
	first, err := a.certificate(names)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.pem())
	for _, n := range names {
		if _, err := first.Leaf.Verify(x509.VerifyOptions{DNSName: n, Roots: roots, CurrentTime: now}); err != nil {
			t.Errorf("for %s: %v", n, err)
		}
	}
	if len(first.Certificate) != 2 || !bytes.Equal(first.Certificate[1], a.cert.Raw) {
		t.Error("the authority is not shown, so that its fingerprint cannot be compared")
	}
	same := func(names []string) bool {
		t.Helper()
		again, err := loadAuthority(d, "instance", clock, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if again.fingerprint() != a.fingerprint() {
			t.Error("the authority changed")
		}
		c, err := again.certificate(names)
		if err != nil {
			t.Fatal(err)
		}
		equal := bytes.Equal(c.Certificate[0], first.Certificate[0])
		first = c
		return equal
	}
	if !same(names) {
		t.Error("a restart made a new certificate")
	}
	if same(append(names, "more")) {
		t.Error("a new name made no new certificate")
	}
	now = now.Add(serverLife - serverRenew - time.Hour)
	if !same(append(names, "more")) {
		t.Error("renewed too early")
	}
	now = now.Add(2 * time.Hour)
	if same(append(names, "more")) {
		t.Error("not renewed")
	}
	// A key that does not belong to the certificate is a pair cut short.
	if err := os.Remove(d.file(dirKeys, dirTLS, tlsServerKey)); err != nil {
		t.Fatal(err)
	}
	if same(append(names, "more")) {
		t.Error("a certificate without its key was used")
	}
	if err := os.WriteFile(d.file(dirKeys, dirTLS, tlsAuthorityKey), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadAuthority(d, "instance", clock, rand.Reader); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("a damaged authority: %v", err)
	}
}

// TestTickets: sessions of TLS are resumed after a restart, and keys change
// once a day.
func TestTickets(t *testing.T) {
	d := openTestDir(t)
	a, err := loadAuthority(d, "instance", time.Now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.pem())
	client := &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS13, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	connect := func(a *authority) (resumed bool, err error) {
		t.Helper()
		c, err := newCertificates(d, time.Now, rand.Reader, a.loader([]string{"localhost"})) // a start
		if err != nil {
			t.Fatal(err)
		}
		here, there := net.Pipe()
		server := tls.Server(there, c.config)
		go func() {
			_, _ = io.WriteString(server, "x")
			_ = server.Close()
		}()
		conn := tls.Client(here, client)
		defer conn.Close()
		_, err = io.ReadAll(conn)
		return conn.ConnectionState().DidResume, err
	}
	resumed := func() bool {
		t.Helper()
		resumed, err := connect(a)
		if err != nil {
			t.Fatal(err)
		}
		return resumed
	}
	if resumed() {
		t.Error("resumed out of nothing")
	}
	if !resumed() {
		t.Error("not resumed after a restart")
	}
	path := d.file(dirKeys, keyTickets)
	old := time.Now().Add(-ticketKeyLife - time.Minute)
	for days := range ticketKeys + 2 {
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
		if !resumed() {
			t.Errorf("not resumed after %d changes of keys", days)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 32*ticketKeys || info.Mode().Perm() != 0o600 {
		t.Errorf("keys of tickets: %v, %v", info, err)
	}
	other, err := loadAuthority(openTestDir(t), "instance", time.Now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if resumed, err := connect(other); err == nil {
		t.Errorf("another authority was not noticed: resumed %t", resumed)
	}
}

// writePair makes a certificate of somebody else's.
func writePair(t *testing.T, dir string, end time.Time) TLSConfig {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "supplied"}, DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	c := TLSConfig{Mode: TLSFiles, Certificate: filepath.Join(dir, "c.pem"), Key: filepath.Join(dir, "k.pem")}
	if err := errors.Join(durable.WriteFile(c.Certificate, encodeCertificates(der)), writeKey(c.Key, key)); err != nil {
		t.Fatal(err)
	}
	return c
}

func testServer(t *testing.T, change func(*Config)) (*Server, error) {
	t.Helper()
	cfg := Default()
	cfg.Data = filepath.Join(t.TempDir(), "data")
	cfg.Listen = []string{"127.0.0.1:0"}
	cfg.PublicURLs = []string{"https://localhost"}
	change(&cfg)
	s, err := New(t.Context(), cfg, Deps{
		Now: time.Now, Random: rand.Reader, Logger: slog.New(slog.DiscardHandler), PasswordCost: access.Cost{MemoryKiB: 64, Passes: 1, Threads: 1},
	})
	if err == nil {
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return s, err
}

// TestSuppliedCertificate is served, and what is wrong with it names the
// setting.
func TestSuppliedCertificate(t *testing.T) {
	dir := t.TempDir()
	good := writePair(t, dir, time.Now().Add(time.Hour))
	s, err := testServer(t, func(c *Config) { c.TLS = good })
	if err != nil {
		t.Fatal(err)
	}
	if s.Fingerprint() != enroll.SystemAuthority || s.AuthorityPEM() != nil {
		t.Errorf("fingerprint %q", s.Fingerprint())
	}
	ctx, stop := context.WithCancel(t.Context())
	addresses := make(chan []net.Addr, 1)
	s.deps.Listening = func(a []net.Addr) { addresses <- a }
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(good.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS13}}}
	resp, err := client.Get("https://" + (<-addresses)[0].String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("status %d, %v", resp.StatusCode, err)
	}
	client.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}

	other := writePair(t, t.TempDir(), time.Now().Add(time.Hour))
	for setting, c := range map[string]TLSConfig{
		"tls.certificate":           {Mode: TLSFiles, Certificate: filepath.Join(dir, "absent"), Key: good.Key},
		"tls.key":                   {Mode: TLSFiles, Certificate: good.Certificate, Key: filepath.Join(dir, "absent")},
		"tls.certificate and tls":   {Mode: TLSFiles, Certificate: good.Certificate, Key: other.Key},
		"the certificate ended on ": writePair(t, t.TempDir(), time.Now().Add(-time.Minute)),
	} {
		if _, err := testServer(t, func(cfg *Config) { cfg.TLS = c }); err == nil || !strings.Contains(err.Error(), setting) {
			t.Errorf("%s: %v", setting, err)
		}
	}
}

// TestStartErrors name the setting.
func TestStartErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for setting, change := range map[string]func(*Config){
		"setting data":              func(c *Config) { c.Data = file },
		"setting state.dsn":         func(c *Config) { c.State.DSN = "sqlite:" + file + "/state.db" },
		"setting events.dsn":        func(c *Config) { c.Events.DSN = "postgres://nobody@127.0.0.1:1/x" },
		"setting repository.folder": func(c *Config) { c.Repository.Folder = file },
		"setting listen[0]":         func(c *Config) { c.Listen = []string{busy.Addr().String()} },
		"data: must be":             func(c *Config) { c.Data = "relative" },
	} {
		s, err := testServer(t, change)
		if err == nil {
			err = s.Run(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), setting) {
			t.Errorf("%s: %v", setting, err)
		}
	}
}

// TestDataFolder: a newer format and a lost key are refused; a first start that
// was cut short is repeated.
func TestDataFolder(t *testing.T) {
	d := openTestDir(t)
	first, err := loadKeys(d, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openDataDir(d.path); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("second lock: %v", err)
	}
	// Cut short: one key was not written yet.
	if err := os.Remove(d.file(dirKeys, keyEscrow)); err != nil {
		t.Fatal(err)
	}
	again, err := loadKeys(d, rand.Reader)
	if err != nil || again.root.ID() != first.root.ID() || bytes.Equal(again.escrow, first.escrow) {
		t.Errorf("after a start that was cut short: %v", err)
	}
	if err := d.finish(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(d.file(dirKeys, keyEscrow)); err != nil {
		t.Fatal(err)
	}
	if _, err := loadKeys(d, rand.Reader); !errors.Is(err, dormer.ErrCorrupt) || !strings.Contains(err.Error(), keyEscrow) {
		t.Errorf("a lost key: %v", err)
	}
	if err := os.WriteFile(d.file(fileFormat), []byte("dormer data 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.checkFormat(); !errors.Is(err, dormer.ErrUnsupported) {
		t.Errorf("a newer format: %v", err)
	}
}

// TestKeySetVersion rises with each change, and only then, across restarts.
func TestKeySetVersion(t *testing.T) {
	s, err := testServer(t, func(*Config) {})
	if err != nil {
		t.Fatal(err)
	}
	version := func() int {
		t.Helper()
		v, envelope := s.ring.Signed()
		set, err := seal.OpenKeySet(s.keys.root.Public(), envelope)
		if err != nil || set.Version != v || set.Servers[0] != "https://localhost" {
			t.Fatalf("key set %+v, %v", set, err)
		}
		return v
	}
	if v := version(); v != 1 {
		t.Errorf("first version %d", v)
	}
	if err := s.ring.Refresh(t.Context()); err != nil || version() != 1 {
		t.Errorf("unchanged: version %d, %v", version(), err)
	}
	k, err := seal.NewSigningKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := publishers{State: s.state, ring: s.ring}
	if err := p.AddPublisher(t.Context(), seal.PublicKey{ID: k.ID(), Key: k.Public(), Name: "p", Purposes: []seal.Purpose{seal.PurposePublisher}}, "admin", time.Now()); err != nil {
		t.Fatal(err)
	}
	if version() != 2 {
		t.Errorf("after a publisher was added: version %d", version())
	}
	if _, err := s.ring.Set().Open(seal.TypeManifest, k.Sign(seal.TypeManifest, []byte("x"))); err != nil {
		t.Errorf("the publisher is not trusted: %v", err)
	}
	fresh := &keyRing{path: s.ring.path, keys: s.keys, instance: s.instance, epoch: s.epoch, servers: s.ring.servers, publishers: s.state}
	if err := fresh.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.ring.Set(), fresh.Set()); diff != "" {
		t.Errorf("after a restart:\n%s", diff)
	}
	if err := p.RemovePublisher(t.Context(), k.ID()); err != nil || version() != 3 {
		t.Errorf("after it was removed: version %d, %v", version(), err)
	}
}

// TestFirstOperator: a first start that was cut short between the file and the
// account is repeated, with a password that works.
func TestFirstOperator(t *testing.T) {
	s, err := testServer(t, func(*Config) {})
	if err != nil {
		t.Fatal(err)
	}
	operators, err := s.state.Operators(t.Context())
	if err != nil || len(operators) != 1 || operators[0].Role != dormer.RoleFull {
		t.Fatalf("operators %+v, %v", operators, err)
	}
	operators[0].Role = dormer.RoleNone
	if err := s.state.SetOperator(t.Context(), operators[0]); err != nil {
		t.Fatal(err)
	}
	if made, err := s.first.ensure(t.Context()); err != nil || !made {
		t.Fatalf("made %v, %v", made, err)
	}
	if made, err := s.first.ensure(t.Context()); err != nil || made {
		t.Errorf("made again %v, %v", made, err)
	}
	once, err := os.ReadFile(s.first.path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.access.SignIn(t.Context(), access.Attempt{User: firstAdmin, Password: strings.TrimSpace(string(once))})
	if refused, ok := errors.AsType[*access.RefusedError](err); !ok || refused.Reason != access.ReasonMustChange {
		t.Errorf("sign-in: %v", err)
	}
}

// TestSupervise: work that fails or panics is begun again, later each time,
// and ends with the context.
func TestSupervise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var at []time.Duration
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		supervise(ctx, slog.New(slog.DiscardHandler), &taskBook{now: time.Now}, []task{
			{name: "bad", run: func(context.Context) error {
				at = append(at, time.Since(began))
				if len(at)%2 == 0 {
					panic("bad")
				}
				return errors.New("bad")
			}},
			{name: "good", run: func(ctx context.Context) error { <-ctx.Done(); return nil }},
		})
		if len(at) < 10 || at[1] != time.Second || at[2] != 3*time.Second || at[len(at)-1]-at[len(at)-2] != restartDelay {
			t.Errorf("begun at %v", at)
		}
	})
}
