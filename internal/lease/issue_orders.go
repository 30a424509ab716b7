package lease

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
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
	// MaxGrace is the longest time of grace of an order.
	MaxGrace = 24 * time.Hour
	// maxReason is the longest reason of an order, in characters.
	maxReason = 500
	// maxOrderError is how much of a client's error text is kept, in bytes.
	maxOrderError = 1000
)

// orderBook holds the orders that were not reported as run, signed.
type orderBook struct {
	mu sync.RWMutex
	// guards the fields below
	pending   map[dormer.ClientID][]pendingOrder
	deletions map[dormer.MachineID]Deletion
	changes   uint64 // counts what was changed here, so that an older state of the store is not taken for newer
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

// deletion returns what was decided of a machine.
func (b *orderBook) deletion(m dormer.MachineID) (Deletion, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	d, ok := b.deletions[m]
	return d, ok
}

// plan notes what was decided, and the order if it is the one that was given.
func (b *orderBook) plan(d Deletion, o pendingOrder) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changes++
	b.deletions[d.Machine] = d
	if d.Order == o.ID {
		b.pending[o.Client] = append(b.pending[o.Client], o)
	}
}

func (b *orderBook) unplan(m dormer.MachineID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changes++
	delete(b.deletions, m)
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

// remove lets go of an order that does not wait any more.
func (b *orderBook) remove(c dormer.ClientID, id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changes++
	b.pending[c] = slices.DeleteFunc(b.pending[c], func(p pendingOrder) bool { return p.ID == id })
	if len(b.pending[c]) == 0 {
		delete(b.pending, c)
	}
}

// OrderRequest asks for an order.
type OrderRequest struct {
	Client dormer.ClientID
	// Machine may be empty for lock and stop (all of the client's), and is for
	// refresh and diagnostics.
	Machine dormer.MachineID
	Kind    OrderKind
	Reason  string
	By      string
	// Grace is how long a machine that runs goes on, for stop, reset and delete; nil: see
	// Order.Grace.
	Grace *time.Duration
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
	o, err := i.newOrder(r, now)
	if err != nil {
		return Order{}, err
	}
	signed, err := o.Sign(i.cfg.Signer)
	if err != nil {
		return Order{}, err
	}
	kept := PendingOrder{Order: o, By: r.By}
	if r.Kind == OrderDelete {
		err = i.cfg.Orders.CreateDeletion(ctx, kept, now.Add(-haltWindow), func(deleted, machines int) error {
			if !r.Confirmed && deleted >= atOnce(machines) {
				return &HaltedError{Deleted: deleted, Machines: machines}
			}
			return nil
		})
	} else {
		err = i.cfg.Orders.CreateOrder(ctx, kept)
	}
	if err != nil {
		return Order{}, fmt.Errorf("store order: %w", err)
	}
	b := &i.orders
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changes++
	b.pending[r.Client] = append(b.pending[r.Client], pendingOrder{Order: o, signed: signed})
	return o, nil
}

// Orders returns the newest orders that f selects, newest first.
func (i *Issuer) Orders(ctx context.Context, f OrderFilter) ([]PendingOrder, error) {
	all, err := i.cfg.Orders.FindOrders(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	return all, nil
}

// Withdraw takes an order back that waits for its client, and returns it. A
// client that has it already, and has not reported it, may carry it out
// nevertheless. What a policy wants deleted is not ordered again until the policy
// is changed. ErrConflict when it does not wait any more.
func (i *Issuer) Withdraw(ctx context.Context, id, by string) (PendingOrder, error) {
	o, err := i.cfg.Orders.WithdrawOrder(ctx, id, i.cfg.Now().UTC().Truncate(time.Microsecond), by)
	if err != nil {
		return PendingOrder{}, err
	}
	i.orders.remove(o.Order.Client, id)
	return o, nil
}

// newOrder makes the order that r asks for.
func (i *Issuer) newOrder(r OrderRequest, now time.Time) (Order, error) {
	id, err := dormer.NewID(i.cfg.Random)
	if err != nil {
		return Order{}, err
	}
	o := Order{
		Version: Version, ID: id, Instance: i.cfg.Instance, Epoch: i.cfg.Epoch, Client: r.Client, Machine: r.Machine,
		Kind: r.Kind, Reason: r.Reason, IssuedAt: now,
	}
	if r.Grace != nil {
		seconds := int64(*r.Grace / time.Second)
		o.Grace = &seconds
	}
	return o, nil
}

func (i *Issuer) checkOrder(r OrderRequest) error {
	switch r.Kind {
	case OrderLock, OrderStop:
	case OrderRefresh, OrderDiagnostics:
		if r.Machine != "" {
			return dormer.Invalidf("machine", "an order for %s is one to the client as a whole", r.Kind)
		}
	case OrderDelete, OrderReset:
		if r.Machine == "" {
			return dormer.Invalidf("machine", "an order to %s names one machine", r.Kind)
		}
	default:
		return dormer.Invalidf("kind", "must be %s, %s, %s, %s, %s or %s", OrderLock, OrderStop, OrderReset, OrderDelete, OrderDiagnostics, OrderRefresh)
	}
	if r.Grace != nil {
		switch {
		case r.Kind != OrderStop && r.Kind != OrderDelete && r.Kind != OrderReset:
			return dormer.Invalidf("grace", "is for %s, %s and %s alone", OrderStop, OrderReset, OrderDelete)
		case *r.Grace < 0 || *r.Grace > MaxGrace:
			return dormer.Invalidf("grace", "must be from 0 to %s", MaxGrace)
		}
	}
	if !utf8.ValidString(r.Reason) || utf8.RuneCountInString(r.Reason) > maxReason {
		return dormer.Invalidf("reason", "must be at most %d characters", maxReason)
	}
	if r.Kind != OrderRefresh && r.Kind != OrderDiagnostics && r.Reason == "" {
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
	b := &i.orders
	for {
		b.mu.RLock()
		changes := b.changes
		b.mu.RUnlock()
		pending, deletions, err := i.loadOrders(ctx)
		if err != nil {
			return err
		}
		b.mu.Lock()
		current := b.changes == changes
		if current {
			b.pending, b.deletions = pending, deletions
		}
		b.mu.Unlock()
		if current {
			return nil
		}
	}
}

// loadOrders reads what is pending and what was decided of deletions.
func (i *Issuer) loadOrders(ctx context.Context) (map[dormer.ClientID][]pendingOrder, map[dormer.MachineID]Deletion, error) {
	all, err := i.cfg.Orders.PendingOrders(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("load orders: %w", err)
	}
	pending := make(map[dormer.ClientID][]pendingOrder, len(all))
	for _, one := range all {
		o := one.Order
		// The order was stored as it was given; what is sent is of this epoch.
		o.Epoch = i.cfg.Epoch
		signed, err := o.Sign(i.cfg.Signer)
		if err != nil {
			return nil, nil, err
		}
		pending[o.Client] = append(pending[o.Client], pendingOrder{Order: o, signed: signed})
	}
	planned, err := i.cfg.Deletions.Deletions(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("load deletions: %w", err)
	}
	deletions := make(map[dormer.MachineID]Deletion, len(planned))
	for _, d := range planned {
		deletions[d.Machine] = d
	}
	return pending, deletions, nil
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
		i.orders.remove(client, o.ID)
	}
	return errors.Join(errs...)
}

// reportDigest tells whether a machine's report says something new.
type reportDigest [16]byte

func digest(s wire.MachineState) reportDigest {
	h := sha256.New()
	said := []string{s.State, s.Detail, string(s.Image), s.Guest, strconv.Itoa(int(s.PolicyRevision)), strconv.FormatBool(s.Locked)}
	said = append(append(said, s.AtNextStart...), "") // "": what follows is another list
	for _, t := range append(said, s.NotEnforced...) {
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
		budget := m.OfflineBudget
		if m.terms != nil {
			budget = i.budget(m.terms)
		}
		changed := !equalPtr(budget, m.OfflineBudget, func(a, b int64) bool { return a == b })
		if d := digest(s); changed || d != m.lastState || now.Sub(m.lastTime) >= reportAgain {
			m.lastState, m.lastTime, m.OfflineBudget = d, now, budget
			i.reportsMu.Lock()
			i.reports[m.ID] = Report{
				Machine: m.ID, State: s.State, Detail: s.Detail, Image: s.Image, Guest: s.Guest, OfflineBudget: budget, Time: now,
				Follows: Follows{Revision: s.PolicyRevision, Locked: s.Locked, AtNextStart: s.AtNextStart, NotEnforced: s.NotEnforced},
			}
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
