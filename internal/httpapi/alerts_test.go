package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/alert"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// raiseAlerts leaves n alerts, the first of them cleared.
func raiseAlerts(t *testing.T, h *harness, n int) {
	t.Helper()
	var about rest.Instance
	h.must("GET", "/instance", "", nil, &about)
	events, err := store.OpenEvents(t.Context(), "sqlite:"+filepath.Join(h.data, "events.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	at := time.Unix(1_750_000_000, 0).UTC()
	var changes []alert.Change
	for i := range n {
		changes = append(changes, alert.Change{
			Kind: alert.Raises, Rule: "r", Key: fmt.Sprint("k", i), Severity: dormer.Error, Text: "text", Raised: at, Last: at, Count: 3,
		})
	}
	changes = append(changes, alert.Change{Kind: alert.Clears, Rule: "r", Key: "k0", Severity: dormer.Error, Text: "text", Last: at, Count: 4, Cleared: at.Add(time.Hour)})
	if err := events.SaveAlerts(t.Context(), about.ID, alert.Saved{Name: "alerts", Changes: changes}); err != nil {
		t.Fatal(err)
	}
}

func TestAlerts(t *testing.T) {
	h := newHarness(t)
	list := func(query string) rest.List[rest.Alert] {
		t.Helper()
		var l rest.List[rest.Alert]
		h.must("GET", "/alerts"+query, h.reader, nil, &l)
		return l
	}
	if got := list(""); len(got.Items) != 0 {
		t.Fatalf("alerts of a new instance: %+v", got)
	}
	raiseAlerts(t, h, 5)
	if got := list(""); len(got.Items) != 4 || got.Items[0].Key != "k4" || got.Items[0].Count != 3 || got.Items[0].Cleared != nil || got.Next != 0 {
		t.Errorf("open: %+v", got)
	}
	all := list("?all=true&limit=3")
	if len(all.Items) != 3 || all.Next != all.Items[2].ID {
		t.Errorf("first page: %+v", all)
	}
	rest2 := list(fmt.Sprintf("?all=true&limit=3&before=%d", all.Next))
	if len(rest2.Items) != 2 || rest2.Items[1].Key != "k0" || rest2.Items[1].Cleared == nil {
		t.Errorf("second page: %+v", rest2)
	}

	path := fmt.Sprintf("/alerts/%d/acknowledge", all.Items[0].ID)
	if a := h.ask("POST", rest.Prefix+path, h.reader, rest.AcknowledgeAlert{}); a.status != http.StatusForbidden {
		t.Errorf("acknowledged by who may only read: %d", a.status)
	}
	var got rest.Alert
	h.must("POST", path, h.admin, rest.AcknowledgeAlert{Note: "looking"}, &got)
	if got.AcknowledgedBy != "admin" || got.Note != "looking" || got.Acknowledged == nil {
		t.Errorf("acknowledged: %+v", got)
	}
	a := h.ask("POST", rest.Prefix+path, h.admin, rest.AcknowledgeAlert{})
	if p := a.problem(t); a.status != http.StatusConflict || !strings.Contains(p.Detail, "admin") {
		t.Errorf("acknowledged twice: %d, %s", a.status, p.Detail)
	}
	for _, id := range []string{"0", "-1", "x", "999999", "99999999999999999999"} {
		if a := h.ask("POST", rest.Prefix+"/alerts/"+id+"/acknowledge", h.admin, rest.AcknowledgeAlert{}); a.status != http.StatusNotFound {
			t.Errorf("alert %s: %d", id, a.status)
		}
	}
	if a := h.ask("POST", rest.Prefix+path, h.admin, rest.AcknowledgeAlert{Note: strings.Repeat("x", alert.MaxNote+1)}); a.status != http.StatusBadRequest {
		t.Errorf("a long note: %d", a.status)
	}
}

func TestAlertRules(t *testing.T) {
	h := newHarness(t)
	own := rest.AlertRule{
		Name: "failures", Enabled: true, Severity: dormer.Error, Text: "{count} failures", ClearAfter: "5m",
		Events: &rest.AlertEvents{Codes: []int{503}, Threshold: 2, Window: "1m", By: "instance"},
	}
	h.must("POST", "/alert-rules/validate", h.reader, own, nil)
	h.must("PUT", "/alert-rules/failures", h.admin, own, nil)
	var got rest.ListedAlertRule
	h.must("GET", "/alert-rules/Failures", h.reader, nil, &got)
	if got.Origin != "own" || got.By != "admin" || got.Changed == nil || got.Events == nil || got.Events.Threshold != 2 || got.State != nil {
		t.Errorf("%+v", got)
	}
	// What is read can be written.
	got = rest.ListedAlertRule{}
	h.must("GET", "/alert-rules/disk-full", h.reader, nil, &got)
	got.Enabled = false
	h.must("PUT", "/alert-rules/disk-full", h.admin, got.AlertRule, nil)
	h.must("GET", "/alert-rules/disk-full", h.reader, nil, &got)
	if got.Origin != "changed" || got.Enabled || got.State == nil || got.State.Value != 95 {
		t.Errorf("changed: %+v", got)
	}
	h.must("DELETE", "/alert-rules/disk-full", h.admin, nil, nil)
	h.must("DELETE", "/alert-rules/failures", h.admin, nil, nil)

	b, err := json.Marshal(own)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, method, path, from, to string
		status                       int
		field                        string
	}{
		{"deleted", "GET", "failures", "", "", 404, ""},
		{"of the program", "DELETE", "disk-full", "", "", 409, ""},
		{"no name", "DELETE", "a%2Fb", "", "", 404, ""},
		{"another name", "PUT", "others", "", "", 400, "name"},
		{"wrong value", "PUT", "failures", `"threshold":2`, `"threshold":0`, 400, "events.threshold"},
		{"wrong type", "PUT", "failures", `"threshold":2`, `"threshold":"2"`, 400, "events.threshold"},
		{"unknown field", "POST", "validate", `"threshold":2`, `"thresold":2`, 400, "events"},
		{"no condition", "POST", "validate", `"events":`, `"state":null,"x":`, 400, ""},
	} {
		var body any
		if test.method != "GET" && test.method != "DELETE" {
			body = strings.Replace(string(b), test.from, test.to, 1)
		}
		a := h.ask(test.method, rest.Prefix+"/alert-rules/"+test.path, h.admin, body)
		if a.status != test.status {
			t.Errorf("%s: status %d: %s", test.name, a.status, a.body)
			continue
		}
		if p := a.problem(t); test.field != "" && (len(p.Fields) == 0 || p.Fields[0].Path != test.field) {
			t.Errorf("%s: %+v", test.name, p)
		}
	}
}
