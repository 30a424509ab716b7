package apiclient

import (
	"context"
	"encoding/base64"
	"net/http"

	"github.com/dormer-project/dormer/internal/wire/rest"
)

// The sign-ins below give a session, or a one-time code where they are for a
// client (rest.For). The Client itself does not take the session: make a new
// one with the token.

// SignInMethods says how people may sign in. It needs no session.
func (c *Client) SignInMethods(ctx context.Context) (rest.SignInMethods, error) {
	return ask[rest.SignInMethods](ctx, c, http.MethodGet, "/sign-in-methods", nil, nil)
}

// SignInKerberos signs in with a SPNEGO token, which counts once.
func (c *Client) SignInKerberos(ctx context.Context, token []byte, f rest.For) (rest.ProofAnswer, error) {
	return ask[rest.ProofAnswer](ctx, c, http.MethodPost, "/sessions/kerberos", nil, f,
		"Authorization", "Negotiate "+base64.StdEncoding.EncodeToString(token))
}

// BeginOpenID returns the address that the browser is sent to.
func (c *Client) BeginOpenID(ctx context.Context, b rest.BeginOpenID) (string, error) {
	r, err := ask[rest.OpenIDBegun](ctx, c, http.MethodPost, "/sessions/openid/begin", nil, b)
	return r.URL, err
}

// FinishOpenID signs in with what the browser brought back.
func (c *Client) FinishOpenID(ctx context.Context, f rest.FinishOpenID) (rest.ProofAnswer, error) {
	return ask[rest.ProofAnswer](ctx, c, http.MethodPost, "/sessions/openid", nil, f)
}

// BeginDevice begins a sign-in that the user finishes on another device.
func (c *Client) BeginDevice(ctx context.Context, provider string) (rest.DeviceBegun, error) {
	return ask[rest.DeviceBegun](ctx, c, http.MethodPost, "/sessions/device/begin", nil, rest.BeginDevice{Provider: provider})
}

// PollDevice signs in once the user has finished there. Until then it returns
// an ErrUnavailable whose ProblemKind is problem.KindPending and whose
// RetryAfter says when to ask again.
func (c *Client) PollDevice(ctx context.Context, p rest.PollDevice) (rest.ProofAnswer, error) {
	return ask[rest.ProofAnswer](ctx, c, http.MethodPost, "/sessions/device", nil, p)
}

// APITokens lists the API tokens, newest first, without their texts.
func (c *Client) APITokens(ctx context.Context) ([]rest.APIToken, error) {
	l, err := ask[rest.List[rest.APIToken]](ctx, c, http.MethodGet, "/api-tokens", nil, nil)
	return l.Items, err
}

// CreateAPIToken makes an API token for whoever asks; its text is in the answer
// and never again.
func (c *Client) CreateAPIToken(ctx context.Context, n rest.NewAPIToken) (rest.APITokenCreated, error) {
	return ask[rest.APITokenCreated](ctx, c, http.MethodPost, "/api-tokens", nil, n)
}

// RevokeAPIToken ends an API token.
func (c *Client) RevokeAPIToken(ctx context.Context, id string) error {
	_, err := ask[rest.None](ctx, c, http.MethodDelete, "/api-tokens"+segment(id), nil, nil)
	return err
}
