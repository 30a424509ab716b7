package hypervisor

import "time"

// State is the state of a machine's hardware.
type State string

// The states.
const (
	StateStarting State = "starting" // not executing yet
	StateRunning  State = "running"
	StatePaused   State = "paused"  // see Status.Reason; it resumes by itself
	StateStopped  State = "stopped" // Done is closed
)

// Reason says why a machine is paused or has stopped.
type Reason string

// The reasons.
const (
	// ReasonNoSpace: the host has no space for what the guest writes. The
	// machine goes on when there is some.
	ReasonNoSpace Reason = "no space left"
	// ReasonDisk: a disk of the machine cannot be read or written. It is tried again.
	ReasonDisk Reason = "disk error"
	// ReasonSuspended: Suspend was called; it goes on with Resume only.
	ReasonSuspended Reason = "suspended"
	// ReasonSaved: Save was called and has ended the machine.
	ReasonSaved Reason = "saved"
	// ReasonShutdown: the guest has powered itself off.
	ReasonShutdown Reason = "shut down"
	// ReasonKilled: Kill was called.
	ReasonKilled Reason = "killed"
	// ReasonRestart: the guest has restarted itself; whoever owns the machine
	// starts it again.
	ReasonRestart Reason = "restarted"
	// ReasonCrashed: the guest's system or the hypervisor broke down.
	ReasonCrashed Reason = "crashed"
)

// Status is how a machine is.
type Status struct {
	State  State  `json:"state"`
	Reason Reason `json:"reason,omitempty"`
	// Detail is a plain sentence beside the reason, for people.
	Detail string `json:"detail,omitempty"`
	// Started is when the hardware was started.
	Started time.Time `json:"started,omitzero"`
	// Guest is what is known of the guest's inside.
	Guest GuestStatus `json:"guest"`
	// Missing says, a plain sentence each, what the Spec asked for and the host
	// could not give.
	Missing []string `json:"missing,omitempty"`
	// Resumed says that it went on from saved state; Notice why it did not
	// although there was one.
	Resumed bool   `json:"resumed,omitempty"`
	Notice  string `json:"notice,omitempty"`
	// Hardware is what saved state would be bound to.
	Hardware Hardware `json:"hardware"`
	// PIDs are the processes that make up the machine, for people and tests.
	PIDs []int `json:"pids,omitempty"`
}

// GuestStatus is what the guest says of itself through dormer-guest.
type GuestStatus struct {
	// Up says that the guest answers. It stays so for half a minute after the
	// guest's agent has ended, which may be because the guest powers off. The other
	// fields are what it said last.
	Up bool `json:"up"`
	// Ready says that the guest is up, has its name and has mounted the data
	// disk: applications can be started.
	Ready bool `json:"ready"`
	// Since is when it was ready first, or zero.
	Since time.Time `json:"since,omitzero"`
	// Problem is why a guest that is up does not become ready.
	Problem string `json:"problem,omitempty"`

	Hostname     string        `json:"hostname,omitempty"`
	System       string        `json:"system,omitempty"`
	Software     string        `json:"software,omitempty"`
	Capabilities []string      `json:"capabilities,omitempty"`
	Users        []string      `json:"users,omitempty"`
	Idle         time.Duration `json:"idle_ns,omitempty"`
	Uptime       time.Duration `json:"uptime_ns,omitempty"`
	// Applications is how many published applications run.
	Applications int `json:"applications,omitempty"`
	// Session changes whenever the guest's agent has started anew: what it was
	// told before may be lost.
	Session string `json:"session,omitempty"`
}

// Hardware is what the machine runs on.
type Hardware struct {
	Hypervisor  string `json:"hypervisor,omitempty"`
	Accelerator string `json:"accelerator,omitempty"`
	MachineType string `json:"machine_type,omitempty"`
	CPU         string `json:"cpu,omitempty"`
}
