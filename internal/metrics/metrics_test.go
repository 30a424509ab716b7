package metrics

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

func newMetrics(t *testing.T, collect func(context.Context, Set)) *Metrics {
	t.Helper()
	m, err := New(Config{Version: "test", Collect: collect, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// everything sets every metric of the table.
func everything(_ context.Context, set Set) {
	for _, r := range rows() {
		set(r.name, 1, make([]string, len(r.labels))...)
	}
}

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// TestNames: names and units follow the conventions of Prometheus, by its own
// linter.
func TestNames(t *testing.T) {
	m := newMetrics(t, everything)
	m.Measure(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	text := scrape(t, m)
	for _, r := range rows() {
		if !strings.Contains(text, "\n"+string(r.name)) {
			t.Errorf("%s is not shown", r.name)
		}
	}
	for _, name := range []string{`dormer_build_info{goversion="go`, "go_goroutines ", "process_open_fds "} {
		if !strings.Contains(text, name) {
			t.Errorf("%s is not shown", name)
		}
	}
}

// TestMistake: a metric with labels that are not its own does not take the
// others away.
func TestMistake(t *testing.T) {
	m := newMetrics(t, func(_ context.Context, set Set) {
		set(DatabaseUp, 1)
		set(Fenced, 0)
	})
	if text := scrape(t, m); !strings.Contains(text, "\ndormer_superseded 0\n") {
		t.Errorf("shown is\n%s", text)
	}
}

// TestMeasure: requests count under the innermost pattern, whatever their
// callers write into them.
func TestMeasure(t *testing.T) {
	inner := http.NewServeMux()
	inner.HandleFunc("POST /api/users/{id}", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(w, r.Body); err != nil {
			t.Error(err)
		}
	})
	inner.HandleFunc("GET /api/fault", func(http.ResponseWriter, *http.Request) { panic("a fault") })
	outer := http.NewServeMux()
	outer.Handle("/api/", inner)
	m := newMetrics(t, everything)
	h := m.Measure(outer)
	for _, one := range []struct{ method, path, body string }{
		{"POST", "/api/users/alice", "12345"},
		{"POST", "/api/users/bob", "67"},
		{"GET", "/api/fault", ""},
		{"GET", "/no/such/path", ""},
		{"BREW", "/api/users/alice", ""},
		{"GREP", "/api/users/alice", ""},
	} {
		func() {
			defer func() { _ = recover() }()
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), one.method, one.path, strings.NewReader(one.body)))
		}()
	}
	text := scrape(t, m)
	for _, want := range []string{
		`dormer_http_requests_total{code="2xx",method="POST",route="/api/users/{id}"} 2`,
		`dormer_http_requests_total{code="5xx",method="GET",route="/api/fault"} 1`,
		`dormer_http_requests_total{code="4xx",method="GET",route="none"} 1`,
		`dormer_http_requests_total{code="4xx",method="other",route="none"} 2`,
		`dormer_http_received_bytes_total{method="POST",route="/api/users/{id}"} 7`,
		`dormer_http_sent_bytes_total{method="POST",route="/api/users/{id}"} 7`,
		`dormer_http_request_duration_seconds_count{method="POST",route="/api/users/{id}"} 2`,
		`dormer_http_requests_in_flight 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// TestDocumented: each metric is explained to people, and nothing is that does
// not exist.
func TestDocumented(t *testing.T) {
	b, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(dormer_\\w+)` \\|").FindAllStringSubmatch(string(b), -1) {
		documented[m[1]] = true
	}
	m := newMetrics(t, everything)
	m.Measure(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if n := f.GetName(); strings.HasPrefix(n, "dormer_") && !documented[n] {
			t.Errorf("%s is not documented", n)
		} else {
			delete(documented, n)
		}
	}
	for n := range documented {
		t.Errorf("%s is documented and does not exist", n)
	}
}
