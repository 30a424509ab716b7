package organization

import (
	"slices"

	"github.com/dormer-project/dormer/internal/document"
)

// separations checks that each can be met, and all of them together.
func (c *checker) separations(s *Spec, m *Model) {
	for i, d := range m.Demands {
		at := document.Index("spec.separations", i)
		switch {
		case len(d.Groups) == 0:
			c.nobody(at+".who", &s.Separations[i].Who)
		case d.Country != "":
			c.country(at, &m.Demands[i], m)
		}
	}
	c.countries(m)
}

// country checks that the data of these people can stay where it must.
func (c *checker) country(at string, d *Demand, m *Model) {
	if !slices.ContainsFunc(m.Sites, func(p Place) bool { return p.Country == d.Country }) {
		c.add(at+".country", "no site is in this country; give sites their country, or add one there for servers")
		return
	}
	seen := map[int]bool{}
	for _, g := range d.Groups {
		network := m.Groups[g].Network
		if seen[network] {
			continue
		}
		seen[network] = true
		if len(m.Seats(network, d.Country)) > 0 {
			continue
		}
		if network == Connected {
			c.add(at+".country", "no connected site in this country may hold servers, and %s is about people who are connected", d.Name)
			continue
		}
		c.add(at+".country", "%s and the isolated network %s cannot be met together: no site of the network in this country may hold servers", d.Name, m.Networks[network].Name)
	}
}

// countries reports people whose data would have to be in two countries, once
// for each two demands.
func (c *checker) countries(m *Model) {
	type pair struct{ first, second int }
	told := map[pair]bool{}
	first := make([]int, len(m.Groups)) // demand that names a country, from 1; 0 is none
	for i, d := range m.Demands {
		if d.Country == "" {
			continue
		}
		for _, g := range d.Groups {
			if first[g] == 0 {
				first[g] = i + 1
				continue
			}
			j := first[g] - 1
			before := &m.Demands[j]
			if before.Country == d.Country || told[pair{j, i}] {
				continue
			}
			told[pair{j, i}] = true
			c.add(document.Index("spec.separations", i)+".country", "%s and %s (%s) cannot be met together: the people of %s are in both, and their data cannot stay in two countries",
				d.Name, before.Name, document.Index("spec.separations", j), m.Groups[g].Path)
		}
	}
}
