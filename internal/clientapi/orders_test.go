package clientapi_test

import (
	"errors"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/wire"
)

func (c *client) orders(a wire.PollAnswer) []lease.Order {
	c.s.t.Helper()
	var out []lease.Order
	for _, e := range a.Orders {
		out = append(out, must(lease.OpenOrder(c.s.keySet, lease.Holder{Instance: c.s.instance, Client: c.id, Epoch: c.epoch}, e))(c.s.t))
	}
	return out
}

func (c *client) report(results ...wire.OrderResult) wire.PollAnswer {
	c.s.t.Helper()
	q := c.request()
	q.OrdersRun = results
	return must(c.send(q))(c.s.t)
}

func TestOrderRepeatsUntilReported(t *testing.T) {
	s, c, _ := ready(t)
	l := c.one()
	o, err := s.issuer.Order(t.Context(), lease.OrderRequest{Client: c.id, Machine: l.Machine, Kind: lease.OrderStop, Reason: "maintenance", By: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := c.orders(c.poll()); len(got) != 1 || got[0].ID != o.ID || got[0].Kind != lease.OrderStop || got[0].Reason != "maintenance" {
			t.Fatalf("orders are %+v", got)
		}
	}
	_ = errors.Join(s.state.Close(), s.events.Close())
	s.epoch = 4 // and it survives a promotion
	s.start()
	c.epoch = 4
	if got := c.orders(c.poll()); len(got) != 1 || got[0].ID != o.ID || got[0].Epoch != 4 {
		t.Fatalf("orders after the restart are %+v", got)
	}
	other := s.client(true)
	other.report(wire.OrderResult{Order: o.ID})
	if got := c.orders(c.poll()); len(got) != 1 {
		t.Error("another client ended the order")
	}
	if a := c.report(wire.OrderResult{Order: o.ID, Error: "it does not run"}); len(a.Orders) > 0 {
		t.Error("the order is repeated after its report")
	}
	if pending := must(s.state.PendingOrders(t.Context()))(t); len(pending) > 0 {
		t.Errorf("pending are %+v", pending)
	}
	c.report(wire.OrderResult{Order: o.ID}) // a repeat is no error
}

func TestDeleteOrder(t *testing.T) {
	s, c, _ := ready(t)
	l := c.one()
	o, err := s.issuer.Order(t.Context(), lease.OrderRequest{Client: c.id, Machine: l.Machine, Kind: lease.OrderDelete, Reason: "lost laptop", By: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	a := c.poll()
	if got := c.orders(a); len(got) != 1 || got[0].Kind != lease.OrderDelete || len(a.Leases) > 0 || len(a.Withdrawn) != 1 {
		t.Fatalf("answer is %+v", a)
	}
	a = c.report(wire.OrderResult{Order: o.ID})
	if len(a.Orders) > 0 || len(a.Leases) != 1 || c.one().Machine == l.Machine {
		t.Errorf("after the deletion the user gets a new machine: %+v", a)
	}
	m := must(s.state.Machines(t.Context()))(t)
	if len(m) != 1 || m[0].ID != c.one().Machine {
		t.Errorf("machines are %+v", m)
	}
}

func TestDeletionsHalt(t *testing.T) {
	s := newServer(t)
	s.user("alice")
	for _, name := range []string{"A", "B", "C"} {
		s.workspace(name, "office", "alice")
	}
	c := s.client(true)
	if err := c.signIn("alice", password); err != nil {
		t.Fatal(err)
	}
	c.poll()
	var machines []dormer.MachineID
	for id := range c.leases {
		machines = append(machines, id)
	}
	order := func(m dormer.MachineID, confirmed bool) error {
		_, err := s.issuer.Order(t.Context(), lease.OrderRequest{Client: c.id, Machine: m, Kind: lease.OrderDelete, Reason: "x", Confirmed: confirmed})
		return err
	}
	if err := order(machines[0], false); err != nil {
		t.Fatal(err)
	}
	halted, ok := errors.AsType[*lease.HaltedError](order(machines[1], false))
	if !ok || halted.Deleted != 1 || halted.Machines != 3 {
		t.Fatalf("the second deletion of 3 machines: %+v", halted)
	}
	if got := c.orders(c.poll()); len(got) != 1 {
		t.Errorf("the client has orders %+v", got)
	}
	if err := order(machines[1], true); err != nil {
		t.Errorf("confirmed: %v", err)
	}
	// Neither that they were carried out nor a restart makes room for another.
	var done []wire.OrderResult
	for _, o := range c.orders(c.poll()) {
		done = append(done, wire.OrderResult{Order: o.ID})
	}
	c.report(done...)
	_ = errors.Join(s.state.Close(), s.events.Close())
	s.start()
	if halted, ok = errors.AsType[*lease.HaltedError](order(machines[2], false)); !ok || halted.Deleted != 2 {
		t.Errorf("after a restart: %+v", halted)
	}
	s.clock.Add(time.Hour + time.Microsecond)
	if err := order(machines[2], false); err != nil {
		t.Errorf("an hour later: %v", err)
	}
}

func TestOrderRefused(t *testing.T) {
	s, c, _ := ready(t)
	other := s.client(true)
	for _, test := range []struct {
		name string
		r    lease.OrderRequest
		kind error
	}{
		{"unknown kind", lease.OrderRequest{Client: c.id, Kind: "format", Reason: "x"}, dormer.ErrInvalid},
		{"delete without a machine", lease.OrderRequest{Client: c.id, Kind: lease.OrderDelete, Reason: "x"}, dormer.ErrInvalid},
		{"no reason", lease.OrderRequest{Client: c.id, Kind: lease.OrderStop}, dormer.ErrInvalid},
		{"machine of another client", lease.OrderRequest{Client: other.id, Machine: c.one().Machine, Kind: lease.OrderStop, Reason: "x"}, dormer.ErrNotFound},
	} {
		_, err := s.issuer.Order(t.Context(), test.r)
		t.Run(test.name, func(t *testing.T) { wantKind(t, err, test.kind) })
	}
}

func TestComputerNamesAreUnique(t *testing.T) {
	s := newServer(t)
	s.user("alice")
	raw := "apiVersion: dormer/v1\nkind: Workspace\nmetadata: {name: Office}\nspec:\n  machine: {image: {name: office}, revertible: false}\n" +
		"  setup: {computerName: 'PC-#'}\ngrants:\n  - principal: {kind: user, name: alice}\n"
	if _, _, err := s.catalog.Create(t.Context(), []byte(raw), "admin", ""); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for range 10 {
		c := s.client(true)
		if err := c.signIn("alice", password); err != nil {
			t.Fatal(err)
		}
		c.poll()
		name := c.one().ComputerName
		if names[name] || len(name) != 4 {
			t.Errorf("computer name %q", name)
		}
		names[name] = true
	}
}
