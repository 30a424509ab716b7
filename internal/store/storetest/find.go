package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/lease"
)

// testFindClients holds that lists and figures agree on which clients are in
// which state.
func testFindClients(t *testing.T, s State) {
	ctx := t.Context()
	now, since := at(time.Hour), at(57*time.Minute)
	list := enrolled(t, s, 6)
	wrong := -6 * time.Minute
	hour := int64(3600)
	saw := func(n int, d time.Duration, version string) enroll.Seen {
		h := list[n].Host
		h.DiskFree, h.DiskTotal = int64(10-n), 20
		return enroll.Seen{Client: list[n].ID, Time: at(d), Host: h, AgentVersion: version}
	}
	// 0 is on-line and runs a machine, 1 is on-line with a wrong clock, 2 is
	// off-line within its limit, 3 beyond it, 4 was never seen, 5 is revoked.
	clock := saw(1, time.Hour, "1.1")
	clock.ClockAhead = &wrong
	ok(t, s.FlushSeen(ctx, []enroll.Seen{saw(0, 59*time.Minute, "1.1"), clock, saw(2, 50*time.Minute, "1.0"), saw(3, 0, "0_9"), saw(5, 59*time.Minute, "1.1")}))
	ok(t, s.RevokeClient(ctx, list[5].ID, now))
	ok(t, s.MarkCopied(ctx, list[1].ID, now, "there too"))
	for n, state := range map[int]string{0: "running", 2: "paused", 3: "ready", 5: "running"} {
		m := must[lease.Machine](t)(s.EnsureMachine(ctx, machine(n, string(list[n].ID), n, "w")))
		ok(t, s.FlushReports(ctx, []lease.Report{{Machine: m.ID, State: state, Time: at(0), OfflineBudget: &hour}}))
	}
	ids := func(numbers ...int) []dormer.ClientID {
		out := []dormer.ClientID{}
		for _, n := range numbers {
			out = append(out, list[n].ID)
		}
		return out
	}
	find := func(f enroll.Filter) ([]dormer.ClientID, int) {
		t.Helper()
		f.Now, f.OnlineSince = now, since
		found, total, err := s.FindClients(ctx, f)
		ok(t, err)
		out := []dormer.ClientID{}
		for _, c := range found {
			out = append(out, c.ID)
		}
		return out, total
	}
	states := map[enroll.State][]dormer.ClientID{
		"": ids(5, 4, 3, 2, 1, 0), enroll.StateActive: ids(4, 3, 2, 1, 0), enroll.StateOnline: ids(1, 0), enroll.StateOffline: ids(4, 3, 2),
		enroll.StateBeyond: ids(3), enroll.StateRunning: ids(0), enroll.StateNever: ids(4), enroll.StateCopied: ids(1),
		enroll.StateClock: ids(1), enroll.StateRevoked: ids(5),
	}
	figures := must[enroll.Figures](t)(s.FigureClients(ctx, now, since))
	for state, want := range states {
		got, total := find(enroll.Filter{State: state})
		if !slices.Equal(got, want) || total != len(want) || state != "" && figures.States[state] != len(want) {
			t.Errorf("%s: listed %v of %d, counted %d, want %v", state, got, total, figures.States[state], want)
		}
	}
	equal(t, len(figures.States), len(enroll.States))
	equal(t, []int{figures.Machines, figures.Running}, []int{3, 1})
	equal(t, figures.Versions, []enroll.VersionCount{{Version: "1.0", Clients: 2}, {Version: "1.1", Clients: 2}, {Version: "0_9", Clients: 1}})
	user := must[[]lease.Machine](t)(s.Machines(ctx))[0].User.Name
	for _, test := range []struct {
		f    enroll.Filter
		want []dormer.ClientID
		all  int
	}{
		{enroll.Filter{Search: "HOST-996"}, ids(3), 1},
		{enroll.Filter{Search: "%"}, ids(), 0},
		{enroll.Filter{Search: string(list[2].ID)}, ids(2), 1},
		{enroll.Filter{Search: user, State: enroll.StateOnline}, ids(0), 1},
		{enroll.Filter{Version: "0_9"}, ids(3), 1},
		{enroll.Filter{Version: "0x9"}, ids(), 0},
		{enroll.Filter{Order: enroll.BySeen, Down: true}, ids(1, 0, 5, 2, 3, 4), 6},
		{enroll.Filter{Order: enroll.ByVersion, State: enroll.StateActive}, ids(3, 4, 2, 1, 0), 5},
		{enroll.Filter{Order: enroll.ByFree, State: enroll.StateActive}, ids(4, 3, 2, 1, 0), 5},
		{enroll.Filter{Order: enroll.ByEnrolled}, ids(5, 4, 3, 2, 1, 0), 6},
		{enroll.Filter{Offset: 1, Limit: 2}, ids(4, 3), 6},
		{enroll.Filter{Offset: 5}, ids(0), 6},
		{enroll.Filter{Offset: 9, Limit: 2}, ids(), 6},
	} {
		if got, total := find(test.f); !slices.Equal(got, test.want) || total != test.all {
			t.Errorf("%+v: %v of %d, want %v of %d", test.f, got, total, test.want, test.all)
		}
	}
	names, err := s.HostNames(ctx, append(ids(1, 2), "nobody"))
	ok(t, err)
	equal(t, names, map[dormer.ClientID]string{ids(1)[0]: "host-998", ids(2)[0]: "host-997"})
	many := ids(1)
	for i := range 33_000 { // more than SQLite takes in one statement
		many = append(many, dormer.ClientID(fmt.Sprintf("no-client-%d", i)))
	}
	names, err = s.HostNames(ctx, many)
	ok(t, err)
	equal(t, len(names), 1)
	names, err = s.HostNames(ctx, nil)
	ok(t, err)
	equal(t, len(names), 0)
	found, _, err := s.FindClients(ctx, enroll.Filter{Search: "host-999", Now: now, OnlineSince: since})
	ok(t, err)
	equal(t, fmt.Sprint(found[0].Machines, found[0].Running, *found[0].OfflineLimit, found[0].Host.DiskFree), "1 1 1h0m0s 10")
}
