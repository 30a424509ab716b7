package catalog_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	randv2 "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/policy"
)

// authenticator asks the directories of a fixture as a server does.
func (f *fixture) authenticator(t *testing.T) *access.Authenticator {
	t.Helper()
	a, err := access.NewAuthenticator(t.Context(), access.Config{
		Directories: []access.Mount{{Directory: f.people}, {Directory: f.corp}}, Default: dormer.EmbeddedDirectory,
		Operators: f.state, Sessions: f.state, OperatorSession: time.Hour, UserSession: time.Hour,
		Now: func() time.Time { return f.now }, Random: rand.Reader,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (f *fixture) why(t *testing.T, q catalog.Question) catalog.Explanation {
	t.Helper()
	e, err := f.Why(t.Context(), f.authenticator(t), q)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func grant(t *testing.T, raw string) policy.Grant {
	t.Helper()
	g, err := policy.DecodeGrant([]byte(raw), "", "with")
	if err != nil {
		t.Fatal(err)
	}
	return *g
}

// field returns a value with the grants that it comes from.
func field(e catalog.Explanation, path string) string {
	var out []string
	for _, x := range e.Fields {
		if x.Path == path {
			out = append(out, fmt.Sprintf("%s %s %v", x.Value, x.Origin, x.From))
		}
	}
	return strings.Join(out, ", ")
}

// granted is office with alice in staff, which is in outer, in the directory
// CORP.
func granted(t *testing.T) (*fixture, catalog.Revision) {
	t.Helper()
	f := setup(t)
	corp := func(kind dormer.PrincipalKind, name string) dormer.Principal {
		return dormer.Principal{Directory: "CORP", Kind: kind, Key: "S-1-" + name, Name: name}
	}
	carol, staff, outer, other := corp("user", "carol"), corp("group", "staff"), corp("group", "outer"), corp("group", "other")
	f.corp.named = map[string]dormer.Principal{"user carol": carol, "group staff": staff, "group outer": outer, "group other": other}
	f.corp.groups = map[string][]dormer.Principal{carol.Key: {staff, outer}}
	return f, f.create(t, `apiVersion: dormer/v1
kind: Workspace
metadata: {name: Office}
spec:
  machine:
    image: {name: office}
    revertible: false
grants:
  - principal: {directory: corp, kind: group, name: other}
    usb: [storage]
  - principal: {directory: CORP, kind: group, name: outer}
    offline: {limit: 8h}
    clipboard: host-to-guest
  - principal: {directory: CORP, kind: user, name: carol}
    enabled: false
    printing: true
  - principal: {directory: CORP, kind: group, name: staff}
    expires: 2026-11-21
    audio: true
`)
}

func TestWhy(t *testing.T) {
	f, r := granted(t)
	q := catalog.Question{Workspace: r.Workspace, User: `corp\Carol`}
	e := f.why(t, q)
	if want := `CORP\carol gets Office from the grant to group CORP\outer (carol > staff > outer)`; !e.Gets || e.Reason != want {
		t.Errorf("%v %s", e.Gets, e.Reason)
	}
	var reasons []string
	for _, g := range e.Grants {
		reasons = append(reasons, fmt.Sprintf("%s %v %s %d", g.Principal.Name, g.Counts, g.Reason, len(g.Chain)))
	}
	if d := cmp.Diff([]string{
		`other false CORP\carol is not in this group 0`,
		`outer true through carol > staff > outer 2`,
		`carol false the grant is disabled 0`,
		`staff false the grant expired at 2026-11-22 00:00 UTC 1`,
	}, reasons); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for path, want := range map[string]string{
		"deployment.offline.limit": "8h grants [1]", "deployment.clipboard": "host-to-guest grants [1]", "deployment.printing": "false default []",
		"machine.revertible": "false policy []", "machine.image.name": "office policy []", "network.mode": "nat default []",
	} {
		if got := field(e, path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	if e.Otherwise != nil || e.Revision.Name != "Office" || e.Revision.Number != 1 || e.User.Key != "S-1-carol" {
		t.Errorf("%+v", e)
	}
}

func TestWhyNot(t *testing.T) {
	f, r := granted(t)
	f.corp.named["user dave"] = dormer.Principal{Directory: "CORP", Kind: dormer.KindUser, Key: "S-1-dave", Name: "dave"}
	ask := func(user string, client *catalog.Client, want ...string) {
		t.Helper()
		e := f.why(t, catalog.Question{Workspace: r.Workspace, User: user, Client: client})
		for _, w := range want {
			if e.Gets || !strings.Contains(e.Reason, w) {
				t.Errorf("%v %s; want %s", e.Gets, e.Reason, w)
			}
		}
	}
	ask(`CORP\dave`, nil, `CORP\dave does not get Office: none of its grants`, `CORP\other, CORP\outer, CORP\staff`)
	ask(`CORP\carol`, &catalog.Client{Name: "laptop7", Revoked: true, Managed: true}, `does not get Office on laptop7: client laptop7 was revoked`)

	f.now = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	both := f.why(t, catalog.Question{Workspace: r.Workspace, User: `CORP\carol`})
	if !strings.Contains(both.Reason, "from the grants to group CORP\\outer (") || !strings.Contains(both.Reason, " and to group CORP\\staff (") {
		t.Error(both.Reason)
	}
	f.now = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

	// Refused by the directory.
	f.corp.err = &access.RefusedError{Reason: access.ReasonDisabled}
	people := f.authenticator(t)
	e, err := f.Why(t.Context(), onlyGroups{people, f.corp.named["user carol"]}, catalog.Question{Workspace: r.Workspace, User: `CORP\carol`})
	if err != nil || e.Gets || e.Reason != `CORP\carol does not get Office: the account is disabled in directory CORP` || len(e.Fields) != 0 {
		t.Errorf("a disabled account: %+v, %v", e.Reason, err)
	}
	f.corp.err = fmt.Errorf("no route: %w", dormer.ErrUnavailable)
	if _, err := f.Why(t.Context(), onlyGroups{people, f.corp.named["user carol"]}, catalog.Question{Workspace: r.Workspace, User: `CORP\carol`}); !errors.Is(err, dormer.ErrUnavailable) || !strings.Contains(err.Error(), "directory CORP") {
		t.Errorf("a directory that does not answer: %v", err)
	}
	f.corp.err = nil
	for _, q := range []catalog.Question{{Workspace: r.Workspace, User: "nobody"}, {Workspace: "bbbbbbbbbbbbbbbbbbbbbbbbba", User: `CORP\carol`}} {
		if _, err := f.Why(t.Context(), people, q); !errors.Is(err, dormer.ErrNotFound) {
			t.Errorf("%+v: %v", q, err)
		}
	}

	doc := string(r.Document)
	commit := func(from, to string) {
		t.Helper()
		doc = strings.Replace(doc, from, to, 1)
		next, _, err := f.Commit(t.Context(), r.Workspace, []byte(doc), r.ETag, "admin", "")
		if err != nil {
			t.Fatal(err)
		}
		r = next
	}
	commit(`"spec":{`, `"spec":{"general":{"unmanagedClients":"refuse"},`)
	unmanaged := &catalog.Client{Name: "laptop7"}
	ask(`CORP\carol`, unmanaged, "does not get Office on laptop7", "general.unmanagedClients")
	if e := f.why(t, catalog.Question{Workspace: r.Workspace, User: `CORP\carol`, Client: &catalog.Client{Name: "laptop7", Managed: true}}); !e.Gets || !strings.HasPrefix(e.Reason, `CORP\carol gets Office on laptop7 from`) {
		t.Error(e.Reason)
	}
	commit(`"offline":{"limit":"8h"}`, `"expires":"2026-11-01","offline":{"limit":"8h"}`)
	ask(`CORP\carol`, nil, `no grant of the user is in force`, `to group CORP\outer: the grant expired at 2026-11-02 00:00 UTC`, "give it a later day")
	commit(`"expires":"2026-11-01",`, `"enabled":false,`)
	commit(`"expires":"2026-11-21"`, `"enabled":false`)
	ask(`CORP\carol`, nil, `the grant is disabled`, "enable it")
	commit(`"name":"office"`, `"name":"lab"`)
	commit(`"enabled":false,`, ``)
	ask(`CORP\carol`, nil, "image lab is not in the repository")
	commit(doc[strings.Index(doc, `,"grants":`):], "}")
	ask(`CORP\carol`, nil, "nobody is granted it")
}

// onlyGroups finds one user while the directory answers nothing else.
type onlyGroups struct {
	*access.Authenticator
	user dormer.Principal
}

func (p onlyGroups) Resolve(context.Context, dormer.PrincipalKind, string) (dormer.Principal, error) {
	return p.user, nil
}

func TestWhyIf(t *testing.T) {
	f, r := granted(t)
	q := catalog.Question{Workspace: r.Workspace, User: `CORP\carol`}
	q.With = []policy.Grant{grant(t, "principal: {directory: CORP, kind: group, name: other}\nusb: [storage]\noffline: {limit: 1h}"), grant(t, "principal: {kind: user, name: x}\nexpires: 2026-01-01")}
	e := f.why(t, q)
	if !e.Gets || len(e.Grants) != 6 || !e.Grants[4].Added || !e.Grants[4].Counts || e.Grants[5].Counts || !strings.Contains(e.Reason, `and to group CORP\other (added)`) {
		t.Errorf("%s %+v", e.Reason, e.Grants)
	}
	if got := field(e, "deployment.usb"); got != "storage grants [4]" {
		t.Errorf("USB is %s", got)
	}
	if got := field(*e.Otherwise, "deployment.usb"); got != "none default []" {
		t.Errorf("otherwise USB is %s", got)
	}
	if got := field(e, "deployment.offline.limit"); got != "8h grants [1]" {
		t.Errorf("a shorter limit took something away: %s", got)
	}
	q.With, q.Without = nil, []dormer.Principal{{Directory: "corp", Kind: dormer.KindGroup, Name: "OUTER"}}
	e = f.why(t, q)
	if e.Gets || !e.Otherwise.Gets || e.Grants[1].Counts || e.Grants[1].Reason != "left out, as asked" {
		t.Errorf("%s %+v", e.Reason, e.Grants)
	}
	q.Without = append(q.Without, dormer.Principal{Kind: dormer.KindGroup, Name: "outer"})
	_, err := f.Why(t.Context(), f.authenticator(t), q)
	if d := cmp.Diff([]string{"without[1]"}, paths(t, err)); d != "" {
		t.Error(d)
	}
	// Somebody without a grant.
	e = f.why(t, catalog.Question{Workspace: r.Workspace, User: "bob", With: []policy.Grant{grant(t, "principal: {kind: group, name: staff}")}})
	if !e.Gets || e.Otherwise.Gets || field(e, "deployment.offline.limit") != "7d default []" {
		t.Errorf("%s", e.Reason)
	}
}

// TestWhyAsIfIn: who is taken to be in a group is in those that hold it, and
// gets what a member does.
func TestWhyAsIfIn(t *testing.T) {
	f, r := granted(t)
	dave := dormer.Principal{Directory: "CORP", Kind: dormer.KindUser, Key: "S-1-dave", Name: "dave"}
	role := dormer.Principal{Directory: "CORP", Kind: dormer.KindGroup, Key: "S-1-role", Name: "role"}
	staff, outer := f.corp.named["group staff"], f.corp.named["group outer"]
	f.corp.named["user dave"], f.corp.named["group role"] = dave, role
	f.corp.groups[role.Key] = []dormer.Principal{staff, outer}
	q := catalog.Question{Workspace: r.Workspace, User: `CORP\dave`, AsIfIn: []dormer.Principal{{Directory: "corp", Kind: dormer.KindGroup, Name: "ROLE"}}}
	e := f.why(t, q)
	if want := `CORP\dave gets Office from the grant to group CORP\outer (dave > role > staff > outer)`; !e.Gets || e.Reason != want || e.Otherwise.Gets {
		t.Errorf("%v %s", e.Gets, e.Reason)
	}
	if d := cmp.Diff(catalog.GrantReason{Principal: outer, Counts: true, Reason: "as if through dave > role > staff > outer", Chain: []dormer.Principal{role, staff, outer}}, e.Grants[1], cmpopts.IgnoreUnexported(catalog.GrantReason{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if g := e.Grants[3]; g.Counts || !strings.Contains(g.Reason, "the grant expired") || e.Grants[0].Counts || e.Otherwise.Grants[1].Counts {
		t.Errorf("%+v", e.Grants)
	}
	f.corp.groups[dave.Key] = []dormer.Principal{role, staff, outer}
	if member := f.why(t, catalog.Question{Workspace: r.Workspace, User: `CORP\dave`}); member.PolicyHash != e.PolicyHash || e.PolicyHash == "" {
		t.Errorf("a member gets policy %q, who is taken for one %q", member.PolicyHash, e.PolicyHash)
	}
	delete(f.corp.groups, dave.Key)

	// The group of a grant itself, by its key; left out; by which there is none.
	q.AsIfIn = []dormer.Principal{{Directory: "CORP", Kind: dormer.KindGroup, Key: outer.Key, Name: "of old"}}
	if e = f.why(t, q); !e.Gets || e.Grants[1].Reason != "as if through dave > outer" {
		t.Errorf("%s %+v", e.Reason, e.Grants)
	}
	q.Without = []dormer.Principal{outer}
	if e = f.why(t, q); e.Gets || e.Grants[1].Counts {
		t.Errorf("%s %+v", e.Reason, e.Grants)
	}
	f.corp.named["group idle"] = dormer.Principal{Directory: "CORP", Kind: dormer.KindGroup, Key: "S-1-idle", Name: "idle"}
	q.Without, q.AsIfIn = nil, []dormer.Principal{f.corp.named["group idle"]}
	if e = f.why(t, q); e.Gets || !strings.HasSuffix(e.Reason, `; no grant is to group CORP\idle or to a group that it is in`) {
		t.Error(e.Reason)
	}
	q.AsIfIn[0], q.User = role, `CORP\carol`
	if e = f.why(t, q); !e.Gets || e.Grants[1].Reason != "through carol > staff > outer" || e.Reason != e.Otherwise.Reason {
		t.Errorf("who is in the groups anyway: %s %+v", e.Reason, e.Grants)
	}
	for _, wrong := range []dormer.Principal{dave, {Directory: "CORP", Kind: dormer.KindGroup, Name: "nobody"}, {Directory: "elsewhere", Kind: dormer.KindGroup, Name: "role"}, {Directory: "CORP", Kind: dormer.KindGroup, Key: "S-1-x", Name: "role"}} {
		q.AsIfIn = []dormer.Principal{role, wrong}
		_, err := f.Why(t.Context(), f.authenticator(t), q)
		if d := cmp.Diff([]string{"as_if_in[1]"}, paths(t, err)); d != "" {
			t.Errorf("%+v: %s", wrong, d)
		}
	}
}

// TestWhyGone: nobody is advised to join a group that is gone.
func TestWhyGone(t *testing.T) {
	f, r := granted(t)
	f.corp.named["user dave"] = dormer.Principal{Directory: "CORP", Kind: dormer.KindUser, Key: "S-1-dave", Name: "dave"}
	q := catalog.Question{Workspace: r.Workspace, User: `CORP\dave`}
	delete(f.corp.named, "group other")
	e := f.why(t, q)
	if want := "the group is gone from directory CORP; take the grant out, or grant to another group"; e.Grants[0].Reason != want {
		t.Error(e.Grants[0].Reason)
	}
	if !strings.Contains(e.Reason, `a group that has one (CORP\outer, CORP\staff)`) {
		t.Error(e.Reason)
	}
	delete(f.corp.named, "group outer")
	delete(f.corp.named, "group staff")
	if e = f.why(t, q); strings.Contains(e.Reason, "put the user into") || !strings.Contains(e.Reason, `are gone (CORP\other, CORP\outer, CORP\staff)`) {
		t.Error(e.Reason)
	}
	// A user of another directory, while this one is silent: nothing is said to be gone.
	f.corp.err = fmt.Errorf("no route: %w", dormer.ErrUnavailable)
	f.corp.asked = 0
	if e = f.why(t, catalog.Question{Workspace: r.Workspace, User: "bob"}); e.Grants[0].Reason != "Bob is not in this group" || f.corp.asked != 1 {
		t.Errorf("%d times asked: %s", f.corp.asked, e.Grants[0].Reason)
	}
}

// TestWhyIsWhatLeasesSay: whatever the grants, groups and time, the explained
// policy is that of the entitlement, and one is refused when the other is.
func TestWhyIsWhatLeasesSay(t *testing.T) {
	f := setup(t)
	rnd := randv2.New(randv2.NewPCG(3, 3))
	f.images["lab"] = catalog.Image{ID: "sha256:b", Number: 1}
	alice := f.people.named["user alice"]
	var groups []dormer.Principal
	for i := range 5 {
		g := principal(dormer.KindGroup, fmt.Sprintf("g%d", i))
		f.people.named["group "+g.Name] = g
		groups = append(groups, g)
	}
	gets, refused, hashes := 0, 0, map[string]bool{}
	for n := range 60 {
		var doc strings.Builder
		image := []string{"office", "lab", "missing"}[min(rnd.IntN(12), 2)%3]
		if rnd.IntN(4) > 0 {
			image = "office"
		}
		fmt.Fprintf(&doc, "apiVersion: dormer/v1\nkind: Workspace\nmetadata: {name: W%d}\nspec: {machine: {image: {name: %s}}}\ngrants:\n", n, image)
		names := []string{"{kind: user, name: alice}"}
		for _, g := range groups {
			names = append(names, "{kind: group, name: "+g.Name+"}")
		}
		for _, p := range names {
			if rnd.IntN(3) == 0 && p != names[0] {
				continue
			}
			fmt.Fprintf(&doc, "  - principal: %s\n", p)
			for _, line := range []string{"    enabled: false\n", "    expires: 2026-11-20\n", "    offline: {limit: 8h}\n", "    usb: [storage]\n", "    deleteWhen: {disabled: true}\n", "    clipboard: both\n"} {
				if rnd.IntN(3) == 0 {
					doc.WriteString(line)
				}
			}
		}
		r := f.create(t, doc.String())
		in := slices.DeleteFunc(slices.Clone(groups), func(dormer.Principal) bool { return rnd.IntN(2) == 0 })
		f.people.groups = map[string][]dormer.Principal{alice.Key: in}
		f.now = time.Date(2026, 11, 19+rnd.IntN(4), rnd.IntN(24), 0, 0, 0, time.UTC)
		a, err := f.Assignments(t.Context(), alice, in, "")
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(a.Entitlements, func(e *lease.Entitlement) bool { return e.Workspace == r.Workspace })
		e := f.why(t, catalog.Question{Workspace: r.Workspace, User: "alice"})
		if i < 0 {
			t.Fatal("the user's own grant gives no entitlement")
		}
		want := a.Entitlements[i]
		ended := want.ValidUntil != nil && !f.now.Before(*want.ValidUntil)
		if e.PolicyHash != want.PolicyHash || e.Gets != (want.Refused == "" && !ended) {
			t.Fatalf("explained %v %q: %s; the lease says %q %q\n%s", e.Gets, e.PolicyHash, e.Reason, want.Refused, want.PolicyHash, doc.String())
		}
		hashes[e.PolicyHash] = true
		if e.Gets {
			gets++
		} else {
			refused++
		}
	}
	if gets < 10 || refused < 5 || len(hashes) < 10 {
		t.Errorf("%d get it, %d do not, %d policies: too alike to prove anything", gets, refused, len(hashes))
	}
}
