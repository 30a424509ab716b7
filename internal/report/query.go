package report

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

// Limits of reports; see docs/limits.md.
const (
	// DefaultDays is how far back a report looks when nothing is asked.
	DefaultDays = 7
	// MaxDays is how far back it looks at most.
	MaxDays = 3650
	// DefaultLimit is how many rows a page has when nothing is asked.
	DefaultLimit = 1000
	// MaxLimit is how many rows a page has at most. Exports have no such limit.
	MaxLimit = 10_000
	// maxText is how many bytes a text of a query has at most, maxList how many
	// things a list of it.
	maxText = 256
	maxList = 64
	// maxAfter is how many bytes a cursor has at most.
	maxAfter = 16 << 10
)

// Query narrows, orders and groups a report. The zero value asks for the
// defaults. It is what the API takes and what saved reports keep.
type Query struct {
	// Days is how far back to look; 0 means DefaultDays, unless Since is given.
	Days int `json:"days,omitempty"`
	// Since and Until bound the time, Until not included: a date
	// ("2026-11-22"), a local time ("2026-11-22T08:00") or one of RFC 3339. Until
	// of a date includes that day.
	Since string `json:"since,omitempty"`
	Until string `json:"until,omitempty"`
	// User and Host must be contained, without regard to case.
	User string `json:"user,omitempty"`
	Host string `json:"host,omitempty"`
	// Workspace is the name of a workspace without regard to case, or its
	// identity; Client the identity of a client.
	Workspace string `json:"workspace,omitempty"`
	Client    string `json:"client,omitempty"`
	// Severities, Codes and Categories narrow reports of events; any of those given.
	Severities []string `json:"severity,omitempty"`
	Codes      []int    `json:"code,omitempty"`
	Categories []string `json:"category,omitempty"`
	// Equal has for names of columns the value that they must have, written as
	// the rows of groups have it; empty: there must be nothing.
	Equal map[string]string `json:"equal,omitempty"`
	// Sort is the name of a column, with "-" before it for the highest first.
	Sort string `json:"sort,omitempty"`
	// Columns are the names of the columns wanted, in their order; none: all.
	Columns []string `json:"columns,omitempty"`
	// Group are the columns to group by. The rows of groups are these, then
	// count, first and last.
	Group []string `json:"group,omitempty"`
	// Zone is where days begin and times are local, as "Europe/Berlin"; empty:
	// UTC.
	Zone string `json:"tz,omitempty"`
	// Instances are identities of instances, or "all"; none: the own one.
	Instances []string `json:"instances,omitempty"`
	// Limit is how many rows a page has; 0 means DefaultLimit.
	Limit int `json:"limit,omitempty"`
	// After is Next of the page before.
	After string `json:"after,omitempty"`
}

// Selection is what a query asks of the source of a report, checked.
type Selection struct {
	Kind Kind
	// Columns are what is read, in this order; or, where Group has any, the
	// columns of the groups.
	Columns, Group []Column
	// Since is included, Until is not; zero: no bound.
	Since, Until time.Time
	// User and Host must be contained, without regard to case.
	User, Host string
	// Workspaces are identities and names, any of which must be equal; none: all.
	Workspaces []string
	Client     dormer.ClientID
	// Any of each must be equal; none: all.
	Severities []dormer.Severity
	Codes      []int
	Categories []string
	// Equal are values that columns must have, all of them.
	Equal []Equal
	// Instances whose events are read; nil: all.
	Instances []dormer.InstanceID
	// Order is the column that rows are sorted by, and beside it, in the same
	// direction, what makes the order one: the row's identity, or for groups
	// their columns.
	Order      Column
	Descending bool
	// After is the position after which the rows begin; nil: at the beginning.
	After []any
	// Limit is how many rows are wanted at most; 0: all.
	Limit int

	zone *time.Location
	// all says that the instances of others are asked for too.
	others bool
}

// Zone is where times are local.
func (s *Selection) Zone() *time.Location { return s.zone }

// check reads a query.
func (q Query) check(kind Kind, now time.Time) (*Selection, error) {
	t, ok := tables[kind]
	if !ok {
		names := make([]string, 0, len(tables))
		for _, k := range Kinds() {
			names = append(names, string(k))
		}
		return nil, dormer.Invalidf("report", "must be %s", enumerate(names))
	}
	s := &Selection{Kind: kind, Client: dormer.ClientID(q.Client), User: q.User, Host: q.Host, Limit: q.Limit}
	for _, f := range []func() error{
		q.bounds,
		func() error { return q.times(s, now) },
		func() error { return q.filters(s, t) },
		func() error { return q.equals(s, t) },
		func() error { return q.shape(s, t) },
		func() error { return q.order(s, t) },
		func() error { return q.which(s) },
		func() (err error) {
			s.After, err = s.position(q.After)
			return err
		},
	} {
		if err := f(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// bounds refuses what is too long or out of range.
func (q Query) bounds() error {
	for _, t := range []struct{ name, text string }{
		{"since", q.Since},
		{"until", q.Until},
		{"user", q.User},
		{"host", q.Host},
		{"workspace", q.Workspace},
		{"client", q.Client},
		{"sort", q.Sort},
		{"tz", q.Zone},
	} {
		if len(t.text) > maxText || !utf8.ValidString(t.text) {
			return dormer.Invalidf(t.name, "must be text of at most %d bytes", maxText)
		}
	}
	for _, l := range []struct {
		name string
		n    int
	}{
		{"severity", len(q.Severities)},
		{"code", len(q.Codes)},
		{"category", len(q.Categories)},
		{"columns", len(q.Columns)},
		{"group", len(q.Group)},
		{"instances", len(q.Instances)},
		{"equal", len(q.Equal)},
	} {
		if l.n > maxList {
			return dormer.Invalidf(l.name, "must be at most %d", maxList)
		}
	}
	switch {
	case q.Days < 0 || q.Days > MaxDays:
		return dormer.Invalidf("days", "must be between 1 and %d", MaxDays)
	case q.Limit < 0 || q.Limit > MaxLimit:
		return dormer.Invalidf("limit", "must be between 1 and %d", MaxLimit)
	}
	return nil
}

func (q Query) times(s *Selection, now time.Time) error {
	var err error
	if s.Since, s.Until, s.zone, err = Span(q.Since, q.Until, q.Zone); err != nil {
		return err
	}
	if q.Since != "" {
		if q.Days != 0 {
			return dormer.Invalidf("days", "cannot be given together with since")
		}
		return nil
	}
	days := q.Days
	if days == 0 {
		days = DefaultDays
	}
	from := now
	if !s.Until.IsZero() && s.Until.Before(from) {
		from = s.Until
	}
	s.Since = from.In(s.zone).AddDate(0, 0, -days)
	return nil
}

// Span reads two times and the zone in which they are local; see Query. Empty
// ones are no bounds.
func Span(since, until, tz string) (from, to time.Time, zone *time.Location, err error) {
	if zone, err = zoneOf(tz); err != nil {
		return from, to, nil, err
	}
	if since != "" {
		if from, _, err = moment("since", since, zone); err != nil {
			return from, to, nil, err
		}
	}
	if until != "" {
		var date bool
		if to, date, err = moment("until", until, zone); err != nil {
			return from, to, nil, err
		}
		if date {
			to = to.AddDate(0, 0, 1)
		}
	}
	if until != "" && !from.Before(to) {
		return from, to, nil, dormer.Invalidf("until", "must be after since")
	}
	return from, to, zone, nil
}

// zoneOf finds a time zone. "Local" would be that of the server's computer,
// which nobody who asks can know.
func zoneOf(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, dormer.Invalidf("tz", `must be a time zone such as "Europe/Berlin" or "UTC"`)
	}
	return zone, nil
}

// moment reads a time, and says whether it is a date alone.
func moment(parameter, text string, zone *time.Location) (at time.Time, date bool, err error) {
	if t, err := time.ParseInLocation(time.DateOnly, text, zone); err == nil {
		return t, true, inRange(parameter, t)
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", time.DateTime} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, false, inRange(parameter, t)
		}
	}
	return at, false, dormer.Invalidf(parameter, `must be a date ("2026-11-22") or a time ("2026-11-22T08:00", or as in RFC 3339)`)
}

func inRange(parameter string, t time.Time) error {
	if t.Year() < 1970 || t.Year() > 9998 {
		return dormer.Invalidf(parameter, "must be between the years 1970 and 9998")
	}
	return nil
}

func (q Query) filters(s *Selection, t table) error {
	if q.Workspace != "" {
		s.Workspaces = []string{q.Workspace}
	}
	_, events := find(t.columns, "severity")
	for name, given := range map[string]bool{"severity": len(q.Severities) > 0, "code": len(q.Codes) > 0, "category": len(q.Categories) > 0} {
		if given && !events {
			return dormer.Invalidf(name, "narrows reports of events only")
		}
	}
	for _, v := range q.Severities {
		severity := dormer.Severity(v)
		if !slices.Contains([]dormer.Severity{dormer.Information, dormer.Warning, dormer.Error}, severity) {
			return dormer.Invalidf("severity", "must be %s, %s or %s", dormer.Information, dormer.Warning, dormer.Error)
		}
		s.Severities = append(s.Severities, severity)
	}
	if t.problems {
		if len(s.Severities) > 0 {
			return dormer.Invalidf("severity", "is always %s in this report", dormer.Error)
		}
		s.Severities = []dormer.Severity{dormer.Error}
	}
	for _, c := range q.Codes {
		if _, ok := event.KindOf(event.Code(c)); !ok {
			return dormer.Invalidf("code", "%d is no event of docs/events.md", c)
		}
		s.Codes = append(s.Codes, c)
	}
	if s.Kind == Setup {
		s.Codes = []int{int(event.SetupStarted), int(event.SetupFinished), int(event.SetupFailed), int(event.SetupCancelled), int(event.SetupPostponed)}
	}
	for _, c := range q.Categories {
		if known := event.Categories(); !slices.Contains(known, c) {
			return dormer.Invalidf("category", "must be %s", enumerate(known))
		}
		s.Categories = append(s.Categories, c)
	}
	return nil
}

// shape reads which columns the rows have.
func (q Query) shape(s *Selection, t table) error {
	var err error
	if s.Columns, err = choose("columns", q.Columns, t.columns); err != nil {
		return err
	}
	if len(q.Columns) == 0 {
		s.Columns = t.columns
	}
	if len(q.Group) == 0 {
		return nil
	}
	if len(q.Columns) > 0 {
		return dormer.Invalidf("columns", "cannot be chosen together with group: groups have the columns they are grouped by, count, first and last")
	}
	if s.Group, err = choose("group", q.Group, t.columns); err != nil {
		return err
	}
	for _, c := range s.Group {
		if slices.ContainsFunc([]Column{countColumn, firstColumn, lastColumn}, func(o Column) bool { return o.Name == c.Name }) {
			return dormer.Invalidf("group", "cannot be %s", c.Name)
		}
	}
	s.Columns = append(slices.Clone(s.Group), countColumn, firstColumn, lastColumn)
	for i := range s.Group {
		s.Columns[i].Rank = 1
	}
	return nil
}

// choose finds columns by their names.
func choose(parameter string, names []string, from []Column) ([]Column, error) {
	var chosen []Column
	for _, n := range names {
		c, err := columnIn(from, parameter, n)
		if err != nil {
			return nil, err
		}
		if _, twice := find(chosen, n); twice {
			return nil, dormer.Invalidf(parameter, "names %s twice", n)
		}
		chosen = append(chosen, c)
	}
	return chosen, nil
}

func (q Query) order(s *Selection, t table) error {
	from, by := t.columns, t.newest
	if len(s.Group) > 0 {
		from, by = s.Columns, countColumn.Name
	}
	s.Descending = true
	if q.Sort != "" {
		by, s.Descending = strings.CutPrefix(q.Sort, "-")
	}
	var err error
	if s.Order, err = columnIn(from, "sort", by); err != nil {
		return err
	}
	if s.Limit == 0 {
		s.Limit = DefaultLimit
	}
	return nil
}

func (q Query) which(s *Selection) error {
	for _, i := range q.Instances {
		switch {
		case i == "all":
			s.others = true
		case !dormer.ValidID(i):
			return dormer.Invalidf("instances", "must be all, or identities of instances")
		default:
			s.Instances = append(s.Instances, dormer.InstanceID(i))
		}
	}
	if s.others && len(s.Instances) > 0 {
		return dormer.Invalidf("instances", "cannot be all and some")
	}
	if len(q.Instances) > 0 && s.Kind == Status {
		return dormer.Invalidf("instances", "cannot be chosen here: the status of its clients is known to an instance alone")
	}
	return nil
}
