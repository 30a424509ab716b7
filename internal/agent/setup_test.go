package agent

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/policymatrix"
	"github.com/dormer-project/dormer/internal/setup"
)

// aScript is a policy with that script; before is what stands before the actions.
func aScript(before string, actions ...string) string {
	return "machine: {revertible: false}, setup: {computerName: 'VM-####', " + before + " actions: [" + strings.Join(actions, ", ") + "]}, " +
		"applications: {published: [{name: hello, command: /bin/hello}]}"
}

// commands answers commands of guests and keeps what they were.
type commands struct {
	mu     sync.Mutex // guards the fields below
	ran    []guestwire.ExecRequest
	status map[string]int // by program
	hold   chan struct{}  // commands wait for it, if it is there
}

//
//nolint:revive // the order is that of fake.AnswerFunc
func (c *commands) answer(ctx context.Context, _ hypervisor.Spec, r guestwire.ExecRequest) (guestwire.ExecResult, error, bool) {
	c.mu.Lock()
	c.ran = append(c.ran, r)
	status, hold := c.status[r.Args[0]], c.hold
	c.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return guestwire.ExecResult{}, ctx.Err(), true
		}
	}
	return guestwire.ExecResult{ExitCode: status, Stderr: []byte("no luck with " + annesWord + "\n")}, nil, true
}

func (c *commands) programs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, r := range c.ran {
		out = append(out, r.Args[0])
	}
	return out
}

func (c *commands) set(change func(*commands)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c)
}

func (d *desk) commands() *commands {
	c := &commands{status: map[string]int{}}
	d.host.SetAnswer(c.answer)
	return c
}

func (d *desk) setup() agentapi.SetupStatus {
	d.t.Helper()
	s, err := d.agent.Setup(d.t.Context(), anne, "Office")
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

func (d *desk) awaitSetup(state setup.State) agentapi.SetupStatus {
	d.t.Helper()
	var s agentapi.SetupStatus
	d.eventually("setup is "+string(state), func() bool {
		var err error
		s, err = d.agent.Setup(d.t.Context(), anne, "Office")
		return err == nil && s.State == string(state)
	})
	return s
}

func TestSetupOfAMachine(t *testing.T) {
	var ran *commands
	d := aWorkspace(t, aScript("message: 'Welcome {user}', ",
		"{renameComputer: {}}", "{restart: {}}", "{name: domain, joinDomain: {domain: corp.example.test, netbiosName: CORP, organizationalUnit: 'OU=VMs,DC=corp', credentials: user}}",
		"{checkConnectivity: {address: dc.corp.example.test, port: 389, timeout: 5s}}",
		"{runCommand: {path: /bin/once, arguments: ['{user}', '{computer}', x y], onlyOnce: true, password: stdin}}",
		"{runCommand: {path: /bin/file, password: file, allowInteraction: true}}", "{runCommand: {path: /bin/left, wait: false}}",
		"{disableAutomaticSignOn: {}}"), "", func(d *desk) { ran = d.commands() })
	d.act(agentapi.CommandStart)
	if s := d.awaitSetup(setup.Finished); s.Step != 0 || s.Steps != 8 {
		t.Errorf("%+v", s)
	}
	d.awaitArranged()
	g := d.guest()
	if g.AutoSignOn || g.Joined == nil || g.Joined.User != "anne" || g.Joined.UserPassword != annesWord || g.Joined.Domain != "corp.example.test" ||
		g.Joined.OrganizationalUnit != "OU=VMs,DC=corp" || !strings.HasPrefix(g.Joined.FQDN, strings.ToLower(g.Joined.Computer)+".corp") {
		t.Errorf("guest %+v", g.Joined)
	}
	if len(g.Connects) != 1 || g.Connects[0].Port != 389 || g.Connects[0].Address != "dc.corp.example.test" {
		t.Errorf("connects %+v", g.Connects)
	}
	if got := ran.programs(); !slices.Equal(got, []string{"/bin/once", "/bin/file", "/bin/left"}) {
		t.Fatalf("ran %q", got)
	}
	once, file, left := ran.ran[0], ran.ran[1], ran.ran[2]
	if string(once.Stdin) != annesWord+"\n" || once.Once == "" || once.User != "root" || once.Args[1] != "anne" || once.Args[3] != "x y" {
		t.Errorf("once %q, %q", once.Args, once.Once)
	}
	if string(file.SecretFile) != annesWord || !file.Interactive || file.Once != "" || len(file.Stdin) != 0 || !left.Detach {
		t.Error("a command does not get what its step says")
	}
	d.eventually("the message is kept for the user, who has no desktop", func() bool {
		d.agent.desks.mu.Lock()
		defer d.agent.desks.mu.Unlock()
		return slices.ContainsFunc(d.agent.desks.notices[annesUID], func(n agentapi.Notice) bool { return n.Text == "Welcome anne" })
	})
	d.mustTell(event.SetupStarted, 1)
	d.mustTell(event.SetupFinished, 1)
	d.mustTell(event.DomainJoined, 1)
	if err := d.run("hello"); err != nil {
		t.Error(err)
	}
	// Nothing is done again, after a restart of agent and machine either.
	d.act(agentapi.CommandStop)
	d.awaitState("ready")
	d.restart()
	d.startUp()
	if n := len(ran.programs()); n != 4 || d.setup().State != string(setup.Finished) { // hello was the fourth
		t.Errorf("ran %q", ran.programs())
	}
	if b, err := os.ReadFile(d.machine().folder.path(FileSetup)); err != nil || strings.Contains(string(b), annesWord) {
		t.Errorf("the record has the password: %v", err)
	}
	policymatrix.Exercised(t, policymatrix.Product,
		"spec.setup.message", "spec.setup.actions[].name", "spec.setup.actions[].renameComputer", "spec.setup.actions[].restart",
		"spec.setup.actions[].joinDomain.domain", "spec.setup.actions[].joinDomain.netbiosName", "spec.setup.actions[].joinDomain.organizationalUnit",
		"spec.setup.actions[].joinDomain.credentials", "spec.setup.actions[].checkConnectivity.address", "spec.setup.actions[].checkConnectivity.port",
		"spec.setup.actions[].checkConnectivity.timeout", "spec.setup.actions[].runCommand.path", "spec.setup.actions[].runCommand.arguments",
		"spec.setup.actions[].runCommand.password", "spec.setup.actions[].runCommand.wait", "spec.setup.actions[].runCommand.onlyOnce",
		"spec.setup.actions[].runCommand.allowInteraction", "spec.setup.actions[].disableAutomaticSignOn")
}

// TestSetupFailsAndIsCorrected: the workspace cannot be used until the corrected
// policy has gone on, and the password of the user is in no text.
func TestSetupFailsAndIsCorrected(t *testing.T) {
	var ran *commands
	d := aWorkspace(t, aScript("", "{runCommand: {path: /bin/first}}", "{runCommand: {path: /bin/wrong, password: stdin, failure: 'Call us, {user}.'}}"), "",
		func(d *desk) { ran = d.commands() })
	ran.set(func(c *commands) { c.status["/bin/wrong"] = 9 })
	d.act(agentapi.CommandStart)
	s := d.awaitSetup(setup.Failed)
	if s.Step != 2 || !strings.Contains(s.Failure, "status 9") || !strings.Contains(s.Failure, "no luck with (hidden)") {
		t.Errorf("%+v", s)
	}
	if err := d.run("hello"); !errors.Is(err, dormer.ErrConflict) || !strings.Contains(err.Error(), "step 2 of 2") {
		t.Errorf("usable: %v", err)
	}
	d.await("the failure is shown", func(w agentapi.Workspace) bool { return strings.Contains(w.Setup, "status 9") })
	d.mustTell(event.SetupFailed, 1)
	if _, err := d.agent.ActSetup(t.Context(), anne, "Office", agentapi.SetupCancel); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("cancel: %v", err)
	}
	d.changePolicy(2, aScript("", "{runCommand: {path: /bin/first}}", "{runCommand: {path: /bin/right}}"), "")
	d.awaitSetup(setup.Finished)
	if got := ran.programs(); !slices.Equal(got, []string{"/bin/first", "/bin/wrong", "/bin/right"}) {
		t.Errorf("ran %q", got)
	}
	d.eventually("the workspace can be used", func() bool { return d.run("hello") == nil })
	policymatrix.Exercised(t, policymatrix.Product, "spec.setup.actions[].runCommand.failure", "spec.setup.actions[].runCommand.failOnError")
}

// TestSetupAndKilledAgent: an agent that is gone while a command runs goes on
// with the next step; a command that runs only once does not run again.
func TestSetupAndKilledAgent(t *testing.T) {
	var ran *commands
	d := aWorkspace(t, aScript("", "{runCommand: {path: /bin/once, onlyOnce: true}}", "{runCommand: {path: /bin/next}}"), "",
		func(d *desk) { ran = d.commands() })
	ran.set(func(c *commands) { c.hold = make(chan struct{}) })
	d.act(agentapi.CommandStart)
	d.eventually("the command runs", func() bool { return len(ran.programs()) == 1 })
	if err := d.machine().setupPending(); err == nil {
		t.Error("usable while the script runs")
	}
	d.restart()
	ran.set(func(c *commands) { c.hold = nil })
	d.awaitSetup(setup.Finished)
	if got := ran.programs(); !slices.Equal(got, []string{"/bin/once", "/bin/next"}) {
		t.Errorf("ran %q", got)
	}
}

func TestSetupPostponedAndCancelled(t *testing.T) {
	var ran *commands
	d := aWorkspace(t, aScript("allowCancel: true, postpone: 1,", "{runCommand: {path: /bin/slow, progress: 'Please wait, {user}'}}"), "",
		func(d *desk) { ran = d.commands() })
	hold := make(chan struct{})
	ran.set(func(c *commands) { c.hold = hold })
	d.act(agentapi.CommandStart)
	s := d.awaitSetup(setup.Running)
	if !s.MayCancel || !s.MayPostpone || s.PostponesLeft != 1 {
		t.Errorf("%+v", s)
	}
	d.eventually("progress", func() bool { return d.setup().Message == "Please wait, anne" })
	d.eventually("the command runs", func() bool { return len(ran.programs()) == 1 })
	if _, err := d.agent.ActSetup(t.Context(), anne, "Office", agentapi.SetupPostpone); err != nil {
		t.Fatal(err)
	}
	d.mustTell(event.SetupPostponed, 1)
	ran.set(func(c *commands) { c.hold = nil })
	d.awaitArranged()
	if err := d.run("hello"); err != nil {
		t.Errorf("put off, and not usable: %v", err)
	}
	ran.set(func(c *commands) { c.hold = hold })
	if s, err := d.agent.ActSetup(t.Context(), anne, "Office", agentapi.SetupResume); err != nil || s.State == string(setup.Postponed) {
		t.Errorf("resume: %+v, %v", s, err)
	}
	d.awaitSetup(setup.Running)
	d.eventually("it runs again", func() bool { return len(ran.programs()) == 3 })
	if _, err := d.agent.ActSetup(t.Context(), anne, "Office", agentapi.SetupPostpone); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("more often than allowed: %v", err)
	}
	if _, err := d.agent.ActSetup(t.Context(), anne, "Office", agentapi.SetupCancel); err != nil {
		t.Fatal(err)
	}
	d.mustTell(event.SetupCancelled, 1)
	if err := d.run("hello"); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("cancelled, and usable: %v", err)
	}
	// The next start goes on.
	ran.set(func(c *commands) { c.hold = nil })
	d.act(agentapi.CommandStop)
	d.awaitState("ready")
	d.act(agentapi.CommandStart)
	d.awaitSetup(setup.Finished)
	policymatrix.Exercised(t, policymatrix.Product, "spec.setup.allowCancel", "spec.setup.postpone", "spec.setup.actions[].runCommand.progress")
}

// TestSetupWaitsForThePassword: after a restart of the agent no password is known;
// the script waits for it and does not fail.
func TestSetupWaitsForThePassword(t *testing.T) {
	var ran *commands
	d := aWorkspace(t, aScript("", "{runCommand: {path: /bin/secret, password: stdin}}"), "", func(d *desk) { ran = d.commands() })
	d.restart()
	d.act(agentapi.CommandStart)
	d.eventually("it waits", func() bool { return strings.Contains(d.setup().Failure, "password") })
	if s := d.setup(); s.State != string(setup.Running) || d.told(event.SetupFailed) != 0 || len(ran.programs()) != 0 {
		t.Errorf("%+v", s)
	}
	d.signIn(agentapi.SignInRequest{User: "anne", Password: annesWord})
	d.awaitSetup(setup.Finished)
}
