package plan

import (
	"context"
	"fmt"
	"reflect"

	"github.com/dormer-project/dormer/internal/plan/delivery"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/placement"
	"github.com/dormer-project/dormer/internal/plan/sizing"
)

// Compute works out the plan of a valid organization. Where no placement
// exists it returns a *dormer.InvalidError that names the conditions together.
// The same organization has the same plan, to the byte.
func Compute(ctx context.Context, o *organization.Organization) (*Plan, error) {
	m := organization.Resolve(o)
	a, err := work(ctx, m)
	if err != nil {
		return nil, err
	}
	p := &Plan{
		Name: m.Name, Description: m.Description, Growth: m.Growth.Yearly, Observed: m.Observed,
		Capacity:  Capacity{Clients: m.Capacity.Clients, Measured: m.Capacity.Measured, Hardware: m.Capacity.Hardware},
		Placement: *a.placement, Sizing: a.sizing, Delivery: *a.delivery,
	}
	p.Scope = scope(m, a)
	if p.Years, err = years(ctx, m, a); err != nil {
		return nil, err
	}
	p.Questions = questions(m, p)
	p.Warnings = warnings(o, m, p)
	listed(reflect.ValueOf(p))
	return p, nil
}

// answer is what is worked out of one model.
type answer struct {
	model     *organization.Model
	placement *placement.Placement
	sizing    []sizing.Instance
	delivery  *delivery.Delivery
}

func work(ctx context.Context, m *organization.Model) (*answer, error) {
	p, err := placement.Place(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("place instances: %w", err)
	}
	sizes, err := sizing.Size(ctx, m, p)
	if err != nil {
		return nil, fmt.Errorf("size instances: %w", err)
	}
	d, err := delivery.Deliver(ctx, m, p)
	if err != nil {
		return nil, fmt.Errorf("plan delivery: %w", err)
	}
	return &answer{model: m, placement: p, sizing: sizes, delivery: d}, nil
}

// years are what holds now and after each year of growth. They are worked out
// one after another: a server goes on answering clients meanwhile, and of a year
// little is kept.
func years(ctx context.Context, m *organization.Model, now *answer) ([]Year, error) {
	out := make([]Year, m.Growth.Years+1)
	for y := range out {
		if y == 0 || m.Growth.Yearly == 0 {
			out[y] = now.year(y)
			continue
		}
		a, err := work(ctx, m.Grown(y))
		if err != nil {
			return nil, fmt.Errorf("after %d years of growth: %w", y, err)
		}
		out[y] = a.year(y)
	}
	return out, nil
}

func (a *answer) year(y int) Year {
	out := Year{Year: y, Instances: len(a.placement.Instances), Classic: a.placement.Classic.Count}
	out.Users, out.Active = a.model.Users()
	for _, s := range a.sizing {
		out.Events += s.Events.Bytes
	}
	for _, r := range a.delivery.Repositories {
		out.Repository += r.Disk
	}
	return out
}
