package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/policymatrix"
)

const newWord = "a new and longer word"

// knows reports whether the agent has a password of anne's.
func (d *desk) knows() string {
	w, _ := d.agent.password("local/anne")
	return w
}

// keepsSecret fails when a word is in a file of the agent.
func (d *desk) keepsSecret(word string) {
	d.t.Helper()
	err := filepath.WalkDir(d.dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(b), word) {
			d.t.Errorf("%s has the password in it", path)
		}
		if info, e := e.Info(); e == nil && info.Mode().Perm()&0o077 != 0 {
			d.t.Errorf("%s may be read by others: %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		d.t.Error(err)
	}
}

func TestPasswordIsKeptOnlyWhereNeeded(t *testing.T) {
	d := aWorkspace(t, "", "")
	if w := d.knows(); w != "" {
		t.Error("a password that no policy needs is kept")
	}
	d.agent.words.mu.Lock()
	if n := len(d.agent.words.of); n != 0 {
		t.Errorf("%d passwords are in memory", n)
	}
	d.agent.words.mu.Unlock()
	d.changePolicy(2, "machine: {signOn: user}", "")
	if d.knows() != "" {
		t.Error("a password came from nowhere")
	}
	// Each proof of who it is brings it.
	if err := d.machine().proveUser(t.Context(), annesWord); err != nil || d.knows() != annesWord {
		t.Errorf("after a proof (%v) it knows %q", err, d.knows())
	}
	d.restart()
	if d.knows() != "" {
		t.Error("a password that is not saved outlives the agent")
	}
	d.signIn(agentapi.SignInRequest{User: "anne", Password: annesWord})
	if d.knows() != annesWord {
		t.Error("a password that a policy needs is not kept")
	}
	d.changePolicy(3, "", "")
	d.changePolicy(4, "machine: {signOn: user}", "")
	if d.knows() != "" {
		t.Error("a password that no policy needed any more was kept")
	}
	d.signIn(agentapi.SignInRequest{User: "anne", Password: annesWord})
	if err := d.agent.SignOut(t.Context(), anne, agentapi.SignOutRequest{}); err != nil {
		t.Fatal(err)
	}
	d.agent.words.mu.Lock()
	if n := len(d.agent.words.of); n != 0 {
		t.Errorf("%d passwords are in memory after signing out", n)
	}
	d.agent.words.mu.Unlock()
	d.keepsSecret(annesWord)
}

func TestSavedPassword(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "grants[].savePassword")
	const uses = "machine: {signOn: user}"
	d := aWorkspace(t, uses, "savePassword: true", func(d *desk) { d.house.saving = true })
	save := func() agentapi.User {
		t.Helper()
		return d.signIn(agentapi.SignInRequest{User: "anne", Password: annesWord, Save: true})
	}
	if u := save(); !u.Saved || u.NotSaved != "" {
		t.Fatalf("signed in as %+v", u)
	}
	d.keepsSecret(annesWord)
	d.restart()
	if d.knows() != annesWord {
		t.Error("a saved password does not outlive the agent")
	}
	if s, err := d.agent.Status(t.Context(), anne); err != nil || !s.Users[0].Saved {
		t.Errorf("status is %+v, %v", s.Users, err)
	}
	// A new one takes its place, without being asked to.
	d.signIn(agentapi.SignInRequest{User: "anne", Password: newWord})
	d.restart()
	if d.knows() != newWord {
		t.Error("the old password is still saved")
	}
	d.keepsSecret(newWord)

	// Grant and server: when one of them stops allowing it, it is deleted.
	gone := func() {
		t.Helper()
		d.agent.words.mu.Lock()
		n := len(d.agent.words.settings.Saved)
		d.agent.words.mu.Unlock()
		if n != 0 {
			t.Error("it is still saved")
		}
		d.restart()
		if d.knows() != "" {
			t.Error("it is known after a restart")
		}
	}
	d.changePolicy(2, uses, "")
	gone()
	if u := save(); u.Saved || !strings.Contains(u.NotSaved, "no workspace of yours") {
		t.Errorf("signed in as %+v", u)
	}
	d.changePolicy(3, uses, "savePassword: true")
	if u := save(); !u.Saved {
		t.Errorf("signed in as %+v", u)
	}
	d.house.set(func(h *house) { h.saving = false })
	d.poll()
	gone()
	if u := save(); u.Saved || !strings.Contains(u.NotSaved, "the server does not let") {
		t.Errorf("signed in as %+v", u)
	}
	d.house.set(func(h *house) { h.saving = true })
	d.poll()
	save()
	if err := d.agent.SignOut(t.Context(), anne, agentapi.SignOutRequest{}); err != nil {
		t.Fatal(err)
	}
	gone()
	_, err := d.agent.SignIn(t.Context(), anne, agentapi.SignInRequest{Code: "x", Save: true})
	d.want(err, dormer.ErrInvalid, "save")
}

// TestSavedPasswordSignsIn: a session that the server has ended is made good by
// the saved password, which is tried once.
func TestSavedPasswordSignsIn(t *testing.T) {
	d := aWorkspace(t, "machine: {signOn: user}", "savePassword: true", func(d *desk) { d.house.saving = true })
	d.signIn(agentapi.SignInRequest{User: "anne", Password: annesWord, Save: true}) // session-2
	sessionNow := func() string {
		d.agent.mu.Lock()
		defer d.agent.mu.Unlock()
		s, _ := d.agent.users.find("local/anne")
		return s.ID
	}
	d.house.set(func(h *house) { h.ended, h.passwords["anne"] = []string{"session-2"}, annesWord })
	d.poll()
	d.eventually("she is signed in again", func() bool { return sessionNow() != "" && sessionNow() != "session-2" })
	again := sessionNow()
	d.house.set(func(h *house) { h.ended, h.passwords["anne"] = []string{again}, newWord })
	d.poll()
	d.eventually("the old password is forgotten", func() bool { return !d.agent.savedOf("local/anne") })
	if s := sessionNow(); s != "" {
		t.Errorf("she is signed in by %s", s)
	}
	d.mustTell(event.SignInRefused, 1)
}

func TestGuestSignOn(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "spec.machine.signOn")
	d := aWorkspace(t, "machine: {signOn: user}", "")
	d.startUp()
	want := guestwire.SignOnRequest{User: "anne", Domain: "CORP", Realm: "CORP.EXAMPLE.TEST", Password: annesWord}
	if g := d.guest(); g.SignedOn == nil || *g.SignedOn != want {
		t.Errorf("signed on is %v", g.SignedOn)
	}
	d.mustTell(event.GuestSignedOn, 1)
	if account, err := d.machine().account(); err != nil || account == "" {
		t.Errorf("the account is %q, %v", account, err)
	}
	d.keepsSecret(annesWord)

	// A changed password reaches the guest as it runs.
	started := d.host.Starts()
	d.signIn(agentapi.SignInRequest{User: "anne", Password: newWord})
	d.eventually("the guest has the new password", func() bool { g := d.guest(); return g.SignedOn != nil && g.SignedOn.Password == newWord })
	if d.host.Starts() != started {
		t.Error("the machine was started again for it")
	}
	d.mustTell(event.GuestSignedOn, 2)

	// A policy that does not want it any more is heard too.
	d.changePolicy(2, "", "")
	d.eventually("she is signed off", func() bool { return d.guest().SignedOn == nil })
	if _, err := d.machine().account(); err == nil {
		t.Error("there is still an account")
	}
}

// TestGuestSignOnWithoutPassword: who signed in without a password is told so
// once, and the rest goes on.
func TestGuestSignOnWithoutPassword(t *testing.T) {
	d := aWorkspace(t, "machine: {signOn: user}", "")
	d.byCode("anne")
	d.restart() // the password of the first sign-in is gone
	d.startUp()
	d.mustTell(event.GuestSignOnFailed, 1)
	d.machine().rearrange()
	d.awaitArranged()
	d.mustTell(event.GuestSignOnFailed, 1)
	// What needs no password has her account all the same.
	if account, err := d.machine().account(); err != nil || account == "" {
		t.Errorf("the account is %q, %v", account, err)
	}
	if g := d.guest(); g.SignedOn == nil || g.SignedOn.Password != "" {
		t.Errorf("signed on is %v", g.SignedOn)
	}
	d.mustTell(event.GuestSignedOn, 0)
	d.signIn(agentapi.SignInRequest{User: "anne", Password: annesWord})
	d.eventually("the guest has the password", func() bool { return d.guest().SignedOn.Password == annesWord })
	d.mustTell(event.GuestSignedOn, 1)
}

// TestGuestSignOnAway: who gets no ticket because the domain is away has an
// account, and is signed on again when the domain is back.
func TestGuestSignOnAway(t *testing.T) {
	d := aWorkspace(t, "machine: {signOn: user}", "")
	d.host.SetAsk(func(_ context.Context, _ hypervisor.Spec, method guestwire.Method, _ []byte) (any, error, bool) {
		return guestwire.SignOnResult{Account: "anne", Problem: "no domain controller answers", Away: true}, nil, method == guestwire.MethodSignOn
	})
	d.startUp()
	d.mustTell(event.GuestSignOnFailed, 1)
	if account, err := d.machine().account(); err != nil || account != "anne" {
		t.Errorf("the account is %q, %v", account, err)
	}
	d.host.SetAsk(nil)
	d.machine().rearrange()
	d.eventually("she is signed on", func() bool { return d.guest().SignedOn != nil })
	d.mustTell(event.GuestSignedOn, 1)
}

// TestGuestRefusesSignOn: the reason is told once, and the workspace goes on.
func TestGuestRefusesSignOn(t *testing.T) {
	d := aWorkspace(t, "machine: {signOn: user}", "")
	d.host.SetAsk(func(_ context.Context, _ hypervisor.Spec, method guestwire.Method, _ []byte) (any, error, bool) {
		return nil, fmt.Errorf("the domain does not know the password: %w", dormer.ErrDenied), method == guestwire.MethodSignOn
	})
	d.startUp()
	d.mustTell(event.GuestSignOnFailed, 1)
	_, err := d.machine().account()
	d.want(err, dormer.ErrUnavailable, "the domain does not know the password")
	d.machine().rearrange()
	d.awaitArranged()
	d.mustTell(event.GuestSignOnFailed, 1)
}

func TestProveUser(t *testing.T) {
	d := aWorkspace(t, "machine: {signOn: user}", "")
	m := d.machine()
	d.want(m.proveUser(t.Context(), annesWord), nil, "")
	d.want(m.proveUser(t.Context(), ""), dormer.ErrInvalid, "secret")
	d.want(m.proveUser(t.Context(), "wrong"), dormer.ErrDenied, "more attempts")

	// On-line a password that was changed elsewhere counts, and then off-line too.
	d.house.set(func(h *house) { h.passwords["anne"] = newWord })
	d.want(m.proveUser(t.Context(), newWord), nil, "")
	if d.knows() != newWord {
		t.Error("the new password is not known")
	}
	d.away(true)
	_ = d.agent.pollNow(t.Context()) // the agent learns that the server is away
	d.want(m.proveUser(t.Context(), newWord), nil, "")
	d.want(m.proveUser(t.Context(), annesWord), dormer.ErrDenied, "more attempts")
	for range freeTries - 1 {
		_ = m.proveUser(t.Context(), "wrong")
	}
	if err := m.proveUser(t.Context(), newWord); err == nil {
		t.Error("there is no wait after too many wrong ones")
	}
	d.pass(longWait)
	d.want(m.proveUser(t.Context(), newWord), nil, "")

	// A PIN is no password: it is neither kept nor sent to the server.
	d.away(false)
	d.poll()
	if err := d.agent.SignOut(t.Context(), anne, agentapi.SignOutRequest{}); err != nil {
		t.Fatal(err)
	}
	d.want(m.proveUser(t.Context(), newWord), dormer.ErrUnauthenticated, "not signed in")
	d.byCode("anne")
	if err := d.setPIN("739125"); err != nil {
		t.Fatal(err)
	}
	refused := d.told(event.SignInRefused)
	d.want(m.proveUser(t.Context(), "111222"), dormer.ErrDenied, "PIN")
	d.want(m.proveUser(t.Context(), "739125"), nil, "")
	if d.knows() != "" || d.told(event.SignInRefused) != refused {
		t.Error("a PIN was taken for a password")
	}
}

// TestProveUserWithoutStandIn: who has neither password nor PIN here proves it at
// the server.
func TestProveUserWithoutStandIn(t *testing.T) {
	d := aWorkspace(t, "", "")
	if err := d.agent.SignOut(t.Context(), anne, agentapi.SignOutRequest{}); err != nil {
		t.Fatal(err)
	}
	d.byCode("anne")
	m := d.machine()
	d.house.set(func(h *house) { h.passwords["anne"] = annesWord })
	d.want(m.proveUser(t.Context(), "wrong"), dormer.ErrDenied, "")
	d.want(m.proveUser(t.Context(), annesWord), nil, "")
	d.away(true)
	_ = d.agent.pollNow(t.Context())
	d.want(m.proveUser(t.Context(), annesWord), nil, "") // the sign-in left a stand-in
}
