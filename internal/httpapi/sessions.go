package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

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

func (a *API) signInMethods(*call, rest.None) (rest.SignInMethods, error) {
	m := a.Access.Methods()
	out := rest.SignInMethods{Directories: m.Directories, Kerberos: m.Kerberos, Service: m.Service, Providers: make([]rest.Provider, len(m.Providers))}
	for i, p := range m.Providers {
		out.Providers[i] = rest.Provider(p)
	}
	return out, nil
}

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
		if known, unknown := a.Access.Resolve(c.ctx(), dormer.KindUser, in.User); unknown == nil {
			p = known
		}
		return rest.SignedIn{}, a.refused(c, p, err)
	}
	if changed {
		c.caller.User = p
		if err := c.audit("user.password", named(p.Name, p.Key), "changed by the user"); err != nil {
			return rest.SignedIn{}, err
		}
	}
	return a.openSession(c, p)
}

// openSession opens a session for p, who must be an operator.
func (a *API) openSession(c *call, p dormer.Principal) (rest.SignedIn, error) {
	if how := c.r.Header.Get(rest.HeaderSession); how != "" && how != rest.SessionCookie {
		return rest.SignedIn{}, dormer.Invalidf(rest.HeaderSession, "must be %s, or absent", rest.SessionCookie)
	}
	role, err := a.Access.Role(c.ctx(), p)
	if err != nil {
		return rest.SignedIn{}, a.refused(c, p, err)
	}
	if role == dormer.RoleNone {
		return rest.SignedIn{}, a.refused(c, p, problem.ErrNoOperator)
	}
	s, secret, err := a.Access.OpenSession(c.ctx(), access.SessionOperator, p, "")
	if err != nil {
		return rest.SignedIn{}, err
	}
	c.caller = access.Caller{User: p, Role: role, Session: s}
	if err := c.audit("session.open", s.ID, fmt.Sprintf("%s: %s", c.route.proof, role)); err != nil {
		return rest.SignedIn{}, errors.Join(err, a.Access.EndSession(c.ctx(), s.ID))
	}
	in := rest.SignedIn{Expires: s.Expires, Principal: p, Role: role}
	if c.r.Header.Get(rest.HeaderSession) == rest.SessionCookie {
		http.SetCookie(c.w, c.cookie(access.Token(s, secret), s.Expires))
	} else {
		in.Token = access.Token(s, secret)
	}
	return in, nil
}

// refused records a refused attempt to sign in, with its method and cause. Who
// it was is recorded only where that is known, p: what was typed as a name may
// be a password. Attempts over the limit are not recorded, so that they cannot
// fill the log.
func (a *API) refused(c *call, p dormer.Principal, cause error) error {
	if !errors.Is(cause, dormer.ErrUnauthenticated) && !errors.Is(cause, dormer.ErrDenied) {
		return cause
	}
	who, id := "unknown user", ""
	if p.Name != "" {
		who, id = p.Name, string(p.ID())
	}
	detail := cause.Error()
	if c.route.proof == access.MethodPassword && errors.Is(cause, dormer.ErrUnauthenticated) {
		detail = refusals[access.MethodPassword].detail
	}
	err := a.Audit.Append(context.WithoutCancel(c.ctx()), audit.Record{
		Time: a.Now().UTC().Truncate(time.Microsecond), Who: who, Principal: id,
		Action: "session.refuse", Detail: fmt.Sprintf("%s: %.*s", c.route.proof, maxCause, plainCause(detail)), Request: c.request, Remote: c.remote,
	})
	return errors.Join(cause, err)
}

// maxCause bounds what the audit log holds of the cause of a refusal, in
// characters.
const maxCause = 300

// plainCause takes the kinds of errors off a cause, which say no more than that
// it was refused, and what could break a line.
func plainCause(text string) string {
	for _, kind := range []error{dormer.ErrUnauthenticated, dormer.ErrDenied} {
		text = strings.TrimSuffix(text, ": "+kind.Error())
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
}

// refusals are what people are told whose proof does not count, by method. Why
// it does not is in the audit log.
var refusals = map[access.Method]struct{ title, detail string }{
	access.MethodPassword: {"Name or password is wrong", "name or password is wrong"},
	access.MethodKerberos: {"The Kerberos ticket was not accepted", "the Kerberos ticket was not accepted; get a new one with kinit, or sign in in another way"},
	access.MethodOpenID:   {"The sign-in at the provider was not accepted", "the sign-in at the provider was not accepted; begin again"},
}

// answerSignIn makes a refused sign-in say what was wrong: signing in first is
// what it tried.
func answerSignIn(c *call, refusal error) error {
	p := problem.Of(refusal)
	told := refusals[c.route.proof]
	p.Title, p.Detail, p.Request = told.title, told.detail, c.request
	b, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	challenge := "Bearer"
	if c.route.proof == access.MethodKerberos {
		challenge = "Negotiate"
	}
	c.w.Header().Set("WWW-Authenticate", challenge)
	return c.bytes(p.Status, wire.ProblemType, append(b, '\n'))
}

func (a *API) currentSession(c *call, _ rest.None) (rest.Session, error) {
	who := rest.Session{Principal: c.caller.User, Role: c.caller.Role, Created: c.caller.Session.Created, Expires: c.caller.Session.Expires}
	if c.caller.Token == "" {
		return who, nil
	}
	all, err := a.Access.APITokens(c.ctx())
	if err != nil {
		return rest.Session{}, err
	}
	i := slices.IndexFunc(all, func(t access.APIToken) bool { return t.ID == c.caller.Token })
	if i < 0 {
		return rest.Session{}, fmt.Errorf("the API token is gone: %w", dormer.ErrUnauthenticated)
	}
	token := apiTokenOf(all[i])
	who.Created, who.Expires, who.APIToken = token.Created, token.Expires, &token
	return who, nil
}

func (a *API) signOut(c *call, _ rest.None) (rest.None, error) {
	if c.caller.Token != "" {
		return rest.None{}, fmt.Errorf("an API token has no session; revoke it with DELETE %s/api-tokens/%s: %w", rest.Prefix, c.caller.Token, dormer.ErrConflict)
	}
	if err := a.Access.EndSession(c.ctx(), c.caller.Session.ID); err != nil {
		return rest.None{}, err
	}
	if _, err := c.r.Cookie(c.cookieName()); err == nil {
		http.SetCookie(c.w, c.cookie("", time.Unix(0, 0)))
	}
	return rest.None{}, c.audit("session.end", c.caller.Session.ID, "")
}
