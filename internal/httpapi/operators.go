package httpapi

import (
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func (a *API) listOperators(c *call, _ rest.None) (rest.List[rest.Operator], error) {
	all, err := a.Access.Operators(c.ctx())
	if err != nil {
		return rest.List[rest.Operator]{}, err
	}
	items := make([]rest.Operator, len(all))
	for i, o := range all {
		items[i] = rest.Operator(o)
	}
	return rest.List[rest.Operator]{Items: items}, nil
}

func (a *API) setOperator(c *call, in rest.SetOperator) (rest.Operator, error) {
	o, err := a.Access.SetOperator(c.ctx(), in.Kind, in.Name, in.Role)
	if err != nil {
		return rest.Operator{}, err
	}
	detail := string(o.Role)
	if detail == "" {
		detail = "none"
	}
	return rest.Operator(o), c.audit("operator.set", named(o.Principal.Name, string(o.Principal.ID())), detail)
}
