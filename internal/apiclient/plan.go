package apiclient

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/dormer-project/dormer/internal/plan/observation"
)

// Observed returns what plans can be told by the instance; 0 days are the
// server's default.
func (c *Client) Observed(ctx context.Context, days int) (*observation.Observation, error) {
	v := url.Values{}
	if days != 0 {
		v.Set("days", strconv.Itoa(days))
	}
	return ask[*observation.Observation](ctx, c, http.MethodGet, "/plan/observed", v, nil)
}
