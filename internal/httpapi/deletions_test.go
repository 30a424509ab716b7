package httpapi_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// haltDeletion puts a deletion that waits into the database of the server.
func haltDeletion(t *testing.T, h *harness) lease.Deletion {
	t.Helper()
	state, err := store.OpenState(t.Context(), "sqlite:"+filepath.Join(h.data, "state.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	d := lease.Deletion{
		Machine: "mmmmmmmmmmmmmmmmmmmmmmmmmm", Client: "cccccccccccccccccccccccccc", User: "alice", Workspace: "w", Revision: 3,
		Reason: "disabled", Since: time.Unix(1_750_000_000, 0).UTC(),
	}
	d, err = state.PlanDeletion(t.Context(), d, lease.PendingOrder{}, d.Since, func(lease.DeletionFacts, lease.Deletion) (lease.DeletionState, bool) {
		return lease.DeletionHalted, false
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDeletions(t *testing.T) {
	h := newHarness(t)
	list := func() []rest.Deletion {
		t.Helper()
		var l rest.List[rest.Deletion]
		h.must("GET", "/deletions", h.reader, nil, &l)
		return l.Items
	}
	if got := list(); len(got) != 0 {
		t.Fatalf("deletions of an instance without machines: %+v", got)
	}
	d := haltDeletion(t, h)
	got := list()
	want := rest.Deletion{
		Machine: d.Machine, Client: d.Client, User: "alice", Workspace: "w", Revision: 3, Reason: "disabled", State: "halted", Since: d.Since,
	}
	if len(got) != 1 || got[0] != want {
		t.Fatalf("deletions are %+v, want %+v", got, want)
	}
	a := h.ask("POST", rest.Prefix+"/deletions/confirm", h.admin, rest.ConfirmDeletions{Count: 2})
	if p := a.problem(t); a.status != http.StatusConflict || !strings.Contains(p.Detail, "1 deletions wait for a confirmation now, not 2") {
		t.Errorf("another number: %d %s", a.status, a.body)
	}
	h.must("POST", "/deletions/confirm", h.admin, rest.ConfirmDeletions{Count: 1}, nil)
	if got = list(); len(got) != 1 || got[0].State != "confirmed" || got[0].ConfirmedBy != "admin" {
		t.Errorf("once confirmed: %+v", got)
	}
	if a = h.ask("POST", rest.Prefix+"/deletions/confirm", h.admin, rest.ConfirmDeletions{Count: 1}); a.status != http.StatusConflict {
		t.Errorf("confirmed twice: %d %s", a.status, a.body)
	}
}

func TestSecrets(t *testing.T) {
	h := newHarness(t)
	const value = "open sesame 417"
	h.must("PUT", "/secrets/join.corp", h.admin, rest.NewSecret{Value: value}, nil)
	a := h.must("GET", "/secrets", h.reader, nil, nil)
	if !strings.Contains(string(a.body), `"join.corp"`) || strings.Contains(string(a.body), value) {
		t.Errorf("secrets are %s", a.body)
	}
	if a := h.ask("PUT", rest.Prefix+"/secrets/join.corp", h.reader, rest.NewSecret{Value: "x"}); a.status != http.StatusForbidden {
		t.Errorf("who may only read left a secret: %d", a.status)
	}
	// A mistyped field does not come back with the value.
	if a := h.ask("PUT", rest.Prefix+"/secrets/join.corp", h.admin, `{"valeu":"`+value+`"}`); a.status != http.StatusBadRequest || strings.Contains(string(a.body), value) {
		t.Errorf("a wrong body: %d %s", a.status, a.body)
	}
	if a := h.ask("PUT", rest.Prefix+"/secrets/a%20b", h.admin, rest.NewSecret{Value: "x"}); a.status != http.StatusBadRequest {
		t.Errorf("a wrong name: %d", a.status)
	}
	joins := strings.Replace(document, "spec:\n  machine:\n", "spec:\n  setup: {computerName: 'PC-####', actions: [{joinDomain: "+
		"{domain: corp.example.test, credentials: given, account: svc-join, passwordSecret: NAME}}]}\n  machine:\n    revertible: false\n", 1)
	if joins == document {
		t.Fatal("the document has another form than this test thinks")
	}
	a = h.ask("POST", rest.Prefix+"/workspaces/validate", h.admin, strings.Replace(joins, "NAME", "absent", 1))
	if !strings.Contains(string(a.body), "spec.setup.actions[0].joinDomain.passwordSecret") || !strings.Contains(string(a.body), "dormer secret set") {
		t.Errorf("a secret that is not there: %d %s", a.status, a.body)
	}
	h.must("POST", "/workspaces", h.admin, strings.Replace(joins, "NAME", "join.corp", 1), nil)
	if a := h.ask("DELETE", rest.Prefix+"/secrets/join.corp", h.admin, nil); a.status != http.StatusConflict || !strings.Contains(string(a.body), "Office") {
		t.Errorf("a secret that a workspace names: %d %s", a.status, a.body)
	}
	if a := h.ask("DELETE", rest.Prefix+"/secrets/other", h.admin, nil); a.status != http.StatusNotFound {
		t.Errorf("a secret that is not there: %d", a.status)
	}
	if strings.Contains(h.log.String(), value) {
		t.Error("the log holds the secret")
	}
}

func TestOrderGrace(t *testing.T) {
	h := newHarness(t)
	client := string(enrol(t, h))
	order := func(kind string, grace int64) int {
		t.Helper()
		return h.ask("POST", rest.Prefix+"/clients/"+client+"/orders", h.admin, rest.NewOrder{Kind: kind, Reason: "x", Grace: &grace}).status
	}
	for _, test := range []struct {
		kind  string
		grace int64
		want  int
	}{{"stop", 90, 201}, {"stop", -1, 400}, {"stop", 1 << 62, 400}, {"stop", 86401, 400}, {"lock", 90, 400}, {"refresh", 1, 400}} {
		if got := order(test.kind, test.grace); got != test.want {
			t.Errorf("%s after %d s: status %d, want %d", test.kind, test.grace, got, test.want)
		}
	}
	if a := h.ask("POST", rest.Prefix+"/clients/"+client+"/orders", h.admin, rest.NewOrder{Kind: "lock", Reason: "x"}); a.status != 201 {
		t.Errorf("lock: %d %s", a.status, a.body)
	}
}
