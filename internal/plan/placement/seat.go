package placement

import (
	"fmt"
	"math"
	"slices"

	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

const (
	// megabyte in bits: ways are compared by how long one takes.
	megabyte = 8_000_000
	// unreachable is longer than any way takes, and an average over all clients of
	// which one has no way is noWay at least, which is longer than any way as well:
	// a megabyte at one bit a second takes 8e6 seconds.
	unreachable = noWay * 1e7
	noWay       = 1e7
)

// distances are how long a megabyte takes from site to site, in seconds:
// over the narrowest usable bandwidth, and the time of a round trip.
type distances struct {
	route func(from, to int) organization.Route
	rows  [][]float64
}

func newDistances(t *terms) *distances {
	return &distances{route: t.Route, rows: make([][]float64, len(t.Sites))}
}

func (d *distances) seconds(from, to int) float64 {
	if d.rows[from] == nil {
		d.rows[from] = make([]float64, len(d.rows))
	}
	s := &d.rows[from][to]
	if *s == 0 {
		*s = travel(d.route(from, to))
	}
	return *s
}

// travel is never zero.
func travel(r organization.Route) float64 {
	if !r.OK {
		return unreachable
	}
	return megabyte/float64(max(r.Usable, 1)) + r.Latency.Seconds() + 1e-9
}

// between is how long it takes there and back.
func (d *distances) between(a, b int) float64 {
	if a == b {
		return 0
	}
	return d.seconds(a, b) + d.seconds(b, a)
}

// seat is where a server stands and why.
type seat struct {
	site int
	text string
}

// seat finds of the allowed sites the one from which a megabyte reaches the
// clients of an instance soonest, on average.
func (t *terms) seat(near *distances, allowed []int, parts []Part) seat {
	weights := map[int]int{}
	var sites []int
	total := 0
	for _, active := range []bool{true, false} {
		if total > 0 {
			break
		}
		for _, p := range parts {
			at, n := t.Groups[p.Group].Site, p.Users
			if active {
				n = p.Active
			}
			if n == 0 {
				continue
			}
			if weights[at] == 0 {
				sites = append(sites, at)
			}
			weights[at] += n
			total += n
		}
	}
	best, second := -1, -1
	average := make([]float64, len(allowed))
	for i, from := range allowed {
		if best >= 0 && t.work.stopped() {
			break
		}
		for _, to := range sites {
			average[i] += float64(weights[to]) * near.seconds(from, to) / float64(total)
		}
		switch {
		case best < 0 || average[i] < average[best]:
			best, second = i, best
		case second < 0 || average[i] < average[second]:
			second = i
		}
	}
	chosen := allowed[best]
	out := seat{site: chosen}
	switch {
	case total == 0:
		out.text = "Nobody is served yet; the first site that may hold servers."
	case len(allowed) == 1:
		out.text = fmt.Sprintf("The only site that the conditions allow. %s", t.reach(chosen, average[best], sites, weights))
	default:
		than := takes(average[second])
		if than == takes(average[best]) {
			than = "it takes hardly longer"
		}
		out.text = fmt.Sprintf("Nearest to its clients of the %s sites that the conditions allow. %s From %s, the next best, %s.",
			figure.Number(len(allowed)), t.reach(chosen, average[best], sites, weights), t.Sites[allowed[second]].Name, than)
	}
	return out
}

func takes(seconds float64) string {
	if seconds >= noWay {
		return "some of them cannot be reached"
	}
	return "a megabyte takes " + figure.Duration(seconds)
}

// reach says how its clients reach a seat: on average, and over the links that
// serve most.
func (t *terms) reach(seat int, average float64, sites []int, weights map[int]int) string {
	if len(sites) == 1 && sites[0] == seat {
		return fmt.Sprintf("All %s are here.", figure.Counted(weights[seat], "client", "clients"))
	}
	text := fmt.Sprintf("From here a megabyte takes %s on average (8 Mbit / usable bandwidth + round trip, over all clients)", figure.Duration(average))
	if average >= noWay {
		text = "From here no link leads to some of them"
	}
	if here := weights[seat]; here > 0 {
		text += fmt.Sprintf("; %s here", figure.Counted(here, "client", "clients"))
	}
	far := slices.DeleteFunc(slices.Clone(sites), func(s int) bool { return s == seat })
	slices.SortStableFunc(far, func(a, b int) int { return weights[b] - weights[a] })
	const most = 3
	for i, s := range far {
		if i == most {
			text += "; " + figure.Counted(len(far)-most, "more site", "more sites")
			break
		}
		r := t.Route(seat, s)
		if !r.OK {
			text += fmt.Sprintf("; %s in %s without a link", figure.Number(weights[s]), t.Sites[s].Name)
			continue
		}
		text += fmt.Sprintf("; %s in %s over %s usable, %s", figure.Number(weights[s]), t.Sites[s].Name, rate(r.Usable), figure.Duration(r.Latency.Seconds()))
	}
	return text + "."
}

func rate(r document.Rate) string { return figure.Rate(math.Round(float64(r))) }
