package openid

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
)

// Test asks the issuer for its document and its keys, and shows it the client's
// secret with a refresh token that is none: whether it objects to the client or
// to the token says whether the secret is right.
func (p *Provider) Test(ctx context.Context) ([]access.Finding, error) {
	var found []access.Finding
	examine := func(setting, what string, try func() error) bool {
		began := p.config.Now()
		err := try()
		f := access.Finding{Setting: setting, What: what, Took: max(0, p.config.Now().Sub(began).Round(time.Millisecond))}
		if err != nil {
			f.Problem = err.Error()
		}
		found = append(found, f)
		return err == nil
	}
	var i *issuer
	if !examine("issuer", p.config.Issuer+": discovery document", func() (err error) {
		i, err = p.discover(ctx)
		return err
	}) {
		return found, ctx.Err()
	}
	examine("issuer", i.KeysURL+": keys", func() error {
		// A token that nobody signed makes the library read the keys.
		keys := &watched{KeySet: oidc.NewRemoteKeySet(oidc.ClientContext(ctx, p.http), i.KeysURL)}
		const unsigned = "eyJhbGciOiJSUzI1NiJ9.e30.AAAA" // {"alg":"RS256"}.{}
		if _, err := keys.VerifySignature(ctx, unsigned); err == nil {
			return errors.New("a token that nobody signed is taken for one that it signed")
		}
		if keys.away != nil {
			return p.unavailable(ctx, keys.away)
		}
		return nil
	})
	examine("client_secret_file", i.TokenURL+": client "+p.config.ClientID, func() error {
		err := p.post(ctx, i, i.TokenURL, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"this-is-only-a-test"}}, &tokens{})
		if refused(err) != "" && errors.Is(err, dormer.ErrUnavailable) || refused(err) == "" && err != nil {
			return err
		}
		return nil
	})
	return found, ctx.Err()
}
