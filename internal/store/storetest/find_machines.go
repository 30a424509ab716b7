package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/lease"
)

// testFindMachines holds that machines are found and counted by what they are of,
// without that all of them are read.
func testFindMachines(t *testing.T, s State) {
	ctx := t.Context()
	for _, m := range []struct {
		n          int
		client, ws string
		image      dormer.ImageID
		state      string
		since      time.Duration
	}{
		{1, "c1", "w1", "a", "running", time.Minute},
		{2, "c1", "w2", "a", "ready", time.Hour},
		{3, "c2", "w1", "b", "running", time.Hour},
		{4, "c3", "w1", "a", "running", time.Hour},
	} {
		stored := must[lease.Machine](t)(s.EnsureMachine(ctx, machine(m.n, m.client, 1, m.ws)))
		ok(t, s.FlushReports(ctx, []lease.Report{{Machine: stored.ID, State: m.state, Image: m.image, Time: at(m.since)}}))
	}
	ok(t, ignore(s.EnsureMachine(ctx, machine(5, "c4", 1, "w1")))) // nothing was reported of it
	for _, test := range []struct {
		f     lease.MachineFilter
		want  []dormer.MachineID
		total int
	}{
		{lease.MachineFilter{}, []dormer.MachineID{"machine-1", "machine-2", "machine-3", "machine-4", "machine-5"}, 5},
		{lease.MachineFilter{Limit: 5}, []dormer.MachineID{"machine-1", "machine-2", "machine-3", "machine-4", "machine-5"}, 5},
		{lease.MachineFilter{Limit: 2}, []dormer.MachineID{"machine-1", "machine-2"}, 5},
		{lease.MachineFilter{Client: "c1"}, []dormer.MachineID{"machine-1", "machine-2"}, 2},
		{lease.MachineFilter{Image: "a", Limit: 1}, []dormer.MachineID{"machine-1"}, 3},
		{lease.MachineFilter{Client: "c1", Image: "b"}, nil, 0},
		{lease.MachineFilter{Workspace: "w2"}, []dormer.MachineID{"machine-2"}, 1},
		{lease.MachineFilter{Client: "c1", Workspace: "w1"}, []dormer.MachineID{"machine-1"}, 1},
		{lease.MachineFilter{Client: "nobody"}, nil, 0},
		{lease.MachineFilter{IDs: []dormer.MachineID{"nobody"}}, nil, 0},
		{lease.MachineFilter{IDs: []dormer.MachineID{}}, nil, 0},
	} {
		list, total, err := s.FindMachines(ctx, test.f)
		ok(t, err)
		var got []dormer.MachineID
		for _, m := range list {
			got = append(got, m.ID)
		}
		if !slices.Equal(got, test.want) || total != test.total {
			t.Errorf("%+v: %v of %d, want %v of %d", test.f, got, total, test.want, test.total)
		}
	}
	equal(t, must[map[dormer.WorkspaceID]lease.MachineCounts](t)(s.MachinesByWorkspace(ctx)), map[dormer.WorkspaceID]lease.MachineCounts{
		"w1": {Machines: 4, Running: 3, Clients: 4}, "w2": {Machines: 1, Clients: 1},
	})
	seen := map[dormer.ImageID][]dormer.ClientID{}
	ok(t, s.EachMachineImage(ctx, func(i dormer.ImageID, c dormer.ClientID) { seen[i] = append(seen[i], c) }))
	slices.Sort(seen["a"])
	equal(t, seen, map[dormer.ImageID][]dormer.ClientID{"a": {"c1", "c1", "c3"}, "b": {"c2"}})
	equal(t, must[map[dormer.MachineID]time.Time](t)(s.StatesSince(ctx, "c1")), map[dormer.MachineID]time.Time{"machine-1": at(time.Minute), "machine-2": at(time.Hour)})
}

func ignore[T any](_ T, err error) error { return err }
