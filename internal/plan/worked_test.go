package plan_test

import (
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/placement"
)

// modelOf is the organization of a case that is worked by hand. Images and
// workspaces are for cases that name none.
func modelOf(t *testing.T, spec, images, workspaces string) *organization.Model {
	t.Helper()
	if !strings.Contains(spec, "\n  images:") {
		spec += "\n  images: " + images
	}
	if !strings.Contains(spec, "\n  workspaces:") {
		spec += "\n  workspaces: " + workspaces
	}
	o, err := organization.Decode([]byte("apiVersion: dormer/v1\nkind: Organization\nmetadata: {name: case}\nspec:\n"+spec+"\n"), "case.yaml")
	if err != nil {
		t.Fatalf("%v in\n%s", err, spec)
	}
	return organization.Resolve(o)
}

// placed is where the instances of a model are.
func placed(t *testing.T, m *organization.Model) *placement.Placement {
	t.Helper()
	p, err := placement.Place(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
