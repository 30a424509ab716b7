package simulation

import "math"

// turn is what a client does next.
type turn struct {
	at     float64
	client int32
}

// before orders turns by time, and by clients where that is the same.
func (t turn) before(u turn) bool {
	if t.at != u.at {
		return t.at < u.at
	}
	return t.client < u.client
}

// agenda is a heap of turns with the next one first.
type agenda []turn

// down puts the turn at i into its place below.
func (a agenda) down(i int) {
	t := a[i]
	for {
		c := 2*i + 1
		if c >= len(a) {
			break
		}
		if c+1 < len(a) && a[c+1].before(a[c]) {
			c++
		}
		if !a[c].before(t) {
			break
		}
		a[i] = a[c]
		i = c
	}
	a[i] = t
}

// order makes a heap.
func (a agenda) order() {
	for i := len(a)/2 - 1; i >= 0; i-- {
		a.down(i)
	}
}

// again gives the first client its next turn.
func (a agenda) again(at float64) {
	a[0].at = at
	a.down(0)
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
		s.left = math.Max(0, s.left+s.work/float64(len(s.free))-overloadStep)
		s.work, s.step = 0, s.step+overloadStep
		if s.left == 0 && at >= s.step+overloadStep {
			s.step += overloadStep * math.Floor((at-s.step)/overloadStep)
		}
	}
	queued := math.Max(0, s.free[0]-at)
	over := math.Min(queued, s.left)
	return over + (queued-over)/s.stretch
}

// serve gives a job to the first core that is free; cost is that of all clients
// that it stands for.
func (s *server) serve(at, cost float64) {
	s.work += cost
	done := math.Max(at, s.free[0]) + cost
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

// waits counts times by their length, each class five per cent longer than the
// one before.
type waits struct {
	count [classes]float64
	all   float64
	most  float64
}

const (
	classes   = 400
	shortest  = 1e-5 // seconds
	eachClass = 1.05
)

var logClass = math.Log(eachClass)

func (w *waits) add(seconds, weight float64) {
	i := 0
	if seconds > shortest {
		i = min(int(math.Log(seconds/shortest)/logClass)+1, classes-1)
	}
	w.count[i] += weight
	w.all += weight
	w.most = math.Max(w.most, seconds)
}

// below is the time that a share of all is not above.
func (w *waits) below(share float64) float64 {
	sum := 0.0
	for i, n := range w.count {
		if sum += n; sum >= share*w.all && w.all > 0 {
			return math.Min(shortest*math.Pow(eachClass, float64(i)), w.most)
		}
	}
	return w.most
}
