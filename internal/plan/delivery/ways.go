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
	var legs []leg
	for image := range w.Images {
		for _, first := range []bool{true, false} {
			j := job{image, first}
			loads = w.loads(s, j, loads)
			for i := range w.places {
				p := &w.places[i]
				if p.images[image] == 0 {
					continue
				}
				at := &out[i*len(w.Images)+image]
				switch {
				case s.media[i]:
					if !first && p.critical[image] && mediaUpdate > w.Service.CriticalUpdate.Seconds() {
						*at |= missesUpdate
					}
				case first && s.staged[i]:
				case first:
					legs = w.legs(s, j, i, loads, legs)
					if w.seconds(j, p, legs) > w.Service.FirstDelivery.Seconds() {
						*at |= missesFirst
					}
					if w.alone(s, i, image) > w.Service.LoadImage.Seconds() {
						*at |= missesLoad
					}
				case p.critical[image]:
					legs = w.legs(s, j, i, loads, legs)
					if w.seconds(j, p, legs) > w.Service.CriticalUpdate.Seconds() {
						*at |= missesUpdate
					}
				}
			}
		}
	}
	return out
}

// of is what a place misses.
func (w *work) of(misses []uint8, place int) uint8 {
	all := uint8(0)
	for _, m := range misses[place*len(w.Images) : (place+1)*len(w.Images)] {
		all |= m
	}
	return all
}

// none reports whether a scenario misses nothing that another one meets.
func none(misses, before []uint8) bool {
	for i, m := range misses {
		if m&^before[i] != 0 {
			return false
		}
	}
	return true
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
	w.missed = w.takeBack(s, missed)
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

// takeBack undoes what nothing is gained by, the dearest first. It returns what
// is missed then.
func (w *work) takeBack(s *scenario, missed []uint8) []uint8 {
	for i := range w.places {
		if !s.media[i] || !w.auto(i) || !w.places[i].way.ok {
			continue
		}
		s.media[i], s.staged[i] = false, true
		if now := w.misses(s); none(now, missed) {
			missed = now
			continue
		}
		s.media[i], s.staged[i] = true, false
	}
	for i := range w.places {
		if !s.staged[i] || !w.auto(i) {
			continue
		}
		s.staged[i] = false
		if now := w.misses(s); none(now, missed) {
			missed = now
			continue
		}
		s.staged[i] = true
	}
	for i := len(s.mirrors) - 1; i >= 0; i-- {
		kept := s.mirrors
		s.mirrors = slices.Delete(slices.Clone(kept), i, i+1)
		w.connect(s)
		if now := w.misses(s); none(now, missed) {
			missed = now
			continue
		}
		s.mirrors = kept
		w.connect(s)
	}
	return missed
}
