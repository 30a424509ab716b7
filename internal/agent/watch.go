package agent

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/workspace"
)

// statusTime bounds one look at a machine.
const statusTime = 5 * time.Second

// watch follows a running machine until it ends.
func (m *machine) watch(ctx context.Context, vm hypervisor.Machine) {
	m.agent.running.Go(func() { m.keepArranged(ctx, vm) })
	t := time.NewTicker(m.agent.cfg.LookEvery)
	defer t.Stop()
	m.look(ctx, vm)
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			m.look(ctx, vm)
		case <-vm.Done():
			m.over(ctx, vm)
			return
		}
	}
}

// look takes a machine's status. One that does not answer is looked at again.
func (m *machine) look(ctx context.Context, vm hypervisor.Machine) {
	short, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	m.mu.Lock()
	holds := m.holds
	m.mu.Unlock()
	st, err := vm.Status(short)
	if err != nil {
		return
	}
	m.mu.Lock()
	if m.vm != vm || m.holds != holds { // what was seen may be over
		m.mu.Unlock()
		return
	}
	held := st.State == hypervisor.StatePaused && st.Reason == hypervisor.ReasonSuspended
	m.held = m.held || held
	was := m.status
	m.status = st
	m.mu.Unlock()
	m.first(st, was)
	switch {
	case st.Guest.Up && !was.Guest.Up:
		m.agent.tell(event.New(event.GuestConnected, m.agent.now(), st.Guest.Hostname), m)
	case was.Guest.Up && !st.Guest.Up && st.State == hypervisor.StateRunning:
		m.agent.tell(event.New(event.GuestLost, m.agent.now(), ""), m)
	}
	if st.Guest.Ready && (!was.Guest.Ready || st.Guest.Session != was.Guest.Session) {
		m.rearrange()
	}
	switch st.State {
	case hypervisor.StatePaused:
		if held {
			m.rec.Suspended(func() bool {
				m.mu.Lock()
				defer m.mu.Unlock()
				return m.vm == vm && m.holds == holds
			})
			break
		}
		m.rec.Paused(strings.TrimSpace(string(st.Reason) + " " + st.Detail))
		if st.Reason == hypervisor.ReasonDisk {
			m.mendRunning(ctx)
		}
	case hypervisor.StateRunning:
		if was.State == hypervisor.StatePaused {
			m.rec.Paused("")
			m.rearrange()
		}
	case hypervisor.StateStarting, hypervisor.StateStopped:
	}
	m.follow()
}

// first tells what the first look at a machine shows of its start: what the host
// lacks, and what came of saved memory.
func (m *machine) first(st, was hypervisor.Status) {
	if st.Started.IsZero() || st.Started.Equal(was.Started) {
		return
	}
	now := m.agent.now()
	if st.Resumed {
		m.agent.tell(event.New(event.WorkspaceResumed, now, ""), m)
	}
	if st.Notice != "" {
		m.agent.tell(event.New(event.SavedStateDropped, now, st.Notice), m)
	}
	if len(st.Missing) > 0 {
		m.agent.tell(event.New(event.HostLacks, now, strings.Join(st.Missing, " ")), m)
	}
}

// over handles the end of a machine that nobody here asked for.
func (m *machine) over(ctx context.Context, vm hypervisor.Machine) {
	// The reconciler may not have noted yet that it runs.
	if _, err := m.rec.Await(ctx, func(s workspace.Snapshot) bool {
		return s.State != workspace.Starting && s.State != workspace.Switching
	}); err != nil {
		return
	}
	short, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	st, err := vm.Status(short)
	if !m.ended(vm) {
		return // who stopped it tells
	}
	reason := st.Reason
	if err != nil {
		reason = hypervisor.ReasonCrashed
	}
	switch reason {
	case hypervisor.ReasonShutdown, hypervisor.ReasonKilled:
		m.rec.Ended(false, nil)
	case hypervisor.ReasonRestart:
		m.rec.Ended(true, nil)
	default:
		m.rec.Ended(false, fmt.Errorf("the machine ended by itself (%s) %s: %w", reason, st.Detail, dormer.ErrUnavailable))
	}
}
