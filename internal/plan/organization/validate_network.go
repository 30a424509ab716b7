package organization

import (
	"slices"

	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/plan/figure"
)

// connections checks that people can be served at all: that links reach every
// site of the connected network, and that each network has a place for
// servers.
func (c *checker) connections(m *Model) {
	c.reached(m)
	c.spread(m)
	networks := make([]bool, len(m.Networks)+1) // the last one is the connected network
	for _, g := range m.Groups {
		if g.Network == Connected {
			networks[len(m.Networks)] = true
		} else {
			networks[g.Network] = true
		}
	}
	for i, people := range networks {
		if !people {
			continue
		}
		network, path, where := i, document.Index("spec.networks", i), "where its people are"
		if i == len(m.Networks) {
			network, path, where = Connected, "spec.sites", "that has connected people or none"
		}
		if len(m.Seats(network, "")) == 0 {
			c.add(path, "no site %s may hold servers; set servers of one of them to true", where)
		}
	}
}

// spread reports isolated networks at sites that no link joins.
func (c *checker) spread(m *Model) {
	part := joined(m)
	first := make([]int, len(m.Networks)) // site, from 1; 0 is none
	told := make([]bool, len(m.Networks))
	for _, g := range m.Groups {
		switch n := g.Network; {
		case n == Connected:
		case first[n] == 0:
			first[n] = g.Site + 1
		case !told[n] && part[first[n]-1] != part[g.Site]:
			told[n] = true
			c.add(document.Index("spec.networks", n), "no link leads from %s to %s, where its people are; add one to spec.links, or make it two networks",
				m.Sites[first[n]-1].Name, m.Sites[g.Site].Name)
		}
	}
}

// reached reports sites of the connected network that do not hang together with
// the rest by links.
func (c *checker) reached(m *Model) {
	parts := components(m)
	if len(parts) < 2 {
		return
	}
	most := 0
	for i, part := range parts {
		if people(m, part) > people(m, parts[most]) {
			most = i
		}
	}
	for i, part := range parts {
		if i == most {
			continue
		}
		path := document.Index("spec.sites", part[0])
		rest := siteNames(m, parts[most])
		if len(part) == 1 {
			c.add(path, "no link reaches it from %s; add one to spec.links, or put its people into an isolated network", rest)
			continue
		}
		c.add(path, "no link leads from %s to %s; add one to spec.links, or put the people here into an isolated network", siteNames(m, part), rest)
	}
}

// joined gives each site the first of the sites that links join it with.
func joined(m *Model) []int {
	part := make([]int, len(m.Sites))
	for i := range part {
		part[i] = i
	}
	root := func(i int) int {
		for part[i] != i {
			part[i] = part[part[i]]
			i = part[i]
		}
		return i
	}
	for _, l := range m.Lines {
		a, b := root(l.From), root(l.To)
		part[max(a, b)] = min(a, b)
	}
	for i := range part {
		part[i] = root(i)
	}
	return part
}

// components are the sites of the connected network that links join, each part
// ascending, in the order of their first sites.
func components(m *Model) [][]int {
	part, of := joined(m), map[int]int{}
	var out [][]int
	for i, p := range m.Sites {
		isolated := len(p.Groups) > 0 && !slices.ContainsFunc(p.Groups, func(g int) bool { return m.Groups[g].Network == Connected })
		if isolated {
			continue
		}
		at, ok := of[part[i]]
		if !ok {
			at = len(out)
			of[part[i]], out = at, append(out, nil)
		}
		out[at] = append(out[at], i)
	}
	return out
}

func people(m *Model, sites []int) int {
	n := 0
	for _, i := range sites {
		n += m.Sites[i].Users
	}
	return n
}

// siteNames lists sites, a few of them.
func siteNames(m *Model, sites []int) string {
	names := make([]string, len(sites))
	for i, s := range sites {
		names[i] = m.Sites[s].Name
	}
	return figure.List(names, 4)
}
