package apiclient

import (
	"context"
	"net/http"

	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Health says how the server is, part by part.
func (c *Client) Health(ctx context.Context) (rest.Health, error) {
	return ask[rest.Health](ctx, c, http.MethodGet, "/health", nil, nil)
}
