package delivery

import (
	"cmp"
	"slices"

	"github.com/dormer-project/dormer/internal/plan/organization"
)

// Service levels that a place does not meet, as bits.
const (
	missesFirst = 1 << iota
	missesLoad
	missesUpdate
)

// mediaUpdate is how long an update takes that is sent on a medium.
const mediaUpdate = 2 * 86400

// misses says for each place, and there for each image, which service levels are
// not met.
func (w *work) misses(s *scenario) []uint8 {
	out := make([]uint8, len(w.places)*len(w.Images))
	var loads []float64
	for image := range w.Images {
		if w.stopped() {
			break
		}
		for _, first := range []bool{true, false} {
			j := job{image, first}
			loads = w.loads(s, j, loads)
			for i := range w.places {
				out[i*len(w.Images)+image] |= w.miss(s, j, i, loads)
			}
		}
	}
	return out
}

// miss says which service levels of a job are not met at a place.
func (w *work) miss(s *scenario, j job, i int, loads []float64) uint8 {
	p := &w.places[i]
	switch {
	case p.images[j.image] == 0, j.first && (s.media[i] || s.staged[i]), !j.first && !p.critical[j.image]:
		return 0
	case s.media[i]:
		if mediaUpdate > w.Service.CriticalUpdate.Seconds() {
			return missesUpdate
		}
		return 0
	}
	w.parts = w.legs(s, j, i, loads, w.parts)
	seconds := w.seconds(j, p, w.parts)
	if !j.first {
		if seconds > w.Service.CriticalUpdate.Seconds() {
			return missesUpdate
		}
		return 0
	}
	out := uint8(0)
	if seconds > w.Service.FirstDelivery.Seconds() {
		out |= missesFirst
	}
	if w.alone(s, i, j.image) > w.Service.LoadImage.Seconds() {
		out |= missesLoad
	}
	return out
}

// worse reports whether a scenario misses anything that was met before. It looks
// first at a place that is likely to.
func (w *work) worse(s *scenario, before []uint8, likely int) bool {
	var loads []float64
	for image := range w.Images {
		if w.stopped() {
			break
		}
		for _, first := range []bool{true, false} {
			j := job{image, first}
			loads = w.loads(s, j, loads)
			w.spent += len(w.places)
			if w.miss(s, j, likely, loads)&^before[likely*len(w.Images)+image] != 0 {
				return true
			}
			w.spent += len(w.places)
			for i := range w.places {
				if w.miss(s, j, i, loads)&^before[i*len(w.Images)+image] != 0 {
					return true
				}
			}
		}
	}
	return false
}

// of is what a place misses.
func (w *work) of(misses []uint8, place int) uint8 {
	all := uint8(0)
	for _, m := range misses[place*len(w.Images) : (place+1)*len(w.Images)] {
		all |= m
	}
	return all
}

// choose finds the least with which as much as possible is met: mirrors where
// the network alone does not do, then pre-staging, then media; and then takes
// back what the rest made needless.
func (w *work) choose() *scenario {
	s := w.asked()
	missed := w.misses(s)
	for w.addMirrors(s, missed) {
		missed = w.misses(s)
	}
	for i := range w.places {
		if w.auto(i) && !s.media[i] && w.of(missed, i)&(missesFirst|missesLoad) != 0 {
			s.staged[i] = true
		}
	}
	missed = w.misses(s)
	if mediaUpdate <= w.Service.CriticalUpdate.Seconds() {
		for i := range w.places {
			if w.auto(i) && w.of(missed, i)&missesUpdate != 0 {
				s.media[i], s.staged[i] = true, false
			}
		}
		missed = w.misses(s)
	}
	w.takeBack(s, missed)
	return s
}

func (w *work) auto(place int) bool {
	return w.Sites[w.places[place].site].Delivery == organization.DeliveryAuto
}

// addMirrors puts a mirror behind the slowest link of each place that misses a
// level. It reports whether there are more than before.
func (w *work) addMirrors(s *scenario, missed []uint8) bool {
	before := len(s.mirrors)
	var loads []float64
	for image := range w.Images {
		if w.stopped() {
			return false
		}
		for level := uint8(missesFirst); level <= missesUpdate; level <<= 1 {
			loads = w.loads(s, job{image, level != missesUpdate}, loads)
			for i := range w.places {
				p := &w.places[i]
				over := p.way.roads[s.start[i]:]
				if missed[i*len(w.Images)+image]&level == 0 || s.media[i] || len(over) == 0 {
					continue
				}
				slowest := 0
				for k, r := range over {
					a, b := leg{copies: loads[r], road: r}, leg{copies: loads[over[slowest]], road: over[slowest]}
					if level == missesLoad {
						a.copies, b.copies = 1, 1
					}
					if w.time(a) > w.time(b) {
						slowest = k
					}
				}
				w.addMirror(s, p, p.way.stops[s.start[i]+slowest:])
			}
		}
	}
	if len(s.mirrors) == before {
		return false
	}
	w.connect(s)
	return true
}

// addMirror puts a mirror at the first of some sites on the way to a place where
// one may stand, unless there is one already.
func (w *work) addMirror(s *scenario, p *place, sites []int) {
	for _, site := range sites {
		if !w.mayMirror(p, site) {
			continue
		}
		i := slices.IndexFunc(s.mirrors, func(m mirror) bool { return m.store == p.store && m.site == site })
		if i < 0 {
			s.mirrors = append(s.mirrors, mirror{p.store, site, p.country, w.wayTo(w.stores[p.store].site, site)})
		} else {
			s.mirrors[i].country = cmp.Or(s.mirrors[i].country, p.country)
		}
		return
	}
}

// mostSpent bounds the search for what is needless, in places and images looked
// at: a second or two. Organizations of hundreds of sites stay far below. What
// each mirror is for may take as much again.
const mostSpent = 10_000_000

// stepsOfPlace is how many links of ways take as long to look at as a place.
const stepsOfPlace = 2

// takeBack undoes what nothing is gained by, the dearest first.
func (w *work) takeBack(s *scenario, missed []uint8) {
	enough := func() bool { return w.spent > mostSpent || w.stopped() }
	for i := range w.places {
		if !s.media[i] || !w.auto(i) || !w.places[i].way.ok || enough() {
			continue
		}
		s.media[i], s.staged[i] = false, true
		if w.worse(s, missed, i) {
			s.media[i], s.staged[i] = true, false
		}
	}
	for i := range w.places {
		if !s.staged[i] || !w.auto(i) || enough() {
			continue
		}
		s.staged[i] = false
		s.staged[i] = w.worse(s, missed, i)
	}
	for w.dropMirror(s, missed) {
		if enough() {
			w.warnings = append(w.warnings, "The search for mirrors and pre-staging that could be left out was ended early: in so large an organization there may be some.")
			return
		}
	}
}

// dropMirror drops needless mirrors, the last ones first. It reports whether
// there was one: without it another one may have become needless, since the way
// over fewer mirrors is quicker.
func (w *work) dropMirror(s *scenario, missed []uint8) bool {
	dropped := false
	for m := range slices.Backward(s.mirrors) {
		if w.spent > mostSpent || w.stopped() {
			return true
		}
		kept, likely := s.mirrors, max(slices.Index(s.source[:len(w.places)], m), 0)
		s.mirrors = slices.Delete(slices.Clone(kept), m, m+1)
		w.connect(s)
		if w.worse(s, missed, likely) {
			s.mirrors = kept
			w.connect(s)
			continue
		}
		dropped = true
	}
	return dropped
}
