package design

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dormer-project/dormer/internal/plan"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/placement"
	"github.com/dormer-project/dormer/internal/plan/sizing"
)

// mostDetails is how many instances a terminal gets in detail.
const mostDetails = 12

// author writes the design document of a plan.
type author struct {
	*plan.Plan
	// brief leaves out what would be too long for a terminal, and says so.
	brief  bool
	charts int
}

func planned(p *plan.Plan, brief bool) *document {
	a := &author{Plan: p, brief: brief}
	d := &document{Title: "Infrastructure design: " + p.Name, Lead: strings.TrimSpace(p.Description)}
	for _, c := range []chapter{
		a.summary(), a.scope(), a.instances(), a.needs(), a.availability(), a.delivery(), a.growth(),
		a.questions(), a.warnings(), a.formulas(), a.simulation(), a.sources(),
	} {
		if len(c.Blocks) > 0 {
			d.Chapters = append(d.Chapters, c)
		}
	}
	return d
}

// list writes names as people say them, the first ones of many.
func list(names []string) string { return figure.List(names, 6) }

// few is list for cells of tables whose other rows say the same from the other
// side.
func few(names []string) string { return figure.List(names, 3) }

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// seconds writes a time where -1 is without limit.
func seconds(s float64) string {
	if s < 0 {
		return "without limit"
	}
	return figure.Duration(s)
}

func (a *author) chart(title, text string, t table, draw func(p *plan.Plan, id string) drawing) chart {
	a.charts++
	return chart{ID: chartID(a.charts), Title: title, Text: text, Table: t, Draw: func(id string) drawing { return draw(a.Plan, id) }}
}

// conditions are the names of conditions in sentences and tables.
var conditions = map[placement.Condition]string{
	placement.Assumed: "assumed", placement.Capacity: "capacity", placement.Domain: "no trust", placement.Network: "isolated network",
	placement.Organization: "organization", placement.Law: "law",
}

func (a *author) people() (users, active int) {
	for _, s := range a.Scope.Sites {
		users, active = users+s.Users, active+s.Active
	}
	return users, active
}

func (a *author) summary() chapter {
	c := chapter{ID: "summary", Title: "Summary"}
	users, active := a.people()
	first := fmt.Sprintf("%s for %s people at %s; up to %s computers are on at the same time.",
		figure.Counted(len(a.Instances), "instance", "instances"), figure.Number(users), figure.Counted(len(a.Scope.Sites), "site", "sites"), figure.Number(active))
	switch {
	case len(a.Difference) == 0:
		first += " The classic guide's procedure comes to the same number."
	case a.Classic.Count == len(a.Instances):
		first += " The classic guide's procedure comes to the same number, for other reasons."
	default:
		first += fmt.Sprintf(" The classic guide's procedure counts %s; why they differ stands under Instances.", figure.Number(a.Classic.Count))
	}
	out := points{first}
	if why := a.why(); why != "" {
		out = append(out, why)
	}
	out = append(out, a.servers()...)
	out = append(out, a.stores())
	met := true
	for _, l := range a.Scope.Levels {
		if !l.Met {
			out, met = append(out, "A service level is not met. "+l.Title+": "+l.Text), false
		}
	}
	if met {
		out = append(out, "All service levels are met.")
	}
	open := 0
	for _, q := range a.Questions {
		if q.Answer == "" {
			open++
		}
	}
	if open > 0 {
		out = append(out, figure.Counted(open, "question to the business is", "questions to the business are")+" open.")
	}
	if n := len(a.Years); n > 1 {
		last := a.Years[n-1]
		out = append(out, fmt.Sprintf("%s, with %s %% more people a year: %s for %s people, %s of events.",
			upper(yearText(last.Year)), figure.Number(a.Growth*100), figure.Counted(last.Instances, "instance", "instances"), figure.Number(last.Users), figure.Bytes(float64(last.Events))))
	}
	if n := len(a.Warnings); n > 0 {
		out = append(out, fmt.Sprintf("%s to look at.", figure.Counted(n, "warning", "warnings")))
	}
	c.add(out)
	return c
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// why names the conditions that there are several instances for.
func (a *author) why() string {
	if len(a.Instances) == 1 {
		return "One instance is enough: nothing that the organization asks for needs another one."
	}
	about := map[placement.Condition][]string{}
	note := func(c placement.Condition, name string) {
		if !slices.Contains(about[c], name) {
			about[c] = append(about[c], name)
		}
	}
	for _, s := range a.Splits {
		note(s.Condition, s.About)
	}
	for _, in := range a.Instances {
		for _, r := range in.Reasons {
			if _, split := about[r.Condition]; split {
				note(r.Condition, r.About)
			}
		}
	}
	var parts []string
	for _, c := range []placement.Condition{placement.Capacity, placement.Domain, placement.Network, placement.Organization, placement.Law} {
		names, ok := about[c]
		if !ok {
			continue
		}
		names = slices.DeleteFunc(names, func(s string) bool { return s == "" })
		text := map[placement.Condition]string{
			placement.Capacity: fmt.Sprintf("capacity (an instance holds %s clients)", figure.Number(a.Capacity.Clients)),
			placement.Domain:   "domains without trust", placement.Network: "isolated networks",
			placement.Organization: "demands of the organization", placement.Law: "law",
		}[c]
		if c != placement.Capacity && len(names) > 0 {
			text += " (" + list(names) + ")"
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return ""
	}
	return "More than one are needed for " + list(parts) + "."
}

// servers says what computers to buy, alike ones together, with those that
// stand by.
func (a *author) servers() points {
	type machine struct {
		cores, memory float64
		virtual       bool
	}
	var kinds []machine
	counts := map[machine]int{}
	var second, follower, databases, replicated []string
	disk := 0.0
	for _, s := range a.Sizing {
		m := machine{float64(s.Server.Cores), float64(s.Server.Memory), s.Server.Virtual}
		if counts[m] == 0 {
			kinds = append(kinds, m)
		}
		n := 1
		switch s.Availability.Standby {
		case sizing.FollowerStandby:
			follower, n = append(follower, s.Name), 2
		case sizing.DatabaseStandby:
			second, n = append(second, s.Name), 2
		}
		counts[m] += n
		disk += float64(n) * float64(s.Server.Disk)
		if s.Events.Place == organization.PlaceRemote || s.State.Place == organization.PlaceRemote {
			databases = append(databases, s.Name)
		}
		if s.Availability.DatabaseStandby {
			replicated = append(replicated, s.Name)
		}
	}
	var parts []string
	for _, m := range kinds {
		kind := "dedicated"
		if m.virtual {
			kind = "virtual or dedicated"
		}
		parts = append(parts, fmt.Sprintf("%s with %s and %s (%s)", figure.Number(counts[m]), figure.Cores.Text(m.cores), figure.Binary(m.memory), kind))
	}
	out := points{fmt.Sprintf("Servers: %s; %s of disk in all, without images.", strings.Join(parts, ", "), figure.Bytes(disk))}
	var stand []string
	if len(second) > 0 {
		stand = append(stand, "a second server on the same PostgreSQL for "+list(second))
	}
	if len(follower) > 0 {
		stand = append(stand, "a follower for "+list(follower))
	}
	if len(stand) > 0 {
		out = append(out, "Counted among them as standbys: "+strings.Join(stand, "; ")+".")
	} else {
		out = append(out, "No server needs a standby.")
	}
	switch {
	case len(databases) > 0 && slices.Equal(databases, replicated):
		out = append(out, "Databases on computers of their own, each with a replica, for "+list(databases)+".")
	case len(databases) > 0 && len(replicated) > 0:
		out = append(out, "Databases on computers of their own for "+list(databases)+"; with a replica for "+list(replicated)+".")
	case len(databases) > 0:
		out = append(out, "Databases on computers of their own for "+list(databases)+".")
	case len(replicated) > 0:
		out = append(out, "The events database has a replica for "+list(replicated)+".")
	}
	return out
}

// stores says what databases and repositories there are.
func (a *author) stores() string {
	events, disk, postgres := 0.0, 0.0, 0
	for _, s := range a.Sizing {
		events += float64(s.Events.Bytes)
		if s.Events.Kind == organization.PostgreSQL {
			postgres++
		}
	}
	for _, r := range a.Delivery.Repositories {
		disk += float64(r.Disk)
	}
	kind := "SQLite on the servers"
	switch {
	case postgres == len(a.Sizing):
		kind = "PostgreSQL"
	case postgres > 0:
		kind = fmt.Sprintf("%s on PostgreSQL, the others SQLite on the servers", figure.Number(postgres))
	}
	return fmt.Sprintf("Events databases: %s in all (%s). %s of images: %s in all.",
		figure.Bytes(events), kind, figure.Counted(len(a.Delivery.Repositories), "repository", "repositories"), figure.Bytes(disk))
}

func (a *author) scope() chapter {
	c := chapter{ID: "scope", Title: "Scope"}
	totals := table{Columns: []column{left("What"), right("How much")}}
	for _, f := range a.Scope.Figures {
		totals.add(f.Title, f.Text())
	}
	c.add(totals)
	c.head("Sites")
	sites := table{Columns: []column{left("Site"), left("Country").rank(2), right("People"), right("On at peak"), left("Domains").rank(3), left("Isolated networks").rank(1)}}
	for _, s := range a.Scope.Sites {
		sites.add(s.Site, s.Country, s.Users, s.Active, strings.Join(s.Domains, ", "), strings.Join(s.Networks, ", "))
	}
	c.add(a.chart("Sites and instances",
		"Sites by their links: circles by the number of people, in the colours of the instances that serve them; numbered boxes are servers, and lines are the wider the more they carry.", sites, sitesMap))
	links := table{Caption: "Links", Columns: []column{left("From"), left("To"), right("Bandwidth"), right("Back").rank(1), right("For Dormer").rank(2), right("Round trip").rank(3)}}
	for _, l := range a.Scope.Links {
		back := ""
		if l.Back != l.Bandwidth {
			back = figure.Rate(l.Back)
		}
		links.add(l.From, l.To, figure.Rate(l.Bandwidth), back, figure.Rate(l.Usable), figure.Duration(l.Latency))
	}
	c.add(links)
	if len(a.Scope.Travel) > 0 {
		c.head("Travel")
		travel := table{Columns: []column{left("From"), left("To"), right("People"), right("Days"), left("What it means")}}
		for _, t := range a.Scope.Travel {
			travel.add(t.From, t.To, t.Users, t.Days, t.Text)
		}
		c.add(travel)
	}
	c.head("Workspaces")
	offers := table{Columns: []column{left("Workspace"), left("Image"), right("People"), right("On at peak").rank(2), left("Without the server"), left("Keeps changes").rank(1)}}
	for _, o := range a.Scope.Workspaces {
		offers.add(o.Workspace, o.Image, o.Users, o.Active, o.Offline, yesNo(o.Persistent))
	}
	c.add(offers)
	c.head("Service levels")
	levels := table{Columns: []column{left("What people may expect"), left("Met"), left("How")}}
	for _, l := range a.Scope.Levels {
		levels.add(l.Title, yesNo(l.Met), upper(l.Text))
	}
	c.add(levels)
	return c
}

func (a *author) instances() chapter {
	c := chapter{ID: "instances", Title: "Instances"}
	holds := fmt.Sprintf("An instance holds %s clients that are on at the same time, by the classic guide.", figure.Number(a.Capacity.Clients))
	if a.Capacity.Measured {
		holds = fmt.Sprintf("An instance holds %s clients that are on at the same time; that was measured", figure.Number(a.Capacity.Clients))
		if a.Capacity.Hardware != "" {
			holds += " on " + a.Capacity.Hardware
		}
		holds += " and takes the place of the " + figure.Number(organization.ClassicCapacity) + " of the classic guide."
	}
	c.add(paragraph(fmt.Sprintf("Two answers stand side by side: the classic guide's procedure counts %s, and %s the smallest number that satisfies all conditions. ",
		figure.Number(a.Classic.Count), isSmallest(len(a.Instances), a.Smallest)) + holds))
	c.head("By the procedure of the classic guide")
	steps := table{Columns: []column{left("Condition"), left("About"), right("Adds"), left("Counted as"), left("Reason")}}
	for _, s := range a.Classic.Steps {
		steps.add(upper(conditions[s.Condition]), s.About, s.Adds, s.Numbers, s.Reason)
	}
	steps.add("Together", "", a.Classic.Count, "", "")
	c.add(steps)
	c.head("By placement")
	t := table{Columns: []column{
		right("No"), left("Instance"), left("Server at"), right("People"), right("On at peak"), left("Domain").rank(2), left("Accepts").rank(4),
		left("Isolated network").rank(1), left("Country").rank(3),
	}}
	for i, in := range a.Instances {
		accepts := in.Accepts
		if len(accepts) == 1 && accepts[0] == in.Domain {
			accepts = nil
		}
		t.add(i+1, in.Name, in.SiteName, in.Users, in.Active, in.Domain, strings.Join(accepts, ", "), in.NetworkName, in.Country)
	}
	c.add(a.chart("People by instance", "Bars are the computers that are on at the busiest time, outlines all people of an instance; the dashed line is what an instance holds.", t, peopleBars))
	a.each(&c, func(i int) {
		in := a.Instances[i]
		c.head(fmt.Sprintf("%d. %s", i+1, in.Name))
		var reasons points
		for _, r := range in.Reasons {
			reasons = append(reasons, r.Text)
		}
		c.add(append(reasons, in.Seat))
		parts := table{Columns: []column{left("Site"), left("Domain").rank(3), left("Isolated network").rank(1), left("Department").rank(2), right("People"), right("On at peak")}}
		for _, p := range in.Parts {
			parts.add(p.Site, p.Domain, p.Network, p.Department, p.Users, p.Active)
		}
		c.add(parts)
	})
	if len(a.Splits) > 0 {
		c.head("What forces each split")
		c.add(a.splits())
	}
	if len(a.Difference) > 0 {
		c.head("Why the two answers differ")
		c.add(points(a.Difference))
	}
	return c
}

// splits names each condition once for an instance and all those that it is
// kept apart from for the same reason.
func (a *author) splits() table {
	t := table{Columns: []column{left("Between"), left("And"), left("Condition").rank(1), left("Why")}}
	type reason struct {
		condition placement.Condition
		text      string
	}
	var order []reason
	pairs := map[reason][][2]string{}
	for _, s := range a.Splits {
		r := reason{s.Condition, s.Text}
		if pairs[r] == nil {
			order = append(order, r)
		}
		pairs[r] = append(pairs[r], s.Between)
	}
	for _, r := range order {
		left := pairs[r]
		for len(left) > 0 {
			// The instance with the most pairs takes them all.
			times := map[string]int{}
			best := left[0][0]
			for _, p := range left {
				for _, n := range p {
					if times[n]++; times[n] > times[best] {
						best = n
					}
				}
			}
			var others []string
			left = slices.DeleteFunc(left, func(p [2]string) bool {
				switch best {
				case p[0]:
					others = append(others, p[1])
				case p[1]:
					others = append(others, p[0])
				default:
					return false
				}
				return true
			})
			t.add(best, a.names(others), conditions[r.condition], r.text)
		}
	}
	return t
}

func isSmallest(n int, proven bool) string {
	if proven {
		return figure.Number(n) + " is"
	}
	return figure.Number(n) + ", which was found by search and not proven, is about"
}

// each is for every instance, or the first ones of many where the document is
// brief.
func (a *author) each(c *chapter, write func(i int)) {
	for i := range a.Instances {
		if a.brief && i == mostDetails && len(a.Instances) > mostDetails+1 {
			c.add(paragraph(fmt.Sprintf("The other %s instances are described by --wide, Markdown, HTML and JSON.", figure.Number(len(a.Instances)-i))))
			return
		}
		write(i)
	}
}
