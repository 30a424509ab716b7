package simulation

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/dormer-project/dormer/internal/plan/delivery"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/placement"
)

// Requests of one delivery, each a round trip; as package delivery counts them.
const (
	firstRequests  = 50
	updateRequests = 10
)

// rollout is the delivery of some images.
type rollout struct {
	m      *organization.Model
	o      Rollout
	net    *network
	rows   []row
	places []place
	left   []LeftOver
	fills  map[[2]int]int // streams that fill a mirror with an image
	stores []store
}

// store is a repository; of is that from which it is filled, -1: none.
type store struct {
	site, of int
}

// row is the people of one instance at one site.
type row struct {
	site, network, store int
	instance             string
	peers                bool
	images               []int // clients that get each image
}

// place is rows of one site, network and repository: they take one image alike.
type place struct {
	site, network, store int
	peers                bool
	image, clients       int
	rows                 []int
	streams              []int // with the clients in each
	sizes                []int
	roads                []int
	lan                  int
	latency              float64
}

func newRollout(m *organization.Model, p *placement.Placement, o Options) *rollout {
	r := &rollout{m: m, o: *o.Rollout, net: newNetwork(m), fills: map[[2]int]int{}}
	if o.Delivery != nil {
		r.asPlanned(o.Delivery)
	} else {
		r.fromSeats(p)
	}
	r.settle()
	return r
}

func networkOf(m *organization.Model, called string) int {
	for i, n := range m.Networks {
		if same(n.Name, called) {
			return i
		}
	}
	return organization.Connected
}

// asPlanned takes rows and repositories from a plan of delivery.
func (r *rollout) asPlanned(d *delivery.Delivery) {
	of := map[string]int{}
	for i, s := range d.Repositories {
		of[s.Name] = i
	}
	for _, s := range d.Repositories {
		r.stores = append(r.stores, store{s.Place, r.source(d, of, &s)})
	}
	for _, s := range d.Sites {
		from, ok := of[s.Repository]
		if r.leaves(s.Place, s.Instance, s.Way, !ok) {
			continue
		}
		next := row{site: s.Place, network: networkOf(r.m, s.Network), store: from, instance: s.Instance, peers: s.Neighbours, images: make([]int, len(r.m.Images))}
		for _, t := range s.Images {
			for i := range r.m.Images {
				if same(r.m.Images[i].Name, t.Image) {
					next.images[i] += t.Clients
				}
			}
		}
		r.rows = append(r.rows, next)
	}
}

// source is where a mirror is filled from: the last mirror of the same
// repository on the way to it, else that repository. It is -1 for what is no
// mirror.
func (r *rollout) source(d *delivery.Delivery, of map[string]int, s *delivery.Repository) int {
	at, ok := of[s.Of]
	if s.Of == "" || !ok {
		return -1
	}
	roads, _, _ := r.net.way(r.m, d.Repositories[at].Place, s.Place)
	for _, road := range slices.Backward(roads[:max(len(roads)-1, 0)]) {
		for i := range d.Repositories {
			if d.Repositories[i].Of == s.Of && d.Repositories[i].Place == r.net.roads[road].to {
				return i
			}
		}
	}
	return at
}

// fromSeats has one repository beside each instance's server.
func (r *rollout) fromSeats(p *placement.Placement) {
	for k := range p.Instances {
		x := &p.Instances[k]
		r.stores = append(r.stores, store{x.Site, -1})
		at := map[int]int{}
		for _, part := range x.Parts {
			g := &r.m.Groups[part.Group]
			i, ok := at[g.Site]
			if !ok {
				i = len(r.rows)
				at[g.Site] = i
				r.rows = append(r.rows, row{
					site: g.Site, network: x.Network, store: k, instance: x.Name, peers: r.m.Sites[g.Site].Neighbours, images: make([]int, len(r.m.Images)),
				})
			}
			for image, n := range gets(r.m, part.Group) {
				r.rows[i].images[image] += ceilPart(part.Active, n, g.Active)
			}
		}
	}
	r.rows = slices.DeleteFunc(r.rows, func(x row) bool {
		return r.leaves(x.site, x.instance, r.m.Sites[x.site].Delivery, !r.m.Route(r.stores[x.store].site, x.site).OK)
	})
}

// leaves reports whether people get images by another way than the network.
func (r *rollout) leaves(site int, instance string, way organization.DeliveryChoice, cut bool) bool {
	reason := ""
	switch {
	case way == organization.DeliveryMedia:
		reason = "images come on media"
	case way == organization.DeliveryPreStaged && r.o.First:
		reason = "computers are set up with the image before they come here"
	case cut:
		reason = "no link leads here from the repository"
	default:
		return false
	}
	r.left = append(r.left, LeftOver{Site: r.m.Sites[site].Name, Instance: instance, Reason: reason})
	return true
}

// gets is how many clients of a group get each image. Who gets one in two
// workspaces fetches it once.
func gets(m *organization.Model, group int) []int {
	out := make([]int, len(m.Images))
	for _, w := range m.Workspaces {
		for _, g := range w.Gets {
			if g.Group == group {
				out[w.Image] = min(out[w.Image]+g.Active, m.Groups[group].Active)
			}
		}
	}
	return out
}

// ceilPart is n times some of all, rounded up.
func ceilPart(n, some, all int) int {
	if all == 0 {
		return 0
	}
	return (n*some + all - 1) / all
}

func (r *rollout) bits(image int) float64 {
	if r.o.First {
		return float64(r.m.Images[image].Packed) * 8
	}
	return float64(r.m.Images[image].Update) * 8
}

func (r *rollout) requests() float64 {
	if r.o.First {
		return firstRequests
	}
	return updateRequests
}

// settle makes the streams.
func (r *rollout) settle() {
	type key struct {
		site, network, store, image int
		peers                       bool
	}
	at := map[key]int{}
	for i := range r.rows {
		x := &r.rows[i]
		for image, n := range x.images {
			if n == 0 || r.o.Image != "" && !same(r.o.Image, r.m.Images[image].Name) {
				continue
			}
			k := key{x.site, x.network, x.store, image, x.peers}
			p, ok := at[k]
			if !ok {
				p = len(r.places)
				at[k] = p
				next := place{site: x.site, network: x.network, store: x.store, image: image, peers: x.peers, lan: r.net.lan(r.m, x.site, x.network)}
				next.roads, next.latency, _ = r.net.way(r.m, r.stores[x.store].site, x.site)
				next.peers = next.peers && len(next.roads) > 0
				r.places = append(r.places, next)
			}
			r.places[p].clients += n
			r.places[p].rows = append(r.places[p].rows, i)
		}
	}
	groups := max(1, min(10, 4000/max(len(r.places), 1)))
	poll := r.m.Service.Poll.Seconds()
	for i := range r.places {
		p := &r.places[i]
		s := stream{bits: r.bits(p.image), after: r.fill(p.store, p.image), lag: r.requests() * p.latency}
		lan := append(slices.Clone(p.roads), p.lan)
		if !p.peers {
			s.roads = lan
			p.streams, p.sizes = []int{r.net.add(s, p.clients, poll, groups)}, []int{p.clients}
			continue
		}
		s.roads = lan
		p.streams, p.sizes = []int{r.net.add(s, 1, 0, 1)}, []int{1}
		if p.clients > 1 {
			s.after, s.roads = p.streams[0], []int{p.lan}
			p.streams, p.sizes = append(p.streams, r.net.add(s, p.clients-1, poll, groups)), append(p.sizes, p.clients-1)
		}
	}
}

// fill is the stream that brings an image to a mirror; -1 for a repository that
// has it.
func (r *rollout) fill(at, image int) int {
	s := &r.stores[at]
	if s.of < 0 {
		return -1
	}
	key := [2]int{at, image}
	if i, ok := r.fills[key]; ok {
		return i
	}
	roads, _, ok := r.net.way(r.m, r.stores[s.of].site, s.site)
	i := -1
	if ok && len(roads) > 0 {
		i = r.net.add(stream{roads: roads, bits: r.bits(image), after: r.fill(s.of, image)}, 1, 0, 1)
	}
	r.fills[key] = i
	return i
}

// play lets the time pass until everybody has everything.
func (r *rollout) play(ctx context.Context) error {
	now := 0.0
	r.net.pass(0, 0)
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.net.share()
		wait := r.net.next(now)
		if math.IsInf(wait, 1) {
			return nil
		}
		r.net.pass(now, wait)
		now += wait
	}
}

// elapsed is how long something lasts that takes so many seconds of the hours of
// delivery, from the first of them.
func (r *rollout) elapsed(seconds float64) float64 {
	hours := float64(r.m.Service.DeliveryHours)
	return seconds + max(math.Ceil(seconds/(hours*3600))-1, 0)*(24-hours)*3600
}

// arrival is some clients that have an image.
type arrival struct {
	at      float64
	clients float64
}

// arrivals are those of a place, in the order of time.
func (r *rollout) arrivals(p *place) []arrival {
	var out []arrival
	for _, i := range p.streams {
		s := &r.net.streams[i]
		for g, end := range s.ends {
			out = append(out, arrival{r.elapsed(end), s.count[g]})
		}
	}
	slices.SortStableFunc(out, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
	return out
}

// by is when a share of the clients had it.
func by(list []arrival, share, of float64) float64 {
	sum := 0.0
	for _, a := range list {
		if sum += a.clients; sum >= share*of-1e-6 {
			return a.at
		}
	}
	return 0
}

// progress is the result.
func (r *rollout) progress() *Progress {
	out := &Progress{Image: r.o.Image, First: r.o.First, Left: r.left, Sites: []Arrival{}, Points: []Reached{}}
	var all []arrival
	total := 0.0
	for i := range r.places {
		p := &r.places[i]
		list := r.arrivals(p)
		all, total = append(all, list...), total+float64(p.clients)
		last := r.net.streams[p.streams[len(p.streams)-1]]
		for _, x := range p.rows {
			out.Sites = append(out.Sites, Arrival{
				Site: r.m.Sites[p.site].Name, Network: r.networkName(p.network), Instance: r.rows[x].instance, Image: r.m.Images[p.image].Name,
				Clients: r.rows[x].images[p.image], Bytes: int64(r.bits(p.image) / 8), Half: tidy(by(list, 0.5, float64(p.clients))),
				Most: tidy(by(list, 0.9, float64(p.clients))), All: tidy(by(list, 1, float64(p.clients))), Narrow: r.roadName(last.slow),
			})
			out.All = max(out.All, out.Sites[len(out.Sites)-1].All)
		}
	}
	slices.SortStableFunc(all, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
	out.Points = reached(all, total)
	out.Lines = r.lines()
	return out
}

// reached thins out a series of arrivals.
func reached(all []arrival, total float64) []Reached {
	out := []Reached{{}}
	sum := 0.0
	for i, a := range all {
		sum += a.clients
		last := &out[len(out)-1]
		switch share := sum / total; {
		case tidy(a.at) == last.At:
			last.Share = tidy(share)
		case i == len(all)-1 || share-last.Share >= 1.0/maxPoints:
			out = append(out, Reached{tidy(a.at), tidy(share)})
		}
	}
	return out
}

func (r *rollout) networkName(i int) string {
	if i == organization.Connected {
		return ""
	}
	return r.m.Networks[i].Name
}

func (r *rollout) roadName(i int) string {
	x := &r.net.roads[i]
	if x.from == x.to {
		return "network within " + r.m.Sites[x.from].Name
	}
	return fmt.Sprintf("link from %s to %s", r.m.Sites[x.from].Name, r.m.Sites[x.to].Name)
}

// lines are the roads that carried most of what they may.
func (r *rollout) lines() []Load {
	const most = 100
	var out []Load
	for i := range r.net.roads {
		x := &r.net.roads[i]
		if x.carried == 0 || x.last == 0 {
			continue
		}
		out = append(out, Load{
			From: r.m.Sites[x.from].Name, To: r.m.Sites[x.to].Name, Bytes: tidy(x.carried / 8), Busy: tidy(r.elapsed(x.last)),
			Share: tidy(min(x.carried/(x.usable*x.last), 1)),
		})
	}
	slices.SortStableFunc(out, func(a, b Load) int {
		return cmp.Or(cmp.Compare(b.Busy*b.Share, a.Busy*a.Share))
	})
	return out[:min(len(out), most)]
}

// checks hold the formulas of delivery against the times of each place.
func (r *rollout) checks() []Check {
	out := make([]Check, 0, len(r.places))
	several := slices.ContainsFunc(r.places, func(p place) bool { return p.image != r.places[0].image })
	for i := range r.places {
		p := &r.places[i]
		parts, shared := r.parts(p)
		words, amounts, value := "", []figure.Amount(nil), 0.0
		for _, x := range parts {
			words += "{bytes " + x.what + "} x 8 / {usable bandwidth " + x.what + "} + "
			amounts = append(amounts, figure.In(figure.Size, x.bits/8), figure.In(figure.BitsASec, x.usable))
			value += x.bits / x.usable
		}
		words += "{requests} x {round trip}"
		amounts = append(amounts, figure.N(r.requests()), figure.In(figure.Seconds, p.latency))
		value += r.requests() * p.latency
		if idle := r.elapsed(value) - value; idle > 0 {
			words += " + {hours without delivery}"
			amounts = append(amounts, figure.In(figure.Seconds, idle))
		}
		title := "Time until everybody at a site has an update"
		if r.o.First {
			title = "Time until everybody at a site has an image for the first time"
		}
		about := fmt.Sprintf("%s at %s", r.m.Images[p.image].Name, r.m.Sites[p.site].Name)
		if n := r.networkName(p.network); n != "" {
			about += " (" + n + ")"
		}
		f := figure.Work("simulation.rollout", title, figure.Seconds, words, amounts...)
		// Clients begin within a poll interval, and what is off by a little may be
		// off by a night without delivery. Images of different sizes that come
		// at once do not share as the formula has it.
		off := 0.02
		if several {
			off = 0.1
		}
		tolerance := off
		if f.Value > 0 {
			more, less := r.elapsed(value*(1+off)+r.m.Service.Poll.Seconds()), r.elapsed(value*(1-off))
			tolerance = max(more-f.Value, f.Value-less) / f.Value
		}
		out = append(out, held(f, about, by(r.arrivals(p), 1, float64(p.clients)), tolerance, shared || several))
	}
	return out
}

// leg is a part of a way with its slowest road.
type leg struct {
	what         string
	bits, usable float64
}

// parts are the legs of a place. shared says that others use the slowest roads,
// too: then the formula is an upper bound.
func (r *rollout) parts(p *place) (out []leg, shared bool) {
	bits := r.bits(p.image)
	slowest := func(what string, roads []int, own float64) {
		best := leg{what: what}
		mine := true
		for _, i := range roads {
			x := &r.net.roads[i]
			if best.usable == 0 || x.copies/x.usable > best.bits/best.usable {
				best.bits, best.usable, mine = x.copies, x.usable, x.copies <= own*(1+1e-9)
			}
		}
		if best.usable > 0 {
			out, shared = append(out, best), shared || !mine
		}
	}
	for at := p.store; r.stores[at].of >= 0; at = r.stores[at].of {
		roads, _, _ := r.net.way(r.m, r.stores[r.stores[at].of].site, r.stores[at].site)
		slowest("to the mirror at "+r.m.Sites[r.stores[at].site].Name, roads, bits)
	}
	slices.Reverse(out)
	n := float64(p.clients)
	if !p.peers {
		slowest("over the way", append(slices.Clone(p.roads), p.lan), n*bits)
		return out, shared
	}
	slowest("over the way", p.roads, bits)
	if n > 1 {
		lan := &r.net.roads[p.lan]
		out = append(out, leg{"within the site", lan.copies - bits, lan.usable})
		shared = shared || lan.copies > n*bits*(1+1e-9)
	}
	return out, shared
}
