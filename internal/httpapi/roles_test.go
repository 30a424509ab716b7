package httpapi_test

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/httpapi"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// pathOf fills a pattern with identities of things that are not there.
func pathOf(pattern string) string {
	if pattern == "/notices" {
		return pattern + "?console=short" // refused, where a stream would not end
	}
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

// somebody is who asks a route.
type somebody struct {
	token string
	// may reports whether the route lets them in; nil: none does.
	may func(httpapi.RouteInfo) bool
	// want is the status where it does not.
	want int
}

func readers(r httpapi.RouteInfo) bool { return dormer.RoleReadOnly.Allows(r.Role) }
func all(httpapi.RouteInfo) bool       { return true }

// inArea is everything in one area and what lies outside of all.
func inArea(area access.Area) func(httpapi.RouteInfo) bool {
	return func(r httpapi.RouteInfo) bool { return r.Outside != "" || r.Area == area }
}

// apiToken makes an API token by the API.
func (h *harness) apiToken(by string, role dormer.Role, areas ...string) rest.APITokenCreated {
	h.t.Helper()
	var t rest.APITokenCreated
	h.must("POST", "/api-tokens", by, rest.NewAPIToken{Name: "test", Role: role, Areas: areas}, &t)
	return t
}

// expired puts a token into the database of the server whose time is over, and
// returns its text.
func (h *harness) expired() string {
	h.t.Helper()
	state, err := store.OpenState(h.t.Context(), "sqlite:"+filepath.Join(h.data, "state.db"), store.Options{})
	if err != nil {
		h.t.Fatal(err)
	}
	defer state.Close()
	id, err := dormer.NewID(rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	err = state.CreateAPIToken(h.t.Context(), access.APIToken{
		ID: id, Name: "expired", Hash: sha256.Sum256([]byte("secret")), Role: dormer.RoleFull, Created: time.Now().Add(-time.Hour), Expires: time.Now().Add(-time.Minute),
		Owner: dormer.Principal{Directory: dormer.EmbeddedDirectory, Kind: dormer.KindUser, Key: h.ids["admin"], Name: "admin"},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return "dormer_api_" + id + ".secret"
}

// operator adds a full operator and returns a token of theirs.
func (h *harness) operator(name string) (id, token string) {
	h.t.Helper()
	var u rest.UserCreated
	h.must("POST", "/directory/users", h.admin, rest.NewUser{Name: name, Password: readerPassword}, &u)
	h.must("PUT", "/operators", h.admin, rest.SetOperator{Kind: "user", Name: name, Role: "full"}, nil)
	return u.ID, h.apiToken(h.signIn(name, readerPassword), dormer.RoleFull).Token
}

// everybody makes one of each who may ask.
func everybody(h *harness) map[string]somebody {
	h.must("PUT", "/operators", h.admin, rest.SetOperator{Kind: "user", Name: "nobody", Role: "read-only"}, nil)
	demoted := h.signIn("nobody", nobodyPassword)
	h.must("PUT", "/operators", h.admin, rest.SetOperator{Kind: "user", Name: "nobody", Role: ""}, nil)
	ended := h.signIn("reader", readerPassword)
	h.must("DELETE", "/sessions/current", ended, nil, nil)
	revoked := h.apiToken(h.admin, dormer.RoleFull)
	h.must("DELETE", "/api-tokens/"+revoked.ID, h.admin, nil, nil)

	_, ofNone := h.operator("none")
	h.must("PUT", "/operators", h.admin, rest.SetOperator{Kind: "user", Name: "none", Role: ""}, nil)
	_, ofReader := h.operator("lowered")
	h.must("PUT", "/operators", h.admin, rest.SetOperator{Kind: "user", Name: "lowered", Role: "read-only"}, nil)
	id, ofDisabled := h.operator("disabled")
	h.must("PATCH", "/directory/users/"+id, h.admin, rest.ChangeUser{Disabled: new(true)}, nil)
	id, ofGone := h.operator("gone")
	h.must("DELETE", "/directory/users/"+id, h.admin, nil, nil)

	who := map[string]somebody{
		"nobody":             {"", nil, http.StatusUnauthorized},
		"garbage":            {"aaaaaaaaaaaaaaaaaaaaaaaaaa.x", nil, http.StatusUnauthorized},
		"garbage of a token": {"dormer_api_aaaaaaaaaaaaaaaaaaaaaaaaaa.x", nil, http.StatusUnauthorized},
		"ended":              {ended, nil, http.StatusUnauthorized},
		"demoted":            {demoted, nil, http.StatusForbidden},
		"read-only":          {h.signIn("reader", readerPassword), readers, http.StatusForbidden},
		"full":               {h.signIn("admin", adminPassword), all, 0},

		"a read-only token":                     {h.apiToken(h.admin, dormer.RoleReadOnly).Token, readers, http.StatusForbidden},
		"a full token":                          {h.apiToken(h.admin, dormer.RoleFull).Token, all, 0},
		"a full token with another secret":      {h.apiToken(h.admin, dormer.RoleFull).Token + "x", nil, http.StatusUnauthorized},
		"an expired token":                      {h.expired(), nil, http.StatusUnauthorized},
		"a revoked token":                       {revoked.Token, nil, http.StatusUnauthorized},
		"a full token of one without a role":    {ofNone, nil, http.StatusUnauthorized},
		"a full token of a read-only operator":  {ofReader, readers, http.StatusForbidden},
		"a token of a disabled operator":        {ofDisabled, nil, http.StatusUnauthorized},
		"a token of an operator who is removed": {ofGone, nil, http.StatusUnauthorized},
	}
	for _, area := range access.Areas() {
		who["a full token for "+string(area)] = somebody{h.apiToken(h.admin, dormer.RoleFull, string(area)).Token, inArea(area), http.StatusForbidden}
		who["a read-only token for "+string(area)] = somebody{
			h.apiToken(h.admin, dormer.RoleReadOnly, string(area)).Token,
			func(r httpapi.RouteInfo) bool { return readers(r) && inArea(area)(r) }, http.StatusForbidden,
		}
	}
	return who
}

// TestEveryRouteForEveryRole asks every route of the table as everybody there
// is.
func TestEveryRouteForEveryRole(t *testing.T) {
	h := newHarness(t)
	who := everybody(h)
	asked := 0
	for _, r := range httpapi.Routes() {
		for name, w := range who {
			a := h.ask(r.Method, rest.Prefix+pathOf(r.Path), w.token, nil)
			asked++
			refused := a.status == http.StatusUnauthorized || a.status == http.StatusForbidden
			switch {
			case r.Proof != "": // nobody is signed in there yet
			case r.Public || w.may != nil && w.may(r):
				if refused {
					t.Errorf("%s %s as %s: refused with %d", r.Method, r.Path, name, a.status)
				}
			case a.status != w.want:
				t.Errorf("%s %s as %s: status %d, expected %d", r.Method, r.Path, name, a.status, w.want)
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
			who["read-only"] = somebody{h.signIn("reader", readerPassword), readers, http.StatusForbidden}
			who["full"] = somebody{h.signIn("admin", adminPassword), all, 0}
		}
	}
	t.Logf("%d routes, asked %d times", len(httpapi.Routes()), asked)
}

// TestEveryRouteHasAnArea, so that tokens can be confined, or says why it is in
// none.
func TestEveryRouteHasAnArea(t *testing.T) {
	used := map[access.Area]bool{}
	for _, r := range httpapi.Routes() {
		used[r.Area] = true
		switch {
		case r.Area == "" && r.Outside == "":
			t.Errorf("%s %s has no area and does not say why", r.Method, r.Path)
		case r.Area != "" && r.Outside != "":
			t.Errorf("%s %s is in the area %s and says why it is in none", r.Method, r.Path, r.Area)
		case r.Area != "" && !slices.Contains(access.Areas(), r.Area):
			t.Errorf("%s %s is in the area %q, which there is not", r.Method, r.Path, r.Area)
		case r.Public && r.Area != "":
			t.Errorf("%s %s needs nobody to sign in and is in the area %s", r.Method, r.Path, r.Area)
		case r.Outside != "" && r.Role == dormer.RoleFull:
			t.Errorf("%s %s needs a full operator: tokens of all areas reach it", r.Method, r.Path)
		}
	}
	for _, area := range access.Areas() {
		if !used[area] {
			t.Errorf("nothing is in the area %s", area)
		}
	}
}

// TestRolesOfTable: what changes something needs the role full.
func TestRolesOfTable(t *testing.T) {
	mayRead := map[string]bool{
		"DELETE /sessions/current": true, "POST /workspaces/validate": true, "POST /workspaces/name-preview": true, "POST /workspaces/{id}/why": true, "POST /alert-rules/validate": true, "PUT /presence": true,
		"POST /plan": true, "POST /plan/observed": true, "POST /plan/document": true, "POST /plan/explain": true, "POST /plan/compare": true, "POST /plan/simulate": true,
	}
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
