package organization

import (
	"cmp"
	"slices"
	"time"

	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/name"
)

// What holds where a file says nothing. The doc tags of the fields say the same.
const (
	defaultLAN      = 1_000_000_000
	defaultLatency  = 10 * time.Millisecond
	defaultUsable   = 0.5
	defaultVersions = 3
	defaultShared   = 0.6
	defaultEvery    = 30 * day
	packedToUsed    = 3
	packedToUpdate  = 0.15
	persistentLayer = int64(10 * document.GiB)
	revertibleLayer = int64(2 * document.GiB)
	defaultCores    = 2
	defaultMemory   = int64(2 * document.GiB)
	// DefaultOperators and the reports that each makes an hour are those of a
	// console that the file says nothing of.
	DefaultOperators = 2
	DefaultReports   = 6
	// ClassicCapacity is how many concurrently active clients one instance holds
	// by the guide of the classic suite.
	ClassicCapacity = 5000

	day = 24 * time.Hour
)

// positions finds things of one kind by name, without regard to case.
type positions map[string]int

func positionsOf[T any](list []T, called func(T) string) positions {
	p := positions{}
	for i, t := range list {
		if key := name.Fold(called(t)); key != "" {
			if _, ok := p[key]; !ok {
				p[key] = i
			}
		}
	}
	return p
}

func (p positions) of(s string, otherwise int) int {
	if i, ok := p[name.Fold(s)]; ok {
		return i
	}
	return otherwise
}

// Resolve fills in all defaults and resolves all names of a valid
// organization.
func Resolve(o *Organization) *Model {
	s := &o.Spec
	m := &Model{
		Name: o.Metadata.Name, Description: o.Metadata.Description, Networks: s.Networks,
		Service: expected(&s.Service), Clients: s.Clients, Questions: s.Questions, Observed: s.Observed,
		Growth: Rise{Yearly: share(&s.Growth.Yearly, 0), Years: value(s.Growth.Years, 3)},
	}
	if m.Clients.Guest == 0 {
		m.Clients.Guest = 2 * document.GiB
	}
	domains := s.Domains
	if len(domains) == 0 {
		domains = []Domain{{Name: "everybody"}}
	}
	for _, d := range domains {
		m.Domains = append(m.Domains, d.Name)
	}
	m.accepts = accepted(domains)
	r := resolver{
		Model:    m,
		sites:    positionsOf(s.Sites, func(s Site) string { return s.Name }),
		domains:  positionsOf(domains, func(d Domain) string { return d.Name }),
		networks: positionsOf(s.Networks, func(n Network) string { return n.Name }),
		images:   positionsOf(s.Images, func(i Image) string { return i.Name }),
	}
	r.places(s.Sites)
	m.keys = newKeys(m)
	r.lines(s.Links)
	for _, t := range s.Travel {
		m.Travel = append(m.Travel, Trip{From: r.sites.of(t.From, 0), To: r.sites.of(t.To, 0), Users: t.Users, Days: max(t.Days, 1)})
	}
	for i := range s.Separations {
		r.demand(&s.Separations[i], document.Index("spec.separations", i))
	}
	for i := range s.Images {
		r.image(&s.Images[i], document.Index("spec.images", i))
	}
	for i := range s.Workspaces {
		r.offer(&s.Workspaces[i], document.Index("spec.workspaces", i))
	}
	r.flow(&s.Events)
	r.desks(s.Consoles)
	r.holds(&s.Capacity)
	m.ways = newWays(m)
	return m
}

// Grown is the organization after some years of growth: each group is larger,
// everything else is as it was.
func (m *Model) Grown(years int) *Model {
	factor := 1.0
	for range years {
		factor *= 1 + m.Growth.Yearly
	}
	grown := func(n int) int { return int(float64(n)*factor + 0.5) }
	out := *m
	out.Groups, out.Sites, out.Workspaces = slices.Clone(m.Groups), slices.Clone(m.Sites), slices.Clone(m.Workspaces)
	for i := range out.Sites {
		out.Sites[i].Users, out.Sites[i].Active = 0, 0
	}
	for i := range out.Groups {
		g := &out.Groups[i]
		g.Users, g.Active = grown(g.Users), grown(g.Active)
		out.Sites[g.Site].Users += g.Users
		out.Sites[g.Site].Active += g.Active
	}
	for i := range out.Workspaces {
		gets := slices.Clone(out.Workspaces[i].Gets)
		for j := range gets {
			gets[j].Users, gets[j].Active = grown(gets[j].Users), grown(gets[j].Active)
		}
		out.Workspaces[i].Gets = gets
	}
	return &out
}

// resolver is a model in the making.
type resolver struct {
	*Model
	sites, domains, networks, images positions
}

func (r *resolver) places(sites []Site) {
	for i, s := range sites {
		p := Place{
			Name: s.Name, Country: s.Country, Servers: value(s.Servers, true), LAN: cmp.Or(s.LAN, defaultLAN),
			Neighbours: value(s.Neighbours, r.Service.Neighbours), Delivery: cmp.Or(s.Delivery, DeliveryAuto),
		}
		for j, c := range s.People {
			g := Group{
				Site: i, Domain: r.domains.of(c.Domain, 0), Network: r.networks.of(c.Network, Connected), Department: c.Department,
				Users: c.Users, Active: value(c.Active, c.Users), Path: document.Index(document.Index("spec.sites", i)+".people", j),
			}
			p.Groups = append(p.Groups, len(r.Groups))
			p.Users, p.Active = p.Users+g.Users, p.Active+g.Active
			r.Groups = append(r.Groups, g)
		}
		r.Sites = append(r.Sites, p)
	}
}

func (r *resolver) lines(links []Link) {
	for _, l := range links {
		line := Line{
			From: r.sites.of(l.From, 0), To: r.sites.of(l.To, 0), There: l.Bandwidth, Back: cmp.Or(l.Back, l.Bandwidth),
			Latency: cmp.Or(l.Latency.Duration(), defaultLatency),
		}
		usable := cmp.Or(share(&l.Usable, 0), r.Service.Usable)
		line.UsableThere, line.UsableBack = part(line.There, usable), part(line.Back, usable)
		r.Lines = append(r.Lines, line)
	}
}

func part(rate document.Rate, share float64) document.Rate {
	return max(document.Rate(float64(rate)*share), 1)
}

// keys are the names that selections compare, in the form in which they do, so
// that each is put into it once.
type keys struct {
	sites, countries, domains, networks, departments []string
}

func newKeys(m *Model) *keys {
	k := &keys{}
	for _, p := range m.Sites {
		k.sites, k.countries = append(k.sites, name.Fold(p.Name)), append(k.countries, name.Fold(p.Country))
	}
	for _, d := range m.Domains {
		k.domains = append(k.domains, name.Fold(d))
	}
	for _, n := range m.Networks {
		k.networks = append(k.networks, name.Fold(n.Name))
	}
	folded := map[string]string{}
	for _, g := range m.Groups {
		if _, ok := folded[g.Department]; !ok {
			folded[g.Department] = name.Fold(g.Department)
		}
		k.departments = append(k.departments, folded[g.Department])
	}
	return k
}

// Selects lists the groups that w names, ascending.
func (m *Model) Selects(w Who) []int {
	sites, countries, domains := named(w.Sites), named(w.Countries), named(w.Domains)
	networks, departments := named(w.Networks), named(w.Departments)
	var out []int
	for i, g := range m.Groups {
		inNetwork := networks == nil || g.Network != Connected && networks[m.keys.networks[g.Network]]
		if inNetwork && sites.has(m.keys.sites[g.Site]) && countries.has(m.keys.countries[g.Site]) &&
			domains.has(m.keys.domains[g.Domain]) && departments.has(m.keys.departments[i]) {
			out = append(out, i)
		}
	}
	return out
}

// selection is the names of a list, as they are compared; nil selects all.
type selection map[string]bool

func named(list []string) selection {
	if len(list) == 0 {
		return nil
	}
	s := selection{}
	for _, n := range list {
		s[name.Fold(n)] = true
	}
	return s
}

func (s selection) has(key string) bool { return s == nil || s[key] }

func (r *resolver) demand(s *Separation, path string) {
	r.Demands = append(r.Demands, Demand{
		Name: s.Name, Kind: s.Kind, Groups: r.Selects(s.Who), Country: s.Country, Alone: !value(s.Shared, false), Reason: s.Reason, Path: path,
	})
}

func (r *resolver) image(i *Image, path string) {
	packed := int64(i.Packed)
	r.Images = append(r.Images, Disk{
		Name: i.Name, Packed: packed, Used: cmp.Or(int64(i.Disk), packedToUsed*packed),
		Update: cmp.Or(int64(i.Update), int64(packedToUpdate*float64(packed))), Every: cmp.Or(i.Every.Duration(), defaultEvery),
		Versions: cmp.Or(i.Versions, defaultVersions), Base: r.images.of(i.Base, -1), Shared: share(i.Shared, defaultShared),
		System: i.System, Path: path,
	})
}

func (r *resolver) offer(w *Workspace, path string) {
	o := Offer{
		Name: w.Name, Image: r.images.of(w.Image, 0), Policies: cmp.Or(w.Policies, 1), Offline: cmp.Or(w.Offline, OfflineUnrestricted),
		Persistent: value(w.Persistent, true), Machine: int64(w.Machine), Data: int64(w.Data), Critical: value(w.Critical, true), Path: path,
	}
	switch {
	case o.Machine != 0:
	case o.Persistent:
		o.Machine = persistentLayer
	default:
		o.Machine = revertibleLayer
	}
	all := cmp.Or(share(&w.Share, 0), 1)
	for _, g := range r.Selects(w.Who) {
		some := func(n int) int { return int(float64(n)*all + 0.5) }
		o.Gets = append(o.Gets, Part{Group: g, Users: some(r.Groups[g].Users), Active: some(r.Groups[g].Active)})
	}
	r.Workspaces = append(r.Workspaces, o)
}

func expected(s *Service) Expected {
	return Expected{
		FirstDelivery: cmp.Or(s.FirstDelivery.Duration(), 8*time.Hour), LoadImage: cmp.Or(s.LoadImage.Duration(), 10*time.Minute),
		CriticalUpdate: cmp.Or(s.CriticalUpdate.Duration(), day), Report: cmp.Or(s.Report.Duration(), 5*time.Second),
		ReportOutage: value(s.ReportOutage, document.Duration(day)).Duration(), Restore: cmp.Or(s.Restore.Duration(), 4*time.Hour),
		Backup: cmp.Or(s.Backup.Duration(), day), Loss: value(s.Loss, document.Duration(day)).Duration(),
		Usable: cmp.Or(share(&s.Usable, 0), defaultUsable), Neighbours: value(s.Neighbours, false),
		DeliveryHours: cmp.Or(s.DeliveryHours, 24), Poll: cmp.Or(s.Poll.Duration(), time.Minute),
	}
}

func (r *resolver) flow(e *Events) {
	r.Events = Flow{
		PerDay: cmp.Or(e.PerDay, 20), Bytes: cmp.Or(e.Bytes, 200), Keep: cmp.Or(e.Keep.Duration(), 365*day),
		Bursts: share(e.Bursts, 0.5), Overhead: share(e.Overhead, 0.3), Hours: cmp.Or(e.Hours, 8),
		Database: cmp.Or(e.Database, DatabaseAuto), Place: cmp.Or(e.Place, PlaceAuto), Site: r.sites.of(e.Site, -1), ShareOne: value(e.ShareOne, false),
	}
}

func (r *resolver) desks(consoles []Console) {
	for _, c := range consoles {
		r.Consoles = append(r.Consoles, Desk{
			Site: r.sites.of(c.Site, 0), Operators: cmp.Or(c.Operators, 1), Reports: value(c.Reports, DefaultReports), Images: value(c.Images, false),
		})
	}
	if len(consoles) > 0 || len(r.Sites) == 0 {
		return
	}
	most := 0
	for i, p := range r.Sites {
		if p.Users > r.Sites[most].Users {
			most = i
		}
	}
	r.Consoles = []Desk{{Site: most, Operators: DefaultOperators, Reports: DefaultReports}}
}

func (r *resolver) holds(c *Capacity) {
	r.Capacity = Holds{
		Clients: cmp.Or(c.Clients, ClassicCapacity), Measured: c.Clients != 0, Hardware: c.Hardware,
		Cores: cmp.Or(c.Cores, defaultCores), Memory: cmp.Or(int64(c.Memory), defaultMemory),
	}
}

// value is what p points to.
func value[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// share is a percentage as a share of one.
func share(p *document.Percent, otherwise float64) float64 {
	if p == nil {
		return otherwise
	}
	return float64(*p) / 100
}
