package cli_test

import (
	"net"
	"net/http"
	"net/url"
	"os"

	"github.com/oauth2-proxy/mockoidc"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/server"
)

// issuer USER: an OpenID provider at which USER of the embedded directory is
// signed in. Servers that are started later take its sign-ins, as --provider
// corp.
func issuerCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: issuer USER")
	}
	m, err := mockoidc.NewServer(nil)
	ts.Check(err)
	ts.Check(m.AddMiddleware(secretInForm))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Check(m.Start(l, nil))
	ts.Defer(func() { _ = m.Server.Close() })
	for range 10 {
		m.QueueUser(&mockoidc.MockUser{Subject: "s-1", PreferredUsername: args[0], Email: args[0] + "@example.com", EmailVerified: true})
	}
	secret := ts.MkAbs("client-secret")
	ts.Check(os.WriteFile(secret, []byte(m.ClientSecret+"\n"), 0o600))
	serverOf(ts).providers = []server.ProviderConfig{{
		Name: "corp", Title: "Corp sign-in", Issuer: m.Issuer(), ClientID: m.ClientID, ClientSecretFile: secret,
		Directory: dormer.EmbeddedDirectory, UserClaim: "preferred_username",
	}}
}

// secretInForm moves a client's name and secret to where mockoidc reads them.
func secretInForm(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id, secret, ok := r.BasicAuth(); ok && r.ParseForm() == nil {
			id, _ = url.QueryUnescape(id)
			secret, _ = url.QueryUnescape(secret)
			r.Form.Set("client_id", id)
			r.Form.Set("client_secret", secret)
		}
		next.ServeHTTP(w, r)
	})
}
