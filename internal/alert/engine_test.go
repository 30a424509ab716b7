package alert

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

var start = time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return start.Add(d) }

// TestTable holds every state against every input: an alert is raised from a
// state that is not raised and nowhere else, cleared from one that is, and a
// rule that is gone leaves nothing open.
func TestTable(t *testing.T) {
	want := [states][inputs]step{
		//        holds               holdsDue        over                overDue             gone
		idle:    {{pending, nothing}, {open, raise}, {idle, nothing}, {idle, nothing}, {idle, nothing}},
		pending: {{pending, nothing}, {open, raise}, {idle, nothing}, {idle, nothing}, {idle, nothing}},
		open:    {{open, repeat}, {open, repeat}, {ending, nothing}, {idle, clearIt}, {idle, clearIt}},
		ending:  {{open, repeat}, {open, repeat}, {ending, nothing}, {idle, clearIt}, {idle, clearIt}},
	}
	for s := range states {
		for in := range inputs {
			got := table[s][in]
			if got != want[s][in] {
				t.Errorf("state %d, input %d: %+v, expected %+v", s, in, got, want[s][in])
			}
			if rises := !s.raised() && got.to.raised(); rises != (got.action == raise) {
				t.Errorf("state %d, input %d: %+v", s, in, got)
			}
			if ends := s.raised() && !got.to.raised(); ends != (got.action == clearIt) {
				t.Errorf("state %d, input %d: %+v", s, in, got)
			}
		}
	}
}

func compile(t testing.TB, rules ...Rule) []*compiled {
	t.Helper()
	var list []*compiled
	for _, r := range rules {
		c, err := r.compile()
		if err != nil {
			t.Fatalf("rule %s: %v", r.Name, err)
		}
		list = append(list, c)
	}
	return list
}

func engineOf(t testing.TB, rules ...Rule) *engine {
	t.Helper()
	e := newEngine()
	e.setRules(compile(t, rules...), start)
	return e
}

func burst(threshold int) Rule {
	return Rule{
		Name: "burst", Enabled: true, Severity: dormer.Warning, Text: "{count} errors of {subject}", ClearAfter: "30m",
		Events: &EventCondition{Severity: dormer.Error, Threshold: threshold, Window: "10m", By: ByClient},
	}
}

func failure(client string, d time.Duration) event.Row {
	return event.Row{Client: dormer.ClientID(client), Event: dormer.Event{
		Code: int(event.WorkspaceFailed), Severity: dormer.Error, Category: event.CategoryWorkspace, Host: "PC-" + client, Image: "office/1", Received: at(d),
	}}
}

// said are the changes in short.
func said(list []Change) []string {
	var lines []string
	for _, c := range list {
		kind := map[ChangeKind]string{Raises: "raise", Repeats: "repeat", Clears: "clear"}[c.Kind]
		line := fmt.Sprintf("%s %s %q %dx %s-%s", kind, c.Key, c.Text, c.Count, c.Raised.Sub(start), c.Last.Sub(start))
		if c.Kind == Clears {
			line += fmt.Sprint(" at ", c.Cleared.Sub(start))
		}
		lines = append(lines, line)
	}
	return lines
}

func expect(t *testing.T, e *engine, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, said(e.take())); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestBurst(t *testing.T) {
	e := engineOf(t, burst(3))
	e.event(failure("a", 0))
	e.event(failure("b", time.Minute))
	e.event(failure("a", 9*time.Minute))
	expect(t, e)
	// The first of a has left the window.
	e.event(failure("a", 11*time.Minute))
	expect(t, e)
	e.event(failure("a", 12*time.Minute))
	expect(t, e, `raise a "3 errors of PC-a" 3x 12m0s-12m0s`)
	for d := 13 * time.Minute; d < 100*time.Minute; d += time.Minute {
		e.event(failure("a", d))
	}
	expect(t, e, `repeat a "3 errors of PC-a" 90x 12m0s-1h39m0s`)
	e.advance(at(100 * time.Minute))
	e.advance(at(99*time.Minute + 29*time.Minute + 59*time.Second))
	expect(t, e)
	e.advance(at(2*time.Hour + 9*time.Minute))
	expect(t, e, `clear a "3 errors of PC-a" 90x 12m0s-1h39m0s at 2h9m0s`)
	// Anew, as another alert.
	for d := range 3 {
		e.event(failure("a", 3*time.Hour+time.Duration(d)*time.Second))
	}
	expect(t, e, `raise a "3 errors of PC-a" 3x 3h0m2s-3h0m2s`)
	// What stands for many counts as many.
	many := failure("c", 3*time.Hour+time.Minute)
	many.Count = 40
	e.event(many)
	expect(t, e, `raise c "40 errors of PC-c" 40x 3h1m0s-3h1m0s`)
}

// TestCatchUp holds that an alert whose time is over by the receipt of events is
// cleared then, although nobody looked at a clock meanwhile.
func TestCatchUp(t *testing.T) {
	e := engineOf(t, burst(1))
	e.event(failure("a", 0))
	e.event(failure("b", 50*time.Minute))
	e.event(failure("a", 55*time.Minute))
	expect(t, e,
		`raise a "1 errors of PC-a" 1x 0s-0s`, `clear a "1 errors of PC-a" 1x 0s-0s at 50m0s`,
		`raise b "1 errors of PC-b" 1x 50m0s-50m0s`, `raise a "1 errors of PC-a" 1x 55m0s-55m0s`)
}

// TestClockSetBack: a clock that was a year ahead for a while, over a restart
// too, neither keeps alerts open nor holds others back or makes them up.
func TestClockSetBack(t *testing.T) {
	const year = 365 * 24 * time.Hour
	rules := []Rule{burst(3), disk("5m", "10m")}
	full := []Observation{{Kind: DiskUsed, Subject: "data", Value: 95}}
	e := engineOf(t, rules...)
	e.observe(nil, at(year))
	for range 3 {
		e.event(failure("a", year))
	}
	e.event(failure("b", year))
	changes := e.take()
	if len(changes) != 1 {
		t.Fatal(said(changes))
	}
	b, err := e.encode()
	if err != nil {
		t.Fatal(err)
	}
	e = engineOf(t, rules...)
	if err := e.decode(b, applied(nil, changes), at(0)); err != nil {
		t.Fatal(err)
	}
	e.observe(full, at(0))
	e.event(failure("b", time.Minute))
	expect(t, e)
	e.observe(full, at(6*time.Minute))
	expect(t, e, `raise data "data has 95 %" 1x 6m0s-6m0s`)
	e.event(failure("b", 20*time.Minute))
	e.event(failure("b", 40*time.Minute))
	expect(t, e,
		`clear a "3 errors of PC-a" 3x 8760h0m0s-0s at 40m0s`)
}

func TestGroups(t *testing.T) {
	row := failure("a", 0)
	row.User, row.Workspace, row.WorkspaceName = "anna", "w1", "Office"
	for _, test := range []struct {
		by         Grouping
		key, shown string
	}{
		{ByClient, "a", "PC-a"}, {ByWorkspace, "w1", "Office"}, {ByImage, "office/1", "office/1"}, {ByUser, "anna", "anna"}, {ByInstance, "*", "*"},
	} {
		r := burst(1)
		r.Events.By = test.by
		e := engineOf(t, r)
		e.event(row)
		changes := e.take()
		if len(changes) != 1 || changes[0].Key != test.key || changes[0].Text != "1 errors of "+test.shown {
			t.Errorf("by %s: %+v", test.by, changes)
		}
	}
	// What has no image is nobody's.
	r := burst(1)
	r.Events.By = ByImage
	e := engineOf(t, r)
	row.Image = ""
	e.event(row)
	expect(t, e)
}

// TestClients counts how many clients, and not how often.
func TestClients(t *testing.T) {
	r := burst(3)
	r.Text, r.Events.Counts, r.Events.By = "image {subject} on {count} clients", CountClients, ByImage
	e := engineOf(t, r)
	for range 50 {
		e.event(failure("a", 0))
		e.event(failure("b", time.Minute))
	}
	expect(t, e)
	e.event(failure("c", 10*time.Minute+30*time.Second)) // a is out of the window by now
	expect(t, e)
	e.event(failure("a", 10*time.Minute+40*time.Second))
	expect(t, e, `raise office/1 "image office/1 on 3 clients" 3x 10m40s-10m40s`)
}

func TestSelection(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*EventCondition)
		row    func(*event.Row)
		counts bool
	}{
		{"as it is", nil, nil, true},
		{"code", func(c *EventCondition) { c.Codes = []int{503} }, nil, true},
		{"other code", func(c *EventCondition) { c.Codes = []int{402} }, nil, false},
		{"less severe", nil, func(r *event.Row) { r.Severity = dormer.Warning }, false},
		{"any severity", func(c *EventCondition) { c.Severity = "" }, func(r *event.Row) { r.Severity = dormer.Information }, true},
		{"category", func(c *EventCondition) { c.Category = "workspace" }, nil, true},
		{"other category", func(c *EventCondition) { c.Category = "image" }, nil, false},
		{"an alert", func(c *EventCondition) { c.By = ByInstance }, func(r *event.Row) { r.Code = int(event.SeriousAlertRaised) }, false},
	} {
		r := burst(1)
		if test.change != nil {
			test.change(r.Events)
		}
		row := failure("a", 0)
		if test.row != nil {
			test.row(&row)
		}
		e := engineOf(t, r)
		e.event(row)
		if got := len(e.take()) == 1; got != test.counts {
			t.Errorf("%s: counts is %t", test.name, got)
		}
	}
}

func disk(holdFor, clearAfter string) Rule {
	return Rule{
		Name: "disk", Enabled: true, Severity: dormer.Error, Text: "{subject} has {value} %", ClearAfter: clearAfter,
		State: &StateCondition{Observed: DiskUsed, Comparison: Above, Value: 90, For: holdFor},
	}
}

func TestObservation(t *testing.T) {
	e := engineOf(t, disk("2m", "5m"))
	see := func(d time.Duration, percent float64) {
		e.observe([]Observation{{Kind: DiskUsed, Subject: "data", Value: percent}, {Kind: DatabaseSize, Subject: "data", Value: 1000}}, at(d))
	}
	see(0, 95)
	see(time.Minute, 95)
	see(90*time.Second, 90) // at the value itself it does not hold
	see(2*time.Minute, 95)
	expect(t, e)
	see(3*time.Minute, 95)
	see(4*time.Minute, 96.04)
	expect(t, e, `raise data "data has 96 %" 1x 4m0s-4m0s`)
	see(5*time.Minute, 97)
	expect(t, e, `repeat data "data has 97 %" 1x 4m0s-5m0s`)
	see(6*time.Minute, 10)
	see(9*time.Minute, 10)
	expect(t, e)
	see(9*time.Minute+30*time.Second, 98) // holds again: the same alert, the second time
	expect(t, e, `repeat data "data has 98 %" 2x 4m0s-9m30s`)
	see(14*time.Minute, 10)
	expect(t, e)
	e.observe(nil, at(14*time.Minute+30*time.Second)) // what is not named any more is over
	expect(t, e, `clear data "data has 98 %" 2x 4m0s-9m30s at 14m30s`)
	see(15*time.Minute, 10)
	expect(t, e)
}

// TestRulesChange changes rules under open alerts.
func TestRulesChange(t *testing.T) {
	e := engineOf(t, burst(2), disk("", "5m"))
	e.event(failure("a", 0))
	e.event(failure("a", time.Second))
	e.event(failure("b", 2*time.Second))
	e.observe([]Observation{{Kind: DiskUsed, Subject: "data", Value: 99}}, at(3*time.Second))
	expect(t, e, `raise a "2 errors of PC-a" 2x 1s-1s`, `raise data "data has 99 %" 1x 3s-3s`)
	off := disk("", "5m")
	off.Enabled = false
	stricter := burst(2)
	stricter.Events.Window = "20m"
	e.setRules(compile(t, stricter, off), at(10*time.Second))
	expect(t, e, `clear data "data has 99 %" 1x 3s-3s at 10s`)
	// b counts anew, a's is still open.
	e.event(failure("b", 20*time.Second))
	expect(t, e)
	e.event(failure("a", 21*time.Second))
	e.event(failure("b", 22*time.Second))
	expect(t, e, `raise b "2 errors of PC-b" 2x 22s-22s`, `repeat a "2 errors of PC-a" 3x 1s-21s`)
	e.setRules(nil, at(time.Minute))
	if got := len(e.take()); got != 2 {
		t.Errorf("%d alerts were cleared without their rule, expected 2", got)
	}
}

// TestTooMany holds that a rule that would watch too many keys watches the rest
// together, and that each is still raised once.
func TestTooMany(t *testing.T) {
	e := engineOf(t, burst(1), disk("", "5m"))
	for n := range maxWatched + 500 {
		e.event(failure(fmt.Sprint("c", n), time.Second))
	}
	var list []Observation
	for n := range maxOpen + 100 {
		list = append(list, Observation{Kind: DiskUsed, Subject: fmt.Sprint("d", n), Value: 99})
	}
	e.observe(list, at(2*time.Second))
	raised := map[string]int{}
	for _, c := range e.take() {
		if c.Kind == Raises {
			raised[c.Rule]++
		}
	}
	if diff := cmp.Diff(map[string]int{"burst": maxWatched + 1, "disk": maxOpen + 1}, raised); diff != "" {
		t.Errorf("raised (-want +got):\n%s", diff)
	}
}

// TestSavedAnywhere saves and loads after each of a run of events: what comes of
// them must be the same as without.
func TestSavedAnywhere(t *testing.T) {
	rules := []Rule{burst(3), disk("1m", "5m")}
	clients := burst(2)
	clients.Name, clients.Events.Counts, clients.Events.By = "clients", CountClients, ByInstance
	rules = append(rules, clients)
	run := func(each func(*engine, []Alert) *engine) []string {
		e := engineOf(t, rules...)
		var all []string
		var opened []Alert
		for n := range 200 {
			d := time.Duration(n*n) * time.Second
			e.event(failure(fmt.Sprint(n%3), d))
			e.observe([]Observation{{Kind: DiskUsed, Subject: "data", Value: float64(85 + n%10)}}, at(d+time.Second))
			changes := e.take()
			all = append(all, said(changes)...)
			opened = applied(opened, changes)
			e = each(e, opened)
		}
		return all
	}
	plain := run(func(e *engine, _ []Alert) *engine { return e })
	saved := run(func(e *engine, opened []Alert) *engine {
		b, err := e.encode()
		if err != nil {
			t.Fatal(err)
		}
		loaded := engineOf(t, rules...)
		if err := loaded.decode(b, opened, e.at); err != nil {
			t.Fatal(err)
		}
		return loaded
	})
	if diff := cmp.Diff(plain, saved); diff != "" {
		t.Errorf("with saving in between (-without +with):\n%s", diff)
	}
	if len(plain) < 10 {
		t.Errorf("only %d changes came of it", len(plain))
	}
}

// applied does to open alerts what a store does.
func applied(list []Alert, changes []Change) []Alert {
	for _, c := range changes {
		list = deleteAlert(list, c)
		if c.Kind != Clears {
			list = append(list, Alert{Rule: c.Rule, Key: c.Key, Severity: c.Severity, Text: c.Text, Raised: c.Raised, Last: c.Last, Count: c.Count})
		}
	}
	return list
}

func deleteAlert(list []Alert, c Change) []Alert {
	var rest []Alert
	for _, a := range list {
		if a.Rule != c.Rule || a.Key != c.Key {
			rest = append(rest, a)
		}
	}
	return rest
}

// TestDecodeForeign loads what does not fit to the open alerts, and what is no
// state at all.
func TestDecodeForeign(t *testing.T) {
	opened := []Alert{
		{Rule: "burst", Key: "a", Severity: dormer.Warning, Text: "t", Raised: at(0), Last: at(0), Count: 4},
		{Rule: "nobody's", Key: "x", Severity: dormer.Error, Text: "u", Raised: at(0), Last: at(time.Minute), Count: 1},
	}
	e := engineOf(t, burst(3))
	if err := e.decode(nil, opened, at(5*time.Minute)); err != nil {
		t.Fatal(err)
	}
	expect(t, e, `clear x "u" 1x 0s-1m0s at 5m0s`)
	e.advance(at(29 * time.Minute))
	expect(t, e)
	e.advance(at(30 * time.Minute))
	expect(t, e, `clear a "t" 4x 0s-0s at 30m0s`)

	// Open by what was saved, and not in the database: raised anew.
	before := engineOf(t, burst(1))
	before.event(failure("a", 0))
	b, err := before.encode()
	if err != nil {
		t.Fatal(err)
	}
	e = engineOf(t, burst(1))
	if err := e.decode(b, nil, at(time.Second)); err != nil {
		t.Fatal(err)
	}
	e.event(failure("a", time.Minute))
	expect(t, e, `raise a "2 errors of PC-a" 2x 1m0s-1m0s`)
	for _, bad := range []string{"{", `{"version":2}`, "null and more"} {
		if err := newEngine().decode([]byte(bad), nil, start); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// BenchmarkEvent looks at errors of 5,000 clients, with the rules that come with
// the program.
func BenchmarkEvent(b *testing.B) {
	e := newEngine()
	e.setRules(compile(b, defaults...), start)
	rows := make([]event.Row, 5000)
	for i := range rows {
		rows[i] = failure(fmt.Sprint("client", i), 0)
	}
	n := 0
	for b.Loop() {
		r := rows[n%len(rows)]
		r.Received = at(time.Duration(n) * 100 * time.Microsecond)
		e.event(r)
		if n++; n%1000 == 0 {
			e.take()
		}
	}
}
