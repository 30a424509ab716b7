package delivery_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer/internal/plan/delivery"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/placement"
)

// tree is an organization whose links make a tree, so that another bandwidth
// never leads to another route. Its instance stands at the first site.
type tree struct {
	above, clients []int   // by site
	link, lan      []int   // Mbit/s
	servers, peers []bool  // by site
	hours          int     // of delivery
	packed         []int   // MiB, by image
	share          [][]int // by image and site: how many per cent get it; 0: none
}

func (tr *tree) yaml() string {
	var b strings.Builder
	b.WriteString("apiVersion: dormer/v1\nkind: Organization\nmetadata: {name: Tree}\nspec:\n  sites:\n")
	for i := range tr.above {
		fmt.Fprintf(&b, "    - {name: S%d, lan: %dMbit/s, servers: %v, neighbours: %v, people: [{users: %d}]}\n", i, tr.lan[i], tr.servers[i] || i == 0, tr.peers[i], tr.clients[i])
	}
	b.WriteString("  links:\n")
	for i := range tr.above[1:] {
		fmt.Fprintf(&b, "    - {from: S%d, to: S%d, bandwidth: %dMbit/s}\n", tr.above[i+1], i+1, tr.link[i+1])
	}
	b.WriteString("  images:\n")
	for i, size := range tr.packed {
		fmt.Fprintf(&b, "    - {name: I%d, packed: %dMiB}\n", i, size)
	}
	b.WriteString("  workspaces:\n")
	for i, list := range tr.share {
		if len(slices.Compact(slices.Clone(list))) == 1 {
			fmt.Fprintf(&b, "    - {name: W%d, image: I%d, share: %d%%}\n", i, i, list[0])
			continue
		}
		for site, share := range list {
			if share > 0 {
				fmt.Fprintf(&b, "    - {name: W%d-%d, image: I%d, who: {sites: [S%d]}, share: %d%%}\n", i, site, i, site, share)
			}
		}
	}
	fmt.Fprintf(&b, "  service: {deliveryHours: %d}\n", tr.hours)
	return b.String()
}

func randomTree(r *rand.Rand) *tree {
	n := 2 + r.IntN(7)
	tr := &tree{hours: 1 + r.IntN(24), packed: []int{500 + r.IntN(8000), 100 + r.IntN(3000)}}
	tr.share = make([][]int, len(tr.packed))
	for i := range n {
		tr.above = append(tr.above, r.IntN(max(i, 1)))
		tr.clients = append(tr.clients, 1+r.IntN(300))
		tr.link = append(tr.link, 1+r.IntN(200))
		tr.lan = append(tr.lan, 10+r.IntN(1000))
		tr.servers = append(tr.servers, r.IntN(2) == 0)
		tr.peers = append(tr.peers, r.IntN(3) == 0)
		for k := range tr.share {
			share := r.IntN(101)
			if i == 0 {
				share = 100
			}
			tr.share[k] = append(tr.share[k], share)
		}
	}
	return tr
}

// deliver puts one instance at the first site and everybody on it.
func deliver(t testing.TB, tr *tree) *delivery.Delivery {
	t.Helper()
	m := model(t, tr.yaml())
	return delivers(t, m, everybody(m))
}

func delivers(t testing.TB, m *organization.Model, p *placement.Placement) *delivery.Delivery {
	t.Helper()
	d, err := delivery.Deliver(t.Context(), m, p)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func model(t testing.TB, yaml string) *organization.Model {
	t.Helper()
	o, err := organization.Decode([]byte(yaml), "organization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return organization.Resolve(o)
}

// everybody is a placement of one instance, at the first site.
func everybody(m *organization.Model) *placement.Placement {
	in := placement.Instance{Name: "One", SiteName: m.Sites[0].Name, Network: organization.Connected}
	for i, g := range m.Groups {
		in.Parts = append(in.Parts, placement.Part{Group: i, Site: m.Sites[g.Site].Name, Users: g.Users, Active: g.Active})
	}
	in.Users, in.Active = m.Users()
	return &placement.Placement{Instances: []placement.Instance{in}}
}

// times are all times of a delivery by site and image.
func times(d *delivery.Delivery) map[string]delivery.Transfer {
	out := map[string]delivery.Transfer{}
	for _, s := range d.Sites {
		for _, i := range s.Images {
			out[s.Site+" "+i.Image] = i
		}
	}
	return out
}

// slower tells when something takes longer than before; rounding is allowed for.
func slower(now, before float64) bool { return now > before*(1+1e-9) }

// TestNeighboursAreNeverSlower, and neither is a wider link, a wider network
// within a site, or more hours of delivery; one more client never makes anything
// faster.
func TestNeighboursAreNeverSlower(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 6))
		tr := randomTree(r)
		before := times(deliver(t, tr))
		for key, i := range before {
			if slower(i.FirstNeighbours, i.First) || slower(i.UpdateNeighbours, i.Update) {
				t.Errorf("seed %d, %s: neighbours take %v and %v, without them it is %v and %v", seed, key, i.FirstNeighbours, i.UpdateNeighbours, i.First, i.Update)
			}
		}
		site := r.IntN(len(tr.above))
		changes := []struct {
			what string
			make func()
			more bool // takes longer, if anything
		}{
			{"a wider link", func() { tr.link[site] += 1 + r.IntN(100) }, false},
			{"a wider network within a site", func() { tr.lan[site] += 1 + r.IntN(100) }, false},
			{"more clients", func() { tr.clients[site] += 1 + r.IntN(100) }, true},
			{"more hours", func() { tr.hours = min(tr.hours+1, 24) }, false},
		}
		for _, change := range changes {
			change.make()
			after := times(deliver(t, tr))
			for key, was := range before {
				now := after[key]
				for _, pair := range [][2]float64{
					{now.First, was.First}, {now.FirstNeighbours, was.FirstNeighbours}, {now.Update, was.Update}, {now.UpdateNeighbours, was.UpdateNeighbours},
				} {
					if !change.more && slower(pair[0], pair[1]) || change.more && slower(pair[1], pair[0]) {
						t.Errorf("seed %d, %s at %d: %s takes %v, before it was %v", seed, change.what, site, key, pair[0], pair[1])
					}
				}
			}
			before = after
		}
	}
}

// TestPlanIsConsistent holds what a plan says together: Met is what Missed says,
// who serves a site says so too, and no mirror is needless.
func TestPlanIsConsistent(t *testing.T) {
	for seed := range uint64(100) {
		tr := randomTree(rand.New(rand.NewPCG(seed, 7)))
		d := deliver(t, tr)
		if again := deliver(t, tr); !cmp.Equal(d, again) {
			t.Fatalf("seed %d: two answers: %s", seed, cmp.Diff(d, again))
		}
		serves := map[string]string{}
		for _, r := range d.Repositories {
			for _, s := range r.Serves {
				serves[s] = r.Name
			}
			if r.Of != "" && !strings.Contains(r.Reasons[0], "Without it") {
				t.Errorf("seed %d: %s mends nothing: %q", seed, r.Name, r.Reasons)
			}
			if r.Disk <= 0 || len(r.Reasons) == 0 || r.Faults == "" || len(r.Images) == 0 {
				t.Errorf("seed %d: %s lacks something", seed, r.Name)
			}
		}
		for _, s := range d.Sites {
			if serves[s.Site] != s.Repository {
				t.Errorf("seed %d: %s takes from %q, which %q serves", seed, s.Site, s.Repository, serves[s.Site])
			}
			for _, i := range s.Images {
				if i.Met != (len(i.Missed) == 0) {
					t.Errorf("seed %d: %s %s: met %v, missed %v", seed, s.Site, i.Image, i.Met, i.Missed)
				}
				for _, miss := range i.Missed {
					if miss.Seconds <= miss.Allowed {
						t.Errorf("seed %d: %s %s: %+v", seed, s.Site, i.Image, miss)
					}
				}
				for _, f := range i.Figures {
					if f.Name == "site.first" && f.Value != i.First || f.Name == "site.update.planned" && f.Value != i.UpdatePlanned || f.Name == "site.one" && f.Value != i.One {
						t.Errorf("seed %d: %s %s: %s is %v", seed, s.Site, i.Image, f.Name, f.Value)
					}
				}
			}
		}
	}
}

// TestExample: the example that people begin with has an answer for all.
func TestExample(t *testing.T) {
	m := model(t, string(organization.Example()))
	p, err := placement.Place(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	d := delivers(t, m, p)
	served := map[string]bool{}
	for _, s := range d.Sites {
		served[s.Site] = true
		if len(s.Reasons) == 0 {
			t.Errorf("no reason at %s", s.Site)
		}
	}
	for _, s := range m.Sites {
		if s.Users > 0 && !served[s.Name] {
			t.Errorf("no delivery at %s", s.Name)
		}
	}
	if _, err := json.Marshal(d); err != nil {
		t.Error(err)
	}
}

// large is 200 sites with 300,000 users behind links of very different widths.
func large() *tree {
	r := rand.New(rand.NewPCG(1, 1))
	tr := &tree{hours: 10, packed: []int{9000, 4000, 2000, 6000}}
	tr.share = make([][]int, len(tr.packed))
	for i := range 200 {
		tr.above = append(tr.above, r.IntN(max(i/4, 1)))
		tr.clients = append(tr.clients, 1500)
		tr.link = append(tr.link, 1+r.IntN(1000))
		tr.lan = append(tr.lan, 1000)
		tr.servers = append(tr.servers, i%3 != 0)
		tr.peers = append(tr.peers, i%5 == 0)
		for k := range tr.share {
			tr.share[k] = append(tr.share[k], 100/(k+1))
		}
	}
	return tr
}

func BenchmarkDeliver(b *testing.B) {
	m := model(b, large().yaml())
	p := everybody(m)
	for b.Loop() {
		delivers(b, m, p)
	}
}

// anywhere is a random organization with countries, isolated networks, domains,
// travellers and people whose data may not leave their country.
func anywhere(r *rand.Rand) string {
	var b strings.Builder
	b.WriteString("apiVersion: dormer/v1\nkind: Organization\nmetadata: {name: Anywhere}\nspec:\n  sites:\n")
	n, labs := 2+r.IntN(8), map[int]bool{}
	countries := []string{"DE", "CH", "FR"}
	in := map[string]bool{}
	for i := range n {
		country := countries[r.IntN(3)]
		in[country] = true
		fmt.Fprintf(&b, "    - {name: S%d, country: %s, servers: %v, neighbours: %v, delivery: %s, people: [{users: %d, active: %d}", i, country, i < 3 || r.IntN(2) == 0,
			r.IntN(3) == 0, []string{"auto", "auto", "auto", "network", "media", "preStaged"}[r.IntN(6)], 100+r.IntN(3000), r.IntN(100))
		if i < 3 && r.IntN(2) == 0 {
			labs[i] = true
			fmt.Fprintf(&b, ", {users: %d, network: Lab%d}", 1+r.IntN(200), i)
		}
		b.WriteString("]}\n")
	}
	if len(labs) > 0 {
		b.WriteString("  networks:\n")
		for i := range n {
			if labs[i] {
				fmt.Fprintf(&b, "    - {name: Lab%d}\n", i)
			}
		}
	}
	b.WriteString("  links:\n")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, "    - {from: S%d, to: S%d, bandwidth: %dMbit/s, back: %dMbit/s, latency: %dms}\n", i, r.IntN(i), 1+r.IntN(300), 1+r.IntN(300), 1+r.IntN(200))
	}
	b.WriteString("  travel:\n")
	for range 2 {
		from := r.IntN(n)
		fmt.Fprintf(&b, "    - {from: S%d, to: S%d, users: %d, days: %d}\n", from, (from+1+r.IntN(n-1))%n, 1+r.IntN(40), 1+r.IntN(9))
	}
	if r.IntN(2) == 0 && in["CH"] {
		fmt.Fprintf(&b, "  separations: [{name: Records, kind: law, who: {countries: [CH]}, country: CH, shared: %v}]\n", r.IntN(2) == 0)
	}
	fmt.Fprintf(&b, "  images: [{name: A, packed: %dMiB}, {name: B, packed: %dMiB, base: A}]\n", 100+r.IntN(9000), 100+r.IntN(9000))
	fmt.Fprintf(&b, "  workspaces: [{name: All, image: A, offline: 2d}, {name: Some, image: B, share: %d%%, critical: false, offline: none}]\n", 1+r.IntN(100))
	return b.String()
}

// TestAnywhere: everybody has a repository that they may take from.
func TestAnywhere(t *testing.T) {
	placed := 0
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 8))
		o, err := organization.Decode([]byte(anywhere(r)), "organization.yaml")
		if err != nil {
			continue // no site of CH may hold servers, or so
		}
		m := organization.Resolve(o)
		p, err := placement.Place(t.Context(), m)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		placed++
		d := delivers(t, m, p)
		site := map[string]organization.Place{}
		for _, s := range m.Sites {
			site[s.Name] = s
		}
		repository, of := map[string]*delivery.Repository{}, map[string]bool{}
		for i := range d.Repositories {
			at := &d.Repositories[i]
			repository[at.Name] = at
			for _, name := range at.Instances {
				of[name] = true
			}
			if !site[at.Site].Servers {
				t.Errorf("seed %d: %s stands where no servers may", seed, at.Name)
			}
		}
		bound := len(m.Demands) > 0
		clients := 0
		for _, s := range d.Sites {
			clients += s.Clients
			from := repository[s.Repository]
			switch asked := site[s.Site].Delivery; {
			case from == nil:
				t.Errorf("seed %d: %s of %s has no repository", seed, s.Site, s.Instance)
				continue
			case asked != organization.DeliveryAuto && asked != s.Way:
				t.Errorf("seed %d: %s gets its images by %s, and asked for %s", seed, s.Site, s.Way, asked)
			}
			if s.Network != "" && (from.Site != s.Site || len(from.Instances) != 1) {
				t.Errorf("seed %d: %s of %s takes from %s at %s", seed, s.Site, s.Network, from.Name, from.Site)
			}
			if bound && s.Network == "" && site[s.Site].Country == "CH" && site[from.Site].Country != "CH" {
				for _, in := range p.Instances {
					if in.Name == s.Instance && in.Country == "CH" {
						t.Errorf("seed %d: %s takes from %s, outside of CH", seed, s.Site, from.Name)
					}
				}
			}
		}
		_, active := m.Users()
		if clients < active {
			t.Errorf("seed %d: %d clients, %d are on", seed, clients, active)
		}
		for _, in := range p.Instances {
			if !of[in.Name] {
				t.Errorf("seed %d: %s has no repository", seed, in.Name)
			}
		}
	}
	if placed < 75 {
		t.Errorf("only %d organizations were valid", placed)
	}
}
