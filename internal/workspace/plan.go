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
	// Kept: not running, its memory saved for the next start.
	Kept Desired = "save"
	// Held: running, and suspended in memory until it is used again.
	Held Desired = "suspend"
)

// State is what is observed of a machine. It travels in wire.MachineState.
type State string

// The observed states.
const (
	Absent      State = "absent"      // its image is not here
	Downloading State = "downloading" // its image is on the way
	Ready       State = "ready"       // it can be started
	Saved       State = "saved"       // it can be started, and goes on where it was
	Starting    State = "starting"
	Running     State = "running"
	Paused      State = "paused"    // held, for example because a disk is full; it goes on by itself
	Stopping    State = "stopping"  // it is being shut down, or its memory saved
	Suspended   State = "suspended" // held in memory until it is wanted to run
	Switching   State = "switching" // it is being suspended, or goes on
	Failed      State = "failed"    // the last action did not succeed; Detail says why
	Removing    State = "removing"  // its disks are being deleted
	Gone        State = "removed"   // nothing is left
)

// Action is what to do next.
type Action string

// The actions.
const (
	Nothing Action = "nothing" // it is as wanted, or under way
	Fetch   Action = "fetch"   // get the image
	Start   Action = "start"
	Stop    Action = "stop" // shut the guest down, kill it after a while
	Kill    Action = "kill" // end the machine at once
	Save    Action = "save" // keep its memory and end it; shut it down when that cannot be
	Suspend Action = "suspend"
	Resume  Action = "resume"
	Cancel  Action = "cancel" // end the action that is under way
	Remove  Action = "remove" // delete the machine's disks
)

// Lists of all states, in the order of the columns and rows of the table.
var (
	AllDesired = []Desired{Stopped, Run, Restart, Halted, Removed, Kept, Held}
	AllStates  = []State{Absent, Downloading, Ready, Saved, Starting, Running, Paused, Suspended, Switching, Stopping, Failed, Removing, Gone}
)

// plan is the whole of the logic. A paused machine that is wanted to run is
// left alone: it goes on by itself when the cause is gone. One that does not run
// is left alone when it shall be kept or held: there is nothing to keep or hold.
var plan = map[State][7]Action{
	//            Stopped  Run      Restart  Halted   Removed  Kept     Held
	Absent:      {Fetch, Fetch, Fetch, Nothing, Remove, Fetch, Fetch},
	Downloading: {Nothing, Nothing, Nothing, Cancel, Cancel, Nothing, Nothing},
	Ready:       {Nothing, Start, Start, Nothing, Remove, Nothing, Nothing},
	Saved:       {Nothing, Start, Start, Nothing, Remove, Nothing, Nothing},
	Starting:    {Cancel, Nothing, Cancel, Cancel, Cancel, Nothing, Nothing},
	Running:     {Stop, Nothing, Stop, Stop, Kill, Save, Suspend},
	Paused:      {Stop, Nothing, Stop, Stop, Kill, Save, Nothing},
	Suspended:   {Stop, Resume, Stop, Stop, Kill, Save, Nothing},
	Switching:   {Nothing, Nothing, Nothing, Nothing, Nothing, Nothing, Nothing},
	Stopping:    {Nothing, Nothing, Nothing, Nothing, Cancel, Nothing, Nothing},
	Failed:      {Nothing, Start, Start, Nothing, Remove, Nothing, Nothing},
	Removing:    {Nothing, Nothing, Nothing, Nothing, Nothing, Nothing, Nothing},
	Gone:        {Nothing, Nothing, Nothing, Nothing, Nothing, Nothing, Nothing},
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
	case Downloading, Starting, Stopping, Switching, Removing:
		return true
	default:
		return false
	}
}

// Live reports whether there is a guest in memory in state s: it runs, is paused
// or suspended.
func (s State) Live() bool { return s == Running || s == Paused || s == Suspended }

// AtRest reports whether there is nothing running and nothing under way in
// state s, and the machine can be started.
func (s State) AtRest() bool { return s == Ready || s == Saved || s == Failed }
