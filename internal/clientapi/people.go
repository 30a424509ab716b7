package clientapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/lease"
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
	if err := checkProtocol(q.Protocol); err != nil {
		return err
	}
	switch {
	case q.User == "" || len(q.User) > maxUserName:
		return dormer.Invalidf("user", "must be a name of at most %d bytes", maxUserName)
	case q.Password == "" || len(q.Password) > wire.MaxPasswordLength:
		return dormer.Invalidf("password", "must be there and have at most %d bytes", wire.MaxPasswordLength)
	}
	identity, err := a.cfg.Enrollment.Identity(r.Context(), client)
	if err != nil {
		return err
	}
	p, err := a.cfg.People.SignIn(r.Context(), access.Attempt{User: q.User, Password: q.Password, Remote: a.cfg.Address(r)})
	if refused(err) {
		// The name is not recorded when it is unknown: it may be a password.
		who, id := "unknown user", string(client)
		if known, err := a.cfg.People.Resolve(r.Context(), dormer.KindUser, q.User); err == nil {
			who, id = known.Name, string(known.ID())
		}
		a.record(r, audit.Record{Who: who, Principal: id, Action: "session.refuse", Object: "client " + string(client), Detail: reasonOf(err)})
		if errors.Is(err, dormer.ErrUnauthenticated) {
			return fmt.Errorf("name or password is wrong: %w", dormer.ErrDenied)
		}
		return err
	}
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
	a.users.forget(p.ID()) // as the directory says now
	a.record(r, audit.Record{Who: p.Name, Principal: string(p.ID()), Action: "session.open", Object: "client " + string(client)})
	return answer(w, wire.SignInAnswer{Session: s.ID, Sealed: sealed, User: p, Expires: s.Expires})
}

func reasonOf(err error) string {
	if r, ok := errors.AsType[*access.RefusedError](err); ok {
		return string(r.Reason)
	}
	return "name or password is wrong"
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

// users is what is known of the users who are signed in: their groups and what
// they get. It is filled on demand.
type users struct {
	people     People
	catalog    *catalog.Catalog
	age        time.Duration
	now        func() time.Time
	generation atomic.Uint64 // of the directories; raised by DirectoryChanged

	mu sync.RWMutex
	// guards the field below
	byID map[dormer.UserID]*user
}

type user struct {
	mu sync.Mutex
	// guards the fields below
	looked     time.Time // when the directory was asked; zero: never
	generation uint64    // users.generation at that time
	groups     []dormer.Principal
	gets       catalog.Assignments
	stale      bool // gets was made from other groups
}

// maxUsers bounds how many users are remembered; beyond it some are looked up
// again.
const maxUsers = 500_000

func (u *users) of(id dormer.UserID) *user {
	u.mu.RLock()
	one := u.byID[id]
	u.mu.RUnlock()
	if one != nil {
		return one
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if one = u.byID[id]; one == nil {
		if len(u.byID) >= maxUsers {
			for k := range u.byID {
				delete(u.byID, k)
				break
			}
		}
		one = &user{stale: true}
		u.byID[id] = one
	}
	return one
}

func (u *users) forget(id dormer.UserID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.byID, id)
}

// retryDirectory is how long a directory that did not answer is left alone.
const retryDirectory = 20 * time.Second

// endedError says why a user's session is over.
type endedError struct{ reason string }

func (e *endedError) Error() string { return e.reason }

// claim returns what a user gets, from memory while that is fresh. An
// *endedError when the directory refuses the user. While the directory does
// not answer what was known last counts; when nothing is known the claim is
// Unknown.
func (u *users) claim(ctx context.Context, p dormer.Principal, client dormer.ClientID) (lease.Claim, error) {
	one := u.of(p.ID())
	one.mu.Lock()
	defer one.mu.Unlock()
	now := u.now()
	if generation := u.generation.Load(); one.looked.IsZero() || generation != one.generation || now.Sub(one.looked) >= u.age {
		groups, err := u.people.GroupsOf(ctx, p)
		ended, transient := ending(err)
		switch {
		case err == nil:
			one.groups, one.looked, one.generation, one.stale = groups, now, generation, true
		case ended != "":
			one.looked = time.Time{}
			return lease.Claim{}, &endedError{reason: ended}
		case one.looked.IsZero():
			return lease.Claim{User: p, Unknown: true}, transient
		default:
			one.looked, one.generation = now.Add(retryDirectory-u.age), generation
			return lease.Claim{User: p, Entitlements: one.gets.Entitlements}, transient
		}
	}
	if one.stale || one.gets.Generation != u.catalog.Generation() || (!one.gets.Until.IsZero() && !now.Before(one.gets.Until)) {
		gets, err := u.catalog.Assignments(ctx, p, one.groups, client)
		if err != nil {
			return lease.Claim{User: p, Unknown: true}, err
		}
		one.gets, one.stale = gets, false
	}
	return lease.Claim{User: p, Entitlements: one.gets.Entitlements}, nil
}

// ending says whether an error of a directory ends sessions, with the reason
// for the user, or whether it is one that passes. An account that is locked,
// as any guesser can bring about, stops nobody who is signed in.
func ending(err error) (reason string, transient error) {
	if err == nil {
		return "", nil
	}
	if errors.Is(err, dormer.ErrNotFound) {
		return "the account was deleted", nil
	}
	if r, ok := errors.AsType[*access.RefusedError](err); ok {
		if r.Reason == access.ReasonDisabled || r.Reason == access.ReasonExpired {
			return string(r.Reason), nil
		}
		return "", nil
	}
	return "", err
}
