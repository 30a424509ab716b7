package delivery

import (
	"math"
	"slices"
)

// store is a repository that is no mirror.
type store struct {
	site, network int
	country       string  // that it must stand in; empty: any
	instances     []int   // that it is there for; others may take from it as well
	cost          float64 // of its site; the second is that of the best of the others
	second        float64
	secondSite    int
}

// open decides which repositories there are: one for the instances of a network
// whose data may be anywhere, and one in each country that data may not leave.
// The first is merged with one of the others where the best place for it is in
// that country anyway. What no way leads to gets one of its own.
func (w *work) open() {
	type shelf struct {
		network   int
		country   string
		instances []int
	}
	var shelves []*shelf
	find := func(network int, country string) *shelf {
		for _, s := range shelves {
			if s.network == network && s.country == country {
				return s
			}
		}
		return nil
	}
	for k := range w.instances {
		in := &w.instances[k]
		s := find(in.Network, in.Country)
		if s == nil {
			s = &shelf{network: in.Network, country: in.Country}
			shelves = append(shelves, s)
		}
		s.instances = append(s.instances, k)
	}
	for _, free := range shelves {
		if free.country != "" {
			continue
		}
		at := w.seat(free.instances, "")
		if bound := find(free.network, w.Sites[at.site].Country); bound != nil && bound != free {
			bound.instances = append(bound.instances, free.instances...)
			slices.Sort(bound.instances)
			free.instances = nil
		}
	}
	for _, s := range shelves {
		for left := s.instances; len(left) > 0; {
			at := w.seat(left, s.country)
			at.network, at.country, at.instances = s.network, s.country, nil
			var far []int
			for _, k := range left {
				if w.Route(at.site, w.instances[k].Site).OK {
					at.instances = append(at.instances, k)
				} else {
					far = append(far, k)
				}
			}
			w.stores, left = append(w.stores, at), far
		}
	}
	slices.SortStableFunc(w.stores, func(a, b store) int { return a.instances[0] - b.instances[0] })
}

// mostSeats is how many sites are compared as the place of a repository: those
// whose instances have the most clients.
const mostSeats = 50

// seat is the site, of those where servers of the instances stand, from which
// their clients are reached best: the one with the lowest sum of clients over
// usable bandwidth. The first of the instances wins a tie.
func (w *work) seat(instances []int, country string) store {
	var seats []int
	weight, member := map[int]int{}, map[int]bool{}
	for _, k := range instances {
		in := &w.instances[k]
		member[k] = true
		if country != "" && w.Sites[in.Site].Country != country {
			continue
		}
		if !slices.Contains(seats, in.Site) {
			seats = append(seats, in.Site)
		}
		weight[in.Site] += in.Active
	}
	if len(seats) == 0 { // a placement has a server in the country; without one there is a repository all the same
		return store{site: w.instances[instances[0]].Site, secondSite: -1}
	}
	if len(seats) > mostSeats {
		slices.SortStableFunc(seats, func(a, b int) int { return weight[b] - weight[a] })
		seats = seats[:mostSeats]
	}
	clients := make([]int, len(w.Sites))
	for i := range w.rows {
		if r := &w.rows[i]; member[r.instance] {
			clients[r.site] += r.clients
		}
	}
	best := store{site: -1, cost: math.Inf(1), second: math.Inf(1), secondSite: -1}
	for _, site := range seats {
		if w.stopped() && best.site >= 0 {
			break
		}
		switch cost := w.cost(site, clients); {
		case best.site < 0 || cost < best.cost:
			best.second, best.secondSite = best.cost, best.site
			best.cost, best.site = cost, site
		case cost < best.second:
			best.second, best.secondSite = cost, site
		}
	}
	return best
}

// unreached is the bandwidth that stands for no way in a comparison of sites.
const unreached = 1

// cost is how many seconds it takes to bring one bit to each of the clients of
// all sites.
func (w *work) cost(from int, clients []int) float64 {
	total := 0.0
	for site, n := range clients {
		if n == 0 {
			continue
		}
		total += float64(n) / max(w.reach(from, site), unreached)
	}
	return total
}

// reach is the usable bandwidth from a repository at one site to clients at
// another one; zero where no way leads there.
func (w *work) reach(from, site int) float64 {
	lan := float64(w.Sites[site].LAN) * w.Service.Usable
	if from == site {
		return lan
	}
	way := w.Route(from, site)
	if !way.OK {
		return 0
	}
	return min(lan, float64(way.Usable))
}

// held lists the images of a repository: those that clients of these places get.
func (w *work) held(places []int) []int {
	var out []int
	for i := range w.Images {
		if slices.ContainsFunc(places, func(p int) bool { return w.places[p].images[i] > 0 }) {
			out = append(out, i)
		}
	}
	return out
}

// heldBy lists the images that people of instances get, on or off.
func (w *work) heldBy(instances []int) []int {
	has := make([]bool, len(w.Images))
	for _, k := range instances {
		for _, p := range w.instances[k].Parts {
			for _, n := range w.needs[p.Group] {
				has[n.image] = true
			}
		}
	}
	var out []int
	for i, ok := range has {
		if ok {
			out = append(out, i)
		}
	}
	return out
}

// mayMirror reports whether a mirror for a place may stand at a site.
func (w *work) mayMirror(p *place, site int) bool {
	at := &w.Sites[site]
	return at.Servers && site != w.stores[p.store].site && (p.country == "" || at.Country == p.country) && w.holds(site, p.network)
}

// assign gives each row the repository of its network from which most flows to
// it: that of its instance where it is as good as any, and where data may not
// leave a country. Repositories that nobody takes from are left out.
func (w *work) assign() {
	used, of := make([]bool, len(w.stores)), make([]int, len(w.instances))
	for s := range w.stores {
		for _, k := range w.stores[s].instances {
			of[k] = s
		}
	}
	best := map[[2]int]int{} // of a site, for those who have a repository
	for i := range w.rows {
		r := &w.rows[i]
		own := of[r.instance]
		r.store = own
		if r.country == "" {
			key := [2]int{own, r.site}
			s, ok := best[key]
			if !ok {
				s = w.best(own, r.site)
				best[key] = s
			}
			r.store = s
		}
		used[r.store] = true
	}
	at, kept := make([]int, len(w.stores)), 0
	for s := range w.stores {
		at[s] = kept
		if used[s] {
			w.stores[kept] = w.stores[s]
			kept++
		}
	}
	w.stores = w.stores[:kept]
	for i := range w.rows {
		w.rows[i].store = at[w.rows[i].store]
	}
}

// best is the repository from which most flows to a site, of those in the
// network of one, which wins a tie.
func (w *work) best(own, site int) int {
	out, most := own, w.reach(w.stores[own].site, site)
	for s := range w.stores {
		if w.stores[s].network != w.stores[own].network {
			continue
		}
		if rate := w.reach(w.stores[s].site, site); rate > most {
			out, most = s, rate
		}
	}
	return out
}
