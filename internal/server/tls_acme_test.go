package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/loopback"
)

const acmeName, acmeAlias = "dormer.example.test", "alias.example.test"

// freePort returns a port of the loopback address that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	port, err := loopback.Port(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// nameServer answers that every name is at 127.0.0.1, over TCP, and returns
// its address.
func nameServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	answer := func(conn net.Conn) error {
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return err
		}
		q := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, q); err != nil {
			return err
		}
		end := 12 + bytes.IndexByte(q[12:], 0) + 5 // of the question
		reply := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, q[12:end]...)
		if binary.BigEndian.Uint16(q[end-4:]) == 1 { // A
			reply[7] = 1
			reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
		}
		_, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
		return err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				var err error
				for err == nil {
					err = answer(conn)
				}
			}()
		}
	}()
	return l.Addr().String()
}

// pebble is a running ACME server.
type pebble struct {
	directory string
	authority string         // file: who issued its own certificate
	roots     *x509.CertPool // of the certificates that it issues
	stop      func()
}

// startPebble starts an ACME server that looks for names at 127.0.0.1 and at
// these ports, and issues certificates of that length.
func startPebble(t *testing.T, tlsPort, httpPort int, validity time.Duration) pebble {
	t.Helper()
	program, err := exec.CommandContext(t.Context(), "../../scripts/pebble.sh").Output()
	if err != nil {
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatalf("the ACME server cannot be built: %v", err)
		}
		t.Skipf("the ACME server cannot be built, ACME is not tested: %v", err)
	}
	dir := t.TempDir()
	pair := writePair(t, dir, time.Now().Add(time.Hour))
	listen, management := net.JoinHostPort("localhost", itoa(freePort(t))), net.JoinHostPort("localhost", itoa(freePort(t)))
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": listen, "managementListenAddress": management, "certificate": pair.Certificate, "privateKey": pair.Key,
		"httpPort": httpPort, "tlsPort": tlsPort, "keyAlgorithm": "ecdsa", "retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles": map[string]any{"default": map[string]any{"description": "test", "validityPeriod": int(validity.Seconds())}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(strings.TrimSpace(string(program)), "-config", file, "-dnsserver", nameServer(t))
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1")
	log := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := pebble{directory: "https://" + listen + "/dir", authority: pair.Certificate, roots: x509.NewCertPool()}
	p.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	own := x509.NewCertPool()
	if pem, err := os.ReadFile(pair.Certificate); err != nil || !own.AppendCertsFromPEM(pem) {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: own}}}
	defer client.CloseIdleConnections()
	await(t, 20*time.Second, "the ACME server", func() bool {
		resp, err := client.Get("https://" + management + "/roots/0")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		pem, err := io.ReadAll(resp.Body)
		return err == nil && p.roots.AppendCertsFromPEM(pem)
	})
	return p
}

func itoa(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// await asks until it is so.
func await(t *testing.T, limit time.Duration, what string, so func() bool) {
	t.Helper()
	late := time.After(limit)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for !so() {
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("no %s after %s", what, limit)
		}
	}
}

// acmeServer is a server that runs with certificates by ACME.
type acmeServer struct {
	*Server
	address string
	log     *lockedBuffer
	stop    func()
}

func startACMEServer(t *testing.T, p pebble, port int, change func(*Config)) acmeServer {
	t.Helper()
	s, err := testServer(t, func(c *Config) {
		c.Listen = []string{net.JoinHostPort("127.0.0.1", itoa(port))}
		c.PublicURLs = []string{"https://Dormer.example.test"}
		c.TLS.Mode, c.TLS.ACME = TLSACME, ACMEConfig{DirectoryURL: p.directory, Authority: p.authority, Email: "admin@example.com"}
		change(c)
	})
	if err != nil {
		t.Fatal(err)
	}
	a := acmeServer{Server: s, log: &lockedBuffer{}}
	s.deps.Logger = slog.New(slog.NewTextHandler(a.log, nil))
	s.certs.acme.logger = s.deps.Logger
	ctx, cancel := context.WithCancel(context.Background())
	listening := make(chan []net.Addr, 1)
	s.deps.Listening = func(all []net.Addr) { listening <- all }
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	a.address = (<-listening)[0].String()
	a.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
		if t.Failed() {
			t.Log(a.log.String())
		}
	})
	t.Cleanup(a.stop)
	return a
}

// shown returns the certificate that a client who asks for a name is shown.
func (a acmeServer) shown(p pebble, name string) (*x509.Certificate, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", a.address, &tls.Config{RootCAs: p.roots, ServerName: name, MinVersion: tls.VersionTLS13})
	if err != nil {
		return nil, err
	}
	return conn.ConnectionState().PeerCertificates[0], conn.Close()
}

// TestACME: the certificate comes from an ACME server that looks at the HTTPS
// port, is renewed before its end, and is kept for the next start.
func TestACME(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	const validity = 15 * time.Second
	p := startPebble(t, port, freePort(t), validity)
	a := startACMEServer(t, p, port, func(*Config) {})
	if a.Fingerprint() != enroll.SystemAuthority || a.AuthorityPEM() != nil {
		t.Errorf("join tokens pin %q", a.Fingerprint())
	}
	var first *x509.Certificate
	await(t, 30*time.Second, "certificate", func() bool {
		cert, err := a.shown(p, acmeName)
		first = cert
		return err == nil
	})
	if !strings.Contains(a.log.String(), "certificate issued") {
		t.Errorf("the log: %s", a.log.String())
	}
	last := first
	await(t, 2*validity, "second certificate", func() bool {
		cert, err := a.shown(p, acmeName)
		if err != nil {
			t.Fatalf("while it is renewed: %v", err)
		}
		last = cert
		return cert.SerialNumber.Cmp(first.SerialNumber) != 0
	})
	if !last.NotAfter.After(first.NotAfter) || time.Now().After(first.NotAfter) {
		t.Errorf("renewed at %s: one until %s after one until %s", time.Now(), last.NotAfter, first.NotAfter)
	}

	// The next start needs no ACME server.
	p.stop()
	a.stop()
	if err := a.Server.Close(); err != nil {
		t.Fatal(err)
	}
	if err := filepath.WalkDir(filepath.Join(a.cfg.Data, dirKeys, dirTLS, dirACME), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := e.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others may read %s: %v, %v", path, info.Mode(), err)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	again := startACMEServer(t, p, port, func(c *Config) { c.Data = a.cfg.Data })
	if cert, err := again.shown(p, acmeName); err != nil || cert.SerialNumber.Cmp(last.SerialNumber) != 0 {
		t.Errorf("after a restart: %v, %v", cert, err)
	}
}

// TestACMEOverHTTP: challenges over plain HTTP, several names, and nothing
// else without TLS.
func TestACMEOverHTTP(t *testing.T) {
	t.Parallel()
	port, httpPort := freePort(t), freePort(t)
	p := startPebble(t, freePort(t), httpPort, time.Hour)
	plain := net.JoinHostPort("127.0.0.1", itoa(httpPort))
	a := startACMEServer(t, p, port, func(c *Config) {
		c.TLS.Names = []string{acmeAlias}
		c.TLS.ACME.HTTPListen = plain
	})
	for _, name := range []string{acmeName, acmeAlias} {
		await(t, 30*time.Second, "certificate for "+name, func() bool {
			_, err := a.shown(p, name)
			return err == nil
		})
	}
	if _, err := a.shown(p, "other.example.test"); err == nil {
		t.Error("a certificate for a name that is not the server's")
	}
	client := &http.Client{Timeout: 5 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	for _, path := range []string{"/", "/api/v1/version", "/healthz"} {
		resp, err := client.Get("http://" + plain + path)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusFound || resp.Header.Get("Location") != "https://Dormer.example.test/" {
			t.Errorf("%s over plain HTTP: %d to %q, %v", path, resp.StatusCode, resp.Header.Get("Location"), err)
		}
	}
}

// TestACMEFails: without a certificate nothing is served, and the log says
// what was asked of whom; handshakes ask nobody.
func TestACMEFails(t *testing.T) {
	t.Parallel()
	dead := "https://" + net.JoinHostPort("127.0.0.1", itoa(freePort(t))) + "/dir"
	pair := writePair(t, t.TempDir(), time.Now().Add(time.Hour))
	a := startACMEServer(t, pebble{directory: dead, authority: pair.Certificate}, freePort(t), func(*Config) {})
	await(t, 20*time.Second, "line in the log", func() bool { return strings.Contains(a.log.String(), "get a certificate for "+acmeName) })
	if cert, err := a.shown(pebble{}, acmeName); err == nil {
		t.Errorf("shown %v", cert)
	}
}

// TestACMEKept: what an earlier start left counts as long as it is good.
func TestACMEKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keep := func(name string, end time.Time) {
		pair := writePair(t, t.TempDir(), end)
		key, err := os.ReadFile(pair.Key)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := os.ReadFile(pair.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), append(key, cert...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keep("good.example.test", time.Now().Add(time.Hour))
	keep("old.example.test", time.Now().Add(-time.Minute))
	if err := os.WriteFile(filepath.Join(dir, "torn.example.test"), []byte("-----BEGIN CERTIFICATE-----\nAAAA"), 0o600); err != nil {
		t.Fatal(err)
	}
	names := []string{"good.example.test", "old.example.test", "torn.example.test", "none.example.test"}
	a, err := newACME(ACMEConfig{DirectoryURL: "https://acme.example.com"}, dir, names, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if want := n == "good.example.test"; a.has[n] != want {
			t.Errorf("%s counts: %t", n, a.has[n])
		}
	}
}

// TestACMESettings: each wrong one is named.
func TestACMESettings(t *testing.T) {
	t.Parallel()
	for setting, change := range map[string]func(*Config){
		"public_urls":              func(c *Config) { c.PublicURLs = nil },
		"public_urls[0]":           func(c *Config) { c.PublicURLs = []string{"https://192.0.2.1"} },
		"tls.names[0]":             func(c *Config) { c.TLS.Names = []string{"localhost"} },
		"tls.acme.directory_url":   func(c *Config) { c.TLS.ACME.DirectoryURL = "http://acme.example.com/dir" },
		"tls.acme.email":           func(c *Config) { c.TLS.ACME.Email = "admin" },
		"tls.acme.authority":       func(c *Config) { c.TLS.ACME.Authority = "ca.pem" },
		"tls.acme.http_listen":     func(c *Config) { c.TLS.ACME.HTTPListen = "80" },
		"tls.mode":                 func(c *Config) { c.TLS.Certificate = "/c" },
		"tls.acme.authority: open": func(c *Config) { c.TLS.ACME.Authority = "/nowhere/ca.pem" },
	} {
		_, err := testServer(t, func(c *Config) {
			c.PublicURLs = []string{"https://dormer.example.com"}
			c.TLS.Mode = TLSACME
			change(c)
		})
		if invalid, ok := errors.AsType[*dormer.InvalidError](err); ok {
			if len(invalid.Fields) != 1 || invalid.Fields[0].Path != setting {
				t.Errorf("%s: %+v", setting, invalid.Fields)
			}
		} else if err == nil || !strings.Contains(err.Error(), setting) {
			t.Errorf("%s: %v", setting, err)
		}
	}
}
