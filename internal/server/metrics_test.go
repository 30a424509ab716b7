package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/wire"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// text asks for something that is no JSON.
func text(t *testing.T, h http.Handler, path, token string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// TestMetrics: whoever may read reports reads metrics; the listener of their
// own has nothing else.
func TestMetrics(t *testing.T) {
	s, err := testServer(t, func(*Config) {})
	if err != nil {
		t.Fatal(err)
	}
	if code, body := text(t, s.Handler(), "/metrics", ""); code != http.StatusUnauthorized || strings.Contains(body, "dormer_") {
		t.Errorf("without signing in: status %d, %s", code, body)
	}
	admin := adminToken(t, s)
	for area, want := range map[string]int{"reports": http.StatusOK, "images": http.StatusForbidden} {
		var made rest.APITokenCreated
		if code := ask(t, s, "POST", "/api/v1/api-tokens", admin, fmt.Sprintf(`{"name":%q,"role":"read-only","areas":[%q],"lifetime_hours":1}`, area, area), &made); code != http.StatusCreated {
			t.Fatalf("make an API token: status %d, %+v", code, made)
		}
		if code, _ := text(t, s.Handler(), "/metrics", made.Token); code != want {
			t.Errorf("with a token for %s: status %d, want %d", area, code, want)
		}
	}
	code, body := text(t, s.Handler(), "/metrics", admin)
	if code != http.StatusOK {
		t.Fatalf("status %d", code)
	}
	for _, want := range []string{
		`dormer_database_up{database="state"} 1`, `dormer_database_up{database="events"} 1`, `dormer_clients{state="online"} 0`,
		`dormer_machines{state="running"} 0`, `dormer_superseded 0`, `dormer_http_requests_total{code="4xx",method="GET",route="/metrics"} 2`,
		`dormer_http_requests_total{code="2xx",method="POST",route="/api/v1/api-tokens"} 2`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
	for _, pattern := range []string{
		`dormer_disk_free_bytes\{folder="data"\} [1-9]`, `dormer_disk_size_bytes\{folder="repository"\} [1-9]`,
		`dormer_certificate_not_after_timestamp_seconds\{certificate="server"\} [1-9]`, `dormer_database_size_bytes\{database="events"\} [1-9]`,
	} {
		if !regexp.MustCompile(pattern).MatchString(body) {
			t.Errorf("missing: %s", pattern)
		}
	}
	if code, body := text(t, s.scraped(), "/metrics", ""); code != http.StatusOK || !strings.Contains(body, "dormer_database_up") {
		t.Errorf("at the listener of their own: status %d", code)
	}
	for _, path := range []string{"/", "/healthz", "/api/v1/instance"} {
		if code, _ := text(t, s.scraped(), path, ""); code != http.StatusNotFound {
			t.Errorf("at the listener of their own, %s: status %d", path, code)
		}
	}
}

// TestMetricsOfAMoment: what a client invents makes no new series, and a
// database that is away takes nothing but its own values away.
func TestMetricsOfAMoment(t *testing.T) {
	by := machineStates(map[string]int{"running": 2, "invented": 3, "": 1, "also invented": 4})
	if by["running"] != 2 || by["unknown"] != 8 || by["stopping"] != 0 || len(by) != 14 {
		t.Errorf("states: %v", by)
	}
	s, err := testServer(t, func(*Config) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.events.Close(); err != nil {
		t.Fatal(err)
	}
	_, body := text(t, s.scraped(), "/metrics", "")
	for _, want := range []string{`dormer_database_up{database="state"} 1`, `dormer_database_up{database="events"} 0`, `dormer_clients{state="online"} 0`} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
}

// TestMetricsListener: the setting opens a listener, and a wrong one is named.
func TestMetricsListener(t *testing.T) {
	s, err := testServer(t, func(c *Config) { c.Metrics.Listen = "127.0.0.1:0" })
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.listenForMetrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h := &http.Server{Handler: s.scraped()}
	served := make(chan error, 1)
	go func() { served <- h.Serve(l) }()
	resp, err := http.Get("http://" + l.Addr().String() + "/metrics") //nolint:forbidigo // a test's
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || !strings.Contains(string(body), "dormer_build_info") {
		t.Errorf("%v: %s", err, body)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	for _, wrong := range []string{"9464", ":9464", "localhost"} {
		if _, err := testServer(t, func(c *Config) { c.Metrics.Listen = wrong }); err == nil || !strings.Contains(err.Error(), "metrics.listen") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// TestReadinessSaysWhy: without a word of where the databases are.
func TestReadinessSaysWhy(t *testing.T) {
	s, err := testServer(t, func(*Config) {})
	if err != nil {
		t.Fatal(err)
	}
	detail := func() string {
		t.Helper()
		var p wire.Problem
		if code := ask(t, s, "GET", "/readyz", "", "", &p); code != http.StatusServiceUnavailable || p.Kind != "not-ready" {
			t.Errorf("status %d, %+v", code, p)
		}
		return p.Detail
	}
	s.stopping.Store(true)
	if d := detail(); d != "the server is stopping" {
		t.Errorf("stopping: %q", d)
	}
	s.stopping.Store(false)
	s.fenced.Store(true)
	if err := s.events.Close(); err != nil {
		t.Fatal(err)
	}
	if d := detail(); d != "another server of this instance has taken over; the events database does not answer" {
		t.Errorf("superseded, and a database is away: %q", d)
	}
}

// TestHealth: operators are told which part is not well, since when and what to
// do about it.
func TestHealth(t *testing.T) {
	s, err := testServer(t, func(*Config) {})
	if err != nil {
		t.Fatal(err)
	}
	token := adminToken(t, s)
	if code := ask(t, s, "GET", "/api/v1/health", "", "", nil); code != http.StatusUnauthorized {
		t.Errorf("without signing in: status %d", code)
	}
	part := func(h rest.Health, name string) rest.HealthPart {
		t.Helper()
		for _, p := range h.Parts {
			if p.Part == name {
				return p
			}
		}
		t.Fatalf("there is no part %s in %+v", name, h)
		return rest.HealthPart{}
	}
	var h rest.Health
	if code := ask(t, s, "GET", "/api/v1/health", token, "", &h); code != http.StatusOK || h.Status == rest.HealthError {
		t.Fatalf("status %d, %+v", code, h)
	}
	if p := part(h, "events database"); p.Status != rest.HealthOK || p.Since == nil {
		t.Errorf("%+v", p)
	}
	if err := s.keepWatch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.events.Close(); err != nil {
		t.Fatal(err)
	}
	o, err := s.observeNow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	changed := s.watch.note(s.judge(o), o.At)
	if len(changed) != 1 || changed[0].Part != "events database" {
		t.Errorf("changed: %+v", changed)
	}
	ask(t, s, "GET", "/api/v1/health", token, "", &h)
	p := part(h, "events database")
	if h.Status != rest.HealthError || p.Status != rest.HealthError || p.Since == nil || !p.Since.Equal(o.At) || !strings.Contains(p.ToDo, "events.dsn") {
		t.Errorf("%+v", p)
	}
	if p := part(h, "state database"); p.Status != rest.HealthOK || p.Since.Equal(o.At) {
		t.Errorf("%+v", p)
	}
}

// TestObservationsAreShared: who asks often does not ask the databases often,
// and who stops waiting is let go.
func TestObservationsAreShared(t *testing.T) {
	s, err := testServer(t, func(*Config) {})
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.observe(t.Context()); err != nil || !again.At.Equal(first.At) {
		t.Errorf("at %s and %s, %v", first.At, again.At, err)
	}
	s.watch.turn <- struct{}{} // somebody observes, and is not done
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.observeNow(gone); err == nil {
		t.Error("an observation was made that nobody waits for")
	}
	<-s.watch.turn
}
