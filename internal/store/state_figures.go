package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/lease"
	states "github.com/dormer-project/dormer/internal/workspace"
)

// machineCount is how many machines a client has.
type machineCount struct {
	all, live int
	// budget is the shortest time that one of them may run without the server, in
	// seconds.
	budget sql.NullInt64
}

// FigureClients implements enroll.Finder. Machines are joined to their clients
// here: reading both from end to end is many times quicker on SQLite than looking
// up each, and consoles ask every few seconds.
func (s *State) FigureClients(ctx context.Context, now, onlineSince time.Time) (enroll.Figures, error) {
	const what = "count clients"
	f := enroll.Figures{States: make(map[enroll.State]int, len(enroll.States))}
	machines := map[string]machineCount{}
	err := s.each(ctx, what, func(r scanner) error {
		var (
			client string
			state  states.State
			budget sql.NullInt64
		)
		if err := r.Scan(&client, &state, &budget); err != nil {
			return err
		}
		n := machines[client]
		n.all++
		if state.Live() {
			n.live++
		}
		if budget.Valid && (!n.budget.Valid || budget.Int64 < n.budget.Int64) {
			n.budget = budget
		}
		machines[client] = n
		return nil
	}, "SELECT client, state, offline_budget FROM machines")
	if err != nil {
		return f, err
	}
	for _, state := range enroll.States {
		f.States[state] = 0
	}
	count := func(state enroll.State, is bool) {
		if is {
			f.States[state]++
		}
	}
	versions := map[string]int{}
	err = s.each(ctx, what, func(r scanner) error {
		var (
			id, version           string
			revoked, seen, copied sql.NullInt64
			ahead                 sql.NullInt64
		)
		if err := r.Scan(&id, &version, &revoked, &seen, &copied, &ahead); err != nil {
			return err
		}
		if revoked.Valid {
			count(enroll.StateRevoked, true)
			return nil
		}
		of, online := machines[id], seen.Valid && seen.Int64 >= micros(onlineSince)
		versions[version]++
		f.Machines += of.all
		count(enroll.StateActive, true)
		count(enroll.StateOnline, online)
		count(enroll.StateOffline, !online)
		count(enroll.StateNever, !seen.Valid)
		count(enroll.StateBeyond, !online && seen.Valid && of.budget.Valid && (micros(now)-seen.Int64)/1_000_000 >= of.budget.Int64)
		count(enroll.StateRunning, online && of.live > 0)
		count(enroll.StateCopied, copied.Valid)
		count(enroll.StateClock, ahead.Valid && max(ahead.Int64, -ahead.Int64) > enroll.ClockWrong.Microseconds())
		if online {
			f.Running += of.live
		}
		return nil
	}, "SELECT id, agent_version, revoked, last_seen, copied_at, clock_ahead FROM clients")
	if err != nil {
		return f, err
	}
	for version, n := range versions {
		f.Versions = append(f.Versions, enroll.VersionCount{Version: version, Clients: n})
	}
	slices.SortFunc(f.Versions, func(a, b enroll.VersionCount) int {
		return cmp.Or(cmp.Compare(b.Clients, a.Clients), cmp.Compare(a.Version, b.Version))
	})
	return f, nil
}

// MachinesByWorkspace implements lease.MachineFinder. The clients are told apart
// here, as above.
func (s *State) MachinesByWorkspace(ctx context.Context) (map[dormer.WorkspaceID]lease.MachineCounts, error) {
	by := map[dormer.WorkspaceID]lease.MachineCounts{}
	type pair struct{ workspace, client string }
	seen := map[pair]bool{}
	return by, s.each(ctx, "count machines", func(r scanner) error {
		var (
			p     pair
			state states.State
		)
		if err := r.Scan(&p.workspace, &p.client, &state); err != nil {
			return err
		}
		n := by[dormer.WorkspaceID(p.workspace)]
		n.Machines++
		if state == states.Running {
			n.Running++
		}
		if !seen[p] {
			seen[p] = true
			n.Clients++
		}
		by[dormer.WorkspaceID(p.workspace)] = n
		return nil
	}, "SELECT workspace, client, state FROM machines")
}
