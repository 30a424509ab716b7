package cli_test

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dormer-project/dormer/internal/directory/testdomain"
)

// TestDomainScripts runs the scripts that need a domain: what they know of it
// stands in variables.
func TestDomainScripts(t *testing.T) {
	corp := testdomain.StartDomain(t, testdomain.Options{})
	people := testdomain.StartOpenLDAP(t)
	bind, password := corp.Service()
	variables := map[string]string{
		"CORP": corp.LDAPS(), "CORP_DOMAIN": corp.Name, "CORP_REALM": corp.Realm, "CORP_BIND": bind, "CORP_PASSWORD": password,
		"CORP_AUTHORITY": corp.AuthorityFile, "CORP_KEYTAB": corp.ServiceKeytab(), "CORP_KRB5": corp.Krb5Conf(),
		"HTTP_KEYTAB": corp.HTTPKeytab(t, "localhost"), "ALICE_PASSWORD": corp.Password(t, "alice"), "CAROL_PASSWORD": corp.Password(t, "carol"),
		"PEOPLE": people.LDAPS, "PEOPLE_BASE": people.BaseDN, "PEOPLE_BIND": people.BindDN,
		"PEOPLE_PASSWORD": people.PasswordFile, "PEOPLE_AUTHORITY": people.AuthorityFile,
	}
	p := params("testdata/domain")
	p.Setup = func(env *testscript.Env) error {
		for name, value := range variables {
			env.Setenv(name, value)
		}
		return setup(env)
	}
	testscript.Run(t, p)
}
