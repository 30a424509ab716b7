package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/policy"
)

// signedOn is how the user is signed on to the guest of a machine. It is guarded
// by the machine's mu, and counts for one run of the machine.
type signedOn struct {
	vm      hypervisor.Machine
	account string // of the guest; "" when nobody is signed on
	serial  int    // of the word with which
	problem string // the last that an event told of
}

// noPassword says what stands in for the user's credentials where there is no
// password.
const noPassword = "the password is not known here, as after a sign-in by ticket or provider, or a restart of the agent; the user's account of the guest is used without it, which opens nothing on the network. 'dormer sign-in NAME' or 'dormer unlock' with the password gives it"

// arrangeSignOn signs the user on to the guest where something runs there as the
// user, with the password that the user has signed in with last. Without one it
// is the user's account all the same, for what needs no password.
func arrangeSignOn(ctx context.Context, g guest) error {
	m, a := g.m, g.m.agent
	m.mu.Lock()
	if m.signedOn.vm != g.vm {
		m.signedOn = signedOn{vm: g.vm}
	}
	user, was := m.record.User, m.signedOn
	m.mu.Unlock()
	if !needsAccount(g.p) {
		return m.signOff(ctx, g.vm, was)
	}
	w, known := a.word(user.ID())
	if was.account != "" && was.serial == w.serial && !g.first && !g.resumed {
		return nil
	}
	d := a.domainOf(user)
	var result guestwire.SignOnResult
	err := g.vm.Ask(ctx, guestwire.CapSignOn, guestwire.MethodSignOn, guestwire.SignOnRequest{
		User: user.Name, Domain: d.NetBIOSName, Realm: d.Realm, Password: w.text,
	}, &result)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		m.tellSignOn(g.vm, dormer.Plain(err))
		if errors.Is(err, dormer.ErrUnavailable) {
			return fmt.Errorf("sign the user on: %w", err) // it is tried again
		}
		return nil
	case result.Account == "":
		m.tellSignOn(g.vm, "the guest does not say which account is the user's")
		return nil
	}
	m.mu.Lock()
	if m.signedOn.vm == g.vm {
		m.signedOn.account, m.signedOn.serial = result.Account, w.serial
		if result.Away {
			m.signedOn.serial = 0 // not done yet
		}
	}
	m.mu.Unlock()
	if result.Away {
		m.tellSignOn(g.vm, result.Problem)
		return fmt.Errorf("sign the user on: %s: %w", cut(result.Problem, maxDetailText), dormer.ErrUnavailable) // it is tried again
	}
	detail := "as " + cut(result.Account, maxGuestText)
	switch {
	case !known:
		m.tellSignOn(g.vm, noPassword)
		return nil
	case result.Ticket:
		detail += ", with a Kerberos ticket"
	case result.Problem != "":
		detail += ", without a Kerberos ticket: " + cut(result.Problem, maxDetailText)
	}
	a.tell(event.New(event.GuestSignedOn, a.now(), detail), m)
	return nil
}

// signOff takes back what a policy no longer wants.
func (m *machine) signOff(ctx context.Context, vm hypervisor.Machine, was signedOn) error {
	if was.account == "" {
		return nil
	}
	if err := vm.Ask(ctx, guestwire.CapSignOn, guestwire.MethodSignOff, nil, nil); err != nil {
		return fmt.Errorf("sign the user off: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.signedOn.vm == vm {
		m.signedOn = signedOn{vm: vm}
	}
	return nil
}

// tellSignOn tells once for each run of a machine what is wrong with signing on.
func (m *machine) tellSignOn(vm hypervisor.Machine, problem string) {
	m.mu.Lock()
	again := m.signedOn.vm != vm || m.signedOn.problem == problem
	if !again {
		m.signedOn.problem = problem
	}
	m.mu.Unlock()
	if !again {
		m.agent.tell(event.New(event.GuestSignOnFailed, m.agent.now(), problem), m)
	}
}

// account returns the user's own account of the guest, for what runs with the
// user's credentials. ErrUnavailable with the reason while nobody is signed on.
func (m *machine) account() (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.signedOn
	switch {
	case s.vm != nil && s.vm == m.vm && s.account != "":
		return s.account, nil
	case s.vm != nil && s.vm == m.vm && s.problem != "":
		return "", fmt.Errorf("the user is not signed on to the guest: %s: %w", s.problem, dormer.ErrUnavailable)
	}
	return "", fmt.Errorf("the user is not signed on to the guest yet: %w", dormer.ErrUnavailable)
}

// needsSession reports whether a policy has something done in the user's session
// process.
func needsSession(p *policy.Effective) bool {
	d := &p.Deployment
	return p.General.HostCommand.Command != "" || len(d.SharedFolders) > 0 || d.Printing ||
		p.Setup.Regional.Formats || p.Setup.Regional.Keyboard ||
		d.FileTransfer.GuestToHost.Allowed && len(d.FileTransfer.GuestToHost.Commands) > 0
}
