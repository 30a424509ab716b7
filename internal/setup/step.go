package setup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/policy"
)

// run is one run of a script.
type run struct {
	script Script
	guest  Guest
	boot   string
	v      Variables
}

// steps does what is left, one step after the other, until none is left or one
// cannot be done. ctx ends with errOvertime when the time of the script is over.
func (r *Runner) steps(ctx context.Context, run run) error {
	since := r.cfg.Now()
	for ctx.Err() == nil {
		r.mu.Lock()
		i, left := r.record.pending(r.record.layer(r.layer), run.script.Steps)
		r.mu.Unlock()
		if !left {
			return nil
		}
		step := run.script.Steps[i]
		err := r.step(ctx, run, step)
		now := r.cfg.Now()
		spent := max(now.Sub(since), 0)
		since = now
		switch {
		case err == nil:
			if err := r.spend(spent, ""); err != nil {
				return err
			}
			r.cfg.Tell(StepDone, &step, "")
		case errors.Is(err, errKeep):
			return err
		case errors.Is(err, ErrRestarting):
			return errors.Join(r.spend(spent, ""), err)
		case errors.Is(context.Cause(ctx), errOvertime):
			return r.fail(run, step, fmt.Errorf("the first-time setup took longer than %s", run.script.TimeLimit))
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, ErrLater), errors.Is(err, dormer.ErrUnavailable):
			if err := r.spend(spent, err.Error()); err != nil {
				return err
			}
			return fmt.Errorf("first-time setup, %s: %w", step.Title(), err)
		default:
			if err := r.again(ctx, run, step, spent, err); err != nil {
				return err
			}
		}
	}
	return context.Cause(ctx)
}

// errOvertime is the cause when the time of a script is over.
var errOvertime = errors.New("the time is over")

// errKeep is wrapped when the record cannot be kept: nothing is done then.
var errKeep = errors.New("nothing is done that could not be kept")

func (r *Runner) update(f func(rec *Record, l *Layer)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.change(f); err != nil {
		return fmt.Errorf("%w: %w", err, errKeep)
	}
	return nil
}

// spend notes how long the script ran, and why the step cannot be done yet if it
// cannot.
func (r *Runner) spend(d time.Duration, why string) error {
	return r.update(func(_ *Record, l *Layer) { l.Spent, l.Failure = l.Spent+d, why })
}

// again notes that a step failed. It returns nil when the step is to be tried
// once more, after a pause.
func (r *Runner) again(ctx context.Context, run run, step Step, spent time.Duration, why error) error {
	attempts := 0
	err := r.update(func(_ *Record, l *Layer) {
		l.Attempts++
		l.Failure, l.Spent = why.Error(), l.Spent+spent
		attempts = l.Attempts
	})
	if err != nil {
		return err
	}
	if attempts > run.script.Retries || step.onlyOnce() {
		return r.fail(run, step, why)
	}
	if pause(ctx, attempts) && errors.Is(context.Cause(ctx), errOvertime) {
		return r.fail(run, step, fmt.Errorf("the first-time setup took longer than %s; at last: %w", run.script.TimeLimit, why))
	}
	return nil
}

// fail notes that a step failed for good.
func (r *Runner) fail(run run, step Step, why error) error {
	place := fmt.Sprintf("step %d of %d: %s", step.Number+1, len(run.script.Steps), step.Title())
	text := "The first-time setup of the workspace failed: " + step.Title() + "."
	if c := step.Action.RunCommand; c != nil && c.Failure != "" {
		text = c.Failure
		why = fmt.Errorf("%s (%w)", run.v.expand(c.Failure), why)
	}
	err := r.update(func(_ *Record, l *Layer) {
		l.take(inputFail)
		l.Failure, l.Place = why.Error(), place
	})
	if err != nil {
		return err
	}
	r.cfg.Tell(StepFailed, &step, place+": "+why.Error())
	r.show(run.script, run.v, text)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pendingError(r.record.layer(r.layer))
}

// step does one step and marks it. That it is begun is kept before the guest is
// asked, so that after an end that nobody saw it is known what may have been done.
func (r *Runner) step(ctx context.Context, run run, s Step) error {
	r.mu.Lock()
	l := *r.record.layer(r.layer)
	r.mu.Unlock()
	if l.Step != s.ID {
		l.Phase = phaseNone
	}
	restarts := s.Action.Restart != nil || s.Action.RunCommand != nil && is(s.Action.RunCommand.CausesRestart)
	switch {
	case l.Phase == phaseRestart:
		return r.restarted(ctx, run, s, l)
	case l.Phase == phaseBegun && restarts && l.From != run.boot:
		return r.mark(s)
	}
	again := false
	err := r.update(func(rec *Record, l *Layer) {
		l.Step, l.Phase, l.From = s.ID, phaseBegun, run.boot
		if s.onlyOnce() {
			again = rec.begun(l, s)
			rec.book(l, s)[s.ID] = 0
		}
	})
	if err != nil {
		return err
	}
	g, a := run.guest, s.Action
	switch {
	case a.RenameComputer != nil:
		err = g.Rename(ctx)
	case a.Restart != nil:
		return r.restart(ctx, run)
	case a.JoinDomain != nil:
		err = g.Join(ctx, s)
	case a.CheckConnectivity != nil:
		err = r.connect(ctx, g, a.CheckConnectivity)
	case a.RunCommand != nil:
		return r.command(ctx, run, s, again)
	case a.DisableAutomaticSignOn != nil:
		err = g.NoAutomaticSignOn(ctx)
	default:
		err = fmt.Errorf("this agent does not know the step: %w", dormer.ErrUnsupported)
	}
	if err != nil {
		return err
	}
	return r.mark(s)
}

func (r *Runner) mark(s Step) error {
	return r.update(func(rec *Record, l *Layer) { rec.mark(l, s) })
}

// restart restarts the guest, and keeps first that it is to: after an end that
// nobody saw, a guest in the same boot is asked again, and one in another has
// restarted.
func (r *Runner) restart(ctx context.Context, run run) error {
	if err := r.awaitRestart(); err != nil {
		return err
	}
	return askRestart(ctx, run.guest)
}

func (r *Runner) awaitRestart() error {
	return r.update(func(_ *Record, l *Layer) { l.Phase, l.Asked = phaseRestart, r.cfg.Now() })
}

func askRestart(ctx context.Context, g Guest) error {
	if err := g.Restart(ctx); err != nil && !errors.Is(err, dormer.ErrUnavailable) {
		return err
	}
	return ErrRestarting
}

// restarted looks whether a guest that was to restart has done so.
func (r *Runner) restarted(ctx context.Context, run run, s Step, l Layer) error {
	switch {
	case l.From != run.boot:
		return r.mark(s)
	case r.cfg.Now().Sub(l.Asked) > restartTime:
		if err := r.update(func(_ *Record, l *Layer) { l.Phase = phaseNone }); err != nil {
			return err
		}
		return fmt.Errorf("the guest did not restart within %s", restartTime)
	case s.Action.Restart != nil:
		return askRestart(ctx, run.guest)
	default:
		return ErrRestarting
	}
}

// connect waits for an address.
func (r *Runner) connect(ctx context.Context, g Guest, c *policy.CheckConnectivity) error {
	var port int
	var timeout time.Duration
	if c.Port != nil {
		port = *c.Port
	}
	if c.Timeout != nil {
		timeout = c.Timeout.Duration()
	}
	return g.Connect(ctx, c.Address, port, timeout)
}

// command runs the command of a step. again says that it is never begun a second
// time and may have been begun.
func (r *Runner) command(ctx context.Context, run run, s Step, again bool) error {
	c := s.Action.RunCommand
	r.show(run.script, run.v, c.Progress)
	command := Command{
		Args: []string{c.Path}, Password: c.Password, Wait: c.Wait == nil || *c.Wait, Interactive: is(c.AllowInteraction), Again: again,
	}
	for _, arg := range c.Arguments {
		command.Args = append(command.Args, run.v.expand(arg))
	}
	if s.onlyOnce() {
		command.Once = s.ID
	}
	result, err := run.guest.Run(ctx, command)
	switch {
	case errors.Is(err, ErrBegun):
		return r.mark(s)
	case errors.Is(err, ErrLater) && s.onlyOnce() && !again:
		return errors.Join(err, r.update(func(rec *Record, l *Layer) { delete(rec.book(l, s), s.ID) }))
	case err != nil && ctx.Err() == nil && is(c.CausesRestart) && errors.Is(err, dormer.ErrUnavailable):
		// The guest went away under the command, as it was said that it would.
	case err != nil && ctx.Err() == nil && s.onlyOnce() && !errors.Is(err, dormer.ErrUnavailable):
		return errors.Join(err, r.mark(s))
	case err != nil:
		return err
	default:
		if err := judge(c, result); err != nil {
			if s.onlyOnce() {
				return errors.Join(err, r.mark(s))
			}
			return err
		}
	}
	if is(c.CausesRestart) {
		if err := r.awaitRestart(); err != nil {
			return err
		}
		return ErrRestarting
	}
	return r.mark(s)
}

// judge says whether a command that has ended failed.
func judge(c *policy.RunCommand, result Result) error {
	want := 0
	if c.SuccessStatus != nil {
		want = *c.SuccessStatus
	}
	waits, fails := c.Wait == nil || *c.Wait, c.FailOnError == nil || *c.FailOnError
	if !waits || !fails || result.Status == want {
		return nil
	}
	err := fmt.Errorf("the command ended with status %d, and %d means success", result.Status, want)
	if result.Detail != "" {
		err = fmt.Errorf("%w: %s", err, result.Detail)
	}
	return err
}

// is reports whether an optional switch is on.
func is(b *bool) bool { return b != nil && *b }
