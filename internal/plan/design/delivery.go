package design

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dormer-project/dormer/internal/plan"
	"github.com/dormer-project/dormer/internal/plan/delivery"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

var ways = map[organization.DeliveryChoice]string{
	organization.DeliveryNetwork: "network", organization.DeliveryMedia: "media", organization.DeliveryPreStaged: "prepared computers",
}

func (a *author) delivery() chapter {
	c := chapter{ID: "delivery", Title: "Repositories and delivery"}
	repositories := table{Caption: "Repositories", Columns: []column{
		left("Repository"), left("At"), left("Copy of").rank(1), left("Instances").rank(2), right("Disk"), right("Downloads at once"), right("Bandwidth that they need"), left("Serves").rank(3),
	}}
	for _, r := range a.Delivery.Repositories {
		repositories.add(r.Name, r.Site, r.Of, few(r.Instances), figure.Bytes(float64(r.Disk)), r.Downloads, figure.Rate(r.Bandwidth), few(r.Serves))
	}
	c.add(repositories)
	shown := len(a.Delivery.Repositories)
	if a.brief && shown > mostDetails+1 {
		shown = mostDetails
	}
	for _, r := range a.Delivery.Repositories[:shown] {
		c.head(r.Name)
		c.add(append(points(slices.Clone(r.Reasons)), r.Faults))
	}
	if more := len(a.Delivery.Repositories) - shown; more > 0 {
		c.add(paragraph(fmt.Sprintf("The other %s repositories are described by --wide, Markdown, HTML and JSON.", figure.Number(more))))
	}
	c.head("How images reach each site")
	sites := table{Columns: []column{
		left("Site"), left("Isolated network").rank(1), left("Instance").rank(2), left("Repository").rank(3), right("Clients"), right("Link"), right("Round trip").rank(4), left("Way"), left("Neighbours").rank(2),
	}}
	for _, s := range a.Delivery.Sites {
		link, trip := figure.Rate(s.Link), figure.Duration(s.Latency)
		if s.Link == 0 {
			link, trip = "none", ""
		}
		sites.add(s.Site, s.Network, s.Instance, s.Repository, s.Clients, link, trip, ways[s.Way], yesNo(s.Neighbours))
	}
	c.add(sites)
	a.whys(&c)
	c.head("Times of delivery")
	c.add(paragraph("A first delivery is until everybody of a site has the image, an update until everybody has a new version: by this plan, and for comparison when everybody fetches for themselves and when neighbours serve each other. One alone is a single person at an idle time, until the workspace starts."))
	times := table{Columns: []column{
		left("Site"), left("Image"), right("Clients").rank(3), right("First delivery"), right("First, for themselves").rank(2), right("First, neighbours").rank(2),
		right("Update"), right("Update, for themselves").rank(2), right("Update, neighbours").rank(2), right("One alone").rank(1), left("In time"),
	}}
	var missed points
	for _, s := range a.Delivery.Sites {
		for _, t := range s.Images {
			times.add(placeText(s), t.Image, t.Clients, took(t.FirstPlanned), took(t.First), took(t.FirstNeighbours),
				took(t.UpdatePlanned), took(t.Update), took(t.UpdateNeighbours), took(t.One), yesNo(t.Met))
			for _, m := range t.Missed {
				if !slices.Contains(missed, m.Text) {
					missed = append(missed, m.Text)
				}
			}
		}
	}
	c.add(times)
	if roll, ok := a.rollOut(); ok {
		c.add(roll)
	}
	if len(missed) > 0 {
		c.head("Service levels that are not met")
		if a.brief && len(missed) > mostRows {
			missed = append(missed[:mostRows:mostRows], fmt.Sprintf("and %s more (--wide, Markdown, HTML and JSON have all of them)", figure.Number(len(missed)-mostRows)))
		}
		c.add(missed)
	}
	c.head("Disks and memory of clients")
	clients := table{Columns: []column{left("Workspaces"), right("People"), right("Disk"), right("Memory"), left("Fits")}}
	for _, k := range a.Delivery.Clients {
		clients.add(list(k.Workspaces), k.Users, figure.Bytes(float64(k.Disk)), figure.Binary(float64(k.Memory)), yesNo(k.Fits))
	}
	c.add(clients, points(a.Delivery.Warnings))
	return c
}

// whys says for each site why its images come as they do.
func (a *author) whys(c *chapter) {
	var out points
	for i, s := range a.Delivery.Sites {
		if a.brief && i == mostDetails && len(a.Delivery.Sites) > mostDetails+1 {
			out = append(out, fmt.Sprintf("The other %s sites are described by --wide, Markdown, HTML and JSON.", figure.Number(len(a.Delivery.Sites)-i)))
			break
		}
		if len(s.Reasons) > 0 {
			out = append(out, fmt.Sprintf("%s, served by %s: %s", placeText(s), s.Instance, strings.Join(s.Reasons, " ")))
		}
	}
	c.add(out)
}

// placeText names the people of a site on one network.
func placeText(s delivery.Site) string {
	if s.Network == "" {
		return s.Site
	}
	return s.Site + " (" + s.Network + ")"
}

// took writes how long a delivery takes.
func took(seconds float64) string {
	switch {
	case seconds < 0:
		return "no way"
	case seconds == 0:
		return "beforehand"
	default:
		return figure.Duration(seconds)
	}
}

// ramp is clients who finish evenly between two times.
type ramp struct {
	from, to, clients float64
}

func finished(ramps []ramp, at float64) float64 {
	done, all := 0.0, 0.0
	for _, r := range ramps {
		all += r.clients
		switch {
		case at >= r.to:
			done += r.clients
		case at > r.from:
			done += r.clients * (at - r.from) / (r.to - r.from)
		}
	}
	if all == 0 {
		return 0
	}
	return done / all
}

// rollOut is the share of clients over time, from the times of the sites that
// images reach over the network.
func (a *author) rollOut() (chart, bool) {
	var first, alone, update []ramp
	last, differ := 0.0, false
	for _, s := range a.Delivery.Sites {
		for _, t := range s.Images {
			n := float64(t.Clients)
			if s.Way != organization.DeliveryMedia && t.UpdatePlanned >= 0 {
				update = append(update, ramp{0, t.UpdatePlanned, n})
				last = max(last, t.UpdatePlanned)
			}
			if s.Way == organization.DeliveryNetwork && t.FirstPlanned >= 0 && t.First >= 0 {
				first = append(first, ramp{min(t.One, t.FirstPlanned), t.FirstPlanned, n})
				alone = append(alone, ramp{min(t.One, t.First), t.First, n})
				differ = differ || t.First != t.FirstPlanned
				last = max(last, t.FirstPlanned, t.First)
			}
		}
	}
	var curves []curve
	if len(first) > 0 {
		curves = append(curves, curve{"First delivery", "first", func(t float64) float64 { return finished(first, t) }})
	}
	if len(update) > 0 {
		curves = append(curves, curve{"Update", "update", func(t float64) float64 { return finished(update, t) }})
	}
	if differ {
		curves = append(curves, curve{"First delivery, everybody for themselves", "alone", func(t float64) float64 { return finished(alone, t) }})
	}
	if len(curves) == 0 {
		return chart{}, false
	}
	text := "Share of the clients that have their images over the network, from the beginning on, as if those of a site finish evenly over its time. The time axis is stretched at its beginning."
	if s := a.Simulation; s != nil && s.Rollout != nil && len(s.Rollout.Points) > 1 {
		curves = append(curves, curve{"Simulated roll-out", "simulated", a.simulatedShare})
		text += " In the simulation all clients of a site share its links, so they finish together."
	}
	t := table{Columns: []column{right("After")}}
	for _, k := range curves {
		t.Columns = append(t.Columns, right(k.title))
	}
	for _, m := range moments {
		row := []any{figure.Duration(m)}
		full := true
		for _, k := range curves {
			v := k.share(m)
			full = full && v >= 1
			row = append(row, figure.Percent(float64(int(v*1000+0.5))/1000))
		}
		t.add(row...)
		if full {
			break
		}
	}
	var levels []plan.ServiceLevel
	for _, l := range a.Scope.Levels {
		if l.Name == "firstDelivery" || l.Name == "criticalUpdate" {
			levels = append(levels, l)
		}
	}
	return a.chart("Roll-out over time", text, t, func(*plan.Plan, string) drawing { return rollOutLines(curves, levels, last) }), true
}

// simulatedShare is the share of deliveries that had arrived by a time.
func (a *author) simulatedShare(at float64) float64 {
	share := 0.0
	for _, p := range a.Simulation.Rollout.Points {
		if p.At > at {
			break
		}
		share = p.Share
	}
	return share
}
