package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire"
	"github.com/dormer-project/dormer/internal/workspace"
)

// verify opens the answer to a poll and returns it with the trust after it: a
// newer key set and a higher epoch that it brings count from here on. ErrFenced
// when its epoch is over; ErrCorrupt or ErrDenied when it is not the
// instance's, not for this client, or not the answer to this request.
func verify(t *trust, r wire.PollRequest, e seal.Envelope) (wire.PollAnswer, *trust, error) {
	var a wire.PollAnswer
	payload, err := t.keys.Open(seal.TypeAnswer, e)
	if errors.Is(err, dormer.ErrDenied) {
		// The answer may bring the key set that lists the key it is signed with.
		if next := newerKeySet(t, e.Payload); next != nil {
			t = next
			payload, err = t.keys.Open(seal.TypeAnswer, e)
		}
	}
	if err != nil {
		return a, nil, fmt.Errorf("open answer: %w", err)
	}
	if err := json.Unmarshal(payload, &a); err != nil {
		return a, nil, fmt.Errorf("answer is not valid JSON: %w", dormer.ErrCorrupt)
	}
	switch {
	case a.Protocol < wire.MinProtocolVersion || a.Protocol > wire.ProtocolVersion:
		return a, nil, fmt.Errorf("answer in protocol %d, this agent knows %d to %d: %w", a.Protocol, wire.MinProtocolVersion, wire.ProtocolVersion, dormer.ErrUnsupported)
	case a.Instance != t.Instance:
		return a, nil, fmt.Errorf("answer of another instance: %w", dormer.ErrDenied)
	case a.Client != t.Client:
		return a, nil, fmt.Errorf("answer for another client: %w", dormer.ErrDenied)
	case !bytes.Equal(a.Nonce, r.Nonce):
		return a, nil, fmt.Errorf("answer to another poll: %w", dormer.ErrDenied)
	case a.Epoch < t.Epoch:
		return a, nil, fmt.Errorf("answer of epoch %d, this client has seen %d: %w", a.Epoch, t.Epoch, dormer.ErrFenced)
	case a.Time.IsZero():
		return a, nil, fmt.Errorf("answer without a time: %w", dormer.ErrCorrupt)
	}
	if a.KeySet != nil {
		next, err := t.withKeySet(*a.KeySet)
		if err != nil {
			return a, nil, err
		}
		if next != nil {
			t = next
		}
	}
	if a.Epoch > t.Epoch {
		next := *t
		next.Epoch = a.Epoch
		t = &next
	}
	return a, t, nil
}

// newerKeySet looks for a key set in an answer that is not verified yet. The
// set itself is signed by the root key.
func newerKeySet(t *trust, payload []byte) *trust {
	var peek struct {
		KeySet *seal.Envelope `json:"key_set"`
	}
	if json.Unmarshal(payload, &peek) != nil || peek.KeySet == nil {
		return nil
	}
	next, err := t.withKeySet(*peek.KeySet)
	if err != nil {
		return nil
	}
	return next
}

// apply takes a verified answer. What fails in one part is made up for by the
// next poll, because the server compares what the client says it has; only what
// everything rests on is an error. The caller holds changing.
func (a *Agent) apply(ctx context.Context, t *trust, answer wire.PollAnswer, reported []string) error {
	t, err := a.adoptTrust(t)
	if err != nil {
		return err
	}
	a.clock.Answered(answer.Time)
	a.logError(ctx, "clock", a.saveClock())
	a.logError(ctx, "events", a.trim(answer))
	if answer.Keys != nil {
		a.logError(ctx, "keys", a.keepKeys(*answer.Keys))
	}
	ended, err := a.endSessions(answer.EndedSessions)
	a.logError(ctx, "sessions", err)
	for _, e := range answer.Leases {
		a.logError(ctx, "lease", a.takeLease(ctx, t, e))
	}
	a.withdraw(ctx, answer.Withdrawn, ended)
	a.logError(ctx, "orders", a.takeOrders(ctx, t, answer.Orders, reported))
	a.enforceAll()
	a.logError(ctx, "settings", a.takeSettings(answer))
	_, all := a.all()
	a.growJournal(all)
	for _, m := range all {
		m.rec.Nudge()
		m.prepareUpdate()
	}
	if now := a.now(); now.Sub(a.collected) >= collectEvery {
		a.collected = now
		a.logError(ctx, "images", a.collect(ctx, all))
	}
	return nil
}

// adoptTrust keeps a newer identity before anything else of the answer counts.
func (a *Agent) adoptTrust(t *trust) (*trust, error) {
	a.mu.Lock()
	old := a.trust
	a.mu.Unlock()
	if t == old && !t.Revoked {
		return t, nil
	}
	next := *t
	next.Revoked = false
	if err := a.state.writeJSON(FileIdentity, next.identity); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.trust = &next
	a.link.SetServers(next.keys.Servers)
	if next.Epoch != old.Epoch {
		// Another server took over: it says anew what it has received.
		a.poll.received, a.poll.of = 0, ""
	}
	return &next, nil
}

// trim lets go of the events that the server has for good.
func (a *Agent) trim(answer wire.PollAnswer) error {
	for _, r := range answer.RefusedEvents {
		a.log.LogAttrs(a.ctx, slog.LevelError, "the server refuses an event; it is left out",
			slog.Uint64("sequence", r.Sequence), slog.String("field", r.Field), slog.String("reason", r.Reason))
	}
	if answer.Journal == "" {
		return nil
	}
	a.mu.Lock()
	a.poll.received, a.poll.of = answer.ReceivedThrough, answer.Journal
	a.mu.Unlock()
	if answer.SafeThrough == 0 {
		return nil
	}
	return a.journal.Trim(answer.Journal, answer.SafeThrough)
}

func (a *Agent) keepKeys(k wire.SealedKeys) error {
	if err := a.state.writeJSON(FileKeys, k); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sealed = k
	return nil
}

// setUsers keeps other sessions; the caller holds mu.
func (a *Agent) setUsers(u users) error {
	if err := a.state.writeJSON(FileUsers, u); err != nil {
		return err
	}
	a.users = u
	return nil
}

// endSessions forgets sessions that the server has ended, and returns why, by
// user.
func (a *Agent) endSessions(list []wire.EndedSession) (map[dormer.UserID]string, error) {
	ended := map[dormer.UserID]string{}
	for _, e := range list {
		a.mu.Lock()
		s, found := a.users.byID(e.ID)
		var err error
		if found {
			err = a.setUsers(a.users.without(func(o session) bool { return o.ID == e.ID }))
		}
		a.mu.Unlock()
		if err != nil {
			return ended, err
		}
		if found {
			ended[s.User.ID()] = e.Reason
			ev := event.New(event.SessionEnded, a.now(), e.Reason)
			ev.User = s.User.Name
			a.tell(ev, nil)
			a.signInSaved(s)
		}
	}
	return ended, nil
}

// takeLease verifies a lease, fetches its policy and keeps both.
func (a *Agent) takeLease(ctx context.Context, t *trust, e seal.Envelope) error {
	l, err := lease.Open(t.keys, t.holder(), e)
	if err == nil && !dormer.ValidID(string(l.Machine)) {
		err = fmt.Errorf("lease for what is no machine: %w", dormer.ErrCorrupt)
	}
	if err != nil {
		a.refuse(event.LeaseRefused, err)
		return err
	}
	p, err := a.policyOf(ctx, l.PolicyHash)
	if err != nil {
		return fmt.Errorf("policy of workspace %s: %w", l.WorkspaceName, err)
	}
	m, err := a.machineFor(l)
	if err != nil {
		return err
	}
	if err := m.accept(e, l, p); err != nil {
		return err
	}
	if m.rec == nil { // new
		m.begin(a.ctx)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.poll.notices, l.Machine)
	if !m.gone { // it may have been deleted meanwhile
		a.machines[m.id] = m
	}
	return nil
}

// maxRefused is how many refusals are remembered as told.
const maxRefused = 100

// refuse tells of a signed document that does not count, once: the server sends
// it with every answer.
func (a *Agent) refuse(code event.Code, err error) {
	a.mu.Lock()
	told := slices.Contains(a.poll.refused, err.Error())
	if !told {
		a.poll.refused = append(a.poll.refused, err.Error())
		a.poll.refused = a.poll.refused[max(0, len(a.poll.refused)-maxRefused):]
	}
	a.mu.Unlock()
	if !told {
		a.tell(event.New(code, a.now(), err.Error()), nil)
	}
}

// machineFor returns the machine of a lease; a new one has no reconciler yet.
// It belongs to the user of this computer for whom the lease's user is signed
// in.
func (a *Agent) machineFor(l lease.Lease) (*machine, error) {
	a.mu.Lock()
	m, ok := a.machines[l.Machine]
	s, signedIn := a.users.find(l.User.ID())
	a.mu.Unlock()
	switch {
	case ok && m.owns(l.User.ID()):
		return m, nil
	case ok:
		return nil, fmt.Errorf("machine %s is another user's: %w", l.Machine, dormer.ErrDenied)
	case !signedIn:
		return nil, fmt.Errorf("%s is not signed in here any more: %w", l.User.Name, dormer.ErrConflict)
	}
	f, err := makeFolder(a.state.path(DirMachines, string(l.Machine)))
	if err != nil {
		return nil, err
	}
	return &machine{
		agent: a, folder: f, id: l.Machine, uid: s.UID,
		record: record{Machine: l.Machine, UID: s.UID, User: l.User, Name: l.WorkspaceName}, arranger: make(chan struct{}, 1),
	}, nil
}

// owns reports whether the machine is that user's of the instance.
func (m *machine) owns(u dormer.UserID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.record.User.ID() == u
}

// maxNotices bounds the reasons that are kept for machines that never were here.
const maxNotices = 100

// withdraw takes leases away. Of users whose sessions have just ended it is
// known better why than that they are not signed in.
func (a *Agent) withdraw(ctx context.Context, list []wire.Withdrawal, ended map[dormer.UserID]string) {
	notices := map[dormer.MachineID]string{}
	for _, w := range list {
		a.mu.Lock()
		m, ok := a.machines[w.Machine]
		a.mu.Unlock()
		if ok {
			a.logError(ctx, "withdrawal", m.withdraw(m.reasonOf(w, ended), a.now()))
		} else if len(notices) < maxNotices {
			notices[w.Machine] = w.Reason
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.poll.notices = notices
}

func (m *machine) reasonOf(w wire.Withdrawal, ended map[dormer.UserID]string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	why, ok := ended[m.record.User.ID()]
	if !ok {
		return w.Reason
	}
	return m.record.User.Name + " is not signed in any more: " + why
}

// revoked stops everything: the server has refused this client for good. It is
// undone by an answer, if there ever is one.
func (a *Agent) revoked(reason string) {
	a.mu.Lock()
	t := a.trust
	var next trust
	if t != nil {
		next = *t
		next.Revoked = true
		a.trust = &next
	}
	a.mu.Unlock()
	if t == nil {
		return
	}
	if !t.Revoked {
		a.logError(a.ctx, "revocation", a.state.writeJSON(FileIdentity, next.identity))
	}
	_, all := a.all()
	for _, m := range all {
		a.logError(a.ctx, "revocation", m.withdraw("this client was refused by the server: "+reason, time.Time{}))
	}
	a.enforceAll()
}

// storedPolicy reads a policy that was kept, checking it against its hash.
func (a *Agent) storedPolicy(hash string) (*policy.Effective, error) {
	name, err := policyFile(hash)
	if err != nil {
		return nil, err
	}
	b, err := a.state.read(name)
	if err != nil {
		return nil, err
	}
	return policy.DecodeEffective(b, hash)
}

// policyOf returns a policy, from the server when it is not kept here.
func (a *Agent) policyOf(ctx context.Context, hash string) (*policy.Effective, error) {
	p, err := a.storedPolicy(hash)
	if err == nil || errors.Is(err, dormer.ErrInvalid) {
		return p, err
	}
	a.mu.Lock()
	link := a.link
	a.mu.Unlock()
	b, err := link.Policy(ctx, hash)
	if err != nil {
		return nil, err
	}
	if p, err = policy.DecodeEffective(b, hash); err != nil {
		return nil, err
	}
	name, err := policyFile(hash)
	if err != nil {
		return nil, err
	}
	return p, a.state.write(name, b)
}

// policyFile is where a policy is kept. The hash comes from outside.
func policyFile(hash string) (string, error) {
	digits, ok := strings.CutPrefix(hash, "sha256:")
	if !ok || len(digits) != 64 || strings.Trim(digits, "0123456789abcdef") != "" {
		return "", dormer.Invalidf("policy_hash", "is not a SHA-256")
	}
	return DirPolicies + "/" + digits, nil
}

// collectEvery is how often what is not needed any more is looked for.
const collectEvery = time.Hour

// collect removes policies and images that no machine needs any more. Nothing is
// removed while a machine has no lease, since what it needs is not known, or
// while an image is on the way, since older ones help to fetch it.
func (a *Agent) collect(ctx context.Context, all []*machine) error {
	policies, keep := map[string]bool{}, []dormer.ImageID{}
	for _, m := range all {
		s := m.rec.Snapshot()
		m.mu.Lock()
		l, r := m.lease, m.record
		m.mu.Unlock()
		switch {
		case s.State == workspace.Gone:
			continue
		case l == nil || !m.Fetched():
			return nil
		}
		policies[l.PolicyHash] = true
		keep = append(append(keep, l.Image), m.oldImages()...)
		if r.Base != "" {
			keep = append(keep, r.Base)
		}
	}
	entries, err := os.ReadDir(a.state.path(DirPolicies))
	if err != nil {
		return fmt.Errorf("list policies: %w", err)
	}
	for _, e := range entries {
		if !policies["sha256:"+e.Name()] {
			if err := os.Remove(a.state.path(DirPolicies, e.Name())); err != nil {
				return fmt.Errorf("remove policy: %w", err)
			}
		}
	}
	a.forgetDeliveries(keep)
	return a.images.Collect(ctx, keep)
}
