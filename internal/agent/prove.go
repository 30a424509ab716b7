package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/throttle"
	"github.com/dormer-project/dormer/internal/wire"
)

// Wrong attempts to prove who one is: so many are free, then there is a wait
// that doubles with each. Nothing is ever wiped.
const (
	freeTries = 5
	firstWait = 30 * time.Second
	longWait  = time.Hour
)

// freshFor is how long after a sign-in a PIN may be set.
const freshFor = 10 * time.Minute

// minPIN is the length of the shortest PIN, in characters.
const minPIN = 6

// moment is a point of the boot clock.
type moment struct {
	BootID string        `json:"boot_id,omitempty"`
	At     time.Duration `json:"at_ns,omitempty"`
}

// momentOf is now.
func momentOf(t lease.TimeSources) moment { return moment{BootID: t.BootID, At: t.Boot()} }

// since is how long ago m was, at least: after the computer was started again
// the time since then, as the time before cannot be known. sameBoot says
// whether it was not.
func (m moment) since(t lease.TimeSources) (passed time.Duration, sameBoot bool) {
	boot := t.Boot()
	if m.BootID != t.BootID || boot < m.At {
		return boot, false
	}
	return boot - m.At, true
}

// standIn proves off-line that somebody is the user of a session.
type standIn struct {
	// Kind is agentapi.ProofPassword or agentapi.ProofPIN.
	Kind string `json:"kind"`
	// Sealed is the argon2id verifier in PHC form, sealed to the client's key
	// with info verifierInfo(session).
	Sealed []byte `json:"sealed"`
	// Failed counts wrong attempts in a row. An attempt is counted, and kept,
	// before it is checked: killing the agent wins none.
	Failed int `json:"failed,omitempty"`
	// Wait is for how long no attempt is taken, counted from Since.
	Wait  time.Duration `json:"wait_ns,omitempty"`
	Since moment        `json:"since,omitzero"`
}

// verifierInfo is the info under which the verifier of a session is sealed.
func verifierInfo(session string) string { return "dormer verifier " + session }

// waitAfter is how long to wait after so many wrong attempts in a row.
func waitAfter(failed int) time.Duration {
	if failed < freeTries {
		return 0
	}
	return min(firstWait<<min(failed-freeTries, 10), longWait)
}

// left is for how long no attempt is taken.
func (p *standIn) left(t lease.TimeSources) time.Duration {
	passed, _ := p.Since.since(t)
	return max(0, min(p.Wait, longWait)-passed)
}

// counted returns p after one more attempt, which counts as wrong until it is
// known to be right.
func (p standIn) counted(t lease.TimeSources) standIn {
	p.Failed++
	p.Wait, p.Since = waitAfter(p.Failed), momentOf(t)
	return p
}

// newStandIn makes the verifier of a secret for a session.
func (a *Agent) newStandIn(ctx context.Context, key seal.ClientKey, session, kind, secret string) (*standIn, error) {
	hash, err := a.hasher.Hash(ctx, secret)
	if err != nil {
		return nil, fmt.Errorf("make verifier: %w", err)
	}
	sealed, err := sealToOwn(key, verifierInfo(session), []byte(hash))
	if err != nil {
		return nil, fmt.Errorf("make verifier: %w", err)
	}
	return &standIn{Kind: kind, Sealed: sealed}, nil
}

// sealToOwn seals to the client's own key.
func sealToOwn(key seal.ClientKey, info string, secret []byte) ([]byte, error) {
	b, err := seal.MarshalClientPublic(key)
	if err != nil {
		return nil, err
	}
	public, err := seal.ParseClientPublic(b)
	if err != nil {
		return nil, err
	}
	return public.Seal(info, secret)
}

// proofAfter is what stands in after the sign-in that opened s: the password
// that it took, else the PIN that the user had in the session before. A
// password that was kept earlier does not count any more: it may have been
// changed since.
func (a *Agent) proofAfter(ctx context.Context, key seal.ClientKey, s session, password string) (*standIn, error) {
	if password != "" {
		return a.newStandIn(ctx, key, s.ID, agentapi.ProofPassword, password)
	}
	a.mu.Lock()
	before, ok := a.users.find(s.User.ID())
	a.mu.Unlock()
	if !ok || before.UID != s.UID || before.Proof == nil || before.Proof.Kind != agentapi.ProofPIN {
		return nil, nil
	}
	hash, err := seal.Unseal(key, verifierInfo(before.ID), before.Proof.Sealed)
	if err != nil {
		return nil, fmt.Errorf("keep the PIN: %w", err)
	}
	kept := *before.Proof
	if kept.Sealed, err = sealToOwn(key, verifierInfo(s.ID), hash); err != nil {
		return nil, fmt.Errorf("keep the PIN: %w", err)
	}
	return &kept, nil
}

// deniedError is an ErrDenied whose text is for the user.
type deniedError struct{ text string }

func (e *deniedError) Error() string        { return e.text }
func (e *deniedError) Is(target error) bool { return target == dormer.ErrDenied }

// Prove implements agentapi.Proofs.
func (a *Agent) Prove(ctx context.Context, peer agentapi.Peer, r agentapi.ProveRequest) error {
	if err := a.mayUse(peer); err != nil {
		return err
	}
	return a.prove(ctx, peer.UID, r.User, r.Secret)
}

// prove checks, without the server, that somebody is the user who is signed in
// for a user of this computer: by the password of the sign-in, or the PIN. user
// is as in sessionNamed. ErrDenied when the secret is wrong, with how many
// attempts are left, or when nothing may run for the user any more;
// *throttle.Error after too many wrong ones. Whatever unlocks a workspace
// calls it.
func (a *Agent) prove(ctx context.Context, uid uint32, user, secret string) error {
	if secret == "" || len(secret) > wire.MaxPasswordLength {
		return dormer.Invalidf("secret", "must be there and have at most %d bytes", wire.MaxPasswordLength)
	}
	s, err := a.sessionNamed(uid, user)
	if err != nil {
		return err
	}
	if err := a.entitled(s); err != nil {
		return err
	}
	tried, err := a.takeTry(s.ID)
	if err != nil {
		return err
	}
	a.mu.Lock()
	key := a.key
	a.mu.Unlock()
	hash, err := seal.Unseal(key, verifierInfo(s.ID), tried.Sealed)
	if err != nil {
		return fmt.Errorf("open verifier: %w", err)
	}
	right, err := a.hasher.Verify(ctx, string(hash), secret)
	switch {
	case err != nil:
		return fmt.Errorf("check the %s: %w", called(tried.Kind), err)
	case right:
		return a.changeProof(s.ID, func(p standIn) (*standIn, error) {
			if string(p.Sealed) == string(tried.Sealed) { // else it was set anew meanwhile
				p.Failed, p.Wait, p.Since = 0, 0, moment{}
			}
			return &p, nil
		})
	}
	return a.refuseProof(s, tried)
}

// proveUser checks that somebody at the computer is the user of the machine: by
// what stands in for the sign-in, off-line too. On-line a password that it does
// not know is tried at the server as well: it may be new, and is then the
// user's sign-in. Errors are those of prove.
func (m *machine) proveUser(ctx context.Context, secret string) error {
	a := m.agent
	m.mu.Lock()
	user := m.record.User
	m.mu.Unlock()
	a.mu.Lock()
	s, signedIn := a.users.find(user.ID())
	online := a.poll.answered && a.poll.problem == ""
	a.mu.Unlock()
	var err error
	switch {
	case !signedIn || s.UID != m.uid:
		return fmt.Errorf("%s is not signed in any more; run 'dormer sign-in': %w", user.Name, dormer.ErrUnauthenticated)
	case s.Proof == nil && online:
		err = &deniedError{"the password is wrong"}
		if secret == "" || len(secret) > wire.MaxPasswordLength {
			return dormer.Invalidf("secret", "must be there and have at most %d bytes", wire.MaxPasswordLength)
		}
	default:
		err = a.prove(ctx, m.uid, string(user.ID()), secret)
	}
	if err == nil {
		if s.Proof.Kind == agentapi.ProofPassword {
			a.proved(user.ID(), secret)
		}
		return nil
	}
	if _, denied := errors.AsType[*deniedError](err); !denied || !online || s.Proof != nil && s.Proof.Kind != agentapi.ProofPassword || a.entitled(s) != nil {
		return err
	}
	_, e := a.SignIn(ctx, agentapi.Peer{UID: m.uid}, agentapi.SignInRequest{User: user.Qualified(), Password: secret})
	if e == nil || s.Proof == nil {
		return e
	}
	return err
}

// refuseProof says what a wrong attempt leaves.
func (a *Agent) refuseProof(s session, tried standIn) error {
	if left := freeTries - tried.Failed; left > 0 {
		attempts := fmt.Sprintf("%d more attempts", left)
		if left == 1 {
			attempts = "one more attempt"
		}
		return &deniedError{fmt.Sprintf("the %s is wrong; %s before you have to wait", called(tried.Kind), attempts)}
	}
	e := event.New(event.ProofRefused, a.now(), fmt.Sprintf("%d times in a row", tried.Failed))
	e.User = s.User.Name
	a.tell(e, nil)
	return &deniedError{fmt.Sprintf("the %s is wrong; wait %s before the next attempt", called(tried.Kind), tried.Wait)}
}

// called is what people call a kind of proof.
func called(kind string) string {
	if kind == agentapi.ProofPIN {
		return "PIN"
	}
	return kind
}

// entitled returns ErrDenied when nothing may run any more for the user of a
// session: what unlocks is bound to the leases.
func (a *Agent) entitled(s session) error {
	r := a.clock.Read()
	if !r.Now.Before(s.Expires) {
		return &deniedError{"the sign-in of " + s.User.Name + " has expired; sign in again"}
	}
	t, all := a.all()
	for _, m := range all {
		if m.uid != s.UID || !m.owns(s.User.ID()) {
			continue
		}
		j := m.judge(t, r)
		if j.Verdict == lease.Allowed || m.rec.Snapshot().State.Live() && m.grace(j) {
			return nil
		}
	}
	return &deniedError{"no workspace of " + s.User.Name + " may run here now; 'dormer status' says why"}
}

// takeTry counts an attempt and returns the proof after it. *throttle.Error
// while there is a wait.
func (a *Agent) takeTry(session string) (standIn, error) {
	var tried standIn
	err := a.changeProof(session, func(p standIn) (*standIn, error) {
		if wait := p.left(a.time); wait > 0 {
			return nil, &throttle.Error{After: wait}
		}
		tried = p.counted(a.time)
		return &tried, nil
	})
	return tried, err
}

// changeProof replaces what stands in for the sign-in of a session. It holds in
// memory even if it cannot be written: a full disk wins no attempts, and keeps
// nobody out.
func (a *Agent) changeProof(id string, change func(standIn) (*standIn, error)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.users.byID(id)
	switch {
	case !ok:
		return fmt.Errorf("the user is not signed in any more: %w", dormer.ErrNotFound)
	case s.Proof == nil:
		return fmt.Errorf("there is no password or PIN to prove it by; set one with 'dormer pin set': %w", dormer.ErrConflict)
	}
	next, err := change(*s.Proof)
	if err != nil {
		return err
	}
	s.Proof = next
	u := a.users.with(s)
	if err := a.setUsers(u); err != nil {
		a.users = u
		a.log.LogAttrs(a.ctx, slog.LevelError, "attempts to prove who the user is cannot be kept", slog.Any("error", err))
	}
	return nil
}

// SetPIN implements agentapi.Proofs.
func (a *Agent) SetPIN(ctx context.Context, peer agentapi.Peer, r agentapi.PINRequest) (agentapi.User, error) {
	if err := a.mayUse(peer); err != nil {
		return agentapi.User{}, err
	}
	if r.Check && (r.Remove || r.PIN != "") {
		return agentapi.User{}, dormer.Invalidf("check", "stands without a PIN and without remove")
	}
	s, err := a.sessionNamed(peer.UID, r.User)
	if err != nil {
		return agentapi.User{}, err
	}
	if s.Proof != nil && s.Proof.Kind == agentapi.ProofPassword {
		return agentapi.User{}, fmt.Errorf("%s signed in with a password, which counts off-line too; there is no PIN beside it: %w", s.User.Name, dormer.ErrConflict)
	}
	a.mu.Lock()
	key := a.key
	a.mu.Unlock()
	var proof *standIn
	if !r.Remove {
		if !r.Check {
			if err := checkPIN(r.PIN); err != nil {
				return agentapi.User{}, err
			}
		}
		if passed, same := s.SignedIn.since(a.time); !same || passed > freshFor {
			return agentapi.User{}, &deniedError{fmt.Sprintf(
				"a PIN is set within %d minutes after signing in; sign in again, as 'dormer pin set --kerberos' or '--provider NAME' does", freshFor/time.Minute)}
		}
		if r.Check {
			return userOf(s), nil
		}
		if proof, err = a.newStandIn(ctx, key, s.ID, agentapi.ProofPIN, r.PIN); err != nil {
			return agentapi.User{}, err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now, ok := a.users.byID(s.ID)
	if !ok {
		return agentapi.User{}, fmt.Errorf("%s is not signed in any more: %w", s.User.Name, dormer.ErrNotFound)
	}
	now.Proof = proof
	return userOf(now), a.setUsers(a.users.with(now))
}

// checkPIN refuses a PIN that is easily guessed. It never repeats it.
func checkPIN(pin string) error {
	switch {
	case !utf8.ValidString(pin):
		return dormer.Invalidf("pin", "is not valid UTF-8")
	case utf8.RuneCountInString(pin) < minPIN:
		return dormer.Invalidf("pin", "needs at least %d characters", minPIN)
	case len(pin) > wire.MaxPasswordLength:
		return dormer.Invalidf("pin", "is longer than %d bytes", wire.MaxPasswordLength)
	case evenSteps(pin):
		return dormer.Invalidf("pin", "must not be one character over and over, nor a row such as 123456")
	}
	return nil
}

// evenSteps reports whether each character of a PIN that is long enough follows
// the one before by the same step of -1, 0 or 1.
func evenSteps(pin string) bool {
	r := []rune(pin)
	step := r[1] - r[0]
	for i := 2; i < len(r); i++ {
		if r[i]-r[i-1] != step {
			return false
		}
	}
	return step >= -1 && step <= 1
}
