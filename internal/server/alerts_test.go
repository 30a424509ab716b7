package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/alert"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/forward"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire"
)

// hook is a web service that takes events; it checks their signatures.
type hook struct {
	*httptest.Server
	t      *testing.T
	secret string // file
	events chan event.Row
}

func newHook(t *testing.T) *hook {
	t.Helper()
	const text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	h := &hook{t: t, secret: filepath.Join(t.TempDir(), "secret"), events: make(chan event.Row, 10_000)}
	if err := os.WriteFile(h.secret, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := forward.ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	h.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if r.Header.Get("Webhook-Signature") != "v1,"+forward.Sign(key, r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp"), body) {
			t.Error("the signature is wrong")
		}
		var in struct{ Data struct{ Events []event.Row } }
		if err := json.Unmarshal(body, &in); err != nil {
			t.Error(err)
		}
		for _, e := range in.Data.Events {
			h.events <- e
		}
	}))
	t.Cleanup(h.Close)
	return h
}

// gets waits for an event of a code.
func (h *hook) gets(code event.Code) event.Row {
	h.t.Helper()
	late := time.NewTimer(time.Minute)
	defer late.Stop()
	for {
		select {
		case e := <-h.events:
			if e.Code == int(code) {
				return e
			}
		case <-late.C:
			h.t.Fatalf("event %d did not arrive", code)
		}
	}
}

// TestAlertsForwarded lets a client fail until an alert is raised: a web service
// is told of the failures, of the alert, and of what becomes of it.
func TestAlertsForwarded(t *testing.T) {
	h := newHook(t)
	s, err := testServer(t, func(c *Config) {
		c.Forward.Webhooks = []WebhookConfig{{Name: "pager", URL: h.URL + "/x", SecretFile: h.secret, Severities: []string{"error"}}}
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Background(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	// A rule of our own also shows that both have begun to follow.
	rule := alert.Rule{
		Name: "nobody", Enabled: true, Severity: dormer.Warning, Text: "{value} on-line", ClearAfter: "1m",
		State: &alert.StateCondition{Observed: alert.ClientsConnected, Comparison: alert.Below, Value: 1},
	}
	if err := s.alerts.SetRule(ctx, rule, "admin"); err != nil {
		t.Fatal(err)
	}
	if e := h.gets(event.AlertRaised); !strings.HasSuffix(e.Description, "nobody: 0 on-line") || e.Host != s.deps.Hostname {
		t.Errorf("%+v", e)
	}
	var events []wire.NumberedEvent
	for i := range 20 {
		e := event.New(event.WorkspaceFailed, time.Now(), "")
		e.Host = "pc1"
		events = append(events, wire.NumberedEvent{Sequence: uint64(i + 1), Event: e})
	}
	if _, err := s.ingester.Submit(ctx, event.Batch{Instance: s.instance, Client: "c", Journal: "j", Events: events}); err != nil {
		t.Fatal(err)
	}
	if e := h.gets(event.WorkspaceFailed); e.Client != "c" || e.Host != "pc1" {
		t.Errorf("%+v", e)
	}
	if e := h.gets(event.AlertRaised); !strings.HasSuffix(e.Description, "errors-of-one-client: 20 errors of client pc1 within 10m") {
		t.Errorf("%+v", e)
	}
	// The computer of the test may have a full disk.
	if open, err := s.countAlerts(ctx); err != nil || open[dormer.Warning] != 2 {
		t.Errorf("open alerts: %v, %v", open, err)
	}
	list, err := s.alerts.Alerts(ctx, alert.Query{Open: true, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.alerts.Acknowledge(ctx, list[0].ID, "anna", "looking"); err != nil {
		t.Fatal(err)
	}
	if e := h.gets(event.AlertAcknowledged); !strings.HasSuffix(e.Description, "by anna: looking") {
		t.Errorf("%+v", e)
	}
	if err := s.alerts.DeleteRule(ctx, "nobody"); err != nil {
		t.Fatal(err)
	}
	h.gets(event.AlertCleared)
}

func TestObservations(t *testing.T) {
	now := time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)
	o := Observed{
		At: now,
		Disks: []ObservedDisk{
			{Name: "data", Free: 25, Total: 100, system: unix.Fsid{Val: [2]int32{1}}},
			{Name: "same", Free: 25, Total: 100, system: unix.Fsid{Val: [2]int32{1}}},
			{Name: "other", Free: 10, Total: 100, system: unix.Fsid{Val: [2]int32{2}}},
			{Name: "repository", Problem: "gone"},
		},
		Databases:    []ObservedDatabase{{Name: "state", Up: true, Bytes: 1 << 30}, {Name: "events", Up: true, Bytes: 3 << 29}},
		Certificates: []ObservedCertificate{{Name: "server", Ends: now.Add(50 * time.Hour)}, {Name: "new"}},
		Clients: ObservedClients{At: now, ClientCounts: store.ClientCounts{
			Online: 7, BeyondLimit: 1, Beyond: []store.AwayClient{{ID: "c", Host: "pc1"}},
		}},
		Ingest:      event.Stats{Queued: 5, QueueLimit: 20, Away: true},
		Standby:     ObservedStandby{Configured: true, Lag: 90 * time.Second},
		Directories: []ObservedDirectory{{Name: "corp", Problem: "no answer"}},
	}
	var got []string
	for _, x := range observations(o) {
		got = append(got, fmt.Sprintf("%s %s %s %g", x.Kind, x.Subject, x.Shown, x.Value))
	}
	want := []string{
		"disk_used data  75", "disk_used other  90", "database_away state  0", "database_size state  1", "database_away events  1", "database_size events  1.5",
		"certificate_days server  2", "client_offline_beyond_limit c pc1 1", "clients_connected clients  7", "replica_behind replica  90",
		"directory_away corp  1", "events_waiting queue  25",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("observations (-want +got):\n%s", diff)
	}
}

// TestForwardTest sends to every receiver and names those that do not take it.
func TestForwardTest(t *testing.T) {
	h := newHook(t)
	file := filepath.Join(t.TempDir(), "dormerd.toml")
	run := func(config string) (string, error) {
		t.Helper()
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		old := unix.Umask(0o077) // the program sets it
		t.Cleanup(func() { unix.Umask(old) })
		c := Command("1.2.3", strings.NewReader(""), &out, &out)
		c.SetArgs([]string{"forward", "test", "--config", file})
		err := c.ExecuteContext(t.Context())
		return out.String(), err
	}
	hook := func(name, url string) string {
		return fmt.Sprintf("[[forward.webhooks]]\nname = %q\nurl = %q\nsecret_file = %q\n", name, url, h.secret)
	}
	if out, err := run(""); err != nil || !strings.Contains(out, "no receiver") {
		t.Errorf("without receivers: %q, %v", out, err)
	}
	if out, err := run(hook("pager", h.URL)); err != nil || out != "pager: sent\n" {
		t.Errorf("%q, %v", out, err)
	}
	if e := h.gets(event.ForwardTest); e.ClientVersion != "1.2.3" || !strings.HasPrefix(e.Description, "Test of forwarding: from ") {
		t.Errorf("%+v", e)
	}
	out, err := run(hook("nobody", "http://127.0.0.1:1/?key=hunter2") + hook("pager", h.URL))
	if err == nil || !strings.HasPrefix(err.Error(), "nobody: ") || strings.Contains(err.Error(), "hunter2") || out != "pager: sent\n" {
		t.Errorf("one is away: %q, %v", out, err)
	}
	if err := os.Chmod(h.secret, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := run(hook("pager", h.URL)); err == nil || !strings.Contains(err.Error(), "forward.webhooks[0].secret_file") {
		t.Errorf("a secret for everybody to read: %v", err)
	}
}
