package catalog_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/policy"
)

// TestPrincipalsOfTheRevisionStay: what was granted by its key is kept,
// whatever has become of the name, with and without the key in the file.
func TestPrincipalsOfTheRevisionStay(t *testing.T) {
	staff := principal(dormer.KindGroup, "Staff")
	crew := staff
	crew.Name = "Crew"
	other := dormer.Principal{Directory: dormer.EmbeddedDirectory, Kind: dormer.KindGroup, Key: "key-2", Name: "Staff"}
	unavailable := fmt.Errorf("no route: %w", dormer.ErrUnavailable)
	for name, test := range map[string]struct {
		before  func(f *fixture)
		withKey bool
		want    policy.Principal
		warning string
	}{
		"as it was":               {func(*fixture) {}, true, policy.Principal{Kind: "group", Name: "Staff", Key: "key-staff"}, ""},
		"gone":                    {func(f *fixture) { delete(f.people.named, "group staff") }, true, policy.Principal{Kind: "group", Name: "Staff", Key: "key-staff"}, `there is no group "Staff" any more`},
		"gone, a file of names":   {func(f *fixture) { delete(f.people.named, "group staff") }, false, policy.Principal{Kind: "group", Name: "Staff", Key: "key-staff"}, `there is no group "Staff" any more`},
		"renamed":                 {renamed(crew), true, policy.Principal{Kind: "group", Name: "Crew", Key: "key-staff"}, `group "Staff" is called "Crew" now`},
		"renamed, file of names":  {renamed(crew), false, policy.Principal{Kind: "group", Name: "Crew", Key: "key-staff"}, `is called "Crew" now`},
		"renamed, name given on":  {func(f *fixture) { renamed(crew)(f); f.people.named["group staff"] = other }, true, policy.Principal{Kind: "group", Name: "Crew", Key: "key-staff"}, `another one goes by that name now`},
		"gone, name given on":     {func(f *fixture) { f.people.named["group staff"] = other }, true, policy.Principal{Kind: "group", Name: "Staff", Key: "key-staff"}, `another one goes by that name now`},
		"replaced, file of names": {func(f *fixture) { f.people.named["group staff"] = other }, false, policy.Principal{Kind: "group", Name: "Staff", Key: "key-2"}, `is another one than before`},
		"no answer":               {func(f *fixture) { f.people.err = unavailable }, true, policy.Principal{Kind: "group", Name: "Staff", Key: "key-staff"}, `was not checked`},
		"no answer, a file":       {func(f *fixture) { f.people.err = unavailable }, false, policy.Principal{Kind: "group", Name: "Staff", Key: "key-staff"}, `was not checked`},
	} {
		t.Run(name, func(t *testing.T) {
			f := setup(t)
			raw := strings.Replace(office, "  - principal: {kind: user, name: alice}\n", "", 1)
			r := f.create(t, raw)
			if test.withKey {
				raw = string(r.Document)
			}
			test.before(f)
			raw = strings.Replace(strings.Replace(raw, `"both"`, `"none"`, 1), "clipboard: both", "clipboard: none", 1)
			warned, err := f.Validate(t.Context(), []byte(raw))
			if err != nil {
				t.Fatal(err)
			}
			next, warnings, err := f.Commit(t.Context(), r.Workspace, []byte(raw), r.ETag, "admin", "")
			if err != nil || next.Number != 2 {
				t.Fatal(err)
			}
			if d := cmp.Diff(warned, warnings); d != "" {
				t.Errorf("checked before (-) and committed (+):\n%s", d)
			}
			doc, err := policy.DecodeStored(next.Document)
			if err != nil {
				t.Fatal(err)
			}
			if got := doc.Grants[0].Principal; !strings.EqualFold(got.Name, test.want.Name) || got.Key != test.want.Key {
				t.Errorf("principal is %+v, want %+v", got, test.want)
			}
			switch {
			case test.warning == "" && len(warnings) > 0, test.warning != "" && (len(warnings) != 1 || !strings.Contains(warnings[0].Message, test.warning)):
				t.Errorf("warnings are %v, want %s", warnings, test.warning)
			}
		})
	}
}

func renamed(to dormer.Principal) func(*fixture) {
	return func(f *fixture) {
		delete(f.people.named, "group staff")
		f.people.named["group "+strings.ToLower(to.Name)] = to
	}
}

// TestPrincipalsThatAreRefused: a name that is new must be found.
func TestPrincipalsThatAreRefused(t *testing.T) {
	f := setup(t)
	r := f.create(t, office)
	twin := func(key, account string) access.Entry {
		return access.Entry{Principal: dormer.Principal{Directory: "CORP", Kind: dormer.KindUser, Key: key, Name: account}, DisplayName: "Twin", Detail: "CN=" + account}
	}
	f.corp.entries = []access.Entry{twin("1", "ann"), twin("2", "ben")}
	f.corp.entries = append(f.corp.entries, access.Entry{Principal: dormer.Principal{Directory: "CORP", Kind: dormer.KindUser, Key: "3", Name: "carol"}, DisplayName: "carol"})
	f.people.entries = []access.Entry{{Principal: principal(dormer.KindUser, "Bob"), DisplayName: "Bob Example"}}
	commit := func(from, to string) error {
		t.Helper()
		raw := strings.Replace(string(r.Document), from, to, 1)
		if raw == string(r.Document) {
			t.Fatalf("%s does not stand in %s", from, raw)
		}
		_, _, err := f.Commit(t.Context(), r.Workspace, []byte(raw), r.ETag, "admin", "")
		if got, again := f.Validate(t.Context(), []byte(raw)); again == nil {
			t.Errorf("validation finds nothing: %v", got)
		}
		return err
	}
	for _, test := range []struct{ from, to, path, message string }{
		{`"name":"Alice"`, `"name":"Bob"`, "grants[0].principal.key", "name and key disagree"},
		{`"name":"Alice","key":"key-alice"`, `"name":"Bob Example"`, "grants[0].principal", `is "Bob" meant?`},
		{`"kind":"user","name":"Alice","key":"key-alice"`, `"directory":"corp","kind":"user","name":"Twin"`, "grants[0].principal", `CORP\ann, CORP\ben`},
		{`"kind":"user","name":"Alice","key":"key-alice"`, `"directory":"CORP","kind":"user","name":"nobody"`, "grants[0].principal", `there is no user "nobody" in directory CORP`},
		{`"name":"Alice","key":"key-alice"`, `"name":"corpnt\\carol"`, "grants[0].principal", "write `directory: CORP` and `name: carol`"},
		{`"name":"Alice","key":"key-alice"`, `"name":"carol@Corp.example.com"`, "grants[0].principal", "write `directory: CORP` and `name: carol`"},
		{`"name":"Alice","key":"key-alice"`, `"name":"carol"`, "grants[0].principal", "there is one in directory CORP: add `directory: CORP`"},
	} {
		err := commit(test.from, test.to)
		if d := cmp.Diff([]string{test.path}, paths(t, err)); d != "" || !strings.Contains(err.Error(), test.message) {
			t.Errorf("%s: %v", test.to, err)
		}
	}
	f.corp.err = fmt.Errorf("no route: %w", dormer.ErrUnavailable)
	for name, want := range map[string]string{"Twin": "", `CORP\\carol`: "; a grant names the directory by itself: write `directory: CORP` and `name: carol`"} {
		err := commit(`"name":"Alice","key":"key-alice"`, `"name":"`+name+`"`)
		if errors.Is(err, dormer.ErrUnavailable) || !errors.Is(err, dormer.ErrInvalid) || !strings.HasSuffix(err.Error(), "in directory local"+want) {
			t.Errorf("%s while the other directory is away: %v", name, err)
		}
	}
	f.people.err = fmt.Errorf("no route: %w", dormer.ErrUnavailable)
	if err := commit(`"name":"Alice","key":"key-alice"`, `"name":"Bob"`); !errors.Is(err, dormer.ErrUnavailable) || !strings.Contains(err.Error(), "directory local") {
		t.Errorf("a new name while the directory is away: %v", err)
	}
	f.people.asked = 0
	next := strings.Replace(string(r.Document), `"both"`, `"none"`, 1)
	if _, warnings, err := f.Commit(t.Context(), r.Workspace, []byte(next), r.ETag, "admin", ""); err != nil || len(warnings) != 2 || f.people.asked != 1 {
		t.Errorf("%v, %v; asked %d times a directory that does not answer", warnings, err, f.people.asked)
	}
}

// TestNameOfTheDirectory: it is part of the key by which a grant counts.
func TestNameOfTheDirectory(t *testing.T) {
	f, r := granted(t)
	doc, err := policy.DecodeStored(r.Document)
	if err != nil || doc.Grants[0].Principal.Directory != "CORP" {
		t.Errorf("written as corp it is stored as %q, %v", doc.Grants[0].Principal.Directory, err)
	}
	a, err := f.Assignments(t.Context(), f.corp.named["user carol"], []dormer.Principal{f.corp.named["group other"]}, "")
	if err != nil || len(a.Entitlements) != 1 || a.Entitlements[0].Refused != "" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestStatesOfPrincipals(t *testing.T) {
	f, r := granted(t)
	delete(f.corp.named, "group outer")
	staff := f.corp.named["group staff"]
	staff.Name = "crew"
	f.corp.named["group staff"] = staff
	states := func() []string {
		t.Helper()
		all, err := f.Principals(t.Context(), r.Workspace)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for i, p := range all {
			if p.Grant != i {
				t.Errorf("place %d is %d", i, p.Grant)
			}
			out = append(out, fmt.Sprintf("%s %s %s", p.Principal.Name, p.State, p.Name))
		}
		return out
	}
	if d := cmp.Diff([]string{"other found other", "outer gone ", "carol found carol", "staff renamed crew"}, states()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	f.corp.err = fmt.Errorf("no route: %w", dormer.ErrUnavailable)
	f.corp.asked = 0
	if d := cmp.Diff([]string{"other unknown ", "outer unknown ", "carol unknown ", "staff unknown "}, states()); d != "" || f.corp.asked != 1 {
		t.Errorf("asked %d times (-want +got):\n%s", f.corp.asked, d)
	}
	if _, err := f.Principals(t.Context(), "bbbbbbbbbbbbbbbbbbbbbbbbba"); !errors.Is(err, dormer.ErrNotFound) {
		t.Error(err)
	}
}

var _ catalog.People = (*access.Authenticator)(nil)
