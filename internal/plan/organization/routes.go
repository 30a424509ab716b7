package organization

import (
	"container/heap"
	"sync"
	"time"

	"github.com/dormer-project/dormer/internal/document"
)

// ways finds routes from each site when they are asked for first: all of them
// would be millions in a large organization.
type ways struct {
	from []source
	// ends of links at each site
	ends [][]end
}

// end is a link as one of its sites sees it.
type end struct {
	line, to          int
	bandwidth, usable document.Rate // away from this site
	latency           time.Duration
}

// source is the routes from one site.
type source struct {
	once sync.Once
	to   []step
}

// step is the best way to a site, with the link that it ends with.
type step struct {
	reached           bool
	bandwidth, usable document.Rate
	latency           time.Duration
	line, before      int
}

func newWays(m *Model) *ways {
	w := &ways{from: make([]source, len(m.Sites)), ends: make([][]end, len(m.Sites))}
	for i, l := range m.Lines {
		w.ends[l.From] = append(w.ends[l.From], end{i, l.To, l.There, l.UsableThere, l.Latency})
		w.ends[l.To] = append(w.ends[l.To], end{i, l.From, l.Back, l.UsableBack, l.Latency})
	}
	return w
}

func (w *ways) route(m *Model, from, to int) Route {
	if from == to {
		lan := m.Sites[from].LAN
		return Route{OK: true, Bandwidth: lan, Usable: lan}
	}
	s := &w.from[from]
	s.once.Do(func() { s.to = w.widest(from) })
	last := s.to[to]
	if !last.reached {
		return Route{}
	}
	r := Route{OK: true, Bandwidth: last.bandwidth, Usable: last.usable, Latency: last.latency}
	for at := to; at != from; at = s.to[at].before {
		r.Lines = append(r.Lines, s.to[at].line)
	}
	for i, j := 0, len(r.Lines)-1; i < j; i, j = i+1, j-1 {
		r.Lines[i], r.Lines[j] = r.Lines[j], r.Lines[i]
	}
	return r
}

// widest is Dijkstra's search with the narrowest link of a way in place of its
// length.
func (w *ways) widest(from int) []step {
	best := make([]step, len(w.from))
	done := make([]bool, len(w.from))
	best[from] = step{reached: true}
	queue := frontier{{site: from}}
	for len(queue) > 0 {
		at := heap.Pop(&queue).(reached).site
		if done[at] {
			continue
		}
		done[at] = true
		for _, e := range w.ends[at] {
			next := step{true, e.bandwidth, e.usable, best[at].latency + e.latency, e.line, at}
			if at != from {
				next.bandwidth, next.usable = min(next.bandwidth, best[at].bandwidth), min(next.usable, best[at].usable)
			}
			if !done[e.to] && (!best[e.to].reached || next.better(best[e.to])) {
				best[e.to] = next
				heap.Push(&queue, reached{e.to, next})
			}
		}
	}
	return best
}

func (s step) better(t step) bool {
	if s.usable != t.usable {
		return s.usable > t.usable
	}
	return s.latency < t.latency
}

type reached struct {
	site int
	step
}

// frontier is a heap with the widest way first.
type frontier []reached

func (f frontier) Len() int           { return len(f) }
func (f frontier) Less(i, j int) bool { return f[i].better(f[j].step) }
func (f frontier) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *frontier) Push(x any)        { *f = append(*f, x.(reached)) }
func (f *frontier) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}
