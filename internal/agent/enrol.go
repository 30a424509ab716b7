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
	if a.valid() {
		// Perhaps it was revoked a moment ago; only an answer says so.
		_ = a.pollNow(ctx) // an error changes nothing
	}
	if err := a.enrol(ctx, invitation, r.Again); err != nil {
		return err
	}
	_ = a.pollNow(ctx) // the status says how it went
	return nil
}

// valid reports whether the client has an identity that counts as far as it
// knows.
func (a *Agent) valid() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.trust != nil && !a.trust.Revoked
}

// enrol gives the client an identity: another one in place of one that is still
// valid only if again is set. The old one is the operator's to revoke.
func (a *Agent) enrol(ctx context.Context, invitation enroll.Invitation, again bool) error {
	a.changing.Lock()
	defer a.changing.Unlock()
	a.mu.Lock()
	current, old := a.key, a.trust
	a.mu.Unlock()
	if old != nil && !old.Revoked && !again {
		return fmt.Errorf("this client is enrolled already, as %s; 'dormer enrol --again' gives it another identity: %w", old.Client, dormer.ErrExists)
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
	hash, err := hashOf(key)
	if err != nil {
		return err
	}
	t, err := identity{
		Client: answer.Client, Instance: answer.Instance, RootKey: answer.RootKey, Authority: authority,
		KeySet: answer.KeySet, Key: hash, Enrolled: a.now(), Again: old != nil,
	}.open()
	if err != nil {
		return err
	}
	link, err := a.newLink(t, key)
	if err != nil {
		return err
	}
	// From here on the client is the new one: what is left of the enrolment is
	// finished at the next start, if it must be.
	if err := a.state.writeJSON(FileIdentity, t.identity); err != nil {
		return err
	}
	a.mu.Lock()
	err = adoptKey(a.state, pem)
	if a.link != nil {
		a.link.Close()
	}
	a.key, a.trust, a.link, a.sealed, a.users = key, t, link, wire.SealedKeys{}, users{}
	a.deliveries = deliveries{} // they were from the earlier servers
	a.keepDeliveries()
	a.mu.Unlock()
	if err == nil {
		err = os.Remove(a.state.path(FileNextKey))
	}
	a.logError(ctx, "key of the enrolment", err)
	_, all := a.all()
	for _, m := range all {
		// They are of the earlier identity: those that still run are stopped.
		a.logError(ctx, "earlier machines", m.leave())
	}
	a.enforceAll()
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

// mayUse refuses the users of this computer for whom the agent is not there.
func (a *Agent) mayUse(peer agentapi.Peer) error {
	if !a.cfg.Managed && peer.UID != a.ownUID && peer.UID != 0 {
		return fmt.Errorf("this agent is another user's: %w", dormer.ErrDenied)
	}
	return nil
}
