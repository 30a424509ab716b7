package apiclient

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

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

// ClientQuery selects clients; the zero value all of them.
type ClientQuery struct {
	// Search is a part of the name of a host or of a user, or the whole identity.
	Search string
	// State, Version and Sort are as the server names them; "": any, by host.
	State, Version, Sort string
	Descending           bool
	Offset, Limit        int // no limit when it is 0
}

func (q ClientQuery) parameters() url.Values {
	v := url.Values{}
	for name, text := range map[string]string{"search": q.Search, "state": q.State, "version": q.Version, "sort": q.Sort} {
		if text != "" {
			v.Set(name, text)
		}
	}
	if q.Descending {
		v.Set("descending", "true")
	}
	for name, n := range map[string]int{"offset": q.Offset, "limit": q.Limit} {
		if n != 0 {
			v.Set(name, strconv.Itoa(n))
		}
	}
	return v
}

// Clients lists clients, and says how many the query selects in all.
func (c *Client) Clients(ctx context.Context, q ClientQuery) (rest.ClientList, error) {
	return ask[rest.ClientList](ctx, c, http.MethodGet, "/clients", q.parameters(), nil)
}

// ClientFigures counts the clients by how they are.
func (c *Client) ClientFigures(ctx context.Context) (rest.ClientFigures, error) {
	return ask[rest.ClientFigures](ctx, c, http.MethodGet, "/client-figures", nil, nil)
}

// Orders lists the newest orders to a client, or to all when it is empty; waiting
// selects those that wait for their clients.
func (c *Client) Orders(ctx context.Context, client dormer.ClientID, waiting bool) ([]rest.Order, error) {
	q := ofClient(client)
	if waiting {
		q.Set("waiting", "true")
	}
	l, err := ask[rest.List[rest.Order]](ctx, c, http.MethodGet, "/orders", q, nil)
	return l.Items, err
}

// WithdrawOrder takes an order back; ErrConflict when it does not wait any more.
func (c *Client) WithdrawOrder(ctx context.Context, id string) (rest.Order, error) {
	return ask[rest.Order](ctx, c, http.MethodDelete, "/orders"+segment(id), nil, nil)
}

// Diagnostics lists the archives that a client has sent, or all clients when it is
// empty.
func (c *Client) Diagnostics(ctx context.Context, client dormer.ClientID) ([]rest.Diagnostics, error) {
	l, err := ask[rest.List[rest.Diagnostics]](ctx, c, http.MethodGet, "/diagnostics", ofClient(client), nil)
	return l.Items, err
}

// DownloadDiagnostics writes an archive to w: tar, compressed with gzip.
func (c *Client) DownloadDiagnostics(ctx context.Context, id string, w io.Writer) error {
	return c.download(ctx, "/diagnostics"+segment(id), nil, w)
}

// DeleteDiagnostics deletes an archive.
func (c *Client) DeleteDiagnostics(ctx context.Context, id string) error {
	_, err := ask[rest.None](ctx, c, http.MethodDelete, "/diagnostics"+segment(id), nil, nil)
	return err
}

func ofClient(id dormer.ClientID) url.Values {
	if id == "" {
		return url.Values{}
	}
	return url.Values{"client": {string(id)}}
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

// Machines lists the machines of a client, or of the instance when it is empty.
func (c *Client) Machines(ctx context.Context, of dormer.ClientID) ([]rest.Machine, error) {
	l, err := ask[rest.MachineList](ctx, c, http.MethodGet, "/machines", ofClient(of), nil)
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
