package lease

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
)

// ByPolicy is who gives orders that the policy of a machine asks for.
const ByPolicy = "policy"

// Deletion is a machine that is to be deleted because its policy says so. It
// holds for one revision of the workspace and one reason: after another edit it
// is decided anew, and what was confirmed before counts no more.
type Deletion struct {
	Machine   dormer.MachineID
	Client    dormer.ClientID
	User      string // for people
	Workspace dormer.WorkspaceID
	Revision  dormer.Revision
	Reason    string
	State     DeletionState
	Since     time.Time
	// ConfirmedBy is the operator who let it go on, if it was halted.
	ConfirmedBy string
	// Order is the order that was given; "" before.
	Order string
}

// Same reports whether d and o are about the same decision.
func (d Deletion) Same(o Deletion) bool {
	return d.Machine == o.Machine && d.Workspace == o.Workspace && d.Revision == o.Revision && d.Reason == o.Reason
}

// DeletionState is how far a deletion by policy has come.
type DeletionState string

// The states of deletions by policy.
const (
	// DeletionHalted waits for an operator.
	DeletionHalted DeletionState = "halted"
	// DeletionConfirmed is ordered at the client's next poll, if the policy still
	// says so.
	DeletionConfirmed DeletionState = "confirmed"
	// DeletionOrdered was ordered, once: what the client could not do is not
	// ordered again.
	DeletionOrdered DeletionState = "ordered"
)

// DeletionFacts is what a deletion by policy is decided by.
type DeletionFacts struct {
	// Have is what was decided of the machine before; nil: nothing.
	Have *Deletion
	// Pending says that an order to delete it is on its way, whoever gave it.
	Pending bool
	// Halted says that others of the workspace wait for an operator.
	Halted bool
	// Deleted are the machines that were ordered to be deleted within haltWindow,
	// of Machines in all.
	Deleted, Machines int
}

// deletionRules are asked from the top; the first that holds decides.
var deletionRules = []struct {
	holds func(f DeletionFacts, same bool) bool
	state DeletionState
	order bool // an order is given
}{
	{func(f DeletionFacts, _ bool) bool { return f.Pending }, DeletionOrdered, false},
	{func(f DeletionFacts, same bool) bool { return same && f.Have.State == DeletionOrdered }, DeletionOrdered, false},
	{func(f DeletionFacts, same bool) bool { return same && f.Have.State == DeletionConfirmed }, DeletionOrdered, true},
	// What waits goes on waiting, and takes the others of its workspace with it: else
	// a mistake would delete 5 % every hour.
	{func(f DeletionFacts, _ bool) bool { return f.Have != nil && f.Have.State != DeletionOrdered }, DeletionHalted, false},
	{func(f DeletionFacts, _ bool) bool { return f.Halted }, DeletionHalted, false},
	{func(f DeletionFacts, _ bool) bool { return f.Deleted >= atOnce(f.Machines) }, DeletionHalted, false},
	{func(DeletionFacts, bool) bool { return true }, DeletionOrdered, true},
}

// atOnce is how many machines may be ordered to be deleted within haltWindow.
func atOnce(machines int) int { return max(machines/haltPart, 1) }

// decideDeletion returns what becomes of want, and whether an order is given now.
func decideDeletion(f DeletionFacts, want Deletion) (DeletionState, bool) {
	same := f.Have != nil && f.Have.Same(want)
	for _, r := range deletionRules {
		if r.holds(f, same) {
			return r.state, r.order
		}
	}
	panic("unreachable: the last rule always holds")
}

// planDeletion orders a machine to be deleted that its policy wants deleted now,
// once, unless too many are: then it waits for an operator. A repeat of what is
// decided touches no database. The caller holds the client's lock.
func (i *Issuer) planDeletion(ctx context.Context, m *machineRecord, user dormer.Principal, e *Entitlement, now time.Time, d *Decision) error {
	want := Deletion{
		Machine: m.ID, Client: m.Client, User: user.Name, Workspace: e.Workspace, Revision: e.Revision, Reason: e.Delete, Since: now,
	}
	have, known := i.orders.deletion(m.ID)
	if known && have.Same(want) && have.State != DeletionConfirmed {
		return nil
	}
	o, err := i.newOrder(OrderRequest{Client: m.Client, Machine: m.ID, Kind: OrderDelete, Reason: e.Delete}, now)
	if err != nil {
		return err
	}
	signed, err := o.Sign(i.cfg.Signer)
	if err != nil {
		return err
	}
	stored, err := i.cfg.Deletions.PlanDeletion(ctx, want, PendingOrder{Order: o, By: ByPolicy}, now.Add(-haltWindow), decideDeletion)
	if err != nil {
		return fmt.Errorf("plan deletion of machine %s: %w", m.ID, err)
	}
	i.orders.plan(stored, pendingOrder{Order: o, signed: signed})
	if !known || stored.State != have.State || !stored.Same(have) {
		d.Deletions = append(d.Deletions, stored)
	}
	return nil
}

// keepMachine forgets what was decided of a machine that its policy does not
// want deleted, or not any more.
func (i *Issuer) keepMachine(ctx context.Context, id dormer.MachineID) error {
	have, known := i.orders.deletion(id)
	if !known || have.State == DeletionOrdered && i.orders.deletes(have.Client, id) {
		return nil // what was ordered is on its way
	}
	if err := i.cfg.Deletions.ForgetDeletion(ctx, id); err != nil {
		return fmt.Errorf("forget deletion of machine %s: %w", id, err)
	}
	i.orders.unplan(id)
	return nil
}

// Deletions returns the deletions by policy that have not been ordered, oldest
// first.
func (i *Issuer) Deletions(ctx context.Context) ([]Deletion, error) {
	all, err := i.cfg.Deletions.Deletions(ctx)
	if err != nil {
		return nil, fmt.Errorf("load deletions: %w", err)
	}
	return slices.DeleteFunc(all, func(d Deletion) bool { return d.State == DeletionOrdered }), nil
}

// WaitingError is an ErrConflict: other deletions wait than those that somebody
// saw and wants to go on.
type WaitingError struct {
	Seen, Waiting int
}

func (e *WaitingError) Error() string {
	return fmt.Sprintf("%d deletions wait for a confirmation now, not %d; look at them again", e.Waiting, e.Seen)
}

// Is makes a *WaitingError match ErrConflict.
func (e *WaitingError) Is(target error) bool { return target == dormer.ErrConflict }

// ConfirmDeletions lets the deletions that are halted go on: each is ordered at
// its client's next poll, if the policy still wants it. seen is how many there
// are; *WaitingError when that has changed.
func (i *Issuer) ConfirmDeletions(ctx context.Context, seen int, by string) error {
	err := i.cfg.Deletions.ConfirmDeletions(ctx, by, func(waiting int) error {
		if waiting != seen || waiting == 0 {
			return &WaitingError{Seen: seen, Waiting: waiting}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("halted deletions: %w", err)
	}
	return i.Refresh(ctx)
}
