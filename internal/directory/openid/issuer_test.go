package openid

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/oauth2-proxy/mockoidc"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
)

const redirectURI = "http://127.0.0.1:4711/callback"

// clock is the time of a test.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

// testIssuer is an OpenID provider in this process.
type testIssuer struct {
	*mockoidc.MockOIDC
	clock *clock

	mu sync.Mutex // guards what follows
	// before changes what the token endpoint is asked; nil: as it is.
	before func(form url.Values)
	// alter changes the answer of the token endpoint; nil: as it is.
	alter func(form url.Values, answer map[string]any)
	// fail answers requests whose path ends like this with an error instead.
	fail map[string]func(w http.ResponseWriter)
	seen map[string]int // requests by path
}

// startIssuer starts a provider on an address of loopback; "" is any.
func startIssuer(t *testing.T, address string, certificate *tls.Config) *testIssuer {
	t.Helper()
	m, err := mockoidc.NewServer(nil)
	if err != nil {
		t.Fatal(err)
	}
	i := &testIssuer{MockOIDC: m, clock: &clock{}, fail: map[string]func(http.ResponseWriter){}, seen: map[string]int{}}
	if err := m.AddMiddleware(i.intercept); err != nil {
		t.Fatal(err)
	}
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if certificate != nil {
		l = tls.NewListener(l, certificate)
	}
	if err := m.Start(l, certificate); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Server.Close() })
	return i
}

func (i *testIssuer) intercept(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		i.seen[r.URL.Path]++
		before, alter, fail := i.before, i.alter, i.fail[r.URL.Path]
		i.mu.Unlock()
		if fail != nil {
			fail(w)
			return
		}
		if id, secret, ok := r.BasicAuth(); ok && r.ParseForm() == nil {
			// mockoidc reads them from the form only.
			id, _ = url.QueryUnescape(id)
			secret, _ = url.QueryUnescape(secret)
			r.Form.Set("client_id", id)
			r.Form.Set("client_secret", secret)
		}
		if r.URL.Path != mockoidc.TokenEndpoint || alter == nil {
			next.ServeHTTP(w, r)
			return
		}
		if err := r.ParseForm(); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		asked := maps.Clone(r.Form)
		if before != nil {
			before(r.Form)
		}
		recorded := httptest.NewRecorder()
		next.ServeHTTP(recorded, r)
		var answer map[string]any
		if err := json.Unmarshal(recorded.Body.Bytes(), &answer); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		alter(asked, answer)
		if code, ok := answer["status"].(int); ok {
			recorded.Code = code
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(recorded.Code)
		_ = json.NewEncoder(w).Encode(answer)
	})
}

func (i *testIssuer) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

func (i *testIssuer) requests(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.seen[path]
}

func status(code int) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { http.Error(w, "no", code) }
}

// forward moves the time of the provider and of its client.
func (i *testIssuer) forward(d time.Duration) {
	i.clock.mu.Lock()
	defer i.clock.mu.Unlock()
	i.clock.ahead += d
	i.FastForward(d)
}

// testUser has the claims of its ID tokens; null ones are left out.
type testUser struct{ claims map[string]any }

func (u *testUser) ID() string {
	sub, _ := u.claims["sub"].(string)
	return sub
}

func (u *testUser) Userinfo([]string) ([]byte, error) { return []byte("{}"), nil }

func (u *testUser) Claims(_ []string, base *mockoidc.IDTokenClaims) (jwt.Claims, error) {
	c := jwt.MapClaims{
		"iss": base.Issuer, "sub": base.Subject, "aud": base.Audience, "exp": base.ExpiresAt, "iat": base.IssuedAt, "nonce": base.Nonce,
	}
	maps.Copy(c, u.claims)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c, nil
}

func alice(more map[string]any) *testUser {
	c := map[string]any{"sub": "a-1", "preferred_username": "alice", "name": "Alice Example", "groups": []string{"office", "staff"}}
	maps.Copy(c, more)
	return &testUser{c}
}

// log collects what a provider logs.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// config is that of a provider that is a directory of its own.
func (i *testIssuer) config(t *testing.T) Config {
	state := openStore(t)
	return Config{
		Name: "corp-login", Issuer: i.Issuer(), ClientID: i.ClientID, Secret: func() (string, error) { return i.ClientSecret, nil },
		RedirectBases: []string{"https://dormer.example.com"}, Store: state, Once: state, Key: bytes.Repeat([]byte{7}, KeySize),
		Now: i.clock.now, Random: rand.Reader, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

func open(t *testing.T, c Config) *Provider {
	t.Helper()
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// attempt is one sign-in with a browser.
type attempt struct {
	access.Authorization
	verifier string
}

func newAttempt() attempt {
	verifier := rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	return attempt{access.Authorization{
		RedirectURI: redirectURI, State: rand.Text(), Nonce: rand.Text(), Challenge: base64.RawURLEncoding.EncodeToString(sum[:]),
	}, verifier}
}

// browse does what a browser does: it follows the address and returns the code
// that the provider sends back.
func browse(t *testing.T, p *Provider, a attempt) (code string) {
	t.Helper()
	address, err := p.Begin(t.Context(), a.Authorization)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := p.http.Transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	back, err := answer.Location()
	if err != nil {
		t.Fatal(err)
	}
	if back.Query().Get("state") != a.State || !strings.HasPrefix(back.String(), redirectURI) {
		t.Fatalf("the browser is sent to %s", back)
	}
	return back.Query().Get("code")
}

// signIn signs a user in by the code flow.
func (i *testIssuer) signIn(t *testing.T, p *Provider, u mockoidc.User) (dormer.Principal, error) {
	t.Helper()
	i.QueueUser(u)
	a := newAttempt()
	code := browse(t, p, a)
	return p.Redeem(t.Context(), a.Authorization, code, a.verifier)
}

func (i *testIssuer) mustSignIn(t *testing.T, p *Provider, u mockoidc.User) dormer.Principal {
	t.Helper()
	who, err := i.signIn(t, p, u)
	if err != nil {
		t.Fatal(err)
	}
	return who
}

// refuses checks that an error is a refusal with a cause.
func refuses(t *testing.T, err error, cause string) {
	t.Helper()
	if !errors.Is(err, dormer.ErrUnauthenticated) || !strings.Contains(err.Error(), cause) {
		t.Errorf("want a refusal because %q, got: %v", cause, err)
	}
}
