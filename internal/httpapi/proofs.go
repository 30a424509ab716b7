package httpapi

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// signInKerberos is the only route that takes Negotiate. A browser answers that
// challenge by itself, so that requests of other sites are refused before it is
// made: they would act for whoever sits there.
func (a *API) signInKerberos(c *call) error {
	if err := http.NewCrossOriginProtection().Check(c.r); err != nil {
		return fmt.Errorf("this is not taken from other sites: %w", dormer.ErrDenied)
	}
	scheme, encoded, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Negotiate") {
		if !a.Access.Methods().Kerberos {
			return fmt.Errorf("sign in with a Kerberos ticket: %w", dormer.ErrUnsupported)
		}
		return fmt.Errorf("no ticket: %w", dormer.ErrUnauthenticated) // a challenge, nobody was refused
	}
	// Clients that negotiate may leave the body out until they know that their
	// ticket is wanted.
	body, err := c.readBody()
	if err != nil {
		return err
	}
	var f rest.For
	if len(body) > 0 {
		if err := decodeStrict(body, &f); err != nil {
			return err
		}
	}
	token, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		token = nil // which is refused as every token that is none
	}
	p, reply, err := a.Access.SignInTicket(c.ctx(), token, c.remote)
	if err != nil {
		return a.refused(c, p, err)
	}
	answer, err := a.proved(c, p, f)
	if err != nil {
		return err
	}
	if len(reply) > 0 {
		c.w.Header().Set("WWW-Authenticate", "Negotiate "+base64.StdEncoding.EncodeToString(reply))
	}
	return c.json(c.route.status, answer)
}

// proved answers somebody who proved who they are: with a session of the
// operator, or with a one-time code for a client.
func (a *API) proved(c *call, p dormer.Principal, f rest.For) (rest.ProofAnswer, error) {
	if f.Client == "" {
		s, err := a.openSession(c, p)
		return rest.ProofAnswer{SignedIn: s}, err
	}
	one, err := a.Enrolment.Client(c.ctx(), f.Client)
	if err == nil && one.Revoked != nil || errors.Is(err, dormer.ErrNotFound) {
		return rest.ProofAnswer{}, a.refused(c, p, fmt.Errorf("the code would be for a client that is not enrolled or was revoked: %w", dormer.ErrDenied))
	}
	if err != nil {
		return rest.ProofAnswer{}, err
	}
	code, err := a.Access.MakeCode(p, one.ID)
	if err != nil {
		return rest.ProofAnswer{}, err
	}
	c.caller.User = p
	answer := rest.ProofAnswer{SignedIn: rest.SignedIn{Expires: code.Expires, Principal: p}, Code: &code}
	return answer, c.audit("session.code", named(one.Host.Name, string(one.ID)), string(c.route.proof))
}

func (a *API) beginOpenID(c *call, in rest.BeginOpenID) (rest.OpenIDBegun, error) {
	url, err := a.Access.BeginOpenID(c.ctx(), in.Provider, access.Authorization{
		RedirectURI: in.RedirectURI, State: in.State, Nonce: in.Nonce, Challenge: in.Challenge,
	})
	return rest.OpenIDBegun{URL: url}, err
}

func (a *API) signInOpenID(c *call, in rest.FinishOpenID) (rest.ProofAnswer, error) {
	p, err := a.Access.SignInOpenID(c.ctx(), in.Provider, access.Authorization{RedirectURI: in.RedirectURI, Nonce: in.Nonce}, in.Code, in.Verifier, c.remote)
	if err != nil {
		return rest.ProofAnswer{}, a.refused(c, p, err)
	}
	return a.proved(c, p, in.For)
}

func (a *API) beginDevice(c *call, in rest.BeginDevice) (rest.DeviceBegun, error) {
	g, err := a.Access.BeginDevice(c.ctx(), in.Provider, c.remote)
	if err != nil {
		return rest.DeviceBegun{}, err
	}
	return rest.DeviceBegun{
		DeviceCode: g.DeviceCode, UserCode: g.UserCode, VerificationURI: g.VerificationURI, Complete: g.VerificationURIComplete,
		Expires: g.Expires, IntervalSeconds: int(g.Interval.Seconds()),
	}, nil
}

func (a *API) signInDevice(c *call, in rest.PollDevice) (rest.ProofAnswer, error) {
	p, err := a.Access.SignInDevice(c.ctx(), in.Provider, in.DeviceCode, c.remote)
	if err != nil {
		return rest.ProofAnswer{}, a.refused(c, p, err)
	}
	return a.proved(c, p, in.For)
}
