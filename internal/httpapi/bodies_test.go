package httpapi_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/httpapi"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func TestDecodeStrict(t *testing.T) {
	const secret = "hunter2-hunter2"
	for _, c := range []struct {
		name, body string
		path       string
		line       int
	}{
		{"unknown field", `{"user":"a",` + "\n" + `"pasword":"` + secret + `"}`, "", 2},
		{"secret as a field", `{"` + secret + `":1}`, "", 1},
		{"other case", `{"User":"a"}`, "", 1},
		{"twice", `{"user":"a","user":"b"}`, "user", 1},
		{"wrong type", `{"user":` + "\n" + `{"a":"` + secret + `"}}`, "user", 2},
		{"number", `{"user":31415926535}`, "user", 1},
		{"rest", `{"user":"a"} {}`, "", 1},
		{"not JSON", `user: ` + secret, "", 1},
		{"empty", ``, "", 1},
		{"deep", strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100), "", 1},
	} {
		var in rest.SignIn
		err := httpapi.DecodeStrict([]byte(c.body), &in)
		invalid, ok := errors.AsType[*dormer.InvalidError](err)
		if !ok {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if f := invalid.Fields[0]; f.Path != c.path || f.Line != c.line {
			t.Errorf("%s: wrong is %q in line %d: %s", c.name, f.Path, f.Line, f.Message)
		}
		if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "31415926535") {
			t.Errorf("%s: the error repeats a value: %v", c.name, err)
		}
	}
	// Each wrong field costs a look at the whole body: not all of many are named.
	many := []byte("{" + strings.Repeat(`"a":1,`, 100_000) + `"a":1}`)
	err := httpapi.DecodeStrict(many, new(rest.SignIn))
	if invalid, ok := errors.AsType[*dormer.InvalidError](err); !ok || len(invalid.Fields) != 100 {
		t.Errorf("100,001 wrong fields: %.200v", err)
	}
	var in rest.NewUser
	if err := httpapi.DecodeStrict([]byte(`{"name":"a","expires":"2030-01-02T03:04:05Z"}`), &in); err != nil || in.Expires.Year() != 2030 {
		t.Errorf("a valid body: %+v, %v", in, err)
	}
	// What has a form of its own names its field, too.
	for body, into := range map[string]any{
		`{"name":"a",` + "\n" + `"key":"` + secret + `"}`:     new(rest.NewPublisher),
		`{"name":"a",` + "\n" + `"key":7}`:                    new(rest.NewPublisher),
		`{"name":"a",` + "\n" + `"expires":"` + secret + `"}`: new(rest.NewUser),
	} {
		err := httpapi.DecodeStrict([]byte(body), into)
		invalid, ok := errors.AsType[*dormer.InvalidError](err)
		if !ok || invalid.Fields[0].Path != "key" && invalid.Fields[0].Path != "expires" || invalid.Fields[0].Line != 2 || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", body, err)
		}
	}
	var push rest.NewPush
	if err := httpapi.DecodeStrict([]byte(`{"name":"a","manifest":{"type":"t","key_id":"k","payload":"AA==","signature":"AA==","x":1}}`), &push); err == nil {
		t.Error("an unknown field within an object was taken")
	}
}

// FuzzDecodeStrict: whatever is taken means the same to encoding/json, and
// nothing panics.
func FuzzDecodeStrict(f *testing.F) {
	for _, s := range []string{`{"user":"a","password":"b"}`, `{}`, `[]`, `null`, `{"user":"a","user":"b"}`, `{"User":1}`, `{"user":{"a":[1,2]}}`, "{\"a\":\n", `"x"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var strict, loose rest.SignIn
		if err := httpapi.DecodeStrict(b, &strict); err != nil {
			if !errors.Is(err, dormer.ErrInvalid) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		if err := json.Unmarshal(b, &loose); err != nil || loose != strict {
			t.Errorf("taken, but encoding/json says %v", err)
		}
	})
}

// TestBodies: limits and forms of requests.
func TestBodies(t *testing.T) {
	h := newHarness(t)
	large := `{"user":"` + strings.Repeat("a", 2<<20) + `"}`
	for _, c := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"too large", "POST", "/sessions", large, http.StatusRequestEntityTooLarge},
		{"too large document", "POST", "/workspaces", large, http.StatusRequestEntityTooLarge},
		{"not JSON", "POST", "/sessions", "user=a", http.StatusBadRequest},
		{"unknown path", "GET", "/nothing", "", http.StatusNotFound},
		{"unknown method", "PATCH", "/workspaces", "", http.StatusMethodNotAllowed},
		{"bad number", "GET", "/audit?limit=-1", "", http.StatusBadRequest},
		{"bad identity", "GET", "/directory/users/..%2f..", "", http.StatusNotFound},
		{"bad image name", "GET", "/images/a%20b", "", http.StatusBadRequest},
		{"bad object", "PUT", "/image-pushes/aaaaaaaaaaaaaaaaaaaaaaaaaa/objects/..%2f/x", "x", http.StatusNotFound},
	} {
		a := h.ask(c.method, rest.Prefix+c.path, h.admin, c.body)
		if a.status != c.status {
			t.Errorf("%s: status %d, expected %d: %s", c.name, a.status, c.status, a.body)
		}
		if p := a.problem(t); strings.Contains(p.Detail, h.data) {
			t.Errorf("%s: the answer names the server's folder: %s", c.name, p.Detail)
		}
		if a.header.Get("Dormer-Request") == "" || a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", c.name, a.header)
		}
	}
	if a := h.ask("PATCH", rest.Prefix+"/workspaces", h.admin, nil); strings.Join(a.header.Values("Allow"), ",") != "GET,POST" {
		t.Errorf("Allow is %v", a.header.Values("Allow"))
	}
	for path, media := range map[string]string{"/openapi.json": "application/json", "/schema/workspace.json": "application/schema+json", "/schema/organization.json": "application/schema+json"} {
		a := h.must("GET", path, "", nil, nil)
		if !json.Valid(a.body) || a.header.Get("Content-Type") != media {
			t.Errorf("%s: %s", path, a.header.Get("Content-Type"))
		}
	}
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
		if a := h.ask("GET", path, "", nil); a.status != http.StatusOK || string(a.body) != want {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

// TestPanic: a handler that panics is answered with a problem that says
// nothing of its insides, and the log says all.
func TestPanic(t *testing.T) {
	var log bytes.Buffer
	front := httpapi.Front(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("insides") }),
		slog.New(slog.NewTextHandler(&log, nil)), time.Now, rand.Reader, nil, func(*http.Request) bool { return true })
	w := httptest.NewRecorder()
	front.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "insides") {
		t.Errorf("answer %d %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "insides") || !strings.Contains(log.String(), w.Header().Get("Dormer-Request")) {
		t.Errorf("log: %s", log.String())
	}
}

func TestRemote(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct{ peer, forwarded, want string }{
		{"192.0.2.1:1", "", "192.0.2.1"},
		{"192.0.2.1:1", "198.51.100.9", "192.0.2.1"}, // not from a proxy
		{"10.0.0.1:1", "198.51.100.9", "198.51.100.9"},
		{"10.0.0.1:1", "203.0.113.5, 198.51.100.9", "198.51.100.9"}, // the first was written by the caller
		{"10.0.0.1:1", "198.51.100.9, 10.0.0.2", "198.51.100.9"},
		{"10.0.0.1:1", "garbage", "10.0.0.1"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := httpapi.Remote(r, trusted); got != c.want {
			t.Errorf("%s forwarded for %q: %s, expected %s", c.peer, c.forwarded, got, c.want)
		}
	}
}

// TestFieldsAreNamed: what is refused says which field it was.
func TestFieldsAreNamed(t *testing.T) {
	h := newHarness(t)
	for _, c := range []struct{ path, body, field string }{
		{"/publishers", `{"name":"packing","key":"no key"}`, "key"},
		{"/publishers", `{"name":"packing","key":"QUJD"}`, "key"},
		{"/publishers", `{"name":" ","key":"` + base64.StdEncoding.EncodeToString(make([]byte, 32)) + `"}`, "name"},
		{"/join-tokens", `{"managed":true}`, "name"},
		{"/join-tokens", `{"name":"third floor"}`, "managed"},
		{"/join-tokens", `{"name":"third floor","managed":true,"lifetime_hours":-1}`, "lifetime_hours"},
		{"/api-tokens", `{"name":" ","role":"full"}`, "name"},
	} {
		a := h.ask("POST", rest.Prefix+c.path, h.admin, c.body)
		if p := a.problem(t); a.status != http.StatusBadRequest || len(p.Fields) != 1 || p.Fields[0].Path != c.field {
			t.Errorf("POST %s %s: %d %+v, expected the field %s", c.path, c.body, a.status, p.Fields, c.field)
		}
	}
}
