package simulation_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/plan/delivery"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/placement"
	"github.com/dormer-project/dormer/internal/plan/simulation"
)

// branches has the server in Berlin, with nobody, and sites behind links; an
// update is 600 MiB, which are 629,145,600 bytes.
func branches(sites, links, more string) string {
	return "sites:\n- {name: Berlin}\n" + sites + "\nlinks:\n" + links + `
images:
- {name: windows, packed: 4GiB, update: 600MiB}
- {name: linux, packed: 2GiB, update: 300MiB}
workspaces:
- {name: desktop, image: windows}
` + more
}

const updateBits = 600 * (1 << 20) * 8.0

func update(t *testing.T, m *organization.Model) *simulation.Result {
	t.Helper()
	r := run(t, m, alone(m, 0), simulation.Options{From: 12 * hour, Length: hour / 30, Rollout: &simulation.Rollout{Image: "windows"}})
	failedChecks(t, r)
	return r
}

// at is when everybody of a site has the image.
func at(t *testing.T, r *simulation.Result, site string) simulation.Arrival {
	t.Helper()
	for _, a := range r.Rollout.Sites {
		if a.Site == site {
			return a
		}
	}
	t.Fatalf("nothing arrives at %s: %+v", site, r.Rollout)
	return simulation.Arrival{}
}

func TestOneSiteOnOneLink(t *testing.T) {
	m := model(t, branches("- {name: Bonn, people: [{users: 100}]}", "- {from: Berlin, to: Bonn, bandwidth: 10Mbit/s}", ""))
	r := update(t, m)
	// 100 x 629,145,600 x 8 / 5,000,000 bit/s (half of the link) = 100,663 s, and 10
	// round trips of 10 ms. All share the link, so that nobody is done early but for
	// those of the first poll.
	a := at(t, r, "Bonn")
	near(t, "all", a.All, 100*updateBits/5e6+0.1, 0.003)
	near(t, "half", a.Half, a.All, 0.003)
	if a.Clients != 100 || a.Narrow != "link from Berlin to Bonn" {
		t.Errorf("%+v: want 100 clients, held up by the link from Berlin", a)
	}
	// The link is never idle meanwhile.
	if l := r.Rollout.Lines[0]; l.From != "Berlin" || l.To != "Bonn" || l.Share < 0.99 {
		t.Errorf("the busiest line is %+v, want that from Berlin, full all the time", l)
	}
	near(t, "bytes", r.Rollout.Lines[0].Bytes, 100*updateBits/8, 0.005)
	if p := r.Rollout.Points; p[len(p)-1].Share != 1 {
		t.Errorf("the last point is %+v, want that all have it", p[len(p)-1])
	}
}

func TestTheOtherDirectionOfALinkDoesNotMatter(t *testing.T) {
	m := model(t, branches("- {name: Bonn, people: [{users: 100}]}", "- {from: Bonn, to: Berlin, bandwidth: 2Mbit/s, back: 20Mbit/s, usable: 100%}", ""))
	// From Berlin to Bonn flows what the link calls back.
	near(t, "all", at(t, update(t, m), "Bonn").All, 100*updateBits/20e6, 0.01)
}

func TestTwoSitesShareALine(t *testing.T) {
	// Bonn and Trier are behind Cologne. Bonn's own link does not hold it up: its 30
	// clients and the 10 of Trier share 10 Mbit/s, and each client gets the
	// fortieth part until all are done: 40 x 5,033 Mbit / 10 Mbit/s = 20,133 s.
	links := `
- {from: Berlin, to: Cologne, bandwidth: 10Mbit/s, usable: 100%}
- {from: Cologne, to: Bonn, bandwidth: 100Mbit/s, usable: 100%}
- {from: Cologne, to: Trier, bandwidth: RATE, usable: 100%}`
	sites := "- {name: Cologne}\n- {name: Bonn, people: [{users: 30}]}\n- {name: Trier, people: [{users: 10}]}"
	r := update(t, model(t, branches(sites, strings.Replace(links, "RATE", "100Mbit/s", 1), "")))
	near(t, "Bonn", at(t, r, "Bonn").All, 40*updateBits/10e6, 0.01)
	near(t, "Trier", at(t, r, "Trier").All, 40*updateBits/10e6, 0.01)

	// With a link of 1 Mbit/s Trier takes 10 x 5,033 / 1 = 50,332 s, and leaves 9
	// Mbit/s to Bonn: 30 x 5,033 / 9 = 16,777 s, less than the formula's upper bound.
	r = update(t, model(t, branches(sites, strings.Replace(links, "RATE", "1Mbit/s", 1), "")))
	near(t, "Bonn beside a slow Trier", at(t, r, "Bonn").All, 30*updateBits/9e6, 0.01)
	near(t, "slow Trier", at(t, r, "Trier").All, 10*updateBits/1e6, 0.01)
}

func TestNeighboursTakeOneCopyOverTheLink(t *testing.T) {
	m := model(t, branches("- {name: Bonn, neighbours: true, lan: 100Mbit/s, people: [{users: 100}]}", "- {from: Berlin, to: Bonn, bandwidth: 10Mbit/s}", ""))
	r := update(t, m)
	// One copy over 5 Mbit/s, then 99 over 50 Mbit/s within the site:
	// 5,033 / 5 = 1,007 s and 99 x 5,033 / 50 = 9,966 s.
	near(t, "all", at(t, r, "Bonn").All, updateBits/5e6+99*updateBits/50e6, 0.01)
	if l := r.Rollout.Lines; len(l) != 2 || l[0].From != "Bonn" || l[0].To != "Bonn" {
		t.Errorf("the busiest lines are %+v, want the network within Bonn before the link", l)
	}
}

func TestDeliveryRestsBetweenItsHours(t *testing.T) {
	m := model(t, branches("- {name: Bonn, people: [{users: 100}]}", "- {from: Berlin, to: Bonn, bandwidth: 10Mbit/s}", "service: {deliveryHours: 10}\n"))
	// 100,663 s are two times 10 hours and 28,663 s: two nights of 14 hours more.
	near(t, "all", at(t, update(t, m), "Bonn").All, 100*updateBits/5e6+2*14*3600, 0.01)
}

func TestWhoGetsImagesOtherwiseIsLeftOut(t *testing.T) {
	m := model(t, branches("- {name: Bonn, delivery: media, people: [{users: 100}]}\n- {name: Trier, delivery: preStaged, people: [{users: 10}]}",
		"- {from: Berlin, to: Bonn, bandwidth: 10Mbit/s}\n- {from: Berlin, to: Trier, bandwidth: 10Mbit/s}", ""))
	for _, first := range []bool{false, true} {
		r := run(t, m, alone(m, 0), simulation.Options{From: 12 * hour, Length: hour / 30, Rollout: &simulation.Rollout{First: first}})
		// Computers that were set up elsewhere get updates over the link all the same.
		left, come := 1, 1
		if first {
			left, come = 2, 0
		}
		if len(r.Rollout.Left) != left || len(r.Rollout.Sites) != come {
			t.Errorf("first %v: %+v; want %d sites left out", first, r.Rollout, left)
		}
	}
}

func TestAMirrorIsFilledFirst(t *testing.T) {
	m := model(t, branches("- {name: Bonn, people: [{users: 101}]}", "- {from: Berlin, to: Bonn, bandwidth: 10Mbit/s}", ""))
	d := &delivery.Delivery{
		Repositories: []delivery.Repository{{Name: "main", Place: 0, Site: "Berlin"}, {Name: "mirror", Place: 1, Site: "Bonn", Of: "main"}},
		Sites: []delivery.Site{{
			Place: 1, Site: "Bonn", Instance: "Main", Repository: "mirror", Way: organization.DeliveryNetwork,
			Images: []delivery.Transfer{{Image: "windows", Clients: 101}},
		}},
	}
	r := run(t, m, alone(m, 0), simulation.Options{From: 12 * hour, Length: hour / 30, Rollout: &simulation.Rollout{}, Delivery: d})
	failedChecks(t, r)
	// One copy over 5 Mbit/s, then 101 over half of 1 Gbit/s: 1,007 s and 1,017 s.
	near(t, "all", at(t, r, "Bonn").All, updateBits/5e6+101*updateBits/500e6, 0.01)
}

func TestImagesOfTwoWorkspacesAreFetchedOnceByWhoHasBoth(t *testing.T) {
	m := model(t, branches("- {name: Bonn, people: [{users: 100}]}", "- {from: Berlin, to: Bonn, bandwidth: 10Mbit/s}", "")+
		"service: {deliveryHours: 24}\n")
	m.Workspaces = append(m.Workspaces, organization.Offer{Name: "second", Image: 0, Gets: []organization.Part{{Group: 0, Users: 100, Active: 100}}},
		organization.Offer{Name: "third", Image: 1, Gets: []organization.Part{{Group: 0, Users: 40, Active: 40}}})
	r := run(t, m, alone(m, 0), simulation.Options{From: 12 * hour, Length: hour / 30, Rollout: &simulation.Rollout{}})
	if len(r.Rollout.Sites) != 2 || r.Rollout.Sites[0].Clients != 100 || r.Rollout.Sites[1].Clients != 40 {
		t.Fatalf("arrivals are %+v, want 100 of windows and 40 of linux", r.Rollout.Sites)
	}
	// Both at once: 140 transfers share 5 Mbit/s until the 40 of 300 MiB are done:
	// 140 x 2,517 Mbit / 5 = 70,464 s; then 100 fetch the other half alone: 100 x
	// 2,517 / 5 = 50,332 s.
	near(t, "linux", r.Rollout.Sites[1].All, 140*updateBits/2/5e6, 0.01)
	near(t, "windows", r.Rollout.Sites[0].All, 140*updateBits/2/5e6+100*updateBits/2/5e6, 0.01)
}

func delivers(t *testing.T, m *organization.Model, p *placement.Placement) *delivery.Delivery {
	t.Helper()
	d, err := delivery.Deliver(t.Context(), m, p)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTheSimulationAgreesWithTheDelivery(t *testing.T) {
	for seed := range uint64(8) {
		m, spec := anyone(t, seed)
		p := alone(m, 0)
		d := delivers(t, m, p)
		for _, first := range []bool{false, true} {
			r := run(t, m, p, simulation.Options{
				Seed: seed, From: 12 * hour, Length: hour / 30, Rollout: &simulation.Rollout{Image: "windows", First: first}, Delivery: d,
			})
			failedChecks(t, r)
			for _, s := range d.Sites {
				for _, x := range s.Images {
					planned := x.UpdatePlanned
					if first {
						planned = x.FirstPlanned
					}
					if s.Way == organization.DeliveryMedia || planned <= 0 || x.Image != "windows" {
						continue
					}
					// Nothing comes later than the plan says, but for what clients lose by
					// beginning with their next poll.
					if got := at(t, r, s.Site).All; got > planned*1.02+70 {
						t.Errorf("seed %d, first %v: %s has it after %v s, the plan says %v\n%s", seed, first, s.Site, got, planned, spec)
					}
				}
			}
		}
	}
}

// anyone is some organization with branches in two levels.
func anyone(t *testing.T, seed uint64) (*organization.Model, string) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	var sites, links strings.Builder
	for i := range 12 {
		fmt.Fprintf(&sites, "- {name: S%d, neighbours: %v, people: [{users: %d}]}\n", i, r.IntN(3) == 0, 1+r.IntN(60))
		from := "Berlin"
		if i >= 4 {
			from = fmt.Sprintf("S%d", r.IntN(4))
		}
		fmt.Fprintf(&links, "- {from: %s, to: S%d, bandwidth: %dMbit/s}\n", from, i, 2+r.IntN(40))
	}
	spec := branches(sites.String(), links.String(), "")
	return model(t, spec), spec
}

func TestAWiderLinkIsNeverSlower(t *testing.T) {
	for seed := range uint64(5) {
		m, _ := anyone(t, seed)
		before := update(t, m).Rollout.All
		for i := range m.Lines {
			m.Lines[i].UsableThere *= 2
			after := update(t, m).Rollout.All
			if after > before*1.005 {
				t.Errorf("seed %d: with a wider link %d all have it after %v s, before after %v s", seed, i, after, before)
			}
			before = after
		}
	}
}
