package apiclient

import (
	"context"
	"net/http"

	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Secrets lists the secrets of the server by name.
func (c *Client) Secrets(ctx context.Context) ([]rest.Secret, error) {
	l, err := ask[rest.List[rest.Secret]](ctx, c, http.MethodGet, "/secrets", nil, nil)
	return l.Items, err
}

// SetSecret leaves a secret with the server, in place of the one of that name.
func (c *Client) SetSecret(ctx context.Context, name, value string) error {
	_, err := ask[rest.None](ctx, c, http.MethodPut, "/secrets"+segment(name), nil, rest.NewSecret{Value: value})
	return err
}

// DeleteSecret deletes a secret; ErrConflict while a workspace names it.
func (c *Client) DeleteSecret(ctx context.Context, name string) error {
	_, err := ask[rest.None](ctx, c, http.MethodDelete, "/secrets"+segment(name), nil, nil)
	return err
}
