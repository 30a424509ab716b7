package agent

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/workspace"
)

// touch notes that the user uses the machine now.
func (m *machine) touch() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used = m.agent.time.Boot()
	if !m.record.Woken.IsZero() {
		// The user came while it ran for its own updates: it is the user's now.
		m.record.Woken = time.Time{}
		m.agent.logError(m.agent.ctx, "record", m.save())
	}
}

// idle is for how long nobody has used the machine: neither its guest as that
// says, nor from outside. 0 when the guest does not say. The caller holds mu.
func (m *machine) idle() time.Duration {
	outside := m.agent.time.Boot() - m.used
	return max(0, min(m.status.Guest.Idle, outside))
}

// saveTime bounds the saving of a machine's memory.
const saveTime = 10 * time.Minute

// keepsState reports whether a stop keeps the machine's memory: its policy says
// so, it can, and no update waits for the next start, which has to be a fresh one.
func (m *machine) keepsState() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.policy != nil && m.policy.Machine.OnStop == policy.StopSaveState && m.record.Overlay == hypervisor.OverlayKeep &&
		m.next() == "" && !m.record.Back
}

// rest is what a machine that is stopped is wanted to be, as its policy says.
func (m *machine) rest() workspace.Desired {
	if m.keepsState() {
		return workspace.Kept
	}
	return workspace.Stopped
}

// stop stops a machine unless it may not run anyway.
func (m *machine) stop() {
	if m.rec.Snapshot().Desired != workspace.Halted {
		m.rec.Want(m.rest())
	}
}

// want starts or restarts a machine if its lease allows it. What is restarted
// does not go on from saved memory.
func (m *machine) want(d workspace.Desired) error {
	a := m.agent
	t, _ := a.all()
	j := m.judge(t, a.clock.Read())
	if err := j.Err(); err != nil {
		a.tell(event.New(refusalEvents[j.Verdict], a.now(), j.Detail), m)
		return err
	}
	m.touch()
	m.stoppedAsOrdered()
	m.mu.Lock()
	m.fresh = d == workspace.Restart
	m.mu.Unlock()
	m.rec.Want(d)
	return nil
}

// use starts a machine because the user wants something in it, unless the policy
// leaves starting to the user.
func (m *machine) use() error {
	m.mu.Lock()
	manual := m.policy != nil && m.policy.Machine.Start == policy.StartManual
	m.mu.Unlock()
	if s := m.rec.Snapshot(); manual && !s.State.Live() && s.State != workspace.Starting {
		return fmt.Errorf("the workspace is started by hand only: run 'dormer start' first: %w", dormer.ErrConflict)
	}
	return m.want(workspace.Run)
}

// Saved implements workspace.Body.
func (m *machine) Saved() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.record.Saved
}

// findSaved notes memory that was saved just before the agent ended.
func (m *machine) findSaved() {
	if _, err := os.Stat(m.folder.path(DirDisks, hypervisor.FileSavedState)); err != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.record.Saved = m.record.Overlay == hypervisor.OverlayKeep
}

// Save implements workspace.Body.
func (m *machine) Save(ctx context.Context) error {
	vm := m.machineNow()
	if vm == nil {
		return nil
	}
	if !m.canSave() {
		return m.shutDown(ctx)
	}
	short, cancel := context.WithTimeout(ctx, saveTime)
	defer cancel()
	err := vm.Save(short)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		m.agent.tell(event.New(event.WorkspaceNotSaved, m.agent.now(), dormer.Plain(err)), m)
		return m.shutDown(ctx)
	}
	m.mu.Lock()
	m.record.Saved = true
	err = m.save()
	m.mu.Unlock()
	m.agent.logError(ctx, "record", err) // the files say it, too
	m.ended(vm)
	return nil
}

// Suspend implements workspace.Body.
func (m *machine) Suspend(ctx context.Context) error {
	vm := m.machineNow()
	if vm == nil {
		return fmt.Errorf("suspend machine: it does not run: %w", dormer.ErrUnavailable)
	}
	short, cancel := context.WithTimeout(ctx, m.agent.cfg.StopTime)
	defer cancel()
	if err := vm.Suspend(short); err != nil {
		return err
	}
	m.setHeld(vm, true)
	return nil
}

// Resume implements workspace.Body.
func (m *machine) Resume(ctx context.Context) error {
	vm := m.machineNow()
	if vm == nil {
		return nil // it has ended meanwhile, and whoever noticed tells
	}
	if err := m.goOn(ctx, vm); err != nil {
		return err
	}
	m.touch()
	m.rearrangeResumed()
	return nil
}

// goOn lets a machine that is suspended go on.
func (m *machine) goOn(ctx context.Context, vm hypervisor.Machine) error {
	short, cancel := context.WithTimeout(ctx, m.agent.cfg.StopTime)
	defer cancel()
	if err := vm.Resume(short); err != nil {
		return err
	}
	m.setHeld(vm, false)
	return nil
}

func (m *machine) setHeld(vm hypervisor.Machine, held bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.vm == vm {
		m.held = held
		m.holds++
	}
}

// suspendedNow asks a machine that was found whether it is suspended.
func (m *machine) suspendedNow(ctx context.Context, vm hypervisor.Machine) bool {
	short, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	st, err := vm.Status(short)
	return err == nil && st.State == hypervisor.StatePaused && st.Reason == hypervisor.ReasonSuspended
}

// idleDetail says why a machine was suspended.
func (m *machine) idleDetail() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.policy == nil || m.policy.Machine.SuspendIdle == 0 {
		return ""
	}
	return "idle for " + m.policy.Machine.SuspendIdle.String()
}

// windowLooks is how many looks in a row have to find no application before the
// last window counts as closed: one application may start the next.
const windowLooks = 2

// follow does what the policy says of a guest that nobody uses and of one whose
// last window was closed, after a look at it.
func (m *machine) follow() {
	m.mu.Lock()
	p, st, idle := m.policy, m.status, m.idle()
	if st.Guest.Applications > 0 {
		m.windows, m.empty = st.Guest.Applications, 0
	} else if m.windows > 0 {
		m.empty++
	}
	closed := m.empty >= windowLooks
	if closed {
		m.windows, m.empty = 0, 0
	}
	woken := !m.record.Woken.IsZero()
	m.mu.Unlock()
	if p == nil || !st.Guest.Up || st.State != hypervisor.StateRunning {
		return
	}
	m.lockIdle()
	if now := m.rec.Snapshot(); now.Desired != workspace.Run || now.State != workspace.Running {
		return
	}
	switch after := p.Machine.SuspendIdle; {
	case closed && p.Machine.LastWindow == policy.LastWindowSaveState && m.canSave():
		m.rec.Want(workspace.Kept)
	case closed && p.Machine.LastWindow != policy.LastWindowContinue:
		m.rec.Want(workspace.Stopped)
	case after == 0 || woken || idle < after.Duration():
	case m.canSave():
		m.rec.Want(workspace.Kept)
	default:
		m.rec.Want(workspace.Held)
	}
}

// window is one opening of the daily window for a guest's own updates.
type window struct{ from, to time.Time }

// windowAt returns the window that is open at now, in the zone of now. A day on
// which the clocks change has one window of the same length as any other.
func windowAt(w *policy.EffectiveMaintenance, now time.Time) (window, bool) {
	for _, days := range []int{0, -1} {
		y, mo, d := now.Date()
		from := time.Date(y, mo, d+days, int(w.From)/60, int(w.From)%60, 0, 0, now.Location())
		open := window{from: from, to: from.Add(w.Length.Duration())}
		if !now.Before(open.from) && now.Before(open.to) {
			return open, true
		}
	}
	return window{}, false
}

// guestUpdates wakes a persistent machine in the window for its guest's own
// updates, and lets it rest again when the window closes. now is the host's
// local time.
func (m *machine) guestUpdates(now time.Time) {
	m.mu.Lock()
	p, woken, last := m.policy, m.record.Woken, m.record.LastWindow
	keeps := m.record.Overlay == hypervisor.OverlayKeep
	m.mu.Unlock()
	s := m.rec.Snapshot()
	if !woken.IsZero() && !now.Before(woken) {
		m.setWoken(time.Time{}, last)
		if s.Desired == workspace.Run {
			m.rec.Want(m.rest())
		}
		return
	}
	if p == nil || p.Machine.GuestUpdates == nil || !keeps || !woken.IsZero() {
		return
	}
	w, open := windowAt(p.Machine.GuestUpdates, now)
	if !open || last.Equal(w.from) || s.State != workspace.Suspended && (!s.State.AtRest() || s.State == workspace.Failed) {
		return
	}
	if s.Desired != workspace.Stopped && s.Desired != workspace.Kept && s.Desired != workspace.Held {
		return
	}
	t, _ := m.agent.all()
	if m.judge(t, m.agent.clock.Read()).Verdict != lease.Allowed {
		return
	}
	m.setWoken(w.to, w.from)
	m.agent.tell(event.New(event.GuestUpdateTime, m.agent.now(), "until "+w.to.Format("15:04")), m)
	m.mu.Lock()
	m.fresh = false
	m.mu.Unlock()
	m.rec.Want(workspace.Run)
}

// setWoken keeps until when the machine runs for its updates, and the opening of
// the window for which it was woken last.
func (m *machine) setWoken(until, window time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.record.Woken, m.record.LastWindow = until, window
	if err := m.save(); err != nil {
		m.agent.log.LogAttrs(m.agent.ctx, slog.LevelError, "a machine's record cannot be kept", slog.String("machine", string(m.id)), slog.Any("error", err))
	}
}

// maintain does for all machines what comes with time alone.
func (a *Agent) maintain() {
	now := a.time.Wall().In(time.Local)
	_, all := a.all()
	for _, m := range all {
		m.guestUpdates(now)
	}
}
