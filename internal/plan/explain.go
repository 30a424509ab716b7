package plan

import (
	"context"
	"fmt"

	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/placement"
)

// Explained is what conditions cost: the numbers of instances as the file is,
// and with changes of it.
type Explained struct {
	Instances int                `json:"instances"`
	Classic   int                `json:"classic"`
	Changes   []placement.Change `json:"changes"`
}

// Explain says what suppositions together would change; without any what each
// condition costs, and what one more would change. Errors are those of
// placement.Place and placement.ExplainWith.
func Explain(ctx context.Context, o *organization.Organization, with ...placement.Supposition) (*Explained, error) {
	m := organization.Resolve(o)
	p, err := placement.Place(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("place instances: %w", err)
	}
	e := &Explained{Instances: len(p.Instances), Classic: p.Classic.Count}
	if len(with) == 0 {
		e.Changes, err = placement.Explain(ctx, m, p)
		return e, err
	}
	change, err := placement.ExplainWith(ctx, m, with...)
	if err != nil {
		return nil, fmt.Errorf("with these conditions: %w", err)
	}
	e.Changes = []placement.Change{change}
	return e, nil
}
