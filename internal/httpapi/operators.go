package httpapi

import (
	"errors"
	"fmt"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func (a *API) listOperators(c *call, _ rest.None) (rest.List[rest.Operator], error) {
	all, err := a.Access.Operators(c.ctx())
	if err != nil {
		return rest.List[rest.Operator]{}, err
	}
	items := make([]rest.Operator, len(all))
	silent := map[string]bool{} // directories that do not answer: asking again would take as long
	for i, o := range all {
		items[i] = rest.Operator{Principal: o.Principal, Role: o.Role, State: string(catalog.StateUnknown)}
		if silent[o.Principal.Directory] {
			continue
		}
		now, err := a.Access.Lookup(c.ctx(), o.Principal)
		switch {
		case errors.Is(err, dormer.ErrNotFound):
			items[i].State = string(catalog.StateGone)
		case err != nil:
			silent[o.Principal.Directory] = true
		case now.Name != o.Principal.Name:
			items[i].State, items[i].Name = string(catalog.StateRenamed), now.Name
		default:
			items[i].State = string(catalog.StateFound)
		}
	}
	return rest.List[rest.Operator]{Items: items}, nil
}

func (a *API) setOperator(c *call, in rest.SetOperator) (rest.Operator, error) {
	o, err := a.Access.SetOperator(c.ctx(), in.Kind, in.Name, in.Role)
	if err != nil {
		return rest.Operator{}, a.meant(c, in.Kind, in.Name, err)
	}
	detail := string(o.Role)
	if detail == "" {
		detail = "none"
	}
	return rest.Operator{Principal: o.Principal, Role: o.Role}, c.audit("operator.set", named(o.Principal.Name, string(o.Principal.ID())), detail)
}

// endSessions ends all sessions of a user of any directory. API tokens are the
// operator's to revoke.
func (a *API) endSessions(c *call, in rest.EndSessions) (rest.SessionsEnded, error) {
	if in.User == "" {
		return rest.SessionsEnded{}, dormer.Invalidf("user", "is missing")
	}
	p, err := a.Access.Resolve(c.ctx(), dormer.KindUser, in.User)
	if err != nil {
		return rest.SessionsEnded{}, fmt.Errorf("find the user: %w", a.meant(c, dormer.KindUser, in.User, err))
	}
	if err := a.Access.EndSessionsOf(c.ctx(), p.ID()); err != nil {
		return rest.SessionsEnded{}, err
	}
	return rest.SessionsEnded{User: p}, c.audit("session.end-all", named(p.Name, string(p.ID())), "")
}
