package httpapi_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/access/accesstest"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// TestCheckNames lists everybody who goes by a name, and the directories that
// could not be asked are an error and not an answer.
func TestCheckNames(t *testing.T) {
	h := newProofs(t)
	c := h.harness.client(h.admin)
	if _, err := c.CreateGroup(t.Context(), "carol"); err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[dormer.PrincipalKind]int{dormer.KindUser: 1, dormer.KindGroup: 1, "": 2} {
		if found, err := c.Check(t.Context(), kind, "CAROL"); err != nil || len(found) != want {
			t.Errorf("%q: %+v, %v", kind, found, err)
		}
	}
	for _, strange := range []string{"nobody", "*", "a)(cn=*", "x\x00y", `nowhere\alice`, strings.Repeat("x", 5000)} {
		if found, err := c.Check(t.Context(), "", strange); err != nil || len(found) != 0 {
			t.Errorf("%.20q: %+v, %v", strange, found, err)
		}
	}
	for _, path := range []string{"/directory/check", "/directory/check?name=x&kind=computer", "/directory/check?name=x&limit=100000"} {
		if a := h.ask("GET", rest.Prefix+path, h.admin, nil); a.status != http.StatusBadRequest {
			t.Errorf("%s: status %d", path, a.status)
		}
	}
	if l, err := c.TestDirectories(t.Context()); err != nil {
		t.Errorf("%+v, %v", l, err)
	}
}

// TestSearchWithoutAll: a directory that does not answer keeps nobody from what
// the others have; it is named.
func TestSearchWithoutAll(t *testing.T) {
	h := newProofs(t)
	corp := accesstest.NewDirectory("corp")
	corp.Add(accesstest.User{Name: "alice"})
	h.serve(access.Mount{Directory: corp})
	c := h.harness.client(h.admin)
	for _, down := range []bool{false, true} {
		corp.Down(down)
		want := 2
		if down {
			want = 1
		}
		for what, search := range map[string]func(who string) ([]rest.Entry, error){
			"check": func(who string) ([]rest.Entry, error) { return c.Check(t.Context(), "", who) },
			"find":  func(who string) ([]rest.Entry, error) { return c.Find(t.Context(), who, 10) },
		} {
			found, err := search("alice")
			away, named := errors.AsType[*access.UnansweredError](err)
			if len(found) != want || named != down || named && cmp.Diff([]string{"corp"}, away.Directories) != "" || !named && err != nil {
				t.Errorf("%s: %+v, %v", what, found, err)
			}
			if found, err := search("nobody"); len(found) != 0 || errors.Is(err, dormer.ErrUnavailable) != down {
				t.Errorf("%s nobody: %+v, %v", what, found, err)
			}
			if _, err := search(`corp\alice`); errors.Is(err, dormer.ErrUnavailable) != down {
				t.Errorf("%s in the one directory: %v", what, err)
			}
		}
	}
	if p, err := c.Resolve(t.Context(), dormer.KindUser, "alice"); err != nil || p.Directory != dormer.EmbeddedDirectory {
		t.Errorf("resolve: %+v, %v", p, err)
	}
	if _, err := c.Resolve(t.Context(), dormer.KindUser, `corp\alice`); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("resolve in the directory that does not answer: %v", err)
	}
}

// TestOperatorsThatAreNotWhatTheyWere are shown as what they are, not dropped.
func TestOperatorsThatAreNotWhatTheyWere(t *testing.T) {
	h := newProofs(t)
	corp := accesstest.NewDirectory("corp")
	names := []string{"found", "renamed", "gone"}
	for _, name := range names {
		if err := h.state.SetOperator(t.Context(), access.Operator{Principal: corp.Add(accesstest.User{Name: name}), Role: dormer.RoleReadOnly}); err != nil {
			t.Fatal(err)
		}
	}
	h.serve(access.Mount{Directory: corp})
	states := func() map[string]string {
		all, err := h.harness.client(h.admin).Operators(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, o := range all {
			got[o.Principal.Name] = o.State + o.Name
		}
		return got
	}
	for _, name := range names[1:] {
		p, err := corp.Resolve(t.Context(), dormer.KindUser, name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "gone" {
			corp.Remove(p)
		}
		corp.Change(p, func(u *accesstest.User) { u.Name = "another" })
	}
	if diff := cmp.Diff(map[string]string{"alice": "found", "found": "found", "renamed": "renamedanother", "gone": "gone"}, states()); diff != "" {
		t.Error(diff)
	}
	corp.Down(true)
	if diff := cmp.Diff(map[string]string{"alice": "found", "found": "unknown", "renamed": "unknown", "gone": "unknown"}, states()); diff != "" {
		t.Error(diff)
	}
	// Who is gone can lose the role all the same.
	h.must("PUT", "/operators", h.admin, rest.SetOperator{Kind: "user", Name: `corp\gone`}, nil)
	if got := states(); got["gone"] != "" {
		t.Errorf("%v", got)
	}
}

// TestAmbiguousNames: one of several is given no role; the answer lists them.
func TestAmbiguousNames(t *testing.T) {
	h := newProofs(t)
	corp := accesstest.NewDirectory("corp")
	for _, name := range []string{"ann1", "ann2"} {
		corp.Add(accesstest.User{Name: name, DisplayName: "Ann Example"})
	}
	h.serve(access.Mount{Directory: corp})
	found, err := h.harness.client(h.admin).Check(t.Context(), "", `corp\Ann Example`)
	if err != nil || len(found) != 2 {
		t.Fatalf("%+v, %v", found, err)
	}
	a := h.ask("PUT", rest.Prefix+"/operators", h.admin, rest.SetOperator{Kind: "user", Name: `corp\Ann Example`, Role: "full"})
	p := a.problem(t)
	if a.status != http.StatusBadRequest || p.Kind != problem.KindAmbiguous || len(p.Candidates) != 2 || p.Candidates[0].Principal.Name != "ann1" || p.Candidates[0].DisplayName != "Ann Example" {
		t.Errorf("status %d: %s", a.status, a.body)
	}
	corp.Add(accesstest.User{Name: "bea", DisplayName: "Bea Example"})
	if _, err := h.harness.client(h.admin).Resolve(t.Context(), dormer.KindUser, `corp\Bea Example`); !errors.Is(err, dormer.ErrNotFound) || !strings.Contains(err.Error(), `corp\bea goes by it`) {
		t.Errorf("one who goes by another name: %v", err)
	}
	_, err = h.harness.client(h.admin).SetOperator(t.Context(), rest.SetOperator{Kind: "user", Name: `corp\Ann Example`, Role: "full"})
	if ambiguous, ok := errors.AsType[*access.AmbiguousError](err); !ok || len(ambiguous.Candidates) != 2 || !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("%#v", err)
	}
}

// TestFindings are answered as the directories have them.
func TestFindings(t *testing.T) {
	h := newProofs(t)
	corp := accesstest.NewDirectory("corp")
	h.serve(access.Mount{Directory: corp})
	test := func() []rest.DirectoryTest {
		all, err := h.harness.client(h.admin).TestDirectories(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	problems := func() (n int) {
		for _, d := range test() {
			for _, f := range d.Findings {
				if f.What == "" {
					t.Errorf("%s: %+v says not what was examined", d.Directory, f)
				}
				if f.Problem != "" {
					n++
				}
			}
		}
		return n
	}
	if n := problems(); n != 0 || len(test()) != 1 {
		t.Errorf("%d problems: %+v", n, test())
	}
	corp.Down(true)
	if n := problems(); n == 0 {
		t.Errorf("a directory that does not answer: %+v", test())
	}
	before := h.newest()
	if test(); h.newest() != before {
		t.Error("an examination is recorded as a change")
	}
}
