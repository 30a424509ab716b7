package placement

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// classic counts instances by the procedure of the classic guide.
func (t *terms) classic() Classic {
	steps := []Step{
		{Condition: Assumed, Adds: 1, Numbers: "1", Reason: "The count begins with one instance."},
		t.classicCapacity(),
	}
	steps = append(steps, t.classicDomains()...)
	for n, network := range t.Networks {
		if users := t.users(func(g int) bool { return t.Groups[g].Network == n }); users >= 0 {
			steps = append(steps, Step{Condition: Network, About: network.Name, Adds: 1, Numbers: "1", Reason: fmt.Sprintf(
				"Nothing from outside reaches network %s: one more for its %s.", network.Name, figure.Counted(users, "person", "people"))})
		}
	}
	for _, c := range []Condition{Organization, Law} {
		for i, d := range t.Demands {
			if condition(d) != c || !t.counted(i) {
				continue
			}
			users := t.usersOf(d.Groups)
			steps = append(steps, Step{Condition: c, About: d.Name, Adds: 1, Numbers: "1", Reason: fmt.Sprintf(
				"%s (%s): one more for its %s%s.", d.Name, d.Kind, figure.Counted(users, "person", "people"), because(d))})
		}
	}
	out := Classic{Steps: steps}
	for _, s := range steps {
		out.Count += s.Adds
	}
	return out
}

// condition is the one that a demand is counted as.
func condition(d organization.Demand) Condition {
	if d.Kind == organization.Law {
		return Law
	}
	return Organization
}

// because is the reason that the file gives for a demand.
func because(d organization.Demand) string {
	if d.Reason == "" {
		return ""
	}
	return " (" + strings.TrimRight(d.Reason, ". ") + ")"
}

// users are those of some groups; -1 where none of them has people.
func (t *terms) users(in func(g int) bool) int {
	n := -1
	for g := range t.Groups {
		if t.people(g) && in(g) {
			n = max(n, 0) + t.Groups[g].Users
		}
	}
	return n
}

// usersOf are those of a list of groups.
func (t *terms) usersOf(groups []int) int {
	n := 0
	for _, g := range groups {
		n += t.Groups[g].Users
	}
	return n
}

func (t *terms) classicCapacity() Step {
	n, holds := t.active(), t.Capacity.Clients
	s := Step{Condition: Capacity, Adds: max(0, begun(n-holds, holds))}
	s.Numbers = fmt.Sprintf("ceil((%s - %s) / %s)", figure.Number(n), figure.Number(holds), figure.Number(holds))
	if n < holds {
		s.Numbers = "max(0, " + s.Numbers + ")"
	}
	switch {
	case n <= holds:
		s.Reason = fmt.Sprintf("%s are no more than the %s that one instance holds", figure.Counted(n, "concurrently active client", "concurrently active clients"), figure.Number(holds))
	default:
		s.Reason = fmt.Sprintf("%s: beyond the first %s, one more for every %s begun", figure.Counted(n, "concurrently active client", "concurrently active clients"), figure.Number(holds), figure.Number(holds))
	}
	s.Reason += t.measured() + "."
	return s
}

// measured says where the capacity comes from when it is not the guide's.
func (t *terms) measured() string {
	switch {
	case !t.Capacity.Measured:
		return ""
	case t.Capacity.Hardware == "":
		return fmt.Sprintf(" (%s is a capacity that was measured, in place of the guide's %s)", figure.Number(t.Capacity.Clients), figure.Number(organization.ClassicCapacity))
	default:
		return fmt.Sprintf(" (%s is the capacity that was measured on %s, in place of the guide's %s)",
			figure.Number(t.Capacity.Clients), t.Capacity.Hardware, figure.Number(organization.ClassicCapacity))
	}
}

// trustGroup is domains with people that one domain accepts.
type trustGroup struct {
	home    int
	domains []int
}

// trustGroups are the fewest groups of domains with people such that one
// domain, of theirs or another one, accepts all of each. The first is that of
// the first domain with people: the assumed instance stands in its home.
func (t *terms) trustGroups() []trustGroup {
	one := *t
	one.Groups = slices.Clone(t.Groups)
	for g := range one.Groups {
		one.Groups[g].Network = organization.Connected
	}
	one.Demands, one.Capacity.Clients = nil, 0
	circles := one.circles()
	if len(circles) == 0 {
		return nil
	}
	c := &circles[0]
	slices.SortFunc(c.parties, func(a, b party) int { return a.domain - b.domain })
	homes := one.homes(c)
	var chosen []int
	for i, n := range one.cover(c).smallest(t.work).counts {
		if n > 0 {
			chosen = append(chosen, homes[i])
		}
	}
	var out []trustGroup
	left := slices.Clone(c.parties)
	for len(left) > 0 {
		accepts := func(home int) bool { return t.accepts[home][left[0].domain] }
		at := slices.IndexFunc(chosen, func(home int) bool { return home == left[0].domain })
		if at < 0 {
			at = slices.IndexFunc(chosen, accepts)
		}
		g := trustGroup{home: chosen[at]}
		chosen = slices.Delete(chosen, at, at+1)
		left = slices.DeleteFunc(left, func(p party) bool {
			in := t.accepts[g.home][p.domain]
			if in {
				g.domains = append(g.domains, p.domain)
			}
			return in
		})
		out = append(out, g)
	}
	return out
}

func (t *terms) classicDomains() []Step {
	groups := t.trustGroups()
	var out []Step
	for i, g := range groups {
		if i == 0 {
			continue
		}
		names := make([]string, len(g.domains))
		for j, d := range g.domains {
			names[j] = t.Domains[d]
		}
		users := t.users(func(at int) bool { return slices.Contains(g.domains, t.Groups[at].Domain) })
		out = append(out, Step{Condition: Domain, About: t.Domains[about(g)], Adds: 1, Numbers: "1", Reason: fmt.Sprintf(
			"%s, where the first instance stands, does not accept the %s of %s: one more for them.",
			t.Domains[groups[0].home], figure.Counted(users, "person", "people"), list(names))})
	}
	return out
}

// about is the domain that a group is called by: the one that accepts the
// others, if it has people.
func about(g trustGroup) int {
	if slices.Contains(g.domains, g.home) {
		return g.home
	}
	return g.domains[0]
}
