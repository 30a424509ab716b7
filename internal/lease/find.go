package lease

import (
	"context"

	"github.com/dormer-project/dormer"
)

// MachineFilter selects machines. The zero MachineFilter selects all.
type MachineFilter struct {
	IDs    []dormer.MachineID // these alone; nil: any
	Client dormer.ClientID    // "": of any
	// Workspace that they are from; "": any.
	Workspace dormer.WorkspaceID
	Image     dormer.ImageID // that they run, as their clients reported last; "": any
	Limit     int            // 0: no limit
}

// MachineCounts counts machines.
type MachineCounts struct {
	Machines int
	// Running are those whose clients reported last that they run.
	Running int
	// Clients are how many computers the machines are on.
	Clients int
}

// MachineFinder finds and counts machines, without that all of them are read.
type MachineFinder interface {
	// FindMachines returns the machines that f selects, in the order in which they
	// were made, and how many there are without its Limit.
	FindMachines(ctx context.Context, f MachineFilter) (list []Machine, total int, err error)
	// MachinesByWorkspace counts the machines of each workspace that has any.
	MachinesByWorkspace(ctx context.Context) (map[dormer.WorkspaceID]MachineCounts, error)
	// EachMachineImage calls each with the image and the client of every machine
	// that was reported with an image.
	EachMachineImage(ctx context.Context, each func(dormer.ImageID, dormer.ClientID)) error
}
