package simulation

import "math"

// steady watches what goes on while everybody is on and nothing is wrong.
type steady struct {
	plateau watch // everybody is on
	calm    watch // and there is no spell of errors
	spell   watch // of errors
}

// watch counts in some spans of time.
type watch struct {
	spans [][2]float64 // ascending
	next  int
	polls, stored, busy,
	played float64 // events of the sample
}

// steadyOf lays the spans of a day's watches. After an outage nothing is steady
// until everybody is back.
func steadyOf(d *day) steady {
	var s steady
	lag := d.poll * (1 + pollJitter)
	first, last := math.Floor(d.from/daySeconds)-1, math.Ceil(d.until/daySeconds)
	for k := first; k <= last; k++ {
		midnight := k * daySeconds
		from, until := d.curve.plateau()
		if d.curve.always {
			until = from + daySeconds
		}
		s.plateau.lay(d, midnight+from, midnight+until)
		s.calm.lay(d, midnight+from+lag, midnight+min(d.curve.from, until))
		_, ends := d.curve.plateau() // of the busy hours
		s.calm.lay(d, midnight+d.curve.until+lag, midnight+ends)
		s.spell.lay(d, midnight+d.curve.from+lag, midnight+d.curve.until)
	}
	return s
}

// lay adds a span without what lies outside of the simulated time or in an
// outage and the time after it.
func (w *watch) lay(d *day, from, until float64) {
	from, until = max(from, d.from), min(until, d.until)
	for _, o := range d.outages {
		ready := o.end + longRetry*(1+retryJitter) + d.poll
		if o.start >= until || ready <= from {
			continue
		}
		if o.start > from {
			w.spans = append(w.spans, [2]float64{from, o.start})
		}
		from = ready
	}
	if from < until {
		w.spans = append(w.spans, [2]float64{from, until})
	}
}

// seconds is how long the spans last together.
func (w *watch) seconds() float64 {
	sum := 0.0
	for _, s := range w.spans {
		sum += s[1] - s[0]
	}
	return sum
}

func (s *steady) count(at, cost, stored, weight float64) {
	for _, w := range [...]*watch{&s.plateau, &s.calm, &s.spell} {
		for w.next < len(w.spans) && at >= w.spans[w.next][1] {
			w.next++
		}
		if w.next < len(w.spans) && at >= w.spans[w.next][0] {
			w.polls += weight
			w.stored += stored * weight
			w.busy += cost * weight
			w.played += stored
		}
	}
}
