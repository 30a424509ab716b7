package design

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

func (a *author) growth() chapter {
	c := chapter{ID: "growth", Title: "Growth"}
	if a.Growth == 0 {
		c.add(paragraph("No growth was given: the number of people stays as it is."))
	} else {
		c.add(paragraph(fmt.Sprintf("Each group of people grows by %s a year; everything else stays as it is.", figure.Percent(a.Growth))))
	}
	t := table{Columns: []column{left("When"), right("People"), right("On at peak").rank(2), right("Instances"), right("By the classic guide").rank(1), right("Events databases"), right("Repositories")}}
	for _, y := range a.Years {
		t.add(yearText(y.Year), y.Users, y.Active, y.Instances, y.Classic, figure.Bytes(float64(y.Events)), figure.Bytes(float64(y.Repository)))
	}
	if len(a.Years) < 2 || a.Growth == 0 {
		c.add(t)
		return c
	}
	c.add(a.chart("Growth", "Events databases and repositories of all instances together, and the number of instances, year by year; each with a scale of its own.", t, growthBars))
	return c
}

var topics = map[organization.Topic]string{
	organization.TopicCombine: "Images", organization.TopicLicence: "Licence", organization.TopicSupport: "Support", organization.TopicOther: "Other",
}

func (a *author) questions() chapter {
	c := chapter{ID: "questions", Title: "Questions to the business"}
	open := table{Caption: "Open", Columns: []column{left("About"), left("Subject").rank(2), left("Question"), left("Who answers").rank(1)}}
	answered := table{Caption: "Answered", Columns: []column{left("About"), left("Subject").rank(2), left("Question"), left("Answer"), left("By").rank(1)}}
	for _, q := range a.Questions {
		if q.Answer == "" {
			open.add(topics[q.About], q.Subject, q.Question, q.By)
		} else {
			answered.add(topics[q.About], q.Subject, q.Question, q.Answer, q.By)
		}
	}
	c.add(open, answered)
	return c
}

func (a *author) warnings() chapter {
	c := chapter{ID: "warnings", Title: "Warnings"}
	var out points
	for _, w := range a.Warnings {
		text := w.Text
		if w.Path != "" {
			text += " (" + w.Path + ")"
		}
		out = append(out, text)
	}
	c.add(out)
	return c
}

// formulas gives every formula once, with the numbers of all instances,
// repositories and sites that it is used for.
func (a *author) formulas() chapter {
	c := chapter{ID: "formulas", Title: "Formulas with their numbers"}
	c.add(paragraph("Every number of this document comes from a formula that can be worked out again by hand. Sizes are decimal where they are in B, kB, MB, GB or TB: 1 GB are 1,000,000,000 bytes. They are binary where they are in KiB, MiB, GiB or TiB: 1 GiB are 1,073,741,824 bytes."))
	group := func(title string, f formulas) {
		if len(f) > 0 {
			c.head(title)
			c.add(f.settled())
		}
	}
	var whole, servers, states, events, availability, repositories, sites, clients formulas
	whole.gather("", slices.DeleteFunc(slices.Clone(a.Scope.Figures), func(f figure.Figure) bool { return f.Formula == "" })...)
	for _, s := range a.Sizing {
		servers.gather(s.Name, s.Server.Figures...)
		states.gather(s.Name, s.State.Figures...)
		events.gather(s.Name, s.Events.Figures...)
		availability.gather(s.Name, s.Availability.Figures...)
	}
	for _, r := range a.Delivery.Repositories {
		repositories.gather(r.Name, r.Figures...)
	}
	for _, s := range a.Delivery.Sites {
		for _, t := range s.Images {
			sites.gather(t.Image+" at "+placeText(s), t.Figures...)
		}
	}
	for _, k := range a.Delivery.Clients {
		clients.gather(strings.Join(k.Workspaces, ", "), k.Figures...)
	}
	group("The whole organization", whole)
	group("Servers", servers)
	group("State databases", states)
	group("Events databases", events)
	group("Availability", availability)
	group("Repositories", repositories)
	group("Delivery", sites)
	group("Clients", clients)
	return c
}

// simulation holds the closed formulas against what was played.
func (a *author) simulation() chapter {
	c := chapter{ID: "simulation", Title: "Simulation"}
	s := a.Simulation
	if s == nil {
		return c
	}
	c.add(paragraph(fmt.Sprintf("%s of %s clients were played for %s from %s on, with seed %d. The closed formulas of this plan stand beside what came out.",
		figure.Number(s.Sample.Played), figure.Number(s.Sample.Clients), figure.Duration(s.Length), figure.Clock(s.From), s.Seed)))
	checks := table{Caption: "Formulas and what came out", Columns: []column{left("About"), left("What"), right("Formula"), right("Simulated"), right("Off by"), left("As expected")}}
	for _, k := range s.Checks {
		formula := k.Text()
		if k.AtMost {
			formula = "at most " + formula
		}
		checks.add(k.About, k.Title, formula, k.Unit.Text(k.Simulated), figure.Percent(math.Round(k.Deviation*1000)/1000), yesNo(k.Within))
	}
	instances := table{Caption: "Instances at their busiest", Columns: []column{left("Instance"), right("Clients"), right("Polls a second"), right("Events a second"), right("Load"), right("Answer, middle").rank(1), right("Answer, 99 %")}}
	outages := table{Caption: "Outages", Columns: []column{left("Instance"), right("Begins at"), right("Lasts"), right("All clients back"), right("Kept events stored"), left("Who could not go on")}}
	for _, in := range s.Instances {
		instances.add(in.Name, in.Clients, figure.Number(in.Most.Polls), figure.Number(in.Most.Events), figure.Percent(in.Most.Load), figure.Duration(in.Answer.Middle), figure.Duration(in.Answer.Most))
		for _, o := range in.Outages {
			var stopped []string
			for _, w := range o.Stopped {
				stopped = append(stopped, fmt.Sprintf("%s with %s", figure.Counted(w.Users, "person", "people"), w.Workspace))
			}
			outages.add(in.Name, figure.Clock(s.From+o.Start), figure.Duration(o.Length), back(o.LastBack), back(o.Drained), cmp.Or(strings.Join(stopped, ", "), "nobody"))
		}
	}
	c.add(checks, instances, outages)
	if r := s.Rollout; r != nil {
		var left points
		for _, l := range r.Left {
			left = append(left, fmt.Sprintf("%s (%s) was left out: %s", l.Site, l.Instance, l.Reason))
		}
		c.add(paragraph("The simulated roll-out was complete after "+back(r.All)+"."), left)
	}
	return c
}

func back(seconds float64) string {
	if seconds < 0 {
		return "more time than was played"
	}
	return figure.Duration(seconds)
}

// sources say where constants come from, each once.
func (a *author) sources() chapter {
	c := chapter{ID: "sources", Title: "Where the figures come from"}
	if o := a.Observed; o != nil {
		c.add(paragraph(fmt.Sprintf("Events, their size and how many clients are on were observed at %s on %s: %s over %s, %s of them on at the same time.",
			o.Server, o.At, figure.Counted(o.Clients, "client", "clients"), figure.Counted(o.Days, "day", "days"), figure.Number(o.Peak))))
	}
	if a.Capacity.Measured {
		text := fmt.Sprintf("That an instance holds %s clients was measured", figure.Number(a.Capacity.Clients))
		if a.Capacity.Hardware != "" {
			text += " on " + a.Capacity.Hardware
		}
		c.add(paragraph(text + "."))
	}
	seen := map[string]bool{}
	by := map[figure.Basis]*table{}
	for _, basis := range []figure.Basis{figure.Classic, figure.Measured, figure.Assumption} {
		by[basis] = &table{Caption: map[figure.Basis]string{
			figure.Classic: "From the classic guide", figure.Measured: "Measured on Dormer", figure.Assumption: "Assumed; change them in the file where you know better",
		}[basis], Columns: []column{left("Source"), left("Figures")}}
	}
	used := map[string][]string{}
	var order []figure.Figure
	for _, f := range a.all() {
		t, known := by[f.Basis]
		if t == nil || !known || f.Source == "" {
			continue
		}
		key := string(f.Basis) + "\x00" + f.Source
		if !seen[key+"\x00"+f.Title] {
			seen[key+"\x00"+f.Title] = true
			if used[key] == nil {
				order = append(order, f)
			}
			used[key] = append(used[key], f.Title)
		}
	}
	for _, f := range order {
		by[f.Basis].add(f.Source, strings.Join(used[string(f.Basis)+"\x00"+f.Source], ", "))
	}
	c.add(*by[figure.Classic], *by[figure.Measured], *by[figure.Assumption])
	return c
}

// all are the figures of the plan.
func (a *author) all() []figure.Figure {
	out := slices.Clone(a.Scope.Figures)
	for _, s := range a.Sizing {
		out = slices.Concat(out, s.Server.Figures, s.State.Figures, s.Events.Figures, s.Availability.Figures)
	}
	for _, r := range a.Delivery.Repositories {
		out = append(out, r.Figures...)
	}
	for _, s := range a.Delivery.Sites {
		for _, t := range s.Images {
			out = append(out, t.Figures...)
		}
	}
	for _, k := range a.Delivery.Clients {
		out = append(out, k.Figures...)
	}
	return out
}
