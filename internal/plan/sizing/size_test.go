package sizing

import (
	"testing"
	"time"

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

func TestAServerOfOneSite(t *testing.T) {
	m := organization.Resolve(office(5000))
	got := Size(m, together(m, 0))
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
