package report

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/name"
)

// System is the user of a client on which nobody has signed in yet.
const System = "SYSTEM"

// UnknownImage is shown before an image was fetched.
const UnknownImage = "unknown"

// statusRow is one user's workspace on one client, or a client that nobody
// uses yet.
type statusRow struct {
	time                        time.Time
	user, host                  string
	client                      dormer.ClientID
	machine                     dormer.MachineID
	workspaceID                 dormer.WorkspaceID
	workspace, guest            string
	state, detail               string
	started, stopped, connected *time.Time
	online                      bool
	clientVersion, image        string
	revision, held              dormer.Revision
	locked, revoked             bool
	atNextStart, notEnforced    []string
}

// values are in the order of statusColumns.
func (r statusRow) values() []any {
	v := []any{
		r.time, r.user, r.host, textOrNil(r.workspace), textOrNil(r.guest), textOrNil(r.state), timeOrNil(r.started), timeOrNil(r.stopped),
		r.online, timeOrNil(r.connected), textOrNil(r.clientVersion), numberOrNil(int64(r.revision)), numberOrNil(int64(r.held)), textOrNil(r.image),
		textOrNil(r.detail), nil, nil, nil, nil, string(r.client), textOrNil(string(r.machine)),
	}
	const locked, atNextStart, notEnforced, revoked = 15, 16, 17, 18
	if r.locked {
		v[locked] = true
	}
	if len(r.atNextStart) > 0 {
		v[atNextStart] = r.atNextStart
	}
	if len(r.notEnforced) > 0 {
		v[notEnforced] = r.notEnforced
	}
	if r.revoked {
		v[revoked] = true
	}
	return v
}

func textOrNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func timeOrNil(t *time.Time) any {
	if t == nil || t.IsZero() {
		return nil
	}
	return *t
}

func numberOrNil(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

// running are the states (workspace.State) in which a machine is up.
var running = map[string]bool{"running": true, "paused": true, "suspended": true, "switching": true}

// status makes the rows of the status report: the state of every user's
// workspaces on every client heard of within the time asked for.
func (r *Reporter) status(ctx context.Context, s *Selection) ([]made, error) {
	rows, err := r.statusRows(ctx, s.Client)
	if err != nil {
		return nil, err
	}
	list := make([]made, 0, len(rows))
	filter := *s
	filter.User, filter.Host = name.Fold(s.User), name.Fold(s.Host)
	for _, row := range rows {
		if row.time.Before(s.Since) || !s.Until.IsZero() && !row.time.Before(s.Until) {
			continue
		}
		if len(s.Workspaces) > 0 && !slices.ContainsFunc(s.Workspaces, func(w string) bool {
			return w == string(row.workspaceID) || name.Fold(w) == name.Fold(row.workspace)
		}) {
			continue
		}
		if filter.matches(row.user, row.host, row.client) {
			list = append(list, made{id: row.host + "\n" + string(row.client) + "\n" + string(row.machine), values: row.values()})
		}
	}
	return list, nil
}

// statusRows joins machines, clients and workspaces: of one client, or with ""
// of all.
func (r *Reporter) statusRows(ctx context.Context, one dormer.ClientID) ([]statusRow, error) {
	clients, err := r.c.State.ClientsOf(ctx, one)
	if err != nil {
		return nil, err
	}
	machines, err := r.c.State.MachinesOf(ctx, one)
	if err != nil {
		return nil, err
	}
	since, err := r.c.State.StatesSince(ctx, one)
	if err != nil {
		return nil, err
	}
	revisions, err := r.c.State.Workspaces(ctx)
	if err != nil {
		return nil, err
	}
	workspaces := make(map[dormer.WorkspaceID]catalog.Revision, len(revisions))
	for _, w := range revisions {
		workspaces[w.Workspace] = w
	}
	machinesOf := make(map[dormer.ClientID][]lease.Machine, len(clients))
	for _, m := range machines {
		machinesOf[m.Client] = append(machinesOf[m.Client], m)
	}
	rows := make([]statusRow, 0, len(clients)+len(machines))
	for _, c := range clients {
		of := r.clientRow(c)
		if len(machinesOf[c.ID]) == 0 {
			of.user = System
			rows = append(rows, of)
		}
		for _, m := range machinesOf[c.ID] {
			rows = append(rows, r.machineRow(of, m, workspaces, since))
		}
	}
	return rows, nil
}

// clientRow fills in what the client gives.
func (r *Reporter) clientRow(c enroll.Client) statusRow {
	row := statusRow{
		time: c.Enrolled, host: c.Host.Name, client: c.ID, clientVersion: c.AgentVersion, revoked: c.Revoked != nil,
	}
	seen := r.c.LastSeen(c.ID)
	if c.LastSeen != nil && c.LastSeen.After(seen) {
		seen = *c.LastSeen
	}
	if !seen.IsZero() {
		row.time, row.connected = seen, &seen
		row.online = !row.revoked && r.c.Now().Sub(seen) <= r.c.ConnectedWithin
	}
	return row
}

// machineRow adds what the machine and its workspace give.
func (r *Reporter) machineRow(row statusRow, m lease.Machine, workspaces map[dormer.WorkspaceID]catalog.Revision, since map[dormer.MachineID]time.Time) statusRow {
	row.machine, row.user, row.workspaceID, row.workspace = m.ID, m.User.Shown(), m.Workspace, string(m.Workspace)
	row.guest, row.state, row.detail = cmp.Or(m.Guest, m.ComputerName), m.State, m.Detail
	if w, ok := workspaces[m.Workspace]; ok {
		row.workspace, row.revision = w.Name, w.Number
	}
	row.held, row.locked = m.Follows.Revision, m.Follows.Locked
	row.atNextStart, row.notEnforced = m.Follows.AtNextStart, m.Follows.NotEnforced
	row.image = UnknownImage
	if m.Image != "" {
		row.image = cmp.Or(r.c.ImageName(m.Image), string(m.Image))
	}
	if at, ok := since[m.ID]; ok && m.State != "" {
		if running[m.State] {
			row.started = &at
		} else {
			row.stopped = &at
		}
	}
	if m.Reported != nil && m.Reported.After(row.time) {
		row.time = *m.Reported
	}
	return row
}
