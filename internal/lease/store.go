package lease

import (
	"context"
	"fmt"
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
	Follows  Follows
	Reported *time.Time
	// OfflineBudget is how many seconds it may run without its lease being
	// renewed, by the lease that is out; nil: no limit, or not known.
	OfflineBudget *int64
}

// Follows is how a machine follows its policy.
type Follows struct {
	// Revision is that of the workspace whose policy the client holds; 0: not
	// reported.
	Revision dormer.Revision
	Locked   bool
	// AtNextStart are the fields of the policy that it takes over when it starts
	// next, NotEnforced those that its agent does nothing for.
	AtNextStart, NotEnforced []string
}

// ErrNameTaken is an ErrExists: another machine of the instance has that
// computer name.
var ErrNameTaken = fmt.Errorf("the computer name is taken: %w", dormer.ErrExists)

// Report is what a client said of one machine.
type Report struct {
	Machine dormer.MachineID
	State   string
	Detail  string
	Image   dormer.ImageID
	Guest   string
	Follows Follows
	// OfflineBudget is that of the lease that is out, in seconds.
	OfflineBudget *int64
	Time          time.Time
}

// PendingOrder is an order that its client has not yet reported as run.
type PendingOrder struct {
	Order Order
	By    string // operator's name
	// Done and Error are set by CompleteOrder, all three by WithdrawOrder.
	Done      *time.Time
	Error     string
	Withdrawn bool
}

// OrderFilter selects orders.
type OrderFilter struct {
	Client  dormer.ClientID // "": of all
	Waiting bool            // those alone that wait for their clients
	Limit   int
}

// MachineStore keeps machines and orders.
type MachineStore interface {
	// EnsureMachine returns the machine of (client, user, workspace), storing m
	// if there is none yet. Two callers at once get the same one. ErrNameTaken
	// when another machine has the computer name.
	EnsureMachine(ctx context.Context, m Machine) (Machine, error)
	// NameMachine gives a machine a computer name unless it has one, and returns
	// the one that it has then. ErrNameTaken when another machine has it.
	NameMachine(ctx context.Context, id dormer.MachineID, computerName string) (string, error)
	// Machines returns all machines of the instance.
	Machines(ctx context.Context) ([]Machine, error)
	// FlushReports records many reports in one transaction; the newest counts,
	// unknown machines are passed over.
	FlushReports(ctx context.Context, reports []Report) error
	// DeleteMachine removes a machine and what was decided of its deletion.
	DeleteMachine(ctx context.Context, id dormer.MachineID) error
}

// OrderStore keeps orders until they were run.
type OrderStore interface {
	// CreateOrder stores an order that deletes nothing.
	CreateOrder(ctx context.Context, o PendingOrder) error
	// CreateDeletion stores an order to delete a machine if allow agrees, which is
	// told how many such orders were given from since on, done or not, and how
	// many machines there are. Its error is returned and nothing is stored. No
	// other server gives such an order meanwhile.
	CreateDeletion(ctx context.Context, o PendingOrder, since time.Time, allow func(deleted, machines int) error) error
	// PendingOrders returns the orders not yet done, of all clients, oldest first.
	PendingOrders(ctx context.Context) ([]PendingOrder, error)
	// CompleteOrder records the result. Repeating it changes nothing.
	CompleteOrder(ctx context.Context, id string, at time.Time, errorText string) error
	// FindOrders returns the newest orders, done or not, newest first.
	FindOrders(ctx context.Context, f OrderFilter) ([]PendingOrder, error)
	// WithdrawOrder takes an order back and returns it. ErrConflict when it does
	// not wait any more, ErrNotFound when there is none.
	WithdrawOrder(ctx context.Context, id string, at time.Time, by string) (PendingOrder, error)
}

// DeletionStore keeps what was decided of machines that their policy wants
// deleted.
type DeletionStore interface {
	// Deletions returns all, oldest first.
	Deletions(ctx context.Context) ([]Deletion, error)
	// PlanDeletion stores want in the state that decide returns, together with
	// order when that says so, and returns what is stored. Facts are counted from
	// since on, and hold until it is stored, on all servers. What is stored of the
	// same decision keeps Since, ConfirmedBy and Order.
	PlanDeletion(ctx context.Context, want Deletion, order PendingOrder, since time.Time,
		decide func(DeletionFacts, Deletion) (state DeletionState, order bool)) (Deletion, error)
	// ForgetDeletion removes what was decided of a machine. Repeating it changes
	// nothing.
	ForgetDeletion(ctx context.Context, id dormer.MachineID) error
	// ConfirmDeletions makes all that are halted confirmed if check agrees, which
	// is told how many there are. Its error is returned and nothing is changed.
	ConfirmDeletions(ctx context.Context, by string, check func(waiting int) error) error
}

// EpochStore keeps the instance's identity and epoch.
type EpochStore interface {
	// Instance returns the identity and epoch of the instance whose state this
	// is, making them (epoch 1) with id when there are none yet.
	Instance(ctx context.Context, id dormer.InstanceID) (dormer.InstanceID, dormer.Epoch, error)
	// RaiseEpoch sets a higher epoch; a lower or equal one is ErrConflict.
	RaiseEpoch(ctx context.Context, to dormer.Epoch) error
}
