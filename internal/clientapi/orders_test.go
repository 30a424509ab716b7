package clientapi_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/catalog"
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

// TestNoNameIsLeft: a machine whose pattern gives no free name is not given
// until one is free; one that exists keeps what it is called.
func TestNoNameIsLeft(t *testing.T) {
	s := newServer(t)
	s.user("alice")
	raw := "apiVersion: dormer/v1\nkind: Workspace\nmetadata: {name: Office}\nspec:\n  machine: {image: {name: office}, revertible: false}\n" +
		"  setup: {computerName: '{host}-VM'}\ngrants:\n  - principal: {kind: user, name: alice}\n"
	w := must2(s.catalog.Create(t.Context(), []byte(raw), "admin", ""))(t)
	first, second := s.client(true), s.client(true) // both on hosts called pc-1
	for _, c := range []*client{first, second} {
		if err := c.signIn("alice", password); err != nil {
			t.Fatal(err)
		}
	}
	first.poll()
	if name := first.one().ComputerName; name != "PC-1-VM" {
		t.Fatalf("computer name %q", name)
	}
	for range 2 {
		a := second.poll()
		if len(a.Leases) > 0 || len(a.Withdrawn) != 1 || !strings.Contains(a.Withdrawn[0].Reason, "setup.computerName") {
			t.Fatalf("answer to a client without a name for its machine: %+v", a)
		}
		s.restart() // the refusal holds
	}
	o := must(s.issuer.Order(t.Context(), lease.OrderRequest{Client: first.id, Machine: first.one().Machine, Kind: lease.OrderDelete, Reason: "x"}))(t)
	first.sessions = nil
	first.report(wire.OrderResult{Order: o.ID})
	second.poll()
	if name := second.one().ComputerName; name != "PC-1-VM" {
		t.Errorf("computer name %q", name)
	}
	// Neither another image nor another pattern renames it.
	s.images.set("office", catalog.Image{ID: imageID("b"), Number: 2, KeyID: repositoryKey})
	if err := s.catalog.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	must2(s.catalog.Commit(t.Context(), w.Workspace, []byte(strings.Replace(raw, "{host}-VM", "NEW-###", 1)), w.ETag, "admin", ""))(t)
	second.poll()
	if l := second.one(); l.ComputerName != "PC-1-VM" || l.Image != imageID("b") {
		t.Errorf("after an update: %q on %s", l.ComputerName, l.Image)
	}
}

// TestPatternForAMachineThatIsThere: it keeps its image's name.
func TestPatternForAMachineThatIsThere(t *testing.T) {
	s, c, w := ready(t)
	raw := strings.Replace(string(document("Office", "office", "alice")), "grants:", "  setup: {computerName: 'PC-####'}\ngrants:", 1)
	must2(s.catalog.Commit(t.Context(), w.Workspace, []byte(raw), w.ETag, "admin", ""))(t)
	c.poll()
	if l := c.one(); l.ComputerName != "" {
		t.Errorf("the machine is called %q now", l.ComputerName)
	}
}

// TestComputerNamesOnTwoServers: two servers that do not know of each other's
// machines give no name twice.
func TestComputerNamesOnTwoServers(t *testing.T) {
	s := newServer(t)
	s.user("alice")
	raw := "apiVersion: dormer/v1\nkind: Workspace\nmetadata: {name: Office}\nspec:\n  machine: {image: {name: office}, revertible: false}\n" +
		"  setup: {computerName: 'PC-#'}\ngrants:\n  - principal: {kind: user, name: alice}\n"
	must2(s.catalog.Create(t.Context(), []byte(raw), "admin", ""))(t)
	var clients []*client
	for range 12 {
		c := s.client(true)
		if err := c.signIn("alice", password); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	other := s.replica()
	var polls sync.WaitGroup
	for i, c := range clients {
		if i%2 == 1 {
			c.s = other
		}
		polls.Go(func() {
			if _, err := c.send(c.request()); err != nil {
				t.Error(err)
			}
		})
	}
	polls.Wait()
	names := map[string]bool{}
	for _, c := range clients {
		name := c.one().ComputerName
		if name == "" || names[name] {
			t.Errorf("computer name %q", name)
		}
		names[name] = true
	}
}

// TestWhatMachinesFollow: what clients report of their policies is kept.
func TestWhatMachinesFollow(t *testing.T) {
	s, c, _ := ready(t)
	q := c.request()
	q.Machines[0].PolicyRevision, q.Machines[0].Locked = 7, true
	q.Machines[0].AtNextStart, q.Machines[0].NotEnforced = []string{"network.mode"}, []string{"web.rules", "general.frame"}
	a := must(c.send(q))(t)
	if a.TimeZone != "Europe/Berlin" {
		t.Errorf("the instance's zone is told as %q", a.TimeZone)
	}
	if err := s.api.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := lease.Follows{Revision: 7, Locked: true, AtNextStart: []string{"network.mode"}, NotEnforced: []string{"web.rules", "general.frame"}}
	if diff := cmp.Diff(want, must(s.state.Machines(t.Context()))(t)[0].Follows); diff != "" {
		t.Error(diff)
	}
	q = c.request()
	q.Machines[0].AtNextStart = make([]string, 201)
	_, err := c.send(q)
	wantKind(t, err, dormer.ErrInvalid)
}
