package server

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/store/storetest"
	"github.com/dormer-project/dormer/internal/wire"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// ask sends a request straight to the handler.
func ask(t *testing.T, s *Server, method, path, token, body string, out any) int {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	if out != nil {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, w.Body)
		}
	}
	return w.Code
}

func adminToken(t *testing.T, s *Server) string {
	t.Helper()
	once, err := os.ReadFile(s.first.path)
	if err != nil {
		t.Fatal(err)
	}
	var in rest.SignedIn
	body := `{"user":"admin","password":"` + strings.TrimSpace(string(once)) + `","new_password":"correct horse battery"}`
	if code := ask(t, s, "POST", "/api/v1/sessions", "", body, &in); code != http.StatusCreated {
		t.Fatalf("sign in: status %d", code)
	}
	return in.Token
}

// TestReports: events that were stored are in the reports, filtered and in
// pages; the last page says so.
func TestReports(t *testing.T) {
	s, err := testServer(t, func(*Config) {})
	if err != nil {
		t.Fatal(err)
	}
	token := adminToken(t, s)
	now := time.Now().UTC().Truncate(time.Microsecond)
	var events []wire.NumberedEvent
	for i := range 10 {
		e := event.New(event.AgentStarted, now, "")
		e.Host, e.User = "pc1", "alice"
		if i%5 == 0 {
			e.Severity, e.User = dormer.Error, "bob"
		}
		events = append(events, wire.NumberedEvent{Sequence: uint64(i + 1), Event: e})
	}
	if _, err := s.events.AppendEvents(t.Context(), []event.Batch{{
		Instance: s.instance, Client: "aaaaaaaaaaaaaaaaaaaaaaaaaa", Journal: "j", Received: now, Events: events,
	}}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		"activity": 10, "errors": 2, "activity?user=ALI": 8, "activity?host=pc2": 0, "activity?limit=3": 3, "activity?days=1&user=bob": 2,
	} {
		var rows rest.ReportPage[rest.EventRow]
		if code := ask(t, s, "GET", "/api/v1/reports/"+path, token, "", &rows); code != http.StatusOK || len(rows.Items) != want {
			t.Errorf("%s: status %d, %d rows, expected %d", path, code, len(rows.Items), want)
		}
		for _, r := range rows.Items {
			if r.Host != "pc1" || r.Code != int(event.AgentStarted) || !r.Time.Equal(now) {
				t.Errorf("%s: row %+v", path, r)
			}
		}
	}
	seen := map[int64]bool{}
	for next := "?limit=4"; next != ""; {
		var rows rest.ReportPage[rest.EventRow]
		ask(t, s, "GET", "/api/v1/reports/activity"+next, token, "", &rows)
		for _, r := range rows.Items {
			seen[r.ID] = true
		}
		next = ""
		if rows.Next != "" {
			next = "?limit=4&after=" + rows.Next
		}
	}
	if len(seen) != 10 {
		t.Errorf("pages hold %d of 10 rows", len(seen))
	}
	for _, path := range []string{"activity?days=x", "errors?limit=-1", "status?days=99999"} {
		if code := ask(t, s, "GET", "/api/v1/reports/"+path, token, "", nil); code != http.StatusBadRequest {
			t.Errorf("%s: status %d", path, code)
		}
	}
	var status rest.ReportPage[rest.StatusRow]
	if code := ask(t, s, "GET", "/api/v1/reports/status", token, "", &status); code != http.StatusOK || status.Items == nil {
		t.Errorf("status report: %d, %+v", code, status)
	}
}

// TestFenced: once another server has taken over, this one changes nothing and
// sends clients on.
func TestFenced(t *testing.T) {
	s, err := testServer(t, func(*Config) {})
	if err != nil {
		t.Fatal(err)
	}
	token := adminToken(t, s)
	if code := ask(t, s, "GET", "/api/v1/workspaces", token, "", nil); code != http.StatusOK {
		t.Fatalf("before: status %d", code)
	}
	s.fence(s.epoch + 1)
	var p wire.Problem
	if code := ask(t, s, "GET", "/api/v1/workspaces", token, "", &p); code != http.StatusServiceUnavailable || p.Kind != "fenced" {
		t.Errorf("API: status %d, %+v", code, p)
	}
	if code := ask(t, s, "GET", "/readyz", "", "", nil); code != http.StatusServiceUnavailable {
		t.Errorf("readiness: status %d", code)
	}
	if code := ask(t, s, "GET", "/healthz", "", "", nil); code != http.StatusOK {
		t.Errorf("health: status %d", code)
	}
}

// TestFencedTellsNobody: who listens for changes at a server that was superseded
// has to ask again, where others answer.
func TestFencedTellsNobody(t *testing.T) {
	s, err := testServer(t, func(*Config) {})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s.Handler())
	defer web.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, web.URL+"/api/v1/notices", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+adminToken(t, s))
	resp, err := web.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	s.fence(s.epoch + 1)
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, resp.Body)
		ended <- err
	}()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the stream ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the stream goes on")
	}
}

// TestFencedStaysFenced: a restart does not bring a superseded server back, a
// higher epoch of its own does.
func TestFencedStaysFenced(t *testing.T) {
	s, err := testServer(t, func(*Config) {})
	if err != nil {
		t.Fatal(err)
	}
	s.fence(s.epoch + 1)
	if err := s.data.checkFence(s.epoch); !errors.Is(err, dormer.ErrFenced) {
		t.Errorf("start after the fence: %v, want ErrFenced", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if again, err := New(t.Context(), s.cfg, s.deps); !errors.Is(err, dormer.ErrFenced) {
		t.Errorf("New after the fence: %v, %v, want ErrFenced", again, err)
	}
	if err := s.data.checkFence(s.epoch + 1); err != nil {
		t.Errorf("start with the epoch raised: %v", err)
	}
}

// TestReadiness says no while a database does not answer.
func TestReadiness(t *testing.T) {
	s, err := testServer(t, func(*Config) {})
	if err != nil {
		t.Fatal(err)
	}
	if code := ask(t, s, "GET", "/readyz", "", "", nil); code != http.StatusOK {
		t.Errorf("status %d", code)
	}
	if err := s.events.Close(); err != nil {
		t.Fatal(err)
	}
	if code := ask(t, s, "GET", "/readyz", "", "", nil); code != http.StatusServiceUnavailable {
		t.Errorf("without the database of events: status %d", code)
	}
}

// TestRetention removes what is older than the configuration keeps.
func TestRetention(t *testing.T) {
	s, err := testServer(t, func(c *Config) { c.Events.RetentionDays = 2 })
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	for i, age := range []time.Duration{0, 47 * time.Hour, 73 * time.Hour} {
		at := now.Add(-age)
		if _, err := s.events.AppendEvents(t.Context(), []event.Batch{{
			Instance: s.instance, Client: "aaaaaaaaaaaaaaaaaaaaaaaaaa", Journal: dormer.JournalID(rune('a' + i)), Received: at,
			Events: []wire.NumberedEvent{{Sequence: 1, Event: event.New(event.AgentStarted, at, "")}},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.retain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := storetest.Rows(t, s.events, s.instance); len(left) != 2 {
		t.Errorf("%d events are left", len(left))
	}
}
