package agent

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/uplink"
	"github.com/dormer-project/dormer/internal/wire"
)

var _ agentapi.Agent = (*Agent)(nil)

// Enrol implements agentapi.Accounts. The key is kept before it is used, the
// identity before the client works with it.
func (a *Agent) Enrol(ctx context.Context, peer agentapi.Peer, r agentapi.EnrolRequest) error {
	if peer.UID != 0 && peer.UID != a.ownUID {
		return fmt.Errorf("only the administrator of this computer enrols it: %w", dormer.ErrDenied)
	}
	invitation, err := enroll.ParseJoinToken(r.JoinToken)
	if err != nil {
		return err
	}
	if err := a.enrol(ctx, invitation); err != nil {
		return err
	}
	_ = a.pollNow(ctx) // the status says how it went
	return nil
}

func (a *Agent) enrol(ctx context.Context, invitation enroll.Invitation) error {
	a.changing.Lock()
	defer a.changing.Unlock()
	a.mu.Lock()
	current, old := a.key, a.trust
	a.mu.Unlock()
	if old != nil && !old.Revoked {
		return fmt.Errorf("this client is enrolled already, as %s: %w", old.Client, dormer.ErrExists)
	}
	key, pem, err := nextKey(a.state, a.random, current)
	if err != nil {
		return err
	}
	public, err := seal.MarshalClientPublic(key)
	if err != nil {
		return err
	}
	answer, authority, err := uplink.Enrol(ctx, invitation, wire.EnrolRequest{
		Protocol: wire.ProtocolVersion, Secret: invitation.Secret, PublicKey: public, Managed: a.cfg.Managed,
		Host: a.host(), AgentVersion: a.cfg.Version,
	}, a.tlsTime, a.userAgent())
	if err != nil {
		return err
	}
	if !dormer.ValidID(string(answer.Client)) || !dormer.ValidID(string(answer.Instance)) {
		return fmt.Errorf("the server gave no identity: %w", dormer.ErrCorrupt)
	}
	t, err := identity{
		Client: answer.Client, Instance: answer.Instance, RootKey: answer.RootKey, Authority: authority,
		KeySet: answer.KeySet, Enrolled: a.now(), Again: old != nil,
	}.open()
	if err != nil {
		return err
	}
	link, err := a.newLink(t, key)
	if err != nil {
		return err
	}
	// Sessions of another identity mean nothing, and the new key does not open
	// them: they go first.
	a.mu.Lock()
	err = a.setUsers(users{})
	a.mu.Unlock()
	if err != nil {
		return err
	}
	if err := a.state.write(FileKey, pem); err != nil {
		return err
	}
	if err := a.state.writeJSON(FileIdentity, t.identity); err != nil {
		return err
	}
	a.logError(ctx, "key of the enrolment", os.Remove(a.state.path(FileNextKey)))
	a.mu.Lock()
	if a.link != nil {
		a.link.Close()
	}
	a.key, a.trust, a.link, a.sealed = key, t, link, wire.SealedKeys{}
	a.mu.Unlock()
	_, all := a.all()
	for _, m := range all {
		// They are of the identity that was refused, and stopped when it was.
		a.logError(ctx, "earlier machines", m.leave())
	}
	a.tell(event.New(event.Enrolled, a.now(), string(t.Client)), nil)
	return nil
}

// leave marks the machine as one of an earlier enrolment.
func (m *machine) leave() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.record
	m.record.Earlier, m.record.Lease, m.record.WithdrawnAt = true, nil, time.Time{}
	m.record.Withdrawn = "kept from an earlier enrolment of this client"
	if err := m.save(); err != nil {
		m.record = was
		return err
	}
	return nil
}

// SignIn implements agentapi.Accounts.
func (a *Agent) SignIn(ctx context.Context, peer agentapi.Peer, r agentapi.SignInRequest) (agentapi.User, error) {
	switch {
	case r.User == "":
		return agentapi.User{}, dormer.Invalidf("user", "is missing")
	case len(r.Password) > wire.MaxPasswordLength:
		return agentapi.User{}, dormer.Invalidf("password", "is longer than %d bytes", wire.MaxPasswordLength)
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
	answer, err := link.SignIn(ctx, r.User, r.Password)
	if err != nil {
		e := event.New(event.SignInRefused, a.now(), "")
		e.User = a.knownUser(peer.UID, r.User)
		a.tell(e, nil)
		return agentapi.User{}, err
	}
	secret, err := seal.Unseal(key, wire.SessionInfo(answer.Session), answer.Sealed)
	if err != nil {
		return agentapi.User{}, err
	}
	s := session{UID: peer.UID, User: answer.User, ID: answer.Session, Sealed: answer.Sealed, Expires: answer.Expires}
	if err := a.addSession(s); err != nil {
		// The session is of no use to anybody.
		_ = link.SignOut(ctx, wire.Session{ID: answer.Session, Secret: string(secret)})
		return agentapi.User{}, err
	}
	e := event.New(event.SignedIn, a.now(), "")
	e.User = answer.User.Name
	a.tell(e, nil)
	_ = a.pollNow(ctx) // the status says how it went
	return userOf(s), nil
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

// mayUse refuses the users of this computer for whom the agent is not there.
func (a *Agent) mayUse(peer agentapi.Peer) error {
	if !a.cfg.Managed && peer.UID != a.ownUID && peer.UID != 0 {
		return fmt.Errorf("this agent is another user's: %w", dormer.ErrDenied)
	}
	return nil
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
	return agentapi.User{Name: s.User.Name, ID: string(s.User.ID()), Expires: s.Expires}
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
