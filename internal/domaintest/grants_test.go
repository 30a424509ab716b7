package domaintest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/directory/testdomain"
	"github.com/dormer-project/dormer/internal/server"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// chain returns the names of the groups through which a user gets Office.
func (i *instance) chain(id dormer.WorkspaceID, user string) (gets bool, groups []string) {
	i.t.Helper()
	why, err := i.admin.Why(i.t.Context(), id, rest.AskWhy{User: user})
	if err != nil || len(why.Grants) != 1 {
		i.t.Fatalf("why %s: %+v, %v", user, why, err)
	}
	for _, g := range why.Grants[0].Chain {
		groups = append(groups, g.Name)
	}
	return why.Gets, groups
}

// TestNestedGroups: who is in the granted group through others gets the
// workspace, by whatever name; who is not does not; the grant outlives a new name
// of the group; who is taken out loses the workspace while it runs.
func TestNestedGroups(t *testing.T) {
	t.Parallel()
	corp := testdomain.StartDomain(t, testdomain.Options{})
	i := newInstance(t, func(c *server.Config) {
		c.Directories = []server.DirectoryConfig{directory(corp)}
		c.Access.DefaultDirectory = "corp"
	})
	id := i.workspace(dormer.KindGroup, "everyone-office")
	c := i.newComputer("desk", corp)
	for written, on := range map[string]*computer{`CORP\alice`: c, "alice@corp.example.test": i.newComputer("desk 2", corp), "ALICE": i.newComputer("desk 3", corp)} {
		on.mustSignIn(first, written, "alice")
		on.await(first, "the workspace of "+written, ready)
	}
	c.mustSignIn(second, "carol", "carol")
	if err := c.poll(); err != nil {
		t.Fatal(err)
	}
	if got := c.workspaces(second); len(got) != 0 {
		t.Errorf("carol has %+v", got)
	}
	if gets, groups := i.chain(id, "alice"); !gets || !slices.Equal(groups, []string{"staff", "office", "everyone-office"}) {
		t.Errorf("alice: %t through %v", gets, groups)
	}
	if gets, _ := i.chain(id, "carol"); gets {
		t.Error("carol is said to get it")
	}

	// The granted group gets another name.
	corp.LDIF(t, fmt.Sprintf("dn: %s\nchangetype: modify\nreplace: sAMAccountName\nsAMAccountName: all-of-us\n", corp.GroupDN("everyone-office")))
	corp.LDIF(t, fmt.Sprintf("dn: %s\nchangetype: moddn\nnewrdn: CN=all-of-us\ndeleteoldrdn: 1\n", corp.GroupDN("everyone-office")))
	eventually(t, "the new name", func() bool {
		all, err := i.admin.Principals(t.Context(), id)
		return err == nil && len(all) == 1 && all[0].State == "renamed" && all[0].Name == "all-of-us"
	})
	// Somebody who has not been here before: nothing about her is remembered.
	corp.AddMember(t, "staff", corp.DN("carol"))
	c.await(second, "the workspace after carol was put into a group", ready)
	if gets, groups := i.chain(id, "alice"); !gets || len(groups) != 3 || groups[2] != "all-of-us" {
		t.Errorf("alice, after the group was renamed: %t through %v", gets, groups)
	}

	// She is taken out while her machine runs.
	c.start(first)
	corp.RemoveMember(t, "staff", corp.DN("alice"))
	w := c.await(first, "the workspace is taken away", func(w agentapi.Workspace) bool { return !w.Permitted && w.State == "ready" })
	if w.Verdict == "" {
		t.Error("nobody says why")
	}
	c.await(second, "carol keeps hers", permitted)
	if gets, _ := i.chain(id, "alice"); gets {
		t.Error("alice is said to get it still")
	}
	corp.AddMember(t, "staff", corp.DN("alice"))
	c.await(first, "it comes back", permitted)
}

// TestAccounts: an account that may not be used gets nobody in, and the user is
// told why; one that is disabled ends the session that it has.
func TestAccounts(t *testing.T) {
	t.Parallel()
	corp := testdomain.StartDomain(t, testdomain.Options{})
	i := newInstance(t, func(c *server.Config) { c.Directories = []server.DirectoryConfig{directory(corp)} })
	i.workspace(dormer.KindUser, "alice")
	c := i.newComputer("desk", corp)
	for account, want := range map[string]access.Reason{
		"locked": access.ReasonLocked, "mustchange": access.ReasonMustChange, "pwexpired": access.ReasonPasswordExpired, "hours": access.ReasonHours,
	} {
		if err := c.signIn(second, `corp\`+account, account); err == nil || !strings.Contains(err.Error(), string(want)) {
			t.Errorf("%s: %v", account, err)
		}
	}
	c.mustSignIn(first, `corp\alice`, "alice")
	c.start(first)
	corp.SetDisabled(t, "alice", true)
	w := c.await(first, "the session ends", func(w agentapi.Workspace) bool { return !w.Permitted && w.State == "ready" })
	if !strings.Contains(w.Verdict, string(access.ReasonDisabled)) {
		t.Errorf("the user is told %q", w.Verdict)
	}
	if err := c.signIn(first, `corp\alice`, "alice"); err == nil || !strings.Contains(err.Error(), string(access.ReasonDisabled)) {
		t.Errorf("sign-in of a disabled account: %v", err)
	}
	corp.SetDisabled(t, "alice", false)
	c.mustSignIn(first, `corp\alice`, "alice")
	c.await(first, "the workspace is back", permitted)
}

// TestForeignMembers: a user of another domain gets what groups of CORP that
// hold her or her groups are granted, where CORP is told to trust the domain.
func TestForeignMembers(t *testing.T) {
	t.Parallel()
	corp, other := testdomain.StartDomain(t, testdomain.Options{}), testdomain.StartDomain(t, testdomain.Options{Second: true})
	i := newInstance(t, func(c *server.Config) {
		c.Directories = []server.DirectoryConfig{directory(corp), directory(other)}
		c.Directories[0].Trusts = []string{"other"}
	})
	i.workspace(dormer.KindGroup, "guests-of-office")
	c := i.newComputer("desk", other)
	c.mustSignIn(first, `OTHER\olga`, "olga")
	c.await(first, "the workspace by way of a foreign group", ready)
	c.mustSignIn(second, `oscar@other.example.test`, "oscar")
	if err := c.poll(); err != nil {
		t.Fatal(err)
	}
	if got := c.workspaces(second); len(got) != 0 {
		t.Errorf("oscar, who is in another group, has %+v", got)
	}
	// A user of the same name is somebody else.
	if err := c.signIn(second, `CORP\alice`, "alice"); err == nil {
		t.Error("the password of OTHER's alice lets CORP's in")
	}
}
