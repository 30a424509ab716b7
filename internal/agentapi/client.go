package agentapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/problem"
)

// maxAnswer is the largest answer that a client reads, in bytes: two outputs
// of an application in base64 and some more.
const maxAnswer = 8 << 20

// awaitInterval is how often Await looks.
const awaitInterval = 300 * time.Millisecond

// Client asks the agent of this computer. Its errors match the kinds of the
// root package; ErrUnavailable when no agent answers.
type Client struct {
	http   *http.Client
	socket string
}

// NewClient returns a client of the agent at that socket. It connects when it
// is first asked something.
func NewClient(socket string) *Client {
	var d net.Dialer
	return &Client{
		socket: socket,
		http: &http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return d.DialContext(ctx, "unix", socket)
			},
			MaxIdleConns: 1, IdleConnTimeout: 30 * time.Second,
		}},
	}
}

// Socket is where the agent is.
func (c *Client) Socket() string { return c.socket }

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status returns how the agent is and what it holds for the caller.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return ask[Status](ctx, c, http.MethodGet, pathStatus, nil)
}

// Diagnostics returns what helps somebody who helps.
func (c *Client) Diagnostics(ctx context.Context) (Diagnostics, error) {
	return ask[Diagnostics](ctx, c, http.MethodGet, pathDiagnostics, nil)
}

// Refresh makes the agent poll now.
func (c *Client) Refresh(ctx context.Context) (Status, error) {
	return ask[Status](ctx, c, http.MethodPost, pathRefresh, nil)
}

// Enrol makes the agent a client of the instance that made the join token.
func (c *Client) Enrol(ctx context.Context, joinToken string) (Status, error) {
	return ask[Status](ctx, c, http.MethodPost, pathEnrol, EnrolRequest{JoinToken: joinToken})
}

// EnrolAgain is Enrol for a client whose identity is still valid: it gets
// another.
func (c *Client) EnrolAgain(ctx context.Context, joinToken string) (Status, error) {
	return ask[Status](ctx, c, http.MethodPost, pathEnrol, EnrolRequest{JoinToken: joinToken, Again: true})
}

// SignInInfo returns where the caller proves who they are.
func (c *Client) SignInInfo(ctx context.Context) (SignInInfo, error) {
	return ask[SignInInfo](ctx, c, http.MethodGet, pathSignIn, nil)
}

// SignIn signs a user of the instance in for the caller.
func (c *Client) SignIn(ctx context.Context, user, password string) (User, error) {
	return ask[User](ctx, c, http.MethodPost, pathSignIn, SignInRequest{User: user, Password: password})
}

// SignInSaving is SignIn that has the password saved too, where that is
// allowed: User.NotSaved says why it was not.
func (c *Client) SignInSaving(ctx context.Context, user, password string) (User, error) {
	return ask[User](ctx, c, http.MethodPost, pathSignIn, SignInRequest{User: user, Password: password, Save: true})
}

// SignInCode signs in whoever the one-time code stands for.
func (c *Client) SignInCode(ctx context.Context, code string) (User, error) {
	return ask[User](ctx, c, http.MethodPost, pathSignIn, SignInRequest{Code: code})
}

// SetPIN sets or removes the PIN of a user who is signed in for the caller.
func (c *Client) SetPIN(ctx context.Context, r PINRequest) (User, error) {
	return ask[User](ctx, c, http.MethodPost, pathPIN, r)
}

// Prove checks the password or the PIN of a user who is signed in for the
// caller. ErrDenied when it is wrong, ErrUnavailable with the time to wait
// after too many wrong ones.
func (c *Client) Prove(ctx context.Context, r ProveRequest) error {
	_, err := ask[struct{}](ctx, c, http.MethodPost, pathProve, r)
	return err
}

// SignOut ends that.
func (c *Client) SignOut(ctx context.Context, user string) error {
	_, err := ask[struct{}](ctx, c, http.MethodPost, pathSignOut, SignOutRequest{User: user})
	return err
}

// Workspaces returns the caller's machines by name.
func (c *Client) Workspaces(ctx context.Context) ([]Workspace, error) {
	return ask[[]Workspace](ctx, c, http.MethodGet, pathWorkspaces, nil)
}

// Act starts, stops, restarts or kills a machine, named by its identity or its
// workspace's name. It returns at once; see Await.
func (c *Client) Act(ctx context.Context, machine string, command Command) (Workspace, error) {
	return ask[Workspace](ctx, c, http.MethodPost, pathWorkspaces+"/"+url.PathEscape(machine)+"/"+string(command), nil)
}

// Run runs a published application and returns when it has ended.
func (c *Client) Run(ctx context.Context, machine string, r RunRequest) (RunResult, error) {
	return ask[RunResult](ctx, c, http.MethodPost, pathWorkspaces+"/"+url.PathEscape(machine)+"/run", r)
}

// Await looks at a machine, by its identity, until done says that it is as
// awaited, and returns it. each is called with every look and may be nil.
func (c *Client) Await(ctx context.Context, machine dormer.MachineID, done func(Workspace) bool, each func(Workspace)) (Workspace, error) {
	t := time.NewTicker(awaitInterval)
	defer t.Stop()
	for {
		all, err := c.Workspaces(ctx)
		if err != nil {
			return Workspace{}, err
		}
		found := false
		for _, w := range all {
			if w.Machine != machine {
				continue
			}
			found = true
			if each != nil {
				each(w)
			}
			if done(w) {
				return w, nil
			}
		}
		if !found {
			return Workspace{}, fmt.Errorf("the workspace is gone: %w", dormer.ErrNotFound)
		}
		select {
		case <-ctx.Done():
			return Workspace{}, fmt.Errorf("wait for the workspace: %w", ctx.Err())
		case <-t.C:
		}
	}
}

// ask sends one request. The host in the URL means nothing on a Unix socket.
func ask[T any](ctx context.Context, c *Client, method, path string, body any) (T, error) {
	var out T
	r, err := newRequest(ctx, method, "http://agent"+path, body)
	if err != nil {
		return out, fmt.Errorf("ask the agent: %w", err)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return out, fmt.Errorf("ask the agent: %w", ctx.Err())
		}
		reason := err.Error()
		if _, after, ok := strings.Cut(reason, "dial unix "); ok {
			reason = after
		}
		return out, fmt.Errorf("no agent answers (%s): %w", reason, dormer.ErrUnavailable)
	}
	defer resp.Body.Close()
	return readAnswer[T](resp, "the agent")
}

// newRequest makes a request with body as JSON, if there is one.
func newRequest(ctx context.Context, method, url string, body any) (*http.Request, error) {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		content = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, url, content)
	if err == nil && body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return r, err
}

// readAnswer decodes the answer of somebody, reading no more than maxAnswer. An
// answer that is a problem is that error.
func readAnswer[T any](resp *http.Response, of string) (T, error) {
	var out T
	switch {
	case resp.StatusCode == http.StatusNoContent:
		return out, nil
	case resp.StatusCode != http.StatusOK:
		return out, problem.FromResponse(resp)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return out, fmt.Errorf("read the answer of %s: %w", of, err)
	}
	if err := json.Unmarshal(b, &out); err != nil {
		return out, fmt.Errorf("the answer of %s is not as expected: %w", of, dormer.ErrCorrupt)
	}
	return out, nil
}
