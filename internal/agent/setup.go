package agent

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/setup"
)

// arrangeRegional hands on the language, formats and keyboard of the host: those
// of the user's session.
func arrangeRegional(ctx context.Context, g guest) error {
	want := g.p.Setup.Regional
	if !want.Formats && !want.Keyboard {
		return nil
	}
	env, err := g.m.agent.environment(ctx, g.m.uid)
	if err != nil {
		return err
	}
	var r guestwire.RegionalRequest
	if want.Formats {
		r.Locale = env.Locale
	}
	if want.Keyboard {
		r.Layout, r.Variant = env.Layout, env.Variant
	}
	if r == (guestwire.RegionalRequest{}) {
		return nil
	}
	return g.vm.Ask(ctx, guestwire.CapRegional, guestwire.MethodRegional, r, nil)
}

// arrangeSetup runs what is left of the first-time setup.
func arrangeSetup(ctx context.Context, g guest) error {
	if len(g.p.Setup.Actions) == 0 {
		return nil
	}
	runner, err := g.m.setupRunner()
	if err != nil {
		return err
	}
	guest, err := g.m.setupGuest(g.vm)
	if err != nil {
		return err
	}
	err = runner.Run(ctx, guest, guest.variables())
	if err != nil && ctx.Err() == nil {
		g.m.agent.log.LogAttrs(ctx, slog.LevelInfo, "first-time setup is not finished",
			slog.String("machine", string(g.m.id)), slog.Any("error", err))
	}
	return err
}

// setupRunner returns what runs the first-time setup of the machine, with the
// policy and layer of now. The runner tells and shows with its own lock held, so
// none of its methods is called while mu is.
func (m *machine) setupRunner() (*setup.Runner, error) {
	m.mu.Lock()
	runner, p, layer, fresh, name := m.setup, m.policy, m.layer(), m.record.Overlay == hypervisor.OverlayDiscard, m.record.Name
	if runner == nil {
		var r setup.Record
		if err := m.folder.readJSON(FileSetup, &r); err != nil {
			m.mu.Unlock()
			return nil, fmt.Errorf("state of the first-time setup: %w", err)
		}
		runner = setup.NewRunner(r, setup.Config{
			Save: func(r setup.Record) error { return m.folder.writeJSON(FileSetup, r) },
			Now:  m.agent.now,
			Tell: m.tellSetup,
			Show: func(title, text string) { m.agent.notifyUser(m, name+": "+title, text) },
		})
		m.setup = runner
	}
	m.mu.Unlock()
	if p != nil {
		runner.Follow(setup.New(p), layer, fresh)
	}
	return runner, nil
}

// setupEvents are the events of what is told of a script.
var setupEvents = map[setup.Occasion]event.Code{
	setup.Began: event.SetupStarted, setup.Ended: event.SetupFinished, setup.StepFailed: event.SetupFailed,
	setup.WasCancelled: event.SetupCancelled, setup.WasPostponed: event.SetupPostponed,
}

// tellSetup tells what happens to the script.
func (m *machine) tellSetup(o setup.Occasion, step *setup.Step, detail string) {
	if o == setup.StepDone {
		m.agent.log.LogAttrs(m.agent.ctx, slog.LevelInfo, "a step of the first-time setup is done",
			slog.String("machine", string(m.id)), slog.Int("step", step.Number+1), slog.String("title", step.Title()))
		if j := step.Action.JoinDomain; j != nil {
			m.agent.tell(event.New(event.DomainJoined, m.agent.now(), cut(m.domainJoined(*j), maxDetailText)), m)
		}
		return
	}
	m.agent.tell(event.New(setupEvents[o], m.agent.now(), cut(detail, maxDetailText)), m)
}

// setupPending returns nil when the workspace can be used as far as its
// first-time setup goes: it is finished, put off by the user, or there is none.
// Else why not: ErrConflict when it does not go on by itself.
func (m *machine) setupPending() error {
	m.mu.Lock()
	none := m.policy == nil || len(m.policy.Setup.Actions) == 0 || m.vm == nil
	m.mu.Unlock()
	if none {
		return nil
	}
	r, err := m.setupRunner()
	if err != nil {
		return err
	}
	return r.Pending()
}

// Setup implements agentapi.Setups.
func (a *Agent) Setup(_ context.Context, peer agentapi.Peer, which string) (agentapi.SetupStatus, error) {
	m, r, err := a.setupOf(peer, which)
	if err != nil {
		return agentapi.SetupStatus{}, err
	}
	return m.describeSetup(r), nil
}

// ActSetup implements agentapi.Setups.
func (a *Agent) ActSetup(_ context.Context, peer agentapi.Peer, which string, c agentapi.SetupCommand) (agentapi.SetupStatus, error) {
	m, r, err := a.setupOf(peer, which)
	if err != nil {
		return agentapi.SetupStatus{}, err
	}
	switch c {
	case agentapi.SetupResume:
		err = r.Resume()
	case agentapi.SetupCancel:
		err = r.Cancel()
	case agentapi.SetupPostpone:
		err = r.Postpone()
	default:
		err = fmt.Errorf("command of a first-time setup: %w", dormer.ErrNotFound)
	}
	if err != nil {
		return agentapi.SetupStatus{}, err
	}
	m.rearrange()
	return m.describeSetup(r), nil
}

func (a *Agent) setupOf(peer agentapi.Peer, which string) (*machine, *setup.Runner, error) {
	m, err := a.machineOf(peer, which)
	if err != nil {
		return nil, nil, err
	}
	r, err := m.setupRunner()
	return m, r, err
}

// describeSetup is what the user sees of the first-time setup.
func (m *machine) describeSetup(r *setup.Runner) agentapi.SetupStatus {
	st, ok := r.Status(m.setupVariables())
	if !ok {
		return agentapi.SetupStatus{}
	}
	return agentapi.SetupStatus{
		State: string(st.State), Step: st.Step, Steps: st.Steps, Title: st.Title, Message: st.Message, Failure: st.Failure,
		MayCancel: st.MayCancel, MayPostpone: st.MayPostpone, PostponesLeft: st.PostponesLeft,
	}
}
