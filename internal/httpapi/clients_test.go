package httpapi_test

import (
	"crypto/rand"
	"errors"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// TestClientLists: what selects clients, counts them and orders them to do
// something, as the console and the command line ask it.
func TestClientLists(t *testing.T) {
	h := newHarness(t)
	id := enrol(t, h)
	list := func(query string) rest.ClientList {
		t.Helper()
		var l rest.ClientList
		h.must("GET", "/clients"+query, h.reader, nil, &l)
		return l
	}
	for query, want := range map[string]int{
		"": 1, "?search=PC": 1, "?search=pc2": 0, "?search=" + string(id): 1, "?state=online&sort=last-seen&descending=true": 1,
		"?state=never-seen": 0, "?state=running": 0, "?version=1": 1, "?version=2": 0, "?limit=1": 1,
	} {
		if l := list(query); l.Total != want || len(l.Items) != want {
			t.Errorf("%s: %d of %d clients, want %d", query, len(l.Items), l.Total, want)
		}
	}
	if l := list("?offset=1&limit=5"); l.Total != 1 || len(l.Items) != 0 {
		t.Errorf("beyond the end: %+v", l)
	}
	for query, field := range map[string]string{"?state=x": "state", "?sort=x": "sort", "?limit=1001": "limit", "?offset=-1": "offset", "?descending=1": "descending", "?search=" + strings.Repeat("x", 201): "search"} {
		if a := h.ask("GET", rest.Prefix+"/clients"+query, h.reader, nil); a.status != http.StatusBadRequest || !strings.Contains(string(a.body), `"path":"`+field+`"`) {
			t.Errorf("%s: status %d: %s", query, a.status, a.body)
		}
	}
	var f rest.ClientFigures
	h.must("GET", "/client-figures", h.reader, nil, &f)
	if f.Active != 1 || f.NeverSeen != 0 || f.Offline != 0 || f.Online != 1 || len(f.Versions) != 1 || f.OnlineWithinSeconds < 10 {
		t.Errorf("figures %+v", f)
	}
	var one rest.Client
	h.must("GET", "/clients/"+string(id), h.reader, nil, &one)
	if !one.Online || one.BeyondLimit || one.KeyFingerprint == "" {
		t.Errorf("client %+v", one)
	}

	order := func(o rest.NewOrder) rest.Order {
		t.Helper()
		var out rest.Order
		h.must("POST", "/clients/"+string(id)+"/orders", h.admin, o, &out)
		return out
	}
	refresh := order(rest.NewOrder{Kind: "refresh"})
	stop := order(rest.NewOrder{Kind: "stop", Reason: "maintenance", Grace: new(int64(60))})
	orders := func(query string) []rest.Order {
		t.Helper()
		var l rest.List[rest.Order]
		h.must("GET", "/orders"+query, h.reader, nil, &l)
		return l.Items
	}
	got := orders("?client=" + string(id) + "&waiting=true")
	if len(got) != 2 || got[0].ID != stop.ID || got[0].State != "waiting" || got[0].By != "admin" || *got[0].Grace != 60 || got[1].ID != refresh.ID {
		t.Fatalf("orders %+v", got)
	}
	var withdrawn rest.Order
	h.must("DELETE", "/orders/"+stop.ID, h.admin, nil, &withdrawn)
	if withdrawn.State != "withdrawn" || withdrawn.Error != "withdrawn by admin" || withdrawn.Done == nil {
		t.Errorf("withdrawn is %+v", withdrawn)
	}
	if a := h.ask("DELETE", rest.Prefix+"/orders/"+stop.ID, h.admin, nil); a.status != http.StatusConflict {
		t.Errorf("again: status %d: %s", a.status, a.body)
	}
	if got := orders("?waiting=true"); len(got) != 1 || got[0].ID != refresh.ID {
		t.Errorf("orders %+v", got)
	}
	if got := orders("?client=aaaaaaaaaaaaaaaaaaaaaaaaaa"); len(got) != 0 {
		t.Errorf("orders of another %+v", got)
	}
	archive := keepDiagnostics(t, h, string(id))
	var kept rest.List[rest.Diagnostics]
	h.must("GET", "/diagnostics?client="+string(id), h.reader, nil, &kept)
	if len(kept.Items) != 1 || kept.Items[0].ID != archive || kept.Items[0].Bytes != 3 || !kept.Items[0].Expires.After(kept.Items[0].Received) {
		t.Fatalf("diagnostics %+v", kept)
	}
	if a := h.must("GET", "/diagnostics/"+archive, h.reader, nil, nil); string(a.body) != "\x1f\x8bx" {
		t.Errorf("archive is %q", a.body)
	}
	if a := h.ask("DELETE", rest.Prefix+"/diagnostics/"+archive, h.reader, nil); a.status != http.StatusForbidden {
		t.Errorf("a read-only operator deletes diagnostics: status %d", a.status)
	}
	for field, o := range map[string]rest.NewOrder{
		"machine": {Kind: "reset", Reason: "broken"}, "kind": {Kind: "burn", Reason: "x"},
		"grace": {Kind: "diagnostics", Grace: new(int64(5))}, "reason": {Kind: "stop"},
	} {
		if a := h.ask("POST", rest.Prefix+"/clients/"+string(id)+"/orders", h.admin, o); a.status != http.StatusBadRequest || !strings.Contains(string(a.body), `"path":"`+field) {
			t.Errorf("%+v: status %d: %s", o, a.status, a.body)
		}
	}
}

// keepDiagnostics puts an archive of a client into the database of the server.
func keepDiagnostics(t *testing.T, h *harness, client string) string {
	t.Helper()
	state, err := store.OpenState(t.Context(), "sqlite:"+filepath.Join(h.data, "state.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	id, err := dormer.NewID(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d := lease.Diagnostics{ID: id, Client: dormer.ClientID(client), Order: id, Received: time.Now().UTC()}
	if err := state.KeepDiagnostics(t.Context(), d, []byte("\x1f\x8bx")); err != nil {
		t.Fatal(err)
	}
	return id
}

// TestMachineLists: machines are listed and counted by what they are of, and a
// list that is cut says how many there are.
func TestMachineLists(t *testing.T) {
	h := newHarness(t)
	made, err := h.client(h.admin).CreateWorkspace(t.Context(), []byte(document), "")
	if err != nil {
		t.Fatal(err)
	}
	pushImage(t, h, "debian")
	var image rest.Image
	h.must("GET", "/images/debian", h.admin, nil, &image)
	state, err := store.OpenState(t.Context(), "sqlite:"+filepath.Join(h.data, "state.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	for n, client := range []dormer.ClientID{"c1", "c1", "c2"} {
		m := lease.Machine{
			ID: dormer.MachineID("m" + strconv.Itoa(n)), Client: client, Workspace: made.ID, Created: time.Unix(int64(n), 0),
			User: dormer.Principal{Directory: dormer.EmbeddedDirectory, Kind: dormer.KindUser, Key: strconv.Itoa(n), Name: "anna"},
		}
		_, err := state.EnsureMachine(t.Context(), m)
		r := lease.Report{Machine: m.ID, State: []string{"running", "ready", "running"}[n], Time: time.Now()}
		if n != 1 {
			r.Image = image.Versions[0].Image
		}
		if err := errors.Join(err, state.FlushReports(t.Context(), []lease.Report{r})); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string][]int{
		"": {3, 3}, "?client=c1": {2, 2}, "?image=" + string(image.Versions[0].Image): {2, 2}, "?limit=1": {1, 3},
		"?limit=1&image=" + string(image.Versions[0].Image): {1, 2}, "?client=c3": {0, 0},
	} {
		var got rest.MachineList
		h.must("GET", "/machines"+query, h.reader, nil, &got)
		if len(got.Items) != want[0] || got.Total != want[1] {
			t.Errorf("%s: %d of %d machines, want %v", query, len(got.Items), got.Total, want)
		}
	}
	if a := h.ask("GET", rest.Prefix+"/machines?limit=1001", h.reader, nil); a.status != http.StatusBadRequest {
		t.Errorf("too many: status %d", a.status)
	}
	h.must("GET", "/images/debian", h.reader, nil, &image)
	if v := image.Versions[0]; v.Machines != 2 || v.Clients != 2 {
		t.Errorf("the version is run by %d machines on %d clients", v.Machines, v.Clients)
	}
	var deletion rest.ImageDeletion
	h.must("GET", "/images/debian/deletion", h.reader, nil, &deletion)
	if deletion.Machines != 2 || deletion.Clients != 2 {
		t.Errorf("its deletion concerns %+v", deletion)
	}
	workspaces, err := h.client(h.reader).WorkspacesWithFigures(t.Context())
	if err != nil || len(workspaces) != 1 {
		t.Fatalf("workspaces are %+v, %v", workspaces, err)
	}
	if f := workspaces[0].Figures; f.Machines != 3 || f.Running != 2 || f.Clients != 2 {
		t.Errorf("the workspace comes to %+v", f)
	}
}
