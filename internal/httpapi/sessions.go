package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/wire"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// maxSignIn is the largest body of a sign-in, in bytes: two passwords and a
// name, each byte of them escaped. Nobody is known yet who may send more.
const maxSignIn = 16 << 10

func (a *API) signIn(c *call, in rest.SignIn) (rest.SignedIn, error) {
	if in.User == "" || in.Password == "" {
		return rest.SignedIn{}, dormer.Invalidf("", "user and password are needed")
	}
	attempt := access.Attempt{User: in.User, Password: in.Password, Remote: c.remote}
	changed := in.NewPassword != ""
	var p dormer.Principal
	var err error
	if changed {
		p, err = a.Access.ChangePassword(c.ctx(), attempt, in.NewPassword)
	} else {
		p, err = a.Access.SignIn(c.ctx(), attempt)
	}
	if err != nil {
		return rest.SignedIn{}, a.refused(c, in.User, err)
	}
	if changed {
		c.session.User = p
		if err := c.audit("user.password", named(p.Name, p.Key), "changed by the user"); err != nil {
			return rest.SignedIn{}, err
		}
	}
	role, err := a.Access.Role(c.ctx(), p)
	if err != nil {
		return rest.SignedIn{}, err
	}
	if role == dormer.RoleNone {
		return rest.SignedIn{}, a.refused(c, in.User, fmt.Errorf("this user is no operator: %w", dormer.ErrDenied))
	}
	s, secret, err := a.Access.OpenSession(c.ctx(), access.SessionOperator, p, "")
	if err != nil {
		return rest.SignedIn{}, err
	}
	c.session = s
	if err := c.audit("session.open", s.ID, string(role)); err != nil {
		return rest.SignedIn{}, errors.Join(err, a.Access.EndSession(c.ctx(), s.ID))
	}
	return rest.SignedIn{Token: access.Token(s, secret), Expires: s.Expires, Principal: p, Role: role}, nil
}

// refused records a refused attempt to sign in. What was typed as the user's
// name is recorded only where there is such a user: it may be a password.
// Attempts over the limit are not recorded, so that they cannot fill the log.
func (a *API) refused(c *call, user string, cause error) error {
	if !errors.Is(cause, dormer.ErrUnauthenticated) && !errors.Is(cause, dormer.ErrDenied) {
		return cause
	}
	who, id := "unknown user", ""
	if p, err := a.Access.Resolve(c.ctx(), dormer.KindUser, user); err == nil {
		who, id = p.Name, string(p.ID())
	}
	detail := wrongPassword
	if errors.Is(cause, dormer.ErrDenied) {
		detail = cause.Error()
	}
	err := a.Audit.Append(context.WithoutCancel(c.ctx()), audit.Record{
		Time: a.Now().UTC().Truncate(time.Microsecond), Who: who, Principal: id,
		Action: "session.refuse", Detail: detail, Request: c.request, Remote: c.remote,
	})
	return errors.Join(cause, err)
}

// wrongPassword is what whoever types a wrong name or password is told.
const wrongPassword = "name or password is wrong"

// answerSignIn makes a refused sign-in say what was wrong: signing in first is
// what it tried.
func answerSignIn(c *call, refusal error) error {
	p := problem.Of(refusal)
	p.Title, p.Detail = "Name or password is wrong", wrongPassword
	b, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	c.w.Header().Set("WWW-Authenticate", "Bearer")
	return c.bytes(p.Status, wire.ProblemType, append(b, '\n'))
}

func (a *API) currentSession(c *call, _ rest.None) (rest.Session, error) {
	return rest.Session{Principal: c.session.User, Role: c.role, Created: c.session.Created, Expires: c.session.Expires}, nil
}

func (a *API) signOut(c *call, _ rest.None) (rest.None, error) {
	if err := a.Access.EndSession(c.ctx(), c.session.ID); err != nil {
		return rest.None{}, err
	}
	return rest.None{}, c.audit("session.end", c.session.ID, "")
}
