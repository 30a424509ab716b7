package placement

import (
	"cmp"
	"math"
	"slices"
)

// load is people of one group.
type load struct{ group, users, active int }

// block is people of one site who are kept together if they can be.
type block struct {
	site   int
	loads  []load
	active int
}

func (b *block) add(l load) {
	b.loads = append(b.loads, l)
	b.active += l.active
}

// bin is an instance that is being filled.
type bin struct {
	serves []bool // by party
	room   int
	blocks []block
}

// spread deals people of parties that hang together out to the instances that
// hold them: sites whole where they fit, near each other, and split only where
// nothing else is left.
type spread struct {
	near     *distances
	capacity int
	party    []int    // of each group
	country  []string // of each party
	bins     []bin
	rest     []int   // clients of each party that are not placed
	mixed    bool    // bins do not all serve the same
	work     *budget // for asking whether the rest finds room
}

// outcome is how good a way of dealing out is: less is better, the first first.
type outcome struct {
	groups, sites int // how many more parts there are than groups and sites
	cost          float64
}

func (a outcome) better(b outcome) bool {
	return cmp.Or(cmp.Compare(a.groups, b.groups), cmp.Compare(a.sites, b.sites), cmp.Compare(a.cost, b.cost)) < 0
}

// deal fills the bins with the people of some groups.
func (s *spread) deal(groups []load, siteOf func(group int) int) []bin {
	for i := range s.bins {
		s.mixed = s.mixed || !slices.Equal(s.bins[i].serves, s.bins[0].serves)
	}
	for _, l := range groups {
		s.rest[s.party[l.group]] += l.active
	}
	blocks := s.blocks(groups, siteOf)
	if len(s.bins) == 1 {
		s.bins[0].blocks = blocks
		return s.bins
	}
	var best *spread
	var result outcome
	ways := []func(*spread, []block) []block{(*spread).byPlace, (*spread).bySize}
	if len(blocks) <= fewBlocks {
		ways = append(ways, (*spread).search)
	}
	for _, way := range ways {
		if best != nil && result.groups+result.sites == 0 {
			break
		}
		try := s.clone()
		left := way(try, blocks)
		try.pour(left)
		if o := try.outcome(); best == nil || o.better(result) {
			best, result = try, o
		}
	}
	best.even()
	return best.bins
}

func (s *spread) clone() *spread {
	c := *s
	c.bins, c.rest = slices.Clone(s.bins), slices.Clone(s.rest)
	for i := range c.bins {
		c.bins[i].blocks = slices.Clone(c.bins[i].blocks)
	}
	return &c
}

// blocks are the sites, the largest first. Those that no bin serves or holds
// are cut.
func (s *spread) blocks(groups []load, siteOf func(group int) int) []block {
	var whole []block
	at := map[int]int{}
	for _, l := range groups {
		site := siteOf(l.group)
		i, ok := at[site]
		if !ok {
			i = len(whole)
			at[site] = i
			whole = append(whole, block{site: site})
		}
		whole[i].add(l)
	}
	var out []block
	for _, b := range whole {
		for _, c := range s.byParty(b) {
			out = append(out, s.chop(c)...)
		}
	}
	sortBlocks(out)
	return out
}

func sortBlocks(blocks []block) {
	slices.SortStableFunc(blocks, func(a, b block) int {
		return cmp.Or(cmp.Compare(b.active, a.active), cmp.Compare(a.site, b.site))
	})
}

// byParty cuts a block by party where no bin serves all of it.
func (s *spread) byParty(b block) []block {
	if slices.ContainsFunc(s.bins, func(n bin) bool { return s.served(n.serves, &b) }) {
		return []block{b}
	}
	var out []block
	at := map[int]int{}
	for _, l := range b.loads {
		p := s.party[l.group]
		i, ok := at[p]
		if !ok {
			i = len(out)
			at[p] = i
			out = append(out, block{site: b.site})
		}
		out[i].add(l)
	}
	return out
}

// chop cuts a block that is larger than an instance: between groups if that
// makes no more pieces than are needed, else anywhere.
func (s *spread) chop(b block) []block {
	if b.active <= s.capacity {
		return []block{b}
	}
	loads := slices.Clone(b.loads)
	slices.SortStableFunc(loads, func(a, b load) int { return cmp.Compare(b.active, a.active) })
	var pieces []block
	for range begun(b.active, s.capacity) {
		pieces = append(pieces, block{site: b.site})
	}
	whole := true
	for _, l := range loads {
		i := slices.IndexFunc(pieces, func(p block) bool { return p.active+l.active <= s.capacity })
		if whole = i >= 0; !whole {
			break
		}
		pieces[i].add(l)
	}
	if whole {
		return pieces
	}
	pieces = []block{{site: b.site}}
	for _, l := range loads {
		for {
			last := &pieces[len(pieces)-1]
			room := s.capacity - last.active
			if l.active <= room {
				last.add(l)
				break
			}
			if room > 0 {
				var first load
				first, l = l.cut(room)
				last.add(first)
			}
			pieces = append(pieces, block{site: b.site})
		}
	}
	return pieces
}

// cut takes so many active clients off, and users in proportion.
func (l load) cut(active int) (first, rest load) {
	first = load{l.group, int(int64(l.users) * int64(active) / int64(max(l.active, 1))), active}
	// Of any part no more are active than there are.
	first.users = min(max(first.users, active), l.users-(l.active-active))
	return first, load{l.group, l.users - first.users, l.active - active}
}

func (s *spread) served(kind []bool, b *block) bool {
	for _, l := range b.loads {
		if !kind[s.party[l.group]] {
			return false
		}
	}
	return true
}

// put puts a block into a bin if it fits and the rest still finds room.
func (s *spread) put(b *block, i int) bool {
	n := &s.bins[i]
	if b.active > n.room || !s.served(n.serves, b) {
		return false
	}
	n.room -= b.active
	for _, l := range b.loads {
		s.rest[s.party[l.group]] -= l.active
	}
	if s.mixed && b.active > 0 && !s.holds() {
		n.room += b.active
		for _, l := range b.loads {
			s.rest[s.party[l.group]] += l.active
		}
		return false
	}
	n.blocks = append(n.blocks, *b)
	return true
}

// holds reports whether what is not placed finds room. When that was asked often
// enough, nothing more is placed whole.
func (s *spread) holds() bool {
	if s.work.spent() {
		return false
	}
	_, lacking := fill(s.rest, s.rooms(), s.may(), s.work)
	return lacking == nil
}

func (s *spread) rooms() []int {
	rooms := make([]int, len(s.bins))
	for i := range s.bins {
		rooms[i] = s.bins[i].room
	}
	return rooms
}

func (s *spread) may() [][]bool {
	may := make([][]bool, len(s.bins))
	for i := range s.bins {
		may[i] = s.bins[i].serves
	}
	return may
}

// far is how far a site is from the nearest of a bin.
func (s *spread) far(i, site int) float64 {
	least := math.Inf(1)
	for _, b := range s.bins[i].blocks {
		least = min(least, s.near.between(b.site, site))
	}
	return least
}

// byPlace begins each bin with a block that is large and far from those that
// began others, and puts each other block where it is nearest.
func (s *spread) byPlace(blocks []block) (left []block) {
	free := slices.Clone(blocks)
	least := make([]float64, len(free)) // how far each is from the nearest of those that began others
	for j := range least {
		least[j] = math.Inf(1)
	}
	for i := range s.bins {
		if s.work.stopped() {
			break
		}
		best, most := -1, -1.0
		for j := range free {
			worth := float64(free[j].active) + 1
			if 2*free[j].active > s.capacity {
				worth *= 1e12 // two such blocks never share a bin
			} else {
				worth = min(worth, worth*least[j])
			}
			if worth > most && s.served(s.bins[i].serves, &free[j]) {
				best, most = j, worth
			}
		}
		if best >= 0 && s.put(&free[best], i) {
			began := free[best].site
			free, least = slices.Delete(free, best, best+1), slices.Delete(least, best, best+1)
			for j := range free {
				least[j] = min(least[j], s.near.between(began, free[j].site))
			}
		}
	}
	return s.nearest(free)
}

// nearest puts each block where it fits and is nearest; it returns those that
// fit nowhere.
func (s *spread) nearest(blocks []block) (left []block) {
	var order []int
	far := make([]float64, len(s.bins))
	for _, b := range blocks {
		if s.work.stopped() {
			break
		}
		order = s.fitting(&b, order)
		for _, i := range order {
			far[i] = s.far(i, b.site)
		}
		slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(far[x], far[y]) })
		if !slices.ContainsFunc(order, func(i int) bool { return s.put(&b, i) }) {
			left = append(left, b)
		}
	}
	return left
}

// fitting lists the bins with room for a block that serve its people. list is
// reused.
func (s *spread) fitting(b *block, list []int) []int {
	list = list[:0]
	for i := range s.bins {
		if n := &s.bins[i]; b.active <= n.room && s.served(n.serves, b) {
			list = append(list, i)
		}
	}
	return list
}

// bySize puts each block where the least room is left beside it.
func (s *spread) bySize(blocks []block) (left []block) {
	var order []int
	for _, b := range blocks {
		if s.work.stopped() {
			break
		}
		order = s.fitting(&b, order)
		slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(s.bins[x].room, s.bins[y].room) })
		if !slices.ContainsFunc(order, func(i int) bool { return s.put(&b, i) }) {
			left = append(left, b)
		}
	}
	return left
}

// fewBlocks is how many blocks are tried in all ways, as far as that goes.
const fewBlocks = 24

// search looks for a way in which all blocks fit as they are.
func (s *spread) search(blocks []block) (left []block) {
	tries := 5_000
	var next func(j int) bool
	next = func(j int) bool {
		if j == len(blocks) {
			return true
		}
		b := &blocks[j]
		for i := range s.bins {
			n := &s.bins[i]
			if tries--; tries < 0 {
				return false
			}
			twin := slices.IndexFunc(s.bins[:i], func(o bin) bool {
				return len(o.blocks)+len(n.blocks) == 0 && slices.Equal(o.serves, n.serves)
			})
			if twin >= 0 || b.active > n.room || !s.served(n.serves, b) {
				continue
			}
			n.blocks, n.room = append(n.blocks, *b), n.room-b.active
			if next(j + 1) {
				return true
			}
			n.blocks, n.room = n.blocks[:len(n.blocks)-1], n.room+b.active
		}
		return false
	}
	if !next(0) {
		return s.bySize(blocks)
	}
	clear(s.rest)
	return nil
}

// pour puts what fits nowhere whole into what room there is: group by group if
// that goes, else split into as few parts as the rooms allow.
func (s *spread) pour(blocks []block) {
	var single []block
	for _, b := range blocks {
		for _, l := range b.loads {
			single = append(single, block{site: b.site, loads: []load{l}, active: l.active})
		}
	}
	sortBlocks(single)
	left := s.nearest(single)
	if len(left) == 0 {
		return
	}
	flow, _ := fill(s.rest, s.rooms(), s.may(), s.work)
	for _, b := range left {
		l, p := b.loads[0], s.party[b.loads[0].group]
		for l.active > 0 {
			i := s.roomiest(p, flow, l.active)
			if i < 0 {
				break
			}
			n := l.active
			if s.mixed {
				n = min(n, flow[p][i])
				flow[p][i] -= n
			}
			n = min(n, s.bins[i].room)
			var first load
			first, l = l.cut(n)
			s.bins[i].room -= n
			s.rest[p] -= n
			s.bins[i].blocks = append(s.bins[i].blocks, block{site: b.site, loads: []load{first}, active: n})
		}
	}
}

// roomiest is the bin that takes most of what is left of a party; -1: none.
func (s *spread) roomiest(p int, flow [][]int, want int) int {
	best, most := -1, 0
	for i := range s.bins {
		n := s.bins[i].room
		if s.mixed {
			n = min(n, flow[p][i])
		}
		if !s.bins[i].serves[p] {
			n = 0
		}
		if n = min(n, want); n > most {
			best, most = i, n
		}
	}
	return best
}

// cost is how far the clients of some blocks are from the best of their sites.
func (s *spread) cost(blocks []block) float64 {
	if len(blocks) < 2 {
		return 0
	}
	least := math.Inf(1)
	for _, centre := range blocks {
		sum := 0.0
		for _, b := range blocks {
			sum += float64(b.active) * s.near.between(centre.site, b.site)
		}
		least = min(least, sum)
	}
	return least
}

func (s *spread) outcome() outcome {
	var o outcome
	groups, sites := map[int]int{}, map[int]int{}
	for i := range s.bins {
		o.cost += s.cost(s.bins[i].blocks)
		here := map[int]bool{}
		for _, b := range s.bins[i].blocks {
			if !here[b.site] {
				here[b.site] = true
				sites[b.site]++
			}
			for _, l := range b.loads {
				groups[l.group]++
			}
		}
	}
	for _, n := range groups {
		o.groups += n - 1
	}
	for _, n := range sites {
		o.sites += n - 1
	}
	return o
}

// even evens out the parts of groups that are split anyway, so that no
// instance is full beside another one that is not. Where one of them must stand
// in a country people stay where they were put: it may be far away.
func (s *spread) even() {
	type where struct{ bin, block, load int }
	parts := map[int][]where{}
	var split []int
	for i := range s.bins {
		for j, b := range s.bins[i].blocks {
			for k, l := range b.loads {
				if n := len(parts[l.group]); n > 0 && parts[l.group][n-1].bin == i {
					// two parts in one bin are one part
					first := parts[l.group][n-1]
					to := &s.bins[i].blocks[first.block]
					to.loads[first.load].users += l.users
					to.loads[first.load].active += l.active
					to.active += l.active
					b.loads[k] = load{group: l.group}
					s.bins[i].blocks[j].active -= l.active
					continue
				}
				parts[l.group] = append(parts[l.group], where{i, j, k})
				if len(parts[l.group]) == 2 {
					split = append(split, l.group)
				}
			}
		}
	}
	split = slices.DeleteFunc(split, func(g int) bool {
		return slices.ContainsFunc(parts[g], func(w where) bool { return s.bound(w.bin) != s.bound(parts[g][0].bin) })
	})
	for range 3 {
		for _, g := range split {
			all := load{group: g}
			for _, w := range parts[g] {
				b := &s.bins[w.bin].blocks[w.block]
				l := b.loads[w.load]
				all.users, all.active = all.users+l.users, all.active+l.active
				s.bins[w.bin].room += l.active
				b.active -= l.active
				b.loads[w.load] = load{group: g}
			}
			rooms := make([]int, len(parts[g]))
			for i, w := range parts[g] {
				rooms[i] = s.bins[w.bin].room
			}
			for i, n := range level(rooms, all.active) {
				w := parts[g][i]
				var first load
				if first, all = all.cut(n); i == len(rooms)-1 {
					first.users += all.users
				}
				b := &s.bins[w.bin].blocks[w.block]
				b.loads[w.load] = first
				b.active += n
				s.bins[w.bin].room -= n
			}
		}
	}
}

// bound is the country in which a bin must stand for the sake of its people.
func (s *spread) bound(i int) string {
	for _, b := range s.bins[i].blocks {
		for _, l := range b.loads {
			if c := s.country[s.party[l.group]]; c != "" {
				return c
			}
		}
	}
	return ""
}

// level takes so much out of rooms that what is left in them is as even as can
// be.
func level(rooms []int, take int) []int {
	order := make([]int, len(rooms))
	left := 0
	for i := range order {
		order[i] = i
		left += rooms[i]
	}
	left -= take
	// The smallest rooms keep what they have, the others an even share of the rest.
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rooms[a], rooms[b]) })
	out := make([]int, len(rooms))
	for i, r := range order {
		keep := min(rooms[r], left/(len(order)-i))
		out[r], left = rooms[r]-keep, left-keep
	}
	return out
}
