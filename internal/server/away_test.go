package server

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/dormer-project/dormer/internal/wire/rest"
)

// gate is a way to a PostgreSQL that can be shut.
type gate struct {
	t      *testing.T
	socket string // its own
	behind string

	mu       sync.Mutex // guards the fields below
	listener net.Listener
	through  []net.Conn
}

// newGate opens a gate to the server that DORMER_TEST_POSTGRES names, and
// returns its address.
func newGate(t *testing.T) (*gate, string) {
	t.Helper()
	server := os.Getenv("DORMER_TEST_POSTGRES")
	if server == "" {
		const missing = "DORMER_TEST_POSTGRES is not set: PostgreSQL is not tested (scripts/with-postgres.sh starts one)"
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	const name = ".s.PGSQL.5432"
	dir, err := os.MkdirTemp("", "gate") //nolint:usetesting // the path of a socket may have no more than 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	g := &gate{t: t, socket: filepath.Join(dir, name), behind: filepath.Join(q.Get("host"), name)}
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	g.open()
	t.Cleanup(g.shut)
	return g, u.String()
}

func (g *gate) open() {
	g.t.Helper()
	l, err := net.Listen("unix", g.socket)
	if err != nil {
		g.t.Fatal(err)
	}
	g.mu.Lock()
	g.listener = l
	g.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("unix", g.behind)
			if err != nil {
				c.Close()
				continue
			}
			g.mu.Lock()
			g.through = append(g.through, c, to)
			g.mu.Unlock()
			for _, way := range [][2]net.Conn{{c, to}, {to, c}} {
				go func() {
					_, _ = io.Copy(way[0], way[1]) // ends when one of them is closed
					way[0].Close()
				}()
			}
		}
	}()
}

// shut cuts all connections and lets nobody through.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.listener.Close()
	for _, c := range g.through {
		c.Close()
	}
	g.through = nil
}

// TestDatabaseAwayAndBack: readiness, health and metrics say that a database
// went away, and without a restart that it came back.
func TestDatabaseAwayAndBack(t *testing.T) {
	g, dsn := newGate(t)
	s, err := testServer(t, func(c *Config) { c.Events.DSN = dsn })
	if err != nil {
		t.Fatal(err)
	}
	token := adminToken(t, s)
	look := func(ready int, status rest.Status, up string) {
		t.Helper()
		code, body := text(t, s.Handler(), "/readyz", "")
		if code != ready {
			t.Errorf("readiness: status %d, want %d", code, ready)
		}
		if code != http.StatusOK && (!strings.Contains(body, "the events database does not answer") || strings.Contains(body, g.socket)) {
			t.Errorf("readiness says %s", body)
		}
		if _, err := s.observeNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		var h rest.Health
		if code := ask(t, s, "GET", "/api/v1/health", token, "", &h); code != http.StatusOK {
			t.Errorf("health: status %d", code)
		}
		for _, part := range h.Parts {
			if part.Part == "events database" && part.Status != status {
				t.Errorf("health says %+v", part)
			}
		}
		if _, body := text(t, s.scraped(), "/metrics", ""); !strings.Contains(body, `dormer_database_up{database="events"} `+up+"\n") {
			t.Error("metrics do not say so")
		}
	}
	look(http.StatusOK, rest.HealthOK, "1")
	g.shut()
	look(http.StatusServiceUnavailable, rest.HealthError, "0")
	g.open()
	look(http.StatusOK, rest.HealthOK, "1")
}
