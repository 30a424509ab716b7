package delivery

import (
	"cmp"
	"math"
	"slices"

	"github.com/dormer-project/dormer/internal/plan/organization"
)

// What requests and starting cost. These are goals that Dormer is built to; the
// figures that use them say so.
const (
	firstRequests  = 50
	updateRequests = 10
	startRequests  = 100
	startShare     = 0.05 // of the packed size, before the guest answers
)

// road is what copies flow over: one direction of a link, or the network within
// a site.
type road struct {
	name         string
	full, usable float64 // bits a second
	line         int     // -1: within a site
}

// way is the roads to a site from the repository, with the site that each of
// them leads to.
type way struct {
	ok      bool
	roads   []int
	stops   []int
	latency float64 // seconds of a round trip
	usable  float64 // of the narrowest
}

// place is clients who take images alike: those at one site, in one network,
// who use one repository.
type place struct {
	store, site, network int
	country              string // that data of some of them may not leave
	rows                 []int
	clients              int
	images               []int  // clients that get each image
	critical             []bool // by image
	way                  way
	lan                  int // road
}

// mirror is a copy of a repository.
type mirror struct {
	store, site int
	country     string // that it and what fills it must stand in
	way         way
}

// scenario is how images come to each place.
type scenario struct {
	peers, staged, media []bool // by place
	mirrors              []mirror

	// source and start are, for each place and then for each mirror, the mirror that it takes from
	// (-1: the repository) and how many roads of its way lie before that one.
	source, start []int
}

// linkRoads makes the roads of all links; those within sites follow as places
// need them.
func (w *work) linkRoads() {
	w.roads = make([]road, 0, 2*len(w.Lines)+len(w.Sites))
	for i, l := range w.Lines {
		name := "link " + w.Sites[l.From].Name + " - " + w.Sites[l.To].Name
		w.roads = append(w.roads,
			road{name, float64(l.There), float64(l.UsableThere), i},
			road{name, float64(l.Back), float64(l.UsableBack), i})
	}
}

// wayTo is the way from one site to another.
func (w *work) wayTo(from, to int) way {
	r := w.Route(from, to)
	out := way{ok: r.OK, latency: r.Latency.Seconds(), usable: float64(r.Usable)}
	at := from
	for _, l := range r.Lines() {
		road := 2 * l
		if w.Lines[l].From == at {
			at = w.Lines[l].To
		} else {
			road, at = road+1, w.Lines[l].From
		}
		out.roads, out.stops = append(out.roads, road), append(out.stops, at)
	}
	return out
}

// settle gives each row its place.
func (w *work) settle() {
	w.linkRoads()
	at, lans := map[[2]int]int{}, map[[2]int]int{}
	for i := range w.rows {
		r := &w.rows[i]
		s := r.store
		key := [2]int{s, r.site}
		p, ok := at[key]
		if !ok {
			p = len(w.places)
			at[key] = p
			network := w.stores[s].network
			lan, ok := lans[[2]int{r.site, network}]
			if !ok {
				lan = len(w.roads)
				lans[[2]int{r.site, network}] = lan
				full := float64(w.Sites[r.site].LAN)
				w.roads = append(w.roads, road{"network within " + w.Sites[r.site].Name, full, full * w.Service.Usable, -1})
			}
			w.places = append(w.places, place{
				store: s, site: r.site, network: network, way: w.wayTo(w.stores[s].site, r.site), lan: lan,
				images: make([]int, len(w.Images)), critical: make([]bool, len(w.Images)),
			})
		}
		r.place = p
		to := &w.places[p]
		to.rows, to.clients, to.country = append(to.rows, i), to.clients+r.clients, cmp.Or(to.country, r.country)
		for j, n := range r.images {
			to.images[j] += n
			to.critical[j] = to.critical[j] || r.critical[j]
		}
	}
}

// everywhere is the scenario in which everything comes over the network, with
// neighbours at all sites or at none.
func (w *work) everywhere(neighbours bool) *scenario {
	s := &scenario{peers: make([]bool, len(w.places)), staged: make([]bool, len(w.places)), media: make([]bool, len(w.places))}
	for i := range s.peers {
		s.peers[i], s.media[i] = neighbours, !w.places[i].way.ok
	}
	w.connect(s)
	return s
}

// connect finds for all places and mirrors of a scenario where they take from:
// the last mirror on their way.
func (w *work) connect(s *scenario) {
	if w.mirrors == nil {
		w.mirrors = make([]int32, len(w.stores)*len(w.Sites))
	}
	for i, m := range s.mirrors {
		w.mirrors[m.store*len(w.Sites)+m.site] = int32(i) + 1
	}
	defer func() {
		for _, m := range s.mirrors {
			w.mirrors[m.store*len(w.Sites)+m.site] = 0
		}
	}()
	n, steps := len(w.places)+len(s.mirrors), 0
	s.source, s.start = slices.Grow(s.source[:0], n)[:n], slices.Grow(s.start[:0], n)[:n]
	for i := range n {
		store, to, last, country := 0, way{}, 0, ""
		if i < len(w.places) {
			p := &w.places[i]
			store, to, country = p.store, p.way, p.country
			last = len(to.stops)
		} else {
			m := &s.mirrors[i-len(w.places)]
			store, to, country = m.store, m.way, m.country
			last = len(to.stops) - 1 // not from itself
		}
		s.source[i], s.start[i] = -1, 0
		for j := last - 1; j >= 0 && len(s.mirrors) > 0; j-- {
			steps++
			if m := w.mirrors[store*len(w.Sites)+to.stops[j]]; m > 0 && (country == "" || w.Sites[to.stops[j]].Country == country) {
				s.source[i], s.start[i] = int(m)-1, j+1
				break
			}
		}
	}
	w.spent += steps / stepsOfPlace
}

// job is one image that is brought to everybody.
type job struct {
	image int
	first bool // else an update
}

func (w *work) bytes(j job) float64 {
	if j.first {
		return float64(w.Images[j.image].Packed)
	}
	return float64(w.Images[j.image].Update)
}

func (j job) requests() float64 {
	if j.first {
		return firstRequests
	}
	return updateRequests
}

// takes is how many clients of a place get the image over the network.
func (s *scenario) takes(p int, to *place, j job) int {
	if s.media[p] || j.first && s.staged[p] {
		return 0
	}
	return to.images[j.image]
}

// planned are the loads of the scenario that was chosen, which many ask about.
func (w *work) planned(s *scenario, j job) []float64 {
	loads, ok := w.planLoads[j]
	if !ok {
		loads = w.loads(s, j, nil)
		w.planLoads[j] = loads
	}
	return loads
}

// loads counts the copies that each road carries. loads is reused.
func (w *work) loads(s *scenario, j job, loads []float64) []float64 {
	loads = slices.Grow(loads[:0], len(w.roads))[:len(w.roads)]
	clear(loads)
	filled := make([]bool, len(s.mirrors))
	steps := 0
	for i := range w.places {
		p := &w.places[i]
		n := s.takes(i, p, j)
		if n == 0 {
			continue
		}
		over := p.way.roads[s.start[i]:]
		copies, within := float64(n), float64(n)
		if s.peers[i] && len(over) > 0 {
			copies, within = 1, within-1
		}
		for _, r := range over {
			loads[r] += copies
		}
		steps += len(over)
		loads[p.lan] += within
		for m := s.source[i]; m >= 0 && !filled[m]; m = s.source[len(w.places)+m] {
			filled[m] = true
			for _, r := range s.mirrors[m].way.roads[s.start[len(w.places)+m]:] {
				loads[r]++
			}
		}
	}
	w.spent += steps / stepsOfPlace
	return loads
}

// leg is a part of the time: copies over the road that is the slowest of this
// part of the way.
type leg struct {
	what   stretch
	copies float64
	road   int
}

func (w *work) time(l leg) float64 { return l.copies / w.roads[l.road].usable }

// slowest is the leg of a part of a way on which so many more copies are than
// there are in loads.
func (w *work) slowest(what stretch, over []int, loads []float64, more float64) leg {
	out := leg{what, loads[over[0]] + more, over[0]}
	for _, r := range over[1:] {
		out = w.slower(out, leg{what, loads[r] + more, r})
	}
	return out
}

// legs are the parts of the time in which everybody of a place has an image.
// out is reused.
func (w *work) legs(s *scenario, j job, i int, loads []float64, out []leg) []leg {
	out = out[:0]
	p := &w.places[i]
	for m := s.source[i]; m >= 0; m = s.source[len(w.places)+m] {
		out = append(out, w.slowest(toMirror, s.mirrors[m].way.roads[s.start[len(w.places)+m]:], loads, 0))
	}
	slices.Reverse(out)
	over, within := p.way.roads[s.start[i]:], leg{inSite, loads[p.lan], p.lan}
	if len(over) == 0 {
		return append(out, within)
	}
	if !s.peers[i] {
		return append(out, w.slower(w.slowest(overLink, over, loads, 0), within))
	}
	// One by one, each for itself, is as quick at most as all who give on what they have.
	copies := within.copies
	within.copies++
	alone := w.slower(w.slowest(overLink, over, loads, float64(s.takes(i, p, j)-1)), within)
	one := w.slower(w.slowest(overLink, over, loads, 0), leg{firstIn, 1, p.lan})
	within.copies = copies
	if w.time(alone) <= w.time(one)+w.time(within) {
		return append(out, alone)
	}
	return append(out, one, within)
}

// slower is the slower one of two parts of a way that are used at the same time.
func (w *work) slower(a, b leg) leg {
	if w.time(b) > w.time(a) {
		return b
	}
	return a
}

// stretch is a part of a way.
type stretch uint8

const (
	toMirror stretch = iota
	overLink
	firstIn // the copy that neighbours begin with
	inSite
)

// String is what formulas call it.
func (s stretch) String() string {
	return [...]string{"to the mirror", "over the link", "of the first within the site", "within the site"}[s]
}

// seconds is how long everybody of a place waits for an image, with the hours in
// which nothing is delivered.
func (w *work) seconds(j job, p *place, legs []leg) float64 {
	total := 0.0
	for _, l := range legs {
		total += w.time(l)
	}
	return w.elapsed(total*w.bytes(j)*8 + j.requests()*p.way.latency)
}

// elapsed is how long something lasts that takes so many seconds of the hours of
// delivery, from the first of them.
func (w *work) elapsed(seconds float64) float64 {
	hours := float64(w.Service.DeliveryHours)
	return seconds + max(math.Ceil(seconds/(hours*3600))-1, 0)*(24-hours)*3600
}

// within is how many seconds of delivery there are in a time.
func (w *work) within(seconds float64) float64 {
	hours, days := float64(w.Service.DeliveryHours)*3600, math.Floor(seconds/86400)
	return days*hours + min(seconds-days*86400, hours)
}

// alone is how long one person waits for a workspace to start at an idle time.
func (w *work) alone(s *scenario, i, image int) float64 {
	p := &w.places[i]
	return startShare*float64(w.Images[image].Packed)*8/w.single(s, i) + startRequests*p.latency(w, s, i)
}

// single is what one client alone gets at a place, in bits a second.
func (w *work) single(s *scenario, i int) float64 {
	p := &w.places[i]
	rate := w.roads[p.lan].usable
	for _, r := range p.way.roads[s.start[i]:] {
		rate = min(rate, w.roads[r].usable)
	}
	return rate
}

// latency is that of a round trip to where a place takes from.
func (p *place) latency(w *work, s *scenario, i int) float64 {
	if s.start[i] == 0 {
		return p.way.latency
	}
	total := 0.0
	for _, r := range p.way.roads[s.start[i]:] {
		total += w.Lines[w.roads[r].line].Latency.Seconds()
	}
	return total
}

// asked is the scenario that the plan begins with: what sites ask for, and
// neighbours where they are on.
func (w *work) asked() *scenario {
	s := w.everywhere(false)
	for i := range w.places {
		site := &w.Sites[w.places[i].site]
		s.peers[i] = site.Neighbours
		s.staged[i] = site.Delivery == organization.DeliveryPreStaged
		s.media[i] = s.media[i] || site.Delivery == organization.DeliveryMedia
	}
	return s
}
