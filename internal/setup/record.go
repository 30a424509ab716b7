package setup

import (
	"maps"
	"time"

	"github.com/dormer-project/dormer/internal/policy"
)

// State is where a script stands.
type State string

// The states.
const (
	// Waiting: it goes on as soon as it is run.
	Waiting State = "waiting"
	Running State = "running"
	// Failed: a step failed as often as it may. A changed script, a new start of
	// the guest or the user take it up again.
	Failed State = "failed"
	// Cancelled and Postponed: by the user. A new start of the guest or the user
	// take it up again; meanwhile only a workspace whose script was postponed can
	// be used.
	Cancelled State = "cancelled"
	Postponed State = "postponed"
	// Finished: every step is done. Steps that are added later do not run.
	Finished State = "finished"
)

// input is what happens to a script.
type input string

const (
	inputRun      input = "run"      // the guest is ready
	inputStart    input = "start"    // the guest's system was started anew
	inputChange   input = "change"   // the policy's script is another
	inputResume   input = "resume"   // the user wants it to go on
	inputCancel   input = "cancel"   // the user does not want it
	inputPostpone input = "postpone" // the user wants it later
	inputFail     input = "fail"     // a step failed for good, or the time is over
	inputDone     input = "done"     // no step is left
)

// All states and inputs, for the test that goes through the table.
var (
	allStates = []State{Waiting, Running, Failed, Cancelled, Postponed, Finished}
	allInputs = []input{inputRun, inputStart, inputChange, inputResume, inputCancel, inputPostpone, inputFail, inputDone}
)

// next is the whole of the logic. What is not in it changes nothing.
var next = map[State]map[input]State{
	Waiting:   {inputRun: Running, inputCancel: Cancelled, inputPostpone: Postponed},
	Running:   {inputCancel: Cancelled, inputPostpone: Postponed, inputFail: Failed, inputDone: Finished},
	Failed:    {inputStart: Waiting, inputChange: Waiting, inputResume: Waiting},
	Cancelled: {inputStart: Waiting, inputResume: Waiting},
	Postponed: {inputStart: Waiting, inputResume: Waiting, inputCancel: Cancelled},
	Finished:  {},
}

// phase is how far the step has come that is under way. It is kept before what
// follows is done, so that whoever goes on knows what may have been done.
type phase string

const (
	phaseNone    phase = ""
	phaseBegun   phase = "begun"   // the guest may have been asked
	phaseRestart phase = "restart" // all is done but the restart of the guest
)

// Record is what is kept of the scripts of one machine.
type Record struct {
	// Layers are the records of the machine's layers, by their names.
	Layers map[string]*Layer `json:"layers,omitempty"`
	// Workspace are the steps with once: workspace, as Layer.Done.
	Workspace map[string]uint64 `json:"workspace,omitempty"`
	// Sequence numbers what is done, from 1.
	Sequence uint64 `json:"sequence"`
}

// Layer is what is kept for one layer of a machine.
type Layer struct {
	State State `json:"state"`
	// Done are the steps of the layer that are done, each with the number under
	// which it was; 0 for one that is never begun a second time and may have been
	// begun.
	Done map[string]uint64 `json:"done,omitempty"`
	// Step is the step that is under way or has failed, and Phase how far it came.
	Step  string `json:"step,omitempty"`
	Phase phase  `json:"phase,omitempty"`
	// Boot is the boot of the guest in which the script was last run, From that in
	// which the step was begun; Asked is when the guest was to restart.
	Boot  string    `json:"boot,omitempty"`
	From  string    `json:"from,omitempty"`
	Asked time.Time `json:"asked,omitzero"`
	// Attempts is how often the step was tried, Failure why it did not succeed and
	// Place which it was, for people.
	Attempts int    `json:"attempts,omitempty"`
	Place    string `json:"place,omitempty"`
	Failure  string `json:"failure,omitempty"`
	// Script is the digest of the script that was run.
	Script string `json:"script,omitempty"`
	// Spent is how long it has run since it was taken up.
	Spent time.Duration `json:"spent_ns,omitempty"`
	// Postponed is how often the user put it off.
	Postponed int `json:"postponed,omitempty"`
}

// layer returns the record of a layer, made when it is missing.
func (r *Record) layer(name string) *Layer {
	if r.Layers == nil {
		r.Layers = map[string]*Layer{}
	}
	if r.Layers[name] == nil {
		r.Layers[name] = &Layer{State: Waiting}
	}
	return r.Layers[name]
}

// take applies an input and reports whether it changed the state.
func (l *Layer) take(in input) bool {
	to, ok := next[l.State][in]
	if !ok {
		return false
	}
	l.State = to
	switch in {
	case inputStart, inputChange, inputResume:
		l.Attempts, l.Failure, l.Place, l.Spent = 0, "", "", 0
	case inputRun, inputCancel, inputPostpone, inputFail, inputDone:
	}
	return true
}

// mark notes that a step is done.
func (r *Record) mark(l *Layer, s Step) {
	r.Sequence++
	r.book(l, s)[s.ID] = r.Sequence
	l.Step, l.Phase, l.From, l.Attempts, l.Failure, l.Asked = "", phaseNone, "", 0, "", time.Time{}
}

// book returns where it is kept that a step is done.
func (r *Record) book(l *Layer, s Step) map[string]uint64 {
	where := &l.Done
	if s.ofWorkspace() {
		where = &r.Workspace
	}
	if *where == nil {
		*where = map[string]uint64{}
	}
	return *where
}

// done returns the number under which a step was done, 0 for one that was not.
func (r *Record) done(l *Layer, s Step) uint64 {
	if s.ofWorkspace() {
		return r.Workspace[s.ID]
	}
	return l.Done[s.ID]
}

// begun reports whether a step that is never begun a second time may have been.
func (r *Record) begun(l *Layer, s Step) bool {
	_, ok := r.book(l, s)[s.ID]
	return ok
}

// pending returns the place in the script of the first step that is left; false
// when none is. A restart counts only if everything before it was done by then:
// it is repeated after a step that was corrected or added before it.
func (r *Record) pending(l *Layer, steps []Step) (int, bool) {
	var last uint64
	for i, s := range steps {
		at := r.done(l, s)
		if at == 0 || s.Action.Restart != nil && !s.ofWorkspace() && at < last {
			return i, true
		}
		last = max(last, at)
	}
	return len(steps), false
}

func (s Step) ofWorkspace() bool { return s.Action.Once == policy.OnceWorkspace }

// clone returns a copy that shares nothing.
func (r *Record) clone() Record {
	c := Record{Sequence: r.Sequence, Workspace: maps.Clone(r.Workspace), Layers: maps.Clone(r.Layers)}
	for name, l := range r.Layers {
		own := *l
		own.Done = maps.Clone(l.Done)
		c.Layers[name] = &own
	}
	return c
}
