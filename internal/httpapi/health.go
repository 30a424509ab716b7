package httpapi

import (
	"net/http"

	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func (a *API) health(c *call, _ rest.None) (rest.Health, error) { return a.Health(c.ctx()) }

// Reading lets in who may read in an area, by a session or an API token, to
// what is no part of the API.
func (a *API) Reading(area access.Area, next http.Handler) http.Handler {
	return problem.Handler(a.Logger, func(w http.ResponseWriter, r *http.Request) error {
		c := &call{api: a, route: route{need: readOnly, area: area}, w: w, r: r, remote: Remote(r, a.TrustedProxies)}
		if err := c.authenticate(); err != nil {
			return err
		}
		next.ServeHTTP(w, r)
		return nil
	})
}
