package placement

// fill spreads what parties need over rooms as far as it goes: a maximum flow.
// may[r][p] says whether room r takes party p. It returns how much of each
// party goes to each room, flow[p][r], and where not everything found room the
// parties that have too little of it together (by Hall's theorem: the rooms
// that take any of them are full, of nobody else); nil where all did. What it
// looks at is taken off work.
func fill(needs, rooms []int, may [][]bool, work *budget) (flow [][]int, lacking []bool) {
	f := filling{may: may, unmet: make([]int, len(needs)), room: make([]int, len(rooms)), flow: make([][]int, len(needs))}
	copy(f.unmet, needs)
	copy(f.room, rooms)
	for p := range needs {
		f.flow[p] = make([]int, len(rooms))
		for r := range rooms {
			if may[r][p] {
				f.move(p, r, min(f.unmet[p], f.room[r]))
			}
		}
	}
	for more := true; more && !work.stopped(); more = f.augment() {
		work.left -= len(needs) * len(rooms)
	}
	for p := range needs {
		if f.unmet[p] > 0 {
			return f.flow, f.seen
		}
	}
	return f.flow, nil
}

type filling struct {
	may         [][]bool
	unmet, room []int
	flow        [][]int
	seen        []bool // parties that the last search came to
}

func (f *filling) move(p, r, n int) {
	f.flow[p][r] += n
	f.unmet[p] -= n
	f.room[r] -= n
}

// augment looks for a room with something left, by the shortest way from a
// party that lacks some: others make place by moving on.
func (f *filling) augment() bool {
	f.seen = make([]bool, len(f.unmet))
	from := make([]int, len(f.unmet)) // the room that a party would leave; -1: it lacks some
	came := make([]int, len(f.room))  // the party that would go to a room; -1: nobody yet
	for r := range came {
		came[r] = -1
	}
	var queue []int
	for p, n := range f.unmet {
		if n > 0 {
			f.seen[p], from[p] = true, -1
			queue = append(queue, p)
		}
	}
	for len(queue) > 0 {
		p := queue[0]
		queue = queue[1:]
		for r := range f.room {
			if !f.may[r][p] || came[r] >= 0 {
				continue
			}
			came[r] = p
			if f.room[r] > 0 {
				f.shift(r, from, came)
				return true
			}
			for q := range f.unmet {
				if !f.seen[q] && f.flow[q][r] > 0 {
					f.seen[q], from[q] = true, r
					queue = append(queue, q)
				}
			}
		}
	}
	return false
}

// shift moves as much as possible along the way that was found.
func (f *filling) shift(last int, from, came []int) {
	most := f.room[last]
	first := came[last]
	for at := first; from[at] >= 0; at = first {
		most = min(most, f.flow[at][from[at]])
		first = came[from[at]]
	}
	most = min(most, f.unmet[first])
	f.room[last] -= most
	f.unmet[first] -= most
	for r := last; ; {
		p := came[r]
		f.flow[p][r] += most
		if from[p] < 0 {
			return
		}
		r = from[p]
		f.flow[p][r] -= most
	}
}
