package alert

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/name"
)

// TestDefaults holds the rules that come with the program against the rules for
// rules.
func TestDefaults(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range defaults {
		if err := r.Check(); err != nil {
			t.Errorf("%s: %v", r.Name, err)
		}
		if seen[r.Name] || name.Fold(r.Name) != r.Name {
			t.Errorf("%s: there twice, or not in its folded form", r.Name)
		}
		seen[r.Name] = true
	}
	// Each kind of observation is of use to somebody, and people can read of it.
	document, err := os.ReadFile("../../docs/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		used := slices.ContainsFunc(defaults, func(r Rule) bool { return r.State != nil && r.State.Observed == k })
		if !used && k != ClientsConnected {
			t.Errorf("no rule observes %s", k)
		}
		if !strings.Contains(string(document), "\n| `"+string(k)+"` |") {
			t.Errorf("docs/alerts.md has no row for %s", k)
		}
	}
}

func TestCheck(t *testing.T) {
	events := func(change func(*Rule)) Rule {
		r := burst(3)
		change(&r)
		return r
	}
	state := func(change func(*Rule)) Rule {
		r := disk("2m", "5m")
		change(&r)
		return r
	}
	for _, test := range []struct {
		name  string
		rule  Rule
		paths []string
	}{
		{"events", burst(3), nil},
		{"state", disk("", "30d"), nil},
		{"nothing", Rule{}, []string{"name", "severity", "text", "clear_after", ""}},
		{"both", events(func(r *Rule) { r.State = disk("", "5m").State }), []string{""}},
		{"name", events(func(r *Rule) { r.Name = "a/b" }), []string{"name"}},
		{"name of a folder", events(func(r *Rule) { r.Name = ".." }), []string{"name"}},
		{"information", events(func(r *Rule) { r.Severity = dormer.Information }), []string{"severity"}},
		{"two lines", events(func(r *Rule) { r.Text = "a\nb" }), []string{"text"}},
		{"long text", events(func(r *Rule) { r.Text = strings.Repeat("a", maxText+1) }), []string{"text"}},
		{"placeholder", events(func(r *Rule) { r.Text = "a {host}" }), []string{"text"}},
		{"open brace", events(func(r *Rule) { r.Text = "{count} of {" }), []string{"text"}},
		{"times", events(func(r *Rule) { r.ClearAfter, r.Events.Window = "10", "8d" }), []string{"clear_after", "events.window"}},
		{"short times", events(func(r *Rule) { r.ClearAfter, r.Events.Window = "59s", "-1m" }), []string{"clear_after", "events.window"}},
		{"unknown code", events(func(r *Rule) { r.Events.Codes = []int{503, 1} }), []string{"events.codes[1]"}},
		{"own code", events(func(r *Rule) { r.Events.Codes = []int{870} }), []string{"events.codes[0]"}},
		{"selection", events(func(r *Rule) {
			r.Events.Severity, r.Events.Category, r.Events.Counts, r.Events.By = "fatal", "none", "users", "host"
		}), []string{"events.severity", "events.category", "events.counts", "events.by"}},
		{"threshold", events(func(r *Rule) { r.Events.Threshold = 0 }), []string{"events.threshold"}},
		{"clients of a client", events(func(r *Rule) { r.Events.Counts = CountClients }), []string{"events.by"}},
		{"observation", state(func(r *Rule) { r.State.Observed, r.State.Comparison, r.State.For = "mood", "is", "x" }), []string{"state.observed", "state.comparison", "state.for"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.rule.Check()
			var paths []string
			if invalid, ok := errors.AsType[*dormer.InvalidError](err); ok {
				for _, f := range invalid.Fields {
					paths = append(paths, f.Path)
				}
			}
			if diff := cmp.Diff(test.paths, paths); diff != "" {
				t.Errorf("wrong fields (-want +got):\n%s\n%v", diff, err)
			}
		})
	}
}

func TestSpans(t *testing.T) {
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "10m": 10 * time.Minute, "12h": 12 * time.Hour, "7d": 7 * 24 * time.Hour} {
		got, ok := parseSpan(text)
		if !ok || got != want {
			t.Errorf("%s is %s, %t", text, got, ok)
		}
	}
	for _, bad := range []string{"", "d", "10", "-1d", "-3m", "99999999999d", "1y"} {
		if d, ok := parseSpan(bad); ok {
			t.Errorf("%q is %s", bad, d)
		}
	}
	for _, text := range []string{"10s", "10m", "7d", "1h30m"} {
		if d, _ := parseSpan(text); spanText(d) != text {
			t.Errorf("%s came back as %s", text, spanText(d))
		}
	}
}

// FuzzRule reads rules from anywhere: what checks can be used.
func FuzzRule(f *testing.F) {
	for _, r := range defaults {
		b, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Rule
		if json.Unmarshal(b, &r) != nil || r.Check() != nil {
			return
		}
		e := engineOf(t, r)
		e.event(failure("a", 0))
		e.observe([]Observation{{Kind: DiskUsed, Subject: "data", Value: 99}}, at(time.Second))
		state, err := e.encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := engineOf(t, r).decode(state, nil, at(time.Minute)); err != nil {
			t.Errorf("what was saved cannot be loaded: %v", err)
		}
	})
}

// FuzzState loads what is damaged: it is refused or taken, and nothing worse.
func FuzzState(f *testing.F) {
	e := newEngine()
	c, err := burst(1).compile()
	if err != nil {
		f.Fatal(err)
	}
	e.setRules([]*compiled{c}, start)
	e.event(failure("a", 0))
	b, err := e.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		e := engineOf(t, burst(1))
		if e.decode(b, nil, start) != nil {
			return
		}
		e.event(failure("a", time.Hour))
		e.advance(at(100 * time.Hour))
	})
}
