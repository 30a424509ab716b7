package simulation

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/plan/organization"
)

func TestTheLongestPauseAfterAnOutage(t *testing.T) {
	// The pauses are 5, 10, 20, 40, 80, 160, 300 s. A client that fails at once has
	// its second failure after 5 s at the earliest, the third after 15, then after
	// 35, 75, 155, 315.
	for seconds, want := range map[float64]float64{1: 5, 5: 5, 6: 10, 15: 10, 16: 20, 40: 40, 100: 80, 155: 80, 200: 160, 315: 160, 316: 300, 86_400: 300} {
		if got := longestPause(seconds); got != want {
			t.Errorf("after %g s: %g, want %g", seconds, got, want)
		}
	}
}

func TestWhatAJournalHolds(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		limit   time.Duration
		limited bool
		bytes   int
		want    int
	}{
		{0, true, 200, 8 << 20 / 500},            // 8 MiB at least
		{3 * day, true, 200, 8 << 20 / 500},      // 300 kB would do
		{200 * day, true, 200, 20_000_000 / 500}, // 100 kB a day
		{0, false, 200, 64 << 20 / 500},
		{0, true, 700, 8 << 20 / 1000},
	} {
		if got := journalHolds(c.limit, c.limited, c.bytes); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

func TestADayHasAsManyEventsAsTheFileSays(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for hours := 1; hours <= 24; hours++ {
		for _, bursts := range []float64{0, 0.5, 3} {
			c := curveOf(&organization.Model{Events: organization.Flow{PerDay: 20, Hours: hours, Bursts: bursts}})
			start := c.start(r)
			for _, t0 := range []float64{0, 30_000, 70_000, 700_000} {
				if got := c.expected(start, t0+daySeconds) - c.expected(start, t0); math.Abs(got-20) > 1e-6 {
					t.Errorf("%d hours, bursts %g: %g events in a day from %g on", hours, bursts, got, t0)
				}
			}
			before := c.expected(start, 0)
			for at := 0.0; at < 2*daySeconds; at += 600 {
				now := c.expected(start, at)
				if now < before-1e-9 {
					t.Fatalf("%d hours, bursts %g: fewer than no events before %g", hours, bursts, at)
				}
				before = now
			}
			if start < morning-c.spread || start > morning+c.spread || c.from < morning+c.spread || c.until > morning-c.spread+c.busy {
				t.Errorf("%d hours, bursts %g: the errors from %g to %g are not within everybody's busy hours", hours, bursts, c.from, c.until)
			}
		}
	}
}

func TestChanceHasItsMeanAndVariance(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, mean := range []float64{0.01, 0.5, 3, 25, 31, 400} {
		const n = 100_000
		sum, squares := 0.0, 0.0
		for range n {
			x := float64(poisson(r, mean))
			sum, squares = sum+x, squares+x*x
		}
		got := sum / n
		variance := squares/n - got*got
		// Five standard errors of the mean, and of the variance.
		if math.Abs(got-mean) > 5*math.Sqrt(mean/n) || math.Abs(variance-mean) > 5*math.Sqrt((mean+2*mean*mean)/n) {
			t.Errorf("mean %g: got %g with variance %g", mean, got, variance)
		}
	}
	if poisson(r, 0) != 0 {
		t.Error("something happens that is never expected")
	}
}

func TestTurnsComeInOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for _, clients := range []int{1, 7, 300} {
		a := newAgenda(clients, 1000, 60, 375)
		for i := range clients {
			a.add(int32(i), 1000+60*r.Float64())
		}
		last, seen := turn{}, make([]int, clients)
		for range 20_000 {
			next, ok := a.next()
			if !ok || next.compare(last) < 0 {
				t.Fatalf("%d clients: %+v after %+v", clients, next, last)
			}
			a.take()
			last = next
			seen[next.client]++
			// At once, soon, after the longest pause, tomorrow.
			a.add(next.client, next.at+[...]float64{0, 0.3, 60 * r.Float64(), 375, daySeconds * r.Float64()}[r.IntN(5)])
		}
		if slices.Min(seen) == 0 {
			t.Errorf("%d clients: one of them never had a turn", clients)
		}
	}
}

func TestSharesOfLinksAreFair(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 4))
		var n network
		for range 2 + r.IntN(8) {
			n.roads = append(n.roads, road{usable: float64(1 + r.IntN(1000))})
		}
		for i := range 1 + r.IntN(20) {
			s := stream{flows: float64(r.IntN(5)), roads: r.Perm(len(n.roads))[:1+r.IntN(2)]}
			for _, at := range s.roads {
				n.roads[at].streams = append(n.roads[at].streams, i)
			}
			n.streams = append(n.streams, s)
		}
		n.share()
		used, most := make([]float64, len(n.roads)), make([]float64, len(n.roads))
		for _, s := range n.streams {
			for _, at := range s.roads {
				used[at] += s.flows * s.rate
				if s.flows > 0 {
					most[at] = max(most[at], s.rate)
				}
			}
		}
		for i, s := range n.streams {
			// A flow may not have more but at the cost of one that has no more: one of
			// its roads is full, and nobody has more there.
			if s.flows > 0 && !slices.ContainsFunc(s.roads, func(at int) bool {
				return used[at] > n.roads[at].usable*(1-1e-9) && s.rate > most[at]*(1-1e-9)
			}) {
				t.Errorf("seed %d: stream %d gets %g, and could get more", seed, i, s.rate)
			}
		}
		for at, sum := range used {
			if sum > n.roads[at].usable*(1+1e-9) {
				t.Errorf("seed %d: road %d carries %g of %g", seed, at, sum, n.roads[at].usable)
			}
		}
	}
}

func TestWaitsAreClassed(t *testing.T) {
	var w waits
	for i := range 1000 {
		w.add(float64(i+1)/1000, 1)
	}
	for share, want := range map[float64]float64{0.5: 0.5, 0.99: 0.99, 1: 1} {
		if got := w.below(share); got < want || got > want*1.07 {
			t.Errorf("%g of them: %g, want %g or up to a class more", share, got, want)
		}
	}
}
