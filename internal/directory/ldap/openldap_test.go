package ldap

import (
	"fmt"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/directory/directorytest"
	"github.com/dormer-project/dormer/internal/directory/testdomain"
)

// plainConfig is how a directory over that slapd is configured.
func plainConfig(t testing.TB, o *testdomain.OpenLDAP) Config {
	t.Helper()
	return Config{
		Name: "people", Kind: Plain, Servers: []string{o.LDAPS}, Authority: readFile(t, o.AuthorityFile), BindUser: o.BindDN,
		Password: passwordOf(o.PasswordFile), BaseDN: o.BaseDN, DisabledFilter: "(employeeType=disabled)", Timeout: 10 * time.Second,
	}
}

func TestOpenLDAP(t *testing.T) {
	server := testdomain.StartOpenLDAP(t)
	startTLS := plainConfig(t, server)
	startTLS.Servers = []string{server.LDAP}
	var removed, renamed, renamedTo string
	fixture := func(t *testing.T, c Config) directorytest.Fixture {
		if removed != "" {
			server.Add(t, fmt.Sprintf("dn: %s\nobjectClass: inetOrgPerson\nuid: %s\ncn: %s\nsn: Example\ndisplayName: %[3]s\nuserPassword: %s\n",
				server.DN(removed), removed, directorytest.TwinsName, directorytest.Password))
			// The group had no other member, so it kept the name of this one.
		}
		rename := func(t *testing.T, name, to string) {
			server.Add(t, fmt.Sprintf("dn: %s\nchangetype: modrdn\nnewrdn: cn=%s\ndeleteoldrdn: 1\n", server.GroupDN(name), to))
		}
		if renamed != "" {
			rename(t, renamedTo, renamed)
		}
		removed, renamed = "", ""
		return directorytest.Fixture{
			DisabledElsewhere: true,
			Directory:         open(t, c),
			Remove: func(t *testing.T, account string) {
				server.Add(t, fmt.Sprintf("dn: %s\nchangetype: delete\n", server.DN(account)))
				removed = account
			},
			RenameGroup: func(t *testing.T, name, to string) {
				rename(t, name, to)
				renamed, renamedTo = name, to
			},
			Refusals: []directorytest.Refusal{
				{Name: "locked", Password: server.Password(t, "locked"), Reason: access.ReasonLocked, Open: true},
				{Name: "mustchange", Password: server.Password(t, "mustchange"), Reason: access.ReasonMustChange},
			},
		}
	}
	for name, c := range map[string]Config{"LDAPS": plainConfig(t, server), "StartTLS": startTLS} {
		t.Run(name, func(t *testing.T) {
			directorytest.Run(t, func(t *testing.T) directorytest.Fixture { return fixture(t, c) })
		})
	}
}
