// Package report makes the tables that operators read: the status of every
// user's workspaces, activity, errors and first-time setups, narrowed, sorted
// and grouped as they ask, and of a longer time the trends and what deliveries of
// images saved. It belongs to the
// server; what it reads from is handed to it.
package report

import (
	"context"
	"errors"
	"fmt"
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
	// MachinesOf returns the machines of a client, with "" all of the instance.
	MachinesOf(ctx context.Context, of dormer.ClientID) ([]lease.Machine, error)
	// StatesSince returns, for each of these machines that reported, since when its
	// state is what it is.
	StatesSince(ctx context.Context, of dormer.ClientID) (map[dormer.MachineID]time.Time, error)
	// ClientsOf returns a client, with "" all, revoked ones too. There is none that
	// is not known.
	ClientsOf(ctx context.Context, of dormer.ClientID) ([]enroll.Client, error)
	// Workspaces returns the current revision of every workspace.
	Workspaces(ctx context.Context) ([]catalog.Revision, error)
}

// Events is where reports of events are read.
type Events interface {
	// Select calls each with the rows of a selection in its order: their position
	// in it and the values of its columns, both of which each may not keep. An
	// error of each ends it and is returned.
	Select(ctx context.Context, s Selection, each func(position, values []any) error) error
	// Counts returns how many events of each severity were received in each
	// quarter of an hour from since on.
	Counts(ctx context.Context, i dormer.InstanceID, since time.Time) ([]Count, error)
	// Samples returns the samples of a name from since on, in the order of their
	// times and labels.
	Samples(ctx context.Context, i dormer.InstanceID, name string, since time.Time) ([]Sample, error)
}

// Config says where reports come from.
type Config struct {
	Instance dormer.InstanceID
	State    State
	Events   Events
	// Others reads events of other instances, too; nil: there is nothing that
	// may.
	Others Events
	// Deliveries keeps deliveries of images; nil where no report of them is asked
	// for.
	Deliveries Deliveries
	// Saved keeps saved reports; nil where none are asked for.
	Saved Saved
	// ImageName returns NAME/NUMBER of an image, "" when it is not known; nil
	// knows none.
	ImageName func(dormer.ImageID) string
	// LastSeen returns when a client was last heard of if that is fresher than
	// what State holds, else the zero time; nil knows nothing.
	LastSeen func(dormer.ClientID) time.Time
	// ConnectedWithin is how long after its last poll a client counts as
	// connected; 0 means three minutes.
	ConnectedWithin time.Duration
	// PageTime is how long a page, or the figures of deliveries, may take; 0 means
	// the constant of that name.
	PageTime time.Duration
	Now      func() time.Time
}

// PageTime is how long a page of a report may take when the configuration says
// nothing else; see docs/limits.md.
const PageTime = 20 * time.Second

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
	if c.PageTime <= 0 {
		c.PageTime = PageTime
	}
	return &Reporter{c: c}
}

// Page is a part of a report.
type Page struct {
	Columns []Column
	// Rows have a value for each column; see package export for their types.
	Rows [][]any
	// Next is Query.After of the page that follows; empty: there is none.
	Next string
	// Zone is where times are local.
	Zone *time.Location
}

// Page returns the page of a report that the query asks for. ErrInvalid names
// the field of the query that is wrong, and says how to narrow a report that
// takes too long.
func (r *Reporter) Page(ctx context.Context, kind Kind, q Query) (Page, error) {
	s, err := q.check(kind, r.c.Now())
	if err != nil {
		return Page{}, err
	}
	p := Page{Columns: s.Columns, Zone: s.zone}
	most := s.Limit
	s.Limit++ // one more says whether there are more
	limited, cancel := context.WithTimeout(ctx, r.c.PageTime)
	defer cancel()
	var last []any
	more := false
	err = r.rows(limited, s, func(position, values []any) error {
		if len(p.Rows) == most {
			more = true
			return nil
		}
		p.Rows = append(p.Rows, append([]any(nil), values...))
		last = append(last[:0], position...)
		return nil
	})
	if err != nil {
		if ctx.Err() == nil && errors.Is(limited.Err(), context.DeadlineExceeded) {
			return Page{}, dormer.Invalidf(s.tooWide(), "asks for a report that takes longer than %s: narrow it with days, since and until, "+
				"a client or a user, or sort by %s", r.c.PageTime, tables[kind].newest)
		}
		return Page{}, fmt.Errorf("%s report: %w", kind, err)
	}
	if more {
		if p.Next, err = s.next(last); err != nil {
			return Page{}, fmt.Errorf("%s report: %w", kind, err)
		}
	}
	return p, nil
}

// tooWide is the field of the query that most likely makes a report take too
// long.
func (s *Selection) tooWide() string {
	switch {
	case len(s.Group) > 0:
		return "group"
	case s.Order.Name != tables[s.Kind].newest:
		return "sort"
	default:
		return "days"
	}
}

// Export returns the columns of a report and the zone that the query names, and
// how to read all of its rows, whatever Limit and After of the query say.
// Without a choice of columns it has those that a wide table shows.
func (r *Reporter) Export(kind Kind, q Query) (*Export, error) {
	if q.After != "" {
		return nil, dormer.Invalidf("after", "cannot be given for an export, which has all rows")
	}
	if len(q.Columns) == 0 && len(q.Group) == 0 {
		for _, c := range kind.Columns() {
			if c.Rank > 0 {
				q.Columns = append(q.Columns, c.Name)
			}
		}
	}
	now := r.c.Now()
	s, err := q.check(kind, now)
	if err != nil {
		return nil, err
	}
	if s.Until.IsZero() {
		s.Until = now.Add(time.Microsecond) // what comes meanwhile is not followed
	}
	return &Export{Columns: s.Columns, Zone: s.zone, reporter: r, selection: s, limit: q.Limit}, nil
}

// Export is a whole report.
type Export struct {
	Columns  []Column
	Zone     *time.Location
	reporter *Reporter
	// selection is that of the first piece.
	selection *Selection
	limit     int
}

// exportPiece is how many rows are read at once where the order allows it, so
// that nobody who reads slowly holds up the database.
const exportPiece = 5000

// Rows calls each with the values of every row, which it may not keep.
func (e *Export) Rows(ctx context.Context, each func(values []any) error) error {
	s := *e.selection
	left := e.limit
	pieces := s.Order.Name == tables[s.Kind].newest && len(s.Group) == 0 && s.Order.Stored.Table != ""
	for {
		s.Limit = left
		if pieces && (left == 0 || left > exportPiece) {
			s.Limit = exportPiece
		}
		n := 0
		var last []any
		err := e.reporter.rows(ctx, &s, func(position, values []any) error {
			n++
			last = append(last[:0], position...)
			return each(values)
		})
		if err != nil {
			return fmt.Errorf("%s report: %w", s.Kind, err)
		}
		if left > 0 {
			left -= n
		}
		if !pieces || n < s.Limit || e.limit > 0 && left == 0 {
			return nil
		}
		s.After = last
	}
}

// rows calls each with the rows of a selection.
func (r *Reporter) rows(ctx context.Context, s *Selection, each func(position, values []any) error) error {
	if s.Kind == Status {
		rows, err := r.status(ctx, s)
		if err != nil {
			return err
		}
		return s.sift(rows, each)
	}
	from, err := r.source(s)
	if err != nil {
		return err
	}
	if err := r.workspaces(ctx, s); err != nil {
		return err
	}
	if s.Kind == Setup {
		rows, err := r.setup(ctx, from, s)
		if err != nil {
			return err
		}
		return s.sift(rows, each)
	}
	return from.Select(ctx, *s, each)
}

// source is where the events of the instances are that were asked for.
func (r *Reporter) source(s *Selection) (Events, error) {
	own := !s.others && (len(s.Instances) == 0 || len(s.Instances) == 1 && s.Instances[0] == r.c.Instance)
	switch {
	case own:
		s.Instances = []dormer.InstanceID{r.c.Instance}
		return r.c.Events, nil
	case r.c.Others == nil:
		return nil, dormer.Invalidf("instances", "cannot be those of others: this server reads its own events only; name a role that may read all in the setting events.reports_dsn")
	default:
		return r.c.Others, nil
	}
}

// workspaces adds to the workspace asked for by name its identity, so that what
// happened under another name is found too.
func (r *Reporter) workspaces(ctx context.Context, s *Selection) error {
	if len(s.Workspaces) != 1 {
		return nil
	}
	all, err := r.c.State.Workspaces(ctx)
	if err != nil {
		return err
	}
	asked := s.Workspaces[0]
	for _, w := range all {
		if name.Fold(w.Name) == name.Fold(asked) {
			s.Workspaces = []string{asked, w.Name, string(w.Workspace)}
		}
	}
	return nil
}

// results are how events of first-time setups read.
var results = map[int64]string{
	int64(event.SetupStarted): "begun", int64(event.SetupFinished): "finished", int64(event.SetupFailed): "failed",
	int64(event.SetupCancelled): "cancelled", int64(event.SetupPostponed): "postponed",
}
