package httpapi_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

const grantedDocument = `apiVersion: dormer/v1
kind: Workspace
metadata: {name: Granted}
spec:
  machine: {image: {name: office}}
grants:
  - principal: {kind: group, name: staff}
    offline: {limit: 8h}
  - principal: {kind: user, name: reader}
    usb: [storage]
`

// TestWhy asks the whole server, as a read-only operator.
func TestWhy(t *testing.T) {
	h := newHarness(t)
	var staff rest.Group
	h.must("POST", "/directory/groups", h.admin, rest.NewGroup{Name: "staff"}, &staff)
	h.must("PUT", "/directory/groups/"+staff.ID+"/members/user/"+h.ids["nobody"], h.admin, nil, nil)
	made, err := h.client(h.admin).CreateWorkspace(t.Context(), []byte(grantedDocument), "")
	if err != nil {
		t.Fatal(err)
	}
	c := h.client(h.reader)
	got, err := c.Why(t.Context(), made.ID, rest.AskWhy{User: "NOBODY"})
	if err != nil {
		t.Fatal(err)
	}
	// The image was never pushed: everything else is explained nevertheless.
	if got.Gets || !strings.Contains(got.Reason, "nobody does not get Granted: image office is not in the repository") || got.Revision != 1 || got.Name != "Granted" {
		t.Errorf("%+v", got)
	}
	want := []rest.WhyGrant{
		{Grant: 0, Principal: dormer.Principal{Directory: "local", Kind: "group", Key: staff.ID, Name: "staff"}, Counts: true, Reason: "through nobody > staff", Chain: []dormer.Principal{{Directory: "local", Kind: "group", Key: staff.ID, Name: "staff"}}},
		{Grant: 1, Principal: dormer.Principal{Directory: "local", Kind: "user", Key: h.ids["reader"], Name: "reader"}, Reason: "this is another user"},
	}
	if diff := cmp.Diff(want, got.Grants); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	field := func(w rest.Why, f rest.WhyField) {
		t.Helper()
		if !slices.ContainsFunc(w.Fields, func(x rest.WhyField) bool { return cmp.Equal(x, f) }) {
			t.Errorf("no field %+v", f)
		}
	}
	field(got, rest.WhyField{Path: "deployment.offline.limit", Value: "8h", Origin: "grants", From: []int{0}})
	field(got, rest.WhyField{Path: "machine.image.name", Value: "office", Origin: "policy"})

	got, err = c.Why(t.Context(), made.ID, rest.AskWhy{
		User:    "nobody",
		With:    []map[string]any{{"principal": map[string]any{"kind": "group", "name": "office"}, "usb": []string{"printer"}, "offline": map[string]any{"allow": "unrestricted"}}},
		Without: []dormer.Principal{{Kind: "group", Name: "Staff"}},
	})
	if err != nil || got.Otherwise == nil || !got.Grants[2].Added || got.Grants[0].Counts {
		t.Fatalf("%+v, %v", got, err)
	}
	field(got, rest.WhyField{Path: "deployment.usb", Value: "printer", Origin: "grants", From: []int{2}})
	field(*got.Otherwise, rest.WhyField{Path: "deployment.usb", Value: "none", Origin: "default"})

	// As if in a group that is in a granted one.
	var team rest.Group
	h.must("POST", "/directory/groups", h.admin, rest.NewGroup{Name: "team"}, &team)
	h.must("PUT", "/directory/groups/"+staff.ID+"/members/group/"+team.ID, h.admin, nil, nil)
	got, err = c.Why(t.Context(), made.ID, rest.AskWhy{User: "twin0", AsIfIn: []dormer.Principal{{Kind: "group", Name: "team"}}})
	if !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("a user who is not there: %+v, %v", got, err)
	}
	got, err = c.Why(t.Context(), made.ID, rest.AskWhy{User: "reader", AsIfIn: []dormer.Principal{{Kind: "group", Name: "Team"}}})
	if err != nil || got.Otherwise == nil || got.Otherwise.Grants[0].Counts || !got.Grants[0].Counts || len(got.Grants[0].Chain) != 2 || got.Grants[0].Reason != "as if through reader > team > staff" {
		t.Errorf("%+v, %v", got, err)
	}

	path := rest.Prefix + "/workspaces/" + string(made.ID) + "/why"
	for body, want := range map[string]string{
		`{"user":"nobody","with":[{"principal":{"kind":"group","name":"x"},"offline":{"limit":"long"}}]}`: "with[0].offline.limit",
		`{"user":"nobody","with":[{"principal":{"kind":"group","name":"x"}},{"ofline":{}}]}`:              "with[1].ofline",
		`{"user":"nobody","without":[{"kind":"group","name":"x"}]}`:                                       "without[0]",
		`{"user":"nobody","as_if_in":[{"kind":"group","name":"x"}]}`:                                      "as_if_in[0]",
		`{"user":"nobody","as_if_in":[` + strings.Repeat(`{},`, 10) + `{}]}`:                              "as_if_in",
		`{}`: "user",
	} {
		a := h.ask("POST", path, h.reader, body)
		if p := a.problem(t); a.status != http.StatusBadRequest || !slices.ContainsFunc(p.Fields, func(f dormer.FieldError) bool { return f.Path == want }) {
			t.Errorf("%s: %d %+v", body, a.status, p)
		}
	}
	for _, body := range []string{`{"user":"somebody"}`, `{"user":"nobody","client":"aaaaaaaaaaaaaaaaaaaaaaaaaa"}`} {
		if a := h.ask("POST", path, h.reader, body); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", body, a.status)
		}
	}

	// A name for people is nobody's account name; it is said whose it may be.
	h.must("POST", "/directory/users", h.admin, rest.NewUser{Name: "twin1", DisplayName: "Twin", Password: readerPassword}, nil)
	if a := h.ask("POST", path, h.reader, `{"user":"twin"}`); a.status != http.StatusNotFound || !strings.Contains(string(a.body), "twin1") {
		t.Errorf("one of that name: %d %s", a.status, a.body)
	}
	h.must("POST", "/directory/users", h.admin, rest.NewUser{Name: "twin2", DisplayName: "Twin", Password: readerPassword}, nil)
	if a := h.ask("POST", path, h.reader, `{"user":"twin"}`); a.status != http.StatusBadRequest || !strings.Contains(string(a.body), "twin1") || !strings.Contains(string(a.body), "twin2") {
		t.Errorf("two of that name: %d %s", a.status, a.body)
	}

	h.must("PATCH", "/directory/users/"+h.ids["nobody"], h.admin, map[string]any{"disabled": true}, nil)
	if got, err = c.Why(t.Context(), made.ID, rest.AskWhy{User: "nobody"}); err != nil || got.Gets || !strings.Contains(got.Reason, "the account is disabled in directory local") || got.Grants[0].Counts {
		t.Errorf("a disabled account: %+v, %v", got, err)
	}
}

func TestPrincipalsOfAWorkspace(t *testing.T) {
	h := newHarness(t)
	var staff rest.Group
	h.must("POST", "/directory/groups", h.admin, rest.NewGroup{Name: "staff"}, &staff)
	made, err := h.client(h.admin).CreateWorkspace(t.Context(), []byte(grantedDocument), "")
	if err != nil {
		t.Fatal(err)
	}
	h.must("DELETE", "/directory/groups/"+staff.ID, h.admin, nil, nil)
	got, err := h.client(h.reader).Principals(t.Context(), made.ID)
	if err != nil || len(got) != 2 || got[0].State != "gone" || got[0].Principal.Name != "staff" || got[0].Detail == "" || got[1].State != "found" {
		t.Errorf("%+v, %v", got, err)
	}
	// Nobody is kept from changing the rest, with the file as it was written.
	next, err := h.client(h.admin).CommitWorkspace(t.Context(), made.ID, []byte(strings.Replace(grantedDocument, "8h", "9h", 1)), made.ETag, "")
	if err != nil || next.Revision != 2 || !slices.ContainsFunc(next.Warnings, func(f dormer.FieldError) bool { return f.Path == "grants[0].principal" }) {
		t.Errorf("%+v, %v", next, err)
	}
}
