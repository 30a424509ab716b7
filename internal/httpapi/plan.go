package httpapi

import (
	"context"
	"net/http"

	"github.com/dormer-project/dormer/internal/plan/observation"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Observer looks at the instance for plans.
type Observer interface {
	// Look observes the last days; 0 is a default. ErrInvalid for a number that it
	// does not look back.
	Look(ctx context.Context, days int) (*observation.Observation, error)
}

// planRoutes are the rows of the table of routes for plans.
func planRoutes() []route {
	return []route{
		act("GET", "/plan/observed", readOnly, "What plans can be told by this instance", (*API).observe).
			with(query(parameter{name: "days", doc: "so many days back, 30 when nothing is asked", number: true})),
	}
}

func (a *API) organizationSchema(c *call) error {
	return c.bytes(http.StatusOK, "application/schema+json", organization.Schema())
}

func (a *API) observe(c *call, _ rest.None) (*observation.Observation, error) {
	days, err := c.number("days", observation.MaxDays)
	if err != nil {
		return nil, err
	}
	return a.Observer.Look(c.ctx(), int(days))
}
