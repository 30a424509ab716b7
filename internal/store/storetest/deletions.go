package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/lease"
)

func testComputerNames(t *testing.T, s State) {
	ctx := t.Context()
	named := func(n int, computerName string) lease.Machine {
		m := machine(n, fmt.Sprint("c", n), 1, "w")
		m.ComputerName = computerName
		return m
	}
	must[lease.Machine](t)(s.EnsureMachine(ctx, named(1, "PC-A")))
	_, err := s.EnsureMachine(ctx, named(2, "PC-A"))
	is(t, err, lease.ErrNameTaken)
	is(t, err, dormer.ErrExists)
	// A machine that is there is found whatever name is offered.
	equal(t, must[lease.Machine](t)(s.EnsureMachine(ctx, named(1, "PC-B"))).ComputerName, "PC-A")
	// Any number may have none.
	for n := 3; n < 6; n++ {
		must[lease.Machine](t)(s.EnsureMachine(ctx, named(n, "")))
	}
	_, err = s.NameMachine(ctx, "machine-3", "PC-A")
	is(t, err, lease.ErrNameTaken)
	equal(t, must[string](t)(s.NameMachine(ctx, "machine-3", "PC-C")), "PC-C")
	equal(t, must[string](t)(s.NameMachine(ctx, "machine-3", "PC-D")), "PC-C")
	_, err = s.NameMachine(ctx, "nobody", "PC-E")
	is(t, err, dormer.ErrNotFound)
	ok(t, s.DeleteMachine(ctx, "machine-1"))
	equal(t, must[string](t)(s.NameMachine(ctx, "machine-4", "PC-A")), "PC-A")
}

// testComputerNamesAtOnce: of those who ask for one name at the same moment one
// gets it.
func testComputerNamesAtOnce(t *testing.T, s State) {
	ctx := t.Context()
	for n := 100; n < 103; n++ {
		m := machine(n, fmt.Sprint("c", n), 1, "w")
		m.ComputerName = ""
		must[lease.Machine](t)(s.EnsureMachine(ctx, m))
	}
	done, _ := count(t, together(12, func(i int) error {
		if i < 3 {
			_, err := s.NameMachine(ctx, dormer.MachineID(fmt.Sprint("machine-", 100+i)), "PC-1")
			return err
		}
		m := machine(i, fmt.Sprint("c", i), 1, "w")
		m.ComputerName = "PC-1"
		_, err := s.EnsureMachine(ctx, m)
		return err
	}), lease.ErrNameTaken)
	if done != 1 {
		t.Errorf("%d machines got one name, want 1", done)
	}
}

// planned is a deletion of machine n and the order for it.
func planned(n int) (lease.Deletion, lease.PendingOrder) {
	m := dormer.MachineID(fmt.Sprint("machine-", n))
	d := lease.Deletion{Machine: m, Client: "c", User: "user", Workspace: "w", Revision: 3, Reason: "disabled", Since: at(time.Duration(n) * time.Second)}
	return d, lease.PendingOrder{By: lease.ByPolicy, Order: lease.Order{
		Version: 1, ID: id(fmt.Sprint("o", n)), Instance: "i", Epoch: 1, Client: "c", Machine: m, Kind: lease.OrderDelete, Reason: "disabled", IssuedAt: d.Since,
	}}
}

func testDeletions(t *testing.T, s State) {
	ctx := t.Context()
	var facts lease.DeletionFacts
	plan := func(n int, state lease.DeletionState, order bool) lease.Deletion {
		t.Helper()
		d, o := planned(n)
		return must[lease.Deletion](t)(s.PlanDeletion(ctx, d, o, at(0), func(f lease.DeletionFacts, want lease.Deletion) (lease.DeletionState, bool) {
			equal(t, want, d)
			facts = f
			return state, order
		}))
	}
	for n := range 4 {
		must[lease.Machine](t)(s.EnsureMachine(ctx, machine(n, "c", n, "w")))
	}
	first := plan(1, lease.DeletionOrdered, true)
	equal(t, facts, lease.DeletionFacts{Machines: 4})
	equal(t, first.Order, id("o1"))
	plan(1, lease.DeletionOrdered, false)
	equal(t, facts, lease.DeletionFacts{Have: &first, Pending: true, Deleted: 1, Machines: 4})
	ok(t, s.CompleteOrder(ctx, first.Order, at(0), "cannot"))
	second := plan(2, lease.DeletionHalted, false)
	equal(t, facts, lease.DeletionFacts{Deleted: 1, Machines: 4})
	plan(3, lease.DeletionHalted, false)
	if !facts.Halted {
		t.Error("others of the workspace wait, and that is not told")
	}
	equal(t, len(must[[]lease.PendingOrder](t)(s.PendingOrders(ctx))), 0)

	is(t, s.ConfirmDeletions(ctx, "admin", func(waiting int) error {
		equal(t, waiting, 2)
		return dormer.ErrConflict
	}), dormer.ErrConflict)
	equal(t, must[[]lease.Deletion](t)(s.Deletions(ctx))[1], second)
	ok(t, s.ConfirmDeletions(ctx, "admin", func(int) error { return nil }))
	second.State, second.ConfirmedBy = lease.DeletionConfirmed, "admin"
	list := must[[]lease.Deletion](t)(s.Deletions(ctx))
	equal(t, list[:2], []lease.Deletion{first, second})

	got := plan(2, lease.DeletionOrdered, true)
	second.State, second.Order = lease.DeletionOrdered, id("o2")
	equal(t, got, second)
	// Of another revision nothing is kept.
	d, o := planned(3)
	d.Revision = 4
	got = must[lease.Deletion](t)(s.PlanDeletion(ctx, d, o, at(0), func(lease.DeletionFacts, lease.Deletion) (lease.DeletionState, bool) {
		return lease.DeletionHalted, false
	}))
	if got.ConfirmedBy != "" || got.State != lease.DeletionHalted {
		t.Errorf("after another edit the deletion is %+v", got)
	}

	ok(t, s.ForgetDeletion(ctx, d.Machine))
	ok(t, s.ForgetDeletion(ctx, d.Machine))
	ok(t, s.DeleteMachine(ctx, second.Machine))
	equal(t, must[[]lease.Deletion](t)(s.Deletions(ctx)), []lease.Deletion{first})
}

// testDeletionsAtOnce: servers that plan at the same moment give as many orders
// together as one alone.
func testDeletionsAtOnce(t *testing.T, s State) {
	ctx := t.Context()
	const most = 3
	orders := make([]bool, 20)
	for _, err := range together(len(orders), func(i int) error {
		d, o := planned(i)
		got, err := s.PlanDeletion(ctx, d, o, at(-time.Hour), func(f lease.DeletionFacts, _ lease.Deletion) (lease.DeletionState, bool) {
			if f.Halted || f.Deleted >= most {
				return lease.DeletionHalted, false
			}
			return lease.DeletionOrdered, true
		})
		orders[i] = got.State == lease.DeletionOrdered
		return err
	}) {
		ok(t, err)
	}
	given := 0
	for _, o := range orders {
		if o {
			given++
		}
	}
	if n := len(must[[]lease.PendingOrder](t)(s.PendingOrders(ctx))); given != most || n != most {
		t.Errorf("%d of %d were ordered, %d orders are there; want %d", given, len(orders), n, most)
	}
}
