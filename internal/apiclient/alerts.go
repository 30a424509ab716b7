package apiclient

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/dormer-project/dormer/internal/wire/rest"
)

// AlertQuery selects alerts; zero fields are the server's defaults.
type AlertQuery struct {
	All    bool  // those that were cleared too
	Before int64 // only older ones than this
	Limit  int
}

// Alerts lists alerts, newest first. Next of the answer is Before of the page
// that follows.
func (c *Client) Alerts(ctx context.Context, q AlertQuery) (rest.List[rest.Alert], error) {
	v := url.Values{}
	if q.All {
		v.Set("all", "true")
	}
	if q.Before != 0 {
		v.Set("before", strconv.FormatInt(q.Before, 10))
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return ask[rest.List[rest.Alert]](ctx, c, http.MethodGet, "/alerts", v, nil)
}

// AcknowledgeAlert says that the operator looks after an alert; ErrConflict when
// somebody did before.
func (c *Client) AcknowledgeAlert(ctx context.Context, id int64, note string) (rest.Alert, error) {
	return ask[rest.Alert](ctx, c, http.MethodPost, "/alerts/"+strconv.FormatInt(id, 10)+"/acknowledge", nil, rest.AcknowledgeAlert{Note: note})
}

// AlertRules lists the rules of alerts by name.
func (c *Client) AlertRules(ctx context.Context) ([]rest.ListedAlertRule, error) {
	l, err := ask[rest.List[rest.ListedAlertRule]](ctx, c, http.MethodGet, "/alert-rules", nil, nil)
	return l.Items, err
}

// AlertRule returns one rule.
func (c *Client) AlertRule(ctx context.Context, name string) (rest.ListedAlertRule, error) {
	return ask[rest.ListedAlertRule](ctx, c, http.MethodGet, "/alert-rules"+segment(name), nil, nil)
}

// SetAlertRule leaves a rule, as JSON, with the server, in place of the one of
// that name. The server reads it strictly.
func (c *Client) SetAlertRule(ctx context.Context, name string, rule []byte) error {
	_, _, err := c.send(ctx, request{
		method: http.MethodPut, path: "/alert-rules" + segment(name),
		body: bytes.NewReader(rule), length: int64(len(rule)), contentType: "application/json",
	})
	return err
}

// DeleteAlertRule deletes an operator's rule; one of the program's counts again
// as it comes.
func (c *Client) DeleteAlertRule(ctx context.Context, name string) error {
	_, err := ask[rest.None](ctx, c, http.MethodDelete, "/alert-rules"+segment(name), nil, nil)
	return err
}
