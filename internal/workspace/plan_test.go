package workspace

import (
	"slices"
	"testing"
)

// goals says where each desired state ends, from every state.
var goals = map[Desired][]State{
	Stopped: {Ready, Saved, Failed, Gone},
	Run:     {Running, Paused, Gone},
	Restart: {Running, Paused, Gone},
	Halted:  {Absent, Ready, Saved, Failed, Gone},
	Removed: {Gone},
	Kept:    {Ready, Saved, Failed, Gone},
	Held:    {Suspended, Paused, Ready, Saved, Failed, Gone},
}

// results are the states that an action may lead to.
func results(a Action, from State) []State {
	switch a {
	case Fetch:
		return []State{Ready, Failed}
	case Start:
		return []State{Running, Failed}
	case Stop, Kill:
		return []State{Ready, Saved}
	case Save:
		return []State{Ready, Saved}
	case Suspend:
		return []State{Suspended, Ready}
	case Resume:
		return []State{Running}
	case Remove:
		return []State{Gone}
	case Cancel:
		return map[State][]State{Downloading: {Absent}, Starting: {Ready, Running}, Stopping: {Running, Paused, Ready}}[from]
	case Nothing:
		return map[State][]State{Downloading: {Ready, Failed}, Starting: {Running, Failed}, Stopping: {Ready, Saved}, Switching: {Running, Suspended}, Removing: {Gone}}[from]
	}
	return nil
}

// TestPlanIsWhole walks the whole product of desired and observed states: every
// pair is in the table, and from every state every goal is reached by any
// outcome of the actions, failures of fetch and start aside.
func TestPlanIsWhole(t *testing.T) {
	if len(plan) != len(AllStates) {
		t.Errorf("the table has %d states, there are %d", len(plan), len(AllStates))
	}
	for _, d := range AllDesired {
		for _, s := range AllStates {
			action := Plan(d, s)
			if action == "" {
				t.Errorf("%s x %s has no action", d, s)
			}
			if action == Nothing && !slices.Contains(goals[d], s) && !s.Busy() && (d != Run && d != Restart || s != Failed) {
				t.Errorf("%s x %s rests without being there", d, s)
			}
			if !arrives(d, s, 8) {
				t.Errorf("%s is not reached from %s", d, s)
			}
		}
	}
}

func arrives(d Desired, s State, steps int) bool {
	if steps == 0 {
		return false
	}
	if slices.Contains(goals[d], s) && Plan(d, s) == Nothing {
		return true
	}
	next := results(Plan(d, s), s)
	if len(next) == 0 {
		return false
	}
	if Plan(d, s) == Start && d == Restart {
		d = Run
	}
	for _, n := range next {
		if n == Failed && (d == Run || d == Restart) {
			continue // the reconciler gives up wanting it to run
		}
		if !arrives(d, n, steps-1) {
			return false
		}
	}
	return true
}

func TestPlanNeverDeletesUnasked(t *testing.T) {
	for _, d := range AllDesired {
		for _, s := range AllStates {
			if Plan(d, s) == Remove && d != Removed {
				t.Errorf("%s x %s deletes", d, s)
			}
			if a := Plan(d, s); d == Halted && (a == Start || a == Fetch) {
				t.Errorf("halted x %s does %s", s, a)
			}
			if a := Plan(d, s); (a == Save || a == Suspend) && d != Kept && d != Held {
				t.Errorf("%s x %s does %s", d, s, a)
			}
			if Plan(d, s) == Cancel && !s.Busy() {
				t.Errorf("%s x %s cancels what is not under way", d, s)
			}
		}
	}
	if Plan("unheard of", Running) != Nothing || Plan(Run, "unheard of") != Nothing {
		t.Error("unknown states must give nothing")
	}
}
