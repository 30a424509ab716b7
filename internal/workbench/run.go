package workbench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/policy"
)

// RunState says how far the run of a test image is.
type RunState string

// States of runs.
const (
	RunStarting RunState = "starting"
	RunRunning  RunState = "running"
	RunEnding   RunState = "ending"
	RunEnded    RunState = "ended"
	RunFailed   RunState = "failed" // the machine did not start, or broke
)

// Ended reports whether nothing changes any more.
func (s RunState) Ended() bool { return s == RunEnded || s == RunFailed }

const (
	// MaxRuns is how many test images run at once.
	MaxRuns = 4
	// keptRuns is how many runs that have ended are remembered.
	keptRuns = 20
)

// Run is a machine that runs a test image, or did. What Bench returns is a copy.
type Run struct {
	ID        string
	Test      string
	Workspace string
	State     RunState
	// Report is what is known of the machine.
	Report TrialReport
	// Warnings are what is not as the policy wants it.
	Warnings []string
	// Message says why it failed.
	Message string
	Started time.Time
	Ended   time.Time // zero: not yet

	stop  context.CancelFunc
	trial *Trial
}

// Runs lists the runs, newest first.
func (b *Bench) Runs() []Run {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Run, 0, len(b.runs))
	for _, r := range slices.Backward(b.runs) {
		out = append(out, r.copy())
	}
	return out
}

func (r *Run) copy() Run {
	c := *r
	c.Warnings = slices.Clone(r.Warnings)
	return c
}

// warn keeps a warning, once. Callers hold the bench's mu.
func (r *Run) warn(text string) {
	if !slices.Contains(r.Warnings, text) {
		r.Warnings = append(r.Warnings, text)
	}
}

// run finds a run. Callers hold mu.
func (b *Bench) run(id string) (*Run, error) {
	i := slices.IndexFunc(b.runs, func(r *Run) bool { return r.ID == id })
	if i < 0 {
		return nil, fmt.Errorf("this run: %w", dormer.ErrNotFound)
	}
	return b.runs[i], nil
}

// running returns the run of a test image that is under way, or nil. Callers
// hold mu.
func (b *Bench) running(test string) *Run {
	i := slices.IndexFunc(b.runs, func(r *Run) bool { return r.Test == test && !r.State.Ended() })
	if i < 0 {
		return nil
	}
	return b.runs[i]
}

// Start runs a test image under the policy of a workspace of the server (empty:
// nothing is allowed beside the network) with that memory in MiB (0: what policy
// or description say).
func (b *Bench) Start(ctx context.Context, test, workspace string, memory int) (Run, error) {
	if memory < 0 || memory > 1<<20 {
		return Run{}, dormer.Invalidf("memory", "is a number of MiB")
	}
	var doc *policy.Document
	if workspace != "" {
		c, _, err := b.config.Server()
		if err != nil {
			return Run{}, err
		}
		defer c.Close()
		if doc, err = Workspace(ctx, c, workspace); errors.Is(err, dormer.ErrNotFound) {
			return Run{}, dormer.Invalidf("workspace", "there is no such workspace")
		} else if err != nil {
			return Run{}, err
		}
	}
	id, err := dormer.NewID(b.config.Random)
	if err != nil {
		return Run{}, fmt.Errorf("name run: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	image, ok := b.test(test)
	if !ok {
		return Run{}, dormer.Invalidf("test", "there is no such test image")
	}
	d, err := ReadDescription(image.Disk, image.Format)
	if err != nil {
		return Run{}, atField("test", err)
	}
	under := 0
	for _, r := range b.runs {
		if !r.State.Ended() {
			under++
		}
	}
	switch {
	case b.running(test) != nil:
		return Run{}, fmt.Errorf("test image %s runs already: %w", test, dormer.ErrConflict)
	case b.packing(test):
		return Run{}, fmt.Errorf("test image %s is being packed; wait for that: %w", test, dormer.ErrConflict)
	case under >= MaxRuns:
		return Run{}, fmt.Errorf("%d test images run; end one first: %w", under, dormer.ErrConflict)
	}
	runs, stop := context.WithCancel(b.ctx)
	r := &Run{ID: id, Test: test, Workspace: workspace, State: RunStarting, Started: b.config.Now().UTC(), stop: stop}
	b.runs = append(b.runs, r)
	if ended := len(b.runs) - under - 1; ended > keptRuns {
		i := slices.IndexFunc(b.runs, func(r *Run) bool { return r.State.Ended() })
		b.runs = slices.Delete(b.runs, i, i+1)
	}
	o := TrialOptions{
		Description: d, Document: doc, ComputerName: DefaultComputerName, Optical: DefaultOptical, Memory: memory, Patience: DefaultPatience, Work: b.config.Work,
		ProbeFile: filepath.Join(b.config.Folder, ProbeFile), Software: b.config.Software,
		Now: b.config.Now, Random: b.config.Random, Listener: &runListener{b, r},
	}
	b.going.Go(func() {
		defer stop()
		b.follow(runs, r, o)
	})
	return r.copy(), nil
}

// packing reports whether a test image is being packed. Callers hold mu.
func (b *Bench) packing(test string) bool {
	return slices.ContainsFunc(b.jobs, func(j *Job) bool {
		return j.Ask.Kind == JobPack && j.Ask.Test == test && !j.State.Ended()
	})
}

// restarted is said of a run whose guest has restarted itself.
const restarted = "The guest restarted itself. The machine began again from the disk; what the guest had written is gone."

// follow runs a machine to its end, and again when its guest restarts itself.
func (b *Bench) follow(ctx context.Context, r *Run, o TrialOptions) {
	for {
		state, message, again := b.attempt(ctx, r, o)
		if !again {
			b.ended(r, state, message)
			return
		}
		b.mu.Lock()
		r.State, r.Report, r.trial = RunStarting, TrialReport{}, nil
		r.warn(restarted)
		b.mu.Unlock()
	}
}

// attempt runs a machine until it ends, and reports what came of it and whether
// it is to begin again.
func (b *Bench) attempt(ctx context.Context, r *Run, o TrialOptions) (state RunState, message string, again bool) {
	t, err := StartTrial(ctx, o)
	if err != nil {
		if ctx.Err() != nil { // it was stopped while it started
			return RunEnded, "", false
		}
		return RunFailed, err.Error(), false
	}
	b.mu.Lock()
	r.trial = t
	r.Report = t.Report
	if r.State == RunStarting {
		r.State = RunRunning
	}
	b.mu.Unlock()
	err = t.Run(ctx)
	again = ctx.Err() == nil && t.Restarted(ctx)
	b.mu.Lock()
	if !again {
		r.State = RunEnding
	}
	b.mu.Unlock()
	if err != nil && ctx.Err() == nil {
		message = err.Error()
	}
	if err := errors.Join(t.End(), t.Close()); err != nil {
		return RunFailed, err.Error(), false
	}
	return RunEnded, message, again && ctx.Err() == nil
}

func (b *Bench) ended(r *Run, state RunState, message string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.State, r.Message, r.Ended, r.trial = state, message, b.config.Now().UTC(), nil
}

// runListener keeps what is said of a run.
type runListener struct {
	bench *Bench
	run   *Run
}

func (l *runListener) Note(string) {}
func (l *runListener) Waiting()    {}

func (l *runListener) Warn(text string) {
	l.bench.mu.Lock()
	defer l.bench.mu.Unlock()
	l.run.warn(text)
}

func (l *runListener) Ready(system string, after time.Duration) {
	l.bench.mu.Lock()
	defer l.bench.mu.Unlock()
	l.run.Report.Ready, l.run.Report.System, l.run.Report.ReadyMS = true, system, after.Milliseconds()
}

// Stop ends a run: its guest is asked to shut down. Asked again, the machine is
// turned off.
func (b *Bench) Stop(id string) (Run, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, err := b.run(id)
	if err != nil {
		return Run{}, err
	}
	if r.State.Ended() {
		return Run{}, fmt.Errorf("this run has ended already: %w", dormer.ErrConflict)
	}
	if r.State == RunEnding && r.trial != nil {
		t := r.trial
		b.going.Go(func() {
			if err := t.Kill(context.WithoutCancel(b.ctx)); err != nil {
				b.config.Log.LogAttrs(b.ctx, slog.LevelWarn, "turn machine off", slog.String("run", id), slog.String("error", err.Error()))
			}
		})
	}
	r.State = RunEnding
	r.stop()
	return r.copy(), nil
}

// Screen connects to the screen of a run's guest, which speaks RFB.
func (b *Bench) Screen(ctx context.Context, id string) (net.Conn, error) {
	b.mu.Lock()
	r, err := b.run(id)
	display, running := "", false
	if err == nil {
		display, running = r.Report.Display, r.trial != nil
	}
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if !running {
		return nil, fmt.Errorf("the machine has no screen now: %w", dormer.ErrConflict)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", display)
	if err != nil {
		return nil, fmt.Errorf("the guest's screen: %w (%w)", err, dormer.ErrUnavailable)
	}
	return conn, nil
}
