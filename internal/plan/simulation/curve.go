package simulation

import (
	"math"
	"math/rand/v2"

	"github.com/dormer-project/dormer/internal/plan/organization"
)

const (
	daySeconds = 86_400.0
	// morning is when work begins, in seconds after midnight.
	morning = 8 * 3600.0
)

// curve is the course of a day, in seconds.
type curve struct {
	perDay float64 // events of one client
	busy   float64 // hours with events, from a client's start on
	spread float64 // how far clients start before or after the morning
	stay   float64 // how long they stay on after the busy hours
	always bool    // never off
	// The spell of errors, by the clock; rate holds in it, rest beside it, in
	// events a second.
	from, until float64
	rate, rest  float64
}

// curveOf lays the spell of errors so that it falls into everybody's busy hours.
func curveOf(m *organization.Model) curve {
	e := m.Events
	c := curve{perDay: float64(e.PerDay), busy: float64(e.Hours) * 3600}
	c.spread, c.stay = min(1800, c.busy/8), 1800
	c.always = c.busy+c.stay+2*c.spread >= daySeconds-3600
	spell := min(3600, c.busy/(4*(1+e.Bursts)))
	c.from = morning + c.busy/4
	c.until = c.from + spell
	usual := c.perDay / c.busy
	c.rate = usual * (1 + e.Bursts)
	c.rest = (c.perDay - c.rate*spell) / (c.busy - spell)
	return c
}

// start draws when a client is switched on: most of them in the middle of the
// morning.
func (c *curve) start(r *rand.Rand) float64 {
	return morning + c.spread*(r.Float64()+r.Float64()-1)
}

// expected is how many events a client that starts at a time of day has, on
// average, from the beginning of time until t.
func (c *curve) expected(start, t float64) float64 {
	days := math.Floor((t - start) / daySeconds)
	x := t - start - days*daySeconds
	within := min(x, c.busy)
	spell := max(0, min(within, c.until-start)-max(0, c.from-start))
	return days*c.perDay + c.rest*within + (c.rate-c.rest)*spell
}

// plateau is the time of day in which everybody is on and has events, but for
// the time after starting; spell is the time of errors.
func (c *curve) plateau() (from, until float64) {
	return morning + c.spread, morning - c.spread + c.busy
}

// poisson draws how many of something there are that is expected so often. For
// more than thirty it is the normal distribution, rounded.
func poisson(r *rand.Rand, expected float64) int {
	if expected <= 0 {
		return 0
	}
	if expected > 30 {
		return max(0, int(math.Round(expected+math.Sqrt(expected)*r.NormFloat64())))
	}
	u := r.Float64()
	if u < 1-expected {
		return 0 // the chance of none is greater than that
	}
	chance := math.Exp(-expected)
	n := 0
	for sum := chance; u >= sum && n < 200; sum += chance {
		n++
		chance *= expected / float64(n)
	}
	return n
}
