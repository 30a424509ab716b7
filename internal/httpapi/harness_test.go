package httpapi_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/server"
	"github.com/dormer-project/dormer/internal/wire"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Passwords of the users of a harness; no log may hold them.
const (
	adminPassword  = "admin-secret-passphrase"
	readerPassword = "reader-secret-passphrase"
	nobodyPassword = "nobody-secret-passphrase"
)

// harness is a whole server behind a plain listener of the test, with an
// operator of each role and a user without one.
type harness struct {
	t      testing.TB
	server *server.Server
	url    string
	data   string // folder
	log    *syncBuffer
	admin  string // token
	reader string // token
	ids    map[string]string
}

// web is what requests of tests are made with.
var web = &http.Client{Timeout: time.Minute}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newHarness(t testing.TB) *harness {
	t.Helper()
	dir := t.TempDir()
	cfg := server.Default()
	cfg.Data = filepath.Join(dir, "data")
	cfg.TLS.Mode = server.TLSOff
	cfg.PublicURLs = []string{"http://dormer.example.com"}
	h := &harness{t: t, data: cfg.Data, log: &syncBuffer{}, ids: map[string]string{}}
	var err error
	h.server, err = server.New(t.Context(), cfg, server.Deps{
		Now: time.Now, Random: rand.Reader, Logger: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Version: "test", PasswordCost: access.Cost{MemoryKiB: 64, Passes: 1, Threads: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	listener := httptest.NewServer(h.server.Handler())
	h.url = listener.URL
	t.Cleanup(func() {
		listener.Close()
		if err := h.server.Close(); err != nil {
			t.Error(err)
		}
		for _, secret := range []string{adminPassword, readerPassword, nobodyPassword, h.admin, h.reader} {
			if secret != "" && strings.Contains(h.log.String(), secret) {
				t.Errorf("the log holds a secret")
			}
		}
	})
	once, err := os.ReadFile(filepath.Join(cfg.Data, "first-admin-password"))
	if err != nil {
		t.Fatal(err)
	}
	var in rest.SignedIn
	h.must("POST", "/sessions", "", rest.SignIn{User: "admin", Password: strings.TrimSpace(string(once)), NewPassword: adminPassword}, &in)
	h.admin = in.Token
	h.ids["admin"] = in.Principal.Key
	for name, password := range map[string]string{"reader": readerPassword, "nobody": nobodyPassword} {
		var u rest.UserCreated
		h.must("POST", "/directory/users", h.admin, rest.NewUser{Name: name, Password: password}, &u)
		h.ids[name] = u.ID
	}
	h.must("PUT", "/operators", h.admin, rest.SetOperator{Kind: "user", Name: "reader", Role: "read-only"}, nil)
	h.reader = h.signIn("reader", readerPassword)
	return h
}

func (h *harness) signIn(user, password string) string {
	h.t.Helper()
	var in rest.SignedIn
	h.must("POST", "/sessions", "", rest.SignIn{User: user, Password: password}, &in)
	return in.Token
}

func (h *harness) client(token string) *apiclient.Client {
	h.t.Helper()
	c, err := apiclient.New(apiclient.Config{Server: h.url, Token: token})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(c.Close)
	return c
}

// answer is what the server said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) problem(t testing.TB) wire.Problem {
	t.Helper()
	var p wire.Problem
	if got := a.header.Get("Content-Type"); got != wire.ProblemType {
		t.Errorf("content type %q of status %d, expected %q", got, a.status, wire.ProblemType)
	}
	if err := json.Unmarshal(a.body, &p); err != nil {
		t.Fatalf("no problem document: %v", err)
	}
	if p.Status != a.status {
		t.Errorf("problem says %d, status is %d", p.Status, a.status)
	}
	return p
}

// ask sends a request; body is sent as JSON unless it is a string or bytes.
// headers are pairs.
func (h *harness) ask(method, path, token string, body any, headers ...string) answer {
	h.t.Helper()
	var raw []byte
	switch b := body.(type) {
	case nil:
	case string:
		raw = []byte(b)
	case []byte:
		raw = b
	default:
		var err error
		if raw, err = json.Marshal(b); err != nil {
			h.t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, bytes.NewReader(raw))
	if err != nil {
		h.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := web.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: b}
}

// must sends a request to the API that has to succeed.
func (h *harness) must(method, path, token string, body, out any, headers ...string) answer {
	h.t.Helper()
	a := h.ask(method, rest.Prefix+path, token, body, headers...)
	if a.status < 200 || a.status > 299 {
		h.t.Fatalf("%s %s: status %d: %s", method, path, a.status, a.body)
	}
	if out != nil {
		if err := json.Unmarshal(a.body, out); err != nil {
			h.t.Fatal(err)
		}
	}
	return a
}
