package domaintest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/consoletest/playwright"
	"github.com/dormer-project/dormer/internal/directory/testdomain"
	"github.com/dormer-project/dormer/internal/server"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// TestConsole: in a browser, a ticket signs in without a question, and OpenID
// leads to the provider and back to what was asked for. The journeys are those
// of web/tests/directories.once.ts.
func TestConsole(t *testing.T) {
	t.Parallel()
	playwright.Need(t)
	corp := testdomain.StartDomain(t, testdomain.Options{})
	keytab := corp.HTTPKeytab(t, "localhost")
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte(testdomain.DexSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	var dex *testdomain.Dex
	i := newInstance(t, func(c *server.Config) {
		dex = testdomain.StartDex(t, corp, c.PublicURLs[0]+"/console/signed-in")
		c.Directories = []server.DirectoryConfig{directory(corp)}
		c.Kerberos.Keytab = keytab
		c.Providers = []server.ProviderConfig{{
			Name: "login", Title: "Corporate login", Issuer: dex.Issuer, ClientID: testdomain.DexClient, ClientSecretFile: secret,
			Directory: "corp", UserClaim: "preferred_username",
		}}
	})
	if _, err := i.admin.SetOperator(t.Context(), rest.SetOperator{Kind: dormer.KindGroup, Name: `corp\everyone-office`, Role: dormer.RoleFull}); err != nil {
		t.Fatal(err)
	}
	in, err := i.client("").SignIn(t.Context(), rest.SignIn{User: `local\admin`, Password: adminPassword})
	if err != nil {
		t.Fatal(err)
	}
	password := corp.Password(t, "alice")
	scene, err := json.Marshal(map[string]string{
		"server": i.cfg.PublicURLs[0], "token": in.Token, "issuer": dex.Issuer,
		"krb5": corp.Krb5Conf(), "tickets": corp.Kinit(t, "alice", password), "stranger": corp.Kinit(t, "carol", corp.Password(t, "carol")), "user": "alice", "password": password,
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "scene.json")
	if err := os.WriteFile(file, scene, 0o600); err != nil {
		t.Fatal(err)
	}
	// The variable of the stage is there and empty: none is needed.
	playwright.Run(t, "DORMER_CONSOLE_RUN=directories", "DORMER_SCENE="+file, "DORMER_STAGE=")
}
