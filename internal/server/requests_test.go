package server

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/wire"
)

// TestRequestIdentity: that of a request that fails is in its answer, in every
// line of the log about it and in the audit log; a trusted proxy may have
// chosen it, and nobody else.
func TestRequestIdentity(t *testing.T) {
	var log bytes.Buffer
	cfg := Default()
	cfg.Data = filepath.Join(t.TempDir(), "data")
	cfg.PublicURLs, cfg.TrustedProxies = []string{"https://localhost"}, []string{"192.0.2.0/24"}
	s, err := New(t.Context(), cfg, Deps{
		Now: time.Now, Random: rand.Reader, PasswordCost: access.Cost{MemoryKiB: 64, Passes: 1, Threads: 1},
		Logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	send := func(path, body, from, id string) (string, wire.Problem) {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), "POST", path, strings.NewReader(body))
		r.RemoteAddr = from
		r.Header.Set("X-Request-Id", id)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		var p wire.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		return w.Header().Get("Dormer-Request"), p
	}
	// logged are the messages of the lines about a request.
	logged := func(id string) (messages []string) {
		t.Helper()
		for line := range strings.Lines(log.String()) {
			var l struct{ Msg, Request string }
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatal(err)
			}
			if l.Request == id {
				messages = append(messages, l.Msg)
			}
			if strings.Count(line, `"request":`) > 1 {
				t.Errorf("twice in one line: %s", line)
			}
		}
		return messages
	}

	const wrong = `{"user":"admin","password":"a wrong password"}`
	id, p := send("/api/v1/sessions", wrong, "198.51.100.1:1000", "forged")
	if id == "" || id == "forged" || p.Request != id || p.Status != http.StatusUnauthorized {
		t.Errorf("identity %q, answer %+v", id, p)
	}
	if m := logged(id); len(m) != 1 || m[0] != "request" {
		t.Errorf("logged: %v", m)
	}
	records, err := s.state.Records(t.Context(), 0, 1)
	if err != nil || len(records) != 1 || records[0].Request != id || records[0].Action != "session.refuse" {
		t.Errorf("audited: %+v, %v", records, err)
	}
	if id, p := send("/api/v1/sessions", wrong, "192.0.2.7:1000", "edge-1.4711_x"); id != "edge-1.4711_x" || p.Request != id {
		t.Errorf("of a proxy: %q, %+v", id, p)
	}
	for _, bad := range []string{"a b", "x\n{}", strings.Repeat("x", 65), "<b>", ""} {
		if id, _ := send("/api/v1/sessions", wrong, "192.0.2.7:1000", bad); id == bad || len(id) < 20 {
			t.Errorf("identity %q of a proxy counts: %q", bad, id)
		}
	}

	// A fault of the server: its text is in the log alone.
	if err := s.state.Close(); err != nil {
		t.Fatal(err)
	}
	id, p = send("/api/v1/sessions", wrong, "198.51.100.1:1000", "")
	if p.Status != http.StatusInternalServerError && p.Status != http.StatusServiceUnavailable || p.Request != id {
		t.Errorf("fault: %+v", p)
	}
	if m := logged(id); len(m) == 0 || m[len(m)-1] != "request" {
		t.Errorf("logged of the fault: %v", m)
	}
	// What clients ask is logged for who looks for mistakes.
	id, _ = send("/client/v1/poll", "{}", "198.51.100.1:1000", "")
	if m := logged(id); len(m) != 1 {
		t.Errorf("logged of a poll: %v", m)
	}
	if strings.Contains(log.String(), "a wrong password") {
		t.Error("the log holds a password")
	}
}
