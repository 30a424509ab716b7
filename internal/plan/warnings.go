package plan

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/sizing"
)

// warnings are those about the file, and what came out that an architect would
// not want.
func warnings(o *organization.Organization, m *organization.Model, p *Plan) []Warning {
	var out []Warning
	for _, w := range organization.Warnings(o) {
		out = append(out, Warning{Path: w.Path, Text: w.Message})
	}
	for _, l := range p.Scope.Levels {
		if !l.Met {
			out = append(out, Warning{Path: l.path(), Text: l.Title + ": " + l.Text})
		}
	}
	for _, c := range p.Delivery.Clients {
		if !c.Fits {
			takes := "takes"
			if len(c.Workspaces) > 1 {
				takes = "together take"
			}
			out = append(out, Warning{Path: "spec.clients", Text: fmt.Sprintf(
				"%s %s %s of disk and %s of memory on a client, for %s: %s.", figure.List(c.Workspaces, 5), takes, figure.Bytes(float64(c.Disk)), figure.Binary(float64(c.Memory)), figure.Counted(c.Users, "person", "people"), has(m))})
		}
	}
	for _, w := range p.Delivery.Warnings {
		out = append(out, Warning{Text: w})
	}
	return slices.Concat(out, guests(m, p), polling(m, p), filling(m, p), ahead(p))
}

// has says what the usual client has.
func has(m *organization.Model) string {
	var parts []string
	if free := m.Clients.FreeDisk; free > 0 {
		parts = append(parts, figure.Bytes(float64(free))+" of free disk")
	}
	if memory := m.Clients.Memory; memory > 0 {
		parts = append(parts, figure.Binary(float64(memory))+" of memory")
	}
	return "the usual client has " + strings.Join(parts, " and ")
}

// polling warns of links that the polls of clients fill: half of their bytes go
// each way.
func polling(m *organization.Model, p *Plan) []Warning {
	clients := make([]int, len(m.Lines))
	for _, i := range p.Instances {
		for _, part := range i.Parts {
			for _, l := range m.Route(m.Groups[part.Group].Site, i.Site).Lines() {
				clients[l] += part.Active
			}
		}
	}
	const most = 5
	var out []Warning
	poll, more := m.Service.Poll.Seconds(), 0
	for i, l := range m.Lines {
		need, usable := float64(clients[i])/poll*sizing.PollBytes/2*8, float64(min(l.UsableThere, l.UsableBack))
		switch {
		case need <= usable:
			continue
		case len(out) == most:
			more++
			continue
		}
		out = append(out, Warning{Path: document.Index("spec.links", i) + ".bandwidth", Text: fmt.Sprintf(
			"Polls of %s alone take %s each way between %s and %s (%s / %s s x %s bytes / 2 x 8), and %s may be used there. Let clients poll less often (service.poll), or have a wider link.",
			figure.Counted(clients[i], "client", "clients"), figure.Rate(need), m.Sites[l.From].Name, m.Sites[l.To].Name,
			figure.Number(clients[i]), figure.Number(poll), figure.Number(sizing.PollBytes), figure.Rate(usable))})
	}
	if more > 0 {
		out = append(out, Warning{Path: "spec.links", Text: fmt.Sprintf("Polls alone take more than may be used of %s, too.", figure.Counted(more, "other link", "other links"))})
	}
	return out
}

// filling warns of instances that growth fills within the years of the plan. The
// plan of a later year deals people out anew; whoever builds this one must move
// them.
func filling(m *organization.Model, p *Plan) []Warning {
	var full []string
	for _, i := range p.Instances {
		clients := float64(i.Active)
		for year := range m.Growth.Years {
			if clients *= 1 + m.Growth.Yearly; math.Floor(clients+0.5) > float64(m.Capacity.Clients) {
				full = append(full, fmt.Sprintf("%s (%s clients of %s) after %s", i.Name, figure.Number(i.Active), figure.Number(m.Capacity.Clients), figure.Counted(year+1, "year", "years")))
				break
			}
		}
	}
	if full == nil {
		return nil
	}
	return []Warning{{Path: "spec.growth.yearly", Text: fmt.Sprintf("With %s more people a year instances are full before the plan ends: %s. Some of their people must move to another instance then.",
		figure.Percent(m.Growth.Yearly), figure.List(full, 5))}}
}

// guests warns of people who are served in a country only because its instance
// may be shared.
func guests(m *organization.Model, p *Plan) []Warning {
	var out []Warning
	for _, i := range p.Instances {
		if i.Country == "" {
			continue
		}
		bound := map[int]bool{}
		var because []organization.Demand
		for _, d := range m.Demands {
			if d.Country != i.Country || d.Alone {
				continue
			}
			because = append(because, d)
			for _, g := range d.Groups {
				bound[g] = true
			}
		}
		people, narrowest := 0, document.Rate(0)
		for _, part := range i.Parts {
			if bound[part.Group] || m.Sites[m.Groups[part.Group].Site].Country == i.Country {
				continue
			}
			people += part.Users
			if usable := m.Route(m.Groups[part.Group].Site, i.Site).Usable; narrowest == 0 || usable < narrowest {
				narrowest = usable
			}
		}
		if people == 0 || len(because) == 0 {
			continue
		}
		out = append(out, Warning{Path: because[0].Path + ".shared", Text: fmt.Sprintf(
			"%s stands in %s and serves %s people of other countries as well, over %s at the narrowest, for that takes fewer instances. "+
				"Leave out shared to have them served elsewhere.", i.Name, i.Country, figure.Number(people), figure.Rate(float64(narrowest)))})
	}
	return out
}
