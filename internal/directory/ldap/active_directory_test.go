package ldap

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/directory/directorytest"
	"github.com/dormer-project/dormer/internal/directory/testdomain"
)

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func passwordOf(path string) func() (string, error) {
	return func() (string, error) {
		data, err := os.ReadFile(path)
		return string(data), err
	}
}

// domainConfig is how a directory over that domain is configured.
func domainConfig(t testing.TB, d *testdomain.Domain) Config {
	t.Helper()
	user, passwordFile := d.Service()
	return Config{
		Name: strings.ToLower(d.NetBIOS), Kind: ActiveDirectory, Servers: []string{d.LDAPS()}, Authority: readFile(t, d.AuthorityFile),
		BindUser: user, Password: passwordOf(passwordFile), Domain: d.Name, NetBIOS: d.NetBIOS, Timeout: 10 * time.Second,
	}
}

func open(t testing.TB, c Config) *Directory {
	t.Helper()
	d, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func resolve(t testing.TB, d *Directory, kind dormer.PrincipalKind, who string) dormer.Principal {
	t.Helper()
	p, err := d.Resolve(t.Context(), kind, who)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// reset makes accounts forget wrong passwords.
func reset(t testing.TB, d *testdomain.Domain, accounts ...string) {
	t.Helper()
	var changes strings.Builder
	for _, account := range accounts {
		fmt.Fprintf(&changes, "dn: %s\nchangetype: modify\nreplace: badPwdCount\nbadPwdCount: 0\n-\nreplace: lockoutTime\nlockoutTime: 0\n\n", d.DN(account))
	}
	d.LDIF(t, changes.String())
}

// TestActiveDirectory runs the suite. Every test of it begins with the directory
// as it was.
func TestActiveDirectory(t *testing.T) {
	corp := testdomain.StartDomain(t, testdomain.Options{})
	other := testdomain.StartDomain(t, testdomain.Options{Second: true})
	otherDirectory := open(t, domainConfig(t, other))
	rename := func(t *testing.T, name, to string) {
		corp.LDIF(t, fmt.Sprintf("dn: %s\nchangetype: modify\nreplace: sAMAccountName\nsAMAccountName: %s\n", corp.GroupDN(name), to))
	}
	// Groups of strangers may be in others in turn.
	corp.LDIF(t, fmt.Sprintf("dn: %s\nobjectClass: group\nsAMAccountName: strangers\ngroupType: -2147483644\nmember: %s\n",
		corp.GroupDN("strangers"), corp.GroupDN("guests-of-office")))
	var removed, renamed string
	directorytest.Run(t, func(t *testing.T) directorytest.Fixture {
		if removed != "" {
			dn := corp.AddUser(t, removed, directorytest.Password)
			corp.LDIF(t, fmt.Sprintf("dn: %s\nchangetype: modify\nreplace: displayName\ndisplayName: %s\n", dn, directorytest.TwinsName))
			corp.AddMember(t, directorytest.Inner, dn)
		}
		if renamed != "" {
			rename(t, renamed, renamed)
		}
		removed, renamed = "", ""
		reset(t, corp, directorytest.Alice, directorytest.Disabled, directorytest.Expired, "mustchange", "pwexpired", "hours")
		olga := resolve(t, otherDirectory, dormer.KindUser, "olga")
		of, err := otherDirectory.Groups(t.Context(), olga)
		if err != nil {
			t.Fatal(err)
		}
		return directorytest.Fixture{
			Directory: open(t, domainConfig(t, corp)),
			Remove: func(t *testing.T, account string) {
				corp.Tool(t, "user", "delete", account)
				removed = account
			},
			RenameGroup: func(t *testing.T, name, to string) {
				rename(t, name, to)
				renamed = name
			},
			Refusals: []directorytest.Refusal{
				{Name: "locked", Password: corp.Password(t, "locked"), Reason: access.ReasonLocked, Open: true},
				{Name: "mustchange", Password: corp.Password(t, "mustchange"), Reason: access.ReasonMustChange},
				{Name: "pwexpired", Password: corp.Password(t, "pwexpired"), Reason: access.ReasonPasswordExpired},
				{Name: "hours", Password: corp.Password(t, "hours"), Reason: access.ReasonHours},
			},
			Foreign: &directorytest.Foreign{
				Of: append(of, olga), Chain: []string{"guests-of-office", "strangers"}, Nowhere: resolve(t, otherDirectory, dormer.KindUser, "alice"),
			},
		}
	})
}

// TestWaysIn: StartTLS and a keytab do what LDAPS and a password do.
func TestWaysIn(t *testing.T) {
	corp := testdomain.StartDomain(t, testdomain.Options{})
	startTLS := domainConfig(t, corp)
	startTLS.Servers = []string{corp.LDAP()}
	keytab := domainConfig(t, corp)
	keytab.Password, keytab.Keytab = nil, corp.ServiceKeytab()
	for name, c := range map[string]Config{"StartTLS": startTLS, "keytab": keytab} {
		d := open(t, c)
		alice, err := d.Authenticate(t.Context(), "alice", corp.Password(t, "alice"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := groupsOf(t, d, alice); !slices.Contains(got, "everyone-office") {
			t.Errorf("%s: groups %q", name, got)
		}
		if _, err := d.Authenticate(t.Context(), "alice", "wrong"); !errors.Is(err, dormer.ErrUnauthenticated) {
			t.Errorf("%s: with a wrong password: %v", name, err)
		}
	}
}

func groupsOf(t testing.TB, d *Directory, user dormer.Principal) []string {
	t.Helper()
	groups, err := d.Groups(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	return namesOfPrincipals(groups)
}

func namesOfPrincipals(list []dormer.Principal) []string {
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = p.Name
	}
	slices.Sort(names)
	return names
}
