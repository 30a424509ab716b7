// Package lease holds leases and orders: the server's signed statements about
// one machine, what they mean against the clock, and how they are issued. The
// server issues them, the agent enforces them; both import this package.
package lease

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/seal"
)

// Version is the version of the lease and order documents.
const Version = 1

// Lease permits one user on one client to run one machine.
type Lease struct {
	Version  int               `json:"version"`
	Instance dormer.InstanceID `json:"instance"`
	Epoch    dormer.Epoch      `json:"epoch"`
	// Serial grows with every lease for the same machine (microseconds since
	// 1970 when it was issued).
	Serial        uint64             `json:"serial"`
	Client        dormer.ClientID    `json:"client"`
	Machine       dormer.MachineID   `json:"machine"`
	User          dormer.Principal   `json:"user"`
	Workspace     dormer.WorkspaceID `json:"workspace"`
	WorkspaceName string             `json:"workspace_name"`
	IssuedAt      time.Time          `json:"issued_at"`
	// ValidUntil is an instant in UTC; absent: no end.
	ValidUntil *time.Time `json:"valid_until,omitempty"`
	// OfflineBudget is how many seconds the machine may run without renewal;
	// absent: unrestricted.
	OfflineBudget *int64 `json:"offline_budget,omitempty"`
	// PolicyHash names the effective policy ("sha256:<hex>").
	PolicyHash     string          `json:"policy_hash"`
	PolicyRevision dormer.Revision `json:"policy_revision"`
	// Image pins the manifest; ImageName is NAME/NUMBER for people.
	Image     dormer.ImageID `json:"image"`
	ImageName string         `json:"image_name"`
	// Requires lists what an agent must be able to enforce to start it.
	Requires []string `json:"requires,omitempty"`
	// Keys names the sealed keys that the machine needs (wire.SealedKey.Name).
	Keys []string `json:"keys"`
	// ComputerName is the name of the guest.
	ComputerName string `json:"computer_name,omitempty"`
	// DeleteWhen are the limits at which the client deletes the machine by
	// itself: Expired, OfflineTooLong. A lease that was past its limit when it
	// was issued names none, so that a wrong date deletes nothing without an order.
	DeleteWhen []Verdict `json:"delete_when,omitempty"`
}

// OrderKind is what an order makes the agent do.
type OrderKind string

// The kinds of orders.
const (
	OrderLock    OrderKind = "lock"
	OrderStop    OrderKind = "stop"
	OrderDelete  OrderKind = "delete"
	OrderRefresh OrderKind = "refresh"
	// OrderReset takes a machine back to its image: its machine layer and its
	// saved memory go, its data disk stays. OrderDiagnostics makes the client send
	// what helps somebody who helps. Agents before 2026-11 know neither, and report
	// that.
	OrderReset       OrderKind = "reset"
	OrderDiagnostics OrderKind = "diagnostics"
)

// Order makes an agent do something at once. Only an order, or a limit in a
// lease, deletes a user's machine.
type Order struct {
	Version  int               `json:"version"`
	ID       string            `json:"id"`
	Instance dormer.InstanceID `json:"instance"`
	Epoch    dormer.Epoch      `json:"epoch"`
	Client   dormer.ClientID   `json:"client"`
	Machine  dormer.MachineID  `json:"machine,omitempty"`
	Kind     OrderKind         `json:"kind"`
	Reason   string            `json:"reason"`
	IssuedAt time.Time         `json:"issued_at"`
	// Grace is how many seconds a machine that runs has until it is stopped, reset
	// or deleted, after a warning; absent: what its policy says (atLimit.grace) for
	// a reset or a deletion, none for a stop.
	Grace *int64 `json:"grace,omitempty"`
}

// Sign puts the lease into an envelope.
func (l Lease) Sign(k *seal.SigningKey) (seal.Envelope, error) {
	b, err := json.Marshal(l)
	if err != nil {
		return seal.Envelope{}, fmt.Errorf("encode lease: %w", err)
	}
	return k.Sign(seal.TypeLease, b), nil
}

// Sign puts the order into an envelope.
func (o Order) Sign(k *seal.SigningKey) (seal.Envelope, error) {
	b, err := json.Marshal(o)
	if err != nil {
		return seal.Envelope{}, fmt.Errorf("encode order: %w", err)
	}
	return k.Sign(seal.TypeOrder, b), nil
}

// Holder is who must be named by a lease or an order for it to count.
type Holder struct {
	Instance dormer.InstanceID
	Client   dormer.ClientID
	// Epoch is the highest that the client has seen.
	Epoch dormer.Epoch
}

// Open verifies a lease for h. ErrCorrupt when a bit is wrong, ErrDenied when
// it is for another client or instance or its key is not trusted, ErrFenced
// when its epoch is over, ErrUnsupported when its version is unknown.
func Open(keys seal.KeySet, h Holder, e seal.Envelope) (Lease, error) {
	payload, err := keys.Open(seal.TypeLease, e)
	if err != nil {
		return Lease{}, fmt.Errorf("open lease: %w", err)
	}
	var l Lease
	if err := json.Unmarshal(payload, &l); err != nil {
		return Lease{}, fmt.Errorf("lease is not valid JSON: %w", dormer.ErrCorrupt)
	}
	if err := h.check("lease", l.Version, l.Instance, l.Client, l.Epoch); err != nil {
		return Lease{}, err
	}
	return l, nil
}

// OpenOrder verifies an order for h; errors as those of Open.
func OpenOrder(keys seal.KeySet, h Holder, e seal.Envelope) (Order, error) {
	payload, err := keys.Open(seal.TypeOrder, e)
	if err != nil {
		return Order{}, fmt.Errorf("open order: %w", err)
	}
	var o Order
	if err := json.Unmarshal(payload, &o); err != nil {
		return Order{}, fmt.Errorf("order is not valid JSON: %w", dormer.ErrCorrupt)
	}
	if err := h.check("order", o.Version, o.Instance, o.Client, o.Epoch); err != nil {
		return Order{}, err
	}
	return o, nil
}

func (h Holder) check(what string, version int, i dormer.InstanceID, c dormer.ClientID, e dormer.Epoch) error {
	switch {
	case version != Version:
		return fmt.Errorf("%s of version %d, this agent knows %d: %w", what, version, Version, dormer.ErrUnsupported)
	case i != h.Instance:
		return fmt.Errorf("%s of another instance: %w", what, dormer.ErrDenied)
	case c != h.Client:
		return fmt.Errorf("%s for another client: %w", what, dormer.ErrDenied)
	case e < h.Epoch:
		return fmt.Errorf("%s of epoch %d, this client has seen %d: %w", what, e, h.Epoch, dormer.ErrFenced)
	}
	return nil
}
