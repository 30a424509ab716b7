// Package directorytest is the conformance suite of access.Directory. Every
// implementation's tests run it.
package directorytest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
)

// Names and passwords of a Fixture. The directory holds nothing else whose
// name begins with "dt-".
const (
	Alice         = "dt-alice"    // member of Inner
	Bob           = "dt-Bób"      // member of no group
	Disabled      = "dt-disabled" // may not be used
	Expired       = "dt-expired"  // may not be used any more
	Inner         = "dt-inner"    // group, member of Outer
	Outer         = "dt-outer"    // group, member of Outermost
	Outermost     = "dt-outermost"
	TwinsName     = "Dt Twin"                  // the display name of Alice and of Bob
	Password      = "dt correct horse battery" // of all users
	WrongPassword = "dt wrong horse battery"
)

// Fixture is a directory with those users and groups.
type Fixture struct {
	Directory access.Directory
	// Remove removes a user; nil where tests cannot.
	Remove func(t *testing.T, name string)
	// SignIn signs a user in where the directory takes no passwords; nil where
	// it does. Disabled and Expired then are users who once signed in.
	SignIn func(t *testing.T, name string) dormer.Principal
	// Flat says that users are in all their groups directly: Alice in all three.
	Flat bool
	// DisabledElsewhere says that it takes a question of its own to see that an
	// account is disabled or locked, so that lists do not show it.
	DisabledElsewhere bool
	// RenameGroup gives a group another name; nil where tests cannot.
	RenameGroup func(t *testing.T, name, to string)
	// Refusals are further accounts that may not sign in.
	Refusals []Refusal
	// Foreign is what an access.ForeignGrouper is asked; nil for others.
	Foreign *Foreign
}

// Refusal is an account that may not sign in, for a reason that need not keep it
// from being in groups.
type Refusal struct {
	Name, Password string
	Reason         access.Reason
	// Open says that the directory tells so whatever the password.
	Open bool
}

// Foreign are principals of another directory and the groups that hold them.
type Foreign struct {
	Of []dormer.Principal
	// Chain names the groups from the one that holds one of Of to the outermost;
	// there are no others.
	Chain []string
	// Nowhere is a principal that no group holds.
	Nowhere dormer.Principal
}

// signIn signs Alice or Bob in.
func (f Fixture) signIn(t *testing.T, name string) dormer.Principal {
	if f.SignIn != nil {
		return f.SignIn(t, name)
	}
	p, err := f.Directory.Authenticate(t.Context(), name, Password)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Run runs the suite. open is called for each test.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	for name, test := range map[string]func(*testing.T, Fixture){
		"Authenticate": authenticate, "Refused": refused, "Refusals": refusals, "Groups": groups, "Gone": gone, "Resolve": resolve, "Match": match,
		"Lookup": lookup, "Find": find, "Chain": chain, "Cancelled": cancelled, "Renamed": renamed, "Foreign": foreign,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func authenticate(t *testing.T, f Fixture) {
	d := f.Directory
	alice := f.signIn(t, Alice)
	if alice.Directory != d.Name() || alice.Kind != dormer.KindUser || alice.Key == "" || alice.Name != Alice {
		t.Errorf("principal %+v", alice)
	}
	if f.SignIn != nil {
		if again := f.SignIn(t, Alice); again != alice {
			t.Errorf("again: %+v", again)
		}
		if bob := f.SignIn(t, Bob); bob.Key == alice.Key {
			t.Errorf("somebody else: %+v", bob)
		}
		for _, name := range []string{Alice, "dt-nobody", ""} {
			if p, err := d.Authenticate(t.Context(), name, Password); !errors.Is(err, dormer.ErrUnauthenticated) || p != (dormer.Principal{}) {
				t.Errorf("a password of %q: %+v, %v", name, p, err)
			}
		}
		return
	}
	again, err := d.Authenticate(t.Context(), strings.ToUpper(Alice), Password)
	if err != nil || again != alice {
		t.Errorf("in capitals: %+v, %v", again, err)
	}
	bob, err := d.Authenticate(t.Context(), "dt-BO\u0301B", Password) // decomposed
	if err != nil || bob.Key == alice.Key {
		t.Errorf("decomposed accent: %+v, %v", bob, err)
	}
	for _, c := range [][2]string{
		{Alice, WrongPassword},
		{Alice, ""},
		{Alice, Password + " "},
		{Alice, strings.ToUpper(Password)},
		{"dt-nobody", Password},
		{"", ""},
		{"*", Password},
		{"dt-alice)(cn=*", Password},
		{"dt-ali\x00ce", Password},
		{Inner, Password},
	} {
		p, err := d.Authenticate(t.Context(), c[0], c[1])
		if !errors.Is(err, dormer.ErrUnauthenticated) || p != (dormer.Principal{}) {
			t.Errorf("name %q, password of %d bytes: %+v, %v", c[0], len(c[1]), p, err)
		}
		if err != nil && c[1] != "" && strings.Contains(err.Error(), c[1]) {
			t.Errorf("the error repeats the password: %v", err)
		}
	}
}

func refused(t *testing.T, f Fixture) {
	for name, reason := range map[string]access.Reason{Disabled: access.ReasonDisabled, Expired: access.ReasonExpired} {
		if f.SignIn == nil {
			_, err := f.Directory.Authenticate(t.Context(), name, Password)
			got, ok := errors.AsType[*access.RefusedError](err)
			if !ok || got.Reason != reason || !errors.Is(err, dormer.ErrDenied) {
				t.Errorf("%s: %v", name, err)
			}
			// Who does not know the password does not learn it either.
			if _, err := f.Directory.Authenticate(t.Context(), name, WrongPassword); !errors.Is(err, dormer.ErrUnauthenticated) {
				t.Errorf("%s with a wrong password: %v", name, err)
			}
		}
		p, err := f.Directory.Resolve(t.Context(), dormer.KindUser, name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Directory.Groups(t.Context(), p); !errors.Is(err, dormer.ErrDenied) {
			t.Errorf("groups of %s: %v", name, err)
		}
	}
}

func refusals(t *testing.T, f Fixture) {
	for _, r := range f.Refusals {
		_, err := f.Directory.Authenticate(t.Context(), r.Name, r.Password)
		if got, ok := errors.AsType[*access.RefusedError](err); !ok || got.Reason != r.Reason {
			t.Errorf("%s: %v, want %q", r.Name, err, r.Reason)
		}
		_, err = f.Directory.Authenticate(t.Context(), r.Name, WrongPassword)
		got, refused := errors.AsType[*access.RefusedError](err)
		if told := refused && got.Reason == r.Reason; told != r.Open || !told && !errors.Is(err, dormer.ErrUnauthenticated) {
			t.Errorf("%s with a wrong password: %v", r.Name, err)
		}
		// None of it ends what was begun before, but for disabled and expired.
		p, err := f.Directory.Resolve(t.Context(), dormer.KindUser, r.Name)
		if err != nil {
			t.Fatal(err)
		}
		if r.Reason != access.ReasonDisabled && r.Reason != access.ReasonExpired {
			if _, err := f.Directory.Groups(t.Context(), p); err != nil {
				t.Errorf("groups of %s: %v", r.Name, err)
			}
		}
	}
}

func names(ps []dormer.Principal) []string {
	out := make([]string, len(ps))
	for i, p := range ps {
		out[i] = p.Name
	}
	slices.Sort(out)
	return out
}

func groups(t *testing.T, f Fixture) {
	d := f.Directory
	for name, want := range map[string][]string{Alice: {Inner, Outer, Outermost}, Bob: {}} {
		p, err := d.Resolve(t.Context(), dormer.KindUser, name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.Groups(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		ours := slices.DeleteFunc(slices.Clone(got), func(g dormer.Principal) bool { return !strings.HasPrefix(g.Name, "dt-") })
		if diff := cmp.Diff(want, names(ours)); diff != "" {
			t.Errorf("groups of %s:\n%s", name, diff)
		}
		for _, g := range ours {
			same, err := d.Resolve(t.Context(), dormer.KindGroup, g.Name)
			if err != nil || same != g {
				t.Errorf("group %+v resolves to %+v, %v", g, same, err)
			}
		}
	}
}

func gone(t *testing.T, f Fixture) {
	d := f.Directory
	nobody := dormer.Principal{Directory: d.Name(), Kind: dormer.KindUser, Key: "no-such-key", Name: Alice}
	if _, err := d.Groups(t.Context(), nobody); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("groups of a key that is not there: %v", err)
	}
	if f.Remove == nil {
		return
	}
	alice := f.signIn(t, Alice)
	f.Remove(t, Alice)
	if _, err := d.Groups(t.Context(), alice); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("groups of a removed user: %v", err)
	}
	if f.SignIn != nil {
		return // the provider's sign-in makes the account again
	}
	if _, err := d.Authenticate(t.Context(), Alice, Password); !errors.Is(err, dormer.ErrUnauthenticated) {
		t.Errorf("sign-in of a removed user: %v", err)
	}
}

func resolve(t *testing.T, f Fixture) {
	d := f.Directory
	for _, c := range []struct {
		kind dormer.PrincipalKind
		name string
		want string
	}{
		{dormer.KindUser, Alice, Alice},
		{dormer.KindUser, "DT-ALICE", Alice},
		{dormer.KindGroup, "Dt-Outer", Outer},
	} {
		p, err := d.Resolve(t.Context(), c.kind, c.name)
		if err != nil || p.Name != c.want || p.Kind != c.kind || p.Directory != d.Name() || p.Key == "" {
			t.Errorf("%s %s: %+v, %v", c.kind, c.name, p, err)
		}
	}
	for _, c := range []struct {
		kind dormer.PrincipalKind
		name string
	}{{dormer.KindUser, "dt-ali"}, {dormer.KindUser, Inner}, {dormer.KindGroup, Alice}, {dormer.KindUser, "dt-*"}, {dormer.KindGroup, ""}} {
		if p, err := d.Resolve(t.Context(), c.kind, c.name); !errors.Is(err, dormer.ErrNotFound) {
			t.Errorf("%s %q: %+v, %v", c.kind, c.name, p, err)
		}
	}
	if _, err := d.Resolve(t.Context(), "computer", Alice); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("unknown kind: %v", err)
	}
}

func find(t *testing.T, f Fixture) {
	d := f.Directory
	for prefix, want := range map[string][]string{
		"DT-OUT": {Outer, Outermost}, "dt-b": {Bob}, "dt-x": {}, "dt-*": {}, "%": {}, "dt_": {},
	} {
		got, err := d.Find(t.Context(), prefix, 100)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, names(principals(got))); diff != "" {
			t.Errorf("find %q:\n%s", prefix, diff)
		}
	}
	for limit := range 4 {
		got, err := d.Find(t.Context(), "dt-", limit)
		if err != nil || len(got) != limit {
			t.Errorf("limit %d: %d found, %v", limit, len(got), err)
		}
	}
}

func principals(es []access.Entry) []dormer.Principal {
	out := make([]dormer.Principal, len(es))
	for i, e := range es {
		out[i] = e.Principal
	}
	return out
}

func match(t *testing.T, f Fixture) {
	d := f.Directory
	for _, c := range []struct {
		kind dormer.PrincipalKind
		name string
		want []string
	}{
		{dormer.KindUser, "DT-alice", []string{Alice}},
		{dormer.KindUser, TwinsName, []string{Bob, Alice}},
		{dormer.KindUser, strings.ToUpper(TwinsName), []string{Bob, Alice}},
		{dormer.KindGroup, TwinsName, []string{}},
		{dormer.KindGroup, Inner, []string{Inner}},
		{dormer.KindUser, Inner, []string{}},
		{dormer.KindUser, "dt-ali", []string{}},
		{dormer.KindUser, "dt-*", []string{}},
		{dormer.KindUser, "dt-alice)(objectClass=*", []string{}},
		{dormer.KindUser, "", []string{}},
	} {
		got, err := d.Match(t.Context(), c.kind, c.name, 100)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, names(principals(got))); diff != "" {
			t.Errorf("match %s %q:\n%s", c.kind, c.name, diff)
		}
	}
	states := map[string]string{Alice: ""}
	if f.SignIn == nil { // else the provider is asked only when they sign in
		states[Disabled], states[Expired] = "disabled", "expired"
	}
	for _, r := range f.Refusals {
		states[r.Name] = r.Reason.State()
	}
	if f.DisabledElsewhere {
		states = map[string]string{Alice: "", Expired: "expired"}
	}
	for who, want := range states {
		got, err := d.Match(t.Context(), dormer.KindUser, who, 100)
		if err != nil || len(got) != 1 || got[0].State != want {
			t.Errorf("%s is not shown as %q: %+v, %v", who, want, got, err)
		}
		if got, err = d.Find(t.Context(), who, 1); err != nil || len(got) != 1 || got[0].State != want {
			t.Errorf("%s is not found as %q: %+v, %v", who, want, got, err)
		}
	}
	got, err := d.Match(t.Context(), dormer.KindUser, TwinsName, 1)
	if err != nil || len(got) != 1 || got[0].DisplayName != TwinsName {
		t.Errorf("at most one: %+v, %v", got, err)
	}
}

func lookup(t *testing.T, f Fixture) {
	d := f.Directory
	for kind, called := range map[dormer.PrincipalKind]string{dormer.KindUser: Alice, dormer.KindGroup: Inner} {
		want, err := d.Resolve(t.Context(), kind, called)
		if err != nil {
			t.Fatal(err)
		}
		old := want
		old.Name = "as it was called before"
		if got, err := d.Lookup(t.Context(), old); err != nil || got != want {
			t.Errorf("%s %s: %+v, %v", kind, called, got, err)
		}
		old.Key = "no-such-key"
		if got, err := d.Lookup(t.Context(), old); !errors.Is(err, dormer.ErrNotFound) {
			t.Errorf("%s without a key: %+v, %v", kind, got, err)
		}
	}
}

func chain(t *testing.T, f Fixture) {
	d := f.Directory
	find := func(kind dormer.PrincipalKind, called string) dormer.Principal {
		p, err := d.Resolve(t.Context(), kind, called)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	alice := find(dormer.KindUser, Alice)
	inner, outer, outermost := find(dormer.KindGroup, Inner), find(dormer.KindGroup, Outer), find(dormer.KindGroup, Outermost)
	chains := [][]dormer.Principal{{inner}, {inner, outer}, {inner, outer, outermost}}
	if f.Flat {
		chains = [][]dormer.Principal{{inner}, {outer}, {outermost}}
	}
	for _, want := range chains {
		got, err := d.Chain(t.Context(), alice, want[len(want)-1])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("chain to %s:\n%s", want[len(want)-1].Name, diff)
		}
	}
	if got, err := d.Chain(t.Context(), find(dormer.KindUser, Bob), outer); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("chain of somebody else: %+v, %v", got, err)
	}
	// From a group, which the chain does not begin with.
	got, err := d.Chain(t.Context(), inner, outermost)
	if f.Flat {
		if !errors.Is(err, dormer.ErrNotFound) {
			t.Errorf("chain from a group where none is in another: %+v, %v", got, err)
		}
	} else if diff := cmp.Diff([]dormer.Principal{outer, outermost}, got); diff != "" || err != nil {
		t.Errorf("chain from %s to %s: %v\n%s", Inner, Outermost, err, diff)
	}
	missing := inner
	missing.Key = "no-such-key"
	for _, pair := range [][2]dormer.Principal{{outermost, inner}, {missing, outermost}, {inner, inner}} {
		if got, err := d.Chain(t.Context(), pair[0], pair[1]); !errors.Is(err, dormer.ErrNotFound) {
			t.Errorf("chain from group %s to %s: %+v, %v", pair[0].Key, pair[1].Key, got, err)
		}
	}
}

// renamed: a group keeps its key, so grants to it stay.
func renamed(t *testing.T, f Fixture) {
	if f.RenameGroup == nil {
		return
	}
	d := f.Directory
	before, err := d.Resolve(t.Context(), dormer.KindGroup, Outer)
	if err != nil {
		t.Fatal(err)
	}
	f.RenameGroup(t, Outer, "dt-renamed")
	after, err := d.Resolve(t.Context(), dormer.KindGroup, "dt-renamed")
	if err != nil || after.Key != before.Key || after.Name != "dt-renamed" {
		t.Errorf("by its new name: %+v, %v; before: %+v", after, err, before)
	}
	if got, err := d.Lookup(t.Context(), before); err != nil || got != after {
		t.Errorf("by its key: %+v, %v", got, err)
	}
	if got, err := d.Resolve(t.Context(), dormer.KindGroup, Outer); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("by its old name: %+v, %v", got, err)
	}
	alice, err := d.Resolve(t.Context(), dormer.KindUser, Alice)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := d.Groups(t.Context(), alice)
	if err != nil || !slices.ContainsFunc(groups, func(g dormer.Principal) bool { return g.Key == before.Key }) {
		t.Errorf("groups of %s: %+v, %v", Alice, groups, err)
	}
}

func foreign(t *testing.T, f Fixture) {
	if f.Foreign == nil {
		return
	}
	d, ok := f.Directory.(access.ForeignGrouper)
	if !ok {
		t.Fatalf("%T is no access.ForeignGrouper", f.Directory)
	}
	got, err := d.ForeignGroups(t.Context(), f.Foreign.Of)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Sorted(slices.Values(f.Foreign.Chain))
	if diff := cmp.Diff(want, names(got)); diff != "" {
		t.Errorf("groups:\n%s", diff)
	}
	for _, g := range got {
		same, err := f.Directory.Resolve(t.Context(), dormer.KindGroup, g.Name)
		if err != nil || same != g {
			t.Errorf("group %+v resolves to %+v, %v", g, same, err)
		}
		chain, err := d.ForeignChain(t.Context(), f.Foreign.Of, g)
		if err != nil {
			t.Fatal(err)
		}
		var called []string
		for _, link := range chain {
			called = append(called, link.Name)
		}
		if diff := cmp.Diff(f.Foreign.Chain[:slices.Index(f.Foreign.Chain, g.Name)+1], called); diff != "" {
			t.Errorf("chain to %s:\n%s", g.Name, diff)
		}
	}
	nowhere := []dormer.Principal{f.Foreign.Nowhere}
	if got, err := d.ForeignGroups(t.Context(), nowhere); err != nil || len(got) != 0 {
		t.Errorf("groups of somebody else: %+v, %v", got, err)
	}
	if got, err := d.ForeignGroups(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("groups of nobody: %+v, %v", got, err)
	}
	inner, err := f.Directory.Resolve(t.Context(), dormer.KindGroup, Inner)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := d.ForeignChain(t.Context(), f.Foreign.Of, inner); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("chain to a group that they are not in: %+v, %v", got, err)
	}
}

func cancelled(t *testing.T, f Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if p, err := f.Directory.Authenticate(ctx, Alice, Password); err == nil {
		t.Errorf("signed in %+v though the context had ended", p)
	}
}
