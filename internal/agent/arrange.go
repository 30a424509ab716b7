package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/policy"
)

// guest is what arranging a guest works on: a machine that runs, whose guest is
// ready, and the policy that it shall have.
type guest struct {
	m  *machine
	vm hypervisor.Machine
	p  *policy.Effective
	// first says that this guest was started anew and has been told nothing yet;
	// resumed that it goes on from saved state or from being suspended.
	first, resumed bool
}

// arrangement is one thing about a guest that follows from its policy.
type arrangement struct {
	name string
	// do makes the guest so; it is harmless to repeat and does nothing when the
	// policy says nothing. ErrUnsupported when the guest cannot do it.
	do func(ctx context.Context, g guest) error
	// must says that the workspace is not ready before it is done.
	must bool
}

// arrangements are done in this order once a guest is ready, and again when the
// policy, the host or the user's credentials have changed.
var arrangements = []arrangement{
	{name: "clock", do: arrangeClock},
	{name: "time zone", do: arrangeTimeZone},
	{name: "name service", do: arrangeDNS},
	{name: "regional settings", do: arrangeRegional},
	{name: "first-time setup", do: arrangeSetup, must: true},
	{name: "sign-on", do: arrangeSignOn},
	{name: "shared folders", do: arrangeFolders},
	{name: "printers", do: arrangePrinters},
	{name: "network drives", do: arrangeDrives},
	{name: "applications that start with the workspace", do: arrangeApplications},
}

// arranged is how far the guest of a running machine is arranged.
type arranged struct {
	// passed says that a pass has come to its end.
	passed bool
	// resumed says that the guest goes on from being suspended and was not
	// arranged since.
	resumed bool
	// told are the problems that events told of, problems those that there are now.
	told     map[string]bool
	problems map[string]string
	// tellings is how many were told at all: what a guest says may be new each time.
	tellings int
	// opened are the applications that were started with the workspace.
	opened map[string]bool
	// drives says that network drives were mapped.
	drives bool
}

// rearrange arranges the guest again soon: the policy, the host or the user's
// credentials have changed. It returns at once.
func (m *machine) rearrange() {
	select {
	case m.arranger <- struct{}{}:
	default: // it is asked for already
	}
}

// rearrangeResumed arranges the guest again after it was suspended.
func (m *machine) rearrangeResumed() {
	m.mu.Lock()
	m.arranged.resumed = true
	m.mu.Unlock()
	m.rearrange()
}

// longestArrange is the longest pause before what failed in a guest is tried
// again.
const longestArrange = 5 * time.Minute

// keepArranged arranges the guest of a machine that runs, one pass at a time,
// and again what has failed after a pause that grows.
func (m *machine) keepArranged(ctx context.Context, vm hypervisor.Machine) {
	retry := time.NewTimer(longestArrange)
	retry.Stop()
	defer retry.Stop()
	pause := m.agent.cfg.LookEvery
	for {
		select {
		case <-ctx.Done():
			return
		case <-vm.Done():
			return
		case <-m.arranger:
			pause = m.agent.cfg.LookEvery
		case <-retry.C:
		}
		retry.Stop()
		if done := m.arrangeOnce(ctx, vm); !done {
			pause = min(2*pause, longestArrange)
			retry.Reset(pause)
		}
	}
}

// arrangeOnce arranges the guest if it is ready, and reports whether nothing is
// left to be tried again.
func (m *machine) arrangeOnce(ctx context.Context, vm hypervisor.Machine) (done bool) {
	m.mu.Lock()
	st, p := m.status, m.policy
	ready := m.vm == vm && p != nil && st.Guest.Ready && st.State == hypervisor.StateRunning && !m.held
	anew := ready && !m.record.Opened.Equal(st.Started)
	g := guest{m: m, vm: vm, p: p, first: anew && !st.Resumed, resumed: anew && st.Resumed || m.arranged.resumed}
	if ready {
		m.arranged.resumed = false
	}
	m.mu.Unlock()
	if !ready {
		return true // it is asked for again when it is
	}
	done, waits := g.arrange(ctx)
	if ctx.Err() != nil {
		return true
	}
	m.mu.Lock()
	if m.vm == vm {
		m.arranged.passed = true
		if anew && waits == nil {
			m.record.Opened = st.Started
			m.agent.logError(ctx, "record", m.save())
		}
		if !done && g.resumed {
			m.arranged.resumed = true
		}
	}
	m.mu.Unlock()
	m.tellPassed()
	if waits == nil {
		m.agent.logError(ctx, "layers", m.dropLayers())
	}
	return done
}

// arrange makes a guest as its policy says. It reports whether nothing has to be
// tried again, and what the workspace waits for before it can be used. What
// fails is told once; what may fail does not keep the rest from being done.
func (g guest) arrange(ctx context.Context) (done bool, waits error) {
	done = true
	for _, a := range arrangements {
		err := a.do(ctx, g)
		switch {
		case err == nil:
			g.m.arrangeWorks(a.name)
			continue
		case ctx.Err() != nil:
			return false, ctx.Err()
		case a.must:
			return false, err
		}
		unsupported := errors.Is(err, dormer.ErrUnsupported)
		done = done && unsupported
		if g.m.arrangeFails(a.name, err) {
			g.m.agent.log.LogAttrs(ctx, slog.LevelWarn, "a guest cannot be arranged",
				slog.String("machine", string(g.m.id)), slog.String("what", a.name), slog.Any("error", err))
			g.m.agent.tell(event.New(event.ArrangeFailed, g.m.agent.now(), a.name+": "+cut(dormer.Plain(err), maxDetailText)), g.m)
		}
	}
	return done, nil
}

// arrangeFails notes a problem and reports whether it has to be told.
func (m *machine) arrangeFails(what string, err error) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.arranged.told == nil {
		m.arranged.told, m.arranged.problems = map[string]bool{}, map[string]string{}
	}
	m.arranged.problems[what] = cut(strings.ReplaceAll(dormer.Plain(err), "\n", "; "), maxDetailText)
	key := what + ": " + err.Error()
	if m.arranged.told[key] || m.arranged.tellings >= maxTellings {
		return false
	}
	m.arranged.told[key] = true
	m.arranged.tellings++
	return true
}

// maxTellings bounds the problems that are told of one run of a machine.
const maxTellings = 100

// arrangeWorks forgets what was told of a thing that works now.
func (m *machine) arrangeWorks(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.arranged.problems, what)
	for key := range m.arranged.told {
		if len(key) > len(what) && key[:len(what)] == what {
			delete(m.arranged.told, key)
		}
	}
}

// unarranged is what cannot be arranged in the guest now. The caller holds mu.
func (m *machine) unarranged() []string {
	var out []string
	for _, a := range arrangements {
		if why, ok := m.arranged.problems[a.name]; ok {
			out = append(out, a.name+": "+why)
		}
	}
	return out
}

// tellPassed wakes who waits for a pass.
func (m *machine) tellPassed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.passed != nil {
		close(m.passed)
		m.passed = nil
	}
}

// awaitArranged waits until the guest is arranged for the first time, where the
// policy has something that applications may need.
func (m *machine) awaitArranged(ctx context.Context, vm hypervisor.Machine) error {
	for {
		m.mu.Lock()
		is, done := m.vm == vm, m.arranged.passed
		if m.passed == nil {
			m.passed = make(chan struct{})
		}
		next := m.passed
		m.mu.Unlock()
		switch {
		case !is:
			return fmt.Errorf("the workspace was stopped meanwhile: %w", dormer.ErrConflict)
		case done:
			return nil
		}
		select {
		case <-next:
		case <-vm.Done():
			return fmt.Errorf("the workspace has ended meanwhile: %w", dormer.ErrConflict)
		case <-ctx.Done():
			return fmt.Errorf("wait for the guest: %w", ctx.Err())
		}
	}
}
