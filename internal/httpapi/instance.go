package httpapi

import (
	"net/http"

	"github.com/dormer-project/dormer/internal/wire/rest"
)

func (a *API) instance(*call, rest.None) (rest.Instance, error) {
	id, epoch := a.Instance()
	return rest.Instance{ID: id, Epoch: epoch, Version: a.Version, API: rest.Version}, nil
}

func (a *API) openAPI(c *call) error {
	return c.bytes(http.StatusOK, "application/json", a.document)
}

func (a *API) workspaceSchema(c *call) error {
	return c.bytes(http.StatusOK, "application/schema+json", a.WorkspaceSchema)
}
