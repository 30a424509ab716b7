package placement

import (
	"fmt"
	"strings"

	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// call names instances: after their network and the demands that keep them
// apart, else after the site of their server; people whom the domain of most
// others does not accept, after their own domain. Where that is the same for
// several, the site and then a number is added.
func (t *terms) call(all []placed) {
	main := t.mainPart(all)
	for i := range all {
		p := &all[i]
		var words []string
		if p.Network != organization.Connected {
			words = append(words, p.NetworkName)
		}
		for _, d := range p.circle.alone {
			words = append(words, t.Demands[d].Name)
		}
		switch {
		case len(words) > 0:
			p.Name = strings.Join(words, ", ")
		case p.part == main:
			p.Name = p.SiteName
		default:
			p.Name = t.Domains[p.home]
		}
	}
	repeat(all, func(p *placed, _ int) string {
		if p.Name == p.SiteName {
			return p.Name
		}
		return p.Name + ", " + p.SiteName
	})
	repeat(all, func(p *placed, n int) string { return fmt.Sprintf("%s %d", p.Name, n) })
	// A site may be called as another one with a number.
	taken := map[string]bool{}
	for i := range all {
		called := all[i].Name
		for n := 2; taken[name.Fold(all[i].Name)]; n++ {
			all[i].Name = fmt.Sprintf("%s (%d)", called, n)
		}
		taken[name.Fold(all[i].Name)] = true
	}
}

// mainPart is the part of the connected people for whom nothing else is
// demanded that has most users.
func (t *terms) mainPart(all []placed) int {
	users := map[int]int{}
	best := -1
	for _, p := range all {
		if p.Network == organization.Connected && len(p.circle.alone) == 0 {
			users[p.part] += p.Users
			if best < 0 || users[p.part] > users[best] {
				best = p.part
			}
		}
	}
	return best
}

// repeat gives each instance that shares its name another one; n counts those
// of a name from 1.
func repeat(all []placed, other func(p *placed, n int) string) {
	times, seen := map[string]int{}, map[string]int{}
	for i := range all {
		times[name.Fold(all[i].Name)]++
	}
	for i := range all {
		key := name.Fold(all[i].Name)
		if times[key] > 1 {
			seen[key]++
			all[i].Name = other(&all[i], seen[key])
		}
	}
}
