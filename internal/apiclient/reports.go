package apiclient

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/export"
	"github.com/dormer-project/dormer/internal/report"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Report returns a page of a report, with its rows as the server wrote them.
// Next of it is After of the page that follows.
func (c *Client) Report(ctx context.Context, kind report.Kind, q rest.ReportQuery) (rest.ReportPage[json.RawMessage], error) {
	return reportPage[json.RawMessage](ctx, c, kind, q)
}

// StatusReport returns the state of users' workspaces.
func (c *Client) StatusReport(ctx context.Context, q rest.ReportQuery) (rest.ReportPage[rest.StatusRow], error) {
	return reportPage[rest.StatusRow](ctx, c, report.Status, q)
}

// ActivityReport returns events.
func (c *Client) ActivityReport(ctx context.Context, q rest.ReportQuery) (rest.ReportPage[rest.EventRow], error) {
	return reportPage[rest.EventRow](ctx, c, report.Activity, q)
}

func reportPage[T any](ctx context.Context, c *Client, kind report.Kind, q rest.ReportQuery) (rest.ReportPage[T], error) {
	return ask[rest.ReportPage[T]](ctx, c, http.MethodGet, "/reports"+segment(string(kind)), q.Parameters(), nil)
}

// ExportReport writes a whole report to w. When it fails, what was written is
// not whole.
func (c *Client) ExportReport(ctx context.Context, kind report.Kind, q rest.ReportQuery, f export.Format, w io.Writer) error {
	v := q.Parameters()
	v.Set("format", string(f))
	return c.download(ctx, "/reports"+segment(string(kind))+"/export", v, w)
}

// download copies what is at a path.
func (c *Client) download(ctx context.Context, path string, query url.Values, w io.Writer) error {
	resp, err := c.open(ctx, request{method: http.MethodGet, path: path, query: query, headers: http.Header{}})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("read the answer: %w (%w)", err, dormer.ErrUnavailable)
	}
	return nil
}

// Trends returns how the last days went; 0 days and an empty zone are the
// server's defaults.
func (c *Client) Trends(ctx context.Context, days int, zone string) (rest.Trends, error) {
	return ask[rest.Trends](ctx, c, http.MethodGet, "/reports/trends", lastDays(days, zone), nil)
}

// Delivery returns what deliveries of images cost and saved in the last days;
// of narrows it to a version. 0 days and an empty zone are the server's
// defaults.
func (c *Client) Delivery(ctx context.Context, days int, zone string, of dormer.ImageID) (rest.DeliveryReport, error) {
	v := lastDays(days, zone)
	if of != "" {
		v.Set("image", string(of))
	}
	return ask[rest.DeliveryReport](ctx, c, http.MethodGet, "/reports/delivery", v, nil)
}

func lastDays(days int, zone string) url.Values {
	v := url.Values{}
	if days != 0 {
		v.Set("days", strconv.Itoa(days))
	}
	if zone != "" {
		v.Set("tz", zone)
	}
	return v
}

// EventKinds returns the kinds of events, by their codes.
func (c *Client) EventKinds(ctx context.Context) ([]rest.EventKind, error) {
	l, err := ask[rest.List[rest.EventKind]](ctx, c, http.MethodGet, "/event-kinds", nil, nil)
	return l.Items, err
}

// SavedReports returns the reports that were given a name.
func (c *Client) SavedReports(ctx context.Context) ([]rest.SavedReport, error) {
	l, err := ask[rest.List[rest.SavedReport]](ctx, c, http.MethodGet, "/reports/saved", nil, nil)
	return l.Items, err
}

// SavedReport returns the report of a name.
func (c *Client) SavedReport(ctx context.Context, name string) (rest.SavedReport, error) {
	return ask[rest.SavedReport](ctx, c, http.MethodGet, "/reports/saved"+segment(name), nil, nil)
}

// SaveReport gives a report a name.
func (c *Client) SaveReport(ctx context.Context, name string, r rest.SaveReport) (rest.SavedReport, error) {
	return ask[rest.SavedReport](ctx, c, http.MethodPut, "/reports/saved"+segment(name), nil, r)
}

// DeleteSavedReport removes the report of a name.
func (c *Client) DeleteSavedReport(ctx context.Context, name string) error {
	_, err := ask[rest.None](ctx, c, http.MethodDelete, "/reports/saved"+segment(name), nil, nil)
	return err
}
