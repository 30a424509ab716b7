package httpapi

import (
	"fmt"
	"net/http"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func (a *API) listDiagnostics(c *call, _ rest.None) (rest.List[rest.Diagnostics], error) {
	all, err := a.Diagnostics.Diagnostics(c.ctx(), dormer.ClientID(c.r.URL.Query().Get("client")))
	if err != nil {
		return rest.List[rest.Diagnostics]{}, err
	}
	out := rest.List[rest.Diagnostics]{Items: make([]rest.Diagnostics, len(all))}
	for i, d := range all {
		out.Items[i] = rest.Diagnostics{
			ID: d.ID, Client: d.Client, Order: d.Order, Received: d.Received, Bytes: d.Size, Expires: d.Received.Add(lease.DiagnosticsAge),
		}
	}
	return out, nil
}

// getDiagnostics answers with an archive. Who took it is recorded: it names users,
// and what they do.
func (a *API) getDiagnostics(c *call) error {
	id, err := c.id("id")
	if err != nil {
		return err
	}
	d, archive, err := a.Diagnostics.DiagnosticsArchive(c.ctx(), id)
	if err != nil {
		return err
	}
	if err := c.audit("diagnostics.read", "diagnostics "+id, "of client "+string(d.Client)); err != nil {
		return err
	}
	c.w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=diagnostics-%s-%s.tar.gz", d.Client, d.Received.Format("20060102-150405")))
	return c.bytes(http.StatusOK, "application/gzip", archive)
}

func (a *API) deleteDiagnostics(c *call, _ rest.None) (rest.None, error) {
	id, err := c.id("id")
	if err != nil {
		return rest.None{}, err
	}
	d, err := a.Diagnostics.DeleteDiagnostics(c.ctx(), id)
	if err != nil {
		return rest.None{}, err
	}
	return rest.None{}, c.audit("diagnostics.delete", "diagnostics "+id, "of client "+string(d.Client))
}
