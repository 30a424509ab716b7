package openid

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

const (
	// rediscover is after how long the issuer's document is read again: its
	// endpoints may move.
	rediscover = time.Hour
	// retry is how long to wait after an attempt that failed: nobody waits for
	// an issuer that hangs more often than that.
	retry = 5 * time.Second
	// retryKnown is the same where an older document is good enough.
	retryKnown = time.Minute
)

// algorithms are the signatures that count. HMAC would make the client's secret
// a key, and "none" is none.
func algorithms() []string {
	return []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA}
}

// issuer is what the discovery document says.
type issuer struct {
	AuthURL          string   `json:"authorization_endpoint"`
	TokenURL         string   `json:"token_endpoint"`
	DeviceURL        string   `json:"device_authorization_endpoint"`
	KeysURL          string   `json:"jwks_uri"`
	Algorithms       []string `json:"id_token_signing_alg_values_supported"`
	ChallengeMethods []string `json:"code_challenge_methods_supported"`
	Scopes           []string `json:"scopes_supported"`
	SecretMethods    []string `json:"token_endpoint_auth_methods_supported"`

	secretInForm bool
	keys         oidc.KeySet
	read         time.Time
}

// current returns what can be used without asking the issuer.
func (p *Provider) current() (*issuer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.config.Now()
	switch {
	case p.known != nil && now.Sub(p.known.read) < rediscover, p.known != nil && now.Sub(p.tried) < retryKnown:
		return p.known, nil
	case p.known == nil && p.problem != nil && now.Sub(p.tried) < retry:
		return nil, p.problem
	default:
		return nil, nil
	}
}

// issuer returns what the issuer says of itself. It is asked when that was not
// known or is old; an older answer counts while it is away.
func (p *Provider) issuer(ctx context.Context) (*issuer, error) {
	if i, err := p.current(); i != nil || err != nil {
		return i, err
	}
	select {
	case p.discovering <- struct{}{}:
		defer func() { <-p.discovering }()
	case <-ctx.Done():
		return nil, p.unavailable(ctx, ctx.Err())
	}
	if i, err := p.current(); i != nil || err != nil {
		return i, err
	}
	found, err := p.discover(ctx)
	if err != nil && ctx.Err() != nil {
		return nil, err // says nothing about the issuer
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tried, p.problem = p.config.Now(), err
	switch {
	case err == nil:
		if p.known != nil && p.known.KeysURL == found.KeysURL {
			found.keys = p.known.keys
		}
		p.known = found
	case p.known != nil:
		p.config.Logger.Warn("an OpenID provider does not answer; what it said before counts",
			slog.String("provider", p.config.Name), slog.Any("error", err))
	}
	if p.known == nil {
		return nil, err
	}
	return p.known, nil
}

// discover reads the issuer's document.
func (p *Provider) discover(ctx context.Context) (*issuer, error) {
	document, err := oidc.NewProvider(oidc.ClientContext(ctx, p.http), p.config.Issuer)
	if err != nil {
		if _, ok := errors.AsType[*oidc.IssuerMismatchError](err); !ok && errors.Unwrap(err) == nil {
			err = errors.New("its discovery document is not one") // the library's error may have all of it in it
		}
		return nil, p.unavailable(ctx, err)
	}
	i := &issuer{read: p.config.Now()}
	if err := document.Claims(i); err != nil {
		return nil, p.unavailable(ctx, errors.New("its discovery document is not one"))
	}
	own, err := url.Parse(p.config.Issuer)
	if err != nil {
		return nil, p.unavailable(ctx, err)
	}
	for what, address := range map[string]string{
		"authorization_endpoint": i.AuthURL, "token_endpoint": i.TokenURL, "jwks_uri": i.KeysURL, "device_authorization_endpoint": i.DeviceURL,
	} {
		if address == "" && what == "device_authorization_endpoint" {
			continue
		}
		if u, err := url.Parse(address); err != nil || !trustworthy(u) || own.Scheme == "https" && u.Scheme != "https" {
			return nil, p.unavailable(ctx, fmt.Errorf("its discovery document has no usable %s", what))
		}
	}
	offered := i.Algorithms
	i.Algorithms = slices.DeleteFunc(algorithms(), func(a string) bool { return !slices.Contains(offered, a) })
	if len(offered) == 0 {
		i.Algorithms = []string{oidc.RS256} // which all must have
	}
	if len(i.Algorithms) == 0 {
		return nil, p.unavailable(ctx, errors.New("it signs ID tokens by no algorithm that counts"))
	}
	// Basic is how RFC 6749 would have it, but the two sides often disagree on
	// how a secret is escaped in it; a form has no such doubt.
	i.secretInForm = slices.Contains(i.SecretMethods, "client_secret_post")
	fetch := &http.Client{Timeout: p.http.Timeout, CheckRedirect: p.http.CheckRedirect, Transport: metered{p.http.Transport, p.keyGets, p.config.Now}}
	i.keys = oidc.NewRemoteKeySet(oidc.ClientContext(context.WithoutCancel(ctx), fetch), i.KeysURL)
	return i, nil
}

// scopes are what is asked for.
func (p *Provider) scopes(i *issuer) []string {
	if p.config.Scopes != nil {
		return append([]string{oidc.ScopeOpenID}, slices.DeleteFunc(slices.Clone(p.config.Scopes), func(s string) bool { return s == oidc.ScopeOpenID })...)
	}
	wanted := []string{oidc.ScopeProfile, oidc.ScopeEmail}
	if p.directory != nil {
		wanted = append(wanted, "groups", oidc.ScopeOfflineAccess)
	}
	scopes := []string{oidc.ScopeOpenID}
	for _, s := range wanted {
		// Who lists none has at least those of the standard; "groups" is none.
		if slices.Contains(i.Scopes, s) || len(i.Scopes) == 0 && s != "groups" {
			scopes = append(scopes, s)
		}
	}
	return scopes
}
