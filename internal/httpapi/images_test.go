package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

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
