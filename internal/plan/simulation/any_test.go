package simulation_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/placement"
	"github.com/dormer-project/dormer/internal/plan/simulation"
)

// TestAnyDayAddsUp plays all sorts of organizations and days: what was made is
// accounted for, and no number is out of its bounds.
func TestAnyDayAddsUp(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 2))
		m, spec := anyone(t, seed)
		m.Service.Poll = time.Duration(1+r.IntN(900)) * time.Second
		m.Service.DeliveryHours = 1 + r.IntN(24)
		m.Events.PerDay, m.Events.Hours, m.Events.Bursts = 1+r.IntN(3000), 1+r.IntN(24), 3*r.Float64()
		m.Capacity.Cores = 1 + r.IntN(8)
		m.Workspaces = append(m.Workspaces, offers(r, m)...)
		p := halves(m)
		o := simulation.Options{
			Seed: seed, From: document.Duration(r.IntN(24)) * hour, Length: document.Duration(1+r.IntN(50*60)) * hour / 60,
			MaxClients: 50 + r.IntN(600), Rollout: &simulation.Rollout{First: r.IntN(2) == 0, Image: [...]string{"", "windows", "Windows"}[r.IntN(3)]},
		}
		at := o.From
		for r.IntN(3) > 0 && at < o.From+o.Length {
			length := document.Duration(1+r.IntN(300)) * hour / 60
			o.Outages = append(o.Outages, simulation.Outage{Instance: [...]string{"", "first", "Second"}[r.IntN(3)], Start: at, Length: length})
			at += length + document.Duration(1+r.IntN(200))*hour/60
		}
		if r.IntN(2) == 0 {
			o.Delivery = delivers(t, m, p)
		}
		got := run(t, m, p, o)
		said := fmt.Sprintf("seed %d, options %+v, poll %s, events %+v\n%s", seed, o, m.Service.Poll, m.Events, spec)
		if raw, err := json.Marshal(got); err != nil {
			t.Fatalf("%v: %s", err, said)
		} else if len(raw) == 0 {
			t.Fatalf("no result: %s", said)
		}
		for _, x := range got.Instances {
			adds(t, x, said)
		}
		for _, a := range got.Rollout.Sites {
			if a.Half <= 0 || a.Half > a.Most || a.Most > a.All || a.All > got.Rollout.All {
				t.Errorf("%+v is not in order: %s", a, said)
			}
		}
		for i, a := range got.Rollout.Points {
			if i > 0 && (a.At <= got.Rollout.Points[i-1].At || a.Share < got.Rollout.Points[i-1].Share || a.Share > 1) {
				t.Errorf("points %+v and %+v of a roll-out: %s", got.Rollout.Points[i-1], a, said)
			}
		}
		for _, c := range got.Checks {
			if c.Name == "simulation.rollout" && !c.Within {
				t.Errorf("%+v: %s", c, said)
			}
		}
	}
}

// adds holds an instance against what must be so.
func adds(t *testing.T, x simulation.Instance, said string) {
	t.Helper()
	all := x.Stored + x.Journalled + x.Lost
	// Each of the four is rounded where a client stands for several.
	if d := x.Created - all; d < -2 || d > 2 || x.Played == x.Clients && d != 0 {
		t.Errorf("%s: %d events were made, and %d are accounted for: %s", x.Name, x.Created, all, said)
	}
	if x.Played > x.Clients || len(x.Points) == 0 || len(x.Points) > 288 {
		t.Errorf("%s: %d of %d clients, %d points: %s", x.Name, x.Played, x.Clients, len(x.Points), said)
	}
	polls := 0.0
	for i, p := range x.Points {
		if p.Load < 0 || p.Load > 1 || p.Online < 0 || p.Online > float64(x.Clients) || p.Held < 0 || p.Polls < 0 || p.Events < 0 {
			t.Errorf("%s: %+v: %s", x.Name, p, said)
		}
		span := p.At
		if i > 0 {
			span -= x.Points[i-1].At
		}
		polls += p.Polls * span
	}
	if math.Abs(polls-float64(x.Polls)) > 0.001*float64(x.Polls)+1 {
		t.Errorf("%s: %d polls were answered, and the series have %v: %s", x.Name, x.Polls, polls, said)
	}
	for _, o := range x.Outages {
		for _, s := range o.Stopped {
			if s.Users > x.Clients || s.First < 0 || s.First > o.Length+375 || s.Hours <= 0 {
				t.Errorf("%s: %+v of an outage of %v s: %s", x.Name, s, o.Length, said)
			}
		}
	}
}

// offers are workspaces with all sorts of limits for some of the people.
func offers(r *rand.Rand, m *organization.Model) []organization.Offer {
	var out []organization.Offer
	for i := range r.IntN(4) {
		o := organization.Offer{Name: fmt.Sprint("more", i), Image: r.IntN(len(m.Images)), Offline: organization.OfflineNone}
		if r.IntN(2) == 0 {
			o.Offline = organization.OfflineFor(time.Duration(10+r.IntN(3000)) * time.Minute)
		}
		for g := range m.Groups {
			if r.IntN(2) == 0 {
				n := 1 + r.IntN(m.Groups[g].Active)
				o.Gets = append(o.Gets, organization.Part{Group: g, Users: n, Active: n})
			}
		}
		out = append(out, o)
	}
	return out
}

// halves places every other group in a second instance.
func halves(m *organization.Model) *placement.Placement {
	p := &placement.Placement{Instances: []placement.Instance{
		{Name: "First", Network: organization.Connected}, {Name: "Second", Site: 1, Network: organization.Connected},
	}}
	for i, g := range m.Groups {
		x := &p.Instances[i%2]
		x.Parts = append(x.Parts, placement.Part{Group: i, Site: m.Sites[g.Site].Name, Users: g.Users, Active: g.Active})
		x.Users, x.Active = x.Users+g.Users, x.Active+g.Active
	}
	return p
}
