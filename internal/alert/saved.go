package alert

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/dormer-project/dormer"
)

// savedVersion is the version of what encode writes.
const savedVersion = 1

// savedState is what is kept between two passes, beside the alerts themselves.
// Times are microseconds since 1970.
type savedState struct {
	Version int                  `json:"version"`
	At      int64                `json:"at"`
	Rules   map[string]savedRule `json:"rules"`
}

type savedRule struct {
	// Print is of what decides: windows of a rule that was changed are worth
	// nothing.
	Print   string                  `json:"print"`
	Watched map[string]savedWatched `json:"watched"`
}

type savedWatched struct {
	Shown    string           `json:"shown,omitempty"`
	Severity dormer.Severity  `json:"severity,omitempty"`
	Text     string           `json:"text,omitempty"`
	State    state            `json:"state,omitempty"`
	Since    int64            `json:"since,omitempty"`
	Raised   int64            `json:"raised,omitempty"`
	Last     int64            `json:"last,omitempty"`
	Count    int64            `json:"count,omitempty"`
	Parts    [][2]int64       `json:"parts,omitempty"`
	Clients  map[string]int64 `json:"clients,omitempty"`
}

func microsOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func timeOf(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// encode returns what decode makes the same engine from. What is idle and
// counts nothing is left out.
func (e *engine) encode() ([]byte, error) {
	s := savedState{Version: savedVersion, At: microsOf(e.at), Rules: map[string]savedRule{}}
	for _, c := range e.rules {
		r := savedRule{Print: c.print, Watched: map[string]savedWatched{}}
		for key, w := range e.watched[c.Name] {
			if w.state == idle && (c.Events == nil || w.window.slide(c, e.at)) {
				continue
			}
			v := savedWatched{
				Shown: w.shown, Severity: w.severity, Text: w.text, State: w.state, Since: microsOf(w.since), Raised: microsOf(w.raised),
				Last: microsOf(w.last), Count: w.count, Clients: w.window.clients,
			}
			for _, p := range w.window.parts {
				v.Parts = append(v.Parts, [2]int64{p.slot, p.n})
			}
			r.Watched[key] = v
		}
		if len(r.Watched) > 0 {
			s.Rules[c.Name] = r
		}
	}
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode what alerts count: %w", err)
	}
	return b, nil
}

// decode fills an engine that has its rules. opened are the open alerts of the
// database: those that b does not know of clear when they would if their
// condition had just ended, or at once if no rule is theirs; what b knows as open
// and the database does not, begins anew. An empty b knows nothing.
func (e *engine) decode(b []byte, opened []Alert, now time.Time) error {
	s := savedState{Version: savedVersion}
	if len(b) > 0 {
		if err := json.Unmarshal(b, &s); err != nil || s.Version != savedVersion {
			return fmt.Errorf("what alerts count: %w", dormer.ErrCorrupt)
		}
	}
	e.at = timeOf(s.At)
	inDatabase := map[string]map[string]bool{}
	for _, a := range opened {
		if inDatabase[a.Rule] == nil {
			inDatabase[a.Rule] = map[string]bool{}
		}
		inDatabase[a.Rule][a.Key] = true
	}
	rules := map[string]*compiled{}
	for _, c := range e.rules {
		rules[c.Name] = c
	}
	for rule, r := range s.Rules {
		c := rules[rule]
		if c == nil {
			continue
		}
		for key, v := range r.Watched {
			w := e.watch(c, key, v.Shown)
			w.severity, w.text, w.state, w.since, w.raised, w.last, w.count = v.Severity, v.Text, v.State, timeOf(v.Since), timeOf(v.Raised), timeOf(v.Last), v.Count
			if w.state < idle || w.state >= states || w.state.raised() && !inDatabase[rule][key] {
				w.state = idle
			}
			if r.Print != c.print {
				continue
			}
			w.window.clients = v.Clients
			for _, p := range v.Parts {
				w.window.parts = append(w.window.parts, part{slot: p[0], n: p[1]})
				w.window.total += p[1]
			}
		}
	}
	for _, a := range opened {
		w := e.watched[a.Rule][a.Key]
		if w != nil && w.state.raised() {
			continue
		}
		c := rules[a.Rule]
		if c != nil {
			w = e.watch(c, a.Key, a.Key)
		} else {
			w = &watched{rule: a.Rule, key: a.Key}
		}
		w.severity, w.text, w.state, w.raised, w.last, w.count = a.Severity, a.Text, ending, a.Raised, a.Last, a.Count
		if c == nil {
			e.apply(w, gone, now)
		}
	}
	return nil
}
