package alert

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

// engine applies rules. It knows no clock: time passes by the events' receipt,
// and by advance. It belongs to one goroutine.
type engine struct {
	rules []*compiled
	// watched holds for each rule what is counted or open, by key.
	watched map[string]map[string]*watched
	// at is how far time has passed; swept is when idle ones were dropped last.
	at, swept time.Time
	// due is before when no alert has to be cleared; zero: look.
	due time.Time
	// changes wait to be saved; dirty ones are open alerts that repeated.
	changes []Change
	dirty   map[*watched]bool
}

// watched is one rule's look at one key.
type watched struct {
	rule     string
	key      string
	shown    string
	severity dormer.Severity
	text     string
	state    state
	since    time.Time // pending: holds since
	raised   time.Time
	last     time.Time
	count    int64
	value    float64
	window   window
}

func newEngine() *engine {
	return &engine{watched: map[string]map[string]*watched{}, dirty: map[*watched]bool{}}
}

// setRules replaces the rules. Alerts of rules that are gone or turned off are
// cleared; a rule that decides differently now counts anew, and its open alerts
// stay until they clear by what it says now.
func (e *engine) setRules(rules []*compiled, at time.Time) {
	before := map[string]*compiled{}
	for _, c := range e.rules {
		before[c.Name] = c
	}
	enabled := map[string]*compiled{}
	e.rules = nil
	for _, c := range rules {
		if c.Enabled {
			e.rules = append(e.rules, c)
			enabled[c.Name] = c
		}
	}
	for rule, keys := range e.watched {
		now := enabled[rule]
		old := before[rule]
		for key, w := range keys {
			switch {
			case now == nil:
				e.apply(w, gone, at)
				delete(keys, key)
			case old != nil && old.print != now.print:
				w.window = window{}
				if !w.state.raised() {
					delete(keys, key)
				}
			}
		}
	}
	e.due = time.Time{}
}

// event looks at one event.
func (e *engine) event(r event.Row) {
	e.pass(r.Received)
	for _, c := range e.rules {
		if c.Events == nil || !c.matches(r) {
			continue
		}
		key, shown := c.subject(r)
		if key == "" {
			continue
		}
		w := e.watch(c, key, cmp.Or(shown, key))
		n := int64(max(r.Count, 1))
		inWindow := w.window.add(c, r.Received, string(r.Client), n)
		switch {
		case w.state.raised():
			w.count += n
			e.apply(w, holdsDue, r.Received)
		case inWindow >= int64(c.Events.Threshold):
			w.count, w.severity = inWindow, c.Severity
			w.text = c.render(w.shown, inWindow, 0)
			e.apply(w, holdsDue, r.Received)
		}
	}
}

// observe looks at everything that was observed at one time.
func (e *engine) observe(list []Observation, at time.Time) {
	e.advance(at)
	at = e.at
	for _, c := range e.rules {
		if c.State == nil {
			continue
		}
		seen := map[string]bool{}
		for _, o := range list {
			if o.Kind != c.State.Observed {
				continue
			}
			key := cmp.Or(o.Subject, everybody)
			if !c.holds(o.Value) {
				continue
			}
			w := e.watch(c, key, cmp.Or(o.Shown, o.Subject))
			seen[w.key] = true
			if w.state == idle {
				w.since = at
			}
			if w.state == ending {
				w.count++
			}
			if !w.state.raised() {
				w.count = 1
			}
			w.value, w.severity = o.Value, c.Severity
			w.text = c.render(w.shown, w.count, o.Value)
			in := holds
			if at.Sub(w.since) >= c.holdFor {
				in = holdsDue
			}
			e.apply(w, in, at)
		}
		for key, w := range e.watched[c.Name] {
			if !seen[key] {
				e.apply(w, e.ended(c, w, at), at)
			}
		}
	}
}

// ended is the input for a condition that does not hold at a time.
func (e *engine) ended(c *compiled, w *watched, at time.Time) input {
	if at.Sub(w.last) >= c.clearAfter {
		return overDue
	}
	return over
}

// watch finds or makes the look of a rule at a key. A rule that has too many
// looks at all others together.
func (e *engine) watch(c *compiled, key, shown string) *watched {
	keys := e.watched[c.Name]
	if keys == nil {
		keys = map[string]*watched{}
		e.watched[c.Name] = keys
	}
	w := keys[key]
	if w == nil {
		most := maxWatched
		if c.State != nil {
			most = maxOpen
		}
		if len(keys) >= most {
			key, shown = others, "others"
			w = keys[key]
		}
	}
	if w == nil {
		w = &watched{rule: c.Name, key: key}
		keys[key] = w
	}
	w.shown = shown
	return w
}

// apply does what the table says.
func (e *engine) apply(w *watched, in input, at time.Time) {
	s := table[w.state][in]
	w.state = s.to
	if in == holds || in == holdsDue {
		w.last = at
	}
	switch s.action {
	case raise:
		w.raised = at
		e.changes = append(e.changes, w.change(Raises))
		e.due = time.Time{}
	case repeat:
		e.dirty[w] = true
	case clearIt:
		delete(e.dirty, w)
		c := w.change(Clears)
		c.Cleared = at
		e.changes = append(e.changes, c)
	case nothing:
	}
}

func (w *watched) change(k ChangeKind) Change {
	return Change{
		Kind: k, Rule: w.rule, Key: w.key, Severity: w.severity, Text: w.text, Raised: w.raised, Last: w.last, Count: w.count,
	}
}

// pass lets time pass up to the receipt of an event. It never goes back.
func (e *engine) pass(at time.Time) {
	if !at.After(e.at) {
		return
	}
	e.at = at
	if !e.due.IsZero() && at.Before(e.due) {
		return
	}
	e.clearDue(at)
}

// setBack is by how much the server's clock must have gone back to count as set
// right. Events that were received meanwhile may be a little older than the
// clock, and from then on have times that lie ahead.
const setBack = 10 * time.Minute

// turnBack goes on at an earlier time: the clock was wrong. What was counted by
// it is dropped, and what is open has been open since no later than now.
func (e *engine) turnBack(at time.Time) {
	e.at, e.swept, e.due = at, at, time.Time{}
	earlier := func(t *time.Time) {
		if t.After(at) {
			*t = at
		}
	}
	for _, keys := range e.watched {
		for _, w := range keys {
			w.window = window{}
			earlier(&w.since)
			earlier(&w.last)
		}
	}
}

// advance lets time pass by the server's clock and drops what is idle.
func (e *engine) advance(at time.Time) {
	if e.at.Sub(at) > setBack {
		e.turnBack(at)
	}
	e.pass(at)
	if e.at.Sub(e.swept) < time.Minute {
		return
	}
	e.swept = e.at
	for _, c := range e.rules {
		maps.DeleteFunc(e.watched[c.Name], func(_ string, w *watched) bool {
			return w.state == idle && (c.Events == nil || w.window.slide(c, e.at))
		})
	}
}

// clearDue clears the alerts of rules over events for which it is time, and
// notes when it is time for the next.
func (e *engine) clearDue(at time.Time) {
	next := at.Add(maxClear)
	for _, c := range e.rules {
		if c.Events == nil {
			continue
		}
		for _, w := range e.watched[c.Name] {
			if !w.state.raised() {
				continue
			}
			e.apply(w, e.ended(c, w, at), at)
			if until := w.last.Add(c.clearAfter); w.state.raised() && until.Before(next) {
				next = until
			}
		}
	}
	e.due = next
}

// take returns what has to be saved and forgets it.
func (e *engine) take() []Change {
	list := e.changes
	for _, w := range slices.SortedFunc(maps.Keys(e.dirty), func(a, b *watched) int {
		return cmp.Or(cmp.Compare(a.rule, b.rule), cmp.Compare(a.key, b.key))
	}) {
		list = append(list, w.change(Repeats))
	}
	e.changes, e.dirty = nil, map[*watched]bool{}
	return list
}
