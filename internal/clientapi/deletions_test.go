package clientapi_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/policymatrix"
	"github.com/dormer-project/dormer/internal/wire"
)

// holder is a client that has its machine and lists it whether it has a lease
// or not, as agents do.
type holder struct {
	*client
	machine dormer.MachineID
	deleted bool
}

// holders are clients on which alice works.
func (s *server) holders(n int) []*holder {
	s.t.Helper()
	all := make([]*holder, n)
	for i := range all {
		c := s.client(true)
		if err := c.signIn("alice", password); err != nil {
			s.t.Fatal(err)
		}
		c.poll()
		all[i] = &holder{client: c, machine: c.one().Machine}
	}
	return all
}

// poll polls and carries out what it is ordered.
func (h *holder) poll() []lease.Order {
	h.s.t.Helper()
	q := h.request()
	if len(h.leases) == 0 && !h.deleted {
		q.Machines = []wire.MachineState{{Machine: h.machine, State: "ready"}}
	}
	a := must(h.send(q))(h.s.t)
	orders := h.orders(a)
	for _, o := range orders {
		if o.Kind != lease.OrderDelete || o.Machine != h.machine || o.Reason == "" || o.Grace != nil {
			h.s.t.Errorf("order is %+v", o)
		}
		h.deleted = true
		delete(h.leases, h.machine)
		h.report(wire.OrderResult{Order: o.ID})
	}
	return orders
}

func left(all []*holder) int {
	n := 0
	for _, h := range all {
		if !h.deleted {
			n++
		}
	}
	return n
}

func (s *server) pollAll(all []*holder) {
	s.t.Helper()
	for _, h := range all {
		h.poll()
	}
}

func (s *server) edit(w catalog.Revision, grant ...string) catalog.Revision {
	s.t.Helper()
	r, _, err := s.catalog.Commit(s.t.Context(), w.Workspace, document("Office", "office", "alice", grant...), w.ETag, "admin", "")
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *server) waiting() int {
	s.t.Helper()
	n := 0
	for _, d := range must(s.issuer.Deletions(s.t.Context()))(s.t) {
		if d.State == lease.DeletionHalted {
			n++
		}
	}
	return n
}

func (s *server) restart() {
	s.t.Helper()
	_ = errors.Join(s.state.Close(), s.events.Close())
	s.start()
}

// replica is another server of the instance on the same databases.
func (s *server) replica() *server {
	s.t.Helper()
	other := *s
	other.start()
	return &other
}

// at sends a client to another server.
func (h *holder) at(s *server) { h.s = s }

func TestDeletionByPolicy(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "grants[].enabled", "grants[].deleteWhen.disabled")
	past := "expires: 2026-11-20"
	for _, test := range []struct {
		name          string
		before, after []string
		ordered       bool
	}{
		{"disabled", []string{"deleteWhen: {disabled: true}"}, []string{"enabled: false", "deleteWhen: {disabled: true}"}, true},
		{"disabled, delete at the limit", nil, []string{"enabled: false", "atLimit: {action: delete}"}, true},
		{"disabled, to be deleted when expired", nil, []string{"enabled: false", "expires: 2026-12-24", "deleteWhen: {expired: true, offline: true}"}, false},
		{"disabled", nil, []string{"enabled: false"}, false},
		{"expired", nil, []string{past, "deleteWhen: {expired: true}"}, true},
		{"expired, delete at the limit", nil, []string{past, "atLimit: {action: delete}"}, true},
		{"expired, to be deleted when disabled", nil, []string{past, "deleteWhen: {disabled: true, offline: true}"}, false},
		{"not expired", nil, []string{"expires: 2026-11-23", "deleteWhen: {expired: true, disabled: true, offline: true}"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, c, w := ready(t, test.before...)
			h := &holder{client: c, machine: c.one().Machine}
			s.edit(w, test.after...)
			if got := h.poll(); (len(got) == 1) != test.ordered {
				t.Fatalf("orders are %+v", got)
			}
			if got := h.poll(); len(got) > 0 {
				t.Errorf("ordered once more: %+v", got)
			}
			there := slices.ContainsFunc(must(s.state.Machines(t.Context()))(t), func(m lease.Machine) bool { return m.ID == h.machine })
			if there == test.ordered {
				t.Errorf("the machine is recorded: %t", there)
			}
			if !test.ordered {
				return
			}
			records := must(s.state.Records(t.Context(), 0, 10))(t)
			if !slices.ContainsFunc(records, func(r audit.Record) bool {
				return r.Action == "machine.delete" && r.Who == lease.ByPolicy && r.Object == "machine "+string(h.machine)
			}) {
				t.Errorf("audit log has %+v", records)
			}
		})
	}
}

// TestAbsenceDeletesNothing: neither who is in no grant any more, nor who is not
// signed in, nor a workspace that is gone.
func TestAbsenceDeletesNothing(t *testing.T) {
	for name, change := range map[string]func(*server, *client, catalog.Revision){
		"no grant any more": func(s *server, _ *client, w catalog.Revision) {
			s.user("bob")
			must2(s.catalog.Commit(s.t.Context(), w.Workspace, document("Office", "office", "bob", "enabled: false", "deleteWhen: {disabled: true}"), w.ETag, "admin", ""))(s.t)
		},
		"workspace removed": func(s *server, _ *client, w catalog.Revision) {
			if err := s.catalog.Delete(s.t.Context(), w.Workspace, w.ETag, "admin"); err != nil {
				s.t.Fatal(err)
			}
		},
		"signed out": func(s *server, c *client, w catalog.Revision) {
			c.sessions = nil
			s.edit(w, "enabled: false", "deleteWhen: {disabled: true}")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, c, w := ready(t, "expires: 2026-12-24", "deleteWhen: {disabled: true, expired: true, offline: true}")
			h := &holder{client: c, machine: c.one().Machine}
			change(s, c, w)
			for range 3 {
				if got := h.poll(); len(got) > 0 {
					t.Fatalf("orders are %+v", got)
				}
			}
			if len(must(s.state.Machines(t.Context()))(t)) != 1 || len(must(s.issuer.Deletions(t.Context()))(t)) != 0 {
				t.Error("a machine is deleted, or about to be")
			}
		})
	}
}

// TestWrongDate: an edit with a wrong date deletes 5 % of a hundred machines and
// halts; neither time nor a restart lets more go, and a correction saves all.
func TestWrongDate(t *testing.T) {
	s := newServer(t)
	s.user("alice")
	w := s.workspace("Office", "office", "alice")
	all := s.holders(100)
	wrong := s.edit(w, "expires: 2026-11-02", "deleteWhen: {expired: true}")
	s.pollAll(all)
	for _, h := range all {
		// No lease that is out deletes by itself.
		for _, l := range h.leases {
			if len(l.DeleteWhen) > 0 {
				t.Fatalf("a lease that was past its end when it was issued says %+v", l.DeleteWhen)
			}
		}
	}
	if n := left(all); n != 95 || s.waiting() != 95 {
		t.Fatalf("%d machines are left, %d wait; want 95", n, s.waiting())
	}
	if n := strings.Count(s.log.String(), "waits for a confirmation"); n != 95 {
		t.Errorf("the log tells of %d, want 95", n)
	}
	for range 3 {
		s.clock.Add(2 * time.Hour)
		s.restart()
		s.pollAll(all)
	}
	if n := left(all); n != 95 {
		t.Fatalf("hours and restarts later %d machines are left, want 95", n)
	}
	if err := s.issuer.ConfirmDeletions(t.Context(), 94, "admin"); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("another number than wait was confirmed: %v", err)
	}
	s.edit(wrong)
	s.pollAll(all)
	if n := left(all); n != 95 || s.waiting() != 0 {
		t.Errorf("after the correction %d machines are left and %d wait, want 95 and 0", n, s.waiting())
	}
}

// TestConfirmedDeletions: what was confirmed goes on at each client's next poll,
// across a restart, and counts for that edit alone.
func TestConfirmedDeletions(t *testing.T) {
	s := newServer(t)
	s.user("alice")
	w := s.workspace("Office", "office", "alice")
	all := s.holders(10)
	w = s.edit(w, "enabled: false", "deleteWhen: {disabled: true}")
	s.pollAll(all)
	if n := left(all); n != 9 || s.waiting() != 9 {
		t.Fatalf("%d machines are left, %d wait; want 9", n, s.waiting())
	}
	if err := s.issuer.ConfirmDeletions(t.Context(), 9, "admin"); err != nil {
		t.Fatal(err)
	}
	s.pollAll(all[:5])
	if n := left(all); n != 5 {
		t.Fatalf("%d machines are left after five polls, want 5", n)
	}
	s.restart()
	s.pollAll(all[5:6])
	if n := left(all); n != 4 {
		t.Fatalf("%d machines are left after a restart, want 4", n)
	}
	// A correction and the same mistake again: who did not poll meanwhile is asked
	// about anew.
	w = s.edit(w, "deleteWhen: {disabled: true}")
	s.edit(w, "enabled: false", "deleteWhen: {disabled: true}")
	s.pollAll(all)
	if n := left(all); n != 4 || s.waiting() != 4 {
		t.Errorf("%d machines are left and %d wait, want 4", n, s.waiting())
	}
}

// TestDeletionsOnTwoServers: two servers together delete no more than one, and
// what one gives an order for the other does not order again.
func TestDeletionsOnTwoServers(t *testing.T) {
	s := newServer(t)
	s.user("alice")
	w := s.workspace("Office", "office", "alice")
	all := s.holders(40)
	other := s.replica()
	for i, h := range all {
		if i%2 == 1 {
			h.at(other)
		}
	}
	s.edit(w, "enabled: false", "deleteWhen: {disabled: true}")
	if err := other.catalog.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, h := range all {
		h.poll()
	}
	if n := left(all); n != 38 || s.waiting() != 38 {
		t.Fatalf("%d machines are left and %d wait, want 38", n, s.waiting())
	}
	if err := other.issuer.ConfirmDeletions(t.Context(), 38, "admin"); err != nil {
		t.Fatal(err)
	}
	if err := s.issuer.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	// One client whose polls go to both servers in turn gets one order.
	h := all[0]
	if h.deleted {
		h = all[39]
	}
	q := h.request()
	q.Machines = []wire.MachineState{{Machine: h.machine, State: "ready"}}
	ids := map[string]bool{}
	for _, at := range []*server{s, other, s, other} {
		h.at(at)
		for _, o := range h.orders(must(h.send(q))(t)) {
			ids[o.ID] = true
		}
		if err := errors.Join(s.issuer.Refresh(t.Context()), other.issuer.Refresh(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	if len(ids) != 1 {
		t.Errorf("a client got %d orders to delete one machine", len(ids))
	}
}

// TestFailedDeletionIsNotRepeated: what a client could not do is not ordered for
// ever.
func TestFailedDeletionIsNotRepeated(t *testing.T) {
	s, c, w := ready(t)
	id := c.one().Machine
	s.edit(w, "enabled: false", "deleteWhen: {disabled: true}")
	q := c.request()
	orders := c.orders(must(c.send(q))(t))
	if len(orders) != 1 {
		t.Fatalf("orders are %+v", orders)
	}
	c.report(wire.OrderResult{Order: orders[0].ID, Error: "the disk does not answer"})
	for range 2 {
		q := c.request()
		q.Machines = []wire.MachineState{{Machine: id, State: "ready"}}
		if a := must(c.send(q))(t); len(a.Orders) > 0 {
			t.Error("ordered again")
		}
		s.restart()
	}
}

// TestDeleteWhenInLeases: limits at which clients delete by themselves.
func TestDeleteWhenInLeases(t *testing.T) {
	for _, test := range []struct {
		grant []string
		want  []lease.Verdict
	}{
		{nil, nil},
		{[]string{"deleteWhen: {disabled: true}"}, nil},
		{[]string{"expires: 2026-11-23", "deleteWhen: {expired: true}"}, []lease.Verdict{lease.Expired}},
		{[]string{"expires: 2026-11-23", "deleteWhen: {offline: true}"}, []lease.Verdict{lease.OfflineTooLong}},
		{[]string{"expires: 2026-11-23", "atLimit: {action: delete}"}, []lease.Verdict{lease.Expired, lease.OfflineTooLong}},
	} {
		s := newServer(t)
		s.user("alice")
		w := s.workspace("Office", "office", "alice")
		c := s.client(true)
		if err := c.signIn("alice", password); err != nil {
			t.Fatal(err)
		}
		c.poll()
		if test.grant != nil {
			s.edit(w, test.grant...)
			c.poll()
		}
		if got := c.one().DeleteWhen; !slices.Equal(got, test.want) {
			t.Errorf("%v: the lease says %v, want %v", test.grant, got, test.want)
		}
	}
}
