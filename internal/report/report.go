// Package report makes the tables that operators read: status, activity and
// errors. It belongs to the server; what it reads from is handed to it.
package report

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/name"
)

// State is what the status report is made from.
type State interface {
	// Machines returns all machines of the instance.
	Machines(ctx context.Context) ([]lease.Machine, error)
	// StatesSince returns, for each machine that reported, since when its
	// state is what it is.
	StatesSince(ctx context.Context) (map[dormer.MachineID]time.Time, error)
	// Clients returns all clients, revoked ones too.
	Clients(ctx context.Context) ([]enroll.Client, error)
	// Workspaces returns the current revision of every workspace.
	Workspaces(ctx context.Context) ([]catalog.Revision, error)
}

// Config says where reports come from.
type Config struct {
	Instance dormer.InstanceID
	State    State
	Events   event.Reader
	// ImageName returns NAME/NUMBER of an image, "" when it is not known; nil
	// knows none.
	ImageName func(dormer.ImageID) string
	// LastSeen returns when a client was last heard of if that is fresher than
	// what State holds, else the zero time; nil knows nothing.
	LastSeen func(dormer.ClientID) time.Time
	// ConnectedWithin is how long after its last poll a client counts as
	// connected; 0 means three minutes.
	ConnectedWithin time.Duration
	Now             func() time.Time
}

// Reporter makes reports. It is safe for concurrent use.
type Reporter struct {
	c Config
}

// New returns a reporter.
func New(c Config) *Reporter {
	if c.ImageName == nil {
		c.ImageName = func(dormer.ImageID) string { return "" }
	}
	if c.LastSeen == nil {
		c.LastSeen = func(dormer.ClientID) time.Time { return time.Time{} }
	}
	if c.ConnectedWithin <= 0 {
		c.ConnectedWithin = 3 * time.Minute
	}
	return &Reporter{c: c}
}

// Limits of reports; see docs/limits.md.
const (
	// DefaultDays is how far back a report looks when nothing is asked.
	DefaultDays = 7
	// MaxDays is how far back it looks at most.
	MaxDays = 3650
	// DefaultLimit is how many rows it has when nothing is asked.
	DefaultLimit = 1000
	// MaxLimit is how many rows it has at most.
	MaxLimit = 100_000
)

// Query narrows a report. The zero value asks for the defaults.
type Query struct {
	// Days is how far back to look; 0 means DefaultDays.
	Days int
	// User and Host must be contained, without regard to case.
	User, Host string
	// Limit is how many rows are wanted; 0 means DefaultLimit.
	Limit int
	// Before is the identity of the last row seen: only older ones follow.
	// Status reports ignore it.
	Before int64
}

func (q Query) check() (Query, error) {
	if q.Days == 0 {
		q.Days = DefaultDays
	}
	if q.Limit == 0 {
		q.Limit = DefaultLimit
	}
	switch {
	case q.Days < 0 || q.Days > MaxDays:
		return q, dormer.Invalidf("days", "must be between 1 and %d", MaxDays)
	case q.Limit < 0 || q.Limit > MaxLimit:
		return q, dormer.Invalidf("limit", "must be between 1 and %d", MaxLimit)
	case q.Before < 0:
		return q, dormer.Invalidf("before", "must not be negative")
	}
	return q, nil
}

// System is the user of a client on which nobody has signed in yet.
const System = "SYSTEM"

// UnknownImage is shown before an image was fetched.
const UnknownImage = "unknown"

// StatusRow is one user's workspace on one client, or a client that nobody
// uses yet.
type StatusRow struct {
	// Time is when this was last heard of.
	Time    time.Time        `json:"time"`
	User    string           `json:"user"`
	Host    string           `json:"host"`
	Client  dormer.ClientID  `json:"client"`
	Machine dormer.MachineID `json:"machine,omitempty"`
	// Workspace is its name now, or its identity once it was deleted.
	Workspace     string     `json:"workspace,omitempty"`
	Guest         string     `json:"guest,omitempty"`
	State         string     `json:"state,omitempty"`
	Detail        string     `json:"detail,omitempty"`
	Started       *time.Time `json:"started,omitempty"`
	Stopped       *time.Time `json:"stopped,omitempty"`
	Connected     bool       `json:"connected"`
	LastConnected *time.Time `json:"last_connected,omitempty"`
	ClientVersion string     `json:"client_version,omitempty"`
	// PolicyRevision is the revision of the workspace that is current on the
	// server, HeldRevision the one whose policy the client holds.
	PolicyRevision dormer.Revision `json:"policy_revision,omitempty"`
	HeldRevision   dormer.Revision `json:"held_revision,omitempty"`
	Locked         bool            `json:"locked,omitempty"`
	// AtNextStart are the fields of the policy that the machine takes over when it
	// starts next, NotEnforced those that its client does nothing for.
	AtNextStart []string `json:"at_next_start,omitempty"`
	NotEnforced []string `json:"not_enforced,omitempty"`
	// Image is NAME/NUMBER, or UnknownImage.
	Image   string `json:"image,omitempty"`
	Revoked bool   `json:"revoked,omitempty"`
}

// running are the states (workspace.State) in which a machine is up.
var running = map[string]bool{"running": true, "paused": true, "suspended": true, "switching": true}

// Status returns the state of every user's workspaces on every client heard of
// within the days of the query, newest first.
func (r *Reporter) Status(ctx context.Context, q Query) ([]StatusRow, error) {
	q, err := q.check()
	if err != nil {
		return nil, err
	}
	rows, err := r.status(ctx)
	if err != nil {
		return nil, fmt.Errorf("status report: %w", err)
	}
	since := r.c.Now().AddDate(0, 0, -q.Days)
	user, host := name.Fold(q.User), name.Fold(q.Host)
	rows = slices.DeleteFunc(rows, func(row StatusRow) bool {
		return row.Time.Before(since) ||
			!strings.Contains(name.Fold(row.User), user) || !strings.Contains(name.Fold(row.Host), host)
	})
	slices.SortStableFunc(rows, func(a, b StatusRow) int {
		return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(a.Host, b.Host), cmp.Compare(a.User, b.User),
			cmp.Compare(a.Workspace, b.Workspace), cmp.Compare(a.Machine, b.Machine), cmp.Compare(a.Client, b.Client))
	})
	return rows[:min(len(rows), q.Limit)], nil
}

// status joins machines, clients and workspaces.
func (r *Reporter) status(ctx context.Context) ([]StatusRow, error) {
	clients, err := r.c.State.Clients(ctx)
	if err != nil {
		return nil, err
	}
	machines, err := r.c.State.Machines(ctx)
	if err != nil {
		return nil, err
	}
	since, err := r.c.State.StatesSince(ctx)
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
	rows := make([]StatusRow, 0, len(clients)+len(machines))
	for _, c := range clients {
		of := r.clientRow(c)
		if len(machinesOf[c.ID]) == 0 {
			of.User = System
			rows = append(rows, of)
		}
		for _, m := range machinesOf[c.ID] {
			rows = append(rows, r.machineRow(of, m, workspaces, since))
		}
	}
	return rows, nil
}

// clientRow fills in what the client gives.
func (r *Reporter) clientRow(c enroll.Client) StatusRow {
	row := StatusRow{
		Time: c.Enrolled, Host: c.Host.Name, Client: c.ID, ClientVersion: c.AgentVersion, Revoked: c.Revoked != nil,
	}
	seen := r.c.LastSeen(c.ID)
	if c.LastSeen != nil && c.LastSeen.After(seen) {
		seen = *c.LastSeen
	}
	if !seen.IsZero() {
		row.Time, row.LastConnected = seen, &seen
		row.Connected = !row.Revoked && r.c.Now().Sub(seen) <= r.c.ConnectedWithin
	}
	return row
}

// machineRow adds what the machine and its workspace give.
func (r *Reporter) machineRow(row StatusRow, m lease.Machine, workspaces map[dormer.WorkspaceID]catalog.Revision, since map[dormer.MachineID]time.Time) StatusRow {
	row.Machine, row.User, row.Workspace = m.ID, m.User.Name, string(m.Workspace)
	row.Guest, row.State, row.Detail = cmp.Or(m.Guest, m.ComputerName), m.State, m.Detail
	if w, ok := workspaces[m.Workspace]; ok {
		row.Workspace, row.PolicyRevision = w.Name, w.Number
	}
	row.HeldRevision, row.Locked = m.Follows.Revision, m.Follows.Locked
	row.AtNextStart, row.NotEnforced = m.Follows.AtNextStart, m.Follows.NotEnforced
	row.Image = UnknownImage
	if m.Image != "" {
		row.Image = cmp.Or(r.c.ImageName(m.Image), string(m.Image))
	}
	if at, ok := since[m.ID]; ok && m.State != "" {
		if running[m.State] {
			row.Started = &at
		} else {
			row.Stopped = &at
		}
	}
	if m.Reported != nil && m.Reported.After(row.Time) {
		row.Time = *m.Reported
	}
	return row
}

// EventRow is one event in a report.
type EventRow = event.Row

// Activity returns all events, newest received first.
func (r *Reporter) Activity(ctx context.Context, q Query) ([]EventRow, error) {
	return r.events(ctx, "activity report", q, "")
}

// Errors returns the events of severity error, newest received first.
func (r *Reporter) Errors(ctx context.Context, q Query) ([]EventRow, error) {
	return r.events(ctx, "error report", q, dormer.Error)
}

func (r *Reporter) events(ctx context.Context, what string, q Query, severity dormer.Severity) ([]EventRow, error) {
	q, err := q.check()
	if err != nil {
		return nil, err
	}
	rows, err := r.c.Events.Events(ctx, event.Filter{
		Instance:     r.c.Instance,
		Since:        r.c.Now().AddDate(0, 0, -q.Days),
		MinSeverity:  severity,
		UserContains: q.User,
		HostContains: q.Host,
		Before:       q.Before,
		Limit:        q.Limit,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return rows, nil
}
