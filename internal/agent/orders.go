package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire"
	"github.com/dormer-project/dormer/internal/workspace"
)

// orders are those that were carried out, kept in FileOrders so that each is
// carried out once. They are guarded by Agent.mu.
type orders struct {
	Done []doneOrder `json:"done"`
	// busy are those under way; not kept: they begin again.
	busy map[string]bool
}

type doneOrder struct {
	ID    string `json:"id"`
	Error string `json:"error,omitempty"`
	// Reported says that the server has the result.
	Reported bool `json:"reported,omitempty"`
}

// maxOrders is how many orders are remembered.
const maxOrders = 1000

// results are those that the server does not have yet.
func (o *orders) results() []wire.OrderResult {
	var out []wire.OrderResult
	for _, d := range o.Done {
		if !d.Reported {
			out = append(out, wire.OrderResult{Order: d.ID, Error: d.Error})
		}
	}
	return out
}

func (o *orders) find(id string) int {
	return slices.IndexFunc(o.Done, func(d doneOrder) bool { return d.ID == id })
}

// takeOrders carries out the orders of an answer. reported are the results that
// the server has now.
func (a *Agent) takeOrders(ctx context.Context, t *trust, list []seal.Envelope, reported []string) error {
	if err := a.noteReported(reported); err != nil {
		return err
	}
	var errs []error
	for _, e := range list {
		o, err := lease.OpenOrder(t.keys, t.holder(), e)
		if err != nil {
			a.refuse(event.OrderRefused, err)
			errs = append(errs, err)
			continue
		}
		errs = append(errs, a.takeOrder(ctx, o))
	}
	return errors.Join(errs...)
}

func (a *Agent) noteReported(reported []string) error {
	if len(reported) == 0 {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range reported {
		if i := a.orders.find(id); i >= 0 {
			a.orders.Done[i].Reported = true
		}
	}
	return a.state.writeJSON(FileOrders, &a.orders)
}

// takeOrder begins to carry out one order, unless it was or is being done. One
// that the server repeats although it was reported is reported again.
func (a *Agent) takeOrder(ctx context.Context, o lease.Order) error {
	a.mu.Lock()
	if i := a.orders.find(o.ID); i >= 0 {
		a.orders.Done[i].Reported = false
		a.mu.Unlock()
		return nil
	}
	if a.orders.busy == nil {
		a.orders.busy = map[string]bool{}
	}
	if a.orders.busy[o.ID] {
		a.mu.Unlock()
		return nil
	}
	a.orders.busy[o.ID] = true
	var targets []*machine
	for id, m := range a.machines {
		if o.Machine == "" || o.Machine == id {
			targets = append(targets, m)
		}
	}
	a.mu.Unlock()

	var err error
	switch o.Kind {
	case lease.OrderRefresh:
		a.running.Go(func() { _ = a.pollNow(a.ctx) }) // the poll reports its own problems
	case lease.OrderDiagnostics:
		a.running.Go(func() { a.finishOrder(a.ctx, o, nil, a.sendDiagnostics(a.ctx, o.ID)) })
		return nil
	case lease.OrderLock:
		for _, m := range targets {
			err = errors.Join(err, m.lock("by order: "+o.Reason, false))
		}
	case lease.OrderStop, lease.OrderReset, lease.OrderDelete:
		if o.Kind != lease.OrderStop && o.Machine == "" {
			err = fmt.Errorf("an order to %s names one machine: %w", o.Kind, dormer.ErrInvalid)
			break
		}
		for _, m := range targets {
			err = errors.Join(err, m.end(o, a.now()))
		}
	default:
		err = fmt.Errorf("order of a kind that this agent does not know: %w", dormer.ErrUnsupported)
	}
	a.running.Go(func() { a.finishOrder(a.ctx, o, targets, err) })
	return nil
}

// orderTime bounds the wait for the effect of an order, after its grace.
const orderTime = 10 * time.Minute

// done reports whether an order has had its effect on the machine, and the grace
// that it still gives, 0 for none.
func (m *machine) done(o lease.Order, s workspace.Snapshot) (is bool, left time.Duration) {
	if o.Kind != lease.OrderStop && s.State == workspace.Gone {
		return true, 0
	}
	if o.Kind == lease.OrderStop && !s.State.Live() && (!s.State.Busy() || s.State == workspace.Downloading) {
		return true, 0
	}
	m.mu.Lock()
	e, resetting := m.record.Ending, m.record.Resetting
	m.mu.Unlock()
	waits := e != nil && e.Order == o.ID
	if waits {
		left = max(0, e.At.Sub(m.agent.now()))
	}
	return o.Kind == lease.OrderReset && !waits && resetting != o.ID, left
}

// finishOrder waits for the effect of an order and keeps the result.
func (a *Agent) finishOrder(ctx context.Context, o lease.Order, targets []*machine, err error) {
	for _, m := range targets {
		if err != nil || o.Kind == lease.OrderRefresh || o.Kind == lease.OrderLock {
			break
		}
		_, left := m.done(o, m.rec.Snapshot())
		short, cancel := context.WithTimeout(ctx, left+orderTime)
		_, waited := m.rec.Await(short, func(s workspace.Snapshot) bool {
			is, _ := m.done(o, s)
			return is
		})
		cancel()
		if waited != nil && ctx.Err() != nil {
			return // the agent stops; the order comes again
		}
		if waited != nil {
			err = fmt.Errorf("machine %s did not follow within %s: %w", m.id, left+orderTime, dormer.ErrUnavailable)
		}
	}
	d := doneOrder{ID: o.ID}
	code, detail := event.OrderRun, string(o.Kind)+": "+o.Reason
	if err != nil {
		d.Error = cut(err.Error(), maxOrderText)
		code, detail = event.OrderFailed, string(o.Kind)+": "+err.Error()
	}
	var about *machine
	if len(targets) == 1 {
		about = targets[0]
	}
	a.mu.Lock()
	delete(a.orders.busy, o.ID)
	a.orders.Done = append(a.orders.Done, d)
	if n := len(a.orders.Done) - maxOrders; n > 0 {
		a.orders.Done = slices.Clone(a.orders.Done[n:])
	}
	kept := a.state.writeJSON(FileOrders, &a.orders)
	a.mu.Unlock()
	a.logError(ctx, "orders", kept)
	a.tell(event.New(code, a.now(), detail), about)
}
