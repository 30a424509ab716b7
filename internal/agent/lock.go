package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/workspace"
)

// lockState says since when and why a machine is locked.
type lockState struct {
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
	// Limit says that a limit of the lease locked it: only a lease that allows it
	// again lets it be unlocked.
	Limit bool `json:"limit,omitempty"`
}

// usable returns nil when the user may work with the machine now: its lease
// allows it or its grace is not over, it is not locked, and its first-time setup is
// finished. Whatever opens a way into a guest asks it first. ErrDenied with the
// reason and what to do.
func (m *machine) usable() error {
	if err := m.open(); err != nil {
		return err
	}
	return m.setupPending()
}

// running returns the machine for something that its user does with it now. One
// that is suspended goes on. ErrUnavailable when it does not run; other errors are
// those of usable.
func (m *machine) running(ctx context.Context) (hypervisor.Machine, error) {
	if err := m.usable(); err != nil {
		return nil, err
	}
	if m.machineNow() == nil {
		return nil, fmt.Errorf("the workspace does not run; 'dormer start' starts it: %w", dormer.ErrUnavailable)
	}
	m.touch()
	return m.up(ctx)
}

// open is usable without the setup: it may be what has to be seen.
func (m *machine) open() error {
	t, _ := m.agent.all()
	j := m.judge(t, m.agent.clock.Read())
	if j.Verdict != lease.Allowed && !m.grace(j) {
		return j.Err()
	}
	if l := m.lockNow(); l != nil {
		return fmt.Errorf("the workspace is locked (%s); run 'dormer unlock': %w", l.Reason, dormer.ErrDenied)
	}
	return nil
}

// locked reports whether the machine is locked.
func (m *machine) locked() bool { return m.lockNow() != nil }

func (m *machine) lockNow() *lockState {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.record.Lock
}

// lock locks the machine and the sessions in its guest until its user proves
// who they are. It is harmless to repeat; a limit stays the reason.
func (m *machine) lock(reason string, limit bool) error {
	now := m.agent.now()
	m.mu.Lock()
	was := m.record.Lock
	if was != nil && (was.Limit || !limit) {
		m.mu.Unlock()
		return nil
	}
	m.record.Lock = &lockState{Since: now, Reason: reason, Limit: limit}
	err := m.save()
	if err != nil {
		// It counts for now: what cannot be kept must not open it.
		m.agent.log.LogAttrs(m.agent.ctx, slog.LevelError, "a lock cannot be kept", slog.String("machine", string(m.id)), slog.Any("error", err))
	}
	vm := m.vm
	m.mu.Unlock()
	m.agent.tell(event.New(event.WorkspaceLocked, now, reason), m)
	if vm != nil && m.agent.ctx.Err() == nil {
		m.agent.running.Go(func() { m.lockGuest(m.agent.ctx, vm) })
	}
	return err
}

// lockTime bounds the wait for a guest to lock its sessions.
const lockTime = 30 * time.Second

// lockGuest locks the sessions inside. A guest that cannot is closed all the
// same: nothing leads into it.
func (m *machine) lockGuest(ctx context.Context, vm hypervisor.Machine) {
	short, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	err := vm.Ask(short, guestwire.CapLock, guestwire.MethodLock, nil, nil)
	if err != nil && !errors.Is(err, dormer.ErrUnsupported) && ctx.Err() == nil {
		m.agent.log.LogAttrs(ctx, slog.LevelWarn, "the sessions of a guest are not locked", slog.String("machine", string(m.id)), slog.Any("error", err))
	}
}

// lockAtLimit locks a machine that may not run any more but is not stopped.
func (m *machine) lockAtLimit(j lease.Judgement) {
	if l := m.lockNow(); l != nil && l.Limit {
		return
	}
	m.agent.logError(m.agent.ctx, "lock", m.lock(j.String(), true))
}

// lockIdle locks the machine after it was idle for as long as its policy says.
func (m *machine) lockIdle() {
	m.mu.Lock()
	p := m.policy
	due := p != nil && p.Machine.Lock.Idle > 0 && m.idle() >= p.Machine.Lock.Idle.Duration() && m.record.Lock == nil
	m.mu.Unlock()
	if due {
		m.agent.logError(m.agent.ctx, "lock", m.lock("idle for "+p.Machine.Lock.Idle.String(), false))
	}
}

// hostSleeps is called before the computer goes to sleep, and returns when it
// may.
func (a *Agent) hostSleeps() {
	_, all := a.all()
	for _, m := range all {
		m.mu.Lock()
		locks := m.policy != nil && m.policy.Machine.Lock.OnHostSleep && m.vm != nil
		m.mu.Unlock()
		if locks {
			a.logError(a.ctx, "lock", m.lock("the host went to sleep", false))
		}
	}
}

// hostWoke is called after the computer has slept: guests have the wrong time.
func (a *Agent) hostWoke() {
	_, all := a.all()
	for _, m := range all {
		m.rearrangeResumed()
	}
}

// Lock implements agentapi.Life.
func (a *Agent) Lock(_ context.Context, peer agentapi.Peer, which string) (agentapi.Workspace, error) {
	m, err := a.machineOf(peer, which)
	if err != nil {
		return agentapi.Workspace{}, err
	}
	if err := m.lock("by its user", false); err != nil {
		return agentapi.Workspace{}, err
	}
	return m.describeNow(), nil
}

// Unlock implements agentapi.Life.
func (a *Agent) Unlock(ctx context.Context, peer agentapi.Peer, which string, r agentapi.UnlockRequest) (agentapi.Workspace, error) {
	m, err := a.machineOf(peer, which)
	if err != nil {
		return agentapi.Workspace{}, err
	}
	l := m.lockNow()
	if l == nil {
		return m.describeNow(), nil
	}
	t, _ := a.all()
	if j := m.judge(t, a.clock.Read()); l.Limit && j.Verdict != lease.Allowed {
		return agentapi.Workspace{}, fmt.Errorf("a limit has locked the workspace, and unlocking needs the permission of the server again: %w", j.Err())
	}
	if err := m.proveUser(ctx, r.Secret); err != nil {
		return agentapi.Workspace{}, err
	}
	m.mu.Lock()
	was := m.record.Lock
	m.record.Lock, m.used = nil, a.time.Boot()
	if err := m.save(); err != nil {
		m.record.Lock = was
		m.mu.Unlock()
		return agentapi.Workspace{}, err
	}
	m.mu.Unlock()
	a.tell(event.New(event.WorkspaceUnlocked, a.now(), ""), m)
	m.touch()
	if m.rec.Snapshot().State == workspace.Suspended {
		m.rec.Want(workspace.Run)
	}
	return m.describeNow(), nil
}

func (m *machine) describeNow() agentapi.Workspace {
	t, _ := m.agent.all()
	return m.describe(t, m.agent.clock.Read())
}
