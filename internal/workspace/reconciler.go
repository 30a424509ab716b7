package workspace

import (
	"context"
	"sync"
	"time"
)

// Body is what a Reconciler moves: one machine with its image and disks. No
// two of its actions run at once. Each ends soon after its context does.
type Body interface {
	// Fetched reports whether the image that Start would use is here.
	Fetched() bool
	// Fetch gets the image. It calls progress with a few words for people now
	// and then. Repeating it goes on where it ended.
	Fetch(ctx context.Context, progress func(string)) error
	// Saved reports whether Start would go on from memory that was saved.
	Saved() bool
	// Start returns when the machine runs. After an error it does not.
	Start(ctx context.Context) error
	// Stop shuts the guest down, in the end by force, and returns when the
	// machine has ended. After an error it may still run.
	Stop(ctx context.Context) error
	// Save keeps the memory of the machine and ends it; where that cannot be it
	// does as Stop. Errors as those of Stop.
	Save(ctx context.Context) error
	// Suspend holds the machine in memory, Resume lets it go on. After an error it
	// is as before.
	Suspend(ctx context.Context) error
	Resume(ctx context.Context) error
	// Kill ends the machine at once; errors as those of Stop.
	Kill(ctx context.Context) error
	// Remove deletes everything of a machine that does not run. Repeating it
	// is harmless.
	Remove(ctx context.Context) error
}

// Snapshot is how a machine is at one moment.
type Snapshot struct {
	Desired Desired
	State   State
	// Detail is for people: progress, why it is paused, why it failed.
	Detail string
	// Err is why the last action did not succeed; nil again once something is
	// wanted anew or an action succeeds.
	Err error
}

// retryDelay is the pause before a stop or a removal that did not succeed is
// tried again.
const retryDelay = 5 * time.Second

// Reconciler keeps one machine as it is wanted. Its methods may be called by
// several goroutines.
type Reconciler struct {
	body   Body
	notify func(Snapshot)

	mu      sync.Mutex // guards the fields below
	now     Snapshot
	held    bool               // a failed fetch waits for Want or Nudge
	waiting bool               // a retry is due
	cancel  context.CancelFunc // of the action under way, else nil
	changed chan struct{}      // closed and replaced at every change
	ctx     context.Context    //nolint:containedctx // the life of the reconciler, set by Run
	wg      sync.WaitGroup
}

// New returns a reconciler of a machine that is observed in state s: Running
// for one that was adopted, else what Body.Fetched says. notify is called
// after every change, in order, while the reconciler is locked: it must not
// call back. nil is allowed. Nothing happens before Run.
func New(body Body, desired Desired, s State, notify func(Snapshot)) *Reconciler {
	return &Reconciler{body: body, notify: notify, now: Snapshot{Desired: desired, State: s}, changed: make(chan struct{})}
}

// Run acts until ctx ends, then ends the action that is under way and returns.
// The machine itself stays as it is.
func (r *Reconciler) Run(ctx context.Context) {
	r.mu.Lock()
	r.ctx = ctx
	r.step()
	r.mu.Unlock()
	<-ctx.Done()
	r.mu.Lock()
	r.ctx = nil // no action begins any more
	r.mu.Unlock()
	r.wg.Wait()
}

// Snapshot returns how the machine is now.
func (r *Reconciler) Snapshot() Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// Want sets what is wanted. Removed is final.
func (r *Reconciler) Want(d Desired) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now.Desired == Removed {
		return
	}
	if r.now.Desired != d || r.now.Err != nil || r.held {
		r.held, r.now.Desired, r.now.Err = false, d, nil
		r.tell()
	}
	r.step()
}

// Nudge tries again what failed for want of a network or of space.
func (r *Reconciler) Nudge() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = false
	r.step()
}

// Changed tells that another image is wanted. A machine that runs is left to.
func (r *Reconciler) Changed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.now.State {
	case Ready, Saved, Absent, Failed:
		r.held = false
		r.now.State = r.rest()
		r.tell()
		r.step()
	case Downloading:
		if r.cancel != nil {
			r.cancel()
		}
	default:
	}
}

// Paused tells that the running machine is held, or with "" that it goes on.
func (r *Reconciler) Paused(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	want := Running
	if why != "" {
		want = Paused
	}
	if (r.now.State == Running || r.now.State == Paused) && r.now.State != want {
		r.now.State, r.now.Detail = want, why
		r.tell()
	}
	r.step()
}

// Suspended tells that the machine is found suspended though nobody here asked
// for it: who did is gone. It goes on if it is wanted to run. still is asked, with
// the reconciler locked, whether what was seen still holds.
func (r *Reconciler) Suspended(still func() bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !still() {
		return
	}
	if r.now.State == Running || r.now.State == Paused {
		r.now.State, r.now.Detail = Suspended, ""
		r.tell()
	}
	r.step()
}

// Found tells that the machine runs after all: it could not be seen when it was
// looked for. take is called first, with the reconciler locked, and only while
// no action is under way; Found reports whether it was called.
func (r *Reconciler) Found(take func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.now.State {
	case Ready, Saved, Absent, Failed:
	default:
		return false
	}
	take()
	r.now.State, r.now.Detail, r.now.Err = Running, "", nil
	if r.now.Desired == Stopped || r.now.Desired == Kept || r.now.Desired == Held {
		r.now.Desired = Run
	}
	r.tell()
	r.step()
	return true
}

// AtRest calls do, with the reconciler locked, if the machine does not run and no
// action is under way, and reports whether it did. do may change what Fetched and
// Saved say.
func (r *Reconciler) AtRest(do func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.now.State {
	case Ready, Saved, Absent, Failed:
	default:
		return false
	}
	do()
	if r.now.State != Failed {
		r.now.State = r.rest()
	}
	r.tell()
	r.step()
	return true
}

// Ended tells that the machine ended by itself. With again set it is started
// again if it is still wanted to run; with err it has failed.
func (r *Reconciler) Ended(again bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.now.State.Live() {
		return // whoever ended it tells the state
	}
	r.now.State, r.now.Detail = r.rest(), ""
	if err != nil {
		r.now.State, r.now.Detail, r.now.Err = Failed, err.Error(), err
	}
	if !again && r.now.Desired == Run || r.now.Desired == Held {
		r.now.Desired = Stopped
	}
	r.tell()
	r.step()
}

// Await returns the first snapshot that satisfies ok, or the error of ctx.
func (r *Reconciler) Await(ctx context.Context, ok func(Snapshot) bool) (Snapshot, error) {
	for {
		r.mu.Lock()
		s, changed := r.now, r.changed
		r.mu.Unlock()
		if ok(s) {
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return s, ctx.Err()
		}
	}
}

// rest is the state of a machine for which nothing is under way.
func (r *Reconciler) rest() State {
	switch {
	case !r.body.Fetched():
		return Absent
	case r.body.Saved():
		return Saved
	default:
		return Ready
	}
}

// tell needs r.mu.
func (r *Reconciler) tell() {
	close(r.changed)
	r.changed = make(chan struct{})
	if r.notify != nil {
		r.notify(r.now)
	}
}

// underWay is the state in which a machine is during an action.
var underWay = map[Action]State{
	Fetch: Downloading, Start: Starting, Stop: Stopping, Save: Stopping, Suspend: Switching, Resume: Switching, Kill: Stopping, Remove: Removing,
}

// step does what the table says; it needs r.mu.
func (r *Reconciler) step() {
	if r.ctx == nil || r.waiting {
		return
	}
	state := r.now.State
	if state == Failed && !r.held && !r.body.Fetched() {
		state = Absent // what failed was the fetch
	}
	action := Plan(r.now.Desired, state)
	switch action {
	case Nothing:
		return
	case Cancel:
		if r.cancel != nil {
			r.cancel()
		}
		return
	case Fetch, Start, Stop, Save, Suspend, Resume, Kill, Remove:
	}
	if action == Start && r.now.Desired == Restart {
		r.now.Desired = Run
	}
	ctx, cancel := context.WithCancel(r.ctx)
	before := r.now.State
	r.cancel = cancel
	r.now.State, r.now.Detail = underWay[action], ""
	r.tell()
	r.wg.Go(func() {
		err := r.do(ctx, action)
		cancelled := ctx.Err() != nil
		cancel()
		r.finished(action, before, cancelled, err)
	})
}

func (r *Reconciler) do(ctx context.Context, a Action) error {
	switch a {
	case Fetch:
		return r.body.Fetch(ctx, r.progress)
	case Start:
		return r.body.Start(ctx)
	case Stop:
		return r.body.Stop(ctx)
	case Save:
		return r.body.Save(ctx)
	case Suspend:
		return r.body.Suspend(ctx)
	case Resume:
		return r.body.Resume(ctx)
	case Kill:
		return r.body.Kill(ctx)
	case Remove:
		return r.body.Remove(ctx)
	case Nothing, Cancel:
	}
	return nil
}

func (r *Reconciler) progress(detail string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now.State == Downloading && r.now.Detail != detail {
		r.now.Detail = detail
		r.tell()
	}
}

// finished takes the result of an action that began in state before.
func (r *Reconciler) finished(a Action, before State, cancelled bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cancel = nil
	r.now.Detail = ""
	switch {
	case err == nil:
		r.now.Err = nil
		r.now.State = r.after(a)
	case cancelled && (a == Fetch || a == Start):
		r.now.State = r.rest()
	case cancelled:
		r.now.State = before
	default:
		r.failed(a, before, err)
	}
	r.tell()
	r.step()
}

// after is the state that a successful action leads to; it needs r.mu.
func (r *Reconciler) after(a Action) State {
	switch a {
	case Start, Resume:
		return Running
	case Suspend:
		return Suspended
	case Remove:
		return Gone
	case Fetch, Stop, Save, Kill, Nothing, Cancel:
	}
	return r.rest()
}

// failed needs r.mu. What could not be fetched, started or suspended is not
// tried again by itself; the rest is.
func (r *Reconciler) failed(a Action, before State, err error) {
	r.now.Err, r.now.Detail = err, err.Error()
	switch a {
	case Fetch, Start:
		r.now.State, r.held = Failed, true
	case Suspend:
		r.now.State = before
		if r.now.Desired == Held {
			r.now.Desired = Run
		}
		return
	case Stop, Save, Resume, Kill, Remove, Nothing, Cancel:
		r.now.State, r.waiting = before, true
		time.AfterFunc(retryDelay, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.waiting = false
			r.step()
		})
		return
	}
	if r.now.Desired == Run || r.now.Desired == Restart {
		r.now.Desired = Stopped
	}
}
