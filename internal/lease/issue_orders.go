package lease

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire"
)

const (
	// haltWindow and haltPart: orders that would delete more than this part of
	// all machines within the window need a confirmation.
	haltWindow = time.Hour
	haltPart   = 20 // 1/20 = 5 %
	// maxReason is the longest reason of an order, in characters.
	maxReason = 500
	// maxOrderError is how much of a client's error text is kept, in bytes.
	maxOrderError = 1000
)

// orderBook holds the orders that were not reported as run, signed.
type orderBook struct {
	mu sync.RWMutex
	// guards the fields below
	pending map[dormer.ClientID][]pendingOrder
	deleted []time.Time // when orders to delete were given within haltWindow
}

type pendingOrder struct {
	Order
	signed seal.Envelope
}

func (b *orderBook) of(c dormer.ClientID) []seal.Envelope {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []seal.Envelope
	for _, o := range b.pending[c] {
		out = append(out, o.signed)
	}
	return out
}

func (b *orderBook) deletes(c dormer.ClientID, m dormer.MachineID) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.ContainsFunc(b.pending[c], func(o pendingOrder) bool { return o.Kind == OrderDelete && o.Machine == m })
}

func (b *orderBook) find(c dormer.ClientID, id string) (Order, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, o := range b.pending[c] {
		if o.ID == id {
			return o.Order, true
		}
	}
	return Order{}, false
}

// OrderRequest asks for an order.
type OrderRequest struct {
	Client dormer.ClientID
	// Machine may be empty for stop (all of the client's) and refresh.
	Machine dormer.MachineID
	Kind    OrderKind
	Reason  string
	By      string
	// Confirmed says that an operator has seen how many machines are being
	// deleted and wants it so.
	Confirmed bool
}

// HaltedError is an ErrConflict: the order would delete more machines than is
// done without asking.
type HaltedError struct {
	// Deleted are the machines ordered to be deleted within the last hour, of
	// Machines in all.
	Deleted, Machines int
}

func (e *HaltedError) Error() string {
	return fmt.Sprintf("%d of %d machines were ordered to be deleted within the last hour; another one needs a confirmation", e.Deleted, e.Machines)
}

// Is makes a *HaltedError match ErrConflict.
func (e *HaltedError) Is(target error) bool { return target == dormer.ErrConflict }

// Order makes an order and keeps it until its client reports that it was run.
// *HaltedError when it would delete more than 5 % of all machines within an
// hour (one is always allowed) and is not confirmed.
func (i *Issuer) Order(ctx context.Context, r OrderRequest) (Order, error) {
	if err := i.checkOrder(r); err != nil {
		return Order{}, err
	}
	now := i.cfg.Now().UTC().Truncate(time.Microsecond)
	id, err := dormer.NewID(i.cfg.Random)
	if err != nil {
		return Order{}, err
	}
	o := Order{
		Version: Version, ID: id, Instance: i.cfg.Instance, Epoch: i.cfg.Epoch, Client: r.Client, Machine: r.Machine,
		Kind: r.Kind, Reason: r.Reason, IssuedAt: now,
	}
	i.mu.RLock()
	machines := len(i.machines)
	i.mu.RUnlock()

	b := &i.orders
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Kind == OrderDelete {
		b.deleted = slices.DeleteFunc(b.deleted, func(t time.Time) bool { return now.Sub(t) >= haltWindow })
		if n := len(b.deleted); !r.Confirmed && n >= max(machines/haltPart, 1) {
			return Order{}, &HaltedError{Deleted: n, Machines: machines}
		}
	}
	signed, err := o.Sign(i.cfg.Signer)
	if err != nil {
		return Order{}, err
	}
	if err := i.cfg.Orders.CreateOrder(ctx, PendingOrder{Order: o, By: r.By}); err != nil {
		return Order{}, fmt.Errorf("store order: %w", err)
	}
	b.pending[r.Client] = append(b.pending[r.Client], pendingOrder{Order: o, signed: signed})
	if r.Kind == OrderDelete {
		b.deleted = append(b.deleted, now)
	}
	return o, nil
}

func (i *Issuer) checkOrder(r OrderRequest) error {
	switch r.Kind {
	case OrderStop, OrderRefresh:
	case OrderDelete:
		if r.Machine == "" {
			return dormer.Invalidf("machine", "an order to delete names one machine")
		}
	default:
		return dormer.Invalidf("kind", "must be %s, %s or %s", OrderStop, OrderDelete, OrderRefresh)
	}
	if !utf8.ValidString(r.Reason) || utf8.RuneCountInString(r.Reason) > maxReason {
		return dormer.Invalidf("reason", "must be at most %d characters", maxReason)
	}
	if r.Kind != OrderRefresh && r.Reason == "" {
		return dormer.Invalidf("reason", "must say why: the user is shown it")
	}
	if r.Machine != "" {
		i.mu.RLock()
		owner, ok := i.machines[r.Machine]
		i.mu.RUnlock()
		if !ok || owner != r.Client {
			return fmt.Errorf("client %s has no such machine: %w", r.Client, dormer.ErrNotFound)
		}
	}
	return nil
}

// Refresh reads the pending orders again: other replicas give orders too. Call
// it now and then.
func (i *Issuer) Refresh(ctx context.Context) error {
	all, err := i.cfg.Orders.PendingOrders(ctx)
	if err != nil {
		return fmt.Errorf("load orders: %w", err)
	}
	// Those that were carried out count too, and those of before a restart.
	window := i.cfg.Now().Add(-haltWindow)
	deleted, err := i.cfg.Orders.DeletionsSince(ctx, window)
	if err != nil {
		return fmt.Errorf("load orders: %w", err)
	}
	pending := make(map[dormer.ClientID][]pendingOrder, len(all))
	for _, one := range all {
		o := one.Order
		// The order was stored as it was given; what is sent is of this epoch.
		o.Epoch = i.cfg.Epoch
		signed, err := o.Sign(i.cfg.Signer)
		if err != nil {
			return err
		}
		pending[o.Client] = append(pending[o.Client], pendingOrder{Order: o, signed: signed})
	}
	b := &i.orders
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending = pending
	b.deleted = slices.DeleteFunc(b.deleted, func(t time.Time) bool { return t.Before(window) })
	if len(deleted) > len(b.deleted) { // one may have been given meanwhile
		b.deleted = deleted
	}
	return nil
}

// OrdersRun records what a client reports of its orders. Orders that are not
// pending for it are passed over: it may repeat itself.
func (i *Issuer) OrdersRun(ctx context.Context, client dormer.ClientID, results []wire.OrderResult) error {
	var errs []error
	for _, r := range results {
		o, ok := i.orders.find(client, r.Order)
		if !ok {
			continue
		}
		if o.Kind == OrderDelete && r.Error == "" {
			if err := i.drop(ctx, client, o.Machine); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		text := r.Error
		if len(text) > maxOrderError {
			text = text[:maxOrderError]
			for !utf8.ValidString(text) {
				text = text[:len(text)-1]
			}
		}
		if err := i.cfg.Orders.CompleteOrder(ctx, o.ID, i.cfg.Now().UTC(), text); err != nil && !errors.Is(err, dormer.ErrNotFound) {
			errs = append(errs, fmt.Errorf("complete order %s: %w", o.ID, err))
			continue
		}
		b := &i.orders
		b.mu.Lock()
		b.pending[client] = slices.DeleteFunc(b.pending[client], func(p pendingOrder) bool { return p.ID == o.ID })
		if len(b.pending[client]) == 0 {
			delete(b.pending, client)
		}
		b.mu.Unlock()
	}
	return errors.Join(errs...)
}

// reportDigest tells whether a machine's report says something new.
type reportDigest [16]byte

func digest(s wire.MachineState) reportDigest {
	h := sha256.New()
	for _, t := range []string{s.State, s.Detail, string(s.Image), s.Guest} {
		h.Write([]byte(t))
		h.Write([]byte{0})
	}
	return reportDigest(h.Sum(nil)[:16])
}

// reportAgain is after how long a report that says nothing new is stored again.
const reportAgain = 15 * time.Minute

// Report notes in memory what a client says of its machines; Flush writes it.
func (i *Issuer) Report(client dormer.ClientID, states []wire.MachineState) {
	if len(states) == 0 {
		return
	}
	now := i.cfg.Now().UTC()
	c := i.client(client)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range states {
		m := c.find(s.Machine)
		if m == nil {
			continue
		}
		if d := digest(s); d != m.lastState || now.Sub(m.lastTime) >= reportAgain {
			m.lastState, m.lastTime = d, now
			i.reportsMu.Lock()
			i.reports[m.ID] = Report{Machine: m.ID, State: s.State, Detail: s.Detail, Image: s.Image, Guest: s.Guest, Time: now}
			i.reportsMu.Unlock()
		}
	}
}

// Flush records the reports since the last one in one transaction. What could
// not be written is kept for the next.
func (i *Issuer) Flush(ctx context.Context) error {
	i.reportsMu.Lock()
	taken := i.reports
	i.reports = make(map[dormer.MachineID]Report, len(taken))
	i.reportsMu.Unlock()
	if len(taken) == 0 {
		return nil
	}
	batch := make([]Report, 0, len(taken))
	for _, r := range taken {
		batch = append(batch, r)
	}
	if err := i.cfg.Machines.FlushReports(ctx, batch); err != nil {
		i.reportsMu.Lock()
		defer i.reportsMu.Unlock()
		for id, r := range taken {
			if _, newer := i.reports[id]; !newer {
				i.reports[id] = r
			}
		}
		return fmt.Errorf("record %d reports of machines: %w", len(batch), err)
	}
	return nil
}
