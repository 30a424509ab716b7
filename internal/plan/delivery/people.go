package delivery

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/placement"
)

// work is a delivery that is being worked out.
type work struct {
	*organization.Model
	instances []placement.Instance
	needs     [][]need // of each group
	bindings  []string // of each group the country that its data may not leave
	rows      []row    // in the order of instances and of sites
	stores    []store
	places    []place
	roads     []road
	filled    map[job][]bool // by mirror, in the scenario that was chosen
	planLoads map[job][]float64
	over      [][]int // by road the sites whose ways lead over it
	mirrors   []int32 // by repository and site, for reuse: from 1, 0 none
	parts     []leg   // for reuse
	spent     int     // places and images that were looked at
	warnings  []string
	// stopped reports whether nobody waits any more: then all that takes long ends
	// early, with anything.
	stopped func() bool
}

// need is an image that some people of a group get.
type need struct {
	image         int
	users, active int
	critical      bool // updates must come in service.criticalUpdate
}

// row is the people of one instance at one site.
type row struct {
	instance, site, store, place int
	country                      string // that data of some of them may not leave
	clients, visitors            int
	images                       []int  // clients that get each image
	critical                     []bool // by image
}

// needed lists for each group its images. Who gets an image in two workspaces
// fetches it once.
func needed(m *organization.Model) [][]need {
	out := make([][]need, len(m.Groups))
	for _, w := range m.Workspaces {
		for _, part := range w.Gets {
			if part.Users == 0 {
				continue
			}
			g := &m.Groups[part.Group]
			list := out[part.Group]
			i := slices.IndexFunc(list, func(n need) bool { return n.image == w.Image })
			if i < 0 {
				i = len(list)
				list = append(list, need{image: w.Image})
			}
			n := &list[i]
			n.users, n.active = min(n.users+part.Users, g.Users), min(n.active+part.Active, g.Active)
			n.critical = n.critical || w.Critical
			out[part.Group] = list
		}
	}
	return out
}

// part is n times some of all, rounded up: a begun client is one.
func part(n, some, all int) int {
	if all == 0 {
		return 0
	}
	return (n*some + all - 1) / all
}

// people fills in the rows: those who work at a site, and those who visit it.
func (w *work) people() {
	w.needs, w.bindings = needed(w.Model), make([]string, len(w.Groups))
	for _, d := range w.Demands {
		for _, g := range d.Groups {
			w.bindings[g] = cmp.Or(w.bindings[g], d.Country)
		}
	}
	at := map[[2]int]int{}
	find := func(instance, site int) *row {
		key := [2]int{instance, site}
		i, ok := at[key]
		if !ok {
			i = len(w.rows)
			at[key] = i
			w.rows = append(w.rows, row{instance: instance, site: site, images: make([]int, len(w.Images)), critical: make([]bool, len(w.Images))})
		}
		return &w.rows[i]
	}
	home := make([][]resident, len(w.Sites))
	for k := range w.instances {
		for _, p := range w.instances[k].Parts {
			g := &w.Groups[p.Group]
			home[g.Site] = append(home[g.Site], resident{k, p.Group, p.Users})
			r := find(k, g.Site)
			r.clients += p.Active
			r.country = cmp.Or(r.country, w.bindings[p.Group])
			for _, n := range w.needs[p.Group] {
				r.images[n.image] += part(n.active, p.Active, g.Active)
				r.critical[n.image] = r.critical[n.image] || n.critical
			}
		}
	}
	for _, t := range w.Travel {
		stranded := map[int]int{}
		for i, n := range spread(min(t.Users, w.Sites[t.From].Users), home[t.From]) {
			if n == 0 {
				continue
			}
			who := home[t.From][i]
			if !w.reaches(who, t.To) {
				stranded[who.group] += n
				continue
			}
			r, g := find(who.instance, t.To), &w.Groups[who.group]
			r.clients, r.visitors = r.clients+n, r.visitors+n
			r.country = cmp.Or(r.country, w.bindings[who.group])
			for _, need := range w.needs[who.group] {
				r.images[need.image] += part(n, need.users, g.Users)
				r.critical[need.image] = r.critical[need.image] || need.critical
			}
			w.abroad(&t, who.group, n)
		}
		w.strand(&t, stranded)
	}
	slices.SortStableFunc(w.rows, func(a, b row) int {
		if a.instance != b.instance {
			return a.instance - b.instance
		}
		return a.site - b.site
	})
}

// resident is people of a group at home, and the instance that serves them.
type resident struct {
	instance, group, users int
}

// spread divides n people among residents, as many of each as they are part of
// all.
func spread(n int, among []resident) []int {
	all := 0
	for _, r := range among {
		all += r.users
	}
	out := make([]int, len(among))
	before, given := 0, 0
	for i, r := range among {
		before += r.users
		upTo := 0
		if all > 0 {
			upTo = (n*before + all/2) / all
		}
		out[i], given = upTo-given, upTo
	}
	return out
}

// holds reports whether a site is in a network. What has no people is in the
// connected one.
func (w *work) holds(site, network int) bool {
	if network == organization.Connected && len(w.Sites[site].Groups) == 0 {
		return true
	}
	return slices.ContainsFunc(w.Sites[site].Groups, func(g int) bool { return w.Groups[g].Network == network })
}

// reaches reports whether people can reach their server when they are at a site.
func (w *work) reaches(who resident, site int) bool {
	return w.holds(site, w.Groups[who.group].Network) && w.Route(site, w.instances[who.instance].Site).OK
}

// abroad warns about people whose data may not leave a country and who go to
// another one.
func (w *work) abroad(t *organization.Trip, group, n int) {
	to := &w.Sites[t.To]
	for _, d := range w.Demands {
		if d.Country != "" && d.Country != to.Country && slices.Contains(d.Groups, group) {
			where := ""
			if to.Country != "" {
				where = " in " + to.Country
			}
			w.warnings = append(w.warnings, fmt.Sprintf("%s of %s %s %s%s, but their data may not leave %s (%s). Their machines are on the clients that they take along: decide whether these people may take them.",
				figure.Counted(n, "person", "people"), w.Sites[t.From].Name, be(n, "visits", "visit"), to.Name, where, d.Country, d.Name))
		}
	}
}

// strand warns about people who cannot reach their server during a visit, by the
// workspaces that they may not use for so long.
func (w *work) strand(t *organization.Trip, people map[int]int) {
	if len(people) == 0 {
		return
	}
	visit := time.Duration(t.Days) * 24 * time.Hour
	home := w.Sites[t.From].Name
	if within := w.networkOf(people); within != organization.Connected {
		home += " in network " + w.Networks[within].Name
	}
	for i := range w.Workspaces {
		o := &w.Workspaces[i]
		limit, limited := o.Offline.Limit()
		if !limited || limit >= visit {
			continue
		}
		n := 0
		for _, gets := range o.Gets {
			n += part(people[gets.Group], gets.Users, w.Groups[gets.Group].Users)
		}
		if n == 0 {
			continue
		}
		may := "may not be used off-line at all"
		if limit > 0 {
			may = "may be used off-line for " + figure.Duration(limit.Seconds()) + " only"
		}
		w.warnings = append(w.warnings, fmt.Sprintf("%s of %s %s %s for %s and cannot reach their server from there: the workspace %s %s. They need one that may be used off-line for %s, or cannot work with it there.",
			figure.Counted(n, "person", "people"), home, be(n, "visits", "visit"), w.Sites[t.To].Name, figure.Counted(t.Days, "day", "days"), o.Name, may, figure.Counted(t.Days, "day", "days")))
	}
}

// networkOf is the isolated network that all of the people are in, Connected where
// there is none.
func (w *work) networkOf(people map[int]int) int {
	within, known := organization.Connected, false
	for group := range people {
		n := w.Groups[group].Network
		if known && n != within {
			return organization.Connected
		}
		within, known = n, true
	}
	return within
}
