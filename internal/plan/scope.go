package plan

import (
	"fmt"
	"slices"

	"github.com/dormer-project/dormer/internal/plan/delivery"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

func scope(m *organization.Model, a *answer) Scope {
	s := Scope{Sites: scopeSites(m), Travel: travel(m, a), Levels: levels(m, a)}
	for _, l := range m.Lines {
		s.Links = append(s.Links, ScopeLink{
			From: m.Sites[l.From].Name, To: m.Sites[l.To].Name, Bandwidth: float64(l.There), Back: float64(l.Back),
			Usable: float64(l.UsableThere), Latency: l.Latency.Seconds(),
		})
	}
	for _, w := range m.Workspaces {
		o := ScopeOffer{Workspace: w.Name, Image: m.Images[w.Image].Name, Offline: w.Offline.String(), Persistent: w.Persistent}
		for _, part := range w.Gets {
			o.Users, o.Active = o.Users+part.Users, o.Active+part.Active
		}
		s.Workspaces = append(s.Workspaces, o)
	}
	s.Figures = totals(m, s.Workspaces)
	return s
}

func scopeSites(m *organization.Model) []ScopeSite {
	out := make([]ScopeSite, len(m.Sites))
	for i, p := range m.Sites {
		s := ScopeSite{Site: p.Name, Country: p.Country, Users: p.Users, Active: p.Active}
		for _, g := range p.Groups {
			s.Domains = with(s.Domains, m.Domains[m.Groups[g].Domain])
			if n := m.Groups[g].Network; n != organization.Connected {
				s.Networks = with(s.Networks, m.Networks[n].Name)
			}
		}
		out[i] = s
	}
	return out
}

// with is a list with s in it once.
func with(to []string, s string) []string {
	if slices.Contains(to, s) {
		return to
	}
	return append(to, s)
}

func totals(m *organization.Model, offers []ScopeOffer) []figure.Figure {
	users, active := m.Users()
	given, policies := 0, 0
	for i, w := range m.Workspaces {
		given += offers[i].Users
		policies += w.Policies
	}
	packed := int64(0)
	for _, i := range m.Images {
		packed += i.Packed
	}
	return []figure.Figure{
		figure.Given("scope.sites", "Sites", figure.Count, float64(len(m.Sites))),
		figure.Given("scope.users", "People", figure.Count, float64(users)),
		figure.Given("scope.active", "Clients that are on at the busiest time", figure.Clients, float64(active)),
		figure.Given("scope.images", "Images", figure.Count, float64(len(m.Images))),
		figure.Given("scope.imageBytes", "Images, packed, one version of each", figure.Size, float64(packed)),
		figure.Given("scope.workspaces", "Workspaces, each policy counted", figure.Count, float64(policies)),
		figure.Given("scope.given", "Workspaces of people", figure.Count, float64(given)),
		figure.Work("scope.events", "Events a day", figure.Count, "{clients} x {events a day of a client}", figure.N(active), figure.N(m.Events.PerDay)).
			From(figure.Classic, "15 to 20 events a day of a client are usual"),
	}
}

// travel says what a visit means: whether the server is within reach, and what
// holds where it is not.
func travel(m *organization.Model, a *answer) []ScopeTravel {
	var out []ScopeTravel
	for _, t := range m.Travel {
		s := ScopeTravel{From: m.Sites[t.From].Name, To: m.Sites[t.To].Name, Users: t.Users, Days: t.Days}
		at := home(m, a, t.From)
		if at < 0 {
			s.Text = s.From + " has no people in the connected network: its isolated networks end at its door."
			out = append(out, s)
			continue
		}
		in := a.placement.Instances[at]
		way := m.Route(in.Site, t.To)
		switch {
		case !way.OK:
			s.Text = fmt.Sprintf("%s, their instance, is out of reach from there: they work as long as their workspaces allow without it%s.", in.Name, shortest(m, t.From))
		case in.Site == t.To:
			s.Text = fmt.Sprintf("%s, their instance, stands there.", in.Name)
		default:
			s.Text = fmt.Sprintf("They reach %s, their instance, over %s with %s a round trip; the images on their computers come with them.",
				in.Name, figure.Rate(float64(way.Bandwidth)), figure.Duration(way.Latency.Seconds()))
		}
		out = append(out, s)
	}
	return out
}

// home is the instance of most of the connected people of a site, -1 without
// any.
func home(m *organization.Model, a *answer, site int) int {
	best, most := -1, -1
	for i, in := range a.placement.Instances {
		users := 0
		for _, part := range in.Parts {
			if g := m.Groups[part.Group]; g.Site == site && g.Network == organization.Connected {
				users += part.Users
			}
		}
		if users > max(most, 0) {
			best, most = i, users
		}
	}
	return best
}

// shortest says how long the people of a site may go on without the server.
func shortest(m *organization.Model, site int) string {
	best := -1
	for i, w := range m.Workspaces {
		limit, limited := w.Offline.Limit()
		here := slices.ContainsFunc(w.Gets, func(p organization.Part) bool { return m.Groups[p.Group].Site == site && p.Users > 0 })
		if !limited || !here {
			continue
		}
		if best >= 0 {
			if least, _ := m.Workspaces[best].Offline.Limit(); least <= limit {
				continue
			}
		}
		best = i
	}
	if best < 0 {
		return ", which is without limit"
	}
	w := m.Workspaces[best]
	return fmt.Sprintf(" (%s: %s)", w.Name, w.Offline)
}

// path is the field of the file that asks for a service level.
func (l ServiceLevel) path() string {
	switch l.Name {
	case levelOutage:
		return "spec.workspaces"
	default:
		return "spec.service." + l.Name
	}
}

// levelOutage is the one service level that no field of service asks for: it
// follows from the off-line limits.
const levelOutage = "outage"

// levels are what people may expect, and whether the plan meets it.
func levels(m *organization.Model, a *answer) []ServiceLevel {
	s := &m.Service
	return []ServiceLevel{
		delivered(a.delivery, "firstDelivery", "First delivery of images to everybody of a site", s.FirstDelivery.Seconds()),
		delivered(a.delivery, "loadImage", "A workspace starts for the first time for one person", s.LoadImage.Seconds()),
		delivered(a.delivery, "criticalUpdate", "A critical update is with everybody", s.CriticalUpdate.Seconds()),
		reports(m, a), reportOutage(m, a), outage(a), loss(m, a),
	}
}

// delivered is a service level of images.
func delivered(d *delivery.Delivery, level, title string, allowed float64) ServiceLevel {
	out := ServiceLevel{Name: level, Title: title, Seconds: allowed}
	var sites, carried []string
	clients := 0
	worst, where := 0.0, ""
	for _, s := range d.Sites {
		if s.Way != organization.DeliveryNetwork {
			carried = with(carried, s.Site)
		}
		missed := false
		for _, t := range s.Images {
			for _, miss := range t.Missed {
				if miss.Level != level {
					continue
				}
				missed = true
				if miss.Seconds > worst {
					worst, where = miss.Seconds, "the image "+t.Image+" at "+s.Site
				}
			}
		}
		if missed {
			sites = with(sites, s.Site)
			clients += s.Clients
		}
	}
	out.Met = len(sites) == 0
	asked := figure.Duration(allowed) + " asked for"
	switch {
	case !out.Met && where != "":
		out.Text = fmt.Sprintf("%s, not met at %s (%s clients); the longest is %s with %s.", asked, figure.List(sites, 4), figure.Number(clients), where, figure.Duration(worst))
	case !out.Met:
		out.Text = fmt.Sprintf("%s, not met at %s (%s clients).", asked, figure.List(sites, 4), figure.Number(clients))
	case len(carried) > 0 && level == "firstDelivery":
		out.Text = fmt.Sprintf("%s and met; images come to %s on media or on prepared computers.", asked, figure.List(carried, 4))
	case level == "loadImage" && len(carried) < len(d.Sites):
		out.Text = asked + " and met everywhere, once " + startsEarly + " (see the warnings)."
	default:
		out.Text = asked + " and met everywhere."
	}
	return out
}

// reports is the time until a report is on the screen.
func reports(m *organization.Model, a *answer) ServiceLevel {
	out := ServiceLevel{Name: "report", Title: "A report is on the screen", Seconds: m.Service.Report.Seconds(), Met: true}
	worst, where := 0.0, ""
	for i, s := range a.sizing {
		// The second is that of a database elsewhere.
		for _, name := range []string{"events.reports.time", "events.link.report"} {
			if f := figure.Find(s.Events.Figures, name); f.Value > worst {
				worst, where = f.Value, a.placement.Instances[i].Name
			}
		}
	}
	out.Met = worst <= out.Seconds
	asked := figure.Duration(out.Seconds) + " asked for"
	switch {
	case where == "":
		out.Text = asked + "; no reports are made."
	case out.Met:
		out.Text = fmt.Sprintf("%s and met: %s at most.", asked, figure.Duration(worst))
	default:
		out.Text = fmt.Sprintf("%s, not met: %s at %s.", asked, figure.Duration(worst), where)
	}
	return out
}

// reportOutage is how long reports are away when the events database breaks.
func reportOutage(m *organization.Model, a *answer) ServiceLevel {
	out := ServiceLevel{Name: "reportOutage", Title: "Reports are back after an outage of their database", Seconds: m.Service.ReportOutage.Seconds()}
	worst, where := 0.0, ""
	for i, s := range a.sizing {
		away := m.Service.Restore.Seconds()
		if s.Availability.DatabaseStandby {
			away = min(away, s.Availability.Outage)
		}
		if away > worst {
			worst, where = away, a.placement.Instances[i].Name
		}
	}
	out.Met = worst <= out.Seconds
	out.Text = fmt.Sprintf("%s asked for and met: %s at most.", figure.Duration(out.Seconds), figure.Duration(worst))
	if !out.Met {
		out.Text = fmt.Sprintf("%s asked for, not met: %s at %s.", figure.Duration(out.Seconds), figure.Duration(worst), where)
	}
	return out
}

// outage is whether people bear the outages that are left. Where none may last
// at all, leases that are not renewed stop people only after some polls: the
// figure of the instance says when.
func outage(a *answer) ServiceLevel {
	out := ServiceLevel{Name: levelOutage, Title: "People go on working through an outage of the server", Seconds: -1, Met: true}
	var missed []string
	longest := 0.0
	for i, s := range a.sizing {
		v := s.Availability
		if v.Tolerable >= 0 && (out.Seconds < 0 || v.Tolerable < out.Seconds) {
			out.Seconds = v.Tolerable
		}
		longest = max(longest, v.Outage)
		stops := figure.Find(v.Figures, "availability.tolerable").Value
		if stops >= 0 && v.Outage > stops {
			missed = append(missed, fmt.Sprintf("%s lasts %s and people stop after %s", a.placement.Instances[i].Name, figure.Duration(v.Outage), figure.Duration(stops)))
		}
	}
	out.Met = len(missed) == 0
	switch {
	case !out.Met:
		out.Text = "not through every outage: one of " + figure.List(missed, 3) + "."
	case out.Seconds < 0:
		out.Text = fmt.Sprintf("all workspaces go on without the server for as long as they must; the longest outage is %s.", figure.Duration(longest))
	case out.Seconds == 0:
		out.Text = fmt.Sprintf("some workspaces may not be used without the server; with the standbys of this plan an outage there ends before their leases do. The longest anywhere is %s.", figure.Duration(longest))
	default:
		out.Text = fmt.Sprintf("the shortest off-line limit is %s; the longest outage is %s.", figure.Duration(out.Seconds), figure.Duration(longest))
	}
	return out
}

// loss is how much of the latest changes may be lost.
func loss(m *organization.Model, a *answer) ServiceLevel {
	out := ServiceLevel{Name: "loss", Title: "Changes of administrators that may be lost", Seconds: m.Service.Loss.Seconds(), Met: true}
	worst, where := -1.0, ""
	for i, s := range a.sizing {
		if s.Availability.Loss > worst {
			worst, where = s.Availability.Loss, a.placement.Instances[i].Name
		}
	}
	out.Met = worst <= out.Seconds
	out.Text = fmt.Sprintf("those of %s at most are allowed; at worst those of %s are lost", figure.Duration(out.Seconds), figure.Duration(max(worst, 0)))
	if !out.Met {
		out.Text += " (" + where + ")"
	}
	out.Text += "."
	return out
}
