package simulation_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/placement"
	"github.com/dormer-project/dormer/internal/plan/simulation"
)

// model is the organization of a spec.
func model(t testing.TB, spec string) *organization.Model {
	t.Helper()
	raw := "apiVersion: dormer/v1\nkind: Organization\nmetadata: {name: Test}\nspec:\n" + indent(spec)
	o, err := organization.Decode([]byte(raw), "test.yaml")
	if err != nil {
		t.Fatalf("the organization of the test is not valid: %v\n%s", err, raw)
	}
	return organization.Resolve(o)
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  ") + "\n"
}

// alone places everybody in one instance at a site.
func alone(m *organization.Model, site int) *placement.Placement {
	x := placement.Instance{Name: "Main", Site: site, SiteName: m.Sites[site].Name, Network: organization.Connected}
	for i, g := range m.Groups {
		x.Parts = append(x.Parts, placement.Part{Group: i, Site: m.Sites[g.Site].Name, Users: g.Users, Active: g.Active})
		x.Users, x.Active = x.Users+g.Users, x.Active+g.Active
	}
	return &placement.Placement{Instances: []placement.Instance{x}}
}

func run(t testing.TB, m *organization.Model, p *placement.Placement, o simulation.Options) *simulation.Result {
	t.Helper()
	r, err := simulation.Run(context.Background(), m, p, o)
	if err != nil {
		t.Fatalf("simulate: %v", err)
	}
	return r
}

// one is one site with so many clients, who all have the workspace desktop.
func one(clients int, offline string) string {
	return fmt.Sprintf(`
sites:
- name: Berlin
  people: [{users: %d}]
images:
- {name: windows, packed: 4GiB}
workspaces:
- {name: desktop, image: windows, offline: %s}
`, clients, offline)
}
