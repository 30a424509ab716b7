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

// seat is the site, of those where servers of the instances stand, from which
// their clients are reached best: the one with the lowest sum of clients over
// usable bandwidth. The first of the instances wins a tie.
func (w *work) seat(instances []int, country string) store {
	best := store{site: -1, cost: math.Inf(1), second: math.Inf(1), secondSite: -1}
	var seen []int
	for _, k := range instances {
		site := w.instances[k].Site
		if slices.Contains(seen, site) || country != "" && w.Sites[site].Country != country {
			continue
		}
		seen = append(seen, site)
		switch cost := w.cost(site, instances); {
		case best.site < 0 || cost < best.cost:
			best.second, best.secondSite = best.cost, best.site
			best.cost, best.site = cost, site
		case cost < best.second:
			best.second, best.secondSite = cost, site
		}
	}
	if best.site < 0 { // a placement always has a server in the country; a wrong one gets a repository all the same
		best.site = w.instances[instances[0]].Site
	}
	return best
}

// unreached is the bandwidth that stands for no way in a comparison of sites.
const unreached = 1

// cost is how many seconds it takes to bring one bit to each client.
func (w *work) cost(from int, instances []int) float64 {
	total := 0.0
	for i := range w.rows {
		r := &w.rows[i]
		if !slices.Contains(instances, r.instance) {
			continue
		}
		rate := float64(w.Sites[r.site].LAN) * w.Service.Usable
		if way := w.Route(from, r.site); !way.OK {
			rate = unreached
		} else if from != r.site {
			rate = min(rate, float64(way.Usable))
		}
		total += float64(r.clients) / rate
	}
	return total
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
	used := make([]bool, len(w.stores))
	for i := range w.rows {
		r := &w.rows[i]
		own := slices.IndexFunc(w.stores, func(s store) bool { return slices.Contains(s.instances, r.instance) })
		r.store = own
		if r.country == "" {
			most := w.reach(own, r.site)
			for s := range w.stores {
				if rate := w.reach(s, r.site); w.stores[s].network == w.stores[own].network && rate > most {
					r.store, most = s, rate
				}
			}
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

// reach is the usable bandwidth from a repository to a site.
func (w *work) reach(s, site int) float64 {
	way := w.Route(w.stores[s].site, site)
	if !way.OK {
		return 0
	}
	lan := float64(w.Sites[site].LAN) * w.Service.Usable
	if site == w.stores[s].site {
		return lan
	}
	return min(lan, float64(way.Usable))
}
