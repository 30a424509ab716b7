package placement

import (
	"fmt"
	"slices"

	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// reasons say why an instance is there and why it is not one with another.
func (t *terms) reasons(all []placed, i int) []Reason {
	p := &all[i]
	var out []Reason
	if i == 0 {
		text := "There is always one instance."
		if len(all) > 1 {
			text = "There is always one instance: this one is counted first."
		}
		out = append(out, Reason{Condition: Assumed, Text: text})
	}
	if p.Network != organization.Connected {
		n := t.Networks[p.Network]
		out = append(out, Reason{Condition: Network, About: n.Name, Text: fmt.Sprintf(
			"Nothing from outside reaches network %s%s: its %s served from within.", n.Name, given(n.Reason), figure.Counted(p.Users, "person is", "people are"))})
	}
	for _, at := range p.circle.alone {
		d := t.Demands[at]
		out = append(out, Reason{Condition: condition(d), About: d.Name, Text: fmt.Sprintf(
			"%s (%s): nobody else may be on an instance of these people%s.", d.Name, d.Kind, because(d))})
	}
	if p.demand >= 0 {
		d := t.Demands[p.demand]
		out = append(out, Reason{Condition: condition(d), About: d.Name, Text: fmt.Sprintf(
			"%s: data may not leave %s, so the server, its databases and its repository stand there%s.%s", d.Name, p.Country, because(d), t.guests(p, len(all)))})
	}
	var together []*placed // that capacity alone keeps apart
	domain, country := -1, -1
	for j := range all {
		if j == i || all[j].circle != p.circle {
			continue
		}
		switch why, _ := t.apart(p, &all[j]); {
		case why == Capacity:
			together = append(together, &all[j])
		case why == Domain && domain < 0:
			domain = j
		case why == Law || why == Organization:
			country = j
		}
	}
	if domain >= 0 {
		_, text := t.apart(p, &all[domain])
		out = append(out, Reason{Condition: Domain, About: p.Domain, Text: text()})
	} else if country >= 0 && len(out) == 0 {
		_, text := t.apart(p, &all[country])
		out = append(out, Reason{Condition: condition(t.Demands[all[country].demand]), About: t.Demands[all[country].demand].Name, Text: text()})
	}
	if len(together) > 0 {
		out = append(out, Reason{Condition: Capacity, Text: t.divided(p, together)})
	}
	if !slices.Contains(p.domains, p.home) && len(p.Parts) > 0 {
		out = append(out, Reason{Condition: Domain, About: p.Domain, Text: fmt.Sprintf(
			"%s accepts the people of %s, and none of these accepts all of them: the server stands in that domain, which must be reached from %s.", p.Domain, list(p.Accepts), p.SiteName)})
	}
	return out
}

// guests says why an instance that must stand in a country serves people who
// need not be served there.
func (t *terms) guests(p *placed, instances int) string {
	d := t.Demands[p.demand]
	others := 0
	for _, part := range p.Parts {
		if t.Sites[t.Groups[part.Group].Site].Country != p.Country && !slices.Contains(d.Groups, part.Group) {
			others += part.Active
		}
	}
	if d.Alone || others == 0 {
		return ""
	}
	more, ok := t.alone[p.demand]
	if !ok {
		apart := *t
		apart.Demands = slices.Clone(t.Demands)
		apart.Demands[p.demand].Alone = true
		more, _ = apart.count()
		t.alone[p.demand] = more
	}
	if more <= instances {
		return ""
	}
	return fmt.Sprintf(" It serves %s from elsewhere as well: to serve everybody else apart takes %s instead of %s.",
		figure.Counted(others, "client", "clients"), figure.Counted(more, "instance", "instances"), figure.Number(instances))
}

func given(reason string) string { return because(organization.Demand{Reason: reason}) }

// divided says how capacity makes several instances of what could be one.
func (t *terms) divided(p *placed, others []*placed) string {
	sum, holds := p.Active, t.Capacity.Clients
	for _, o := range others {
		sum += o.Active
	}
	n := len(others) + 1
	text := fmt.Sprintf("%s who could be served together are more than the %s that one instance holds%s: ", figure.Counted(sum, "active client", "active clients"), figure.Number(holds), t.measured())
	if begun(sum, holds) == n {
		text += fmt.Sprintf("ceil(%s / %s) = %s instances", figure.Number(sum), figure.Number(holds), figure.Number(n))
	} else {
		text += figure.Number(n) + " instances share them"
	}
	return text + fmt.Sprintf(", of which this one holds %s.", figure.Number(p.Active))
}

// apart says which condition keeps two instances from being one, and the words
// for that, of which most pairs need none.
func (t *terms) apart(a, b *placed) (Condition, func() string) {
	if a.Network != b.Network {
		n := a.Network
		if b.Network != organization.Connected {
			n = b.Network
		}
		return Network, func() string {
			return fmt.Sprintf("Nothing from outside reaches network %s.", t.Networks[n].Name)
		}
	}
	if only := difference(a.circle.alone, b.circle.alone); len(only) > 0 {
		names := make([]string, len(only))
		for i, d := range only {
			names[i] = t.Demands[d].Name
		}
		return condition(t.Demands[only[0]]), func() string {
			return fmt.Sprintf("%s: nobody else may be on the instance of these people.", list(names))
		}
	}
	if a.demand >= 0 && b.demand >= 0 && a.Country != b.Country {
		return condition(t.Demands[b.demand]), func() string {
			return fmt.Sprintf("%s: data of one may not leave %s, data of the other one may not leave %s.",
				list([]string{t.Demands[a.demand].Name, t.Demands[b.demand].Name}), a.Country, b.Country)
		}
	}
	if both := union(a.domains, b.domains); !t.common(both) {
		for _, x := range a.domains {
			for _, y := range b.domains {
				if !t.common([]int{x, y}) {
					return Domain, func() string {
						return fmt.Sprintf("No domain accepts people of both %s and %s.", t.Domains[x], t.Domains[y])
					}
				}
			}
		}
		names := make([]string, len(both))
		for i, d := range both {
			names[i] = t.Domains[d]
		}
		return Domain, func() string {
			return fmt.Sprintf("No domain accepts people of all of %s.", list(names))
		}
	}
	return Capacity, func() string {
		return fmt.Sprintf("%s + %s = %s active clients, and one instance holds %s.",
			figure.Number(a.Active), figure.Number(b.Active), figure.Number(a.Active+b.Active), figure.Number(t.Capacity.Clients))
	}
}

// difference is what is in one of two but not in both, ascending.
func difference(a, b []int) []int {
	return slices.DeleteFunc(union(a, b), func(x int) bool { return slices.Contains(a, x) && slices.Contains(b, x) })
}

func union(a, b []int) []int {
	both := slices.Concat(a, b)
	slices.Sort(both)
	return slices.Compact(both)
}

// allPairs is up to how many instances each pair is told apart. Of more
// instances each is told apart from the first one that it could be one with but
// for its own reason.
const allPairs = 12

// splits say which condition keeps instances apart.
func (t *terms) splits(all []placed) []Split {
	out := []Split{}
	add := func(i, j int) Condition {
		why, text := t.apart(&all[i], &all[j])
		s := Split{Between: [2]string{all[i].Name, all[j].Name}, Condition: why, Text: text()}
		switch a, b := &all[i], &all[j]; why {
		case Network:
			s.About = b.NetworkName
			if b.Network == organization.Connected {
				s.About = a.NetworkName
			}
		case Organization, Law:
			if only := difference(a.circle.alone, b.circle.alone); len(only) > 0 {
				s.About = t.Demands[only[0]].Name
			} else {
				s.About = t.Demands[b.demand].Name
			}
		case Domain:
			s.About = b.Domain
		}
		out = append(out, s)
		return why
	}
	for j := range all {
		if len(all) > allPairs {
			// the nearest before it: of its part, of its circle, else the first
			i := 0
			for k := range j {
				if all[k].circle == all[j].circle && (all[k].part == all[j].part || all[i].circle != all[j].circle) {
					i = k
				}
			}
			if i != j {
				add(i, j)
			}
			continue
		}
		for i := range j {
			add(i, j)
		}
	}
	return out
}

// unproven says that there might be fewer.
func (t *terms) unproven(p *Placement) []string {
	return []string{fmt.Sprintf(
		"The guide counts %s, and these %s satisfy all conditions. Whether fewer would was not found out in the time that a plan takes: the trusts between the domains allow too many ways.",
		figure.Number(p.Classic.Count), figure.Number(len(p.Instances)))}
}
