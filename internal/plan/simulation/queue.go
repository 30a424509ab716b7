package simulation

import (
	"container/heap"
	"math"
	"slices"
)

// turn is what a client does next.
type turn struct {
	at     float64
	client int32
}

// compare orders turns by time, and by clients where that is the same.
func (t turn) compare(u turn) int {
	switch {
	case t.at < u.at:
		return -1
	case t.at > u.at:
		return 1
	default:
		return int(t.client) - int(u.client)
	}
}

// agenda is who is next: one turn of each client, in slots of time for what is
// near, and in a heap for what is far.
type agenda struct {
	from, width float64
	slot        int64   // that is at hand
	hand        []turn  // its turns in order
	done        int     // of them
	first       []int32 // clients of each slot from there on, in a ring; -1: none
	more        []int32 // the next one of the same slot
	at          []float64
	near        int // clients in slots
	far         turns
}

// newAgenda makes one for so many clients whose usual turns are so many seconds
// apart, and at most the longest.
func newAgenda(clients int, from, usual, longest float64) *agenda {
	const slots, inSlot = 1 << 16, 4
	a := &agenda{from: from, slot: -1, more: make([]int32, clients), at: make([]float64, clients)}
	a.width = max(usual*inSlot/float64(clients+1), longest/(slots-2))
	a.first = make([]int32, int(longest/a.width)+2)
	for i := range a.first {
		a.first[i] = -1
	}
	return a
}

// add gives a client a turn, which is not before the one that is at hand.
func (a *agenda) add(client int32, at float64) {
	slot := int64((at - a.from) / a.width)
	switch {
	case slot <= a.slot:
		i, _ := slices.BinarySearchFunc(a.hand[a.done:], turn{at, client}, turn.compare)
		a.hand = slices.Insert(a.hand, a.done+i, turn{at, client})
	case slot-a.slot < int64(len(a.first)):
		a.put(client, at, slot)
	default:
		heap.Push(&a.far, turn{at, client})
	}
}

func (a *agenda) put(client int32, at float64, slot int64) {
	head := &a.first[slot%int64(len(a.first))]
	a.at[client], a.more[client], *head = at, *head, client
	a.near++
}

// next is the turn at hand. There is always one while there are clients.
func (a *agenda) next() (turn, bool) {
	for a.done == len(a.hand) {
		switch {
		case a.near > 0:
			a.slot++
		case len(a.far) > 0:
			a.slot = int64((a.far[0].at - a.from) / a.width)
		default:
			return turn{}, false
		}
		head := &a.first[a.slot%int64(len(a.first))]
		a.hand, a.done = a.hand[:0], 0
		for c := *head; c >= 0; c = a.more[c] {
			a.hand = append(a.hand, turn{a.at[c], c})
			a.near--
		}
		*head = -1
		for len(a.far) > 0 && int64((a.far[0].at-a.from)/a.width) <= a.slot {
			a.hand = append(a.hand, heap.Pop(&a.far).(turn))
		}
		slices.SortFunc(a.hand, turn.compare)
	}
	return a.hand[a.done], true
}

// take takes away the turn at hand.
func (a *agenda) take() { a.done++ }

// turns is a heap with the next one first.
type turns []turn

func (t turns) Len() int           { return len(t) }
func (t turns) Less(i, j int) bool { return t[i].compare(t[j]) < 0 }
func (t turns) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *turns) Push(x any)        { *t = append(*t, x.(turn)) }
func (t *turns) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}

// server is the queue before some processor cores. In a sample it is stretched:
// each job takes as long as those of all clients that it stands for.
type server struct {
	free    []float64 // when each core is, a heap with the first one first
	stretch float64
	// Overload, from one step of steps to the next: work that is left over, in
	// seconds of all cores together.
	step, work, left float64
}

// overloadStep is in seconds.
const overloadStep = 10.0

func newServer(cores int, stretch, from float64) *server {
	s := &server{free: make([]float64, max(cores, 1)), stretch: stretch, step: from}
	s.restart(from)
	return s
}

// restart empties the queue.
func (s *server) restart(at float64) {
	for i := range s.free {
		s.free[i] = at
	}
	s.work, s.left = 0, 0
}

// wait is how long a job that arrives now waits for a core.
func (s *server) wait(at float64) float64 {
	for at >= s.step+overloadStep {
		s.left = max(0, s.left+s.work/float64(len(s.free))-overloadStep)
		s.work, s.step = 0, s.step+overloadStep
		if s.left == 0 && at >= s.step+overloadStep {
			s.step += overloadStep * math.Floor((at-s.step)/overloadStep)
		}
	}
	queued := max(0, s.free[0]-at)
	over := min(queued, s.left)
	return over + (queued-over)/s.stretch
}

// serve gives a job to the first core that is free; cost is that of all clients
// that it stands for.
func (s *server) serve(at, cost float64) {
	s.work += cost
	done := max(at, s.free[0]) + cost
	i := 0
	for {
		c := 2*i + 1
		if c >= len(s.free) {
			break
		}
		if c+1 < len(s.free) && s.free[c+1] < s.free[c] {
			c++
		}
		if s.free[c] >= done {
			break
		}
		s.free[i] = s.free[c]
		i = c
	}
	s.free[i] = done
}

// waits counts times by their length, sixteen classes for each doubling.
type waits struct {
	count [classes]float64
	all   float64
	most  float64
}

const (
	shortest  = 1.0 / (1 << 17) // seconds
	classes   = 32 * inDoubling
	classBits = 52 - 4 // of the mantissa that classes leave out

	inDoubling = 16
)

var firstClass = math.Float64bits(shortest) >> classBits

func (w *waits) add(seconds, weight float64) {
	i := 0
	if seconds > shortest {
		i = min(int(math.Float64bits(seconds)>>classBits-firstClass), classes-1)
	}
	w.count[i] += weight
	w.all += weight
	w.most = max(w.most, seconds)
}

// below is the time that a share of all is not above.
func (w *waits) below(share float64) float64 {
	sum := 0.0
	for i, n := range w.count {
		if sum += n; n > 0 && sum >= share*w.all {
			return min(math.Float64frombits((firstClass+uint64(i)+1)<<classBits), w.most)
		}
	}
	return w.most
}
