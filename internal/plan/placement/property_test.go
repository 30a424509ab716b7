package placement

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// extent is how large random organizations are.
type extent struct {
	sites, domains, networks, demands, crowds, people, capacity int
}

func (e extent) domain(r *rand.Rand) string {
	return fmt.Sprintf("d%d.example.test", r.IntN(e.domains))
}
func (e extent) country(r *rand.Rand) string { return []string{"DE", "FR"}[r.IntN(2)] }

// random is an organization whose conditions can be met, for the first two
// sites are in each country and network. Demands name no two countries for the
// same people.
func (e extent) random(r *rand.Rand) *organization.Organization {
	o := &organization.Organization{}
	s := &o.Spec
	for i := range e.domains {
		d := organization.Domain{Name: fmt.Sprintf("d%d.example.test", i)}
		for range r.IntN(3) {
			both, transitive := r.IntN(3) == 0, r.IntN(8) == 0
			d.Trusts = append(d.Trusts, organization.Trust{Domain: e.domain(r), BothWays: &both, Transitive: &transitive})
		}
		s.Domains = append(s.Domains, d)
	}
	for i := range e.networks {
		s.Networks = append(s.Networks, organization.Network{Name: fmt.Sprintf("n%d", i)})
	}
	for i, country := range []string{"DE", "FR"} {
		site := organization.Site{Name: fmt.Sprintf("hall%d", i), Country: country, People: []organization.Crowd{{}}}
		for _, n := range s.Networks {
			site.People = append(site.People, organization.Crowd{Network: n.Name})
		}
		s.Sites = append(s.Sites, site)
	}
	for i := range e.sites {
		site := organization.Site{Name: fmt.Sprintf("s%d", i), Country: e.country(r)}
		for range 1 + r.IntN(e.crowds) {
			site.People = append(site.People, e.crowd(r))
		}
		s.Links = append(s.Links, organization.Link{
			From: site.Name, To: s.Sites[r.IntN(len(s.Sites))].Name, Bandwidth: document.Rate(1_000_000 * (1 + r.IntN(100))),
		})
		s.Sites = append(s.Sites, site)
	}
	for range e.demands {
		s.Separations = append(s.Separations, e.demand(r, len(s.Separations)))
	}
	s.Capacity.Clients = e.capacity
	return o
}

func (e extent) crowd(r *rand.Rand) organization.Crowd {
	c := organization.Crowd{Domain: e.domain(r), Users: r.IntN(e.people + 1), Department: fmt.Sprintf("p%d", r.IntN(3))}
	if r.IntN(6) == 0 {
		none := 0
		c.Active = &none
	}
	if e.networks > 0 && r.IntN(3) == 0 {
		c.Network = fmt.Sprintf("n%d", r.IntN(e.networks))
	}
	return c
}

// demand is about a department, a domain, or the people of the country that it
// names.
func (e extent) demand(r *rand.Rand, i int) organization.Separation {
	d := organization.Separation{Name: fmt.Sprintf("demand%d", i), Kind: organization.Law}
	switch r.IntN(4) {
	case 0:
		d.Kind, d.Who.Departments = organization.Security, []string{fmt.Sprintf("p%d", r.IntN(3))}
	case 1:
		d.Kind, d.Who.Domains = organization.Management, []string{e.domain(r)}
	default:
		shared := r.IntN(2) == 0
		d.Country, d.Shared = e.country(r), &shared
		d.Who.Countries = []string{d.Country}
	}
	return d
}

// fewest tries all ways to divide people into instances, one person at a time.
// It knows nothing of parties, kinds and flows.
func fewest(m *organization.Model) int {
	type person struct{ group, active int }
	var all []person
	for g, group := range m.Groups {
		for range group.Active {
			all = append(all, person{g, 1})
		}
		if group.Active == 0 && group.Users > 0 {
			all = append(all, person{g, 0})
		}
	}
	if len(all) == 0 {
		return 1
	}
	n := 1 << len(all)
	best, may := make([]int, n), make([]bool, n)
	for set := 1; set < n; set++ {
		var groups []int
		active := 0
		for i, p := range all {
			if set&(1<<i) != 0 {
				groups, active = append(groups, p.group), active+p.active
			}
		}
		may[set] = active <= m.Capacity.Clients && together(m, groups)
	}
	for set := 1; set < n; set++ {
		best[set] = len(all) + 1
		// The lowest person is on some instance: try each set of companions.
		low := set & -set
		rest := set ^ low
		for with := rest; ; with = (with - 1) & rest {
			if one := with | low; may[one] && best[set^one]+1 < best[set] {
				best[set] = best[set^one] + 1
			}
			if with == 0 {
				break
			}
		}
	}
	return best[n-1]
}

// together reports whether people of these groups may be on one instance.
func together(m *organization.Model, groups []int) bool {
	country := ""
	for _, g := range groups {
		if m.Groups[g].Network != m.Groups[groups[0]].Network {
			return false
		}
	}
	for _, d := range m.Demands {
		in := 0
		for _, g := range groups {
			if slices.Contains(d.Groups, g) {
				in++
			}
		}
		if in > 0 && d.Alone && in < len(groups) {
			return false
		}
		if in > 0 && d.Country != "" {
			if country != "" && country != d.Country {
				return false
			}
			country = d.Country
		}
	}
	for home := range m.Domains {
		if !slices.ContainsFunc(groups, func(g int) bool { return !m.Accepts(home, m.Groups[g].Domain) }) {
			return true
		}
	}
	return false
}

func TestTheNumberIsTheSmallest(t *testing.T) {
	seen := map[int]int{}
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		e := extent{sites: 3, domains: 1 + r.IntN(6), networks: r.IntN(2), demands: r.IntN(3), crowds: 3, people: 3, capacity: 1 + r.IntN(8)}
		m := organization.Resolve(e.random(r))
		if _, active := m.Users(); active > 10 {
			continue
		}
		got, proven := termsOf(t.Context(), m).count()
		if want := fewest(m); got != want || !proven {
			t.Fatalf("seed %d: %d instances (proven: %v), want %d", seed, got, proven, want)
		}
		seen[got]++
	}
	if len(seen) < 6 {
		t.Errorf("only %v were tried", seen)
	}
}

// hold checks every condition of a placement.
func hold(t *testing.T, m *organization.Model, p *Placement) {
	t.Helper()
	users, active := make([]int, len(m.Groups)), make([]int, len(m.Groups))
	names := map[string]bool{}
	for _, i := range p.Instances {
		if names[i.Name] {
			t.Errorf("two instances are called %s", i.Name)
		}
		names[i.Name] = true
		var groups []int
		sum := 0
		for _, part := range i.Parts {
			groups = append(groups, part.Group)
			users[part.Group] += part.Users
			active[part.Group] += part.Active
			sum += part.Active
			if part.Active > part.Users || part.Users < 0 || part.Active < 0 || part.Users == 0 {
				t.Errorf("%s: %+v", i.Name, part)
			}
		}
		home := slices.Index(m.Domains, i.Domain)
		if sum != i.Active || sum > m.Capacity.Clients {
			t.Errorf("%s has %d active clients, says %d, of %d", i.Name, sum, i.Active, m.Capacity.Clients)
		}
		if !together(m, groups) {
			t.Errorf("%s: these may not be together: %+v", i.Name, i.Parts)
		}
		for _, g := range groups {
			if !m.Accepts(home, m.Groups[g].Domain) || m.Groups[g].Network != i.Network {
				t.Errorf("%s does not accept %+v", i.Name, m.Groups[g])
			}
		}
		for _, d := range m.Demands {
			if d.Country != "" && slices.ContainsFunc(groups, func(g int) bool { return slices.Contains(d.Groups, g) }) && m.Sites[i.Site].Country != d.Country {
				t.Errorf("%s stands in %s, %s demands %s", i.Name, m.Sites[i.Site].Country, d.Name, d.Country)
			}
		}
		if !m.Sites[i.Site].Servers || !slices.Contains(m.Seats(i.Network, i.Country), i.Site) {
			t.Errorf("%s may not stand in %s", i.Name, i.SiteName)
		}
		if len(i.Reasons) == 0 || i.Seat == "" || i.Name == "" {
			t.Errorf("%s: no reasons, seat or name: %+v", i.Name, i)
		}
	}
	for g, group := range m.Groups {
		if users[g] != group.Users || active[g] != group.Active {
			t.Errorf("%s: %d users and %d active are served, there are %d and %d", group.Path, users[g], active[g], group.Users, group.Active)
		}
	}
	if p.Classic.Count != len(p.Instances) && len(p.Difference) == 0 {
		t.Errorf("the guide counts %d, here are %d, and nothing says why", p.Classic.Count, len(p.Instances))
	}
	for _, s := range p.Splits {
		if !names[s.Between[0]] || !names[s.Between[1]] || s.Text == "" {
			t.Errorf("%+v", s)
		}
	}
}

func TestPlacementsHoldTheirConditions(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 2))
		e := extent{
			sites: 1 + r.IntN(15), domains: 1 + r.IntN(7), networks: r.IntN(3), demands: r.IntN(4), crowds: 4,
			people: 1 + r.IntN(3000), capacity: 100 + r.IntN(3000),
		}
		m := organization.Resolve(e.random(r))
		p, err := Place(t.Context(), m)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		n, _ := termsOf(t.Context(), m).count()
		if len(p.Instances) != n || !p.Smallest {
			t.Errorf("seed %d: %d instances, counted %d (smallest: %v)", seed, len(p.Instances), n, p.Smallest)
		}
		hold(t, m, p)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestMoreNeverNeedsFewer: more users, another separation, another isolated
// network and one trust less never lower either number.
func TestMoreNeverNeedsFewer(t *testing.T) {
	for seed := range uint64(1500) {
		r := rand.New(rand.NewPCG(seed, 3))
		e := extent{
			sites: 1 + r.IntN(8), domains: 1 + r.IntN(6), networks: r.IntN(3), demands: r.IntN(4), crowds: 3,
			people: 1 + r.IntN(900), capacity: 50 + r.IntN(1000),
		}
		o := e.random(r)
		before := organization.Resolve(o)
		was, _ := termsOf(t.Context(), before).count()
		classic := termsOf(t.Context(), before).classic().Count
		more := termsOf(t.Context(), before)
		site := &o.Spec.Sites[r.IntN(len(o.Spec.Sites))]
		var what string
		switch r.IntN(5) {
		case 0:
			what = "more users"
			c := &site.People[r.IntN(len(site.People))]
			c.Users += r.IntN(2000)
			c.Active = nil // all of them
			more = termsOf(t.Context(), organization.Resolve(o))
		case 1:
			what = "a new crowd"
			c := e.crowd(r)
			site.People = append(site.People, c)
			more = termsOf(t.Context(), organization.Resolve(o))
		case 2:
			what = "a separation"
			o.Spec.Separations = append(o.Spec.Separations, e.demand(r, 99))
			more = termsOf(t.Context(), organization.Resolve(o))
		case 3:
			what = "an isolated network"
			o.Spec.Networks = append(o.Spec.Networks, organization.Network{Name: "new"})
			for i := range site.People {
				if site.People[i].Network == "" {
					site.People[i].Network = "new"
				}
			}
			more = termsOf(t.Context(), organization.Resolve(o))
		default:
			what = "one trust less"
			if a, b := r.IntN(e.domains), r.IntN(e.domains); a != b {
				more.accepts[a][b] = false
			}
		}
		now, proven := more.count()
		if now < was || !proven {
			t.Fatalf("seed %d, %s: %d instances, %d before", seed, what, now, was)
		}
		if c := more.classic().Count; c < classic {
			t.Fatalf("seed %d, %s: the guide counts %d, %d before", seed, what, c, classic)
		}
	}
}

// TestBothAgreeWhereNothingOverlaps: conditions about people of their own, who
// are together no more than what the last instance of the others has left.
func TestBothAgreeWhereNothingOverlaps(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 4))
		capacity := 1000 + r.IntN(5000)
		domains, networks, demands := r.IntN(4), r.IntN(4), r.IntN(4)
		few := func() int { return 1 + r.IntN(capacity/20) } // twelve of them are less than an instance holds
		o := &organization.Organization{}
		s := &o.Spec
		s.Capacity.Clients = capacity
		s.Domains = []organization.Domain{{Name: "first.example.test"}, {Name: "second.example.test", Parent: "first.example.test"}}
		instances := 1 + r.IntN(5)
		left := (instances-1)*capacity + 1 + r.IntN(capacity/4)
		for i := 0; left > 0; i++ {
			n := min(left, 1+r.IntN(2*capacity))
			left -= n
			s.Sites = append(s.Sites, organization.Site{
				Name: fmt.Sprintf("s%d", i), Country: "DE", People: []organization.Crowd{{Users: n, Domain: s.Domains[r.IntN(2)].Name}},
			})
		}
		join := func(c organization.Crowd) {
			site := &s.Sites[r.IntN(len(s.Sites))]
			site.People = append(site.People, c)
		}
		for i := range domains {
			d := fmt.Sprintf("other%d.example.test", i)
			s.Domains = append(s.Domains, organization.Domain{Name: d})
			join(organization.Crowd{Users: few(), Domain: d})
		}
		for i := range networks {
			n := fmt.Sprintf("n%d", i)
			s.Networks = append(s.Networks, organization.Network{Name: n})
			join(organization.Crowd{Users: few(), Network: n})
		}
		for i := range demands {
			p := fmt.Sprintf("p%d", i)
			kind := []organization.SeparationKind{organization.Security, organization.Management, organization.Law}[r.IntN(3)]
			d := organization.Separation{Name: p, Kind: kind, Who: organization.Who{Departments: []string{p}}}
			if kind == organization.Law && r.IntN(2) == 0 {
				d.Country = "DE"
			}
			s.Separations = append(s.Separations, d)
			join(organization.Crowd{Users: few(), Department: p})
		}
		m := organization.Resolve(o)
		p, err := Place(t.Context(), m)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		// Each condition adds one; the first people need instances by capacity.
		want := instances + domains + networks + demands
		if len(p.Instances) != want || p.Classic.Count != want || len(p.Difference) > 0 {
			t.Fatalf("seed %d: %d instances, the guide counts %d, want %d: %q", seed, len(p.Instances), p.Classic.Count, want, p.Difference)
		}
		hold(t, m, p)
	}
}

// TestTheOrderOfTheFileDoesNotMatter: neither number changes when sites, the
// people of a site, domains, networks, links and separations change places.
func TestTheOrderOfTheFileDoesNotMatter(t *testing.T) {
	for seed := range uint64(800) {
		r := rand.New(rand.NewPCG(seed, 5))
		e := extent{
			sites: 1 + r.IntN(6), domains: 1 + r.IntN(6), networks: r.IntN(3), demands: r.IntN(4), crowds: 3,
			people: 1 + r.IntN(900), capacity: 50 + r.IntN(1000),
		}
		o := e.random(r)
		was := termsOf(t.Context(), organization.Resolve(o))
		before, _ := was.count()
		classic := was.classic().Count
		s := &o.Spec
		shuffle(r, s.Sites)
		for i := range s.Sites {
			shuffle(r, s.Sites[i].People)
		}
		shuffle(r, s.Domains)
		shuffle(r, s.Networks)
		shuffle(r, s.Links)
		shuffle(r, s.Separations)
		is := termsOf(t.Context(), organization.Resolve(o))
		if now, _ := is.count(); now != before {
			t.Fatalf("seed %d: %d instances, %d in another order", seed, before, now)
		}
		if now := is.classic().Count; now != classic {
			t.Fatalf("seed %d: the guide counts %d, %d in another order", seed, classic, now)
		}
	}
}

func shuffle[T any](r *rand.Rand, list []T) {
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}
