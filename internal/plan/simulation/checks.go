package simulation

import (
	"math"

	"github.com/dormer-project/dormer/internal/plan/figure"
)

// instance is the result of a day.
func (d *day) instance() Instance {
	out := Instance{
		Name: d.spec.Name, Clients: d.spec.Active, Played: len(d.clients), Cores: len(d.server.free), Step: d.step,
		Answer: Answer{Middle: tidy(d.answer.below(0.5)), Most: tidy(d.answer.below(0.99)), Max: tidy(d.answer.most)},
		Polls:  whole(d.totals.polls), Failed: whole(d.totals.failed), Created: whole(d.totals.created), Stored: whole(d.totals.stored),
		Journalled: whole(d.held()), Lost: whole(d.totals.lost),
	}
	for _, p := range d.points {
		p = Point{At: tidy(p.At), Polls: tidy(p.Polls), Events: tidy(p.Events), Online: math.Round(p.Online), Load: tidy(p.Load), Held: math.Round(p.Held)}
		out.Points = append(out.Points, p)
		m := &out.Most
		m.At = p.At
		m.Polls, m.Events, m.Online = max(m.Polls, p.Polls), max(m.Events, p.Events), max(m.Online, p.Online)
		m.Load, m.Held = max(m.Load, p.Load), max(m.Held, p.Held)
	}
	for i := range d.outages {
		o := &d.outages[i]
		r := Recovery{Start: tidy(o.start - d.from), Length: tidy(o.end - o.start), Backlog: whole(o.backlog), LastBack: tidy(o.back), Drained: tidy(o.done)}
		if !o.over {
			r.Backlog = whole(d.held() - o.held)
		}
		for k, s := range o.stopped {
			if users := int(math.Round(s.people)); users > 0 {
				r.Stopped = append(r.Stopped, Stopped{Workspace: d.m.Workspaces[k].Name, Users: users, First: tidy(s.first), Hours: tidy(s.seconds / 3600)})
			}
		}
		out.Outages = append(out.Outages, r)
	}
	return out
}

// tidy rounds to five digits that count, so that results are readable and no
// larger than they are certain.
func tidy(x float64) float64 {
	if x == 0 || math.IsInf(x, 0) || math.IsNaN(x) {
		return x
	}
	scale := math.Pow(10, 4-math.Floor(math.Log10(math.Abs(x))))
	return math.Round(x*scale) / scale
}

func whole(x float64) int64 { return int64(math.Round(x)) }

// chance is a tolerance for a count of random things of which the sample had so
// many: two per cent, and four times its standard error.
func chance(n float64) float64 { return 0.02 + 4/math.Sqrt(max(n, 1)) }

// checks hold the closed formulas against the day.
func (d *day) checks() []Check {
	var out []Check
	about := d.spec.Name
	clients, perDay, hours := figure.In(figure.Clients, d.spec.Active), figure.N(d.m.Events.PerDay), figure.N(d.m.Events.Hours)
	interval := figure.In(figure.Seconds, d.poll)
	if d.spec.Active == 0 {
		return nil
	}
	if span := d.steady.plateau.seconds(); span > 3*d.poll {
		f := figure.Work("simulation.polls", "Polls a second while everybody is on", figure.PerSec, "{clients} / {poll interval}", clients, interval)
		out = append(out, held(f, about, d.steady.plateau.polls/span, 0.02+2/math.Sqrt(span/d.poll*float64(len(d.clients))), false))
	}
	if days := (d.until - d.from) / daySeconds; days == math.Floor(days) && len(d.outages) == 0 {
		f := figure.Work("simulation.writes", "Events stored a second, average of the day", figure.PerSec,
			"{clients} x {events a day} / 86,400", clients, perDay)
		n := float64(d.m.Events.PerDay) * days * float64(len(d.clients))
		out = append(out, held(f, about, d.totals.stored/(d.until-d.from), chance(n), false))
	}
	if w := &d.steady.spell; w.seconds() >= d.poll {
		f := figure.Work("simulation.writes.peak", "Events stored a second at the busiest time", figure.PerSec,
			"{clients} x {events a day} / ({busy hours} x 3,600) x (1 + {bursts})", clients, perDay, hours, figure.In(figure.Share, d.m.Events.Bursts))
		out = append(out, held(f, about, w.stored/w.seconds(), chance(w.played), false))
	}
	if w := &d.steady.calm; w.seconds() > 3*d.poll {
		usual := figure.Amount{Value: d.curve.rest * daySeconds, Text: figure.Number(d.curve.rest * daySeconds)}
		f := measured(figure.Work("simulation.load", "Share of the server's processors while nothing is wrong", figure.Share,
			"({clients} / {poll interval} x {a poll} + {clients} x {events a day at that pace} / 86,400 x {an event}) / {cores}",
			clients, interval, figure.In(figure.Seconds, PollCost), usual, figure.In(figure.Seconds, EventCost), figure.N(len(d.server.free))))
		out = append(out, held(f, about, w.busy/w.seconds()/float64(len(d.server.free)), 0.03+chance(w.played+w.polls), false))
	}
	for i := range d.outages {
		out = append(out, d.outageChecks(&d.outages[i], clients, perDay)...)
	}
	return out
}

// outageChecks are those of an outage in the time in which everybody is on.
func (d *day) outageChecks(o *outage, clients, perDay figure.Amount) []Check {
	var out []Check
	from, until := d.curve.plateau()
	midnight := math.Floor(o.start/daySeconds) * daySeconds
	if !o.over || o.start < midnight+from || o.end > midnight+until {
		return nil
	}
	part := (d.curve.expected(morning, o.end) - d.curve.expected(morning, o.start)) / d.curve.perDay
	f := figure.Work("simulation.backlog", "Events that come together in an outage", figure.Count,
		"{clients} x {events a day} x {share of a day's events in that time}", clients, perDay, figure.Amount{Value: part, Text: figure.Percent(part)})
	if d.totals.lost == 0 {
		n := float64(len(d.clients)) * part * d.curve.perDay
		out = append(out, held(f, d.spec.Name, o.backlog, chance(n), false))
	}
	longest := figure.In(figure.Seconds, longestPause(o.end-o.start))
	out = append(out, d.stoppedChecks(o, longest.Value)...)
	if o.back < 0 || o.done < 0 {
		return out
	}
	f = figure.Work("simulation.back", "Time until the last client is back after an outage", figure.Seconds, "1.25 x {longest pause}", longest)
	out = append(out, held(f, d.spec.Name, o.back, 0.02, true))
	events := figure.N(math.Round(o.backlog))
	cost := figure.In(figure.Seconds, EventCost)
	each := perDay.Value * part
	rounds := figure.N(math.Ceil((each + 4*math.Sqrt(each)) / pollEvents))
	f = measured(figure.Work("simulation.drained", "Time until everything that was kept is stored", figure.Seconds,
		"1.25 x {longest pause} + {polls that it takes} x 1 + ({clients} x {a poll} + {events} x {an event}) / {cores}",
		longest, rounds, clients, figure.In(figure.Seconds, PollCost), events, cost, figure.N(len(d.server.free))))
	return append(out, held(f, d.spec.Name, o.done, 0.02, true))
}

// stoppedChecks are about workspaces whose off-line limits are clearly reached
// by everybody, or by nobody; in between it is a matter of chance.
func (d *day) stoppedChecks(o *outage, longest float64) []Check {
	var out []Check
	people, limits := make([]float64, len(d.m.Workspaces)), make([]float64, len(d.m.Workspaces))
	for _, c := range d.crowds {
		for _, l := range c.limited {
			people[l.workspace] += l.share * float64(c.part.Active)
			limits[l.workspace] = l.seconds
		}
	}
	for i, n := range people {
		lasts := o.end - o.start
		everybody := lasts >= limits[i]
		nobody := lasts+d.poll*(1+pollJitter)+longest*(1+retryJitter) < limits[i]*(1-renewal)
		if n == 0 || everybody == nobody {
			continue
		}
		title := "People whom an outage stops in " + d.m.Workspaces[i].Name
		words := "{people with it, since the outage is longer than the off-line limit}"
		if nobody {
			words, n = "{none, since the outage is shorter than the off-line limit}", 0
		}
		f := figure.Work("simulation.stopped", title, figure.Count, words, figure.N(math.Round(n)))
		out = append(out, held(f, d.spec.Name, o.stopped[i].people, 0.01, false))
	}
	return out
}
