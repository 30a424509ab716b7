package agent

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire"
)

// SignInInfo implements agentapi.Accounts.
func (a *Agent) SignInInfo(_ context.Context, peer agentapi.Peer) (agentapi.SignInInfo, error) {
	if err := a.mayUse(peer); err != nil {
		return agentapi.SignInInfo{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.trust == nil || a.link == nil {
		return agentapi.SignInInfo{}, errNotEnrolled
	}
	out := agentapi.SignInInfo{Server: a.link.Server(), Client: a.trust.Client}
	if len(a.trust.Authority) > 0 {
		out.Authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.trust.Authority})
	}
	return out, nil
}

func checkSignIn(r agentapi.SignInRequest) error {
	switch {
	case r.Code != "" && (r.User != "" || r.Password != ""):
		return dormer.Invalidf("code", "stands alone, without name and password")
	case len(r.Code) > wire.MaxSignInCode:
		return dormer.Invalidf("code", "is longer than %d bytes", wire.MaxSignInCode)
	case r.Code == "" && r.User == "":
		return dormer.Invalidf("user", "is missing")
	case r.Save && r.Password == "":
		return dormer.Invalidf("save", "is for a sign-in with a password: there is none that could be saved")
	case len(r.Password) > wire.MaxPasswordLength:
		return dormer.Invalidf("password", "is longer than %d bytes", wire.MaxPasswordLength)
	}
	return nil
}

// SignIn implements agentapi.Accounts.
func (a *Agent) SignIn(ctx context.Context, peer agentapi.Peer, r agentapi.SignInRequest) (agentapi.User, error) {
	if err := checkSignIn(r); err != nil {
		return agentapi.User{}, err
	}
	if err := a.mayUse(peer); err != nil {
		return agentapi.User{}, err
	}
	a.mu.Lock()
	link, key := a.link, a.key
	a.mu.Unlock()
	if link == nil {
		return agentapi.User{}, errNotEnrolled
	}
	answer, err := link.SignIn(ctx, wire.SignInRequest{User: r.User, Password: r.Password, Code: r.Code})
	if err != nil {
		if errors.Is(err, dormer.ErrDenied) { // else nobody said that anything is wrong
			e := event.New(event.SignInRefused, a.now(), "")
			e.User = a.knownUser(peer.UID, r.User)
			a.tell(e, nil)
		}
		return agentapi.User{}, err
	}
	secret, err := seal.Unseal(key, wire.SessionInfo(answer.Session), answer.Sealed)
	if err != nil {
		return agentapi.User{}, err
	}
	s := session{
		UID: peer.UID, User: answer.User, ID: answer.Session, Sealed: answer.Sealed, Expires: answer.Expires, SignedIn: momentOf(a.time),
	}
	s.Proof, err = a.proofAfter(ctx, key, s, r.Password)
	if err != nil {
		// The sign-in counts; only what needs the verifier later is refused.
		a.log.LogAttrs(ctx, slog.LevelError, "nothing is kept to prove the user by while off-line", slog.Any("error", err))
	}
	if err := a.addSession(s); err != nil {
		// The session is of no use to anybody.
		_ = link.SignOut(ctx, wire.Session{ID: answer.Session, Secret: string(secret)})
		return agentapi.User{}, err
	}
	e := event.New(event.SignedIn, a.now(), "")
	e.User = answer.User.Name
	a.tell(e, nil)
	a.proved(answer.User.ID(), r.Password)
	_ = a.pollNow(ctx) // the status says how it went
	u := userOf(s)
	if u.Saved, err = a.keepSaved(answer.User.ID(), r.Password, r.Save); err != nil {
		u.NotSaved = err.Error() // the sign-in counts
	}
	for _, m := range a.machinesOf(answer.User.ID()) {
		m.sessionBegan()
	}
	return u, nil
}

// knownUser returns the name of a user who works here already, or "": what else
// was typed as a name may be a password.
func (a *Agent) knownUser(uid uint32, typed string) string {
	_, all := a.all()
	for _, m := range all {
		m.mu.Lock()
		user := m.record.User.Name
		m.mu.Unlock()
		if m.uid == uid && sameName(user, typed) {
			return user
		}
	}
	return ""
}

// addSession keeps a session. A user of the instance belongs to one user of the
// computer, as do the machines.
func (a *Agent) addSession(s session) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	other, ok := a.users.find(s.User.ID())
	taken := ok && other.UID != s.UID
	for _, m := range a.machines {
		taken = taken || m.uid != s.UID && m.owns(s.User.ID())
	}
	switch {
	case taken:
		return fmt.Errorf("%s works on this computer as another of its users, to whom the workspaces belong: %w", s.User.Name, dormer.ErrConflict)
	case !ok && len(a.users.Sessions) >= wire.MaxSessions:
		return fmt.Errorf("%d users are signed in on this computer already: %w", wire.MaxSessions, dormer.ErrConflict)
	}
	return a.setUsers(a.users.with(s))
}

func userOf(s session) agentapi.User {
	u := agentapi.User{Name: s.User.Name, ID: string(s.User.ID()), Expires: s.Expires}
	if s.Proof != nil {
		u.Proof = s.Proof.Kind
	}
	return u
}

// SignOut implements agentapi.Accounts. It holds at once, whether the server is
// there to be told or not; the server then learns of it by the next poll, in
// which the session is missing.
func (a *Agent) SignOut(ctx context.Context, peer agentapi.Peer, r agentapi.SignOutRequest) error {
	s, err := a.sessionNamed(peer.UID, r.User)
	if err != nil {
		return err
	}
	a.mu.Lock()
	link, key := a.link, a.key
	err = a.setUsers(a.users.without(func(o session) bool { return o.ID == s.ID }))
	a.mu.Unlock()
	if err != nil {
		return err
	}
	a.forgetPassword(s.User.ID())
	_, all := a.all()
	for _, m := range all {
		if m.uid == peer.UID && m.owns(s.User.ID()) {
			if err := m.withdraw(s.User.Name+" has signed out", time.Time{}); err != nil {
				return err
			}
		}
	}
	a.enforceAll()
	e := event.New(event.SignedOut, a.now(), "")
	e.User = s.User.Name
	a.tell(e, nil)
	if secret, err := seal.Unseal(key, wire.SessionInfo(s.ID), s.Sealed); err == nil && link != nil {
		_ = link.SignOut(ctx, wire.Session{ID: s.ID, Secret: string(secret)}) // see above
	}
	return nil
}

// sessionNamed finds one of a local user's sessions by name or identity; "" is
// the only one.
func (a *Agent) sessionNamed(uid uint32, name string) (session, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	mine := a.users.of(uid)
	if name == "" && len(mine) == 1 {
		return mine[0], nil
	}
	if name == "" && len(mine) > 1 {
		return session{}, dormer.Invalidf("user", "several users are signed in: say which")
	}
	for _, s := range mine {
		if sameName(s.User.Name, name) || string(s.User.ID()) == name {
			return s, nil
		}
	}
	if len(mine) == 0 {
		return session{}, fmt.Errorf("nobody is signed in: %w", dormer.ErrNotFound)
	}
	return session{}, fmt.Errorf("nobody of that name is signed in here: %w", dormer.ErrNotFound)
}
