package producttest

import (
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/dormer-project/dormer/internal/eventbench/load"
	"github.com/dormer-project/dormer/internal/plan"
	"github.com/dormer-project/dormer/internal/plan/observation"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// TestPlanFromLife: clients of a real server have events, and a plan counts with
// what the server has seen of them.
func TestPlanFromLife(t *testing.T) {
	t.Parallel()
	const clients, each = 25, 500
	ctx := t.Context()
	i := newInstance(t)
	i.push("office")
	i.push("office")
	i.user("anna")
	i.workspace("Office", office, grant("anna"))
	token := i.joinToken()
	var all []*load.Client
	for n := range clients {
		c, err := load.Enrol(ctx, token, n)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		if err := patiently(t, func() error { _, err := c.Poll(ctx, each); return err }); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	var seen *observation.Observation
	eventually(t, "all events are stored and all clients counted", func() bool {
		// Those that are on-line are counted now and then: they come again until then.
		var again sync.WaitGroup
		for _, c := range all {
			again.Go(func() { _, _ = c.Poll(ctx, 0) }) // the server may have no time for one of them
		}
		again.Wait()
		var err error
		if seen, err = i.Admin.Observed(ctx, 7); err != nil {
			t.Fatal(err)
		}
		return seen.Events.Received >= clients*each && seen.Peak == clients
	})
	if seen.Clients != clients || seen.Peak != clients || seen.Days != 1 || seen.Server != i.Config.PublicURLs[0] {
		t.Errorf("seen: %+v", seen)
	}
	// The server has a few events of its own.
	if seen.Events.PerDay < each || seen.Events.PerDay > each+20 || seen.Events.Stored < 90 || seen.Events.Stored > 350 || seen.Events.Sent < 150 || seen.Events.Sent > 600 {
		t.Errorf("events: %+v", seen.Events)
	}
	if len(seen.Images) != 1 || seen.Images[0].Versions != 2 || seen.Images[0].Update == 0 || len(seen.Workspaces) != 1 {
		t.Errorf("images %+v, workspaces %+v", seen.Images, seen.Workspaces)
	}
	text := `apiVersion: dormer/v1 # ours
kind: Organization
metadata: {name: Corp}
spec:
  sites:
    - name: Berlin
      people: [{users: 4000}]
  images: [{name: office, packed: 4GiB}]
  workspaces: [{name: Office, image: office}]
  events: {keep: 30d, bursts: 0%} # a month
`
	filled, err := observation.Fill([]byte(text), "", seen)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(filled.Text), "# a month") || !strings.Contains(string(filled.Text), "# ours") {
		t.Errorf("comments are lost:\n%s", filled.Text)
	}
	o, err := organization.Decode(filled.Text, "")
	if err != nil {
		t.Fatalf("%v:\n%s", err, filled.Text)
	}
	p, err := plan.Compute(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	// clients x events a day x bytes x days, without other factors
	want := 4000 * math.Ceil(seen.Events.PerDay) * math.Ceil(seen.Events.Stored) * 30
	if got := float64(p.Sizing[0].Events.Bytes); math.Abs(got-want) > 1 {
		t.Errorf("the events database takes %.0f bytes, want %.0f", got, want)
	}
	if p.Observed == nil || p.Observed.Peak != clients {
		t.Errorf("the plan does not say where its figures come from: %+v", p.Observed)
	}
}
