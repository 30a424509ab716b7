package httpapi_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// TestAPITokens: a token is shown once, says who made it in what it does, and
// does no more than its role and areas.
func TestAPITokens(t *testing.T) {
	h := newProofs(t)
	c := h.harness.client(h.admin)
	made, err := c.CreateAPIToken(t.Context(), rest.NewAPIToken{Name: "automation", Role: dormer.RoleFull, Areas: []string{"directory", "access"}, LifetimeHours: 2})
	if err != nil || made.Token == "" || made.Owner.Name != "alice" || time.Until(made.Expires) > 2*time.Hour {
		t.Fatalf("%+v, %v", made, err)
	}
	if r := h.newest(); r.Action != "api-token.create" || r.Object != "automation ("+made.ID+")" || strings.Contains(fmt.Sprint(r), made.Token) {
		t.Errorf("record %+v", r)
	}
	all := h.must("GET", "/api-tokens", h.admin, nil, nil)
	if bytes.Contains(all.body, []byte(made.Token)) || !bytes.Contains(all.body, []byte(`"automation"`)) {
		t.Errorf("list: %s", all.body)
	}
	h.must("POST", "/directory/groups", made.Token, rest.NewGroup{Name: "made by a program"}, nil)
	if r := h.newest(); r.Who != "alice (API token "+made.ID+")" || r.Principal != string(h.principal["alice"].ID()) || r.Action != "group.create" {
		t.Errorf("record %+v", r)
	}
	var s rest.Session
	h.must("GET", "/sessions/current", made.Token, nil, &s)
	if s.APIToken == nil || s.APIToken.ID != made.ID || s.Role != dormer.RoleFull || s.Principal.Name != "alice" || !s.Expires.Equal(made.Expires) {
		t.Errorf("session %+v", s)
	}
	if a := h.ask("DELETE", rest.Prefix+"/sessions/current", made.Token, nil); a.status != http.StatusConflict {
		t.Errorf("sign-out: status %d", a.status)
	}
	if a := h.ask("GET", rest.Prefix+"/clients", made.Token, nil); a.status != http.StatusForbidden || !strings.Contains(a.problem(t).Detail, "area clients") {
		t.Errorf("another area: status %d: %s", a.status, a.body)
	}
	list, err := c.APITokens(t.Context())
	if err != nil || len(list) != 1 || list[0].LastUsed == nil || list[0].Revoked != nil {
		t.Errorf("after use: %+v, %v", list, err)
	}
	if err := c.RevokeAPIToken(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	if r := h.newest(); r.Action != "api-token.revoke" || r.Object != "automation ("+made.ID+")" {
		t.Errorf("record %+v", r)
	}
	if a := h.ask("GET", rest.Prefix+"/operators", made.Token, nil); a.status != http.StatusUnauthorized {
		t.Errorf("after revocation: status %d", a.status)
	}
	if err := c.RevokeAPIToken(t.Context(), "aaaaaaaaaaaaaaaaaaaaaaaaaa"); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("revoking what is not there: %v", err)
	}
	for name, n := range map[string]rest.NewAPIToken{
		"no name":       {Role: dormer.RoleFull},
		"no role":       {Name: "x"},
		"unknown area":  {Name: "x", Role: dormer.RoleFull, Areas: []string{"everything"}},
		"too long":      {Name: "x", Role: dormer.RoleFull, LifetimeHours: 367 * 24},
		"before it was": {Name: "x", Role: dormer.RoleFull, LifetimeHours: -1},
		"overflow":      {Name: "x", Role: dormer.RoleFull, LifetimeHours: 1 << 40},
	} {
		if _, err := c.CreateAPIToken(t.Context(), n); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestChangeThatIsNotRecorded: groups that were changed count, also when the
// audit log could not take the record.
func TestChangeThatIsNotRecorded(t *testing.T) {
	h := newProofs(t)
	h.log.set(true)
	if a := h.ask("POST", rest.Prefix+"/directory/groups", h.admin, rest.NewGroup{Name: "staff"}); a.status != http.StatusInternalServerError {
		t.Errorf("status %d", a.status)
	}
	if n := h.changed.Load(); n != 1 {
		t.Errorf("the change was told %d times", n)
	}
	if a := h.ask("POST", rest.Prefix+"/directory/groups", h.admin, rest.NewGroup{Name: "STAFF"}); a.status != http.StatusConflict || h.changed.Load() != 1 {
		t.Errorf("status %d, told %d times", a.status, h.changed.Load())
	}
	// A token that nobody was shown does not count.
	if a := h.ask("POST", rest.Prefix+"/api-tokens", h.admin, rest.NewAPIToken{Name: "x", Role: dormer.RoleFull}); a.status != http.StatusInternalServerError || strings.Contains(string(a.body), "dormer_api_") {
		t.Errorf("status %d: %s", a.status, a.body)
	}
	h.log.set(false)
	all, err := h.harness.client(h.admin).APITokens(t.Context())
	if err != nil || len(all) != 1 || all[0].Revoked == nil {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestTokensDoNotGrow: a token for the directory alone cannot make its holder
// an operator: by an operator's password, by enabling one, or by a group of
// operators, however deep.
func TestTokensDoNotGrow(t *testing.T) {
	h := newProofs(t)
	var outer, inner, other rest.Group
	h.must("POST", "/directory/groups", h.admin, rest.NewGroup{Name: "operators"}, &outer)
	h.must("POST", "/directory/groups", h.admin, rest.NewGroup{Name: "helpdesk"}, &inner)
	h.must("POST", "/directory/groups", h.admin, rest.NewGroup{Name: "staff"}, &other)
	var dave rest.UserCreated
	h.must("POST", "/directory/users", h.admin, rest.NewUser{Name: "dave", Password: readerPassword}, &dave)
	h.must("PUT", "/directory/groups/"+outer.ID+"/members/group/"+inner.ID, h.admin, nil, nil)
	h.must("PUT", "/directory/groups/"+inner.ID+"/members/user/"+dave.ID, h.admin, nil, nil)
	h.must("PUT", "/operators", h.admin, rest.SetOperator{Kind: "group", Name: "operators", Role: "full"}, nil)
	h.must("PATCH", "/directory/users/"+dave.ID, h.admin, rest.ChangeUser{Disabled: new(true)}, nil)

	alice, carol := h.principal["alice"].Key, h.principal["carol"].Key
	concerns := []struct {
		method, path string
		body         any
	}{
		{"POST", "/directory/users/" + alice + "/password", rest.SetPassword{Password: nobodyPassword}},
		{"PATCH", "/directory/users/" + alice, rest.ChangeUser{MustChange: new(false)}},
		{"DELETE", "/directory/users/" + alice, nil},
		{"POST", "/directory/users/" + dave.ID + "/password", rest.SetPassword{Password: nobodyPassword}},
		{"PATCH", "/directory/users/" + dave.ID, rest.ChangeUser{Disabled: new(false)}},
		{"PUT", "/directory/groups/" + outer.ID + "/members/user/" + carol, nil},
		{"PUT", "/directory/groups/" + inner.ID + "/members/user/" + carol, nil},
		{"PUT", "/directory/groups/" + inner.ID + "/members/group/" + other.ID, nil},
		{"DELETE", "/directory/groups/" + inner.ID + "/members/user/" + dave.ID, nil},
		{"DELETE", "/directory/groups/" + outer.ID, nil},
	}
	token := h.apiToken(h.admin, dormer.RoleFull, "directory").Token
	for _, c := range concerns {
		a := h.ask(c.method, rest.Prefix+c.path, token, c.body)
		if a.status != http.StatusForbidden || !strings.Contains(a.problem(t).Detail, "needs the area access") {
			t.Errorf("%s %s: status %d: %s", c.method, c.path, a.status, a.body)
		}
	}
	h.must("POST", "/directory/users/"+carol+"/password", token, rest.SetPassword{Password: nobodyPassword}, nil)
	h.must("PUT", "/directory/groups/"+other.ID+"/members/user/"+carol, token, nil, nil)
	// With the area access, or confined to nothing, it may.
	for i, areas := range [][]string{nil, {"directory", "access"}} {
		token := h.apiToken(h.admin, dormer.RoleFull, areas...).Token
		h.must(concerns[6].method, concerns[6].path, token, nil, nil)
		if i == 1 {
			h.must(concerns[4].method, concerns[4].path, token, concerns[4].body, nil)
		}
	}
	if role, err := h.access.Role(t.Context(), h.principal["carol"]); err != nil || role != dormer.RoleFull {
		t.Errorf("%q, %v", role, err)
	}
}
