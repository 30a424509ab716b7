package setup

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/policy"
)

// Occasion is something that is told of a script.
type Occasion string

// The occasions.
const (
	Began        Occasion = "began" // or goes on
	Ended        Occasion = "ended" // every step is done
	StepDone     Occasion = "step"
	StepFailed   Occasion = "failed" // for good
	WasCancelled Occasion = "cancelled"
	WasPostponed Occasion = "postponed"
)

// ErrRestarting says that the guest starts again, and the script goes on when it
// has.
var ErrRestarting = fmt.Errorf("the guest restarts; its first-time setup goes on after that: %w", dormer.ErrUnavailable)

// How long a guest may take to start again, and how long the runner waits before
// it tries a step again.
const (
	restartTime  = 20 * time.Minute
	firstPause   = 5 * time.Second
	longestPause = time.Minute
)

// Config is what a Runner works with.
type Config struct {
	// Save keeps the record; what it returned nil for is there after a crash.
	Save func(Record) error
	Now  func() time.Time
	// Tell takes note of an occasion; detail is for people. step is nil but for
	// StepDone and StepFailed. Neither it nor Show calls the Runner.
	Tell func(o Occasion, step *Step, detail string)
	// Show shows a message to the user.
	Show func(title, text string)
}

// Runner runs the scripts of one machine. Its methods may be called by several
// goroutines at once; Run waits for another Run to end.
type Runner struct {
	cfg Config

	running sync.Mutex // held while a script runs

	mu     sync.Mutex // guards the fields below
	record Record
	script Script
	layer  string
	fresh  bool                    // the layer is thrown away at each end of the machine
	end    context.CancelCauseFunc // ends the Run that is under way, or nil
}

// NewRunner returns a runner that goes on from a record; the zero Record is that
// of a new machine.
func NewRunner(record Record, cfg Config) *Runner {
	return &Runner{cfg: cfg, record: record.clone()}
}

// Follow says which script and layer hold from now on, for Status and the next
// Run. One that runs goes on with the script it began with. fresh says that the
// layer is thrown away whenever the machine ends: then each boot has its own.
func (r *Runner) Follow(s Script, layer string, fresh bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.script, r.layer, r.fresh = s, layer, fresh
}

// change applies f to the record and keeps it. The caller holds mu.
func (r *Runner) change(f func(rec *Record, l *Layer)) error {
	rec := r.record.clone()
	f(&rec, rec.layer(r.layer))
	if err := r.cfg.Save(rec.clone()); err != nil {
		return fmt.Errorf("keep the state of the first-time setup: %w", err)
	}
	r.record = rec
	return nil
}

// errStopped is the cause when Cancel or Postpone end a Run.
var errStopped = errors.New("stopped by the user")

// Run runs what is left of the script in a guest that is up. It returns nil when
// nothing is left or the user put it off: then the workspace can be used.
// ErrRestarting when the guest starts again. It may be called as often as
// wanted, and goes on where it stood.
func (r *Runner) Run(ctx context.Context, g Guest, v Variables) error {
	r.running.Lock()
	defer r.running.Unlock()
	r.mu.Lock()
	script := r.script
	nothing := len(script.Steps) == 0 || !r.fresh && r.record.layer(r.layer).State == Finished
	r.mu.Unlock()
	if nothing {
		return nil
	}
	boot, err := g.Boot(ctx)
	if err != nil {
		return fmt.Errorf("the first-time setup goes on when the guest answers: %w", err)
	}
	limited, err := r.begin(ctx, script, boot, v)
	if err != nil || limited == nil {
		return err
	}
	timed, cancel := context.WithTimeoutCause(limited, script.TimeLimit-r.spent(), errOvertime)
	err = r.steps(timed, run{script: script, guest: g, boot: boot, v: v})
	cancel()
	r.finish()
	return r.outcome(ctx, limited, script, v, err)
}

// begin takes the script up. It returns no context when there is nothing to do:
// with an error that says why the workspace cannot be used, or nil when it can.
func (r *Runner) begin(ctx context.Context, script Script, boot string, v Variables) (context.Context, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	began := false
	if r.fresh && r.record.layer(r.layer).Boot == boot && r.record.layer(r.layer).State == Finished {
		return nil, nil
	}
	err := r.change(func(_ *Record, l *Layer) {
		switch {
		case l.Boot == "" || l.Boot == boot:
		case r.fresh:
			*l = Layer{State: Waiting, Postponed: l.Postponed}
		default:
			l.take(inputStart)
		}
		if l.Script != "" && l.Script != script.digest {
			l.take(inputChange)
		}
		l.Boot, l.Script = boot, script.digest
		began = l.take(inputRun)
	})
	if err != nil {
		return nil, err
	}
	l := r.record.layer(r.layer)
	switch l.State {
	case Finished, Postponed:
		return nil, nil
	case Failed, Cancelled:
		return nil, r.pendingError(l)
	case Waiting, Running:
	}
	if began {
		r.cfg.Tell(Began, nil, r.place(script, l))
		r.show(script, v, script.Message)
	}
	limited, end := context.WithCancelCause(ctx)
	r.end = end
	return limited, nil
}

// spent is how long the script has run since it was taken up.
func (r *Runner) spent() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.record.layer(r.layer).Spent
}

// finish lets go of the context of begin.
func (r *Runner) finish() {
	r.mu.Lock()
	end := r.end
	r.end = nil
	r.mu.Unlock()
	if end != nil {
		end(nil)
	}
}

// outcome says what a run that has ended comes to.
func (r *Runner) outcome(ctx, limited context.Context, script Script, v Variables, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.record.layer(r.layer)
	switch {
	case errors.Is(context.Cause(limited), errStopped):
		if l.State == Postponed {
			return nil
		}
		return r.pendingError(l)
	case err == nil:
		if err := r.change(func(_ *Record, l *Layer) { l.take(inputDone) }); err != nil {
			return err
		}
		r.cfg.Tell(Ended, nil, "")
		if script.Message != "" {
			r.show(script, v, "The workspace is ready.")
		}
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return err
	}
}

// pause waits before a step is tried again. It reports whether ctx has ended.
func pause(ctx context.Context, attempt int) bool {
	t := time.NewTimer(min(firstPause<<min(attempt-1, 10), longestPause))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return true
	case <-t.C:
		return false
	}
}

// show shows a message unless the script is silent.
func (r *Runner) show(script Script, v Variables, text string) {
	if script.Mode != policy.SetupSilent && text != "" {
		r.cfg.Show("First-time setup", v.expand(text))
	}
}

// place says where a script stands, for people.
func (r *Runner) place(script Script, l *Layer) string {
	i, ok := r.record.pending(l, script.Steps)
	if !ok {
		return ""
	}
	return fmt.Sprintf("step %d of %d: %s", i+1, len(script.Steps), script.Steps[i].Title())
}

// pendingError says why the workspace cannot be used. The caller holds mu.
func (r *Runner) pendingError(l *Layer) error {
	place := r.place(r.script, l)
	if place == "" {
		place = "the last step"
	}
	switch l.State {
	case Failed:
		return fmt.Errorf("the first-time setup failed at %s: %s; it goes on when the policy is corrected, or with 'dormer setup resume': %w",
			l.Place, l.Failure, dormer.ErrConflict)
	case Cancelled:
		return fmt.Errorf("the first-time setup was cancelled (%s); go on with 'dormer setup resume': %w", place, dormer.ErrConflict)
	default:
		return fmt.Errorf("the first-time setup is not finished (%s): %w", place, dormer.ErrUnavailable)
	}
}

// Pending returns nil when the workspace can be used as far as its first-time
// setup goes. Else why not: ErrUnavailable while it goes on by itself, ErrConflict
// when it failed or was cancelled.
func (r *Runner) Pending() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.record.layer(r.layer)
	if len(r.script.Steps) == 0 || l.State == Finished || l.State == Postponed {
		return nil
	}
	return r.pendingError(l)
}

// Status is where a script stands, for people.
type Status struct {
	State State
	// Step is the number of the step that is under way, from 1, of Steps; its
	// Title. 0 when no step is left.
	Step, Steps int
	Title       string
	// Message is what the policy says about the step or the script, Failure why
	// the step did not succeed.
	Message, Failure       string
	MayCancel, MayPostpone bool
	// PostponesLeft is how often the user may still put it off.
	PostponesLeft int
}

// Status returns where the script stands; false when the policy has none.
func (r *Runner) Status(v Variables) (Status, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.script.Steps) == 0 {
		return Status{}, false
	}
	l, s := r.record.layer(r.layer), r.script
	out := Status{State: l.State, Steps: len(s.Steps), Failure: l.Failure, PostponesLeft: max(s.Postpone-l.Postponed, 0)}
	if l.State == Finished {
		return out, true
	}
	if i, ok := r.record.pending(l, s.Steps); ok {
		out.Step, out.Title = i+1, s.Steps[i].Title()
		out.Message = v.expand(s.Message)
		if run := s.Steps[i].Action.RunCommand; run != nil && l.State == Running && run.Progress != "" {
			out.Message = v.expand(run.Progress)
		}
	}
	_, can := next[l.State][inputCancel]
	out.MayCancel = can && s.AllowCancel
	_, can = next[l.State][inputPostpone]
	out.MayPostpone = can && out.PostponesLeft > 0
	return out, true
}

// Cancel ends the script until it is resumed or the guest starts again. ErrDenied
// when the policy does not allow it, ErrConflict when there is nothing to cancel.
func (r *Runner) Cancel() error {
	return r.stop(inputCancel, WasCancelled, "cancelled", func(s Script, _ *Layer) error {
		if !s.AllowCancel {
			return fmt.Errorf("the policy does not let the first-time setup be cancelled: %w", dormer.ErrDenied)
		}
		return nil
	})
}

// Postpone puts the script off until it is resumed or the guest starts again;
// the workspace can be used meanwhile. The step that is under way is ended and
// begun again later. ErrDenied when that was done as often as the policy allows.
func (r *Runner) Postpone() error {
	return r.stop(inputPostpone, WasPostponed, "postponed", func(s Script, l *Layer) error {
		switch {
		case s.Postpone == 0:
			return fmt.Errorf("the policy does not let the first-time setup be postponed: %w", dormer.ErrDenied)
		case l.Postponed >= s.Postpone:
			return fmt.Errorf("the first-time setup was postponed as often as the policy allows (%d): %w", l.Postponed, dormer.ErrDenied)
		}
		return nil
	})
}

func (r *Runner) stop(in input, o Occasion, what string, allowed func(Script, *Layer) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.record.layer(r.layer)
	if _, ok := next[l.State][in]; !ok || len(r.script.Steps) == 0 {
		return fmt.Errorf("the first-time setup is %s and cannot be %s: %w", l.State, what, dormer.ErrConflict)
	}
	if err := allowed(r.script, l); err != nil {
		return err
	}
	err := r.change(func(_ *Record, l *Layer) {
		l.take(in)
		if in == inputPostpone {
			l.Postponed++
		}
	})
	if err != nil {
		return err
	}
	r.cfg.Tell(o, nil, r.place(r.script, r.record.layer(r.layer)))
	if r.end != nil {
		r.end(errStopped)
	}
	return nil
}

// Resume takes up a script that failed, was cancelled or postponed; whoever calls
// it then calls Run. ErrConflict when it is none of these.
func (r *Runner) Resume() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.record.layer(r.layer)
	if _, ok := next[l.State][inputResume]; !ok || len(r.script.Steps) == 0 {
		return fmt.Errorf("the first-time setup is %s; there is nothing to resume: %w", l.State, dormer.ErrConflict)
	}
	return r.change(func(_ *Record, l *Layer) { l.take(inputResume) })
}
