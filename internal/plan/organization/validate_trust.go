package organization

import (
	"slices"
	"strings"

	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/name"
)

// domains checks forests and what trusts name.
func (c *checker) domains(domains []Domain) {
	above := make([]int, len(domains))
	for i, d := range domains {
		at := document.Index("spec.domains", i)
		above[i] = -1
		if c.refers(at+".parent", d.Parent, c.names.domains) && d.Parent != "" {
			if above[i] = c.names.domains.at[name.Fold(d.Parent)]; above[i] == i {
				c.add(at+".parent", "is the domain itself; leave parent out at the top of a forest")
				above[i] = -1
			}
		}
		first := map[string]int{}
		for j, t := range d.Trusts {
			p := document.Index(at+".trusts", j) + ".domain"
			if name.Fold(t.Domain) == name.Fold(d.Name) {
				c.add(p, "is the domain itself, which always accepts its own people")
				continue
			}
			if before, ok := first[name.Fold(t.Domain)]; ok {
				c.add(p, "is trusted by %s already", document.Index(at+".trusts", before))
				continue
			}
			first[name.Fold(t.Domain)] = j
			c.refers(p, t.Domain, c.names.domains)
		}
		c.list(at+".distrusts", d.Distrusts, c.names.domains)
		for j, other := range d.Distrusts {
			if name.Fold(other) == name.Fold(d.Name) {
				c.add(document.Index(at+".distrusts", j), "is the domain itself, which always accepts its own people")
			}
		}
	}
	for _, circle := range circles(above) {
		c.add(document.Index("spec.domains", circle[0])+".parent", "the domains are above each other in a circle: %s",
			chain(circle, func(i int) string { return domains[i].Name }))
	}
}

// trusts checks that nothing brings about what a domain distrusts.
func (c *checker) trusts(domains []Domain) {
	if !slices.ContainsFunc(domains, func(d Domain) bool { return len(d.Distrusts) > 0 }) {
		return
	}
	accepts, w := accepted(domains), newWeb(domains)
	for i, d := range domains {
		for j, other := range d.Distrusts {
			of := w.find(other)
			if !accepts[i][of] || c.full() {
				continue
			}
			c.add(document.Index(document.Index("spec.domains", i)+".distrusts", j),
				"contradicts the rest of the file, by which %s accepts people of %s: %s", d.Name, domains[of].Name, w.why(i, of))
		}
	}
}

// web is who trusts whom, to say why one domain accepts people of another.
type web struct {
	domains []Domain
	at      map[string]int
	forest  []int
	// over are the transitive trusts that lead out of each forest, by the number
	// of its root.
	over [][]trustEdge
}

// trustEdge is a transitive trust: domain by of one forest accepts domain of.
type trustEdge struct {
	by, of int
	back   bool // it follows from a trust of domain of that goes both ways
}

func newWeb(domains []Domain) *web {
	w := &web{domains: domains, at: map[string]int{}, over: make([][]trustEdge, len(domains))}
	for i, d := range domains {
		w.at[name.Fold(d.Name)] = i
	}
	w.forest = forests(domains, func(s string) (int, bool) { i, ok := w.at[name.Fold(s)]; return i, ok })
	for i, d := range domains {
		for _, t := range d.Trusts {
			if !value(t.Transitive, false) {
				continue
			}
			j := w.find(t.Domain)
			w.over[w.forest[i]] = append(w.over[w.forest[i]], trustEdge{by: i, of: j})
			if value(t.BothWays, true) {
				w.over[w.forest[j]] = append(w.over[w.forest[j]], trustEdge{by: j, of: i, back: true})
			}
		}
	}
	return w
}

func (w *web) find(s string) int { return w.at[name.Fold(s)] }

// why says why domain d accepts people of domain of; nothing if it does not.
// Of several reasons it gives the shortest.
func (w *web) why(d, of int) string {
	if w.forest[d] == w.forest[of] {
		return "both are in the forest of " + w.domains[w.forest[d]].Name
	}
	for _, t := range w.domains[d].Trusts {
		if w.find(t.Domain) == of {
			return w.domains[d].Name + " trusts " + w.domains[of].Name
		}
	}
	for _, t := range w.domains[of].Trusts {
		if w.find(t.Domain) == d && value(t.BothWays, true) {
			return w.domains[of].Name + " and " + w.domains[d].Name + " trust each other both ways"
		}
	}
	var links []string
	at := d
	for _, e := range w.way(w.forest[d], w.forest[of]) {
		if e.by != at {
			links = append(links, w.domains[at].Name+" and "+w.domains[e.by].Name+" are in one forest")
		}
		link := w.domains[e.by].Name + " trusts " + w.domains[e.of].Name + " transitively"
		if e.back {
			link = w.domains[e.of].Name + " and " + w.domains[e.by].Name + " trust each other both ways and transitively"
		}
		links = append(links, link)
		at = e.of
	}
	if links != nil && at != of {
		links = append(links, w.domains[at].Name+" and "+w.domains[of].Name+" are in one forest")
	}
	return strings.Join(links, "; ")
}

// way is the fewest transitive trusts that lead from one forest to another.
func (w *web) way(from, to int) []trustEdge {
	came := map[int]trustEdge{}
	for queue := []int{from}; len(queue) > 0; queue = queue[1:] {
		for _, e := range w.over[queue[0]] {
			next := w.forest[e.of]
			if _, ok := came[next]; !ok && next != from {
				came[next] = e
				queue = append(queue, next)
			}
		}
	}
	var out []trustEdge
	for at := to; at != from; {
		e, ok := came[at]
		if !ok {
			return nil
		}
		out = append(out, e)
		at = w.forest[e.by]
	}
	slices.Reverse(out)
	return out
}
