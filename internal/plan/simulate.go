package plan

import (
	"context"
	"fmt"

	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/simulation"
)

// Simulate plays the organization as p has it: on the servers that it names,
// with images from its repositories.
func Simulate(ctx context.Context, o *organization.Organization, p *Plan, opts simulation.Options) (*simulation.Result, error) {
	opts.Delivery = &p.Delivery
	opts.Cores = make([]int, len(p.Sizing))
	for i, s := range p.Sizing {
		opts.Cores[i] = s.Server.Cores
	}
	r, err := simulation.Run(ctx, organization.Resolve(o), &p.Placement, opts)
	if err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	return r, nil
}
