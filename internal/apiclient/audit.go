package apiclient

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/dormer-project/dormer/internal/export"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// AuditQuery narrows the audit log; zero fields are no bounds, or the server's
// defaults.
type AuditQuery struct {
	Since, Until, Zone  string // as of reports
	Who, Action, Object string // must be contained
	Before              int64  // only records older than this one
	Limit               int
}

func (q AuditQuery) parameters() url.Values {
	v := url.Values{}
	for name, text := range map[string]string{
		"since": q.Since, "until": q.Until, "tz": q.Zone, "who": q.Who, "action": q.Action, "object": q.Object,
	} {
		if text != "" {
			v.Set(name, text)
		}
	}
	return v
}

// FindAudit returns records of the audit log, newest first.
func (c *Client) FindAudit(ctx context.Context, q AuditQuery) (rest.List[rest.AuditRecord], error) {
	v := q.parameters()
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.Before != 0 {
		v.Set("before", strconv.FormatInt(q.Before, 10))
	}
	return ask[rest.List[rest.AuditRecord]](ctx, c, http.MethodGet, "/audit", v, nil)
}

// Audit returns records older than before (0: the newest), newest first.
func (c *Client) Audit(ctx context.Context, before int64, limit int) (rest.List[rest.AuditRecord], error) {
	return c.FindAudit(ctx, AuditQuery{Before: before, Limit: limit})
}

// ExportAudit writes all records that a query leaves to w, whatever its limit
// says. When it fails, what was written is not whole.
func (c *Client) ExportAudit(ctx context.Context, q AuditQuery, f export.Format, w io.Writer) error {
	v := q.parameters()
	v.Set("format", string(f))
	return c.download(ctx, "/audit/export", v, w)
}
