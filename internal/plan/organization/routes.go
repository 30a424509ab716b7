package organization

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/dormer-project/dormer/internal/document"
)

// ways finds the routes from a site when they are asked for first: all of them
// would be millions in a large organization.
type ways struct {
	from []source
	ends [][]end // links away from each site, the widest first
	arcs []arc   // links in both directions, the widest first
}

// end is a link as one of its sites sees it.
type end struct {
	line, to  int
	usable    document.Rate // away from this site
	bandwidth document.Rate
	latency   time.Duration
}

// arc is one direction of a link.
type arc struct {
	from int
	end
}

// source is the routes from one site.
type source struct {
	once sync.Once
	to   []Route
}

func newWays(m *Model) *ways {
	w := &ways{from: make([]source, len(m.Sites)), ends: make([][]end, len(m.Sites)), arcs: make([]arc, 0, 2*len(m.Lines))}
	for i, l := range m.Lines {
		w.arcs = append(w.arcs,
			arc{l.From, end{i, l.To, l.UsableThere, l.There, l.Latency}},
			arc{l.To, end{i, l.From, l.UsableBack, l.Back, l.Latency}})
	}
	slices.SortStableFunc(w.arcs, func(a, b arc) int { return cmp.Compare(b.usable, a.usable) })
	for _, a := range w.arcs {
		w.ends[a.from] = append(w.ends[a.from], a.end)
	}
	return w
}

func (w *ways) route(m *Model, from, to int) Route {
	if from == to {
		lan := m.Sites[from].LAN
		return Route{OK: true, Bandwidth: lan, Usable: lan}
	}
	s := &w.from[from]
	s.once.Do(func() { s.to = w.routes(from) })
	return s.to[to]
}

// leg is the last link of a way and what is before it. Ways have legs in common.
type leg struct {
	before *leg
	line   int
}

// step is the quickest way to a site that was found so far.
type step struct {
	reached   bool
	bandwidth document.Rate // of the narrowest link
	latency   time.Duration
	links     int
	leg       *leg
}

// quicker is the order of ways: equally quick ones by their number of links.
func (a step) quicker(b step) int {
	return cmp.Or(cmp.Compare(a.latency, b.latency), cmp.Compare(a.links, b.links))
}

const unlimited = document.Rate(1<<63 - 1)

// routes finds, for each site, how much can get there at most, and of the ways
// that are as wide as that the quickest. Links are added the widest first: those
// as wide as the last ones that a site was reached with are the ways to it. With
// each of them what was reached before may be reached sooner, which matters for
// what lies beyond; it is searched on from there. What is found depends on the
// order of links alone.
func (w *ways) routes(from int) []Route {
	out := make([]Route, len(w.from))
	best := make([]step, len(w.from))
	best[from] = step{reached: true, bandwidth: unlimited}
	var queue frontier
	var fresh []int
	relax := func(at int, e *end) {
		now := &best[at]
		next := step{true, min(e.bandwidth, now.bandwidth), now.latency + e.latency, now.links + 1, nil}
		to := &best[e.to]
		if to.reached && next.quicker(*to) >= 0 {
			return
		}
		if !to.reached {
			fresh = append(fresh, e.to)
		}
		next.leg = &leg{now.leg, e.line}
		*to = next
		queue.push(arrival{e.to, next.latency, next.links})
	}
	left := len(w.from) - 1
	for i := 0; i < len(w.arcs) && left > 0; {
		bound := w.arcs[i].usable
		fresh = fresh[:0]
		for ; i < len(w.arcs) && w.arcs[i].usable == bound; i++ {
			if a := &w.arcs[i]; best[a.from].reached {
				relax(a.from, &a.end)
			}
		}
		for len(queue) > 0 {
			at := queue.pop()
			if s := &best[at.site]; s.latency != at.latency || s.links != at.links {
				continue // reached sooner since
			}
			ends := w.ends[at.site]
			for k := 0; k < len(ends) && ends[k].usable >= bound; k++ {
				relax(at.site, &ends[k])
			}
		}
		for _, to := range fresh {
			s := &best[to]
			out[to] = Route{OK: true, Bandwidth: s.bandwidth, Usable: bound, Latency: s.latency, last: s.leg}
		}
		left -= len(fresh)
	}
	return out
}

// arrival is a site that a search has come to.
type arrival struct {
	site    int
	latency time.Duration
	links   int
}

// frontier is a heap of the sites that a search has come to, the soonest first,
// of equally good ones the first site. That of the standard library takes an
// allocation for each of them, which is most of the time of a search.
type frontier []arrival

func (f frontier) before(i, j int) bool {
	a, b := &f[i], &f[j]
	return cmp.Or(cmp.Compare(a.latency, b.latency), cmp.Compare(a.links, b.links), cmp.Compare(a.site, b.site)) < 0
}

func (f *frontier) push(r arrival) {
	list := append(*f, r)
	*f = list
	for i := len(list) - 1; i > 0; {
		above := (i - 1) / 2
		if !list.before(i, above) {
			return
		}
		list[i], list[above] = list[above], list[i]
		i = above
	}
}

func (f *frontier) pop() arrival {
	list := *f
	out, last := list[0], len(list)-1
	list[0] = list[last]
	list = list[:last]
	*f = list
	for i := 0; ; {
		below := 2*i + 1
		if below >= last {
			return out
		}
		if below+1 < last && list.before(below+1, below) {
			below++
		}
		if !list.before(below, i) {
			return out
		}
		list[i], list[below] = list[below], list[i]
		i = below
	}
}
