package placement

import (
	"fmt"
	"slices"

	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// difference explains why the guide's number and the smallest one are not the
// same: conditions are taken in one after the other, in the guide's order but
// with capacity last, and what each adds to the smallest number is held against
// what the guide counts for it. What differs adds up to the difference.
func (t *terms) difference(classic Classic, instances int) []string {
	now := *t
	now.Groups = slices.Clone(t.Groups)
	for g := range now.Groups {
		now.Groups[g].Network = organization.Connected
	}
	now.Demands, now.Capacity.Clients = nil, 0
	var out []string
	// Trust alone is counted alike by both.
	before, _ := now.count()
	add := func(next terms, counted int, why func(adds int) string) {
		after, _ := next.count()
		if adds := after - before; adds != counted {
			out = append(out, why(adds))
		}
		now, before = next, after
	}
	for n := range t.Networks {
		if t.users(func(g int) bool { return t.Groups[g].Network == n }) < 0 {
			continue
		}
		next := now
		next.Groups = slices.Clone(now.Groups)
		for g := range next.Groups {
			if t.Groups[g].Network == n {
				next.Groups[g].Network = n
			}
		}
		cut := func(g int) bool { return t.Groups[g].Network == n }
		add(next, 1, func(adds int) string {
			return fmt.Sprintf("Network %s: the guide counts one, here it is %s%s.", t.Networks[n].Name, more(adds), now.merged(&next, cut, adds))
		})
	}
	for _, kind := range []Condition{Organization, Law} {
		for i, d := range t.Demands {
			if condition(d) != kind || !t.counted(i) {
				continue
			}
			next := now
			next.Demands = append(slices.Clone(now.Demands), d)
			cut := func(g int) bool { return slices.Contains(d.Groups, g) }
			add(next, 1, func(adds int) string {
				why := now.merged(&next, cut, adds)
				if !d.Alone && adds == 0 {
					why = fmt.Sprintf(": an instance in %s meets it, and may serve others as well", d.Country)
				}
				return fmt.Sprintf("%s: the guide counts one, here it is %s%s.", d.Name, more(adds), why)
			})
		}
	}
	next := now
	next.Capacity = t.Capacity
	capacity := classic.Steps[1].Adds
	add(next, capacity, func(adds int) string {
		return fmt.Sprintf("Capacity: the guide divides all %s by %s and counts %s, here it is %s: %s.",
			figure.Counted(t.active(), "client", "clients"), figure.Number(t.Capacity.Clients), more(capacity), more(adds), t.byParts())
	})
	switch {
	case len(out) == 0:
		return nil
	case classic.Count == instances:
		return append([]string{fmt.Sprintf("Both answers are %s, but not for the same reasons.", figure.Number(instances))}, out...)
	case classic.Count < instances:
		return append([]string{fmt.Sprintf("The guide counts %s, and %s needed.", figure.Number(classic.Count), figure.Counted(instances, "is", "are"))}, out...)
	default:
		return append([]string{fmt.Sprintf("The guide counts %s, and %s enough.", figure.Number(classic.Count), figure.Counted(instances, "is", "are"))}, out...)
	}
}

func more(n int) string {
	switch n {
	case 0:
		return "none"
	case 1:
		return "one"
	default:
		return figure.Number(n)
	}
}

// merged says why a condition about some people adds not one instance, but
// none, or several. The terms are those before it; next those with it.
func (t *terms) merged(next *terms, cut func(g int) bool, adds int) string {
	var whole, some []string // circles before that the condition takes wholly, or a part of
	for _, c := range t.circles() {
		in, out := 0, 0
		for _, p := range c.parties {
			for _, g := range p.groups {
				if cut(g) {
					in++
				} else {
					out++
				}
			}
		}
		switch {
		case in == 0:
		case out == 0:
			whole = append(whole, t.circleName(&c))
		default:
			some = append(some, t.circleName(&c))
		}
	}
	if adds <= 0 {
		if gone := t.wholeDomains(cut); len(gone) > 0 && len(some) > 0 {
			return fmt.Sprintf(", for nobody else is in %s, which needs an instance of its own anyway: one meets both", list(gone))
		}
		if len(whole) > 0 {
			return fmt.Sprintf(", for nobody else is left in %s", list(whole))
		}
		return ", for what serves these people is counted already"
	}
	var within []string // circles of theirs that need several for want of trust
	for _, c := range next.circles() {
		if !slices.ContainsFunc(c.parties, func(p party) bool { return slices.ContainsFunc(p.groups, cut) }) {
			continue
		}
		q := next.cover(&c)
		if n := q.smallest(t.work).total(); n > 1 {
			within = append(within, next.partyNames(&c)...)
		}
	}
	switch {
	case len(some)+len(whole) > 1 && len(within) > 0:
		return fmt.Sprintf(", for its people are apart in %s already, and %s cannot be served together", list(slices.Concat(some, whole)), list(unique(within)))
	case len(some)+len(whole) > 1:
		return fmt.Sprintf(", for its people are apart in %s already, and each of these needs its own", list(slices.Concat(some, whole)))
	default:
		return fmt.Sprintf(", for its people of %s cannot be served together", list(unique(within)))
	}
}

// wholeDomains are the domains all of whose people a condition is about, and
// which are accepted where nobody else is.
func (t *terms) wholeDomains(cut func(g int) bool) []string {
	left, gone := make([]bool, len(t.Domains)), make([]bool, len(t.Domains))
	for g, group := range t.Groups {
		if t.people(g) {
			left[group.Domain] = left[group.Domain] || !cut(g)
			gone[group.Domain] = gone[group.Domain] || cut(g)
		}
	}
	var out []string
	for d, domain := range t.Domains {
		if gone[d] && !left[d] {
			out = append(out, domain)
		}
	}
	return out
}

// circleName is how the people of a circle are spoken of.
func (t *terms) circleName(c *circle) string {
	var names []string
	if c.network != organization.Connected {
		names = append(names, "network "+t.Networks[c.network].Name)
	}
	for _, d := range c.alone {
		names = append(names, t.Demands[d].Name)
	}
	if len(names) == 0 {
		return "the connected network"
	}
	return list(names)
}

// partyNames are the domains and countries of a circle's people.
func (t *terms) partyNames(c *circle) []string {
	var out []string
	for _, p := range c.parties {
		called := t.Domains[p.domain]
		if p.country != "" {
			called += " (" + p.country + ")"
		}
		out = append(out, called)
	}
	return out
}

func unique(names []string) []string {
	var out []string
	for _, n := range names {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// byParts shows what those need who hang together, each by themselves, those
// with several instances first.
func (t *terms) byParts() string {
	var large, small []string
	for _, c := range t.circles() {
		q := t.cover(&c)
		parts := q.parts()
		for _, p := range parts {
			n := p.cover.solve(t.work).total()
			text := fmt.Sprintf("%s with %s needs %s", t.partName(&c, q, p, len(parts)), figure.Counted(p.active(), "client", "clients"), figure.Number(n))
			if n > 1 {
				large = append(large, text)
			} else {
				small = append(small, text)
			}
		}
	}
	return "who is apart is divided separately, so that " + list(append(large, small...))
}

func (p part) active() int {
	sum := 0
	for _, n := range p.cover.needs {
		sum += n
	}
	return sum
}

// partName is how people of one of several parts of a circle are spoken of.
func (t *terms) partName(c *circle, q cover, p part, of int) string {
	called := t.circleName(c)
	if of == 1 {
		return called
	}
	var domains []string
	for j, party := range c.parties {
		if slices.ContainsFunc(p.kinds, func(k int) bool { return q.kinds[k][j] }) {
			domains = append(domains, t.Domains[party.domain])
		}
	}
	return fmt.Sprintf("%s (%s)", called, list(unique(domains)))
}
