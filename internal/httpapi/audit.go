package httpapi

import (
	"math"
	"time"

	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/report"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// defaultList is the length of a page of a list when none is asked for.
const defaultList = 100

// page returns the parameters before and limit.
func (c *call) page() (before int64, limit int, err error) {
	if before, err = c.number("before", math.MaxInt64); err != nil {
		return 0, 0, err
	}
	n, err := c.number("limit", maxList)
	if n == 0 {
		n = defaultList
	}
	return before, int(n), err
}

// auditFilters are the parameters that narrow the audit log.
var auditFilters = []parameter{
	{name: "since", doc: "from this time on: a date, a local time (2026-11-22T08:00) or one of RFC 3339"},
	{name: "until", doc: "before this time; a date includes that day"},
	{name: "tz", doc: "time zone in which dates begin; UTC when nothing is asked"},
	{name: "who", doc: "the name of who did it contains"},
	{name: "action", doc: "the action contains, as workspace. or .refuse"},
	{name: "object", doc: "the name of what was changed contains"},
}

// auditFilter reads the parameters of auditFilters.
func (c *call) auditFilter(before int64, limit int) (f audit.Filter, zone *time.Location, err error) {
	v := c.r.URL.Query()
	f = audit.Filter{Who: v.Get("who"), Action: v.Get("action"), Object: v.Get("object"), Before: before, Limit: limit}
	f.Since, f.Until, zone, err = report.Span(v.Get("since"), v.Get("until"), v.Get("tz"))
	if err != nil {
		return f, nil, err
	}
	return f, zone, f.Check()
}

func (a *API) listAudit(c *call, _ rest.None) (rest.List[rest.AuditRecord], error) {
	before, limit, err := c.page()
	if err != nil {
		return rest.List[rest.AuditRecord]{}, err
	}
	f, _, err := c.auditFilter(before, limit)
	if err != nil {
		return rest.List[rest.AuditRecord]{}, err
	}
	records, err := a.Audit.Find(c.ctx(), f)
	if err != nil {
		return rest.List[rest.AuditRecord]{}, err
	}
	l := rest.List[rest.AuditRecord]{Items: make([]rest.AuditRecord, len(records))}
	for i, r := range records {
		l.Items[i] = rest.AuditRecord(r)
	}
	if len(records) == limit {
		l.Next = records[limit-1].ID
	}
	return l, nil
}

// exportAudit answers with all records that the filters leave as a file. What
// comes meanwhile, the record of the export among it, is not in it.
func (a *API) exportAudit(c *call) error {
	f, zone, err := c.auditFilter(0, 1)
	if err != nil {
		return err
	}
	if f.Until.IsZero() {
		f.Until = a.Now()
	}
	query := c.r.URL.Query()
	query.Del(formatParameter.name)
	return a.export(c, exported{name: "audit", detail: query.Encode(), columns: audit.Columns(), zone: zone, rows: func(row func([]any) error) error {
		return audit.All(c.ctx(), a.Audit, f, func(r audit.Record) error { return row(r.Values()) })
	}})
}
