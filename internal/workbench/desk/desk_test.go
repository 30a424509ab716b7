package desk

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/wire/rest"
	"github.com/dormer-project/dormer/internal/workbench"
)

// book keeps accounts in memory.
type book struct {
	mu      sync.Mutex // guards the fields below
	current Account
	others  []Account
}

func (b *book) Current() (Account, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.current, nil
}

func (b *book) Known() ([]Account, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Account{b.current}, b.others...), nil
}

func (b *book) Choose(server, authority string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.others = append(b.others, b.current)
	b.current = Account{Server: server, Authority: authority}
	return nil
}

func (b *book) Keep(a Account) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.Server != b.current.Server {
		return fmt.Errorf("another server")
	}
	b.current.Token, b.current.Expires, b.current.User = a.Token, a.Expires, a.User
	return nil
}

// newDesk serves a desk before a server that answers as h does.
func newDesk(t *testing.T, h http.Handler) (*Desk, *book) {
	t.Helper()
	upstream := httptest.NewServer(h)
	t.Cleanup(upstream.Close)
	bench, err := workbench.Open(workbench.Config{
		Folder: t.TempDir(), Now: time.Now, Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
		Server: func() (*apiclient.Client, string, error) { return nil, "", dormer.ErrUnauthenticated },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bench.Close(); err != nil {
			t.Error(err)
		}
	})
	accounts := &book{current: Account{Server: upstream.URL, Token: "the-token"}}
	d, err := New(Config{
		Host: "127.0.0.1:18500", Accounts: accounts, Bench: bench, Home: t.TempDir(), UserAgent: "dormer/1", Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
		Ticket: func(context.Context) (rest.SignedIn, error) {
			return rest.SignedIn{Token: "by-ticket", Role: dormer.RoleFull}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d, accounts
}

// visitor is how a request comes.
type visitor struct {
	host, origin, site string
	cookie             *http.Cookie
}

func (d *Desk) visit(t *testing.T, v visitor, method, path, body string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Host = v.host
	if v.origin != "" {
		r.Header.Set("Origin", v.origin)
	}
	if v.site != "" {
		r.Header.Set("Sec-Fetch-Site", v.site)
	}
	if v.cookie != nil {
		r.AddCookie(v.cookie)
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result()
}

// enter lets a browser in and returns its cookie.
func (d *Desk) enter(t *testing.T) *http.Cookie {
	t.Helper()
	resp := d.visit(t, visitor{host: d.config.Host, site: "cross-site"}, "GET", strings.TrimPrefix(d.Address(), "http://127.0.0.1:18500"), "")
	got := resp.Cookies()
	if resp.StatusCode != http.StatusSeeOther || len(got) != 1 || !got[0].HttpOnly || got[0].SameSite != http.SameSiteStrictMode || got[0].Path != "/" {
		t.Fatalf("getting in: %s, cookies %v", resp.Status, got)
	}
	return got[0]
}

// TestGate: nothing but the console's own pages, under its own name, with the
// cookie that the secret was exchanged for, reaches the APIs.
func TestGate(t *testing.T) {
	asked := 0
	d, _ := newDesk(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	host, origin := "127.0.0.1:18500", "http://127.0.0.1:18500"
	good := d.enter(t)
	for name, v := range map[string]visitor{
		"without the cookie":     {host: host, origin: origin, site: "same-origin"},
		"with a guessed cookie":  {host: host, cookie: &http.Cookie{Name: good.Name, Value: strings.Repeat("A", 43)}},
		"with an empty cookie":   {host: host, cookie: &http.Cookie{Name: good.Name}},
		"under another name":     {host: "rebound.example.com:18500", cookie: good},
		"under localhost":        {host: "localhost:18500", cookie: good},
		"at another port":        {host: "127.0.0.1:18501", cookie: good},
		"from another site":      {host: host, origin: "https://www.example.com", cookie: good},
		"from another port":      {host: host, origin: "http://127.0.0.1:9999", cookie: good},
		"from no site at all":    {host: host, origin: "null", cookie: good},
		"from a page elsewhere":  {host: host, site: "cross-site", cookie: good},
		"from a neighbour":       {host: host, site: "same-site", cookie: good},
		"its name in the origin": {host: host, origin: origin + ".example.com", cookie: good},
	} {
		for _, path := range []string{"/api/v1/images", "/local/v1/images", "/local/v1/runs/x/screen"} {
			if resp := d.visit(t, v, "GET", path, ""); resp.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %s %s", name, path, resp.Status)
			}
		}
	}
	if asked != 0 {
		t.Errorf("the server was asked %d times", asked)
	}
	for _, v := range []visitor{{host: host, cookie: good}, {host: host, origin: origin, site: "same-origin", cookie: good}, {host: host, site: "none", cookie: good}} {
		if resp := d.visit(t, v, "GET", "/api/v1/images", ""); resp.StatusCode != http.StatusOK {
			t.Errorf("%+v: %s", v, resp.Status)
		}
	}
	// the console's files are no secret; but only under the right name
	if resp := d.visit(t, visitor{host: host, site: "cross-site"}, "GET", "/console/signed-in?code=x", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("back from a provider: %s", resp.Status)
	}
	if resp := d.visit(t, visitor{host: "localhost"}, "GET", "/console/", ""); resp.StatusCode != http.StatusForbidden {
		t.Errorf("the console under another name: %s", resp.Status)
	}
}

// TestSecret: it counts once, for one browser.
func TestSecret(t *testing.T) {
	d, _ := newDesk(t, http.NotFoundHandler())
	host := d.config.Host
	path := strings.TrimPrefix(d.Address(), "http://"+host)
	for _, guess := range []string{"/open", "/open?secret=", "/open?secret=x", path + "x"} {
		if resp := d.visit(t, visitor{host: host}, "GET", guess, ""); resp.StatusCode != http.StatusForbidden || len(resp.Cookies()) > 0 {
			t.Errorf("%s: %s", guess, resp.Status)
		}
	}
	if resp := d.visit(t, visitor{host: "rebound.example.com"}, "GET", path, ""); resp.StatusCode != http.StatusForbidden {
		t.Errorf("under another name: %s", resp.Status)
	}
	cookie := d.enter(t)
	for _, again := range []string{path, "/open?secret="} {
		if resp := d.visit(t, visitor{host: host}, "GET", again, ""); resp.StatusCode != http.StatusForbidden || len(resp.Cookies()) > 0 {
			t.Errorf("%s once more: %s", again, resp.Status)
		}
	}
	if resp := d.visit(t, visitor{host: host, cookie: cookie}, "GET", path, ""); resp.StatusCode != http.StatusSeeOther || len(resp.Cookies()) > 0 {
		t.Errorf("the same browser again: %s", resp.Status)
	}
}

// TestForward: the server gets the request with the session, without what is
// the browser's; the browser gets the answer without what is the server's.
func TestForward(t *testing.T) {
	var got *http.Request
	var body []byte
	d, _ := newDesk(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("Set-Cookie", "theirs=1")
		w.Header().Set("Www-Authenticate", "Negotiate")
		w.Header().Set("Dormer-Request", "request")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "short and stout")
	}))
	r := httptest.NewRequestWithContext(t.Context(), "PUT", "/api/v1/workspaces/a%2Fb?name=x%20y&name=z", strings.NewReader("the body"))
	r.Host = d.config.Host
	r.AddCookie(d.enter(t))
	for name, value := range map[string]string{
		"Origin": "http://127.0.0.1:18500", "Sec-Fetch-Site": "same-origin", "Referer": "http://127.0.0.1:18500/console/", "Authorization": "Bearer of-the-browser",
		"X-Forwarded-For": "1.2.3.4", "Connection": "X-Hop", "X-Hop": "1", "Dormer-Session": "cookie", "If-Match": `"7"`, "Dormer-Message": "why", "Accept": "application/yaml",
	} {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	if w.Code != http.StatusTeapot || w.Body.String() != "short and stout" || w.Header().Get("Dormer-Request") != "request" {
		t.Errorf("answer: %d %s %v", w.Code, w.Body, w.Header())
	}
	for _, name := range []string{"Set-Cookie", "Www-Authenticate"} {
		if w.Header().Get(name) != "" {
			t.Errorf("the browser gets %s: %s", name, w.Header().Get(name))
		}
	}
	if got.RequestURI != "/api/v1/workspaces/a%2Fb?name=x%20y&name=z" || string(body) != "the body" {
		t.Errorf("the server was asked for %s with %q", got.RequestURI, body)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer the-token", "User-Agent": "dormer/1", "If-Match": `"7"`, "Dormer-Message": "why", "Accept": "application/yaml",
		"Cookie": "", "Origin": "", "Referer": "", "Sec-Fetch-Site": "", "X-Forwarded-For": "", "X-Hop": "", "Dormer-Session": "",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s reaches the server as %q, want %q", name, got.Header.Get(name), want)
		}
	}
}

// TestForwardStreams: events come as they happen.
func TestForwardStreams(t *testing.T) {
	more := make(chan struct{})
	d, _ := newDesk(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, text := range []string{"first\n", "second\n"} {
			_, _ = io.WriteString(w, text)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-more:
			case <-r.Context().Done():
				return
			}
		}
	}))
	front := httptest.NewUnstartedServer(d)
	front.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = d.config.Host
		d.ServeHTTP(w, r)
	})
	front.Start()
	defer front.Close()
	r, err := http.NewRequestWithContext(t.Context(), "GET", front.URL+"/api/v1/notices", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(d.enter(t))
	resp, err := front.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := iotest.OneByteReader(resp.Body)
	for _, want := range []string{"first\n", "second\n"} {
		b := make([]byte, len(want))
		if _, err := io.ReadFull(lines, b); err != nil || string(b) != want {
			t.Fatalf("%q, %v, want %q", b, err, want)
		}
		more <- struct{}{}
	}
}

// TestSignIn: whichever way somebody signs in, the token is kept here.
func TestSignIn(t *testing.T) {
	d, accounts := newDesk(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "" && r.Method == http.MethodPost:
			t.Errorf("a sign-in with the session of another")
		case r.Header.Get("Dormer-Session") != "":
			t.Errorf("the server is asked for a cookie")
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(rest.SignedIn{
			Token: "fresh" + strings.ReplaceAll(r.URL.Path, "/", "-"), Expires: time.Unix(2e9, 0), Role: dormer.RoleFull,
			Principal: dormer.Principal{Directory: "corp", Kind: dormer.KindUser, Key: "1", Name: "alice"},
		})
	}))
	cookie := d.enter(t)
	v := visitor{host: d.config.Host, cookie: cookie}
	for path, want := range map[string]Account{
		"/sessions":          {Token: "fresh-api-v1-sessions", User: `corp\alice`},
		"/sessions/openid":   {Token: "fresh-api-v1-sessions-openid"},
		"/sessions/device":   {Token: "fresh-api-v1-sessions-device"},
		"/sessions/kerberos": {Token: "by-ticket"},
	} {
		resp := d.visit(t, v, "POST", "/api/v1"+path, `{"user":"alice","password":"x"}`)
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode > 299 || bytes.Contains(b, []byte("token")) || bytes.Contains(b, []byte("fresh")) || !bytes.Contains(b, []byte(`"role":"full"`)) {
			t.Errorf("%s: %s %s", path, resp.Status, b)
		}
		if got, _ := accounts.Current(); got.Token != want.Token || got.User != want.User {
			t.Errorf("%s: kept is %+v, want %+v", path, got, want)
		}
	}
	if resp := d.visit(t, v, "DELETE", "/api/v1/sessions/current", ""); resp.StatusCode != http.StatusNoContent {
		t.Errorf("sign out: %s", resp.Status)
	}
	if got, _ := accounts.Current(); got.Token != "" || got.Server == "" {
		t.Errorf("after signing out: %+v", got)
	}
}

// TestServerAway: a server that does not answer is a problem that can be shown.
func TestServerAway(t *testing.T) {
	d, accounts := newDesk(t, http.NotFoundHandler())
	cookie := d.enter(t)
	accounts.current.Server = "http://127.0.0.1:1"
	resp := d.visit(t, visitor{host: d.config.Host, cookie: cookie}, "GET", "/api/v1/images", "")
	var p struct{ Kind, Detail string }
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil || resp.StatusCode != http.StatusServiceUnavailable || p.Kind != "unavailable" || !strings.Contains(p.Detail, "127.0.0.1:1") {
		t.Errorf("%s %+v %v", resp.Status, p, err)
	}
}

// TestOwnConnections: a connection of this user is taken; the table of sockets
// is read for whose it is.
func TestOwnConnections(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	own := OwnConnections(l)
	defer own.Close()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	taken, err := own.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if taken.RemoteAddr().String() != c.LocalAddr().String() {
		t.Errorf("another connection was taken: %s", taken.RemoteAddr())
	}

	// of another user it is not
	stranger := ownListener{l, -1}
	refused, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer refused.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := stranger.Accept()
		ended <- err
	}()
	if n, err := refused.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("a stranger is heard: %d, %v", n, err)
	}
	_ = own.Close()
	if err := <-ended; err == nil {
		t.Error("a stranger was taken")
	}
}
