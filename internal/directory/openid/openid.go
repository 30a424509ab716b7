// Package openid signs people in by OpenID Connect. A Provider authenticates
// either for another directory, in which the user is looked up by a claim, or
// is a directory of its own, whose users and groups are those that ID tokens
// named. The server is the only client of the provider: tokens reach nobody
// else, and no error, log line or answer has one in it.
//
// Its words: the issuer is the provider's server; a claim is a field of an ID
// token; an account is what is remembered of a user who signed in.
//
// Package server imports it.
package openid

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/time/rate"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
)

// Defaults of a Config.
const (
	DefaultRecheck = 15 * time.Minute
	DefaultMaxAge  = 12 * time.Hour
)

// KeySize is the size of Config.Key, in bytes.
const KeySize = 32

// Config says how a provider is reached and what its claims mean.
type Config struct {
	// Name is the provider's name, and of the directory if it is one.
	Name string
	// Title is what people call it; empty: Name.
	Title string
	// Issuer is its address, as ID tokens have it: https, or http on a loopback
	// address.
	Issuer string
	// ClientID is what the provider calls this server.
	ClientID string
	// Secret reads the client's secret each time that it is needed; nil: the
	// server is a public client.
	Secret func() (string, error)
	// Scopes are asked for beside openid. Nil: those of profile, email, groups
	// and offline_access that make sense and that the provider says it has.
	Scopes []string
	// RedirectBases are the addresses (https) below which a browser may be sent
	// back, beside loopback addresses.
	RedirectBases []string
	// Authority are certificates (PEM) that sign the issuer's; none: the
	// system's.
	Authority []byte

	// UserClaim says who somebody is: the claim that is looked up in Directory;
	// "sub" when empty. An "email" counts only with email_verified.
	UserClaim string
	// NameClaim is the account name; empty: preferred_username, else email, else
	// sub.
	NameClaim string
	// DisplayClaim is the name for people; "name" when empty.
	DisplayClaim string
	// GroupsClaim has the groups, a text or a list; "groups" when empty. A dot
	// goes into an object: realm_access.roles.
	GroupsClaim string

	// Directory names the directory that the provider authenticates for; then
	// Lookup finds the user there whom a value of UserClaim means, else
	// ErrNotFound. Empty: the provider is a directory of its own.
	Directory string
	Lookup    func(ctx context.Context, claim string) (dormer.Principal, error)

	// KnownGroups are groups that can be granted to before anybody in them
	// signed in. This and what follows is for a directory of its own.
	KnownGroups []string
	// Store keeps the accounts.
	Store access.FederatedStore
	// Once keeps two replicas from using the same refresh token; nil: there are
	// none.
	Once access.OnceStore
	// Key encrypts refresh tokens: KeySize bytes, the same on all replicas.
	Key []byte
	// Recheck is after how long the provider is asked again whether an account is
	// good and what groups it has; MaxAge is for how long the last answer counts
	// where it cannot be asked. 0: the defaults.
	Recheck, MaxAge time.Duration

	Now    func() time.Time
	Random io.Reader
	Logger *slog.Logger
}

// withDefaults fills in what may be left out.
func (c Config) withDefaults() Config {
	set := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	set(&c.Title, c.Name)
	set(&c.UserClaim, "sub")
	set(&c.DisplayClaim, "name")
	set(&c.GroupsClaim, "groups")
	if c.Recheck == 0 {
		c.Recheck = DefaultRecheck
	}
	if c.MaxAge == 0 {
		c.MaxAge = DefaultMaxAge
	}
	return c
}

// check finds what is wrong, by the names of the settings of [[providers]].
func (c *Config) check() error {
	var wrong []dormer.FieldError
	refuse := func(field, message string) {
		wrong = append(wrong, dormer.FieldError{Path: field, Message: message})
	}
	if c.Name == "" {
		refuse("name", "is missing")
	}
	if issuer, err := url.Parse(c.Issuer); err != nil || !trustworthy(issuer) || issuer.RawQuery != "" || issuer.Fragment != "" {
		refuse("issuer", "is an https address without query, as https://login.example.com (http only on a loopback address)")
	}
	if c.ClientID == "" {
		refuse("client_id", "is missing")
	}
	for i, base := range c.RedirectBases {
		if u, err := url.Parse(base); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			refuse(fmt.Sprintf("redirect_bases[%d]", i), "is an https address without query")
		}
	}
	if len(c.Authority) > 0 && !x509.NewCertPool().AppendCertsFromPEM(c.Authority) {
		refuse("authority", "has no certificate in PEM form in it")
	}
	for field, claim := range map[string]string{"user_claim": c.UserClaim, "name_claim": c.NameClaim, "display_claim": c.DisplayClaim, "groups_claim": c.GroupsClaim} {
		if len(claim) > maxClaimPath || strings.Count(claim, ".") > maxClaimDots {
			refuse(field, "is not the name of a claim")
		}
	}
	switch {
	case c.Directory != "" && c.Lookup == nil:
		refuse("directory", "there is no such directory")
	case c.Directory == "" && (c.Store == nil || len(c.Key) != KeySize):
		refuse("directory", "is missing: nothing keeps the accounts of a directory of its own")
	case c.Directory == "" && c.Name == dormer.EmbeddedDirectory:
		refuse("name", "is that of the embedded directory")
	case c.Directory == "" && c.UserClaim != "sub":
		refuse("user_claim", "is for a provider that authenticates for another directory; one of its own knows users by sub")
	}
	for i, g := range c.KnownGroups {
		if problem := badName(g); problem != "" || g == "" {
			refuse(fmt.Sprintf("known_groups[%d]", i), "is empty, too long or has control characters in it")
		}
	}
	if c.Recheck < 0 || c.MaxAge < 0 || c.Recheck > c.MaxAge {
		refuse("recheck", "is longer than max_age, or negative")
	}
	if len(wrong) > 0 {
		slices.SortFunc(wrong, func(a, b dormer.FieldError) int { return strings.Compare(a.Path, b.Path) })
		return &dormer.InvalidError{Fields: wrong}
	}
	return nil
}

// Provider is an OpenID Connect provider. It implements access.Provider and
// access.Tester. Its methods may be called concurrently.
type Provider struct {
	config  Config
	http    *http.Client
	keyGets *rate.Limiter // bounds how often keys are fetched

	discovering chan struct{} // held by who asks the issuer for its document
	mu          sync.Mutex    // guards what follows
	known       *issuer       // nil until the issuer was reached
	problem     error         // why it was not, the last time
	tried       time.Time

	directory *directory // nil: authenticates for another one
}

var (
	_ access.Provider = (*Provider)(nil)
	_ access.Tester   = (*Provider)(nil)
)

// New checks the configuration. The issuer is asked when it is first needed.
func New(c Config) (*Provider, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("provider %q: %w", c.Name, err)
	}
	p := &Provider{
		config: c, http: newClient(c.Authority, c.Now), discovering: make(chan struct{}, 1),
		keyGets: rate.NewLimiter(rate.Every(6*time.Second), 10),
	}
	if c.Directory == "" {
		d, err := newDirectory(p)
		if err != nil {
			return nil, err
		}
		p.directory = d
	}
	return p, nil
}

// Directory returns the directory that the provider is, or nil when it
// authenticates for another one.
func (p *Provider) Directory() access.Directory {
	if p.directory == nil {
		return nil
	}
	return p.directory
}

// Info says what the provider is called. Until the issuer was first reached it
// says that sign-in by another device is possible; BeginDevice knows.
func (p *Provider) Info() access.ProviderInfo {
	p.mu.Lock()
	defer p.mu.Unlock()
	return access.ProviderInfo{Name: p.config.Name, Title: p.config.Title, Device: p.known == nil || p.known.DeviceURL != ""}
}

// Limits of what callers send.
const (
	minRandom, maxRandom     = 16, 512 // characters of state and nonce
	challengeSize            = 43      // characters: SHA-256 in base64url
	minVerifier, maxVerifier = 43, 128 // characters, of RFC 7636
	maxCode                  = 8 << 10 // bytes
)

// checkAuthorization says which field of b is wrong.
func (p *Provider) checkAuthorization(b access.Authorization) error {
	if err := checkRedirect(b.RedirectURI, p.config.RedirectBases); err != nil {
		return err
	}
	if len(b.Nonce) < minRandom || len(b.Nonce) > maxRandom || !unreserved(b.Nonce) {
		return dormer.Invalidf("nonce", "has %d to %d letters, digits and -._~", minRandom, maxRandom)
	}
	return nil
}

// Begin returns the address that a browser is sent to.
func (p *Provider) Begin(ctx context.Context, b access.Authorization) (string, error) {
	if err := p.checkAuthorization(b); err != nil {
		return "", err
	}
	if len(b.State) < minRandom || len(b.State) > maxRandom || !unreserved(b.State) {
		return "", dormer.Invalidf("state", "has %d to %d letters, digits and -._~", minRandom, maxRandom)
	}
	if raw, err := base64.RawURLEncoding.DecodeString(b.Challenge); err != nil || len(raw) != 32 || len(b.Challenge) != challengeSize {
		return "", dormer.Invalidf("code_challenge", "is the SHA-256 of the verifier in base64url (S256 of RFC 7636)")
	}
	i, err := p.issuer(ctx)
	if err != nil {
		return "", err
	}
	if len(i.ChallengeMethods) > 0 && !slices.Contains(i.ChallengeMethods, "S256") {
		return "", fmt.Errorf("provider %s does not offer PKCE with S256: %w", p.config.Name, dormer.ErrUnsupported)
	}
	c := oauth2.Config{ClientID: p.config.ClientID, RedirectURL: b.RedirectURI, Scopes: p.scopes(i), Endpoint: oauth2.Endpoint{AuthURL: i.AuthURL}}
	return c.AuthCodeURL(b.State, oauth2.SetAuthURLParam("nonce", b.Nonce),
		oauth2.SetAuthURLParam("code_challenge", b.Challenge), oauth2.SetAuthURLParam("code_challenge_method", "S256")), nil
}

// unreserved reports whether s has only characters that need no escape in an
// address.
func unreserved(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("-._~", r)
	})
}
