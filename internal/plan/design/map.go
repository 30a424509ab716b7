package design

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/dormer-project/dormer/internal/plan"
	"github.com/dormer-project/dormer/internal/plan/figure"
)

const (
	mapWidth   = px(960)
	mapMargin  = px(70) // room for labels
	mostLabels = 45
	// roomOnArc is how far apart sites stand around another.
	roomOnArc = 16.0
)

// atlas is the sites of a plan with their places.
type atlas struct {
	plan  *plan.Plan
	nodes []node
	edges [][]edge
	taken []box // by servers
	// position of sites by their names
	position map[string]int
}

type node struct {
	x, y, r  px
	shares   []share // of instances, by people
	seats    []int   // instances whose servers stand here
	children []int
	leaves   int
}

type share struct {
	instance int
	users    int
}

type edge struct {
	to        int
	bandwidth float64
}

// sitesMap draws the sites by their links: the widest links as a tree from the
// middle to the edge, all others across.
func sitesMap(p *plan.Plan, id string) drawing {
	a := newAtlas(p)
	height := a.place()
	d := drawing{Width: mapWidth, Height: height}
	a.lines(&d)
	a.sites(&d, id)
	a.labels(&d)
	a.legend(&d, id)
	return d
}

func newAtlas(p *plan.Plan) *atlas {
	position := map[string]int{}
	a := &atlas{plan: p, nodes: make([]node, len(p.Scope.Sites)), edges: make([][]edge, len(p.Scope.Sites)), position: position}
	most := 1
	for i, s := range p.Scope.Sites {
		position[s.Site] = i
		most = max(most, s.Users)
	}
	scale := px(math.Sqrt(min(1, 30/float64(max(len(p.Scope.Sites), 1)))))
	for i, s := range p.Scope.Sites {
		a.nodes[i].r = max(3, (5+17*px(math.Sqrt(float64(s.Users)/float64(most))))*scale)
	}
	for _, l := range p.Scope.Links {
		from, to := position[l.From], position[l.To]
		width := min(l.Bandwidth, l.Back)
		a.edges[from] = append(a.edges[from], edge{to, width})
		a.edges[to] = append(a.edges[to], edge{from, width})
	}
	for i, in := range p.Instances {
		if at, ok := position[in.SiteName]; ok {
			a.nodes[at].seats = append(a.nodes[at].seats, i)
		}
		for _, part := range in.Parts {
			n := &a.nodes[position[part.Site]]
			if last := len(n.shares) - 1; last >= 0 && n.shares[last].instance == i {
				n.shares[last].users += part.Users
				continue
			}
			n.shares = append(n.shares, share{i, part.Users})
		}
	}
	return a
}

// place gives each site its place and returns how high the picture is, without
// its legend.
func (a *atlas) place() px {
	weight := func(i int) int { return 10*len(a.edges[i]) + len(a.nodes[i].seats) }
	roots := make([]int, len(a.nodes))
	for i := range roots {
		roots[i] = i
	}
	slices.SortStableFunc(roots, func(x, y int) int {
		return cmp.Or(cmp.Compare(weight(y), weight(x)), cmp.Compare(a.plan.Scope.Sites[y].Users, a.plan.Scope.Sites[x].Users))
	})
	in := make([]bool, len(a.nodes))
	var islands [][]int
	for _, root := range roots {
		if !in[root] {
			islands = append(islands, a.tree(root, in))
		}
	}
	slices.SortStableFunc(islands, func(x, y []int) int { return len(y) - len(x) })
	top := px(16)
	var x, row px
	for i, island := range islands {
		w, h := a.island(island, i == 0)
		if x > 0 && x+w > mapWidth {
			top, x, row = top+row, 0, 0
		}
		shift := x
		if i == 0 {
			shift = (mapWidth - w) / 2
		}
		for _, n := range island {
			a.nodes[n].x += shift
			a.nodes[n].y += top
		}
		x, row = x+w, max(row, h)
		if i == 0 && len(island) > 1 {
			x = mapWidth
		}
	}
	a.smaller()
	return top + row
}

// smaller shrinks the circles until none covers the one at the other end of a
// link.
func (a *atlas) smaller() {
	factor := px(1)
	for i, n := range a.nodes {
		for _, e := range a.edges[i] {
			m := a.nodes[e.to]
			apart := px(math.Hypot(float64(n.x-m.x), float64(n.y-m.y)))
			factor = min(factor, apart/(n.r+m.r+6))
		}
	}
	for i := range a.nodes {
		a.nodes[i].r = max(a.nodes[i].r*max(factor, 0.4), 3)
	}
}

// tree is what hangs together with a site, along the widest links from it.
func (a *atlas) tree(root int, in []bool) []int {
	out := []int{root}
	in[root] = true
	for {
		best, from := edge{to: -1}, 0
		for _, n := range out {
			for _, e := range a.edges[n] {
				if !in[e.to] && (best.to < 0 || e.bandwidth > best.bandwidth) {
					best, from = e, n
				}
			}
		}
		if best.to < 0 {
			break
		}
		in[best.to] = true
		a.nodes[from].children = append(a.nodes[from].children, best.to)
		out = append(out, best.to)
	}
	for _, n := range slices.Backward(out) {
		a.nodes[n].leaves = 1
		for i, c := range a.nodes[n].children {
			if i == 0 {
				a.nodes[n].leaves = 0
			}
			a.nodes[n].leaves += a.nodes[c].leaves
		}
	}
	return out
}

// island lays out one tree around its root and returns how much room it takes.
func (a *atlas) island(sites []int, first bool) (w, h px) {
	if len(sites) == 1 {
		n := &a.nodes[sites[0]]
		w, h = max(2*mapMargin, textWidth(short(a.plan.Scope.Sites[sites[0]].Site, 24))+20), 100
		n.x, n.y = w/2, h/2
		return w, h
	}
	a.fan(sites[0], 0, 2*math.Pi, 0)
	lowX, highX, lowY, highY := px(0), px(0), px(0), px(0)
	for _, i := range sites {
		n := a.nodes[i]
		lowX, highX, lowY, highY = min(lowX, n.x), max(highX, n.x), min(lowY, n.y), max(highY, n.y)
	}
	// The longer side lies.
	if highY-lowY > highX-lowX {
		for _, i := range sites {
			n := &a.nodes[i]
			n.x, n.y = n.y, n.x
		}
		lowX, highX, lowY, highY = lowY, highY, lowX, highX
	}
	wide, high := mapWidth-2*mapMargin, px(560)
	if !first {
		wide, high = 300, 240
	}
	if len(sites) < 12 {
		high = min(high, 420)
	}
	scaleX, scaleY := wide/max(highX-lowX, 1), high/max(highY-lowY, 1)
	if !first || len(sites) > 2 {
		scaleX = min(scaleX, 2*scaleY)
		scaleY = min(scaleY, 2*scaleX)
	}
	if len(sites) == 2 {
		scaleX, scaleY = min(scaleX, 4), 0
	}
	for _, i := range sites {
		n := &a.nodes[i]
		n.x, n.y = mapMargin+(n.x-lowX)*scaleX, 50+(n.y-lowY)*scaleY
	}
	return (highX-lowX)*scaleX + 2*mapMargin, (highY-lowY)*scaleY + 100
}

// fan places a site's children on the arc that they have, each with room for
// what hangs below it.
func (a *atlas) fan(at int, from, to float64, depth int) {
	children := a.nodes[at].children
	all := 0
	for _, c := range children {
		all += a.nodes[c].leaves
	}
	// Where they stand closer than roomOnArc they take turns in their distance.
	distance := 100 * float64(depth+1)
	turns := 1
	if room := distance * (to - from) / float64(max(len(children), 1)); room < roomOnArc {
		turns = min(int(math.Ceil(roomOnArc/room)), 5)
	}
	whole := to - from
	for i, c := range children {
		arc := whole * float64(a.nodes[c].leaves) / float64(all)
		middle := from + arc/2
		d := distance + 28*float64(i%turns)
		a.nodes[c].x, a.nodes[c].y = px(d*math.Cos(middle)), px(d*math.Sin(middle))
		a.fan(c, from, from+arc, depth+(turns+3)/4)
		from += arc
	}
}

func (a *atlas) lines(d *drawing) {
	for _, l := range a.plan.Scope.Links {
		from, to := a.nodes[a.position[l.From]], a.nodes[a.position[l.To]]
		width := min(max(1+0.9*math.Log10(max(l.Bandwidth, 1)/1e6), 0.6), 5)
		d.Shapes = append(d.Shapes, shape{
			Kind: "line", Class: "link", X: from.x, Y: from.y, X2: to.x, Y2: to.y, Stroke: px(width),
			Title: fmt.Sprintf("%s to %s: %s, %s", l.From, l.To, rates(l), figure.Duration(l.Latency)),
		})
	}
}

// sites draws each site as a circle in the colours of its people's instances,
// with the servers that stand there.
func (a *atlas) sites(d *drawing, id string) {
	for i, s := range a.plan.Scope.Sites {
		n := a.nodes[i]
		title := fmt.Sprintf("%s: %s people", s.Site, figure.Number(s.Users))
		for _, one := range n.shares {
			title += fmt.Sprintf("; %s of %s", figure.Number(one.users), a.plan.Instances[one.instance].Name)
		}
		if s.Users == 0 {
			d.Shapes = append(d.Shapes, shape{Kind: "circle", Class: "empty", X: n.x, Y: n.y, R: n.r, Title: title})
		}
		before := 0
		for _, one := range n.shares {
			if one.users == 0 {
				continue
			}
			class, fill := d.fill(id, one.instance)
			d.Shapes = append(d.Shapes, shape{
				Kind: "path", Class: class + " rim", Fill: fill, Title: title,
				D: slice(n.x, n.y, n.r, float64(before)/float64(s.Users), float64(before+one.users)/float64(s.Users)),
			})
			before += one.users
		}
	}
	for i := range a.nodes {
		a.seats(d, i)
	}
}

// seats draws the servers at a site as numbered boxes above it, unless there are
// others already.
func (a *atlas) seats(d *drawing, at int) {
	n := a.nodes[at]
	if len(n.seats) == 0 {
		return
	}
	shown := px(min(len(n.seats), 4))
	all := box{n.x - 11*shown, n.y - n.r - 18, 22 * shown, 15}
	if slices.ContainsFunc(a.taken, all.meets) {
		return
	}
	a.taken = append(a.taken, all)
	for j, seat := range n.seats[:int(shown)] {
		text := strconv.Itoa(seat + 1)
		if j == 3 && len(n.seats) > 4 {
			text = "+" + strconv.Itoa(len(n.seats)-3)
		}
		x := all.x + px(j)*22 + 1
		d.Shapes = append(d.Shapes, shape{Kind: "rect", Class: "seat", X: x, Y: all.y, W: 20, H: 15, Title: "Server of " + a.plan.Instances[seat].Name})
		d.text("seat-number", "middle", x+10, all.y+11.5, text)
	}
}

// box is what a label covers.
type box struct{ x, y, w, h px }

func (b box) meets(c box) bool {
	return b.x < c.x+c.w && c.x < b.x+b.w && b.y < c.y+c.h && c.y < b.y+b.h
}

// labels names the sites, those with servers and many people first, and then
// the links, where there is room.
func (a *atlas) labels(d *drawing) {
	order := make([]int, len(a.nodes))
	taken := a.taken
	for i, n := range a.nodes {
		order[i] = i
		taken = append(taken, box{n.x - n.r, n.y - n.r, 2 * n.r, 2 * n.r})
	}
	slices.SortStableFunc(order, func(x, y int) int {
		return cmp.Or(cmp.Compare(min(len(a.nodes[y].seats), 1), min(len(a.nodes[x].seats), 1)), cmp.Compare(a.plan.Scope.Sites[y].Users, a.plan.Scope.Sites[x].Users))
	})
	named := 0
	for _, i := range order {
		if named == mostLabels {
			break
		}
		n := a.nodes[i]
		text := short(a.plan.Scope.Sites[i].Site, 24)
		w := textWidth(text)
		for _, at := range []struct {
			anchor string
			x, y   px
			left   px // of the box
		}{
			{"middle", n.x, n.y + n.r + 13, n.x - w/2},
			{"start", n.x + n.r + 5, n.y + 4, n.x + n.r + 5},
			{"end", n.x - n.r - 5, n.y + 4, n.x - n.r - 5 - w},
			{"middle", n.x, n.y - n.r - 6, n.x - w/2},
		} {
			b := box{at.left, at.y - 10, w, 12}
			if b.x < 0 || b.x+b.w > mapWidth || slices.ContainsFunc(taken, b.meets) {
				continue
			}
			taken = append(taken, b)
			d.text("label halo", at.anchor, at.x, at.y, text)
			named++
			break
		}
	}
	if len(a.plan.Scope.Links) > mostLabels {
		return
	}
	for _, l := range a.plan.Scope.Links {
		from, to, text := a.nodes[a.position[l.From]], a.nodes[a.position[l.To]], rates(l)
		x, y, w := (from.x+to.x)/2, (from.y+to.y)/2-3, textWidth(text)
		if b := (box{x - w/2, y - 9, w, 11}); !slices.ContainsFunc(taken, b.meets) {
			taken = append(taken, b)
			d.text("small halo", "middle", x, y, text)
		}
	}
}

// rates writes what a link carries, in both directions where they differ.
func rates(l plan.ScopeLink) string {
	text := figure.Rate(l.Bandwidth)
	if l.Back != l.Bandwidth {
		text += " / " + figure.Rate(l.Back)
	}
	return text
}

// legend names the instances by number and colour.
func (a *atlas) legend(d *drawing, id string) {
	const columns, row = 3, px(20)
	top := d.Height + 10
	each := (len(a.plan.Instances) + columns - 1) / columns
	for i, in := range a.plan.Instances {
		x, y := 10+px(i/each)*(mapWidth/columns), top+px(i%each)*row
		class, fill := d.fill(id, i)
		d.Shapes = append(d.Shapes, shape{Kind: "rect", Class: class + " rim", Fill: fill, X: x, Y: y, W: 14, H: 14})
		d.text("label", "start", x+20, y+11, fmt.Sprintf("%d  %s, server at %s", i+1, short(in.Name, 20), short(in.SiteName, 16)))
	}
	d.Height = top + px(each)*row + 6
}
