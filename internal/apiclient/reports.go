package apiclient

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/dormer-project/dormer/internal/wire/rest"
)

// ReportQuery narrows a report; zero fields are the server's defaults.
type ReportQuery struct {
	Days       int
	User, Host string // must be contained, without regard to case
	Limit      int
	Before     int64 // only rows older than this one
}

func (q ReportQuery) values() url.Values {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" && value != "0" {
			v.Set(name, value)
		}
	}
	set("days", strconv.Itoa(q.Days))
	set("user", q.User)
	set("host", q.Host)
	set("limit", strconv.Itoa(q.Limit))
	set("before", strconv.FormatInt(q.Before, 10))
	return v
}

// StatusReport returns the state of every user's workspaces.
func (c *Client) StatusReport(ctx context.Context, q ReportQuery) ([]rest.StatusRow, error) {
	l, err := ask[rest.List[rest.StatusRow]](ctx, c, http.MethodGet, "/reports/status", q.values(), nil)
	return l.Items, err
}

// ActivityReport returns events, newest received first. Next of the answer is
// Before of the page that follows.
func (c *Client) ActivityReport(ctx context.Context, q ReportQuery) (rest.List[rest.EventRow], error) {
	return ask[rest.List[rest.EventRow]](ctx, c, http.MethodGet, "/reports/activity", q.values(), nil)
}

// ErrorReport returns errors, newest received first.
func (c *Client) ErrorReport(ctx context.Context, q ReportQuery) (rest.List[rest.EventRow], error) {
	return ask[rest.List[rest.EventRow]](ctx, c, http.MethodGet, "/reports/errors", q.values(), nil)
}
