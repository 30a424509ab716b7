package lease

import (
	"context"
	"time"

	"github.com/dormer-project/dormer"
)

// Machine is the server's record of one machine.
type Machine struct {
	ID        dormer.MachineID
	Client    dormer.ClientID
	User      dormer.Principal
	Workspace dormer.WorkspaceID
	// DiskKey is the escrowed key of its disks, encrypted under the instance's
	// escrow key.
	DiskKey      []byte
	ComputerName string
	Created      time.Time
	// What the client last reported.
	State    string
	Detail   string
	Image    dormer.ImageID
	Guest    string
	Reported *time.Time
}

// Report is what a client said of one machine.
type Report struct {
	Machine dormer.MachineID
	State   string
	Detail  string
	Image   dormer.ImageID
	Guest   string
	Time    time.Time
}

// PendingOrder is an order that its client has not yet reported as run.
type PendingOrder struct {
	Order Order
	By    string // operator's name
	// Done and Error are set by CompleteOrder.
	Done  *time.Time
	Error string
}

// MachineStore keeps machines and orders.
type MachineStore interface {
	// EnsureMachine returns the machine of (client, user, workspace), storing m
	// if there is none yet. Two callers at once get the same one.
	EnsureMachine(ctx context.Context, m Machine) (Machine, error)
	// Machines returns all machines of the instance.
	Machines(ctx context.Context) ([]Machine, error)
	// FlushReports records many reports in one transaction; the newest counts,
	// unknown machines are passed over.
	FlushReports(ctx context.Context, reports []Report) error
	DeleteMachine(ctx context.Context, id dormer.MachineID) error
}

// OrderStore keeps orders until they were run.
type OrderStore interface {
	CreateOrder(ctx context.Context, o PendingOrder) error
	// PendingOrders returns the orders not yet done, of all clients, oldest first.
	PendingOrders(ctx context.Context) ([]PendingOrder, error)
	// DeletionsSince returns when orders to delete were given, done or not, from
	// since on.
	DeletionsSince(ctx context.Context, since time.Time) ([]time.Time, error)
	// CompleteOrder records the result. Repeating it changes nothing.
	CompleteOrder(ctx context.Context, id string, at time.Time, errorText string) error
}

// EpochStore keeps the instance's identity and epoch.
type EpochStore interface {
	// Instance returns the identity and epoch of the instance whose state this
	// is, making them (epoch 1) with id when there are none yet.
	Instance(ctx context.Context, id dormer.InstanceID) (dormer.InstanceID, dormer.Epoch, error)
	// RaiseEpoch sets a higher epoch; a lower or equal one is ErrConflict.
	RaiseEpoch(ctx context.Context, to dormer.Epoch) error
}
