package sizing

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/placement"
)

// office is an organization of one site and one workspace.
func office(users int) *organization.Organization {
	return &organization.Organization{
		APIVersion: organization.APIVersion, Kind: organization.Kind, Metadata: organization.Metadata{Name: "test"},
		Spec: organization.Spec{
			Sites:      []organization.Site{{Name: "Berlin", Country: "DE", People: []organization.Crowd{{Users: users}}}},
			Images:     []organization.Image{{Name: "office", Packed: 4 << 30}},
			Workspaces: []organization.Workspace{{Name: "Office", Image: "office", Offline: organization.OfflineFor(72 * time.Hour)}},
		},
	}
}

// together is a placement of one instance at a site.
func together(m *organization.Model, site int) *placement.Placement {
	in := placement.Instance{Name: "A", Site: site, SiteName: m.Sites[site].Name, Network: organization.Connected}
	in.Users, in.Active = m.Users()
	for i, g := range m.Groups {
		in.Parts = append(in.Parts, placement.Part{Group: i, Users: g.Users, Active: g.Active})
	}
	return &placement.Placement{Instances: []placement.Instance{in}}
}

func sizes(t *testing.T, m *organization.Model, p *placement.Placement) []Instance {
	t.Helper()
	out, err := Size(t.Context(), m, p)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAServerOfOneSite(t *testing.T) {
	m := organization.Resolve(office(5000))
	got := sizes(t, m, together(m, 0))
	if len(got) != 1 || got[0].Name != "A" {
		t.Fatalf("%+v", got)
	}
	i := got[0]
	if i.Server.Cores != 4 || i.Server.Memory != 4<<30 || !i.Server.Virtual {
		t.Errorf("the server has %d cores, %d bytes, virtual %t; want 4, 4 GiB, true", i.Server.Cores, i.Server.Memory, i.Server.Virtual)
	}
	if i.Events.Kind != organization.SQLite || i.Events.Place != organization.PlaceServer || i.Events.Bytes != 14_235_000_000 {
		t.Errorf("events: %s %s %d", i.Events.Kind, i.Events.Place, i.Events.Bytes)
	}
}

// random is an organization that rnd makes up, with one instance at its first
// site and people at both.
func random(rnd *rand.Rand) *organization.Organization {
	percent := func() *document.Percent { p := document.Percent(rnd.IntN(200)); return &p }
	pick := func(n int) int { return rnd.IntN(n) }
	o := office(pick(30_000))
	s := &o.Spec
	s.Sites = append(s.Sites, organization.Site{Name: "Lima", Country: "PE", People: []organization.Crowd{{Users: pick(3000)}}})
	s.Links = []organization.Link{{From: "Berlin", To: "Lima", Bandwidth: document.Rate(1 + rnd.Int64N(1e9)), Latency: document.Latency(time.Duration(1+pick(500)) * time.Millisecond)}}
	s.Events = organization.Events{
		PerDay: 1 + pick(200), Bytes: 1 + pick(1000), Bursts: percent(), Overhead: percent(), Hours: 1 + pick(24),
		Keep:     document.Duration(time.Duration(1+pick(1000)) * 24 * time.Hour),
		Database: []organization.Database{"", organization.SQLite, organization.PostgreSQL}[pick(3)],
		Place:    []organization.DatabasePlace{"", organization.PlaceServer, organization.PlaceRemote}[pick(3)],
		Site:     []string{"", "Berlin", "Lima"}[pick(3)],
	}
	s.Workspaces[0].Offline = []organization.Offline{organization.OfflineNone, organization.OfflineUnrestricted, organization.OfflineFor(time.Duration(1+pick(1e5)) * time.Second)}[pick(3)]
	s.Workspaces[0].Share = document.Percent(1 + pick(100))
	s.Service.Restore = document.Duration(time.Duration(1+pick(1e5)) * time.Second)
	loss := document.Duration(time.Duration(pick(1e5)) * time.Second)
	s.Service.Loss = &loss
	s.Consoles = []organization.Console{{Site: "Lima", Operators: 1 + pick(50)}}
	return o
}

// TestMoreUsersNeverNeedLess adds people to organizations of all kinds.
func TestMoreUsersNeverNeedLess(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := range 1000 {
		o := random(rnd)
		m := organization.Resolve(o)
		before := sizes(t, m, together(m, 0))[0]
		o.Spec.Sites[rnd.IntN(2)].People[0].Users += 1 + rnd.IntN(20_000)
		m = organization.Resolve(o)
		after := sizes(t, m, together(m, 0))[0]
		need := func(i Instance) map[string]float64 {
			out := map[string]float64{
				"cores": float64(i.Server.Cores), "memory": float64(i.Server.Memory), "disk": float64(i.Server.Disk),
				"state": float64(i.State.Bytes), "events": float64(i.Events.Bytes),
			}
			for _, f := range slices.Concat(i.Server.Figures, i.State.Figures, i.Events.Figures) {
				switch f.Name {
				case "events.link.commits", "events.link.events": // what is possible, not what is needed
				default:
					out[f.Name] = f.Value
				}
			}
			return out
		}
		b, a := need(before), need(after)
		for name, v := range b {
			if a[name] < v {
				t.Errorf("case %d: with more users %s is %v, was %v", n, name, a[name], v)
			}
		}
		if before.Availability.Standby != NoStandby && after.Availability.Standby == NoStandby {
			t.Errorf("case %d: with more users no standby is needed", n)
		}
	}
}

// TestSizesAreFinite: no division by nothing reaches what people read, and the
// same organization has the same sizes.
func TestSizesAreFinite(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for n := range 200 {
		o := random(rnd)
		if n%4 == 0 {
			o.Spec.Sites[0].People[0].Users, o.Spec.Sites[1].People[0].Users = 0, n%8/4
		}
		m := organization.Resolve(o)
		first, err := json.Marshal(sizes(t, m, together(m, 0))) // refuses what is no number
		if err != nil {
			t.Fatalf("case %d: %v", n, err)
		}
		again, err := json.Marshal(sizes(t, m, together(m, 0)))
		if err != nil || !bytes.Equal(first, again) {
			t.Fatalf("case %d: sized again it is different, %v", n, err)
		}
		if bytes.Contains(first, []byte("null")) {
			t.Errorf("case %d: a list is not there: %s", n, first)
		}
	}
}
