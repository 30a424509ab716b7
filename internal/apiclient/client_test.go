package apiclient_test

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func newClient(t *testing.T, c apiclient.Config) *apiclient.Client {
	t.Helper()
	client, err := apiclient.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestBadConfig(t *testing.T) {
	for name, c := range map[string]apiclient.Config{
		"nothing": {}, "no scheme": {Server: "dormer.example.com"}, "other scheme": {Server: "ftp://x"},
		"password": {Server: "https://a:b@x"}, "query": {Server: "https://x?a=b"}, "no certificate": {Server: "https://x", Authority: []byte("x")},
	} {
		if _, err := apiclient.New(c); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestForeignServers: whoever is not the server gets no token by a redirect,
// and what answers instead of it is an error of a kind that fits.
func TestForeignServers(t *testing.T) {
	reached := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer other.Close()
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		want  error
	}{
		"redirect":    {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) }, dormer.ErrUnsupported},
		"bad gateway": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, dormer.ErrUnavailable},
		"a web page":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, dormer.ErrCorrupt},
		"cut off":     {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, dormer.ErrUnavailable},
	} {
		s := httptest.NewServer(c.serve)
		_, err := newClient(t, apiclient.Config{Server: s.URL, Token: "secret"}).Groups(t.Context())
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		s.Close()
	}
	if reached {
		t.Error("a redirect was followed")
	}
}

// TestAuthority: only a server under the pinned authority is spoken with.
func TestAuthority(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"items":[]}`) }))
	defer s.Close()
	s.Config.ErrorLog = nil
	right := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if _, err := newClient(t, apiclient.Config{Server: s.URL, Authority: right}).Groups(t.Context()); err != nil {
		t.Errorf("the pinned one: %v", err)
	}
	if _, err := newClient(t, apiclient.Config{Server: s.URL}).Groups(t.Context()); !errors.Is(err, dormer.ErrDenied) || !strings.Contains(err.Error(), "--ca") {
		t.Errorf("the system's: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newClient(t, apiclient.Config{Server: s.URL, Authority: right}).Groups(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

// TestRequests are what the server expects.
func TestRequests(t *testing.T) {
	var got *http.Request
	var body string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got, body = r, string(b)
		w.Header().Set("ETag", `"tag"`)
		w.Header().Set(rest.HeaderRevision, "7")
		_, _ = io.WriteString(w, "{}")
	}))
	defer s.Close()
	c := newClient(t, apiclient.Config{Server: s.URL + "/", Token: "secret", UserAgent: "test"})
	if _, err := c.CommitWorkspace(t.Context(), "id", []byte("document"), "old", "why"); err != nil {
		t.Fatal(err)
	}
	if got.Method != "PUT" || got.URL.Path != "/api/v1/workspaces/id" || body != "document" || got.Header.Get("If-Match") != `"old"` ||
		got.Header.Get(rest.HeaderMessage) != "why" || got.Header.Get("Authorization") != "Bearer secret" || got.UserAgent() != "test" {
		t.Errorf("commit: %s %s %v %q", got.Method, got.URL, got.Header, body)
	}
	d, err := c.Workspace(t.Context(), "id", apiclient.YAML)
	if err != nil || d.ETag != "tag" || d.Revision != 7 || got.Header.Get("Accept") != "application/yaml" {
		t.Errorf("read: %+v, %v", d, err)
	}
	if _, err := c.Image(t.Context(), "ä/b?c"); err != nil || got.URL.EscapedPath() != "/api/v1/images/%C3%A4%2Fb%3Fc" {
		t.Errorf("a name that needs escaping: %s, %v", got.URL.EscapedPath(), err)
	}
	// A stream: its length is known, so that nothing is read into memory.
	const size = 3 << 20
	if err := c.PutObject(t.Context(), "push", imageformat.Object{Name: "packs/00", Size: size}, io.LimitReader(zeros{}, size)); err != nil {
		t.Fatal(err)
	}
	if got.ContentLength != size || len(body) != size || got.URL.Path != "/api/v1/image-pushes/push/objects/packs/00" {
		t.Errorf("upload: %s of %d bytes", got.URL.Path, got.ContentLength)
	}
	if _, err := c.ActivityReport(t.Context(), rest.ReportQuery{Days: 3, User: "a b", After: "x", Codes: []int{1, 2}}); err != nil || got.URL.RawQuery != "after=x&code=1%2C2&days=3&user=a+b" {
		t.Errorf("report: %s, %v", got.URL.RawQuery, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
