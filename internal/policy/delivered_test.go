package policy_test

import (
	"os"
	"slices"
	"testing"

	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/policymatrix"
)

// TestWhatIsNotEnforcedIsDelivered: the fields that clients do nothing for reach
// them, and are named by those that report it.
func TestWhatIsNotEnforcedIsDelivered(t *testing.T) {
	raw, err := os.ReadFile("../../examples/workspaces/office.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d, err := policy.Decode(raw, "office.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d.Spec.General.Frame.Color = "#ff0000"
	d.Spec.Machine.HostFiles = new(false)
	d.Spec.Applications.Published[0].Shortcut = new(false)
	d.Spec.Applications.Menus = append(d.Spec.Applications.Menus, policy.Menu{Name: "Hidden", Enabled: new(false)})
	e := policy.Combine(d.Spec, d.Grants)
	got, err := policy.DecodeEffective(e.CanonicalJSON(), e.Hash())
	if err != nil {
		t.Fatal(err)
	}
	// Nothing is there instead of these: false is what they are set to, and a
	// menu that is not enabled is not delivered.
	silent := []string{"spec.machine.hostFiles", "spec.applications.published[].shortcut", "spec.applications.menus[].enabled"}
	if got.Machine.HostFiles || got.Applications.Published[0].Shortcut || len(got.Applications.Menus) != len(d.Spec.Applications.Menus)-1 {
		t.Errorf("delivered: %s", e.CanonicalJSON())
	}
	var fields []string
	told := got.NotEnforced()
	for _, f := range policy.Enforcements() {
		if f.Enforced {
			continue
		}
		fields = append(fields, f.Path)
		if !slices.Contains(told, f.Path) && !slices.Contains(silent, f.Path) {
			t.Errorf("%s is set, not enforced, and not told", f.Path)
		}
	}
	if !slices.Contains(told, "spec.general.display") {
		t.Errorf("seamless is not told: %v", told)
	}
	policymatrix.Exercised(t, policymatrix.Text, fields...)
}
