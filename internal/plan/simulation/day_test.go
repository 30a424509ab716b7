package simulation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/plan/simulation"
)

const hour = document.Duration(time.Hour)

// near fails unless got is want, give or take a share of it.
func near(t *testing.T, what string, got, want, share float64) {
	t.Helper()
	if math.Abs(got-want) > share*math.Abs(want) {
		t.Errorf("%s: %g, want %g within %g %%", what, got, want, share*100)
	}
}

func TestAnOrdinaryDayOfAHundredClients(t *testing.T) {
	r := run(t, model(t, one(100, "8h")), alone(model(t, one(100, "8h")), 0), simulation.Options{})
	x := r.Instances[0]
	// Each is on for 8 busy hours and half an hour more, and polls once a minute,
	// the first time when it is switched on: 100 x 8.5 x 60 = 51,000.
	near(t, "polls", float64(x.Polls), 51_000, 0.005)
	// 100 x 20 events a day; four times the standard error of 2,000 is 179.
	near(t, "events", float64(x.Created), 2000, 0.09)
	if x.Stored != x.Created || x.Journalled != 0 || x.Lost != 0 || x.Failed != 0 {
		t.Errorf("of %d events %d were stored, %d are left, %d were lost, and %d polls failed; want all stored", x.Created, x.Stored, x.Journalled, x.Lost, x.Failed)
	}
	if x.Most.Online != 100 {
		t.Errorf("%v clients were on-line at most, want all 100", x.Most.Online)
	}
	// At three in the morning (point 36 of 5 minutes each) nobody is on, at noon
	// (point 144) everybody is.
	if r.Instances[0].Points[35].Online != 0 || x.Points[143].Online != 100 {
		t.Errorf("on-line at 3:00 are %v and at 12:00 %v, want 0 and 100", x.Points[35].Online, x.Points[143].Online)
	}
	// Of 8 hours with 20 events each client has 20 / 8 x 1.5 = 3.75 in the hour of
	// errors from 10:00 on, and 16.25 / 7 in each other hour. 100 clients: 375
	// between 10:00 and 11:00, give or take four standard errors of 19.4.
	spell := 0.0
	for _, p := range x.Points {
		if p.At > 10*3600 && p.At <= 11*3600 {
			spell += p.Events * x.Step
		}
	}
	near(t, "events in the hour of errors", spell, 375, 4*19.4/375)
	// An empty queue: a poll takes 1 / 1,290 s = 0.775 ms, and one that brings an
	// event 0.027 ms more.
	near(t, "middle answer", x.Answer.Middle, 0.000775, 0.07)
	near(t, "p99 of answers", x.Answer.Most, 0.000802, 0.07)
}

func TestAnOutageOfAnHour(t *testing.T) {
	m := model(t, one(1000, "none"))
	r := run(t, m, alone(m, 0), simulation.Options{Outages: []simulation.Outage{{Start: 12 * hour, Length: hour}}})
	x, o := r.Instances[0], r.Instances[0].Outages[0]
	// Outside of the hour of errors a client has 16.25 / 7 = 2.321 events an hour:
	// 1,000 clients come to 2,321 in the outage, give or take 4 x 48.2.
	near(t, "backlog", float64(o.Backlog), 2321, 4*48.2/2321)
	// Failed polls of a client: at once, after 5, 10, 20, 40, 80, 160 and then 300 s,
	// each with an eighth more on average. The first is on average 30 s after the
	// start, so that they are at 30, 35.6, 46.9, 69.4, 114, 204, 384, 722, 1059, ...
	// 3422 s: 7 + 10 and at times one more.
	near(t, "failed polls", float64(x.Failed), 1000*17, 0.06)
	// The longest pause is 300 s and a quarter: nobody is back later, and of 1,000
	// clients somebody is back not much earlier.
	if o.LastBack > 375 || o.LastBack < 350 {
		t.Errorf("the last client is back after %v s, want a little less than 375", o.LastBack)
	}
	// Each brings what it has, some events, with its first poll.
	if o.Drained != o.LastBack {
		t.Errorf("the backlog is stored after %v s, want %v: with the last client's first poll", o.Drained, o.LastBack)
	}
	// None is three poll intervals since the last answer: the last answers were up
	// to 66 s before the outage, so the first people stop after 114 s, and
	// everybody does.
	if len(o.Stopped) != 1 || o.Stopped[0].Users != 1000 {
		t.Fatalf("stopped were %+v, want all 1,000 people of one workspace", o.Stopped)
	}
	if s := o.Stopped[0]; s.First < 114 || s.First > 120 {
		t.Errorf("the first people stopped after %v s, want 114 or a little more", s.First)
	}
	// Together they stand still from 180 - 30 s on average after the start until they
	// are back, which is half of 337 s on average after the end (between 300 and 375
	// s after the last try): 3,600 - 150 + 169 = 3,619 s each.
	near(t, "hours lost", o.Stopped[0].Hours, 1000*3619/3600.0, 0.02)
	if x.Created != x.Stored+x.Journalled+x.Lost {
		t.Errorf("%d events were made, but %d stored, %d kept and %d lost", x.Created, x.Stored, x.Journalled, x.Lost)
	}
}

func TestOfflineLimitsAreForTheTimeSinceTheLastAnswer(t *testing.T) {
	for _, c := range []struct {
		offline string
		length  document.Duration
		stopped int
	}{
		{"none", 1 * hour / 60, 0},    // 1 min and at most 66 s before: less than 3 min
		{"none", 5 * hour / 60, 200},  // all
		{"2h", 1 * hour, 0},           // 1 h 7 min at most
		{"2h", 2 * hour, 200},         // all
		{"3d", 7 * hour, 0},           //
		{"unrestricted", 7 * hour, 0}, // ever
	} {
		m := model(t, one(200, c.offline))
		r := run(t, m, alone(m, 0), simulation.Options{Outages: []simulation.Outage{{Start: 9 * hour, Length: c.length}}})
		got := 0
		for _, s := range r.Instances[0].Outages[0].Stopped {
			got += s.Users
		}
		if got != c.stopped {
			t.Errorf("limit %s, outage of %s: %d people were stopped, want %d", c.offline, c.length, got, c.stopped)
		}
	}
}

func TestTheNightCountsForOfflineLimits(t *testing.T) {
	// The server is away from 6:00 to 10:00. Computers are switched on at 8:00, and
	// had their last answer at about 16:30: 15 h 30 min before, more than
	// eight hours and less than three days.
	for offline, want := range map[string]int{"8h": 200, "3d": 0} {
		m := model(t, one(200, offline))
		r := run(t, m, alone(m, 0), simulation.Options{Outages: []simulation.Outage{{Start: 6 * hour, Length: 4 * hour}}})
		got := 0
		for _, s := range r.Instances[0].Outages[0].Stopped {
			got += s.Users
			// From being switched on at 8:00 on average until the server is back
			// at 10:00, and half of the last pause, 160 to 300 s and an eighth.
			near(t, "hours lost", s.Hours, 200*(2+0.04), 0.02)
			near(t, "first", s.First, 1.5*3600, 0.06)
		}
		if got != want {
			t.Errorf("limit %s: %d people could not begin, want %d", offline, got, want)
		}
	}
}

func TestOnlyThoseWithTheWorkspaceAreStopped(t *testing.T) {
	m := model(t, `
sites:
- name: Berlin
  people: [{users: 600, department: Sales}, {users: 200, active: 100, department: Lab}]
images:
- {name: windows, packed: 4GiB}
workspaces:
- {name: sales, image: windows, offline: none, who: {departments: [Sales]}, share: 50%}
- {name: lab, image: windows, offline: none, who: {departments: [Lab]}}
- {name: all, image: windows, offline: 3d}
`)
	r := run(t, m, alone(m, 0), simulation.Options{Outages: []simulation.Outage{{Start: 11 * hour, Length: hour}}})
	// Half of 600, and the 100 of the laboratory who are on.
	got := map[string]int{}
	for _, s := range r.Instances[0].Outages[0].Stopped {
		got[s.Workspace] = s.Users
	}
	if len(got) != 2 || got["sales"] != 300 || got["lab"] != 100 {
		t.Errorf("stopped were %v, want 300 of sales and 100 of lab", got)
	}
}

func TestAFullJournalLosesWhatDoesNotFit(t *testing.T) {
	// Away from 9:00 for three days, in which a client has three times 10,000
	// events: as many on the last morning as before the outage on the first. The
	// journal of a workspace that may not be used off-line holds 8 MiB / 500 = 16,777.
	m := model(t, one(20, "none")+"events: {perDay: 10000, hours: 8}\n")
	r := run(t, m, alone(m, 0), simulation.Options{Length: 96 * hour, Outages: []simulation.Outage{{Start: 9 * hour, Length: 72 * hour}}})
	x := r.Instances[0]
	near(t, "lost", float64(x.Lost), 20*(30_000-16_777), 0.01)
	if x.Created != x.Stored+x.Journalled+x.Lost {
		t.Errorf("%d events were made, but %d stored, %d kept and %d lost", x.Created, x.Stored, x.Journalled, x.Lost)
	}
	// A client brings 500 a second until it has brought 16,777: 34 polls, so 33 s
	// after it is back.
	if o := x.Outages[0]; o.Drained < o.LastBack+30 || o.Drained > 375+45 {
		t.Errorf("drained after %v s, the last client is back after %v s; want half a minute more", o.Drained, o.LastBack)
	}
	// Each of the 20 people is counted once, though they came in vain each day.
	if s := x.Outages[0].Stopped; len(s) != 1 || s[0].Users != 20 {
		t.Errorf("stopped were %+v, want 20 people", s)
	}
}

func TestTheFormulasHold(t *testing.T) {
	specs := map[string]string{
		"small":      one(100, "none"),
		"5,000":      one(5000, "8h"),
		"short day":  one(800, "1d") + "events: {perDay: 15, hours: 4, bursts: 100%}\n",
		"day long":   one(800, "1d") + "events: {perDay: 50, hours: 24, bursts: 0%}\n",
		"slow polls": one(2000, "1d") + "service: {poll: 10m}\n",
		"many":       one(2000, "1d") + "events: {perDay: 2000}\ncapacity: {clients: 2000, cores: 4, hardware: four cores}\n",
	}
	for name, spec := range specs {
		seeds := uint64(3)
		if name == "5,000" || name == "many" {
			seeds = 1 // they have polls and events enough, and take most of the time
		}
		for seed := range seeds {
			t.Run(fmt.Sprint(name, "/", seed), func(t *testing.T) {
				m := model(t, spec)
				for _, o := range []simulation.Options{
					{Seed: seed},
					{Seed: seed, Outages: []simulation.Outage{{Start: 10*hour + hour/2, Length: 2 * hour}}},
					{Seed: seed, MaxClients: 500},
				} {
					r := run(t, m, alone(m, 0), o)
					if len(r.Checks) < 3 {
						t.Errorf("there are only %d checks", len(r.Checks))
					}
					failedChecks(t, r)
				}
			})
		}
	}
}

// failedChecks tells what formulas and simulation disagree about.
func failedChecks(t *testing.T, r *simulation.Result) {
	t.Helper()
	for _, c := range r.Checks {
		if !c.Within {
			t.Errorf("%s (%s): %s = %s, simulated %g; off by %.2f %%, allowed are %.2f %%", c.Title, c.About, c.Numbers, c.Text(), c.Simulated, c.Deviation*100, c.Tolerance*100)
		}
	}
}

func TestTheSameSeedGivesTheSameResult(t *testing.T) {
	m := model(t, one(700, "none"))
	o := simulation.Options{Seed: 7, Outages: []simulation.Outage{{Start: 9 * hour, Length: hour}}, Rollout: &simulation.Rollout{First: true}}
	text := func(o simulation.Options) string {
		raw, err := json.Marshal(run(t, m, alone(m, 0), o))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	first := text(o)
	if text(o) != first {
		t.Error("two simulations with one seed differ")
	}
	if o.Seed = 8; text(o) == first {
		t.Error("another seed changes nothing")
	}
}

func TestALongerOutageNeverLeavesLessBacklog(t *testing.T) {
	for seed := range uint64(3) {
		m := model(t, one(300, "8h"))
		backlog, away := int64(-1), 0.0
		for _, minutes := range []document.Duration{1, 10, 30, 60, 120, 240} {
			r := run(t, m, alone(m, 0), simulation.Options{Seed: seed, Outages: []simulation.Outage{{Start: 9 * hour, Length: minutes * hour / 60}}})
			o := r.Instances[0].Outages[0]
			if o.Backlog < backlog {
				t.Errorf("seed %d: an outage of %d minutes leaves %d events, a shorter one left %d", seed, minutes, o.Backlog, backlog)
			}
			if minutes <= 10 && o.LastBack < away {
				t.Errorf("seed %d: after %d minutes everybody is back sooner than after fewer", seed, minutes)
			}
			backlog, away = o.Backlog, o.LastBack
		}
	}
}

func TestNothingIsLostSightOf(t *testing.T) {
	// At the end of each part of a day, with an outage that goes on or not: what
	// was made was stored, is kept, or was lost.
	m := model(t, one(150, "8h")+"events: {perDay: 500}\n")
	for _, from := range []document.Duration{0, 7 * hour, 12 * hour} {
		for _, length := range []document.Duration{hour / 2, 3 * hour, 30 * hour} {
			r := run(t, m, alone(m, 0), simulation.Options{From: from, Length: length, Outages: []simulation.Outage{{Start: from + length/2, Length: length}}})
			x := r.Instances[0]
			if x.Created != x.Stored+x.Journalled+x.Lost {
				t.Errorf("from %s for %s: %d events were made, but %d stored, %d kept and %d lost", from, length, x.Created, x.Stored, x.Journalled, x.Lost)
			}
			if o := x.Outages[0]; o.LastBack != -1 || o.Drained != -1 {
				t.Errorf("from %s for %s: somebody is back although the outage goes on", from, length)
			}
		}
	}
}

func TestASampleAgreesWithTheWhole(t *testing.T) {
	m := model(t, one(20_000, "none"))
	o := simulation.Options{From: 9 * hour, Length: 3 * hour, Outages: []simulation.Outage{{Start: 11 * hour, Length: hour / 2}}, MaxClients: 20_000}
	whole := run(t, m, alone(m, 0), o).Instances[0]
	o.MaxClients = 1000
	sample := run(t, m, alone(m, 0), o)
	if sample.Sample.Played != 1000 || sample.Sample.Clients != 20_000 {
		t.Errorf("the sample is %+v, want 1,000 of 20,000", sample.Sample)
	}
	x := sample.Instances[0]
	near(t, "polls", float64(x.Polls), float64(whole.Polls), 0.01)
	// Some 5,000 events were played: four standard errors are 6 %.
	near(t, "stored", float64(x.Stored), float64(whole.Stored), 0.06)
	near(t, "backlog", float64(x.Outages[0].Backlog), float64(whole.Outages[0].Backlog), 0.12)
	near(t, "load", x.Most.Load, whole.Most.Load, 0.05)
	near(t, "p99", x.Answer.Most, whole.Answer.Most, 0.15)
	if a, b := x.Outages[0].Stopped[0].Users, whole.Outages[0].Stopped[0].Users; a != b {
		t.Errorf("%d people are stopped in the sample, %d in the whole", a, b)
	}
}

func TestWaitsOfASampleAreThoseOfTheWhole(t *testing.T) {
	// 1,667 polls a second are two thirds of what two cores do: some wait, and a
	// sample of a fiftieth is played against a server that is fifty times slower.
	m := model(t, one(100_000, "8h")+"capacity: {clients: 100000, hardware: two cores}\n")
	o := simulation.Options{From: 12 * hour, Length: hour / 6, MaxClients: 100_000}
	whole := run(t, m, alone(m, 0), o).Instances[0].Answer
	o.MaxClients = 2000
	sample := run(t, m, alone(m, 0), o).Instances[0].Answer
	near(t, "p50", sample.Middle, whole.Middle, 0.15)
	near(t, "p99", sample.Most, whole.Most, 0.3)
	if whole.Most < 0.001 || whole.Most > 0.02 {
		t.Errorf("p99 is %v s, want more than the poll itself and less than the 20 ms that Dormer is built to", whole.Most)
	}
}

func TestAnOverloadedServerShows(t *testing.T) {
	// 4,000 polls a second are more than the 1,290 of one core. Clients poll 5 s
	// after they had an answer, so the wait grows until as many come as are
	// answered: 20,000 / (5 + wait) = 1,290, which makes 10.5 s.
	m := model(t, one(20_000, "8h")+"service: {poll: 5s}\ncapacity: {clients: 20000, cores: 1, hardware: one core}\n")
	r := run(t, m, alone(m, 0), simulation.Options{From: 9 * hour, Length: hour / 2, MaxClients: 2000})
	x := r.Instances[0]
	near(t, "wait", x.Answer.Middle, 10.5, 0.1)
	near(t, "load", x.Most.Load, 1, 0.001)
	for _, c := range r.Checks {
		if c.Name == "simulation.polls" && c.Within {
			t.Error("the formula of polls a second holds although the server cannot answer so many")
		}
	}
}

func TestLatencyIsPartOfAnAnswer(t *testing.T) {
	m := model(t, `
sites:
- {name: Berlin}
- {name: Lima, people: [{users: 100}]}
links:
- {from: Berlin, to: Lima, bandwidth: 10Mbit/s, latency: 200ms}
images:
- {name: windows, packed: 4GiB}
workspaces:
- {name: desktop, image: windows}
`)
	// Three round trips of 200 ms.
	near(t, "middle answer", run(t, m, alone(m, 0), simulation.Options{}).Instances[0].Answer.Middle, 0.6, 0.07)
}

func TestOptionsThatAreNotPossible(t *testing.T) {
	m := model(t, one(10, "none"))
	for _, c := range []struct {
		o    simulation.Options
		want string
	}{
		{simulation.Options{From: 25 * hour}, "from"},
		{simulation.Options{Length: 1000 * hour}, "length"},
		{simulation.Options{MaxClients: 3}, "max_clients"},
		{simulation.Options{Outages: []simulation.Outage{{Instance: "Mainn", Start: hour, Length: hour}}}, "outages[0].instance"},
		{simulation.Options{Outages: []simulation.Outage{{Start: 30 * hour, Length: hour}}}, "outages[0].start"},
		{simulation.Options{Outages: []simulation.Outage{{Start: hour}}}, "outages[0].length"},
		{simulation.Options{Outages: []simulation.Outage{{Start: hour, Length: hour}, {Instance: "main", Start: 2 * hour, Length: hour}}}, "outages[1]"},
		{simulation.Options{Rollout: &simulation.Rollout{Image: "lisa"}}, "rollout.image"},
		{simulation.Options{Outages: make([]simulation.Outage, 21)}, "outages"},
	} {
		_, err := simulation.Run(context.Background(), m, alone(m, 0), c.o)
		bad, ok := errors.AsType[*dormer.InvalidError](err)
		if !ok || bad.Fields[0].Path != c.want {
			t.Errorf("%+v: %v, want an error about %s", c.o, err, c.want)
		}
	}
}

func TestACancelledSimulationEnds(t *testing.T) {
	m := model(t, one(5000, "none"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := simulation.Run(ctx, m, alone(m, 0), simulation.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
}

func TestNobodyIsNoTrouble(t *testing.T) {
	m := model(t, strings.Replace(one(10, "none"), "users: 10", "users: 10, active: 0", 1))
	r := run(t, m, alone(m, 0), simulation.Options{Rollout: &simulation.Rollout{}, Outages: []simulation.Outage{{Start: hour, Length: hour}}})
	if r.Instances[0].Polls != 0 || len(r.Checks) != 0 || len(r.Rollout.Sites) != 0 {
		t.Errorf("an instance without clients: %+v", r)
	}
	if raw, err := json.Marshal(r); err != nil || strings.Contains(string(raw), "null") {
		t.Errorf("its result is %s (%v), want lists without null", raw, err)
	}
}
