package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/workspace"
)

func sameName(a, b string) bool { return name.Fold(a) == name.Fold(b) }

// Status implements agentapi.Info.
func (a *Agent) Status(_ context.Context, peer agentapi.Peer) (agentapi.Status, error) {
	if err := a.mayUse(peer); err != nil {
		return agentapi.Status{}, err
	}
	reading := a.clock.Read()
	s := agentapi.Status{
		AgentVersion: a.cfg.Version, Managed: a.cfg.Managed, Host: a.host().Name, LastAnswer: reading.Answer,
		Users: []agentapi.User{}, Workspaces: a.workspacesOf(peer.UID, reading), Notices: a.noticesOf(peer.UID),
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.journal == nil {
		return agentapi.Status{}, fmt.Errorf("the agent is stopping: %w", dormer.ErrUnavailable)
	}
	if a.able.Hypervisor != "" {
		s.Hypervisor = a.able.Hypervisor + ", " + a.able.Accelerator
		s.Notes = append(s.Notes, a.able.Notes...)
	}
	if a.unable != "" {
		s.Notes = append(s.Notes, a.unable)
	}
	s.EventsWaiting, s.NextPoll, s.Problem = a.journal.Len()+a.repeats.Len(), a.poll.next, a.poll.problem
	if a.trust != nil {
		s.Enrolled, s.Client, s.Instance, s.Epoch = true, a.trust.Client, a.trust.Instance, a.trust.Epoch
		s.Online = a.poll.answered && a.poll.problem == ""
		s.Server = a.link.Server()
	}
	mine := a.users.of(peer.UID)
	for _, u := range mine {
		user := userOf(u)
		user.Saved = a.savedOf(u.User.ID())
		s.Users = append(s.Users, user)
	}
	if len(mine) > 0 && len(mine) == len(a.users.Sessions) {
		// With others signed in it is not known whom a notice is about.
		for _, reason := range a.poll.notices {
			s.Notes = append(s.Notes, reason)
		}
	}
	if len(mine) == 0 && a.trust != nil && a.trust.Again {
		s.Notes = append(s.Notes, "this client was enrolled anew: users must sign in again")
	}
	slices.Sort(s.Notes)
	return s, nil
}

// Refresh implements agentapi.Info.
func (a *Agent) Refresh(ctx context.Context, peer agentapi.Peer) (agentapi.Status, error) {
	if err := a.mayUse(peer); err != nil {
		return agentapi.Status{}, err
	}
	if err := a.pollNow(ctx); err != nil {
		return agentapi.Status{}, err
	}
	return a.Status(ctx, peer)
}

// tailSize is how much of a log diagnostics show, in bytes.
const tailSize = 16 << 10

// Diagnostics implements agentapi.Info.
func (a *Agent) Diagnostics(ctx context.Context, peer agentapi.Peer) (agentapi.Diagnostics, error) {
	s, err := a.Status(ctx, peer)
	if err != nil {
		return agentapi.Diagnostics{}, err
	}
	d := agentapi.Diagnostics{Status: s, Clock: a.now(), Machines: []agentapi.MachineDiagnostics{}}
	if peer.UID == 0 || peer.UID == a.ownUID {
		d.StateFolder = string(a.state)
	}
	_, all := a.all()
	for _, m := range all {
		if m.uid == peer.UID {
			d.Machines = append(d.Machines, agentapi.MachineDiagnostics{
				Machine: m.id, Log: tail(m.folder.path(DirDisks, hypervisor.FileLog)), Console: tail(m.folder.path(DirDisks, hypervisor.FileConsole)),
			})
		}
	}
	slices.SortFunc(d.Machines, func(x, y agentapi.MachineDiagnostics) int {
		return strings.Compare(string(x.Machine), string(y.Machine))
	})
	return d, nil
}

// tail returns the end of a file, "" when it cannot be read.
func tail(path string) string { return tailOf(path, tailSize) }

// tailOf is tail of at most so many bytes.
func tailOf(path string, most int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	b, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-most), most))
	if err != nil {
		return ""
	}
	return strings.ToValidUTF8(string(b), "?")
}

// Workspaces implements agentapi.Machines.
func (a *Agent) Workspaces(_ context.Context, peer agentapi.Peer) ([]agentapi.Workspace, error) {
	if err := a.mayUse(peer); err != nil {
		return nil, err
	}
	return a.workspacesOf(peer.UID, a.clock.Read()), nil
}

func (a *Agent) workspacesOf(uid uint32, r lease.Reading) []agentapi.Workspace {
	t, all := a.all()
	out := []agentapi.Workspace{}
	for _, m := range all {
		if m.uid == uid {
			out = append(out, m.describe(t, r))
		}
	}
	setApart(out)
	slices.SortFunc(out, func(x, y agentapi.Workspace) int {
		return strings.Compare(x.Name+"\x00"+string(x.Machine), y.Name+"\x00"+string(y.Machine))
	})
	return out
}

// setApart gives machines that may not run another name where it is that of one
// that may.
func setApart(all []agentapi.Workspace) {
	permitted := map[string]bool{}
	for _, w := range all {
		if w.Permitted {
			permitted[name.Fold(w.Name)] = true
		}
	}
	for i, w := range all {
		if !w.Permitted && permitted[name.Fold(w.Name)] {
			all[i].Name += " (earlier)"
		}
	}
}

// describe is what its user sees of a machine.
func (m *machine) describe(t *trust, r lease.Reading) agentapi.Workspace {
	j := m.judge(t, r)
	c := m.consequence(j)
	now := m.rec.Snapshot()
	setup := m.setupPending()
	m.mu.Lock()
	defer m.mu.Unlock()
	w := agentapi.Workspace{
		Machine: m.id, Name: m.record.Name, User: m.record.User.Name, Persistent: m.record.Overlay == hypervisor.OverlayKeep,
		State: string(now.State), Desired: string(now.Desired), Detail: now.Detail, Ready: m.status.Guest.Ready, Guest: m.status.Guest.Hostname,
		Permitted: j.Verdict == lease.Allowed, Verdict: j.String(), Image: m.imageName(), Applications: []agentapi.Application{},
	}
	if !w.Permitted {
		w.Verdict = m.refusal(j, c, now.State, r)
		if w.Detail == "" {
			w.Detail = w.Verdict
		}
	}
	if now.Err != nil {
		w.Error = now.Err.Error()
	}
	if l := m.lease; l != nil {
		w.Workspace, w.PolicyRevision, w.ValidUntil = l.Workspace, l.PolicyRevision, l.ValidUntil
		if l.OfflineBudget != nil && w.Permitted {
			left := max(0, *l.OfflineBudget-int64(lease.BudgetUsed(*l, r)/time.Second))
			w.OfflineLeft = &left
		}
		if w.Guest == "" {
			w.Guest = l.ComputerName
		}
	}
	m.showLife(&w, now.State, setup, r)
	if p := m.policy; p != nil {
		w.Support = p.General.SupportContact
		if m.record.Overlay == "" {
			w.Persistent = !p.Machine.Revertible
		}
		for _, app := range p.Applications.Published {
			w.Applications = append(w.Applications, agentapi.Application{Name: app.Name, Description: app.Description})
		}
	}
	return w
}

// showLife tells its user what of the machine is out of the ordinary. The caller
// holds mu.
func (m *machine) showLife(w *agentapi.Workspace, now workspace.State, setup error, r lease.Reading) {
	w.Suspended, w.Saved = now == workspace.Suspended, m.record.Saved
	w.AtNextStart, w.Missing = m.waiting, m.status.Missing
	if now.Live() {
		w.Unarranged = m.unarranged()
	}
	if l := m.record.Lock; l != nil {
		w.Locked = l.Reason
	}
	if setup != nil {
		w.Setup, w.SetupStopped = dormer.Plain(setup), errors.Is(setup, dormer.ErrConflict)
	}
	if p := m.policy; p != nil {
		w.NotEnforced = p.NotEnforced()
		w.NeedsSession = needsSession(p)
	}
	if e := m.record.Ending; e != nil {
		what := "stops at "
		switch {
		case e.Delete:
			what = "is deleted at "
		case e.Reset:
			what = "goes back to its image at "
		}
		w.Warnings = append(w.Warnings, what+clockText(e.At, e.At.Sub(r.Now))+": "+e.Reason)
	}
	if now == workspace.Running && m.status.Guest.Problem != "" {
		w.Warnings = append(w.Warnings, m.status.Guest.Problem)
	}
	m.showUpdate(w)
}

// refusal says why a machine may not run, and what comes of it. The caller holds
// mu.
func (m *machine) refusal(j lease.Judgement, c consequence, now workspace.State, r lease.Reading) string {
	switch {
	case m.record.Earlier && !now.Live():
		return "kept from an earlier enrolment of this client, and does not start; its data is in " + m.disks()
	case m.record.Removing != "" || c.alone && !now.Live():
		return j.String() + "; it is being deleted from this computer"
	case c.deletes && !now.Live():
		return j.String() + "; it may not start, and is deleted unless the server permits it again"
	case !now.Live():
		return j.String() + "; it may not start, its data is kept"
	case c.endless && c.do == policy.LimitLock:
		return j.String() + "; it is locked until the server permits it again"
	case c.endless:
		return j.String() + "; it runs on until it is stopped, and does not start again"
	case c.left > 0 && c.do == policy.LimitDelete:
		return j.String() + "; it is stopped and deleted at " + clockText(r.Now.Add(c.left), c.left) + ", save your work elsewhere"
	case c.left > 0:
		return j.String() + "; stops at " + clockText(r.Now.Add(c.left), c.left) + ", save your work"
	default:
		return j.String() + "; it is being stopped"
	}
}

// machineOf finds a machine of a local user by identity or workspace name.
// Those of others are not found. A machine that may not run does not take the
// name of one that may.
func (a *Agent) machineOf(peer agentapi.Peer, which string) (*machine, error) {
	if err := a.mayUse(peer); err != nil {
		return nil, err
	}
	t, all := a.all()
	r := a.clock.Read()
	var permitted, live, rest []*machine
	for _, m := range all {
		if m.uid != peer.UID {
			continue
		}
		if string(m.id) == which {
			return m, nil
		}
		m.mu.Lock()
		named := sameName(m.record.Name, which)
		m.mu.Unlock()
		switch {
		case !named:
		case m.judge(t, r).Verdict == lease.Allowed:
			permitted = append(permitted, m)
		case m.rec.Snapshot().State.Live():
			live = append(live, m)
		default:
			rest = append(rest, m)
		}
	}
	for _, found := range [][]*machine{permitted, live} {
		switch len(found) {
		case 0:
		case 1:
			return found[0], nil
		default:
			return nil, fmt.Errorf("several workspaces are called %.80q: name the machine by its identity: %w", which, dormer.ErrConflict)
		}
	}
	if len(rest) == 0 {
		return nil, fmt.Errorf("there is no workspace %.80q here: %w", which, dormer.ErrNotFound)
	}
	// None of them runs or may: whichever it is, the answer is the same.
	return slices.MinFunc(rest, func(x, y *machine) int { return strings.Compare(string(x.id), string(y.id)) }), nil
}

// Act implements agentapi.Machines.
func (a *Agent) Act(_ context.Context, peer agentapi.Peer, which string, c agentapi.Command) (agentapi.Workspace, error) {
	m, err := a.machineOf(peer, which)
	if err != nil {
		return agentapi.Workspace{}, err
	}
	switch c {
	case agentapi.CommandStart:
		err = m.want(workspace.Run)
	case agentapi.CommandRestart:
		err = m.want(workspace.Restart)
	case agentapi.CommandStop:
		m.stop()
	case agentapi.CommandKill:
		if m.rec.Snapshot().Desired != workspace.Halted {
			m.rec.Want(workspace.Stopped)
		}
		err = m.Kill(a.ctx)
	default:
		err = dormer.Invalidf("command", "is not one of start, stop, restart and kill")
	}
	if err != nil {
		return agentapi.Workspace{}, err
	}
	t, _ := a.all()
	return m.describe(t, a.clock.Read()), nil
}

// RunApplication implements agentapi.Machines.
func (a *Agent) RunApplication(ctx context.Context, peer agentapi.Peer, which string, r agentapi.RunRequest) (agentapi.RunResult, error) {
	m, err := a.machineOf(peer, which)
	if err != nil {
		return agentapi.RunResult{}, err
	}
	app, err := m.application(r.Application)
	if err != nil {
		return agentapi.RunResult{}, err
	}
	vm, err := m.up(ctx)
	if err != nil {
		return agentapi.RunResult{}, err
	}
	if err := m.readyFor(ctx, vm, app); err != nil {
		return agentapi.RunResult{}, err
	}
	result, err := m.execute(ctx, vm, app, r.Detach)
	if err != nil {
		a.tell(event.New(event.ApplicationFailed, a.now(), app.Name+": "+dormer.Plain(err)), m)
		return agentapi.RunResult{}, fmt.Errorf("run application %s: %w", app.Name, err)
	}
	m.touch()
	a.tell(event.New(event.ApplicationRun, a.now(), app.Name), m)
	return agentapi.RunResult{Stdout: result.Stdout, Stderr: result.Stderr, ExitStatus: result.ExitCode, Truncated: result.Truncated}, nil
}

// application finds a published application of the machine's policy.
func (m *machine) application(which string) (policy.EffectiveApplication, error) {
	m.mu.Lock()
	p := m.policy
	m.mu.Unlock()
	if p == nil {
		return policy.EffectiveApplication{}, fmt.Errorf("the workspace's policy is not here: %w", dormer.ErrUnavailable)
	}
	app, ok := p.Application(which)
	if !ok {
		return app, fmt.Errorf("the workspace publishes no such application: %w", dormer.ErrNotFound)
	}
	return app, nil
}

// readyFor waits for what an application needs of the guest's arrangement, and
// returns why the workspace cannot be used.
func (m *machine) readyFor(ctx context.Context, vm hypervisor.Machine, app policy.EffectiveApplication) error {
	m.mu.Lock()
	needs := app.UserCredentials || m.policy != nil && (len(m.policy.Setup.Actions) > 0 || len(m.policy.Applications.NetworkDrives) > 0 ||
		len(m.policy.Deployment.SharedFolders) > 0)
	m.mu.Unlock()
	if needs {
		if err := m.awaitArranged(ctx, vm); err != nil {
			return err
		}
	}
	return m.usable()
}

// up starts the machine if it does not run, lets it go on if it is suspended, and
// returns it once it runs. The image may have to come first.
func (m *machine) up(ctx context.Context) (hypervisor.Machine, error) {
	if vm := m.machineNow(); vm != nil && m.rec.Snapshot().State.Live() {
		if err := m.open(); err != nil {
			return nil, err
		}
		if s := m.rec.Snapshot(); s.State != workspace.Suspended && s.Desired != workspace.Held {
			return vm, nil
		}
	}
	if err := m.open(); m.locked() && err != nil {
		return nil, err
	}
	if err := m.use(); err != nil {
		return nil, err
	}
	s, err := m.rec.Await(ctx, func(s workspace.Snapshot) bool {
		return s.State == workspace.Running || s.Err != nil || s.Desired != workspace.Run && !s.State.Busy()
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("wait for the workspace to start: %w", err)
	case s.Err != nil:
		return nil, s.Err
	}
	if vm := m.machineNow(); vm != nil {
		return vm, nil
	}
	return nil, fmt.Errorf("the workspace was stopped meanwhile: %w", dormer.ErrConflict)
}
