package simulation

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/placement"
)

// day is one instance with its clients.
type day struct {
	m      *organization.Model
	spec   *placement.Instance
	curve  curve
	random *rand.Rand
	poll   float64 // interval
	// The time that is simulated.
	from, until float64
	crowds      []crowd
	clients     []client
	turns       *agenda
	server      *server
	outages     []outage
	// now is the outage that holds or was last, -1 before the first.
	now int

	step   float64
	points []Point
	answer waits
	online float64
	totals totals
	last   totals  // at the last point
	owed   float64 // work of a server that had arrived by then and was not done, in seconds of a core
	steady steady
}

// crowd is the people of one part of the instance.
type crowd struct {
	part    placement.Part
	weight  float64 // people that one client stands for
	trips   float64 // of a poll, in seconds
	holds   int     // events in a journal
	limited []limit
}

// limit is a workspace of a crowd that may not be used without the server for
// ever.
type limit struct {
	workspace int
	seconds   float64
	share     float64 // of the crowd
}

// client is one that is played.
type client struct {
	start    float64 // of each day
	off      float64 // when it is switched off; while it is off when it was
	since    float64 // when it was switched on
	answered float64 // when the server answered last
	had      float64 // events that were expected until those that are in the journal
	alone    float64 // until when its time without the server is counted in this outage
	journal  int
	failures int
	crowd    int32
	used     float32 // share of what a lease may have used before it is renewed
	on       bool
	touch    bool // the last poll was answered
	away     bool // it does not know yet that the last outage is over
	behind   bool // what it kept in an outage is not all stored
}

// outage is one of this instance.
type outage struct {
	start, end float64
	held       float64 // events in journals when it began
	backlog    float64
	away       int // clients that do not know yet that it is over
	behind     int
	back, done float64
	stopped    []stop // by workspace
	over       bool
}

type stop struct {
	people, first, seconds float64
}

// totals are counts, and busy seconds of processor cores.
type totals struct {
	polls, failed, created, stored, lost, busy float64
}

func newDay(m *organization.Model, spec *placement.Instance, i, sample int, o Options) *day {
	d := &day{
		m: m, spec: spec, curve: curveOf(m), random: rand.New(rand.NewPCG(o.Seed, uint64(i))), poll: m.Service.Poll.Seconds(),
		from: o.From.Duration().Seconds(), now: -1,
	}
	d.until = d.from + o.Length.Duration().Seconds()
	for _, a := range o.Outages {
		if a.Instance == "" || same(a.Instance, spec.Name) {
			start := a.Start.Duration().Seconds()
			d.outages = append(d.outages, outage{start: start, end: start + a.Length.Duration().Seconds(), stopped: make([]stop, len(m.Workspaces))})
		}
	}
	slices.SortFunc(d.outages, func(a, b outage) int { return cmp.Compare(a.start, b.start) })
	d.gather(sample)
	cores := m.Capacity.Cores
	if o.Cores != nil {
		cores = o.Cores[i]
	}
	stretch := 1.0
	if len(d.clients) > 0 {
		stretch = float64(spec.Active) / float64(len(d.clients))
	}
	d.server = newServer(cores, stretch, d.from)
	d.step = math.Ceil((d.until-d.from)/maxPoints/10) * 10
	d.steady = steadyOf(d)
	return d
}

// gather makes the clients: each part of the instance has as many as its share
// of the sample, at least one.
func (d *day) gather(sample int) {
	first := map[int][]int{} // workspaces of each group
	for i, w := range d.m.Workspaces {
		for _, g := range w.Gets {
			first[g.Group] = append(first[g.Group], i)
		}
	}
	for _, part := range d.spec.Parts {
		if part.Active == 0 {
			continue
		}
		n := part.Active
		if sample < d.spec.Active {
			n = min(max(int(math.Round(float64(sample)*float64(part.Active)/float64(d.spec.Active))), 1), n)
		}
		c := crowd{part: part, weight: float64(part.Active) / float64(n)}
		group := d.m.Groups[part.Group]
		c.trips = roundTrips * d.m.Route(group.Site, d.spec.Site).Latency.Seconds()
		c.holds = journalHolds(0, true, d.m.Events.Bytes)
		for k, i := range first[part.Group] {
			w := d.m.Workspaces[i]
			length, limited := w.Offline.Limit()
			if holds := journalHolds(length, limited, d.m.Events.Bytes); k == 0 || holds < c.holds {
				c.holds = holds // some have no other workspace
			}
			if !limited {
				continue
			}
			l := limit{workspace: i, seconds: length.Seconds()}
			if l.seconds == 0 {
				l.seconds = noneLimits * d.poll
			}
			for _, g := range w.Gets {
				if g.Group == part.Group && group.Active > 0 {
					l.share += float64(g.Active) / float64(group.Active)
				}
			}
			if l.share > 0 {
				c.limited = append(c.limited, l)
			}
		}
		d.crowds = append(d.crowds, c)
		for range n {
			d.clients = append(d.clients, d.drawn(int32(len(d.crowds)-1)))
		}
	}
	longest := max(d.poll*(1+pollJitter), longRetry*(1+retryJitter))
	d.turns = newAgenda(len(d.clients), d.from, d.poll, longest)
	for i := range d.clients {
		d.turns.add(int32(i), d.first(&d.clients[i]))
	}
}

// drawn is a client as the simulation finds it.
func (d *day) drawn(crowd int32) client {
	return client{start: d.curve.start(d.random), crowd: crowd, used: float32(d.random.Float64())}
}

// first is the first turn of a client. One that is on already polled within the
// last interval.
func (d *day) first(c *client) float64 {
	lasts := d.curve.busy + d.curve.stay
	if d.curve.always {
		lasts = math.Inf(1)
	}
	began := c.start
	if d.from < began {
		began -= daySeconds
	}
	c.had = d.curve.expected(c.start, d.from)
	if d.from >= began+lasts {
		c.off = began + lasts
		c.answered = c.off
		return began + daySeconds
	}
	d.switchOn(c, began)
	c.touch = true
	d.online += d.crowds[c.crowd].weight
	ago := d.random.Float64() * d.poll
	c.answered = max(d.from-ago, began)
	return d.from + d.poll - ago
}

func (d *day) switchOn(c *client, at float64) {
	c.on, c.since, c.off = true, at, at+d.curve.busy+d.curve.stay
	if d.curve.always {
		c.off = math.Inf(1)
	}
}

// play lets the time pass.
func (d *day) play(ctx context.Context) error {
	const look = 1 << 14 // turns between two looks at the context
	at := d.next()
	for n := 0; ; n++ {
		if n%look == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		t, some := d.turns.next()
		for !some || t.at >= at {
			if d.mark(at); at >= d.until {
				return nil
			}
			at = d.next()
		}
		d.turns.take()
		d.turns.add(t.client, d.act(t.at, &d.clients[t.client]))
	}
}

// next is the next moment at which something is to be done that no client does:
// a point of the series, the beginning or the end of an outage.
func (d *day) next() float64 {
	at := min(d.from+float64(len(d.points)+1)*d.step, d.until)
	if d.now+1 < len(d.outages) {
		at = min(at, d.outages[d.now+1].start)
	}
	if d.now >= 0 && !d.outages[d.now].over {
		at = min(at, d.outages[d.now].end)
	}
	return at
}

// mark does what is due at a moment that next has named.
func (d *day) mark(at float64) {
	for i := range d.clients {
		if c := &d.clients[i]; c.on {
			d.count(c, at)
		}
	}
	if d.now >= 0 && !d.outages[d.now].over && at >= d.outages[d.now].end {
		d.endOutage(at)
	}
	if d.now+1 < len(d.outages) && at >= d.outages[d.now+1].start {
		d.now++
		o := &d.outages[d.now]
		o.back, o.done, o.held = -1, -1, d.held()
		for i := range d.clients {
			d.clients[i].alone = math.Inf(-1)
		}
	}
	if at >= d.from+float64(len(d.points)+1)*d.step || at >= d.until {
		d.point(at)
	}
	if at >= d.until {
		d.finish(at)
	}
}

// held is how many events are in journals.
func (d *day) held() float64 {
	sum := 0.0
	for i := range d.clients {
		sum += float64(d.clients[i].journal) * d.crowds[d.clients[i].crowd].weight
	}
	return sum
}

func (d *day) endOutage(at float64) {
	o := &d.outages[d.now]
	o.over, o.backlog = true, d.held()-o.held
	for i := range d.clients {
		c := &d.clients[i]
		if c.away = c.on && c.failures > 0; c.away {
			o.away++
		}
		if c.behind {
			o.behind++
		}
	}
	if o.away == 0 {
		o.back = 0
	}
	if o.behind == 0 {
		o.done = 0
	}
	d.server.restart(at)
	d.owed = 0
}

// point ends a step of the series.
func (d *day) point(at float64) {
	span := max(at-d.from-float64(len(d.points))*d.step, 1e-9)
	work, could := d.owed+d.totals.busy-d.last.busy, span*float64(len(d.server.free))
	d.owed = max(work-could, 0)
	d.points = append(d.points, Point{
		At: at - d.from, Polls: (d.totals.polls - d.last.polls) / span, Events: (d.totals.stored - d.last.stored) / span,
		Online: d.online, Load: min(work/could, 1), Held: d.held(),
	})
	d.last = d.totals
}

// finish counts the time without the server of those who are still without it.
func (d *day) finish(at float64) {
	for i := range d.clients {
		if c := &d.clients[i]; c.on && !c.touch {
			d.goneWithout(c, at)
		}
	}
}

// count puts the events that a client had until now into its journal.
func (d *day) count(c *client, at float64) {
	expected := d.curve.expected(c.start, at)
	n := poisson(d.random, expected-c.had)
	c.had = expected
	if n == 0 {
		return
	}
	crowd := &d.crowds[c.crowd]
	d.totals.created += float64(n) * crowd.weight
	c.journal += n
	if over := c.journal - crowd.holds; over > 0 {
		c.journal = crowd.holds
		d.totals.lost += float64(over) * crowd.weight
	}
}

// act lets a client do what it is its turn for, and returns its next turn.
func (d *day) act(at float64, c *client) float64 {
	if !c.on {
		// What it had before it was off stays in the journal, and nothing comes
		// to it meanwhile.
		d.switchOn(c, at)
		c.had = d.curve.expected(c.start, at)
		c.failures, c.touch = 0, false
		return d.pollNow(at, c)
	}
	d.count(c, at)
	if at < c.off {
		return d.pollNow(at, c)
	}
	if c.touch {
		d.online -= d.crowds[c.crowd].weight
	} else {
		d.goneWithout(c, at)
	}
	d.isBack(at, c)
	c.on, c.touch, c.failures = false, false, 0
	return c.start + math.Ceil((at-c.start)/daySeconds)*daySeconds
}

// pollNow polls.
func (d *day) pollNow(at float64, c *client) float64 {
	if d.now >= 0 && !d.outages[d.now].over {
		c.behind = true
		return d.failed(at, c)
	}
	crowd := &d.crowds[c.crowd]
	wait := d.server.wait(at)
	if wait > patience {
		return min(d.failed(at, c)+patience, c.off)
	}
	send := min(c.journal, pollEvents)
	cost := PollCost + float64(send)*EventCost
	d.server.serve(at, cost*crowd.weight)
	d.totals.busy += cost * crowd.weight
	took := wait + cost + crowd.trips
	d.answer.add(took, crowd.weight)
	d.totals.polls += crowd.weight
	d.totals.stored += float64(send) * crowd.weight
	d.steady.count(at, cost, float64(send), crowd.weight)
	c.journal -= send
	if !c.touch {
		d.online += crowd.weight
		d.goneWithout(c, at)
		d.isBack(at, c)
	}
	if c.behind && send < pollEvents {
		c.behind = false
		if o := &d.outages[d.now]; o.behind > 0 {
			if o.behind--; o.behind == 0 {
				o.done = at - o.end
			}
		}
	}
	c.touch, c.failures, c.answered = true, 0, at
	next := d.poll * (1 - pollJitter + 2*pollJitter*d.random.Float64())
	if send == pollEvents {
		next = min(next, moreDelay)
	}
	return min(at+took+next, c.off)
}

// failed is a poll that nobody answered.
func (d *day) failed(at float64, c *client) float64 {
	weight := d.crowds[c.crowd].weight
	d.totals.failed += weight
	if c.touch {
		d.online -= weight
	}
	c.touch = false
	c.failures++
	wait := pause(c.failures) * (1 + retryJitter*d.random.Float64())
	return min(at+wait, c.off)
}

// isBack takes note that a client which was away when an outage ended is no
// longer, because it has an answer or was switched off.
func (d *day) isBack(at float64, c *client) {
	if !c.away {
		return
	}
	c.away = false
	o := &d.outages[d.now]
	if o.away--; o.away == 0 {
		o.back = at - o.end
	}
}

// goneWithout counts how long people of a client could not work: from where its
// off-line limit ended until now, and not before the client was switched on or
// the outage began.
func (d *day) goneWithout(c *client, until float64) {
	if d.now < 0 {
		return
	}
	o := &d.outages[d.now]
	crowd := &d.crowds[c.crowd]
	for _, l := range crowd.limited {
		limit := l.seconds
		if renewal*limit > d.poll {
			limit *= 1 - renewal*float64(c.used)
		}
		ended := c.answered + limit
		from := max(ended, max(c.since, o.start))
		if from >= until {
			continue
		}
		s := &o.stopped[l.workspace]
		people := crowd.weight * l.share
		if s.people == 0 || from-o.start < s.first {
			s.first = from - o.start
		}
		if ended >= c.alone {
			s.people += people
		}
		s.seconds += (until - from) * people
	}
	c.alone = until
}
