package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/wire"
)

func token(n byte, uses int) enroll.JoinToken {
	return enroll.JoinToken{
		ID: id(string(rune('a' + n))), Hash: [32]byte{n}, Name: "for tests", AdmitsManaged: true, MaxUses: uses,
		Expires: at(time.Hour), Created: at(time.Duration(n) * time.Second), By: "admin",
	}
}

func client(n int) enroll.Client {
	return enroll.Client{
		ID: dormer.ClientID(fmt.Sprintf("client-%03d", n)), PublicKey: []byte{1, 2, byte(n)}, Managed: n%2 == 0,
		Host:         wire.Host{Name: fmt.Sprintf("host-%03d", 999-n), OS: "linux", Arch: "amd64", MemoryMiB: 8192, Processors: 4},
		AgentVersion: "1.0", Enrolled: at(0),
	}
}

var errRefused = errors.New("refused")

// admit is what callers do: refuse when the uses are up.
func admit(t enroll.JoinToken) error {
	if t.Uses >= t.MaxUses || t.Revoked {
		return errRefused
	}
	return nil
}

func testJoinTokens(t *testing.T, s State) {
	ctx := t.Context()
	a, b := token(1, 1), token(2, 5)
	ok(t, s.CreateJoinToken(ctx, a))
	ok(t, s.CreateJoinToken(ctx, b))
	is(t, s.CreateJoinToken(ctx, a), dormer.ErrExists)
	equal(t, must[[]enroll.JoinToken](t)(s.JoinTokens(ctx)), []enroll.JoinToken{b, a})

	is(t, s.Enrol(ctx, [32]byte{9}, client(1), admit), dormer.ErrNotFound)
	ok(t, s.Enrol(ctx, a.Hash, client(1), admit))
	if err := s.Enrol(ctx, a.Hash, client(2), admit); err != errRefused { //nolint:errorlint // as it is
		t.Fatalf("error is %v, want the very one that admit returned", err)
	}
	// A client that is there already costs no use.
	is(t, s.Enrol(ctx, b.Hash, client(1), admit), dormer.ErrExists)
	for range 2 {
		ok(t, s.RevokeJoinToken(ctx, b.ID))
	}
	is(t, s.Enrol(ctx, b.Hash, client(3), admit), errRefused)
	is(t, s.RevokeJoinToken(ctx, id("z")), dormer.ErrNotFound)
	a.Uses, b.Revoked = 1, true
	equal(t, must[[]enroll.JoinToken](t)(s.JoinTokens(ctx)), []enroll.JoinToken{b, a})
}

func testLastUse(t *testing.T, s State) {
	ctx := t.Context()
	ok(t, s.CreateJoinToken(ctx, token(1, 1)))
	done, refused := count(t, together(20, func(i int) error {
		return s.Enrol(ctx, [32]byte{1}, client(i), admit)
	}), errRefused)
	clients := must[[]enroll.Client](t)(s.Clients(ctx))
	uses := must[[]enroll.JoinToken](t)(s.JoinTokens(ctx))[0].Uses
	if done != 1 || refused != 19 || len(clients) != 1 || uses != 1 {
		t.Errorf("%d of 20 got in, %d were refused, %d clients, %d uses; want 1, 19, 1, 1", done, refused, len(clients), uses)
	}
}

func enrolled(t *testing.T, s State, n int) []enroll.Client {
	t.Helper()
	ctx := t.Context()
	ok(t, s.CreateJoinToken(ctx, token(1, n)))
	list := make([]enroll.Client, n)
	for i := range n {
		list[i] = client(i)
		ok(t, s.Enrol(ctx, [32]byte{1}, list[i], admit))
		list[i].JoinToken = token(1, n).ID
	}
	return list
}

func testClients(t *testing.T, s State) {
	ctx := t.Context()
	list := enrolled(t, s, 3)
	equal(t, must[enroll.Client](t)(s.Client(ctx, list[1].ID)), list[1])
	equal(t, must[[]enroll.Client](t)(s.Clients(ctx)), []enroll.Client{list[2], list[1], list[0]})
	_, err := s.Client(ctx, "nobody")
	is(t, err, dormer.ErrNotFound)

	ok(t, s.RevokeClient(ctx, list[0].ID, at(time.Hour)))
	ok(t, s.RevokeClient(ctx, list[0].ID, at(2*time.Hour)))
	list[0].Revoked = atp(time.Hour)
	equal(t, must[enroll.Client](t)(s.Client(ctx, list[0].ID)), list[0])
	is(t, s.RevokeClient(ctx, "nobody", at(0)), dormer.ErrNotFound)
}

func testSeen(t *testing.T, s State) {
	ctx := t.Context()
	list := enrolled(t, s, 3)
	ahead := -7 * time.Minute
	host := wire.Host{Name: "new\x00name \xff", OS: "linux", Arch: "arm64", MemoryMiB: 1, Processors: 2}
	seen := []enroll.Seen{
		{Client: list[0].ID, Time: at(2 * time.Minute), Host: host, AgentVersion: "2.0", ClockAhead: &ahead},
		{Client: list[0].ID, Time: at(time.Minute), Host: list[0].Host, AgentVersion: "1.0"}, // older
		{Client: "nobody", Time: at(time.Minute)},
		{Client: list[1].ID, Time: at(time.Minute), Host: list[1].Host, AgentVersion: "1.0"},
	}
	// Enough that it takes more than one statement.
	for i := range 450 {
		seen = append(seen, enroll.Seen{Client: dormer.ClientID(fmt.Sprint("stranger-", i)), Time: at(0)})
	}
	ok(t, s.FlushSeen(ctx, nil))
	ok(t, s.FlushSeen(ctx, seen))
	// A poll that does not tell of the clock leaves what was known.
	ok(t, s.FlushSeen(ctx, seen[:1]))
	seen[0].ClockAhead = nil
	seen[0].Host.DiskFree, seen[0].Host.DiskTotal, seen[0].Host.ImagesBytes = 5<<30, 9<<30, 1<<20
	ok(t, s.FlushSeen(ctx, seen[:1]))
	// What is older than what is stored changes nothing.
	ok(t, s.FlushSeen(ctx, []enroll.Seen{{Client: list[1].ID, Time: at(0), Host: host, AgentVersion: "0.1"}}))
	host = seen[0].Host
	host.Name = "new\uFFFDname \uFFFD"
	list[0].LastSeen, list[0].Host, list[0].AgentVersion = atp(2*time.Minute), host, "2.0"
	list[0].ClockAhead = &ahead
	list[1].LastSeen = atp(time.Minute)
	for _, want := range list {
		equal(t, must[enroll.Client](t)(s.Client(ctx, want.ID)), want)
	}
	if n := len(must[[]enroll.Client](t)(s.Clients(ctx))); n != 3 {
		t.Errorf("%d clients, want 3", n)
	}
}

func machine(n int, c string, u int, w string) lease.Machine {
	return lease.Machine{
		ID: dormer.MachineID(fmt.Sprint("machine-", n)), Client: dormer.ClientID(c), User: user(u), Workspace: dormer.WorkspaceID(w),
		DiskKey: []byte{1, byte(n)}, ComputerName: fmt.Sprint("PC", n), Created: at(time.Duration(n) * time.Second),
	}
}

func testMachines(t *testing.T, s State) {
	ctx := t.Context()
	a := machine(1, "c1", 1, "w1")
	equal(t, must[lease.Machine](t)(s.EnsureMachine(ctx, a)), a)
	equal(t, must[lease.Machine](t)(s.EnsureMachine(ctx, machine(2, "c1", 1, "w1"))), a)
	for i, m := range []lease.Machine{machine(3, "c2", 1, "w1"), machine(4, "c1", 2, "w1"), machine(5, "c1", 1, "w2")} {
		if got := must[lease.Machine](t)(s.EnsureMachine(ctx, m)); got.ID != m.ID {
			t.Errorf("machine %d is %s, want one of its own", i, got.ID)
		}
	}
	_, err := s.EnsureMachine(ctx, machine(1, "c9", 9, "w9"))
	is(t, err, dormer.ErrExists)
	if n := len(must[[]lease.Machine](t)(s.Machines(ctx))); n != 4 {
		t.Errorf("%d machines, want 4", n)
	}
	ok(t, s.DeleteMachine(ctx, a.ID))
	is(t, s.DeleteMachine(ctx, a.ID), dormer.ErrNotFound)
	if got := must[lease.Machine](t)(s.EnsureMachine(ctx, machine(6, "c1", 1, "w1"))); got.ID != "machine-6" {
		t.Errorf("after deletion the machine is %s, want the new one", got.ID)
	}
}

func testMachinesAtOnce(t *testing.T, s State) {
	ctx := t.Context()
	got := make([]lease.Machine, 12)
	for _, err := range together(len(got), func(i int) error {
		var err error
		got[i], err = s.EnsureMachine(ctx, machine(i, "c", 1, "w"))
		return err
	}) {
		ok(t, err)
	}
	for _, m := range got {
		equal(t, m, got[0])
	}
	equal(t, must[[]lease.Machine](t)(s.Machines(ctx)), got[:1])
}

func testReports(t *testing.T, s State) {
	ctx := t.Context()
	a := must[lease.Machine](t)(s.EnsureMachine(ctx, machine(1, "c", 1, "w")))
	budget := int64(3600)
	report := func(state string, d time.Duration) lease.Report {
		return lease.Report{
			Machine: a.ID, State: state, Detail: "62 %", Image: "sha256:x", Guest: "g\x00", Time: at(d), OfflineBudget: &budget,
			Follows: lease.Follows{Revision: 7, Locked: true, AtNextStart: []string{"network.mode"}, NotEnforced: []string{"web\x00", "x"}},
		}
	}
	ok(t, s.FlushReports(ctx, nil))
	ok(t, s.FlushReports(ctx, []lease.Report{report("running", time.Minute), report("starting", 0), {Machine: "nobody", Time: at(0)}}))
	ok(t, s.FlushReports(ctx, []lease.Report{report("running", 2*time.Minute)}))
	ok(t, s.FlushReports(ctx, []lease.Report{report("stopped", 0)})) // too late
	a.State, a.Detail, a.Image, a.Guest, a.Reported = "running", "62 %", "sha256:x", "g\uFFFD", atp(2*time.Minute)
	a.Follows = lease.Follows{Revision: 7, Locked: true, AtNextStart: []string{"network.mode"}, NotEnforced: []string{"web\uFFFD", "x"}}
	a.OfflineBudget = &budget
	equal(t, must[[]lease.Machine](t)(s.Machines(ctx)), []lease.Machine{a})
	equal(t, must[map[dormer.MachineID]time.Time](t)(s.StatesSince(ctx, "")), map[dormer.MachineID]time.Time{a.ID: at(time.Minute)})
	ok(t, s.FlushReports(ctx, []lease.Report{report("ready", time.Hour)}))
	equal(t, must[map[dormer.MachineID]time.Time](t)(s.StatesSince(ctx, "")), map[dormer.MachineID]time.Time{a.ID: at(time.Hour)})
}

func testOrders(t *testing.T, s State) {
	ctx := t.Context()
	order := func(n string, d time.Duration) lease.PendingOrder {
		return lease.PendingOrder{By: "admin", Order: lease.Order{
			Version: 1, ID: id(n), Instance: "i", Epoch: 3, Client: "c", Machine: "m", Kind: lease.OrderDelete, Reason: "left", IssuedAt: at(d),
		}}
	}
	a, b := order("b", 0), order("a", time.Second)
	ok(t, s.CreateOrder(ctx, b))
	ok(t, s.CreateOrder(ctx, a))
	is(t, s.CreateOrder(ctx, a), dormer.ErrExists)
	equal(t, must[[]lease.PendingOrder](t)(s.PendingOrders(ctx)), []lease.PendingOrder{a, b})
	ok(t, s.CompleteOrder(ctx, a.Order.ID, at(0), ""))
	ok(t, s.CompleteOrder(ctx, a.Order.ID, at(time.Hour), "late\x00"))
	is(t, s.CompleteOrder(ctx, id("z"), at(0), ""), dormer.ErrNotFound)
	equal(t, must[[]lease.PendingOrder](t)(s.PendingOrders(ctx)), []lease.PendingOrder{b})

	stop := order("c", time.Second)
	stop.Order.Grace = new(int64(90))
	stop.Order.Kind = lease.OrderStop
	ok(t, s.CreateOrder(ctx, stop))
	equal(t, must[[]lease.PendingOrder](t)(s.PendingOrders(ctx)), []lease.PendingOrder{b, stop})
	must[lease.Machine](t)(s.EnsureMachine(ctx, machine(1, "c", 1, "w")))
	for since, want := range map[time.Duration]int{-time.Hour: 2, time.Second: 1, 2 * time.Second: 0} {
		is(t, s.CreateDeletion(ctx, order("e", 0), at(since), func(deleted, machines int) error {
			if deleted != want || machines != 1 {
				t.Errorf("%d deletions since %s of %d machines, want %d of 1", deleted, since, machines, want)
			}
			return dormer.ErrConflict
		}), dormer.ErrConflict)
	}
	equal(t, must[[]lease.PendingOrder](t)(s.PendingOrders(ctx)), []lease.PendingOrder{b, stop})
	ok(t, s.CreateDeletion(ctx, order("e", time.Minute), at(0), func(int, int) error { return nil }))
	equal(t, len(must[[]lease.PendingOrder](t)(s.PendingOrders(ctx))), 3)

	found := must[[]lease.PendingOrder](t)(s.FindOrders(ctx, lease.OrderFilter{Client: "c", Limit: 2}))
	equal(t, []string{found[0].Order.ID, found[1].Order.ID}, []string{id("e"), stop.Order.ID})
	o := must[lease.PendingOrder](t)(s.WithdrawOrder(ctx, stop.Order.ID, at(time.Hour), "admin\x00"))
	stop.Done, stop.Error, stop.Withdrawn = atp(time.Hour), "withdrawn by admin\uFFFD", true
	equal(t, o, stop)
	_, err := s.WithdrawOrder(ctx, stop.Order.ID, at(0), "admin")
	is(t, err, dormer.ErrConflict)
	_, err = s.WithdrawOrder(ctx, id("z"), at(0), "admin")
	is(t, err, dormer.ErrNotFound)
	// What its client reports of it afterwards changes nothing.
	ok(t, s.CompleteOrder(ctx, stop.Order.ID, at(2*time.Hour), ""))
	equal(t, must[[]lease.PendingOrder](t)(s.FindOrders(ctx, lease.OrderFilter{Limit: 9}))[1], stop)
	equal(t, len(must[[]lease.PendingOrder](t)(s.FindOrders(ctx, lease.OrderFilter{Waiting: true, Limit: 9}))), 2)
	equal(t, len(must[[]lease.PendingOrder](t)(s.FindOrders(ctx, lease.OrderFilter{Client: "other", Limit: 9}))), 0)
}

func testEpoch(t *testing.T, s State) {
	ctx := t.Context()
	is(t, s.RaiseEpoch(ctx, 2), dormer.ErrNotFound)
	for _, err := range together(4, func(int) error {
		i, e, err := s.Instance(ctx, "first")
		if err == nil && (i != "first" || e != 1) {
			err = fmt.Errorf("instance %s of epoch %d, want first and 1", i, e)
		}
		return err
	}) {
		ok(t, err)
	}
	is(t, s.RaiseEpoch(ctx, 1), dormer.ErrConflict)
	done, _ := count(t, together(5, func(int) error { return s.RaiseEpoch(ctx, 7) }), dormer.ErrConflict)
	if done != 1 {
		t.Errorf("%d raised the epoch to the same number, want 1", done)
	}
	is(t, s.RaiseEpoch(ctx, 6), dormer.ErrConflict)
	if i, e, err := s.Instance(ctx, "second"); err != nil || i != "first" || e != 7 {
		t.Errorf("instance %s of epoch %d, %v; want first and 7", i, e, err)
	}
}
