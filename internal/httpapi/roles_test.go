package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/httpapi"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// pathOf fills a pattern with identities of things that are not there.
func pathOf(pattern string) string {
	parts := strings.Split(pattern, "/")
	for i, p := range parts {
		switch p {
		case "{id}", "{member}", "{push}":
			parts[i] = "aaaaaaaaaaaaaaaaaaaaaaaaaa"
		case "{kind}":
			parts[i] = "user"
		case "{hex}":
			parts[i] = strings.Repeat("0", 64)
		case "{number}":
			parts[i] = "7"
		case "{name}":
			parts[i] = "absent"
		}
	}
	return strings.Join(parts, "/")
}

// TestEveryRouteForEveryRole asks every route of the table as nobody, with a
// session that was ended, as a read-only and as a full operator.
func TestEveryRouteForEveryRole(t *testing.T) {
	h := newHarness(t)
	h.must("PUT", "/operators", h.admin, rest.SetOperator{Kind: "user", Name: "nobody", Role: "read-only"}, nil)
	demoted := h.signIn("nobody", nobodyPassword)
	h.must("PUT", "/operators", h.admin, rest.SetOperator{Kind: "user", Name: "nobody", Role: ""}, nil)
	ended := h.signIn("reader", readerPassword)
	h.must("DELETE", "/sessions/current", ended, nil, nil)

	reader, admin := h.signIn("reader", readerPassword), h.signIn("admin", adminPassword)
	for _, r := range httpapi.Routes() {
		for name, who := range map[string]struct {
			token string
			role  dormer.Role
			want  int // if the role is not enough
		}{
			"nobody":    {"", dormer.RoleNone, http.StatusUnauthorized},
			"garbage":   {"aaaaaaaaaaaaaaaaaaaaaaaaaa.x", dormer.RoleNone, http.StatusUnauthorized},
			"ended":     {ended, dormer.RoleNone, http.StatusUnauthorized},
			"demoted":   {demoted, dormer.RoleNone, http.StatusForbidden},
			"read-only": {reader, dormer.RoleReadOnly, http.StatusForbidden},
			"full":      {admin, dormer.RoleFull, 0},
		} {
			a := h.ask(r.Method, rest.Prefix+pathOf(r.Path), who.token, nil)
			refused := a.status == http.StatusUnauthorized || a.status == http.StatusForbidden
			switch {
			case r.Public || who.role.Allows(r.Role):
				if refused {
					t.Errorf("%s %s as %s: refused with %d", r.Method, r.Path, name, a.status)
				}
			case a.status != who.want:
				t.Errorf("%s %s as %s: status %d, expected %d", r.Method, r.Path, name, a.status, who.want)
			default:
				a.problem(t)
			}
			unset := r.Proof == access.MethodKerberos && a.status == http.StatusNotImplemented // no keytab here
			if a.status >= 500 && !unset {
				t.Errorf("%s %s as %s: status %d: %s", r.Method, r.Path, name, a.status, a.body)
			}
			if a.status >= 400 {
				a.problem(t)
			}
		}
		if r.Path == "/sessions/current" && r.Method == "DELETE" { // those two are over now
			reader, admin = h.signIn("reader", readerPassword), h.signIn("admin", adminPassword)
		}
	}
}

// TestRolesOfTable: what changes something needs the role full.
func TestRolesOfTable(t *testing.T) {
	mayRead := map[string]bool{"DELETE /sessions/current": true, "POST /workspaces/validate": true}
	for _, r := range httpapi.Routes() {
		if r.Method != "GET" && r.Role != dormer.RoleFull && r.Proof == "" && !mayRead[r.Method+" "+r.Path] {
			t.Errorf("%s %s needs only %q", r.Method, r.Path, r.Role)
		}
	}
}

// TestRoleThroughNestedGroups: a role of a group reaches members of its groups.
func TestRoleThroughNestedGroups(t *testing.T) {
	h := newHarness(t)
	var outer, inner rest.Group
	h.must("POST", "/directory/groups", h.admin, rest.NewGroup{Name: "operators"}, &outer)
	h.must("POST", "/directory/groups", h.admin, rest.NewGroup{Name: "helpdesk"}, &inner)
	h.must("PUT", "/directory/groups/"+outer.ID+"/members/group/"+inner.ID, h.admin, nil, nil)
	h.must("PUT", "/operators", h.admin, rest.SetOperator{Kind: "group", Name: "Operators", Role: "full"}, nil)
	if a := h.ask("POST", rest.Prefix+"/sessions", "", rest.SignIn{User: "nobody", Password: nobodyPassword}); a.status != http.StatusForbidden {
		t.Errorf("sign-in without a role: status %d", a.status)
	}
	h.must("PUT", "/directory/groups/"+inner.ID+"/members/user/"+h.ids["nobody"], h.admin, nil, nil)
	token := h.signIn("nobody", nobodyPassword)
	h.must("POST", "/directory/groups", token, rest.NewGroup{Name: "made by a member"}, nil)
	h.must("DELETE", "/directory/groups/"+inner.ID+"/members/user/"+h.ids["nobody"], h.admin, nil, nil)
	if a := h.ask("GET", rest.Prefix+"/operators", token, nil); a.status != http.StatusForbidden {
		t.Errorf("after leaving the group: status %d", a.status)
	}
	// A cycle is refused.
	if a := h.ask("PUT", rest.Prefix+"/directory/groups/"+inner.ID+"/members/group/"+outer.ID, h.admin, nil); a.status != http.StatusBadRequest {
		t.Errorf("a cycle of groups: status %d", a.status)
	}
}
