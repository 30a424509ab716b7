package apiclient

import (
	"context"
	"net/http"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// JoinTokens lists the join tokens.
func (c *Client) JoinTokens(ctx context.Context) ([]rest.JoinToken, error) {
	l, err := ask[rest.List[rest.JoinToken]](ctx, c, http.MethodGet, "/join-tokens", nil, nil)
	return l.Items, err
}

// CreateJoinToken makes a join token; its text is in the answer alone.
func (c *Client) CreateJoinToken(ctx context.Context, t rest.NewJoinToken) (rest.JoinTokenCreated, error) {
	return ask[rest.JoinTokenCreated](ctx, c, http.MethodPost, "/join-tokens", nil, t)
}

// RevokeJoinToken makes a join token useless.
func (c *Client) RevokeJoinToken(ctx context.Context, id string) error {
	_, err := ask[rest.None](ctx, c, http.MethodDelete, "/join-tokens"+segment(id), nil, nil)
	return err
}

// Clients lists the clients by the names of their hosts.
func (c *Client) Clients(ctx context.Context) ([]rest.Client, error) {
	l, err := ask[rest.List[rest.Client]](ctx, c, http.MethodGet, "/clients", nil, nil)
	return l.Items, err
}

// Client returns one client.
func (c *Client) Client(ctx context.Context, id dormer.ClientID) (rest.Client, error) {
	return ask[rest.Client](ctx, c, http.MethodGet, "/clients"+segment(string(id)), nil, nil)
}

// RevokeClient ends a client for good.
func (c *Client) RevokeClient(ctx context.Context, id dormer.ClientID) error {
	_, err := ask[rest.None](ctx, c, http.MethodPost, "/clients"+segment(string(id))+"/revoke", nil, nil)
	return err
}

// Order makes a client do something at its next poll.
func (c *Client) Order(ctx context.Context, id dormer.ClientID, o rest.NewOrder) (rest.Order, error) {
	return ask[rest.Order](ctx, c, http.MethodPost, "/clients"+segment(string(id))+"/orders", nil, o)
}

// Machines lists the machines of the instance.
func (c *Client) Machines(ctx context.Context) ([]rest.Machine, error) {
	l, err := ask[rest.List[rest.Machine]](ctx, c, http.MethodGet, "/machines", nil, nil)
	return l.Items, err
}

// Deletions lists the machines that their policies want deleted, and that wait.
func (c *Client) Deletions(ctx context.Context) ([]rest.Deletion, error) {
	l, err := ask[rest.List[rest.Deletion]](ctx, c, http.MethodGet, "/deletions", nil, nil)
	return l.Items, err
}

// ConfirmDeletions lets the deletions go on that are halted; ErrConflict when
// there are others than count.
func (c *Client) ConfirmDeletions(ctx context.Context, count int) error {
	_, err := ask[rest.None](ctx, c, http.MethodPost, "/deletions/confirm", nil, rest.ConfirmDeletions{Count: count})
	return err
}
