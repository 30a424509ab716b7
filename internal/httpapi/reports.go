package httpapi

import (
	"context"
	"math"

	"github.com/dormer-project/dormer/internal/report"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// reportQuery reads the parameters of a report; absent ones are the report's
// defaults.
func (c *call) reportQuery() (report.Query, error) {
	values := c.r.URL.Query()
	q := report.Query{User: values.Get("user"), Host: values.Get("host")}
	days, err := c.number("days", report.MaxDays)
	if err != nil {
		return q, err
	}
	limit, err := c.number("limit", report.MaxLimit)
	if err != nil {
		return q, err
	}
	q.Days, q.Limit = int(days), int(limit)
	q.Before, err = c.number("before", math.MaxInt64)
	return q, err
}

func (a *API) statusReport(c *call, _ rest.None) (rest.List[rest.StatusRow], error) {
	q, err := c.reportQuery()
	if err != nil {
		return rest.List[rest.StatusRow]{}, err
	}
	rows, err := a.Reports.Status(c.ctx(), q)
	items := make([]rest.StatusRow, len(rows))
	for i, r := range rows {
		items[i] = rest.StatusRow(r)
	}
	return rest.List[rest.StatusRow]{Items: items}, err
}

func (a *API) activityReport(c *call, _ rest.None) (rest.List[rest.EventRow], error) {
	return c.eventRows(a.Reports.Activity)
}

func (a *API) errorReport(c *call, _ rest.None) (rest.List[rest.EventRow], error) {
	return c.eventRows(a.Reports.Errors)
}

func (c *call) eventRows(read func(context.Context, report.Query) ([]report.EventRow, error)) (rest.List[rest.EventRow], error) {
	q, err := c.reportQuery()
	if err != nil {
		return rest.List[rest.EventRow]{}, err
	}
	rows, err := read(c.ctx(), q)
	l := rest.List[rest.EventRow]{Items: make([]rest.EventRow, len(rows))}
	for i, r := range rows {
		l.Items[i] = rest.EventRow(r)
	}
	want := q.Limit
	if want == 0 {
		want = report.DefaultLimit
	}
	if len(rows) == want {
		l.Next = rows[want-1].ID
	}
	return l, err
}
