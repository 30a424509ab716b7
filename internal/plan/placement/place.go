package placement

import (
	"cmp"
	"context"
	"slices"

	"github.com/dormer-project/dormer/internal/plan/organization"
)

// Place finds the smallest set of instances that satisfies all conditions.
// Where there is none it returns a *dormer.InvalidError that names the
// conditions which cannot be met together.
func Place(ctx context.Context, m *organization.Model) (*Placement, error) {
	t := termsOf(ctx, m)
	if err := t.check(); err != nil {
		return nil, err
	}
	out := &Placement{Classic: t.classic(), Smallest: true}
	near := newDistances(t)
	t.bound = t.binding()
	var placed []placed
	for _, c := range t.circles() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		instances, proven := t.place(near, &c)
		placed, out.Smallest = append(placed, instances...), out.Smallest && proven
	}
	if len(placed) == 0 {
		placed = append(placed, t.forNobody(near))
	}
	slices.SortStableFunc(placed, before)
	t.call(placed)
	for i := range placed {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		placed[i].Reasons = t.reasons(placed, i)
		out.Instances = append(out.Instances, placed[i].Instance)
	}
	out.Splits = t.splits(placed)
	if out.Smallest {
		t.work.left = mostWork
		out.Difference = t.difference(out.Classic, len(out.Instances))
	} else {
		out.Difference = t.unproven(out)
	}
	return out, ctx.Err()
}

// placed is an instance with what is known of it while the others are placed.
type placed struct {
	Instance
	circle  *circle
	part    int // of its circle: those of one part hang together by what their people accept
	home    int
	domains []int // of its people
	demand  int   // that names its country; -1: none
}

// place finds the instances of a circle.
func (t *terms) place(near *distances, c *circle) (out []placed, proven bool) {
	proven = true
	q := t.cover(c)
	dealing := &budget{left: mostWork, ctx: t.work.ctx}
	for number, p := range q.parts() {
		a := p.cover.solve(t.work)
		proven = proven && a.proven
		s := spread{near: near, capacity: t.Capacity.Clients, work: dealing, party: make([]int, len(t.Groups)), rest: make([]int, len(c.parties))}
		in := make([]bool, len(c.parties))
		for i, n := range a.counts {
			for range n {
				s.bins = append(s.bins, bin{serves: q.kinds[p.kinds[i]], room: t.Capacity.Clients})
			}
			for j, serves := range q.kinds[p.kinds[i]] {
				in[j] = in[j] || serves
			}
		}
		var groups []load
		for j, party := range c.parties {
			s.country = append(s.country, party.country)
			for _, g := range party.groups {
				s.party[g] = j
				if in[j] {
					groups = append(groups, load{g, t.Groups[g].Users, t.Groups[g].Active})
				}
			}
		}
		slices.SortFunc(groups, func(a, b load) int { return a.group - b.group })
		var instances []placed
		for _, b := range s.deal(groups, func(g int) int { return t.Groups[g].Site }) {
			if t.work.stopped() {
				return nil, false
			}
			if i := t.instance(near, c, b.blocks); len(i.Parts) > 0 {
				i.part = number
				instances = append(instances, i)
			}
		}
		if !a.proven {
			instances = t.join(near, instances)
		}
		out = append(out, instances...)
	}
	return out, proven
}

// join makes one of two instances as long as nothing keeps them apart: where
// the search ended early there may be such.
func (t *terms) join(near *distances, all []placed) []placed {
	for j := 1; j < len(all) && !t.work.stopped(); j++ {
		for i := range j {
			a, b := &all[i], &all[j]
			if why, _ := t.apart(a, b); why != Capacity || a.Active+b.Active > t.Capacity.Clients {
				continue
			}
			var both block
			for _, p := range slices.Concat(a.Parts, b.Parts) {
				both.add(load{p.Group, p.Users, p.Active})
			}
			part := a.part
			all[i] = t.instance(near, a.circle, []block{both})
			all[i].part = part
			return t.join(near, slices.Delete(all, j, j+1))
		}
	}
	return all
}

// instance is what serves the people of some blocks.
func (t *terms) instance(near *distances, c *circle, blocks []block) placed {
	loads := map[int]load{}
	var groups []int
	for _, b := range blocks {
		for _, l := range b.loads {
			if l.users == 0 && l.active == 0 {
				continue
			}
			all, ok := loads[l.group]
			if !ok {
				groups = append(groups, l.group)
			}
			loads[l.group] = load{l.group, all.users + l.users, all.active + l.active}
		}
	}
	slices.Sort(groups)
	out := placed{circle: c, demand: -1, Instance: Instance{Network: c.network}}
	own := make([]load, len(t.Domains))
	for _, g := range groups {
		group, l := t.Groups[g], loads[g]
		part := Part{
			Group: g, Site: t.Sites[group.Site].Name, Domain: t.Domains[group.Domain], Department: group.Department,
			Users: l.users, Active: l.active,
		}
		if group.Network != organization.Connected {
			part.Network = t.Networks[group.Network].Name
			out.NetworkName = part.Network
		}
		out.Parts = append(out.Parts, part)
		out.Users, out.Active = out.Users+l.users, out.Active+l.active
		if !slices.Contains(out.domains, group.Domain) {
			out.domains = append(out.domains, group.Domain)
		}
		own[group.Domain].users += l.users
		own[group.Domain].active += l.active
		if d := t.bound[g]; d >= 0 && out.demand < 0 {
			out.demand, out.Country = d, t.Demands[d].Country
		}
	}
	slices.Sort(out.domains)
	for _, d := range out.domains {
		out.Accepts = append(out.Accepts, t.Domains[d])
	}
	out.home = -1
	for h := range t.Domains {
		if t.acceptsAll(h, out.domains) && (out.home < 0 || own[h].active > own[out.home].active ||
			own[h].active == own[out.home].active && own[h].users > own[out.home].users) {
			out.home = h
		}
	}
	if out.home >= 0 {
		out.Domain = t.Domains[out.home]
	}
	if len(out.Parts) > 0 {
		s := t.seat(near, t.Seats(c.network, out.Country), out.Parts)
		out.Site, out.SiteName, out.Seat = s.site, t.Sites[s.site].Name, s.text
	}
	return out
}

func (t *terms) acceptsAll(home int, domains []int) bool {
	return !slices.ContainsFunc(domains, func(d int) bool { return !t.accepts[home][d] })
}

// common reports whether one domain accepts all of some.
func (t *terms) common(domains []int) bool {
	for h := range t.Domains {
		if t.acceptsAll(h, domains) {
			return true
		}
	}
	return false
}

// forNobody is the one instance that there always is.
func (t *terms) forNobody(near *distances) placed {
	s := t.seat(near, t.anySeats(), nil)
	return placed{
		circle: &circle{network: organization.Connected}, demand: -1,
		Instance: Instance{Site: s.site, SiteName: t.Sites[s.site].Name, Seat: s.text, Domain: t.Domains[0], Network: organization.Connected},
	}
}

// before is the order of instances: the connected network first, what is apart
// for a demand after the rest; by domain, then by site.
func before(a, b placed) int {
	return cmp.Or(
		cmp.Compare(a.Network, b.Network),
		slices.Compare(a.circle.alone, b.circle.alone),
		cmp.Compare(a.part, b.part),
		cmp.Compare(a.home, b.home),
		cmp.Compare(a.Site, b.Site),
		cmp.Compare(b.Active, a.Active),
	)
}
