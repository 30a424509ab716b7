package placement

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	dormer "github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// mostWork is how far one placement searches for a smaller answer, in parties
// times kinds of instances looked at: some tenths of a second. An organization
// whose domains trust each other as people set trusts up needs some thousands.
const mostWork = 50_000_000

// terms is what decides who may be served together: a model of which single
// things can be replaced.
type terms struct {
	organization.Model
	accepts [][]bool // as Model.Accepts, which is not to be asked
	work    *budget
	bound   []int // the demand that names the country of each group, -1 none, while instances are placed
	// alone is how many instances there were if nobody else were on those of a
	// demand, once that was asked.
	alone map[int]int
}

// budget is what is left for searching. It is used up when nobody waits any
// more; what was found then is of no use.
type budget struct {
	left int
	ctx  context.Context //nolint:containedctx // a budget is that of one call
}

func (b *budget) stopped() bool { return b.ctx.Err() != nil }

func (b *budget) spent() bool { return b.left <= 0 || b.stopped() }

func termsOf(ctx context.Context, m *organization.Model) *terms {
	work := &budget{left: mostWork, ctx: ctx}
	t := &terms{Model: *m, accepts: make([][]bool, len(m.Domains)), work: work, alone: map[int]int{}}
	for d := range m.Domains {
		t.accepts[d] = make([]bool, len(m.Domains))
		for of := range m.Domains {
			t.accepts[d][of] = m.Accepts(d, of)
		}
	}
	return t
}

// people reports whether a group has any.
func (t *terms) people(g int) bool { return t.Groups[g].Users > 0 || t.Groups[g].Active > 0 }

// counted reports whether a demand is about anybody.
func (t *terms) counted(d int) bool { return slices.ContainsFunc(t.Demands[d].Groups, t.people) }

// circle is people whom networks and separations keep apart from all others.
type circle struct {
	network int
	alone   []int // positions of demands, ascending
	parties []party
}

// party is people of a circle who are alike in domain and country too.
type party struct {
	domain        int
	country       string // where they must be served; empty: anywhere
	groups        []int
	users, active int
}

// countries are where the data of each group must stay; empty: anywhere.
// A group that two demands want in two countries gets the first one.
func (t *terms) countries() []string {
	out := make([]string, len(t.Groups))
	for _, d := range t.Demands {
		if d.Country == "" {
			continue
		}
		for _, g := range d.Groups {
			out[g] = cmp.Or(out[g], d.Country)
		}
	}
	return out
}

// binding is for each group the first demand that names a country; -1: none.
func (t *terms) binding() []int {
	out := make([]int, len(t.Groups))
	for g := range out {
		out[g] = -1
	}
	for i, d := range t.Demands {
		if d.Country == "" {
			continue
		}
		for _, g := range d.Groups {
			if out[g] < 0 {
				out[g] = i
			}
		}
	}
	return out
}

// circles takes people together who may be served together, in the order of
// their first groups.
func (t *terms) circles() []circle {
	countries := t.countries()
	alone := make([][]int, len(t.Groups))
	for i, d := range t.Demands {
		if !d.Alone {
			continue
		}
		for _, g := range d.Groups {
			alone[g] = append(alone[g], i)
		}
	}
	type kind struct {
		circle, domain int
		country        string
	}
	var out []circle
	type place struct {
		network int
		alone   string
	}
	places, parties := map[place]int{}, map[kind]int{}
	for g := range t.Groups {
		if !t.people(g) {
			continue
		}
		key := place{network: t.Groups[g].Network}
		if len(alone[g]) > 0 {
			key.alone = fmt.Sprint(alone[g])
		}
		at, ok := places[key]
		if !ok {
			at = len(out)
			places[key] = at
			out = append(out, circle{network: t.Groups[g].Network, alone: alone[g]})
		}
		c := &out[at]
		k := kind{at, t.Groups[g].Domain, countries[g]}
		p, ok := parties[k]
		if !ok {
			p = len(c.parties)
			parties[k] = p
			c.parties = append(c.parties, party{domain: k.domain, country: k.country})
		}
		c.parties[p].groups = append(c.parties[p].groups, g)
		c.parties[p].users += t.Groups[g].Users
		c.parties[p].active += t.Groups[g].Active
	}
	return out
}

// cover is the question of a circle. A kind of instance is a domain that it
// stands in, and a country or none.
func (t *terms) cover(c *circle) cover {
	q := cover{capacity: t.Capacity.Clients}
	countries := []string{}
	for _, p := range c.parties {
		q.needs = append(q.needs, p.active)
		if p.country != "" && !slices.Contains(countries, p.country) {
			countries = append(countries, p.country)
		}
	}
	if len(countries) == 0 {
		countries = append(countries, "")
	}
	for _, home := range t.homes(c) {
		for _, country := range countries {
			kind := make([]bool, len(c.parties))
			for i, p := range c.parties {
				kind[i] = t.accepts[home][p.domain] && (p.country == "" || p.country == country)
			}
			q.kinds = append(q.kinds, kind)
		}
	}
	return q
}

// homes are the domains that servers of a circle might stand in: of those that
// accept the same people the first. Domains without people count as well: one
// that others trust each other over is often such a domain.
func (t *terms) homes(c *circle) []int {
	var in []int
	for _, p := range c.parties {
		if !slices.Contains(in, p.domain) {
			in = append(in, p.domain)
		}
	}
	var q cover
	for home := range t.Domains {
		kind := make([]bool, len(in))
		for i, d := range in {
			kind[i] = t.accepts[home][d]
		}
		q.kinds = append(q.kinds, kind)
	}
	return q.undominated()
}

// count is how many instances are needed, and whether that is proven. Where
// sites and countries leave no place for them is not looked at.
func (t *terms) count() (n int, proven bool) {
	proven = true
	for _, c := range t.circles() {
		a := t.cover(&c).smallest(t.work)
		n, proven = n+a.total(), proven && a.proven
	}
	return max(n, 1), proven
}

// check returns a *dormer.InvalidError that names demands which cannot be met
// together. organization.Validate found them in a file already.
func (t *terms) check() error {
	var bad dormer.InvalidError
	add := func(path, format string, args ...any) {
		bad.Fields = append(bad.Fields, dormer.FieldError{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if n, holds := t.active(), t.Capacity.Clients; (n-1)/max(holds, 1) >= organization.MaxInstances {
		add("spec.capacity.clients", "%s active clients would need more than %s instances of %s each", figure.Number(n), figure.Number(organization.MaxInstances), figure.Number(holds))
	}
	for i := range t.Demands {
		if t.Demands[i].Country != "" {
			t.checkCountry(i, add)
		}
	}
	told := map[int]bool{}
	for g, group := range t.Groups {
		if !t.people(g) || told[group.Network] {
			continue
		}
		told[group.Network] = true
		if len(t.Seats(group.Network, "")) > 0 {
			continue
		}
		if group.Network == organization.Connected {
			add("spec.sites", "no site that has connected people or none may hold servers; set servers of one of them to true")
		} else {
			add(document.Index("spec.networks", group.Network), "no site where its people are may hold servers; set servers of one of them to true")
		}
	}
	if len(told) == 0 && len(t.anySeats()) == 0 {
		add("spec.sites", "no site may hold servers; set servers of one of them to true")
	}
	if len(bad.Fields) > 0 {
		return &bad
	}
	return nil
}

// checkCountry looks for a site for each network that a demand has people in,
// and for demands before it that want the same people's data elsewhere.
func (t *terms) checkCountry(i int, add func(path, format string, args ...any)) {
	d := &t.Demands[i]
	told := map[int]bool{}
	for _, g := range d.Groups {
		network := t.Groups[g].Network
		if !t.people(g) || told[network] {
			continue
		}
		told[network] = true
		if len(t.Seats(network, d.Country)) > 0 {
			continue
		}
		if network == organization.Connected {
			add(d.Path+".country", "no connected site in this country may hold servers, and %s is about people who are connected", d.Name)
			continue
		}
		add(d.Path+".country", "%s and the isolated network %s cannot be met together: no site of the network in this country may hold servers", d.Name, t.Networks[network].Name)
	}
	for j := range i {
		before := &t.Demands[j]
		if before.Country == "" || before.Country == d.Country {
			continue
		}
		for _, g := range d.Groups {
			if t.people(g) && slices.Contains(before.Groups, g) {
				add(d.Path+".country", "%s and %s (%s) cannot be met together: the people of %s are in both, and their data cannot stay in two countries",
					d.Name, before.Name, before.Path, t.Groups[g].Path)
				break
			}
		}
	}
}

// anySeats are the sites of a plan for nobody: those of the connected network,
// or where there is none, any.
func (t *terms) anySeats() []int {
	out := t.Seats(organization.Connected, "")
	for n := range t.Networks {
		if len(out) == 0 {
			out = t.Seats(n, "")
		}
	}
	return out
}

func (t *terms) active() int {
	n := 0
	for _, g := range t.Groups {
		n += g.Active
	}
	return n
}

// list is names as people write them one after the other; of many the first.
func list(names []string) string {
	const most = 6
	if len(names) > most+1 {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
