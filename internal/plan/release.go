package plan

import (
	"fmt"
	"slices"

	"github.com/dormer-project/dormer/internal/plan/delivery"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// startsEarly is what the time until one person can work builds on.
const startsEarly = "machines start before their image is complete"

// coming is what plans build on and this release does not do yet: a plan looks
// years ahead, and must not promise what cannot be installed today. A row goes
// when its part of the product comes.
var coming = []struct {
	what string
	// where names the places in a plan that build on it.
	where func(p *Plan) []string
	// until says what holds meanwhile.
	until string
}{
	{
		"mirrors of a repository",
		func(p *Plan) []string {
			return repositories(p, func(r delivery.Repository) bool { return r.Of != "" })
		},
		"each client fetches from the server of its instance, over the links",
	},
	{
		"one repository for several instances",
		func(p *Plan) []string {
			return repositories(p, func(r delivery.Repository) bool { return r.Of == "" && len(r.Instances) > 1 })
		},
		"each server keeps the images of its instance itself",
	},
	{
		"neighbours that serve each other",
		func(p *Plan) []string { return sites(p, func(s delivery.Site) bool { return s.Neighbours }) },
		"each client fetches for itself",
	},
	{
		"images on media and on prepared computers",
		func(p *Plan) []string {
			return sites(p, func(s delivery.Site) bool { return s.Way != organization.DeliveryNetwork })
		},
		"prepare computers by enrolling them beside the server and letting them fetch there",
	},
	{
		startsEarly,
		func(p *Plan) []string {
			return sites(p, func(s delivery.Site) bool { return s.Way == organization.DeliveryNetwork })
		},
		"one person who starts a workspace for the first time waits for the whole image",
	},
}

// ahead warns of what the plan builds on and this release lacks.
func ahead(p *Plan) []Warning {
	var out []Warning
	for _, c := range coming {
		if where := c.where(p); len(where) > 0 {
			out = append(out, Warning{Text: fmt.Sprintf("Not in this release of Dormer yet: %s (%s). Until then %s.", c.what, figure.List(where, 5), c.until)})
		}
	}
	return out
}

func repositories(p *Plan, of func(delivery.Repository) bool) []string {
	var out []string
	for _, r := range p.Delivery.Repositories {
		if of(r) {
			out = append(out, r.Name)
		}
	}
	return out
}

// sites are named once, however many instances serve them.
func sites(p *Plan, of func(delivery.Site) bool) []string {
	var out []string
	for _, s := range p.Delivery.Sites {
		if of(s) && !slices.Contains(out, s.Site) {
			out = append(out, s.Site)
		}
	}
	return out
}
