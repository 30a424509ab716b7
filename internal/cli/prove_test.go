package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
)

func newTestLanding(t *testing.T) *landing {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := newLanding(l, "the-state")
	t.Cleanup(func() { n.close(t.Context()) })
	return n
}

// visit asks as a browser does and returns the status and the page.
func visit(t *testing.T, method, host, address string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	c := &http.Client{Timeout: 10 * time.Second}
	defer c.CloseIdleConnections()
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// TestLanding: only a GET of the right address, host and state counts, and
// only the first.
func TestLanding(t *testing.T) {
	n := newTestLanding(t)
	if !strings.HasPrefix(n.address(), "http://127.0.0.1:") {
		t.Errorf("it listens at %s", n.address())
	}
	_, port, err := net.SplitHostPort(n.host)
	if err != nil {
		t.Fatal(err)
	}
	good := n.address() + "?code=good&state=the-state"
	for name, c := range map[string]struct {
		method, host, address string
		want                  int
	}{
		"other state":  {"GET", "", n.address() + "?code=bad&state=the-statf", 400},
		"no state":     {"GET", "", n.address() + "?code=bad", 400},
		"long state":   {"GET", "", n.address() + "?code=bad&state=" + strings.Repeat("x", 20000), 400},
		"two states":   {"GET", "", n.address() + "?code=bad&state=x&state=the-state", 400},
		"other path":   {"GET", "", "http://" + n.host + "/?code=bad&state=the-state", 404},
		"favicon":      {"GET", "", "http://" + n.host + "/favicon.ico", 404},
		"other host":   {"GET", "localhost:" + port, n.address() + "?code=bad&state=the-state", 404},
		"foreign host": {"GET", "evil.example.com", n.address() + "?code=bad&state=the-state", 404},
		"post":         {"POST", "", n.address() + "?code=bad&state=the-state", 405},
	} {
		if status, _, page := visit(t, c.method, c.host, c.address); status != c.want || strings.Contains(page, "bad") || strings.Contains(page, "the-state") {
			t.Errorf("%s: status %d: %s", name, status, page)
		}
	}
	status, header, page := visit(t, "GET", "", good)
	if status != 200 || !strings.Contains(page, "You may close this window") || strings.Contains(page, "good") || header.Get("Referrer-Policy") != "no-referrer" || header.Get("Cache-Control") != "no-store" {
		t.Errorf("status %d, %v: %s", status, header, page)
	}
	if status, _, _ := visit(t, "GET", "", n.address()+"?code=second&state=the-state"); status != 410 {
		t.Errorf("the second: status %d", status)
	}
	if code, err := n.wait(t.Context(), time.Minute); code != "good" || err != nil {
		t.Errorf("%q, %v", code, err)
	}
}

// TestLandingEnds: nobody waits for ever, and a refusal is told without what
// could steer the terminal.
func TestLandingEnds(t *testing.T) {
	n := newTestLanding(t)
	if _, err := n.wait(t.Context(), time.Millisecond); !errors.Is(err, dormer.ErrUnauthenticated) || !strings.Contains(err.Error(), "nobody signed in within 1ms") {
		t.Errorf("nobody came: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.wait(ctx, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	visit(t, "GET", "", n.address()+"?state=the-state&error=access_denied&error_description="+strings.Repeat("%1b[2J", 200))
	_, err := n.wait(t.Context(), time.Minute)
	if !errors.Is(err, dormer.ErrUnauthenticated) || strings.Contains(err.Error(), "\x1b") || len(err.Error()) > 1000 {
		t.Errorf("refused: %q", err)
	}
	n.close(t.Context())
	if _, err := n.wait(t.Context(), time.Minute); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestHours(t *testing.T) {
	for s, want := range map[string]int{"1h": 1, "90d": 2160, "365d": 8760, "8760h": 8760} {
		if got, err := hours(s); got != want || err != nil {
			t.Errorf("%s: %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "d", "h", "1", "0h", "-1d", "366d", "8761h", "1.5h", "2w", "99999999999999999999d", "9223372036854775807h"} {
		if got, err := hours(s); err == nil {
			t.Errorf("%q is taken for %d hours", s, got)
		}
	}
}

// TestAddressesOfBrowsers: a server cannot have anything but web pages opened,
// and what it says of them cannot steer the terminal.
func TestAddressesOfBrowsers(t *testing.T) {
	var out bytes.Buffer
	a := &app{Streams: Streams{Err: &out, Env: func(string) string { return "" }}}
	for _, address := range []string{"file:///etc/passwd", "javascript:alert(1)", "-h", "", "https://", "ftp://x/y", "smb://x/y", "https://x/\x1b[2J"} {
		if err := a.browse(t.Context(), address, true); !errors.Is(err, dormer.ErrUnsupported) {
			t.Errorf("%q: %v", address, err)
		}
	}
	out.Reset()
	if err := a.browse(t.Context(), "https://sso.example.com/authorize?a=b", true); err != nil || !strings.Contains(out.String(), "https://sso.example.com/authorize?a=b\n") {
		t.Errorf("%v: %s", err, out.String())
	}
}

// TestTicketFor: tickets go to who proves the name that they are for.
func TestTicketFor(t *testing.T) {
	for server, want := range map[string]string{
		"https://dormer.example.com:8443": "HTTP/dormer.example.com", "https://192.0.2.1": "HTTP/192.0.2.1",
		"http://localhost:8080": "HTTP/localhost", "http://127.0.0.1:1": "HTTP/127.0.0.1", "http://[::1]:1": "HTTP/::1",
		"http://dormer.example.com": "", "http://localhost.example.com": "", "http://192.0.2.1": "", "": "", "::": "",
	} {
		if got, err := ticketFor(server); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", server, got, err, want)
		}
	}
}
