package httpapi_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer/internal/wire/rest"
)

// TestWorkspaceFigures: a list says of workspaces what they come to when it is
// asked to, and says why one gives no machine.
func TestWorkspaceFigures(t *testing.T) {
	h := newHarness(t)
	c := h.client(h.admin)
	grants := "- {principal: {kind: user, name: admin}, enabled: false, expires: 2020-01-01}\n- {principal: {kind: user, name: nobody}, expires: 2020-01-01}\n"
	if _, err := c.CreateWorkspace(t.Context(), []byte(document+grants), ""); err != nil {
		t.Fatal(err)
	}
	plain, err := c.Workspaces(t.Context(), "")
	if err != nil || len(plain) != 1 || plain[0].Figures != nil {
		t.Errorf("without figures: %+v, %v", plain, err)
	}
	want := rest.WorkspaceFigures{Image: "debian", ImageProblem: "image debian is not in the repository", Grants: 3, Disabled: 1, Expired: 1}
	for range 2 {
		all, err := c.WorkspacesWithFigures(t.Context())
		if err != nil || len(all) != 1 || all[0].Figures == nil {
			t.Fatalf("with figures: %+v, %v", all, err)
		}
		if diff := cmp.Diff(want, *all[0].Figures); diff != "" {
			t.Error(diff)
		}
		if want.ImageVersion == 0 {
			pushImage(t, h, "debian")
			want.ImageVersion, want.ImageProblem = 1, ""
		}
	}
}
