package placement

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// enough is Hall's theorem word for word: for each set of parties the instances
// that may serve any of them hold all of these, and each party has one.
func (c cover) enough(counts []int) bool {
	for set := 1; set < 1<<len(c.needs); set++ {
		need, room, serving := 0, 0, 0
		for p, n := range c.needs {
			if set&(1<<p) != 0 {
				need += n
			}
		}
		for k, n := range counts {
			for p := range c.needs {
				if set&(1<<p) != 0 && c.kinds[k][p] {
					room, serving = room+n*c.capacity, serving+n
					break
				}
			}
		}
		if serving == 0 || need > room {
			return false
		}
	}
	return true
}

// fewest tries all counts with a sum, for one sum after the other.
func (c cover) fewest() int {
	for sum := 1; ; sum++ {
		counts := make([]int, len(c.kinds))
		var try func(k, left int) bool
		try = func(k, left int) bool {
			if k == len(counts)-1 {
				counts[k] = left
				return c.enough(counts)
			}
			for counts[k] = 0; counts[k] <= left; counts[k]++ {
				if try(k+1, left-counts[k]) {
					return true
				}
			}
			return false
		}
		if try(0, sum) {
			return sum
		}
	}
}

func TestCoversAreTheSmallest(t *testing.T) {
	searched := 0
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 6))
		c := cover{capacity: 2 + r.IntN(4)}
		for range 1 + r.IntN(8) {
			c.needs = append(c.needs, r.IntN(c.capacity+1))
		}
		for range 1 + r.IntN(7) {
			kind := make([]bool, len(c.needs))
			for p := range kind {
				kind[p] = r.IntN(3) == 0
			}
			c.kinds = append(c.kinds, kind)
		}
		for p := range c.needs {
			c.kinds[r.IntN(len(c.kinds))][p] = true
		}
		got := c.smallest(&budget{left: mostWork, ctx: t.Context()})
		if want := c.fewest(); got.total() != want || !got.proven || !c.enough(got.counts) {
			t.Fatalf("seed %d: %+v (enough: %v) for %+v, want %d", seed, got, c.enough(got.counts), c, want)
		}
		if slices.ContainsFunc(c.parts(), func(p part) bool { return len(p.kinds) > 2 }) {
			searched++
		}
	}
	if searched < 300 {
		t.Errorf("only %d of them had to be searched", searched)
	}
}

// TestFillFindsRoom: where people must move on to make place for others.
func TestFillFindsRoom(t *testing.T) {
	work := &budget{left: 1000, ctx: t.Context()}
	// Party 0 may go everywhere, 1 to the first room only, 2 to the first two.
	may := [][]bool{{true, true, true}, {true, false, true}, {true, false, false}}
	flow, lacking := fill([]int{5, 5, 5}, []int{5, 5, 5}, may, work)
	if want := [][]int{{0, 0, 5}, {5, 0, 0}, {0, 5, 0}}; lacking != nil || !slices.EqualFunc(flow, want, slices.Equal) {
		t.Errorf("%v, %v, want %v", flow, lacking, want)
	}
	// One more of the second party has nowhere to go, and moves nobody.
	if _, lacking := fill([]int{4, 6, 5}, []int{5, 5, 5}, may, work); !slices.Equal(lacking, []bool{false, true, false}) {
		t.Errorf("lacking are %v", lacking)
	}
	if work.left >= 1000-9 {
		t.Error("nothing was taken off the work")
	}
}
