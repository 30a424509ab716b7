package alert

// state is where an alert of a rule and a key is.
type state int8

// The states. Pending and ending are kept across restarts as the others are.
const (
	idle    state = iota // nothing is known
	pending              // the condition holds, not for long enough yet
	open                 // raised
	ending               // raised, and the condition is over, not for long enough yet
	states
)

// input is what was found of the condition.
type input int8

// The inputs.
const (
	holds    input = iota // the condition holds, not for long enough yet
	holdsDue              // it has held long enough
	over                  // it does not hold
	overDue               // it has not held for long enough to clear
	gone                  // the rule is there no more, or turned off
	inputs
)

// action is what is done.
type action int8

// The actions.
const (
	nothing action = iota
	raise
	repeat
	clearIt
)

// step is what an input makes of a state.
type step struct {
	to     state
	action action
}

// table is the whole life of an alert.
var table = [states][inputs]step{
	idle:    {holds: {pending, nothing}, holdsDue: {open, raise}, over: {idle, nothing}, overDue: {idle, nothing}, gone: {idle, nothing}},
	pending: {holds: {pending, nothing}, holdsDue: {open, raise}, over: {idle, nothing}, overDue: {idle, nothing}, gone: {idle, nothing}},
	open:    {holds: {open, repeat}, holdsDue: {open, repeat}, over: {ending, nothing}, overDue: {idle, clearIt}, gone: {idle, clearIt}},
	ending:  {holds: {open, repeat}, holdsDue: {open, repeat}, over: {ending, nothing}, overDue: {idle, clearIt}, gone: {idle, clearIt}},
}

// raised reports whether an alert is open in a state.
func (s state) raised() bool { return s == open || s == ending }
