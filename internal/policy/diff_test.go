package policy

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
)

func TestDiff(t *testing.T) {
	a := example(t, "office.yaml")
	b := example(t, "office.yaml")
	if changes := Diff(a, b); len(changes) != 0 {
		t.Fatalf("equal documents differ: %v", changes)
	}
	b.Spec.Machine.Lock.Idle = nil
	b.Spec.Machine.DataDisk.Size = new(50 * GiB)
	b.Spec.General.SupportContact = ""
	b.Spec.Setup.Actions[3].JoinDomain.Credentials = JoinGiven
	b.Spec.Setup.Actions[3].JoinDomain.PasswordSecret = "join-secret"
	b.Spec.Network.DNS.Servers = []string{"192.0.2.53"}
	b.Spec.Applications.Published = slices.Concat(b.Spec.Applications.Published[1:], []Application{{Name: "New", Command: "/bin/new"}})
	b.Grants = []Grant{b.Grants[1], b.Grants[0], {Principal: Principal{Kind: dormer.KindUser, Name: "carol"}, Printing: new(true)}}
	b.Grants[1].Offline = Offline{Allow: OfflineNone}
	want := []Change{
		{Path: "spec.general.supportContact", Kind: Removed, Old: a.Spec.General.SupportContact},
		{Path: "spec.machine.lock.idle", Kind: Changed, Old: "20m", New: "never", NewOrigin: "default"},
		{Path: "spec.machine.dataDisk.size", Kind: Changed, Old: "40GiB", New: "50GiB"},
		{Path: "spec.applications.published[Writer]", Kind: Removed, Old: "Writer"},
		{Path: "spec.applications.published[New]", Kind: Added, New: "New"},
		{Path: "spec.applications.published[New].name", Kind: Added, New: "New"},
		{Path: "spec.applications.published[New].command", Kind: Added, New: "/bin/new"},
		{Path: "spec.setup.actions[3].joinDomain.credentials", Kind: Changed, Old: "one-time", New: "given"},
		{Path: "spec.setup.actions[3].joinDomain.passwordSecret", Kind: Added, New: "(hidden)"},
		{Path: "spec.network.dns.servers", Kind: Changed, Old: "192.0.2.53, 2001:db8::53", New: "192.0.2.53"},
		{Path: "grants[corp/group/Office Users].offline.allow", Kind: Changed, Old: "limited", OldOrigin: "default", New: "none"},
		{Path: "grants[corp/group/Office Users].offline.limit", Kind: Changed, Old: "3d", New: "7d", NewOrigin: "default"},
		{Path: "grants[local/user/guest]", Kind: Removed, Old: "local/user/guest"},
		{Path: "grants[local/user/carol]", Kind: Added, New: "local/user/carol"},
		{Path: "grants[local/user/carol].principal.kind", Kind: Added, New: "user"},
		{Path: "grants[local/user/carol].principal.name", Kind: Added, New: "carol"},
		{Path: "grants[local/user/carol].printing", Kind: Added, New: "true"},
		{
			Path: "grants.order", Kind: Changed, Old: "corp/group/Office Users, corp/group/Office Managers, local/user/guest",
			New: "corp/group/Office Managers, corp/group/Office Users, local/user/carol",
		},
	}
	if diff := cmp.Diff(want, Diff(a, b)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDiffOfNothing(t *testing.T) {
	d := example(t, "demo.yaml")
	all := Diff(nil, d)
	if len(all) < 20 || slices.ContainsFunc(all, func(c Change) bool { return c.Old != "" && c.OldOrigin == "" }) {
		t.Errorf("a new document: %v", all)
	}
	if gone := Diff(d, nil); len(gone) < 15 {
		t.Errorf("a deleted document: %v", gone)
	}
	if same := Diff(nil, nil); len(same) != 0 {
		t.Errorf("%v", same)
	}
}

// TestDiffSeesEverything compares documents that differ: the list of changes
// is empty only where their canonical forms are equal, empty lists aside.
func TestDiffSeesEverything(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 300 {
		a, b := randomDocument(r.Uint64()), randomDocument(r.Uint64())
		a.Grants, b.Grants = nil, nil
		a.Spec.Applications, b.Spec.Applications = Applications{}, Applications{}
		if string(a.CanonicalJSON()) != string(b.CanonicalJSON()) && len(Diff(a, b)) == 0 {
			t.Fatalf("no difference between\n%s\n%s", a.CanonicalJSON(), b.CanonicalJSON())
		}
		for _, c := range Diff(a, b) {
			if strings.HasSuffix(c.Path, "passwordSecret") && (c.Old != "" && c.Old != hidden || c.New != "" && c.New != hidden) {
				t.Fatalf("a secret is shown: %v", c)
			}
		}
	}
}
