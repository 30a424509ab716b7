package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer/internal/wire/rest"
)

// TestDeleteUsedImage: what workspaces use is deleted only by force, which the
// audit log records.
func TestDeleteUsedImage(t *testing.T) {
	h := newHarness(t)
	pushImage(t, h, "debian")
	pushImage(t, h, "spare")
	c := h.client(h.admin)
	if _, err := c.CreateWorkspace(t.Context(), []byte(document), ""); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/images/debian", "/images/debian/1", "/images/debian?force=false"} {
		a := h.ask("DELETE", rest.Prefix+path, h.admin, nil)
		if p := a.problem(t); a.status != http.StatusConflict || !strings.Contains(p.Detail, "Office") {
			t.Errorf("DELETE %s: %+v", path, p)
		}
	}
	for path, status := range map[string]int{
		"/images/debian?force=yes": http.StatusBadRequest, "/images/none": http.StatusNotFound, "/images/none/1?force=true": http.StatusNotFound,
	} {
		if a := h.ask("DELETE", rest.Prefix+path, h.admin, nil); a.status != status {
			t.Errorf("DELETE %s: status %d", path, a.status)
		}
	}
	h.must("GET", "/images/debian/1", h.admin, nil, nil)
	h.must("DELETE", "/images/spare", h.admin, nil, nil)
	h.must("DELETE", "/images/debian?force=true", h.admin, nil, nil)
	var records rest.List[rest.AuditRecord]
	h.must("GET", "/audit?limit=1", h.admin, nil, &records)
	if r := records.Items[0]; r.Action != "image.delete" || !strings.Contains(r.Detail, "forced, used by Office") {
		t.Errorf("the audit log says %+v", r)
	}
}

// TestImagesAndWhoUsesThem: lists, the image and the preview of a deletion
// agree on sizes and on who uses what.
func TestImagesAndWhoUsesThem(t *testing.T) {
	h := newHarness(t)
	pushImage(t, h, "Debian")
	pushImage(t, h, "spare")
	// The workspace writes the name as it likes.
	made, err := h.client(h.admin).CreateWorkspace(t.Context(), []byte(document), "")
	if err != nil {
		t.Fatal(err)
	}
	var all rest.List[rest.Image]
	h.must("GET", "/images", h.admin, nil, &all)
	if len(all.Items) != 2 || all.Items[0].Name != "Debian" {
		t.Fatalf("images are %+v", all.Items)
	}
	one := all.Items[0]
	use := rest.ImageUse{Workspace: made.ID, Name: "Office", Number: 1}
	if len(one.UsedBy) != 1 || one.UsedBy[0] != use || len(all.Items[1].UsedBy) != 0 {
		t.Errorf("used by %+v and %+v", one.UsedBy, all.Items[1].UsedBy)
	}
	v := one.Versions[0]
	if one.Stored <= 0 || one.Stored != v.Stored || one.Saved != 0 || v.Machines != -1 || v.Publisher == "" {
		t.Errorf("the image is %+v", one)
	}
	var shown rest.Image
	h.must("GET", "/images/debian", h.admin, nil, &shown)
	if v := shown.Versions[0]; v.Machines != 0 || v.Clients != 0 || v.Unique != one.Unique {
		t.Errorf("the version is %+v", v)
	}
	for path, want := range map[string]rest.ImageDeletion{
		"/images/debian/deletion":           {Numbers: []int{1}, Frees: one.Unique, UsedBy: []rest.ImageUse{use}},
		"/images/DEBIAN/deletion?numbers=1": {Numbers: []int{1}, Frees: one.Unique, UsedBy: []rest.ImageUse{use}},
		"/images/spare/deletion":            {Numbers: []int{1}, Frees: all.Items[1].Unique, UsedBy: []rest.ImageUse{}},
	} {
		var got rest.ImageDeletion
		h.must("GET", path, h.admin, nil, &got)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", path, d)
		}
	}
	for path, status := range map[string]int{
		"/images/none/deletion": http.StatusNotFound, "/images/debian/deletion?numbers=2": http.StatusNotFound,
		"/machines?image=" + string(v.Image): http.StatusOK,
		"/images/debian/deletion?numbers=0":  http.StatusBadRequest, "/images/debian/deletion?numbers=1,x": http.StatusBadRequest,
		"/images/debian/deletion?numbers=" + strings.Repeat("1,", 1000) + "1": http.StatusBadRequest,
	} {
		if a := h.ask("GET", rest.Prefix+path, h.admin, nil); a.status != status {
			t.Errorf("GET %.60s: status %d", path, a.status)
		}
	}
}

// TestMessagesNameWhatIsMissing.
func TestMessagesNameWhatIsMissing(t *testing.T) {
	h := newHarness(t)
	made, err := h.client(h.admin).CreateWorkspace(t.Context(), []byte(document), "")
	if err != nil {
		t.Fatal(err)
	}
	workspace := "/workspaces/" + string(made.ID)
	for _, c := range []struct {
		method, path string
		body         any
		want         string
	}{
		{"PUT", "/operators", rest.SetOperator{Kind: "user", Name: "carol", Role: "full"}, `user "carol" of directory local`},
		{"PUT", "/operators", rest.SetOperator{Kind: "group", Name: "staff", Role: "full"}, `group "staff" of directory local`},
		{"POST", "/directory/users", rest.NewUser{Name: "reader"}, `user "reader": already exists`},
		{"GET", workspace + "/revisions/7", nil, "revision 7 of workspace " + string(made.ID)},
		{"GET", "/workspaces?name=Lab", nil, `workspace "Lab": not found`},
		{"POST", "/workspaces", document, `workspace "Office": already exists`},
		{"POST", "/workspaces", strings.Replace(document, "name: reader", "name: carol", 1), `there is no user "carol" in directory local`},
		{"POST", "/workspaces", strings.Replace(document, "name: reader", "name: reader\n    directory: corp", 1), `"corp" is not a directory of this instance`},
	} {
		a := h.ask(c.method, rest.Prefix+c.path, h.admin, c.body)
		if p := a.problem(t); a.status < 400 || !strings.Contains(string(a.body), strings.ReplaceAll(c.want, `"`, `\"`)) {
			t.Errorf("%s %s: %+v, expected %s", c.method, c.path, p, c.want)
		}
	}
}
