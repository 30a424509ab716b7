package apiclient

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Instance says what the server is. It needs no session.
func (c *Client) Instance(ctx context.Context) (rest.Instance, error) {
	return ask[rest.Instance](ctx, c, http.MethodGet, "/instance", nil, nil)
}

// SignIn opens a session. The client itself does not take it: make a new one
// with the token.
func (c *Client) SignIn(ctx context.Context, s rest.SignIn) (rest.SignedIn, error) {
	return ask[rest.SignedIn](ctx, c, http.MethodPost, "/sessions", nil, s)
}

// Session says who is signed in.
func (c *Client) Session(ctx context.Context) (rest.Session, error) {
	return ask[rest.Session](ctx, c, http.MethodGet, "/sessions/current", nil, nil)
}

// SignOut ends the session.
func (c *Client) SignOut(ctx context.Context) error {
	_, err := ask[rest.None](ctx, c, http.MethodDelete, "/sessions/current", nil, nil)
	return err
}

// Users lists the users of the embedded directory.
func (c *Client) Users(ctx context.Context) ([]rest.User, error) {
	l, err := ask[rest.List[rest.User]](ctx, c, http.MethodGet, "/directory/users", nil, nil)
	return l.Items, err
}

// User reads a user of the embedded directory.
func (c *Client) User(ctx context.Context, id string) (rest.User, error) {
	return ask[rest.User](ctx, c, http.MethodGet, "/directory/users"+segment(id), nil, nil)
}

// CreateUser adds a user.
func (c *Client) CreateUser(ctx context.Context, u rest.NewUser) (rest.UserCreated, error) {
	return ask[rest.UserCreated](ctx, c, http.MethodPost, "/directory/users", nil, u)
}

// ChangeUser changes a user.
func (c *Client) ChangeUser(ctx context.Context, id string, u rest.ChangeUser) (rest.User, error) {
	return ask[rest.User](ctx, c, http.MethodPatch, "/directory/users"+segment(id), nil, u)
}

// DeleteUser removes a user.
func (c *Client) DeleteUser(ctx context.Context, id string) error {
	_, err := ask[rest.None](ctx, c, http.MethodDelete, "/directory/users"+segment(id), nil, nil)
	return err
}

// SetPassword gives a user a password, or a generated one that is returned.
func (c *Client) SetPassword(ctx context.Context, id string, s rest.SetPassword) (rest.PasswordSet, error) {
	return ask[rest.PasswordSet](ctx, c, http.MethodPost, "/directory/users"+segment(id)+"/password", nil, s)
}

// Groups lists the groups of the embedded directory.
func (c *Client) Groups(ctx context.Context) ([]rest.Group, error) {
	l, err := ask[rest.List[rest.Group]](ctx, c, http.MethodGet, "/directory/groups", nil, nil)
	return l.Items, err
}

// CreateGroup adds a group.
func (c *Client) CreateGroup(ctx context.Context, name string) (rest.Group, error) {
	return ask[rest.Group](ctx, c, http.MethodPost, "/directory/groups", nil, rest.NewGroup{Name: name})
}

// DeleteGroup removes a group.
func (c *Client) DeleteGroup(ctx context.Context, id string) error {
	_, err := ask[rest.None](ctx, c, http.MethodDelete, "/directory/groups"+segment(id), nil, nil)
	return err
}

// SetMember puts a user or a group into a group, or takes it out.
func (c *Client) SetMember(ctx context.Context, group string, kind dormer.PrincipalKind, member string, present bool) error {
	method := http.MethodDelete
	if present {
		method = http.MethodPut
	}
	_, err := ask[rest.None](ctx, c, method, "/directory/groups"+segment(group)+"/members"+segment(string(kind))+segment(member), nil, nil)
	return err
}

// search returns what the directories found, beside an
// *access.UnansweredError where some of them did not answer.
func (c *Client) search(ctx context.Context, path string, query url.Values) ([]rest.Entry, error) {
	found, err := ask[rest.Found](ctx, c, http.MethodGet, path, query, nil)
	if err == nil && len(found.Unanswered) > 0 {
		err = &access.UnansweredError{Directories: found.Unanswered}
	}
	return found.Items, err
}

// Find lists users and groups whose names begin with prefix. Where some
// directories do not answer, it returns whom the others have beside an
// *access.UnansweredError.
func (c *Client) Find(ctx context.Context, prefix string, limit int) ([]rest.Entry, error) {
	return c.search(ctx, "/directory/find", url.Values{"prefix": {prefix}, "limit": {strconv.Itoa(limit)}})
}

// Resolve checks a name: ErrNotFound when no user or group has it.
func (c *Client) Resolve(ctx context.Context, kind dormer.PrincipalKind, name string) (dormer.Principal, error) {
	return ask[dormer.Principal](ctx, c, http.MethodGet, "/directory/resolve", url.Values{"kind": {string(kind)}, "name": {name}}, nil)
}

// Check lists who goes by a name in the directories: users, groups, or both when
// kind is empty. Directories that do not answer are as with Find.
func (c *Client) Check(ctx context.Context, kind dormer.PrincipalKind, name string) ([]rest.Entry, error) {
	q := url.Values{"name": {name}}
	if kind != "" {
		q.Set("kind", string(kind))
	}
	return c.search(ctx, "/directory/check", q)
}

// TestDirectories has the server examine its directories.
func (c *Client) TestDirectories(ctx context.Context) ([]rest.DirectoryTest, error) {
	l, err := ask[rest.List[rest.DirectoryTest]](ctx, c, http.MethodPost, "/directory/test", nil, nil)
	return l.Items, err
}

// Operators lists who may use the API.
func (c *Client) Operators(ctx context.Context) ([]rest.Operator, error) {
	l, err := ask[rest.List[rest.Operator]](ctx, c, http.MethodGet, "/operators", nil, nil)
	return l.Items, err
}

// SetOperator gives a role to a user or a group, or takes it away.
func (c *Client) SetOperator(ctx context.Context, o rest.SetOperator) (rest.Operator, error) {
	return ask[rest.Operator](ctx, c, http.MethodPut, "/operators", nil, o)
}

// EndSessions ends all sessions of a user, as an operator and on clients.
func (c *Client) EndSessions(ctx context.Context, user string) (rest.SessionsEnded, error) {
	return ask[rest.SessionsEnded](ctx, c, http.MethodPost, "/sessions/end", nil, rest.EndSessions{User: user})
}
