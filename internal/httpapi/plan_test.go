package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	written "github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/httpapi"
	"github.com/dormer-project/dormer/internal/plan"
	"github.com/dormer-project/dormer/internal/plan/observation"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/simulation"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// TestObserved: who may read gets what plans can be told, and what is not
// known yet is said.
func TestObserved(t *testing.T) {
	h := newHarness(t)
	enrol(t, h)
	pushImage(t, h, "debian")
	h.must("POST", "/workspaces", h.admin, document, nil)
	var seen observation.Observation
	h.must("GET", "/plan/observed?days=7", h.reader, nil, &seen)
	if seen.Server != "http://dormer.example.com" || seen.Days != 7 || len(seen.Images) != 1 || seen.Images[0].Packed == 0 || len(seen.Workspaces) != 1 {
		t.Errorf("%+v", seen)
	}
	if said := strings.Join(seen.Missing, "\n"); !strings.Contains(said, "no event") && !strings.Contains(said, "No event") && !strings.Contains(said, "10,000") {
		t.Errorf("what is missing: %s", said)
	}
	for _, days := range []string{"367", "-1", "x"} {
		if a := h.ask("GET", rest.Prefix+"/plan/observed?days="+days, h.reader, nil); a.status != http.StatusBadRequest {
			t.Errorf("%s days: %d", days, a.status)
		}
	}
}

// TestObservedIntoPlan: what the instance has seen stands in the organization
// that was sent, which stays as it was written otherwise.
func TestObservedIntoPlan(t *testing.T) {
	h := newHarness(t)
	enrol(t, h)
	pushImage(t, h, "debian")
	h.must("POST", "/workspaces", h.admin, document, nil)
	const text = `apiVersion: dormer/v1
kind: Organization # of ours
metadata: {name: Here}
spec:
  domains: [{name: corp.example.test}]
  sites:
    - {name: Headquarters, people: [{users: 10}]}
  images:
    - name: debian
      packed: 1GiB
  workspaces:
    - {name: Office, image: debian}
`
	var filled httpapi.FilledPlan
	a := h.ask("POST", rest.Prefix+"/plan/observed", h.reader, text)
	if err := json.Unmarshal(a.body, &filled); err != nil || a.status != http.StatusOK {
		t.Fatalf("%d: %s, %v", a.status, a.body, err)
	}
	if !strings.Contains(filled.Text, "# of ours") || strings.Contains(filled.Text, "packed: 1GiB") || len(filled.Changes) == 0 {
		t.Errorf("%+v", filled)
	}
	if a := h.ask("POST", rest.Prefix+"/plan/observed", h.reader, "kind: Workspace"); a.status != http.StatusBadRequest {
		t.Errorf("no organization: %d", a.status)
	}
}

// corp is an organization whose plan is known: 5,001 clients need two
// instances, and the laboratory one more.
const corp = `apiVersion: dormer/v1
kind: Organization
metadata: {name: Corp <script>alert(1)</script>}
spec:
  networks: [{name: Laboratory}]
  sites:
    - name: Berlin
      people: [{users: 5001}, {users: 20, network: Laboratory}]
  images: [{name: office, packed: 4GiB}]
  workspaces: [{name: Office, image: office}]
`

func corpJSON(t *testing.T, users int) json.RawMessage {
	t.Helper()
	o, err := organization.Decode([]byte(strings.Replace(corp, "5001", strconv.Itoa(users), 1)), "")
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPlan: what the API answers is what the planner works out, for whoever may
// read, and nothing of it is in the audit log.
func TestPlan(t *testing.T) {
	h := newHarness(t)
	o, err := organization.Decode([]byte(corp), "")
	if err != nil {
		t.Fatal(err)
	}
	want, err := plan.Compute(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []any{corp, corpJSON(t, 5001)} {
		if a := h.must("POST", "/plan", h.reader, body, nil); strings.TrimSpace(string(a.body)) != string(wanted) {
			t.Errorf("the plan is not that of package plan: %.200s", a.body)
		}
	}
	if len(want.Instances) != 3 {
		t.Errorf("%d instances", len(want.Instances))
	}
	for format, c := range map[string]struct{ media, holds string }{
		"text": {"text/plain; charset=utf-8", "Berlin"}, "markdown": {"text/markdown; charset=utf-8", "# "}, "html": {"text/html; charset=utf-8", "<svg"},
	} {
		a := h.must("POST", "/plan/document?format="+format, h.reader, corp, nil)
		if a.header.Get("Content-Type") != c.media || !strings.Contains(string(a.body), c.holds) || !strings.Contains(a.header.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s: %v %.200s", format, a.header, a.body)
		}
		if format == "html" && strings.Contains(string(a.body), "<script") {
			t.Error("a name became a script")
		}
	}
	var explained plan.Explained
	h.must("POST", "/plan/explain", h.reader, corp, &explained)
	if explained.Instances != 3 || len(explained.Changes) < 2 {
		t.Errorf("explained: %+v", explained)
	}
	h.must("POST", "/plan/explain?with=capacity%3D20000&with=without%3Dnetwork:Laboratory", h.reader, corp, &explained)
	if len(explained.Changes) != 1 || explained.Changes[0].Instances != 1 {
		t.Errorf("explained with less: %+v", explained)
	}
	var compared plan.Comparison
	h.must("POST", "/plan/compare", h.reader, httpapi.ComparePlans{Before: corpJSON(t, 5001), After: corpJSON(t, 5000)}, &compared)
	if compared.Instances.A != 3 || compared.Instances.B != 2 {
		t.Errorf("compared: %+v", compared.Instances)
	}
	var played simulation.Result
	h.must("POST", "/plan/simulate", h.reader, httpapi.SimulatePlan{
		Organization: corpJSON(t, 100), Options: simulation.Options{Seed: 3, Length: written.Duration(time.Hour), From: written.Duration(10 * time.Hour)},
	}, &played)
	if played.Seed != 3 || played.Sample.Clients != 120 || len(played.Checks) == 0 {
		t.Errorf("played: %+v", played.Sample)
	}
	var log rest.List[rest.AuditRecord]
	h.must("GET", "/audit", h.admin, nil, &log)
	for _, r := range log.Items {
		if strings.Contains(r.Action, "plan") {
			t.Errorf("in the audit log: %+v", r)
		}
	}
}

// TestPlansThatAreRefused: what is wrong is named, with its path.
func TestPlansThatAreRefused(t *testing.T) {
	h := newHarness(t)
	wrong := strings.Replace(corp, "image: office}", "image: ofice}", 1)
	unknown := json.RawMessage(strings.Replace(string(corpJSON(t, 1)), `"users":1`, `"user":1`, 1))
	var many strings.Builder
	for n := range 10 {
		fmt.Fprintf(&many, "    - {name: S%d, people: [%s]}\n", n, strings.TrimSuffix(strings.Repeat("{users: 1}, ", 100), ", "))
	}
	fmt.Fprint(&many, "  links:\n")
	for n := range 10 {
		fmt.Fprintf(&many, "    - {from: Berlin, to: S%d, bandwidth: 10Mbit/s}\n", n)
	}
	for _, c := range []struct {
		name, path string
		body       any
		status     int
		says       string
	}{
		{"a wrong field", "/plan", wrong, 400, "spec.workspaces[0].image"},
		{"no organization", "/plan", "x", 400, ""},
		{"nothing", "/plan", "", 400, ""},
		{"too large", "/plan", strings.Repeat("#", organization.MaxDocument+2), 413, ""},
		{"too many people", "/plan", strings.Replace(corp, "  images:", many.String()+"  images:", 1), 400, "dormer plan"},
		{"no format", "/plan/document", corp, 400, "format"},
		{"a wrong format", "/plan/document?format=pdf", corp, 400, "format"},
		{"a wrong field of a document", "/plan/document?format=html", wrong, 400, "spec.workspaces[0].image"},
		{"a wrong condition", "/plan/explain?with=nonsense", corp, 400, "users=+2000@Berlin"},
		{"a condition about nobody", "/plan/explain?with=" + url.QueryEscape("users=+1@Nowhere"), corp, 400, "Nowhere"},
		{"too many conditions", "/plan/explain?" + strings.Repeat("with=capacity%3D1&", 21), corp, 400, "20"},
		{"a wrong field before", "/plan/compare", httpapi.ComparePlans{Before: unknown, After: corpJSON(t, 1)}, 400, "before.spec.sites[0].people[0]"},
		{"a wrong field after", "/plan/compare", httpapi.ComparePlans{Before: corpJSON(t, 1), After: unknown}, 400, "after.spec.sites[0].people[0]"},
		{"nothing after", "/plan/compare", `{"before": ` + string(corpJSON(t, 1)) + `}`, 400, "after"},
		{"another field", "/plan/compare", `{"before": {}, "after": {}, "between": {}}`, 400, ""},
		{"too many clients", "/plan/simulate", `{"organization": ` + string(corpJSON(t, 1)) + `, "options": {"max_clients": 400000}}`, 400, "options.max_clients"},
		{"an unknown instance", "/plan/simulate", `{"organization": ` + string(corpJSON(t, 1)) + `, "options": {"outages": [{"instance": "x", "start": "1h", "length": "1h"}]}}`, 400, "outages[0].instance"},
		{"an unknown option", "/plan/simulate", `{"organization": ` + string(corpJSON(t, 1)) + `, "options": {"speed": 1}}`, 400, "options"},
	} {
		a := h.ask("POST", rest.Prefix+c.path, h.reader, c.body)
		if a.status != c.status {
			t.Errorf("%s: status %d: %s", c.name, a.status, a.body)
			continue
		}
		a.problem(t)
		if !strings.Contains(string(a.body), c.says) {
			t.Errorf("%s: %s", c.name, a.body)
		}
	}
}
