// Package hypervisor is the contract between what runs machines and what wants
// them run. It is an edge: programs import it, domain packages do not, and it
// imports only formats and the root package. Its sub-packages implement it:
// qemu boots machines in the calling process, process puts each into a process
// of its own that outlives the caller, fake keeps them in memory.
//
// A machine lives in a directory that belongs to it alone; the names of the
// files there are the constants of filenames.go. A Spec says what the machine
// is made of. What is not in it is not attached.
package hypervisor

import (
	"context"
	"io"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// Driver starts machines and finds those that run. Its methods may be called
// by several goroutines at once.
type Driver interface {
	// Probe says what this host can do. It may boot a tiny machine and take
	// several seconds the first time; the answer is remembered. ErrUnsupported
	// when machines cannot run at all, for example because QEMU is missing.
	Probe(ctx context.Context) (Capabilities, error)

	// Start makes the disks that are missing and starts the machine. It
	// returns when the hardware runs; the guest is not up yet then, see
	// Status.Guest. It is not idempotent: ErrExists when a machine runs in
	// spec.Dir already (Adopt returns it). ErrInvalid for a Spec that is wrong,
	// ErrUnsupported when the host lacks what it names, ErrFull when no space
	// is left for its disks, ErrCorrupt when the keys do not open its disks,
	// ErrNotFound when a base disk or a boot file is missing. After an error
	// nothing runs, and disks that were kept before are as they were. ctx ends
	// starting, not the machine.
	Start(ctx context.Context, spec Spec, secrets Secrets) (Machine, error)

	// Adopt returns the machine that runs in dir, whoever started it. It may be
	// repeated; every result controls the same machine. ErrNotFound when none
	// runs; what a machine that died left behind (sockets, throw-away disks) is
	// then gone. ErrUnavailable when it runs and does not answer.
	Adopt(ctx context.Context, dir string) (Machine, error)
}

// Machine controls one running machine. Its methods may be called by several
// goroutines at once. Once Done is closed, Exec returns ErrUnavailable,
// Shutdown and Kill return nil, and Status says how the machine ended.
type Machine interface {
	// Status says how the machine is. It answers at once from what is known
	// and does not ask the guest more than the time ctx gives;
	// ErrUnavailable when the process that owns the machine does not answer.
	Status(ctx context.Context) (Status, error)

	// Apply makes a machine that runs what spec says, as far as that is possible
	// while it runs, and returns what waits for the next start. What is taken
	// away is gone when it returns. ErrInvalid for a Spec that is wrong; after
	// another error the machine may be partly changed, and Apply be repeated.
	Apply(ctx context.Context, spec Spec) ([]Part, error)

	// Devices lists what is attached, as the hypervisor says and not as the
	// Spec asked for: for diagnostics and tests.
	Devices(ctx context.Context) ([]Device, error)

	Power
	Guest

	// Done is closed when the machine has ended, for whatever reason.
	Done() <-chan struct{}
}

// Guest speaks with the system inside a machine.
type Guest interface {
	// Exec runs a command in the guest and returns how it ended; a command that
	// failed is no error. It waits for the guest to come up as long as ctx
	// allows, then ErrUnavailable. When ctx ends while it runs, the command is
	// ended too. ErrInvalid for a wrong request, ErrNotFound when the guest has
	// no such program or user, ErrUnsupported when the guest cannot do it.
	Exec(ctx context.Context, request guestwire.ExecRequest) (guestwire.ExecResult, error)

	// Ask sends another request to the guest's agent and decodes its answer into
	// answer, which may be nil. It waits for the guest as Exec does. need is what
	// the guest must be able to do, else ErrUnsupported; other errors are the
	// guest's.
	Ask(ctx context.Context, need guestwire.Capability, method guestwire.Method, request, answer any) error

	// Open connects to a channel of the guest. There is one connection at a
	// time: a new one ends the one before. Both ends have done the handshake
	// when it returns. ErrNotFound when the channel is not attached,
	// ErrUnavailable when the guest does not answer on it by the end of ctx.
	Open(ctx context.Context, channel guestwire.Channel) (io.ReadWriteCloser, error)
}

// Power starts nothing: it holds, saves and ends a machine that runs.
type Power interface {
	// Shutdown asks the guest to power off and returns when the machine has
	// ended, or ErrUnavailable when it has not by the end of ctx: the guest may
	// still do it later. Repeating it is harmless.
	Shutdown(ctx context.Context) error

	// Kill ends the machine at once, as if its power was cut, and returns when
	// it has ended. Throw-away disks are gone then. Repeating it is harmless.
	Kill(ctx context.Context) error

	// Suspend holds the machine: it uses no processor until Resume, and shows as
	// StatePaused with ReasonSuspended. Both are harmless to repeat.
	Suspend(ctx context.Context) error
	Resume(ctx context.Context) error

	// Save keeps the machine's memory and devices in its directory, encrypted
	// under the disk key and bound to what SavedState names, and ends the
	// machine; the next Start with Spec.Resume goes on from there. ErrInvalid for
	// a machine whose layer is not kept, ErrFull when there is no room: then the
	// machine goes on.
	Save(ctx context.Context) error
}

// Capabilities are what a host can do.
type Capabilities struct {
	// Hypervisor is the name and version of what runs machines: "QEMU 7.2.22".
	Hypervisor string `json:"hypervisor"`
	// Accelerator is what was found to boot: kvm, hvf, whpx or tcg.
	Accelerator string `json:"accelerator"`
	// Accelerated is false when machines are emulated and therefore slow.
	Accelerated bool `json:"accelerated"`
	// MachineTypes are the versioned types that can be asked for; the first is
	// the default.
	MachineTypes []string `json:"machine_types"`
	// CPU is the processor model that machines get.
	CPU string `json:"cpu"`
	// Bridges are the host's adapters that machines may be bridged to.
	Bridges []string `json:"bridges,omitempty"`
	// Networks and Firmwares are the values that a Spec may have.
	Networks  []Network  `json:"networks"`
	Firmwares []Firmware `json:"firmwares"`
	// Notes are plain sentences about what is missing and what it means.
	Notes []string `json:"notes,omitempty"`
}

// Secrets are the keys of a machine. They are held in memory only and handed
// to other processes through inherited pipes, never as arguments, in the
// environment, in files or in logs.
type Secrets struct {
	// DiskKey opens the machine overlay and the data disk: 16 to 64 random
	// bytes, always the same ones for one machine.
	DiskKey []byte `json:"disk_key"`
	// RepositoryKey opens the image's frames; empty when the repository is not
	// encrypted.
	RepositoryKey []byte `json:"repository_key,omitempty"`
}

// String hides the keys from logs.
func (Secrets) String() string { return "hypervisor.Secrets(hidden)" }

// GoString hides the keys from %#v.
func (Secrets) GoString() string { return "hypervisor.Secrets(hidden)" }

// Limits of keys, in bytes.
const (
	minDiskKey = 16
	maxDiskKey = 64
)

// Validate checks the form of the keys.
func (s Secrets) Validate() error {
	if len(s.DiskKey) < minDiskKey || len(s.DiskKey) > maxDiskKey {
		return dormer.Invalidf("disk_key", "must have %d to %d bytes", minDiskKey, maxDiskKey)
	}
	return nil
}
