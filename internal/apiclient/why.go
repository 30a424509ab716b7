package apiclient

import (
	"context"
	"net/http"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Why asks what a user gets of a workspace, and where it comes from.
// ErrUnavailable when a directory does not answer the server.
func (c *Client) Why(ctx context.Context, id dormer.WorkspaceID, q rest.AskWhy) (rest.Why, error) {
	return ask[rest.Why](ctx, c, http.MethodPost, "/workspaces"+segment(string(id))+"/why", nil, q)
}

// Principals says what the directories know of the principals of a workspace's
// grants.
func (c *Client) Principals(ctx context.Context, id dormer.WorkspaceID) ([]rest.PrincipalState, error) {
	l, err := ask[rest.List[rest.PrincipalState]](ctx, c, http.MethodGet, "/workspaces"+segment(string(id))+"/principals", nil, nil)
	return l.Items, err
}
