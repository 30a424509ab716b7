package clientapi

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/wire"
)

// maxUserName bounds the name of a sign-in, in bytes.
const maxUserName = 1024

// signIn signs an end user in on a client and opens a session there. Refusals
// are 403 with the reason; 401 is about the client's token alone.
func (a *API) signIn(w http.ResponseWriter, r *http.Request, client dormer.ClientID) error {
	var q wire.SignInRequest
	if err := a.read(w, r, &q); err != nil {
		return err
	}
	if err := checkSignIn(&q); err != nil {
		return err
	}
	identity, err := a.cfg.Enrollment.Identity(r.Context(), client)
	if err != nil {
		return err
	}
	p, err := a.whoSignsIn(r, client, &q)
	if err != nil {
		return err
	}
	s, secret, err := a.cfg.People.OpenSession(r.Context(), access.SessionUser, p, client)
	if err != nil {
		return fmt.Errorf("open session: %w", err)
	}
	sealed, err := identity.Public.Seal(wire.SessionInfo(s.ID), []byte(secret))
	if err != nil {
		return err
	}
	a.users.renew(p) // as the directory says now
	by := "by password"
	if q.Code != "" {
		by = "by one-time code"
	}
	a.record(r, audit.Record{Who: p.Name, Principal: string(p.ID()), Action: "session.open", Object: "client " + string(client), Detail: by})
	return answer(w, wire.SignInAnswer{Session: s.ID, Sealed: sealed, User: p, Expires: s.Expires})
}

// checkSignIn checks what a client says in a sign-in: a name and a password, or
// a one-time code alone.
func checkSignIn(q *wire.SignInRequest) error {
	if err := checkProtocol(q.Protocol); err != nil {
		return err
	}
	switch {
	case q.Code != "" && (q.User != "" || q.Password != ""):
		return dormer.Invalidf("code", "stands alone, without name and password")
	case len(q.Code) > wire.MaxSignInCode:
		return dormer.Invalidf("code", "must have at most %d bytes", wire.MaxSignInCode)
	case q.Code != "":
		return nil
	case q.User == "" || len(q.User) > maxUserName:
		return dormer.Invalidf("user", "must be a name of at most %d bytes", maxUserName)
	case q.Password == "" || len(q.Password) > wire.MaxPasswordLength:
		return dormer.Invalidf("password", "must be there and have at most %d bytes", wire.MaxPasswordLength)
	}
	return nil
}

// whoSignsIn checks the password or the code. A refusal goes into the audit log.
func (a *API) whoSignsIn(r *http.Request, client dormer.ClientID, q *wire.SignInRequest) (dormer.Principal, error) {
	var (
		p     dormer.Principal
		err   error
		wrong = "name or password is wrong"
	)
	if q.Code != "" {
		wrong = "the one-time code does not count, or not any more; prove anew who you are"
		err = attempt(a.codes, string(client), func() error {
			var err error
			p, err = a.cfg.People.RedeemCode(r.Context(), q.Code, client)
			return err
		}, refused)
	} else {
		p, err = a.cfg.People.SignIn(r.Context(), access.Attempt{User: q.User, Password: q.Password, Remote: a.cfg.Address(r), Client: client})
	}
	if err == nil || !refused(err) {
		return p, err
	}
	// The name is not recorded when it is unknown: it may be a password.
	rec := audit.Record{Who: "unknown user", Principal: string(client), Action: "session.refuse", Object: "client " + string(client), Detail: wrong}
	switch {
	case p.Name != "": // whoever refused says whom
		rec.Who, rec.Principal = p.Name, string(p.ID())
	case q.Code == "":
		if known, err := a.cfg.People.Resolve(r.Context(), dormer.KindUser, q.User); err == nil {
			rec.Who, rec.Principal = known.Name, string(known.ID())
		}
	}
	if said, ok := errors.AsType[*access.RefusedError](err); ok {
		rec.Detail = string(said.Reason)
	} else if q.Code != "" {
		rec.Detail = err.Error() // its causes are fit for it
	}
	a.record(r, rec)
	if errors.Is(err, dormer.ErrUnauthenticated) {
		return dormer.Principal{}, fmt.Errorf("%s: %w", wrong, dormer.ErrDenied)
	}
	return dormer.Principal{}, err
}

// signOut ends a session of the client. One that is over already is no error:
// the first answer may have been lost.
func (a *API) signOut(w http.ResponseWriter, r *http.Request, client dormer.ClientID) error {
	var q wire.SignOutRequest
	if err := a.read(w, r, &q); err != nil {
		return err
	}
	if err := checkProtocol(q.Protocol); err != nil {
		return err
	}
	if s, err := a.cfg.People.CheckSession(r.Context(), access.SessionUser, q.Session.ID, q.Session.Secret); err == nil && s.Client == client {
		if err := a.cfg.People.EndSession(r.Context(), s.ID); err != nil {
			return fmt.Errorf("sign out: %w", err)
		}
		a.record(r, audit.Record{Who: s.User.Name, Principal: string(s.User.ID()), Action: "session.end", Object: "client " + string(client)})
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
