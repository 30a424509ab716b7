package catalog_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/directory/ldap"
	"github.com/dormer-project/dormer/internal/directory/testdomain"
)

const ofDomain = `apiVersion: dormer/v1
kind: Workspace
metadata: {name: Office}
spec:
  machine: {image: {name: office}}
grants:
  - principal: {directory: corp, kind: group, name: everyone-office}
    offline: {limit: 8h}
  - principal: {directory: corp, kind: group, name: strangers}
    usb: [storage]
  - principal: {directory: corp, kind: user, name: dt-disabled}
`

// TestWhyInADomain asks a real domain controller: nested groups, members who
// leave, groups that are renamed and removed, and silence.
func TestWhyInADomain(t *testing.T) {
	corp := testdomain.StartDomain(t, testdomain.Options{})
	user, passwordFile := corp.Service()
	authority, err := os.ReadFile(corp.AuthorityFile)
	if err != nil {
		t.Fatal(err)
	}
	d, err := ldap.New(ldap.Config{
		Name: "corp", Kind: ldap.ActiveDirectory, Servers: []string{corp.LDAPS()}, Authority: authority, BindUser: user,
		Password: func() (string, error) {
			b, err := os.ReadFile(passwordFile)
			return string(b), err
		},
		Domain: corp.Name, NetBIOS: corp.NetBIOS, Timeout: 5 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	corp.LDIF(t, fmt.Sprintf("dn: %s\nobjectClass: group\nsAMAccountName: strangers\n", corp.GroupDN("strangers")))

	f := setup(t)
	if f.Catalog, err = catalog.New(t.Context(), catalog.Config{
		Store: f.state, Policies: f.state, Directories: []access.Mount{{Directory: f.people}, {Directory: d}}, Images: f.images,
		Now: func() time.Time { return f.now }, Random: rand.Reader, Logger: slog.New(slog.DiscardHandler),
	}); err != nil {
		t.Fatal(err)
	}
	people, err := access.NewAuthenticator(t.Context(), access.Config{
		Directories: []access.Mount{{Directory: f.people}, {Directory: d, Prefixes: []string{"CORP"}}}, Default: dormer.EmbeddedDirectory,
		Operators: f.state, Sessions: f.state, OperatorSession: time.Hour, UserSession: time.Hour,
		Now: func() time.Time { return f.now }, Random: rand.Reader,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := f.create(t, ofDomain)
	why := func(who string, want ...string) {
		t.Helper()
		e, err := f.Why(t.Context(), people, catalog.Question{Workspace: r.Workspace, User: who})
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(e.Reason, w) {
				t.Errorf("%s: %s; want %s", who, e.Reason, w)
			}
		}
		if e.Gets != strings.Contains(want[0], " gets ") {
			t.Errorf("%s: %v, %s", who, e.Gets, e.Reason)
		}
	}
	why(`CORP\alice`, `corp\alice gets Office from the grant to group corp\everyone-office (alice > staff > office > everyone-office)`)
	why(`CORP\carol`, `corp\carol does not get Office: none of its grants`, `corp\everyone-office, corp\strangers`)
	why(`CORP\dt-disabled`, `corp\dt-disabled does not get Office: the account is disabled in directory corp`)
	// As if in the innermost of three nested groups; and in one that is in none.
	asIf := func(group string) catalog.Explanation {
		t.Helper()
		e, err := f.Why(t.Context(), people, catalog.Question{Workspace: r.Workspace, User: `CORP\carol`, AsIfIn: []dormer.Principal{{Directory: "corp", Kind: dormer.KindGroup, Name: group}}})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if e := asIf("staff"); !e.Gets || e.Reason != `corp\carol gets Office from the grant to group corp\everyone-office (carol > staff > office > everyone-office)` {
		t.Errorf("%v, %s", e.Gets, e.Reason)
	}
	if e := asIf("strangers"); !e.Gets || !strings.Contains(e.Reason, "(carol > strangers)") {
		t.Errorf("%v, %s", e.Gets, e.Reason)
	}
	if e := asIf("renamable"); e.Gets || !strings.HasSuffix(e.Reason, `no grant is to group corp\renamable or to a group that it is in`) {
		t.Errorf("%v, %s", e.Gets, e.Reason)
	}
	corp.RemoveMember(t, "staff", corp.DN("alice"))
	why(`CORP\alice`, `corp\alice does not get Office`)
	corp.AddMember(t, "staff", corp.DN("alice"))

	// Renamed and removed: the grants are by SID.
	corp.LDIF(t, fmt.Sprintf("dn: %s\nchangetype: modify\nreplace: sAMAccountName\nsAMAccountName: all-office\n", corp.GroupDN("everyone-office")))
	corp.LDIF(t, fmt.Sprintf("dn: %s\nchangetype: delete\n", corp.GroupDN("strangers")))
	why(`CORP\alice`, `corp\alice gets Office`, `alice > staff > office > all-office`)
	why(`CORP\carol`, `corp\carol does not get Office`, `a group that has one (corp\everyone-office), or`)
	states := func(want ...string) {
		t.Helper()
		all, err := f.Principals(t.Context(), r.Workspace)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range all {
			got = append(got, fmt.Sprintf("%s %s %s", p.Principal.Name, p.State, p.Name))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	states("everyone-office renamed all-office", "strangers gone ", "dt-disabled found dt-disabled")
	commit := func(from, to string, want ...string) {
		t.Helper()
		raw := strings.Replace(ofDomain, from, to, 1)
		next, warnings, err := f.Commit(t.Context(), r.Workspace, []byte(raw), r.ETag, "admin", "")
		if err != nil {
			t.Fatal(err)
		}
		if len(warnings) != len(want) {
			t.Fatalf("warnings %v, want %v", warnings, want)
		}
		for i, w := range want {
			if !strings.Contains(warnings[i].Message, w) {
				t.Errorf("warning %v, want %s", warnings[i], w)
			}
		}
		r = next
	}
	commit("8h", "9h", `"everyone-office" is called "all-office" now`, `there is no group "strangers" any more`)
	states("all-office found all-office", "strangers gone ", "dt-disabled found dt-disabled")
	why(`CORP\alice`, `corp\alice gets Office`)

	// A name that is nobody's account name.
	_, _, err = f.Commit(t.Context(), r.Workspace, []byte(strings.Replace(ofDomain, "kind: user, name: dt-disabled", `kind: user, name: Dt Twin`, 1)), r.ETag, "admin", "")
	if err == nil || !errors.Is(err, dormer.ErrInvalid) || !strings.Contains(err.Error(), `corp\dt-alice`) {
		t.Errorf("a name for people that two have: %v", err)
	}

	corp.Stop()
	_, err = f.Why(t.Context(), people, catalog.Question{Workspace: r.Workspace, User: `CORP\alice`})
	if !errors.Is(err, dormer.ErrUnavailable) || !strings.Contains(err.Error(), corp.Address) {
		t.Errorf("why, while the domain is away: %v", err)
	}
	states("all-office unknown ", "strangers unknown ", "dt-disabled unknown ")
	renamed := strings.Replace(ofDomain, "everyone-office", "all-office", 1)
	if _, warnings, err := f.Commit(t.Context(), r.Workspace, []byte(strings.Replace(renamed, "8h", "3h", 1)), r.ETag, "admin", ""); err != nil || len(warnings) != 3 {
		t.Errorf("unchanged grants, while the domain is away: %v, %v", warnings, err)
	}
	if _, err := f.Validate(t.Context(), []byte(strings.Replace(renamed, "strangers", "staff", 1))); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("a new name, while the domain is away: %v", err)
	}
}
