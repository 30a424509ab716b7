package openid

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oauth2-proxy/mockoidc"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/problem"
)

func TestRedeem(t *testing.T) {
	i := startIssuer(t, "", nil)
	p := open(t, i.config(t))
	a := newAttempt()
	i.QueueUser(alice(nil))
	address, err := p.Begin(t.Context(), a.Authorization)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"response_type": "code", "client_id": i.ClientID, "redirect_uri": redirectURI, "state": a.State, "nonce": a.Nonce,
		"code_challenge": a.Challenge, "code_challenge_method": "S256", "scope": "openid profile email groups",
	} {
		if got := u.Query().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	code := browse(t, p, a)
	who, err := p.Redeem(t.Context(), a.Authorization, code, a.verifier)
	if err != nil {
		t.Fatal(err)
	}
	if want := (dormer.Principal{Directory: "corp-login", Kind: dormer.KindUser, Key: i.Issuer() + "|a-1", Name: "alice"}); who != want {
		t.Errorf("signed in %+v, want %+v", who, want)
	}
	_, err = p.Redeem(t.Context(), a.Authorization, code, a.verifier)
	refuses(t, err, "does not take the code: it answers invalid_grant")

	b := newAttempt()
	code = browse(t, p, b)
	_, err = p.Redeem(t.Context(), b.Authorization, code, a.verifier)
	refuses(t, err, "not that of the challenge")
	withoutChallenge := b.Authorization
	withoutChallenge.Challenge = "" // then the provider finds out
	_, err = p.Redeem(t.Context(), withoutChallenge, code, a.verifier)
	refuses(t, err, "invalid_grant")
}

// TestBegin: what a caller may not ask for.
func TestBegin(t *testing.T) {
	i := startIssuer(t, "", nil)
	p := open(t, i.config(t))
	for name, spoil := range map[string]func(*attempt){
		"redirect_uri":   func(a *attempt) { a.RedirectURI = "https://elsewhere.example.com/" },
		"state":          func(a *attempt) { a.State = "short" },
		"nonce":          func(a *attempt) { a.Nonce = "" },
		"code_challenge": func(a *attempt) { a.Challenge = a.verifier },
	} {
		a := newAttempt()
		spoil(&a)
		_, err := p.Begin(t.Context(), a.Authorization)
		if invalid, ok := errors.AsType[*dormer.InvalidError](err); !ok || invalid.Fields[0].Path != name {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := p.Redeem(t.Context(), a.Authorization, "code", "short"); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("redeem, %s: %v", name, err)
		}
	}
	a := newAttempt()
	for _, code := range []string{"", strings.Repeat("x", maxCode+1)} {
		_, err := p.Redeem(t.Context(), a.Authorization, code, a.verifier)
		refuses(t, err, "the code is not one")
	}
	if _, err := p.BeginDevice(t.Context()); !errors.Is(err, dormer.ErrUnsupported) {
		t.Errorf("device: %v", err)
	}
	if p.Info().Device {
		t.Error("the provider still says that it has sign-in by another device")
	}
}

// TestIssuerAway: a provider that is away at start is one later.
func TestIssuerAway(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	later := &clock{}
	c := Config{
		Name: "corp-login", Issuer: "http://" + address + mockoidc.IssuerBase, ClientID: "dormer", Directory: "corp",
		Lookup: func(_ context.Context, claim string) (dormer.Principal, error) {
			return dormer.Principal{Directory: "corp", Kind: dormer.KindUser, Key: "S-1-" + claim, Name: claim}, nil
		},
		UserClaim: "preferred_username", Now: later.now, Random: rand.Reader,
	}
	p := open(t, c)
	if p.Directory() != nil {
		t.Error("a provider for another directory is a directory")
	}
	if !p.Info().Device || p.Info().Title != "corp-login" {
		t.Errorf("before it was reached: %+v", p.Info())
	}
	a := newAttempt()
	_, err = p.Begin(t.Context(), a.Authorization)
	if !errors.Is(err, dormer.ErrUnavailable) || !strings.Contains(err.Error(), "setting issuer") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("while it is away: %v", err)
	}
	if said := problem.Of(err); said.Status != http.StatusServiceUnavailable || said.Detail != "provider corp-login does not answer now; try again later" {
		t.Errorf("who wants to sign in is told: %+v", said)
	}
	i := startIssuer(t, address, nil)
	if _, err := p.Begin(t.Context(), a.Authorization); !errors.Is(err, dormer.ErrUnavailable) || i.requests(mockoidc.DiscoveryEndpoint) != 0 {
		t.Errorf("asked again at once: %v", err)
	}
	i.clock = later
	i.forward(retry)
	i.ClientID = "dormer"
	if _, err := p.Begin(t.Context(), a.Authorization); err != nil {
		t.Fatal(err)
	}

	// A public client has no secret; this provider wants one.
	i.QueueUser(alice(nil))
	_, err = p.Redeem(t.Context(), a.Authorization, browse(t, p, a), a.verifier)
	refuses(t, err, "invalid_request")

	// What it said before counts while it is away again, and is read anew later.
	i.set(func() { i.fail[mockoidc.DiscoveryEndpoint] = status(http.StatusServiceUnavailable) })
	p.config.Logger = i.config(t).Logger
	i.forward(rediscover)
	for range 3 {
		if _, err := p.Begin(t.Context(), a.Authorization); err != nil {
			t.Fatal(err)
		}
	}
	if n := i.requests(mockoidc.DiscoveryEndpoint); n != 2 {
		t.Errorf("the document was asked for %d times, want 2", n)
	}
	i.set(func() { delete(i.fail, mockoidc.DiscoveryEndpoint) })
	i.forward(retryKnown)
	if _, err := p.Begin(t.Context(), a.Authorization); err != nil || i.requests(mockoidc.DiscoveryEndpoint) != 3 {
		t.Errorf("%v, %d requests", err, i.requests(mockoidc.DiscoveryEndpoint))
	}
}

// TestDiscovery: documents that are not believed.
func TestDiscovery(t *testing.T) {
	i := startIssuer(t, "", nil)
	answer := func(document string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(document))
		}
	}
	rest := `"authorization_endpoint":"` + i.AuthorizationEndpoint() + `","token_endpoint":"` + i.TokenEndpoint() + `","jwks_uri":"` + i.JWKSEndpoint() + `"`
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		cause  string
	}{
		"another issuer": {answer(`{"issuer":"https://elsewhere.example.com",` + rest + `}`), "did not match"},
		"no document":    {answer(`<html>SECRET</html>`), "not one"},
		"no endpoints":   {answer(`{"issuer":"` + i.Issuer() + `"}`), "no usable"},
		"plain endpoint": {answer(`{"issuer":"` + i.Issuer() + `",` + rest + `,"device_authorization_endpoint":"http://elsewhere.example.com/"}`), "device_authorization_endpoint"},
		"only HMAC":      {answer(`{"issuer":"` + i.Issuer() + `",` + rest + `,"id_token_signing_alg_values_supported":["HS256","none"]}`), "no algorithm"},
		"too long":       {answer(`{"issuer":"` + strings.Repeat("x", maxAnswer) + `"}`), "not one"},
		"404":            {status(http.StatusNotFound), "404"},
		"redirect": {func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://127.0.0.2:1/")
			w.WriteHeader(http.StatusFound)
		}, "redirects to another"},
		"redirects on it": {func(w http.ResponseWriter) {
			w.Header().Set("Location", i.DiscoveryEndpoint())
			w.WriteHeader(http.StatusFound)
		}, "redirects to another"},
	} {
		i.set(func() { i.fail[mockoidc.DiscoveryEndpoint] = c.answer })
		p := open(t, i.config(t))
		_, err := p.Begin(t.Context(), newAttempt().Authorization)
		if !errors.Is(err, dormer.ErrUnavailable) || !strings.Contains(err.Error(), c.cause) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", name, err)
		}
	}
	i.set(func() {
		i.fail[mockoidc.DiscoveryEndpoint] = answer(`{"issuer":"` + i.Issuer() + `",` + rest + `,"code_challenge_methods_supported":["plain"]}`)
	})
	if _, err := open(t, i.config(t)).Begin(t.Context(), newAttempt().Authorization); !errors.Is(err, dormer.ErrUnsupported) {
		t.Errorf("without PKCE: %v", err)
	}
}

// TestClientRefused: a wrong secret is the administrator's business, not the
// user's.
func TestClientRefused(t *testing.T) {
	i := startIssuer(t, "", nil)
	c := i.config(t)
	const secret = "a secret that is wrong"
	c.Secret = func() (string, error) { return secret, nil }
	p := open(t, c)
	_, err := i.signIn(t, p, alice(nil))
	if !errors.Is(err, dormer.ErrUnavailable) || !strings.Contains(err.Error(), "client_secret_file") || strings.Contains(err.Error(), secret) {
		t.Errorf("wrong secret: %v", err)
	}
	c.Secret = func() (string, error) {
		return "", fmt.Errorf("others can read /etc/dormer/secret: %w", dormer.ErrInvalid)
	}
	p = open(t, c)
	_, err = i.signIn(t, p, alice(nil))
	if !errors.Is(err, dormer.ErrUnavailable) || errors.Is(err, dormer.ErrInvalid) || !strings.Contains(err.Error(), "/etc/dormer/secret") {
		t.Errorf("no secret: %v", err)
	}
	if away, ok := errors.AsType[*awayError](err); ok {
		t.Errorf("nobody asked it, but it is said that %s does not answer", away.Away())
	}
	// Where the provider does not say that the secret may be in the form, it is in
	// the header.
	i.ClientSecret = "a b+c:ä%"
	c.Secret, c.Scopes = func() (string, error) { return i.ClientSecret, nil }, []string{"profile"}
	i.set(func() {
		i.fail[mockoidc.DiscoveryEndpoint] = func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"issuer":"` + i.Issuer() + `","authorization_endpoint":"` + i.AuthorizationEndpoint() + `","token_endpoint":"` + i.TokenEndpoint() + `","jwks_uri":"` + i.JWKSEndpoint() + `"}`))
		}
	})
	p = open(t, c)
	i.mustSignIn(t, p, alice(nil))
	if p.known.secretInForm {
		t.Error("the secret was in the form")
	}
}

// TestAnotherDirectory: a provider that authenticates for a directory.
func TestAnotherDirectory(t *testing.T) {
	i := startIssuer(t, "", nil)
	c := i.config(t)
	c.Directory, c.Store, c.Key, c.UserClaim = "corp", nil, nil, "onprem.sid"
	who := dormer.Principal{Directory: "corp", Kind: dormer.KindUser, Key: "S-1-5-21-1", Name: "alice"}
	var problem error
	answer := who
	c.Lookup = func(_ context.Context, claim string) (dormer.Principal, error) {
		if claim != "S-1-5-21-1" && claim != "alice@example.com" {
			return dormer.Principal{}, dormer.ErrNotFound
		}
		return answer, problem
	}
	p := open(t, c)
	sid := func(s any) *testUser { return alice(map[string]any{"onprem": map[string]any{"sid": s}}) }
	if got := i.mustSignIn(t, p, sid("S-1-5-21-1")); got != who {
		t.Errorf("signed in %+v", got)
	}
	_, err := i.signIn(t, p, sid("S-1-5-21-2"))
	refuses(t, err, `directory corp has no user for the claim onprem.sid "S-1-5-21-2"`)
	_, err = i.signIn(t, p, sid(nil))
	refuses(t, err, "no claim onprem.sid")
	_, err = i.signIn(t, p, sid([]string{"S-1-5-21-1"}))
	refuses(t, err, "is no text")
	answer.Directory = "other"
	_, err = i.signIn(t, p, sid("S-1-5-21-1"))
	refuses(t, err, "means no user of directory corp")
	answer, problem = who, dormer.ErrUnavailable
	if _, err = i.signIn(t, p, sid("S-1-5-21-1")); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("a directory that is away: %v", err)
	}

	c.UserClaim, problem = "email", nil
	p = open(t, c)
	for _, m := range []struct {
		verified any
		cause    string
	}{{true, ""}, {false, "email_verified"}, {nil, "email_verified"}, {"true", "email_verified"}} {
		_, err := i.signIn(t, p, alice(map[string]any{"email": "alice@example.com", "email_verified": m.verified}))
		if m.cause != "" {
			refuses(t, err, m.cause)
		} else if err != nil {
			t.Error(err)
		}
	}
	if _, err := p.Begin(t.Context(), newAttempt().Authorization); err != nil {
		t.Error(err)
	}
}

// TestAuthority: a provider with a certificate of an authority of its own.
func TestAuthority(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}, &x509.Certificate{SerialNumber: big.NewInt(1)}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	i := startIssuer(t, "", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12})
	c := i.config(t)
	if _, err := open(t, c).Begin(t.Context(), newAttempt().Authorization); !errors.Is(err, dormer.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("unknown authority: %v", err)
	}
	c.Authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	i.mustSignIn(t, open(t, c), alice(nil))

	i.clock.ahead = 2 * time.Hour
	if _, err := open(t, c).Begin(t.Context(), newAttempt().Authorization); !errors.Is(err, dormer.ErrUnavailable) || !strings.Contains(err.Error(), "expired") {
		t.Errorf("expired certificate: %v", err)
	}
}

// TestHangs: nobody waits for a provider longer than they want to.
func TestHangs(t *testing.T) {
	i := startIssuer(t, "", nil)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	i.set(func() { i.fail[mockoidc.DiscoveryEndpoint] = func(http.ResponseWriter) { <-release } })
	p := open(t, i.config(t))
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := p.Begin(ctx, newAttempt().Authorization)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	}
	if p.problem != nil {
		t.Errorf("that a caller left counts against the provider: %v", p.problem)
	}
}

// TestExamined: what the test of a provider finds.
func TestExamined(t *testing.T) {
	i := startIssuer(t, "", nil)
	c := i.config(t)
	problems := func(p *Provider) []string {
		found, err := p.Test(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, f := range found {
			if f.Setting == "" || f.What == "" {
				t.Errorf("finding %+v", f)
			}
			if f.Problem != "" {
				out = append(out, f.Setting+": "+f.Problem)
			}
		}
		return out
	}
	i.set(func() {
		// It objects to the token with a code of its own.
		i.alter = func(_ url.Values, answer map[string]any) {
			if answer["error"] == "invalid_request" {
				answer["error"] = "invalid_grant"
			}
		}
	})
	if got := problems(open(t, c)); len(got) != 0 {
		t.Errorf("a good provider: %q", got)
	}
	c.Secret = func() (string, error) { return "wrong", nil }
	if got := problems(open(t, c)); len(got) != 1 || !strings.HasPrefix(got[0], "client_secret_file: ") || !strings.Contains(got[0], "invalid_client") {
		t.Errorf("wrong secret: %q", got)
	}
	i.set(func() { i.fail[mockoidc.JWKSEndpoint] = status(http.StatusNotFound) })
	if got := problems(open(t, c)); len(got) != 2 || !strings.Contains(got[0], "404") {
		t.Errorf("no keys: %q", got)
	}
	i.set(func() { i.fail[mockoidc.DiscoveryEndpoint] = status(http.StatusNotFound) })
	if got := problems(open(t, c)); len(got) != 1 || !strings.Contains(got[0], "discovery document") && !strings.Contains(got[0], "404") {
		t.Errorf("no document: %q", got)
	}
}

func TestConfig(t *testing.T) {
	i := startIssuer(t, "", nil)
	good := i.config(t)
	for field, spoil := range map[string]func(*Config){
		"name":              func(c *Config) { c.Name = "" },
		"issuer":            func(c *Config) { c.Issuer = "http://login.example.com" },
		"client_id":         func(c *Config) { c.ClientID = "" },
		"redirect_bases[0]": func(c *Config) { c.RedirectBases = []string{"http://dormer.example.com"} },
		"authority":         func(c *Config) { c.Authority = []byte("no certificate") },
		"directory":         func(c *Config) { c.Key = c.Key[1:] },
		"user_claim":        func(c *Config) { c.UserClaim = "email" },
		"groups_claim":      func(c *Config) { c.GroupsClaim = "a.b.c.d.e.f.g.h.i.j" },
		"known_groups[1]":   func(c *Config) { c.KnownGroups = []string{"staff", "\x00"} },
		"recheck":           func(c *Config) { c.Recheck = 24 * time.Hour },
	} {
		c := good
		spoil(&c)
		_, err := New(c)
		if invalid, ok := errors.AsType[*dormer.InvalidError](err); !ok || len(invalid.Fields) != 1 || invalid.Fields[0].Path != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	local := good
	local.Name = dormer.EmbeddedDirectory
	if _, err := New(local); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("the name of the embedded directory: %v", err)
	}
}

// TestScopes: what is asked for.
func TestScopes(t *testing.T) {
	own, mapped := &Provider{directory: &directory{}}, &Provider{}
	for _, c := range []struct {
		p       *Provider
		asked   []string
		offered []string
		want    string
	}{
		{own, nil, []string{"openid", "email", "groups", "profile", "offline_access"}, "openid profile email groups offline_access"},
		{own, nil, []string{"openid", "profile"}, "openid profile"},
		{own, nil, nil, "openid profile email offline_access"},
		{mapped, nil, []string{"openid", "email", "groups", "profile", "offline_access"}, "openid profile email"},
		{own, []string{"openid", "roles"}, nil, "openid roles"},
		{own, []string{}, nil, "openid"},
	} {
		c.p.config.Scopes = c.asked
		if got := c.p.scopes(&issuer{Scopes: c.offered}); !slices.Equal(got, strings.Fields(c.want)) {
			t.Errorf("configured %q, offered %q: %q, want %q", c.asked, c.offered, got, c.want)
		}
	}
}
