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
	ends [][]end // links at each site
}

// end is a link as one of its sites sees it.
type end struct {
	line, to int
	usable   document.Rate // away from this site
	latency  time.Duration
}

// source is the routes from one site.
type source struct {
	once sync.Once
	to   []Route
}

func newWays(m *Model) *ways {
	w := &ways{from: make([]source, len(m.Sites)), ends: make([][]end, len(m.Sites))}
	for i, l := range m.Lines {
		w.ends[l.From] = append(w.ends[l.From], end{i, l.To, l.UsableThere, l.Latency})
		w.ends[l.To] = append(w.ends[l.To], end{i, l.From, l.UsableBack, l.Latency})
	}
	return w
}

func (w *ways) route(m *Model, from, to int) Route {
	if from == to {
		lan := m.Sites[from].LAN
		return Route{OK: true, Bandwidth: lan, Usable: lan}
	}
	s := &w.from[from]
	s.once.Do(func() { s.to = w.routes(m, from) })
	return s.to[to]
}

// routes finds, for each site, how much can get there at most, and of the ways
// that are as wide as that the quickest. A quickest way under a bound is no
// part of one under another bound: there is one search for each.
func (w *ways) routes(m *Model, from int) []Route {
	out := make([]Route, len(w.from))
	widest := w.search(from, 0, byWidth)
	bounds := map[document.Rate]bool{}
	for to, s := range widest {
		if to != from && s.reached {
			bounds[s.usable] = true
		}
	}
	for bound := range bounds {
		quickest := w.search(from, bound, byLatency)
		for to, s := range widest {
			if to == from || !s.reached || s.usable != bound {
				continue
			}
			r := Route{OK: true, Usable: bound, Latency: quickest[to].latency}
			for at := to; at != from; at = quickest[at].before {
				line := m.Lines[quickest[at].line]
				bandwidth := line.There
				if line.To != at {
					bandwidth = line.Back
				}
				if r.Lines == nil || bandwidth < r.Bandwidth {
					r.Bandwidth = bandwidth
				}
				r.Lines = append(r.Lines, quickest[at].line)
			}
			slices.Reverse(r.Lines)
			out[to] = r
		}
	}
	return out
}

// step is the best way to a site, with the link that it ends with.
type step struct {
	reached      bool
	usable       document.Rate // of the narrowest link; all of it before the first
	latency      time.Duration
	links        int
	line, before int
}

// byWidth puts the wider of two ways first, byLatency the quicker and of equally
// quick ones that of fewer links.
func byWidth(a, b step) int { return cmp.Compare(b.usable, a.usable) }

func byLatency(a, b step) int {
	return cmp.Or(cmp.Compare(a.latency, b.latency), cmp.Compare(a.links, b.links))
}

const unlimited = document.Rate(1<<63 - 1)

// search is Dijkstra's over the links of which at least bound may be used. What
// it finds depends on the order of links alone.
func (w *ways) search(from int, bound document.Rate, first func(a, b step) int) []step {
	best := make([]step, len(w.from))
	done := make([]bool, len(w.from))
	best[from] = step{reached: true, usable: unlimited}
	queue := frontier{first: first}
	queue.push(reached{from, best[from]})
	for len(queue.list) > 0 {
		at := queue.pop().site
		if done[at] {
			continue
		}
		done[at] = true
		for _, e := range w.ends[at] {
			if done[e.to] || e.usable < bound {
				continue
			}
			next := step{true, min(e.usable, best[at].usable), best[at].latency + e.latency, best[at].links + 1, e.line, at}
			if !best[e.to].reached || first(next, best[e.to]) < 0 {
				best[e.to] = next
				queue.push(reached{e.to, next})
			}
		}
	}
	return best
}

type reached struct {
	site int
	step
}

// frontier is a heap of the sites that a search has come to, the best first, of
// equally good ones the first site. That of the standard library takes an
// allocation for each of them, which is most of the time of a search.
type frontier struct {
	first func(a, b step) int
	list  []reached
}

func (f *frontier) before(i, j int) bool {
	a, b := &f.list[i], &f.list[j]
	if c := f.first(a.step, b.step); c != 0 {
		return c < 0
	}
	return a.site < b.site
}

func (f *frontier) push(r reached) {
	f.list = append(f.list, r)
	for i := len(f.list) - 1; i > 0; {
		above := (i - 1) / 2
		if !f.before(i, above) {
			return
		}
		f.list[i], f.list[above] = f.list[above], f.list[i]
		i = above
	}
}

func (f *frontier) pop() reached {
	out, last := f.list[0], len(f.list)-1
	f.list[0] = f.list[last]
	f.list = f.list[:last]
	for i := 0; ; {
		below := 2*i + 1
		if below >= last {
			return out
		}
		if below+1 < last && f.before(below+1, below) {
			below++
		}
		if !f.before(below, i) {
			return out
		}
		f.list[i], f.list[below] = f.list[below], f.list[i]
		i = below
	}
}
