package agent

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/policymatrix"
	userside "github.com/dormer-project/dormer/internal/session"
	"github.com/dormer-project/dormer/internal/workspace"
)

// here is the user who runs the tests: what connects to a socket is theirs.
func here() agentapi.Peer { return agentapi.Peer{UID: uint32(os.Getuid())} }

// readyDesk is a desk whose machines start.
func readyDesk(t *testing.T, change func(*policy.Effective)) *desk {
	t.Helper()
	d := newDesk(t)
	d.images = &someImages{have: map[dormer.ImageID]bool{}, data: map[dormer.ImageID]string{}}
	if change != nil {
		d.house.set(func(h *house) { change(&h.policy) })
	}
	d.restart()
	return d
}

// anna signs anna in for the user who runs the tests.
func (d *desk) anna(word string) agentapi.User {
	d.t.Helper()
	d.house.set(func(h *house) { h.passwords["anna"] = word })
	u, err := d.agent.SignIn(d.t.Context(), here(), agentapi.SignInRequest{User: "anna", Password: word})
	if err != nil {
		d.t.Fatal(err)
	}
	return u
}

// startMachine starts the machine and returns how that went.
func (d *desk) startMachine() error {
	d.t.Helper()
	m := d.machine()
	if _, err := d.agent.Act(d.t.Context(), here(), string(m.id), agentapi.CommandStart); err != nil {
		return err
	}
	s := d.reach(func(s workspace.Snapshot) bool { return s.State == workspace.Running || s.State == workspace.Failed })
	return s.Err
}

func (d *desk) reach(done func(workspace.Snapshot) bool) workspace.Snapshot {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 20*time.Second)
	defer cancel()
	s, err := d.machine().rec.Await(ctx, done)
	if err != nil {
		d.t.Fatalf("the machine is %+v: %v", s, err)
	}
	return s
}

func (d *desk) stopMachine() {
	d.t.Helper()
	if _, err := d.agent.Act(d.t.Context(), here(), string(d.machine().id), agentapi.CommandStop); err != nil {
		d.t.Fatal(err)
	}
	d.reach(func(s workspace.Snapshot) bool { return s.State == workspace.Ready })
}

// serveLocal serves the agent's interface and returns a client of it.
func (d *desk) serveLocal() *agentapi.Client {
	d.t.Helper()
	socket := filepath.Join(d.t.TempDir(), "agent.sock")
	l, err := agentapi.Listen(d.t.Context(), socket, false)
	if err != nil {
		d.t.Fatal(err)
	}
	s := agentapi.NewServer(d.agent, slog.New(slog.DiscardHandler))
	go func() { _ = s.Serve(l) }()
	d.t.Cleanup(func() { _ = s.Close() })
	return agentapi.NewClient(socket)
}

// session starts a session process in this one and returns when it is
// connected.
func (d *desk) session(c *agentapi.Client, signIn func(context.Context) error) (stop func()) {
	d.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	connected := make(chan struct{}, 1)
	s := userside.New(userside.Config{
		Agent: c, Version: "1", Logger: slog.New(slog.DiscardHandler), SignIn: signIn,
		Env: func(name string) string { return map[string]string{"HOME": d.dir, "LANG": "de_DE.UTF-8"}[name] },
	})
	go func() {
		defer close(ended)
		if err := s.Run(ctx, func() { connected <- struct{}{} }); err != nil {
			d.t.Error(err)
		}
	}()
	stop = func() { cancel(); <-ended }
	d.t.Cleanup(stop)
	<-connected
	d.eventually("the session is connected", func() bool { return d.agent.deskOf(here().UID) != nil })
	return stop
}

func TestHostCommand(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "spec.general.hostCommand.command", "spec.general.hostCommand.stopOnFailure", "spec.general.hostCommand.timeout")
	d := readyDesk(t, func(p *policy.Effective) { p.General.HostCommand.Command = "touch 'before it starts'" })
	change := func(change func(*policy.EffectiveHostCommand)) {
		t.Helper()
		d.house.set(func(h *house) { change(&h.policy.General.HostCommand) })
		if err := d.agent.pollNow(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	mark := filepath.Join(d.dir, "before it starts")
	d.anna(annesWord)
	c := d.serveLocal()

	// Without anybody to run it the policy decides.
	if err := d.startMachine(); err != nil {
		t.Error(err)
	}
	d.mustTell(event.NoSession, 1)
	d.stopMachine()
	change(func(h *policy.EffectiveHostCommand) { h.StopOnFailure = true })
	d.want(d.startMachine(), dormer.ErrUnavailable, "no session process of the user is connected")
	d.mustTell(event.NoSession, 2)

	stop := d.session(c, nil)
	if err := d.startMachine(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(mark); err != nil {
		t.Errorf("the command has not run: %v", err)
	}
	d.mustTell(event.HostCommandFailed, 0)
	d.stopMachine()
	failed := 0
	for command, says := range map[string]string{
		"sh -c 'exit 3'":    "sh ended with status 3",
		"sleep 600":         "longer than 1s",
		"no-such-program-x": "cannot be run",
	} {
		change(func(h *policy.EffectiveHostCommand) {
			h.Command, h.StopOnFailure, h.Timeout = command, true, policy.Duration(time.Second)
		})
		d.want(d.startMachine(), dormer.ErrDenied, says)
		failed++
		d.mustTell(event.HostCommandFailed, failed)
		change(func(h *policy.EffectiveHostCommand) { h.StopOnFailure = false })
		if err := d.startMachine(); err != nil {
			t.Error(err)
		}
		failed++
		d.mustTell(event.HostCommandFailed, failed)
		d.stopMachine()
	}
	stop()
	d.eventually("the session is gone", func() bool { return d.agent.deskOf(here().UID) == nil })
}

func TestSessionProcesses(t *testing.T) {
	d := readyDesk(t, nil)
	c := d.serveLocal()
	if s, err := c.DeskStatus(t.Context()); err != nil || s.Connected {
		t.Errorf("status is %+v, %v", s, err)
	}
	d.want(c.EndDesk(t.Context()), dormer.ErrNotFound, "no session process")
	d.session(c, nil)
	if s, err := c.DeskStatus(t.Context()); err != nil || !s.Connected || s.PID != int32(os.Getpid()) {
		t.Errorf("status is %+v, %v", s, err)
	}
	if e, err := d.agent.environment(t.Context(), here().UID); err != nil || e.Locale != "de_DE.UTF-8" {
		t.Errorf("environment is %+v, %v", e, err)
	}
	// Another process of the same user is refused while the first one answers.
	other := agentapi.Peer{UID: here().UID, PID: 1}
	if _, err := d.agent.TakeDesk(t.Context(), other, agentapi.DeskHello{}); !errors.Is(err, dormer.ErrExists) {
		t.Errorf("a second session gives %v", err)
	}
	// Nobody else's requests reach it.
	if _, ok := d.agent.desk(here().UID + 1); ok {
		t.Error("another user has this user's session")
	}
	if err := c.EndDesk(t.Context()); err != nil {
		t.Error(err)
	}
	d.eventually("the session is gone", func() bool { return d.agent.deskOf(here().UID) == nil })
}

// TestOwnAgentTakesOwnSessionOnly: an agent of one user takes no session of
// another, root's included.
func TestOwnAgentTakesOwnSessionOnly(t *testing.T) {
	d := newDesk(t)
	d.managed = false
	d.restart()
	d.agent.ownUID = 1001
	for _, uid := range []uint32{0, 1002} {
		if _, err := d.agent.TakeDesk(t.Context(), agentapi.Peer{UID: uid}, agentapi.DeskHello{}); !errors.Is(err, dormer.ErrDenied) {
			t.Errorf("a session of user %d gives %v", uid, err)
		}
	}
	if _, err := d.agent.TakeDesk(t.Context(), agentapi.Peer{UID: 1001}, agentapi.DeskHello{}); err != nil {
		t.Error(err)
	}
}

func TestNoticesWithoutADesktop(t *testing.T) {
	d := readyDesk(t, nil)
	d.anna(annesWord)
	d.agent.notifyUser(d.machine(), "Office stops", "Save your work.")
	status := func() agentapi.Status {
		s, err := d.agent.Status(t.Context(), here())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	d.eventually("the message is kept", func() bool { return len(status().Notices) == 1 })
	if n := status().Notices[0]; n.Title != "Office stops" || n.Workspace != "Office" {
		t.Errorf("the message is %+v", n)
	}
	if s, err := d.agent.Status(t.Context(), agentapi.Peer{UID: here().UID + 1}); err != nil || len(s.Notices) > 0 {
		t.Errorf("another user sees %+v, %v", s.Notices, err)
	}
	d.pass(25 * time.Hour)
	if n := status().Notices; len(n) > 0 {
		t.Errorf("a day later there are still %+v", n)
	}
}

func TestStartAtSignOn(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "spec.machine.start")
	d := readyDesk(t, func(p *policy.Effective) { p.Machine.Start = policy.StartSignOn })
	running := func(s workspace.Snapshot) bool { return s.State == workspace.Running }
	d.anna(annesWord)
	d.reach(running) // by the sign-in
	d.stopMachine()
	c := d.serveLocal()
	stop := d.session(c, nil)
	d.reach(running) // by the session
	d.stopMachine()
	// A connection that was lost and is there again is no sign-on.
	before := d.agent.deskOf(here().UID)
	_ = before.Close()
	d.eventually("the session is back", func() bool {
		now := d.agent.deskOf(here().UID)
		return now != nil && now != before
	})
	if s := d.machine().rec.Snapshot(); s.Desired != workspace.Stopped {
		t.Errorf("the machine is %+v", s)
	}
	stop()
}

// TestSignInByTicketAgain: a session that the server has ended is made good by
// the session process.
func TestSignInByTicketAgain(t *testing.T) {
	d := readyDesk(t, nil)
	c := d.serveLocal()
	asked := make(chan struct{}, 4)
	d.session(c, func(ctx context.Context) error {
		asked <- struct{}{}
		d.house.set(func(h *house) { h.codes["by ticket"] = "anna" })
		_, err := c.SignInCode(ctx, "by ticket")
		return err
	})
	<-asked // as it connects
	d.eventually("anna is signed in", func() bool { return d.agent.signedIn("local/anna") })
	d.house.set(func(h *house) { h.ended = []string{"session-1"} })
	if err := d.agent.pollNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-asked
	d.eventually("anna is signed in again", func() bool {
		d.agent.mu.Lock()
		defer d.agent.mu.Unlock()
		s, ok := d.agent.users.find("local/anna")
		return ok && s.ID != "session-1"
	})
}

// TestSessionAnswersWrongly: what a session process answers is bounded and
// checked.
func TestSessionAnswersWrongly(t *testing.T) {
	d := readyDesk(t, func(p *policy.Effective) {
		p.General.HostCommand = policy.EffectiveHostCommand{Command: "true", Timeout: policy.Duration(time.Minute), StopOnFailure: true}
	})
	d.anna(annesWord)
	c := d.serveLocal()
	conn, err := c.ConnectDesk(t.Context(), agentapi.DeskHello{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	answers := make(chan string, 1)
	go agentapi.ServeDesk(ctx, conn, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(<-answers)) }))
	d.eventually("the session is connected", func() bool { return d.agent.deskOf(here().UID) != nil })
	for _, a := range []string{"", "no JSON", `{"exit_status":"0"}`, "[" + strings.Repeat("[", 1<<20)} {
		answers <- a
		d.want(d.startMachine(), dormer.ErrDenied, "not as expected")
	}
}
