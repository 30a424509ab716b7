package placement

import (
	"cmp"
	"slices"
)

// cover is the question how many instances of which kinds hold some parties.
// The people of a party may be spread over instances.
type cover struct {
	capacity int      // clients that one instance holds; 0: any number
	needs    []int    // clients of each party; one that needs none wants an instance all the same
	kinds    [][]bool // whom an instance of each kind may serve
}

// answer is how many instances of each kind are enough.
type answer struct {
	counts []int
	proven bool // fewer are not
}

func (a answer) total() int {
	sum := 0
	for _, n := range a.counts {
		sum += n
	}
	return sum
}

// begun is how many instances n clients need at least.
func begun(n, capacity int) int {
	if capacity == 0 {
		return 0
	}
	return (n + capacity - 1) / capacity
}

// smallest answers with as few instances as possible, or where the work ran
// out with few. Each party must be served by some kind.
func (c cover) smallest(work *budget) answer {
	a := answer{counts: make([]int, len(c.kinds)), proven: true}
	for _, part := range c.parts() {
		p := part.cover.solve(work)
		for i, n := range p.counts {
			a.counts[part.kinds[i]] += n
		}
		a.proven = a.proven && p.proven
	}
	return a
}

// part is a cover that has nothing in common with the others.
type part struct {
	cover   cover
	kinds   []int // positions in the whole
	parties []int // positions in the whole, the first of those that are alike
}

// parts leaves out kinds that serve nobody whom another one does not serve,
// takes parties together that the same kinds serve, and takes apart what hangs
// together by nothing.
func (c cover) parts() []part {
	kept := c.undominated()
	// same party: the same of the kept kinds
	number := map[string]int{}
	var first, needs []int
	for p := range c.needs {
		key := make([]byte, len(kept))
		for i, k := range kept {
			if c.kinds[k][p] {
				key[i] = 1
			}
		}
		at, ok := number[string(key)]
		if !ok {
			at = len(first)
			number[string(key)] = at
			first, needs = append(first, p), append(needs, 0)
		}
		needs[at] += c.needs[p]
	}
	root := make([]int, len(kept))
	for i := range root {
		root[i] = i
	}
	find := func(i int) int {
		for root[i] != i {
			i = root[i]
		}
		return i
	}
	for _, p := range first {
		one := -1
		for i, k := range kept {
			switch {
			case !c.kinds[k][p]:
			case one < 0:
				one = find(i)
			default:
				root[max(find(i), one)] = min(find(i), one)
				one = find(i)
			}
		}
	}
	var out []part
	for r := range kept {
		if find(r) != r {
			continue
		}
		n := part{cover: cover{capacity: c.capacity}}
		for i, k := range kept {
			if find(i) == r {
				n.kinds = append(n.kinds, k)
			}
		}
		for i, p := range first {
			if slices.ContainsFunc(n.kinds, func(k int) bool { return c.kinds[k][p] }) {
				n.parties = append(n.parties, p)
				n.cover.needs = append(n.cover.needs, needs[i])
			}
		}
		for _, k := range n.kinds {
			serves := make([]bool, len(n.parties))
			for i, p := range n.parties {
				serves[i] = c.kinds[k][p]
			}
			n.cover.kinds = append(n.cover.kinds, serves)
		}
		out = append(out, n)
	}
	return out
}

// undominated are the kinds that serve somebody, and of which none other serves
// all the same people and is earlier or serves more.
func (c cover) undominated() []int {
	var order []int
	size, sets := make([]int, len(c.kinds)), make([][]uint64, len(c.kinds))
	for k, serves := range c.kinds {
		sets[k] = make([]uint64, (len(serves)+63)/64)
		for p, s := range serves {
			if s {
				size[k]++
				sets[k][p/64] |= 1 << (p % 64)
			}
		}
		if size[k] > 0 {
			order = append(order, k)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(size[b], size[a]) })
	var kept []int
	for _, k := range order {
		if !slices.ContainsFunc(kept, func(other int) bool { return includes(sets[other], sets[k]) }) {
			kept = append(kept, k)
		}
	}
	slices.Sort(kept)
	return kept
}

// includes reports whether all of b is in a.
func includes(a, b []uint64) bool {
	for i := range b {
		if b[i]&^a[i] != 0 {
			return false
		}
	}
	return true
}

// solve looks for the smallest answer by trying one instance more at a time,
// from a number that is surely needed.
func (c cover) solve(work *budget) answer {
	s := search{cover: c, counts: make([]int, len(c.kinds)), frozen: make([]bool, len(c.kinds)), work: work}
	for k := range c.kinds {
		own, some := 0, false
		for p, n := range c.needs {
			if c.kinds[k][p] && c.kindsOf(p) == 1 {
				own, some = own+n, true
			}
		}
		if some {
			s.counts[k] = max(1, begun(own, c.capacity))
		}
	}
	more := 0
	if lacking, missing := s.lacking(); missing > 0 {
		more = s.bound(lacking, missing)
	}
	for ; ; more++ {
		if s.complete(more) {
			return answer{s.counts, true}
		}
		if s.work.spent() {
			return answer{s.greedy(), false}
		}
	}
}

func (c cover) kindsOf(p int) int {
	n := 0
	for _, serves := range c.kinds {
		if serves[p] {
			n++
		}
	}
	return n
}

// search is an answer in the making. Counts only grow; a frozen kind gets no
// more, for what more of it gives was looked at already.
type search struct {
	cover
	counts []int
	frozen []bool
	work   *budget
}

// complete adds at most so many instances until all is held. Where that cannot
// be, counts are as they were.
func (s *search) complete(more int) bool {
	if s.work.spent() {
		return false
	}
	s.work.left -= len(s.needs) * len(s.kinds)
	lacking, missing := s.lacking()
	if missing == 0 {
		return true
	}
	if missing > more || s.bound(lacking, missing) > more {
		return false
	}
	var thawed []int
	for _, k := range s.useful(lacking) {
		s.counts[k]++
		if s.complete(more - 1) {
			return true
		}
		s.counts[k]--
		s.frozen[k] = true
		thawed = append(thawed, k)
	}
	for _, k := range thawed {
		s.frozen[k] = false
	}
	return false
}

// lacking are parties that have too little room together, and how many
// instances more must serve some of them; none where everybody has room.
func (s *search) lacking() (who []bool, missing int) {
	for p := range s.needs {
		if s.serving(p) == 0 {
			who := make([]bool, len(s.needs))
			who[p] = true
			return who, max(1, begun(s.needs[p], s.capacity))
		}
	}
	if s.capacity == 0 {
		return nil, 0
	}
	rooms := make([]int, len(s.counts))
	for k, n := range s.counts {
		rooms[k] = n * s.capacity
	}
	_, who = fill(s.needs, rooms, s.kinds, s.work)
	if who == nil {
		return nil, 0
	}
	need, room := 0, 0
	for p, in := range who {
		if in {
			need += s.needs[p]
		}
	}
	for k := range s.kinds {
		if serves(s.kinds[k], who) {
			room += rooms[k]
		}
	}
	return who, begun(need-room, s.capacity)
}

// serving is how many instances may serve a party.
func (s *search) serving(p int) int {
	n := 0
	for k, c := range s.counts {
		if s.kinds[k][p] {
			n += c
		}
	}
	return n
}

// serves reports whether a kind serves any of some parties.
func serves(kind, who []bool) bool {
	for p, in := range who {
		if in && kind[p] {
			return true
		}
	}
	return false
}

// bound is how many instances are missing at least: what the lacking parties
// miss, and what others miss of kinds that serve none of those counted before.
func (s *search) bound(lacking []bool, missing int) int {
	taken := make([]bool, len(s.kinds))
	for k := range s.kinds {
		taken[k] = serves(s.kinds[k], lacking)
	}
	order := make([]int, len(s.needs))
	few := make([]int, len(s.needs))
	for p := range order {
		order[p], few[p] = p, s.kindsOf(p)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(few[a], few[b]) })
	for _, p := range order {
		free := max(1, begun(s.needs[p], s.capacity)) - s.serving(p)
		if free <= 0 || lacking[p] {
			continue
		}
		apart := true
		for k := range s.kinds {
			apart = apart && (!taken[k] || !s.kinds[k][p])
		}
		if !apart {
			continue
		}
		missing += free
		for k := range s.kinds {
			taken[k] = taken[k] || s.kinds[k][p]
		}
	}
	return missing
}

// useful are the kinds that may grow and serve somebody who lacks room, those
// first that serve most.
func (s *search) useful(lacking []bool) []int {
	var out []int
	gain := make([]int, len(s.kinds))
	for k := range s.kinds {
		if s.frozen[k] || !serves(s.kinds[k], lacking) {
			continue
		}
		out = append(out, k)
		for p, in := range lacking {
			if in && s.kinds[k][p] {
				gain[k] += max(1, s.needs[p])
			}
		}
	}
	slices.SortStableFunc(out, func(a, b int) int { return cmp.Compare(gain[b], gain[a]) })
	return out
}

// greedy adds what serves most of those who lack room until nobody does, and
// takes away again what is not needed.
func (s *search) greedy() []int {
	for {
		lacking, missing := s.lacking()
		if missing == 0 {
			break
		}
		clear(s.frozen)
		s.counts[s.useful(lacking)[0]]++
	}
	for k := range s.counts {
		for s.counts[k] > 0 {
			s.counts[k]--
			if _, missing := s.lacking(); missing > 0 {
				s.counts[k]++
				break
			}
		}
	}
	return s.counts
}
