package openid

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
)

const (
	// maxToken is the longest ID or access token, maxRefreshToken the longest
	// refresh token, in bytes.
	maxToken        = 256 << 10
	maxRefreshToken = 16 << 10
	// skew is how far the issuer's clock may be ahead, and maxIssued how long ago
	// an ID token may have been issued: it comes from the issuer at once, or with
	// a sign-in by another device when that is polled.
	skew      = 5 * time.Minute
	maxIssued = time.Hour
)

// tokens is an answer of the token endpoint.
type tokens struct {
	Access  string `json:"access_token"`
	ID      string `json:"id_token"`
	Refresh string `json:"refresh_token"`
}

// refuse returns an ErrUnauthenticated with a cause.
func refuse(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, dormer.ErrUnauthenticated)...)
}

// Redeem exchanges the code that a browser brought back for the user who signed
// in.
func (p *Provider) Redeem(ctx context.Context, b access.Authorization, code, verifier string) (dormer.Principal, error) {
	if err := p.checkAuthorization(b); err != nil {
		return dormer.Principal{}, err
	}
	if len(verifier) < minVerifier || len(verifier) > maxVerifier || !unreserved(verifier) {
		return dormer.Principal{}, dormer.Invalidf("code_verifier", "has %d to %d letters, digits and -._~", minVerifier, maxVerifier)
	}
	if code == "" || len(code) > maxCode {
		return dormer.Principal{}, refuse("the code is not one")
	}
	if b.Challenge != "" {
		sum := sha256.Sum256([]byte(verifier))
		if subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(b.Challenge)) != 1 {
			return dormer.Principal{}, refuse("the verifier is not that of the challenge")
		}
	}
	i, err := p.issuer(ctx)
	if err != nil {
		return dormer.Principal{}, err
	}
	var t tokens
	if err := p.post(ctx, i, i.TokenURL, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {b.RedirectURI}, "code_verifier": {verifier},
	}, &t); err != nil {
		if refused(err) != "" {
			return dormer.Principal{}, refuse("provider %s does not take the code: %w", p.config.Name, err)
		}
		return dormer.Principal{}, err
	}
	return p.signIn(ctx, i, t, &b.Nonce)
}

// signIn is the user whom tokens are about. nonce is what the ID token must
// repeat; nil where it was given none.
func (p *Provider) signIn(ctx context.Context, i *issuer, t tokens, nonce *string) (dormer.Principal, error) {
	c, err := p.verify(ctx, i, t, nonce)
	if err != nil {
		return dormer.Principal{}, err
	}
	if p.directory != nil {
		return p.directory.signIn(ctx, c, t.Refresh)
	}
	claim, err := p.userClaim(c)
	if err != nil {
		return dormer.Principal{}, err
	}
	who, err := p.config.Lookup(ctx, claim)
	switch {
	case errors.Is(err, dormer.ErrNotFound):
		return dormer.Principal{}, refuse("directory %s has no user for the claim %s %q", p.config.Directory, p.config.UserClaim, claim)
	case err != nil:
		return dormer.Principal{}, fmt.Errorf("find the user of an ID token: %w", err)
	case who.Directory != p.config.Directory || who.Kind != dormer.KindUser:
		return dormer.Principal{}, refuse("the claim %s %q means no user of directory %s", p.config.UserClaim, claim, p.config.Directory)
	}
	return who, nil
}

// watched is a key set that remembers whether it could be read and whether it
// had the key: the library reduces both to text.
type watched struct {
	oidc.KeySet
	away error // the keys could not be read
	bad  bool  // none of them signed it
}

func (w *watched) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := w.KeySet.VerifySignature(ctx, token)
	if u, ok := errors.AsType[*url.Error](err); ok {
		w.away = u
	} else if errors.Unwrap(err) != nil { // what it got, and all of that is in the error
		w.away = errors.New("its keys are not a key set")
	}
	w.bad = err != nil
	return payload, err
}

// verify checks an ID token as OpenID Connect Core 3.1.3.7 has it and returns
// its claims.
func (p *Provider) verify(ctx context.Context, i *issuer, t tokens, nonce *string) (claims, error) {
	if t.ID == "" || len(t.ID) > maxToken || len(t.Access) > maxToken {
		return nil, refuse("provider %s gave no ID token", p.config.Name)
	}
	keys := &watched{KeySet: i.keys}
	v := oidc.NewVerifier(p.config.Issuer, keys, &oidc.Config{ClientID: p.config.ClientID, SupportedSigningAlgs: i.Algorithms, Now: p.config.Now})
	id, err := v.Verify(ctx, t.ID)
	_, expired := errors.AsType[*oidc.TokenExpiredError](err)
	switch {
	case err == nil:
	case keys.away != nil || ctx.Err() != nil:
		return nil, p.unavailable(ctx, fmt.Errorf("read its keys: %w", keys.away))
	case keys.bad:
		return nil, refuse("the ID token is not signed by a key of provider %s", p.config.Name)
	case expired:
		return nil, refuse("the ID token has expired")
	default:
		return nil, refuse("the ID token does not count: %s", clip(err.Error()))
	}
	c := claims{}
	if err := id.Claims((*map[string]any)(&c)); err != nil {
		return nil, refuse("the ID token does not count: its claims are not an object")
	}
	if problem := p.checkClaims(id, c, t.Access); problem != "" {
		return nil, refuse("the ID token does not count: %s", problem)
	}
	if nonce != nil && subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(*nonce)) != 1 {
		return nil, refuse("the ID token does not count: it is of another sign-in (nonce)")
	}
	return c, nil
}

// checkClaims checks what the library leaves to its users.
func (p *Provider) checkClaims(id *oidc.IDToken, c claims, accessToken string) (problem string) {
	party, hasParty := c["azp"]
	switch sub, err := c.text("sub"); {
	case err != nil || sub == "" || len(sub) > maxSubject || sub != id.Subject:
		return "its subject is missing, too long or has control characters in it"
	case hasParty && party != p.config.ClientID:
		return "it was made for another client (azp)"
	case !hasParty && len(id.Audience) > 1:
		return "it has several audiences and no authorized party (azp)"
	case id.IssuedAt.Unix() <= 0:
		return "it does not say when it was issued (iat)"
	case id.IssuedAt.After(p.config.Now().Add(skew)):
		return "it was issued in the future (iat); compare the clocks"
	case id.IssuedAt.Before(p.config.Now().Add(-maxIssued)):
		return "it was issued too long ago (iat); compare the clocks"
	case id.AccessTokenHash != "" && id.VerifyAccessToken(accessToken) != nil:
		return "it belongs to another access token (at_hash)"
	}
	return ""
}

// clip cuts a library's text, which may repeat what a foreign token says.
func clip(s string) string {
	const most = 300
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
