package simulation

import (
	"container/heap"
	"math"

	"github.com/dormer-project/dormer/internal/plan/organization"
)

// road is what copies flow over: one direction of a link, or the network within
// a site.
type road struct {
	from, to int     // sites; the same within one
	usable   float64 // bits a second
	copies   float64 // bits that formulas count on it
	carried  float64 // bits
	last     float64 // when it carried something last
	left     float64 // while rates are shared out: what is still free, and
	flows    float64 // how many flows want it
	streams  []int   // that flow over it
}

// stream is clients of a place that fetch one image: so many alike flows, which
// begin in groups.
type stream struct {
	roads []int
	bits  float64 // of each flow
	// after is the stream that must have ended before, -1: none.
	after int
	start []float64 // of each group, ascending
	count []float64 // flows in each group
	lag   float64   // for requests, at the end

	open  bool
	began int // groups
	done  int
	base  []float64 // what sum was when each group began
	sum   float64   // bits that a flow has got that is there from the beginning
	flows float64   // that flow now
	rate  float64   // of each of them
	fixed bool
	slow  int // the road that holds it up
	ends  []float64
}

func (s *stream) over() bool { return s.done == len(s.start) }

// network is all roads and streams.
type network struct {
	roads   []road
	streams []stream
	lans    map[[2]int]int // roads within sites, by site and network
}

func newNetwork(m *organization.Model) *network {
	n := &network{lans: map[[2]int]int{}}
	for _, l := range m.Lines {
		n.roads = append(n.roads,
			road{from: l.From, to: l.To, usable: float64(l.UsableThere)},
			road{from: l.To, to: l.From, usable: float64(l.UsableBack)})
	}
	return n
}

// way is the roads between two sites.
func (n *network) way(m *organization.Model, from, to int) (roads []int, latency float64, ok bool) {
	r := m.Route(from, to)
	at := from
	for _, l := range r.Lines() {
		next := 2 * l
		if n.roads[next].from != at {
			next++
		}
		roads, at = append(roads, next), n.roads[next].to
	}
	return roads, r.Latency.Seconds(), r.OK
}

// lan is the road within a site.
func (n *network) lan(m *organization.Model, site, network int) int {
	key := [2]int{site, network}
	i, ok := n.lans[key]
	if !ok {
		i = len(n.roads)
		n.lans[key] = i
		n.roads = append(n.roads, road{from: site, to: site, usable: max(float64(m.Sites[site].LAN)*m.Service.Usable, 1)})
	}
	return i
}

// add adds a stream of so many flows that begin one after the other within some
// seconds, in so many groups at most.
func (n *network) add(s stream, flows int, within float64, groups int) int {
	groups = max(min(groups, flows), 1)
	for g := range groups {
		s.start = append(s.start, within*float64(g)/float64(groups))
		s.count = append(s.count, float64(flows*(g+1)/groups-flows*g/groups))
	}
	s.base, s.ends = make([]float64, groups), make([]float64, groups)
	i := len(n.streams)
	for _, r := range s.roads {
		n.roads[r].copies += s.bits * float64(flows)
		n.roads[r].streams = append(n.roads[r].streams, i)
	}
	n.streams = append(n.streams, s)
	return i
}

// tight is a road by the rate that each flow on it would get.
type tight struct {
	rate float64
	road int
}

type tightest []tight

func (t tightest) Len() int { return len(t) }
func (t tightest) Less(i, j int) bool {
	if t[i].rate != t[j].rate {
		return t[i].rate < t[j].rate
	}
	return t[i].road < t[j].road
}
func (t tightest) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *tightest) Push(x any)   { *t = append(*t, x.(tight)) }
func (t *tightest) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}

// share gives each flow its fair rate: the road on which flows get least
// decides for all that flow over it, and what these do not take elsewhere is for
// the others.
func (n *network) share() {
	for i := range n.roads {
		n.roads[i].left, n.roads[i].flows = n.roads[i].usable, 0
	}
	for i := range n.streams {
		s := &n.streams[i]
		s.fixed, s.rate = s.flows == 0, 0
		for _, r := range s.roads {
			n.roads[r].flows += s.flows
		}
	}
	queue := make(tightest, 0, len(n.roads))
	for i := range n.roads {
		if r := &n.roads[i]; r.flows > 0 {
			queue = append(queue, tight{r.left / r.flows, i})
		}
	}
	heap.Init(&queue)
	for len(queue) > 0 {
		next := heap.Pop(&queue).(tight)
		r := &n.roads[next.road]
		if r.flows < 0.5 {
			continue
		}
		if now := r.left / r.flows; now > next.rate*(1+1e-12) {
			heap.Push(&queue, tight{now, next.road})
			continue
		}
		for _, i := range r.streams {
			s := &n.streams[i]
			if s.fixed {
				continue
			}
			s.fixed, s.rate, s.slow = true, max(next.rate, 1e-3), next.road
			for _, other := range s.roads {
				n.roads[other].flows -= s.flows
				n.roads[other].left = max(0, n.roads[other].left-s.flows*s.rate)
			}
		}
	}
}

// asOne is by what part of the time so far moments may lie apart that are taken
// as one.
const asOne = 1.0 / 500

// next is how long it is until a group begins or ends; infinite when nothing
// is left.
func (n *network) next(now float64) float64 {
	wait := math.Inf(1)
	for i := range n.streams {
		s := &n.streams[i]
		if !s.open || s.over() {
			continue
		}
		if s.began < len(s.start) {
			wait = min(wait, max(s.start[s.began]-now, 0))
		}
		if s.done < s.began {
			wait = min(wait, max(s.base[s.done]+s.bits-s.sum, 0)/s.rate)
		}
	}
	return wait
}

// pass lets the time go on by so much, and begins and ends what is due then.
func (n *network) pass(now, wait float64) {
	slack := (now + wait) * asOne
	at := now + wait
	for i := range n.streams {
		s := &n.streams[i]
		if !s.open || s.over() {
			continue
		}
		s.sum += s.rate * wait
		if s.flows > 0 && wait > 0 {
			for _, r := range s.roads {
				n.roads[r].carried += s.flows * s.rate * wait
				n.roads[r].last = at
			}
		}
		for s.done < s.began && s.base[s.done]+s.bits-s.sum <= s.rate*slack {
			s.ends[s.done] = at + s.lag
			s.flows -= s.count[s.done]
			s.done++
		}
	}
	for i := range n.streams {
		s := &n.streams[i]
		if !s.open && (s.after < 0 || n.streams[s.after].over()) {
			s.open = true
		}
		for s.open && s.began < len(s.start) && s.start[s.began] <= at {
			s.base[s.began] = s.sum
			s.flows += s.count[s.began]
			s.began++
		}
	}
}
