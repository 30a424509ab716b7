// Package workspace keeps one machine in the state that is wanted of it:
// desired state and observed state give an action, as one table. The agent
// imports it; it knows nothing of hypervisors, images or servers.
package workspace

import "slices"

// Desired is what is wanted of a machine.
type Desired string

// The desired states.
const (
	// Stopped: not running, with its image here and verified, ready to start.
	Stopped Desired = "stop"
	// Run: running.
	Run Desired = "run"
	// Restart: stopped once and then running. It becomes Run by itself.
	Restart Desired = "restart"
	// Halted: may not run. It is stopped and kept, and nothing is fetched for it.
	Halted Desired = "halt"
	// Removed: nothing of it is left on this computer. This is final.
	Removed Desired = "removed"
)

// State is what is observed of a machine. It travels in wire.MachineState.
type State string

// The observed states.
const (
	Absent      State = "absent"      // its image is not here
	Downloading State = "downloading" // its image is on the way
	Ready       State = "ready"       // it can be started
	Starting    State = "starting"
	Running     State = "running"
	Paused      State = "paused" // held, for example because a disk is full; it goes on by itself
	Stopping    State = "stopping"
	Failed      State = "failed"   // the last action did not succeed; Detail says why
	Removing    State = "removing" // its disks are being deleted
	Gone        State = "removed"  // nothing is left
)

// Action is what to do next.
type Action string

// The actions.
const (
	Nothing Action = "nothing" // it is as wanted, or under way
	Fetch   Action = "fetch"   // get the image
	Start   Action = "start"
	Stop    Action = "stop"   // shut the guest down, kill it after a while
	Kill    Action = "kill"   // end the machine at once
	Cancel  Action = "cancel" // end the action that is under way
	Remove  Action = "remove" // delete the machine's disks
)

// Lists of all states, in the order of the columns and rows of the table.
var (
	AllDesired = []Desired{Stopped, Run, Restart, Halted, Removed}
	AllStates  = []State{Absent, Downloading, Ready, Starting, Running, Paused, Stopping, Failed, Removing, Gone}
)

// plan is the whole of the logic. A paused machine that is wanted to run is
// left alone: it goes on by itself when the cause is gone.
var plan = map[State][5]Action{
	//            Stopped  Run      Restart  Halted   Removed
	Absent:      {Fetch, Fetch, Fetch, Nothing, Remove},
	Downloading: {Nothing, Nothing, Nothing, Cancel, Cancel},
	Ready:       {Nothing, Start, Start, Nothing, Remove},
	Starting:    {Cancel, Nothing, Cancel, Cancel, Cancel},
	Running:     {Stop, Nothing, Stop, Stop, Kill},
	Paused:      {Stop, Nothing, Stop, Stop, Kill},
	Stopping:    {Nothing, Nothing, Nothing, Nothing, Cancel},
	Failed:      {Nothing, Start, Start, Nothing, Remove},
	Removing:    {Nothing, Nothing, Nothing, Nothing, Nothing},
	Gone:        {Nothing, Nothing, Nothing, Nothing, Nothing},
}

// Plan returns what to do with a machine. An unknown state, desired or
// observed, gives Nothing.
func Plan(d Desired, s State) Action {
	i := slices.Index(AllDesired, d)
	row, ok := plan[s]
	if i < 0 || !ok {
		return Nothing
	}
	return row[i]
}

// Busy reports whether an action is under way in state s.
func (s State) Busy() bool {
	switch s {
	case Downloading, Starting, Stopping, Removing:
		return true
	default:
		return false
	}
}

// Live reports whether there is a running or paused guest in state s.
func (s State) Live() bool { return s == Running || s == Paused }
