package metrics

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
)

// dashboard is what is looked at of a dashboard of Grafana.
type dashboard struct {
	Title         string
	UID           string
	SchemaVersion int
	Templating    struct {
		List []struct{ Name string }
	}
	Panels []struct {
		ID         int
		Type       string
		Title      string
		GridPos    struct{ X, Y, W, H int }
		Datasource struct{ Type, UID string }
		Targets    []struct {
			Expr  string
			RefID string
		}
	}
}

// TestDashboard: what the dashboard asks for exists, and its panels stand side
// by side.
func TestDashboard(t *testing.T) {
	b, err := os.ReadFile("../../dashboards/dormer.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	if d.Title != "Dormer" || d.UID == "" || d.SchemaVersion < 36 || len(d.Panels) < 20 {
		t.Errorf("title %q, uid %q, schema %d, %d panels", d.Title, d.UID, d.SchemaVersion, len(d.Panels))
	}
	variables := map[string]bool{"__rate_interval": true}
	for _, v := range d.Templating.List {
		variables[v.Name] = true
	}
	for _, v := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(string(b), -1) {
		if !variables[v[1]] {
			t.Errorf("there is no variable %s", v[1])
		}
	}

	m := newMetrics(t, everything)
	m.Measure(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
	known := map[string]bool{}
	for line := range strings.Lines(scrape(t, m)) {
		known[regexp.MustCompile(`^\w*`).FindString(line)] = true
	}
	name, label := regexp.MustCompile(`\b(?:dormer|go|process)_\w+`), regexp.MustCompile(`"[^"]*"`)
	shown := map[string]bool{}
	ids := map[int]bool{}
	type cell struct{ x, y int }
	taken := map[cell]string{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s: there are two panels %d", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.GridPos.X+p.GridPos.W > 24 || p.GridPos.W < 1 || p.GridPos.H < 1 {
			t.Errorf("%s: it does not fit: %+v", p.Title, p.GridPos)
		}
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := cell{p.GridPos.X + x, p.GridPos.Y + y}
				if other, ok := taken[at]; ok {
					t.Fatalf("%s stands on %s", p.Title, other)
				}
				taken[at] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("%s: source %+v, %d targets", p.Title, p.Datasource, len(p.Targets))
		}
		for _, q := range p.Targets {
			asked := name.FindAllString(label.ReplaceAllString(q.Expr, ""), -1)
			if len(asked) == 0 || q.RefID == "" || strings.Count(q.Expr, "(") != strings.Count(q.Expr, ")") {
				t.Errorf("%s: %q", p.Title, q.Expr)
			}
			for _, n := range asked {
				shown[n] = true
				if !known[n] {
					t.Errorf("%s asks for %s, which does not exist", p.Title, n)
				}
			}
		}
	}
	if len(shown) < 25 {
		t.Errorf("only %d metrics are shown", len(shown))
	}
}
