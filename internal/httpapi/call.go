package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/problem"
)

// call is one request on its way through its handler.
type call struct {
	api     *API
	route   route
	w       http.ResponseWriter
	r       *http.Request
	caller  access.Caller // zero on public routes, until somebody signed in
	remote  string
	request string
	// made says that a change was made, whether or not it could be recorded.
	made bool
}

func (c *call) ctx() context.Context { return c.r.Context() }

// who is the name of the operator, and the API token that was used.
func (c *call) who() string {
	if c.caller.Token != "" {
		return c.caller.User.Name + " (API token " + c.caller.Token + ")"
	}
	return c.caller.User.Name
}

// authenticate fills caller. ErrUnauthenticated, or ErrDenied when its role is
// not enough or its API token is confined to other areas.
func (c *call) authenticate() error {
	token, err := c.token()
	if err != nil {
		return err
	}
	if c.caller, err = c.api.Access.Operator(c.ctx(), token); err != nil {
		return err
	}
	role := dormer.Role(c.route.need)
	switch {
	case c.caller.Role == dormer.RoleNone, !c.caller.Role.Allows(role):
		return fmt.Errorf("this needs the role %s: %w", role, dormer.ErrDenied)
	case c.route.outside == "" && !c.caller.Allows(c.route.area, role):
		return fmt.Errorf("this API token is not for the area %s: %w", c.route.area, dormer.ErrDenied)
	}
	return nil
}

// readBody reads the whole body; ErrTooLarge over the route's limit.
func (c *call) readBody() ([]byte, error) {
	b, err := io.ReadAll(c.r.Body)
	if _, large := errors.AsType[*http.MaxBytesError](err); err != nil && !large {
		return nil, dormer.Invalidf("", "the body ended early")
	}
	return b, err
}

// json answers with v.
func (c *call) json(status int, v any) error {
	b, err := json.Marshal(emptyLists(v))
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return c.bytes(status, "application/json", append(b, '\n'))
}

// bytes answers with b.
func (c *call) bytes(status int, media string, b []byte) error {
	c.w.Header().Set("Content-Type", media)
	c.w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	c.w.WriteHeader(status)
	_, _ = c.w.Write(b) // the caller may be gone; nobody is left to be told
	return nil
}

// audit records a change that was made. It is recorded even when the caller
// has gone away meanwhile.
func (c *call) audit(action, object, detail string) error {
	c.made = true
	err := c.api.Audit.Append(context.WithoutCancel(c.ctx()), audit.Record{
		Time: c.api.Now().UTC().Truncate(time.Microsecond), Who: c.who(), Principal: string(c.caller.User.ID()),
		Action: action, Object: object, Detail: detail, Request: c.request, Remote: c.remote,
	})
	if err != nil {
		return fmt.Errorf("record %s in the audit log: %w", action, err)
	}
	return nil
}

// id returns an identity in the path; ErrNotFound when it cannot be one.
func (c *call) id(name string) (string, error) {
	s := c.r.PathValue(name)
	if !dormer.ValidID(s) {
		return "", fmt.Errorf("that is not an identity: %w", dormer.ErrNotFound)
	}
	return s, nil
}

// number returns a number in the query, 0 when it is absent.
func (c *call) number(name string, most int64) (int64, error) {
	s := c.r.URL.Query().Get(name)
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > most {
		return 0, dormer.Invalidf(name, "must be a whole number from 0 to %d", most)
	}
	return n, nil
}

// flag returns a parameter of the query that is true or false, the latter when
// it is absent.
func (c *call) flag(name string) (bool, error) {
	switch c.r.URL.Query().Get(name) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, dormer.Invalidf(name, "must be true or false")
	}
}

// ifMatch returns the entity tag that a change replaces, without quotes.
func (c *call) ifMatch() (string, error) {
	s := c.r.Header.Get("If-Match")
	if s == "" {
		return "", problem.ErrPreconditionRequired
	}
	tag, ok := strings.CutPrefix(s, `"`)
	if tag, ok2 := strings.CutSuffix(tag, `"`); ok && ok2 && tag != "" && !strings.Contains(tag, `"`) {
		return tag, nil
	}
	return "", dormer.Invalidf("If-Match", "must be one strong entity tag in quotes")
}

// named is an object of the audit log: name and identity.
func named(name, id string) string {
	if name == "" {
		return id
	}
	return name + " (" + id + ")"
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
