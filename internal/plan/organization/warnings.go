package organization

import (
	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/name"
)

// Warnings says what is allowed in a valid organization but probably not
// meant.
func Warnings(o *Organization) []dormer.FieldError {
	var c checker
	s, m := &o.Spec, Resolve(o)
	c.unserved(m)
	c.unused(s, m)
	c.strange(s, m)
	return c.fields
}

// unserved are people whom no workspace is for.
func (c *checker) unserved(m *Model) {
	served := make([]bool, len(m.Groups))
	for _, w := range m.Workspaces {
		for _, p := range w.Gets {
			served[p.Group] = true
		}
	}
	for i, g := range m.Groups {
		switch {
		case g.Users == 0:
			c.add(g.Path+".users", "nobody is here")
		case !served[i]:
			c.add(g.Path, "no workspace is for these people; they count for the number of instances all the same")
		}
	}
}

// unused is what the file describes and nothing needs.
func (c *checker) unused(s *Spec, m *Model) {
	domains, networks, images := make([]bool, len(m.Domains)), make([]bool, len(m.Networks)), make([]bool, len(m.Images))
	at := positionsOf(s.Domains, func(d Domain) string { return d.Name })
	for _, g := range m.Groups {
		domains[g.Domain] = true
		if g.Network != Connected {
			networks[g.Network] = true
		}
	}
	for _, d := range s.Domains {
		// Domains of computers alone have nobody and are told by their trusts.
		for _, other := range append(mapped(d.Trusts, func(t Trust) string { return t.Domain }), d.Parent) {
			if i, ok := at[name.Fold(other)]; ok {
				domains[at[name.Fold(d.Name)]], domains[i] = true, true
			}
		}
	}
	for i := range s.Domains {
		if !domains[i] {
			c.add(document.Index("spec.domains", i), "nobody has an account in this domain, and nothing trusts or is trusted by it")
		}
	}
	for i := range s.Networks {
		if !networks[i] {
			c.add(document.Index("spec.networks", i), "nobody is in this network")
		}
	}
	for _, w := range m.Workspaces {
		for i := w.Image; i >= 0 && !images[i]; i = m.Images[i].Base {
			images[i] = true
		}
	}
	for i := range s.Images {
		if !images[i] {
			c.add(document.Index("spec.images", i), "no workspace uses this image")
		}
	}
}

// strange are figures that are possible and seldom right.
func (c *checker) strange(s *Spec, m *Model) {
	for i, image := range m.Images {
		at := document.Index("spec.images", i)
		if image.Used < image.Packed {
			c.add(at+".disk", "is less than packed: unpacked images are larger")
		}
		if image.Update > image.Packed {
			c.add(at+".update", "is more than packed: a client would fetch less by taking the whole image again")
		}
	}
	everybody := len(m.Groups)
	countries := false
	for i, d := range m.Demands {
		countries = countries || d.Country != ""
		if d.Alone && d.Country == "" && len(d.Groups) == everybody {
			c.add(document.Index("spec.separations", i)+".who", "is everybody: there is nobody to be kept apart from")
		}
	}
	for i, p := range m.Sites {
		if countries && p.Country == "" {
			c.add(document.Index("spec.sites", i)+".country", "is not given, and separations name countries: this site counts as being in none of them")
		}
	}
	away := make([]int, len(m.Sites))
	for i, t := range m.Travel {
		before := away[t.From]
		if away[t.From] += t.Users; before <= m.Sites[t.From].Users && away[t.From] > m.Sites[t.From].Users {
			c.add(document.Index("spec.travel", i)+".users", "together with the travellers before are more than work at %s", m.Sites[t.From].Name)
		}
	}
	if s.Capacity.Hardware != "" && s.Capacity.Clients == 0 {
		c.add("spec.capacity.hardware", "is not used without clients: the figure of %d clients is the classic guide's, not this hardware's", ClassicCapacity)
	}
	if s.Service.Restore != 0 && s.Service.Restore.Duration() > m.Service.CriticalUpdate {
		c.add("spec.service.restore", "is longer than criticalUpdate: an outage at the wrong time makes a critical update late")
	}
	c.needlessTrusts(s.Domains)
}

// needlessTrusts are trusts within a forest.
func (c *checker) needlessTrusts(domains []Domain) {
	w := newWeb(domains)
	for i, d := range domains {
		for j, t := range d.Trusts {
			if w.forest[i] == w.forest[w.find(t.Domain)] {
				c.add(document.Index(document.Index("spec.domains", i)+".trusts", j), "is not needed: both domains are of one forest")
			}
		}
	}
}
