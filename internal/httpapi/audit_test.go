package httpapi_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/httpapi"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/imagepack/packtest"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

const document = "apiVersion: dormer/v1\nkind: Workspace\nmetadata:\n  name: Office\nspec:\n  machine:\n    image:\n      name: debian\ngrants:\n- principal:\n    kind: user\n    name: reader\n"

// pushImage pushes a small image and returns its name.
func pushImage(t *testing.T, h *harness, name string) {
	t.Helper()
	c := h.client(h.admin)
	signer, err := seal.SigningKeyFromSeed(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.AddPublisher(t.Context(), rest.NewPublisher{Name: "publisher " + name, Key: signer.Public()}); err != nil && !strings.Contains(err.Error(), "exists") {
		t.Fatal(err)
	}
	packed := packtest.Pack(t, packtest.NewDisk(1, 8<<20), imagepack.Options{Signer: signer})
	envelope, err := seal.ParseEnvelope(packed.Envelope)
	if err != nil {
		t.Fatal(err)
	}
	push, err := c.BeginPush(t.Context(), rest.NewPush{Name: name, Manifest: envelope})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range push.Missing {
		f, err := packed.Open(o.Name)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.PutObject(t.Context(), push.ID, o, f); err != nil { // closes f
			t.Fatal(err)
		}
	}
	if missing, err := c.Missing(t.Context(), push.ID); err != nil || len(missing) != 0 {
		t.Fatalf("after the push %d objects are missing (%v)", len(missing), err)
	}
	if _, err := c.CommitPush(t.Context(), push.ID, 0); err != nil {
		t.Fatal(err)
	}
}

// enrol makes a client and returns its identity.
func enrol(t *testing.T, h *harness) dormer.ClientID {
	t.Helper()
	var token rest.JoinTokenCreated
	h.must("POST", "/join-tokens", h.admin, rest.NewJoinToken{Name: "test", Managed: true}, &token)
	parts := strings.Split(token.Token, ".")
	url, err := base64.RawURLEncoding.DecodeString(parts[1])
	if parts[0] != "dormer1" || string(url) != "http://dormer.example.com" || parts[2] != "system" || err != nil {
		t.Fatalf("join token names %q and %q", url, parts[2])
	}
	key, err := seal.NewFileKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := seal.MarshalClientPublic(key)
	if err != nil {
		t.Fatal(err)
	}
	a := h.ask("POST", wire.PathEnrol, "", wire.EnrolRequest{
		Protocol: wire.ProtocolVersion, Secret: parts[3], PublicKey: public, Managed: true,
		Host: wire.Host{Name: "pc1", OS: "linux", Arch: "amd64", MemoryMiB: 4096, Processors: 2}, AgentVersion: "1",
	})
	if a.status != http.StatusOK {
		t.Fatalf("enrol: status %d: %s", a.status, a.body)
	}
	var all rest.List[rest.Client]
	h.must("GET", "/clients", h.admin, nil, &all)
	if len(all.Items) != 1 || all.Items[0].Host.Name != "pc1" {
		t.Fatalf("clients: %+v", all.Items)
	}
	return all.Items[0].ID
}

// TestEveryChangeIsAudited makes each change of the route table once and looks
// at the record that it leaves. A route without a step here fails the test.
func TestEveryChangeIsAudited(t *testing.T) {
	h := newHarness(t)
	client := string(enrol(t, h))
	pushImage(t, h, "debian")
	pushImage(t, h, "other")
	packed := packtest.Pack(t, packtest.NewDisk(2, 1<<20), imagepack.Options{Signer: func() *seal.SigningKey {
		k, err := seal.SigningKeyFromSeed(make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}()})
	envelope, err := seal.ParseEnvelope(packed.Envelope)
	if err != nil {
		t.Fatal(err)
	}
	var (
		user   rest.UserCreated
		group  rest.Group
		office rest.Committed
		join   rest.JoinTokenCreated
		push   rest.Push
		key    rest.Publisher
		token  rest.APITokenCreated
		order  rest.Order
	)
	session := h.signIn("admin", adminPassword)
	steps := []struct {
		route, action string
		path          func() string
		body          any
		headers       func() []string
		out           any
	}{
		{route: "POST /sessions", action: "session.open", body: rest.SignIn{User: "admin", Password: adminPassword}},
		{route: "DELETE /sessions/current", action: "session.end"},
		{route: "POST /workspaces", action: "workspace.create", body: document, out: &office},
		{
			route: "PUT /workspaces/{id}", action: "workspace.commit", body: strings.Replace(document, "name: Office", "name: Office\n  description: of the third floor", 1), out: &office,
			path: func() string { return "/workspaces/" + string(office.ID) }, headers: func() []string { return []string{"If-Match", `"` + office.ETag + `"`} },
		},
		{
			route: "POST /workspaces/{id}/rename", action: "workspace.rename", body: rest.Rename{Name: "Bureau"}, out: &office,
			path: func() string { return "/workspaces/" + string(office.ID) + "/rename" }, headers: func() []string { return []string{"If-Match", `"` + office.ETag + `"`} },
		},
		{
			route: "POST /workspaces/{id}/clone", action: "workspace.clone", body: rest.Clone{},
			path: func() string { return "/workspaces/" + string(office.ID) + "/clone" },
		},
		{
			route: "DELETE /workspaces/{id}", action: "workspace.delete",
			path: func() string { return "/workspaces/" + string(office.ID) }, headers: func() []string { return []string{"If-Match", `"` + office.ETag + `"`} },
		},
		{route: "POST /directory/users", action: "user.create", body: rest.NewUser{Name: "carol"}, out: &user},
		{route: "PATCH /directory/users/{id}", action: "user.change", body: `{"display_name":"Carol"}`, path: func() string { return "/directory/users/" + user.ID }},
		{route: "POST /directory/users/{id}/password", action: "user.password", body: rest.SetPassword{}, path: func() string { return "/directory/users/" + user.ID + "/password" }},
		{route: "POST /directory/groups", action: "group.create", body: rest.NewGroup{Name: "staff"}, out: &group},
		{route: "PUT /directory/groups/{id}/members/{kind}/{member}", action: "group.add-member", path: func() string { return "/directory/groups/" + group.ID + "/members/user/" + user.ID }},
		{route: "DELETE /directory/groups/{id}/members/{kind}/{member}", action: "group.remove-member", path: func() string { return "/directory/groups/" + group.ID + "/members/user/" + user.ID }},
		{route: "DELETE /directory/groups/{id}", action: "group.delete", path: func() string { return "/directory/groups/" + group.ID }},
		{route: "DELETE /directory/users/{id}", action: "user.delete", path: func() string { return "/directory/users/" + user.ID }},
		{route: "PUT /operators", action: "operator.set", body: rest.SetOperator{Kind: "user", Name: "nobody", Role: "full"}},
		{route: "POST /sessions/end", action: "session.end-all", body: rest.EndSessions{User: `LOCAL\nobody`}},
		{route: "POST /api-tokens", action: "api-token.create", body: rest.NewAPIToken{Name: "x", Role: "full"}, out: &token},
		{route: "DELETE /api-tokens/{id}", action: "api-token.revoke", path: func() string { return "/api-tokens/" + token.ID }},
		{route: "POST /join-tokens", action: "join-token.create", body: rest.NewJoinToken{Name: "x", Unmanaged: true}, out: &join},
		{route: "DELETE /join-tokens/{id}", action: "join-token.revoke", path: func() string { return "/join-tokens/" + join.ID }},
		{route: "POST /clients/{id}/orders", action: "client.order", body: rest.NewOrder{Kind: "refresh"}, out: &order, path: func() string { return "/clients/" + client + "/orders" }},
		{route: "DELETE /diagnostics/{id}", action: "diagnostics.delete", path: func() string { return "/diagnostics/" + keepDiagnostics(t, h, client) }},
		{route: "DELETE /orders/{id}", action: "client.withdraw-order", path: func() string { return "/orders/" + order.ID }},
		{route: "PUT /secrets/{name}", action: "secret.set", body: rest.NewSecret{Value: "open sesame"}, path: func() string { return "/secrets/join.corp" }},
		{route: "DELETE /secrets/{name}", action: "secret.delete", path: func() string { return "/secrets/join.corp" }},
		{route: "POST /deletions/confirm", action: "deletions.confirm", body: rest.ConfirmDeletions{Count: 1}, path: func() string {
			haltDeletion(t, h)
			return "/deletions/confirm"
		}},
		{route: "POST /alerts/{id}/acknowledge", action: "alert.acknowledge", body: rest.AcknowledgeAlert{Note: "looking"}, path: func() string {
			raiseAlerts(t, h, 2)
			var l rest.List[rest.Alert]
			h.must("GET", "/alerts", h.admin, nil, &l)
			return fmt.Sprintf("/alerts/%d/acknowledge", l.Items[0].ID)
		}},
		{route: "PUT /alert-rules/{name}", action: "alert-rule.set", path: func() string { return "/alert-rules/full" }, body: rest.AlertRule{
			Name: "full", Enabled: true, Severity: dormer.Error, Text: "full", ClearAfter: "5m", State: &rest.AlertState{Observed: "disk_used", Comparison: "above", Value: 99},
		}},
		{route: "DELETE /alert-rules/{name}", action: "alert-rule.delete", path: func() string { return "/alert-rules/full" }},
		{route: "POST /clients/{id}/revoke", action: "client.revoke", path: func() string { return "/clients/" + client + "/revoke" }},
		{route: "POST /image-pushes", action: "image.push", body: rest.NewPush{Name: "third", Manifest: envelope}, out: &push},
		{route: "POST /image-pushes/{push}/commit", action: "image.commit", body: rest.CommitPush{}, path: func() string {
			for _, o := range push.Missing {
				b, err := readObject(packed, o.Name)
				if err != nil {
					t.Fatal(err)
				}
				h.must("PUT", "/image-pushes/"+push.ID+"/objects/"+o.Name, h.admin, b, nil)
			}
			return "/image-pushes/" + push.ID + "/commit"
		}},
		{route: "DELETE /images/{name}/{number}", action: "image.delete", path: func() string { return "/images/debian/1?force=true" }},
		{route: "DELETE /images/{name}", action: "image.delete", path: func() string { return "/images/other" }},
		{
			route: "PUT /reports/saved/{name}", action: "report.save", body: rest.SaveReport{Report: "errors", Query: rest.ReportQuery{Days: 3}},
			path: func() string { return "/reports/saved/of%20today" },
		},
		{route: "DELETE /reports/saved/{name}", action: "report.delete", path: func() string { return "/reports/saved/of%20today" }},
		{route: "POST /publishers", action: "publisher.add", body: rest.NewPublisher{Name: "bob", Key: ed25519.PublicKey(make([]byte, 32))}, out: &key},
		{route: "DELETE /publishers/{id}", action: "publisher.remove", path: func() string { return "/publishers/" + string(key.ID) }},
	}
	done := map[string]bool{}
	for _, s := range steps {
		done[s.route] = true
		method, path, _ := strings.Cut(s.route, " ")
		if s.path != nil {
			path = s.path()
		}
		var headers []string
		if s.headers != nil {
			headers = s.headers()
		}
		token := h.admin
		if s.route == "DELETE /sessions/current" {
			token = session
		}
		a := h.must(method, path, token, s.body, s.out, headers...)
		var records rest.List[rest.AuditRecord]
		h.must("GET", "/audit?limit=1", h.admin, nil, &records)
		got := records.Items[0]
		if got.Action != s.action || got.Who != "admin" || got.Request != a.header.Get("Dormer-Request") || got.Remote != "127.0.0.1" || got.Object == "" {
			t.Errorf("%s left the record %+v, expected %s by admin", s.route, got, s.action)
		}
	}
	for _, r := range httpapi.Routes() {
		elsewhere := r.Proof != "" && r.Proof != access.MethodPassword // proofs_test.go looks at their records
		if r.Audited && !elsewhere && !done[r.Method+" "+r.Path] {
			t.Errorf("%s %s: no step of this test makes that change", r.Method, r.Path)
		}
	}
	// Secrets that are read are recorded too.
	h.must("GET", "/image-key", h.admin, nil, nil)
	var records rest.List[rest.AuditRecord]
	h.must("GET", "/audit?limit=1", h.admin, nil, &records)
	if records.Items[0].Action != "image-key.read" {
		t.Errorf("reading the key left %+v", records.Items[0])
	}
}

func readObject(p *imagepack.Packed, name string) ([]byte, error) {
	f, err := p.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return os.ReadFile(f.Name())
}
