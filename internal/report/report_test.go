package report_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/export"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/report"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/store/fresh"
	"github.com/dormer-project/dormer/internal/wire"
)

var now = time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

const day = 24 * time.Hour

// fixture is an instance with four clients: in use, off-line for a day,
// without users, and forgotten for a month.
func fixture(t *testing.T) (*store.State, *store.Events) {
	t.Helper()
	ctx := t.Context()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	fresh.Lay(t, dir)
	state, err := store.OpenState(ctx, "sqlite:"+filepath.Join(dir, fresh.StateFile), store.Options{})
	check(err)
	events, err := store.OpenEvents(ctx, "sqlite:"+filepath.Join(dir, fresh.EventsFile), store.Options{})
	check(err)
	t.Cleanup(func() {
		if err := errors.Join(state.Close(), events.Close()); err != nil {
			t.Error(err)
		}
	})
	check(state.CreateJoinToken(ctx, enroll.JoinToken{ID: "t", MaxUses: 9, Expires: now, Created: now}))
	for id, seen := range map[string]time.Duration{"used": time.Minute, "offline": day, "empty": 2 * time.Minute, "forgotten": 30 * day} {
		host := wire.Host{Name: "PC-" + id}
		check(state.Enrol(ctx, [32]byte{}, enroll.Client{ID: dormer.ClientID(id), Host: host, Enrolled: ago(60 * day)}, func(enroll.JoinToken) error { return nil }))
		check(state.FlushSeen(ctx, []enroll.Seen{{Client: dormer.ClientID(id), Time: ago(seen), Host: host, AgentVersion: "1." + id}}))
	}
	_, err = state.Commit(ctx, catalog.Revision{Workspace: "w", Name: "Office", Document: []byte("{}"), Time: now}, "")
	check(err)
	for _, m := range []lease.Machine{
		{ID: "m1", Client: "used", User: person("Anna"), Workspace: "w", ComputerName: "PC1"},
		{ID: "m2", Client: "used", User: dormer.Principal{Directory: "CORP", Kind: dormer.KindUser, Key: "bert", Name: "bert"}, Workspace: "deleted", ComputerName: "PC2"},
		{ID: "m3", Client: "offline", User: person("Anna"), Workspace: "w", ComputerName: "PC3"},
		{ID: "m4", Client: "forgotten", User: person("Anna"), Workspace: "w", ComputerName: "PC4"},
	} {
		_, err := state.EnsureMachine(ctx, m)
		check(err)
	}
	for _, r := range []lease.Report{
		{Machine: "m1", State: "running", Image: "sha256:a", Guest: "GUEST1", Time: ago(time.Hour)},
		{Machine: "m1", State: "running", Image: "sha256:a", Guest: "GUEST1", Time: ago(time.Minute)},
		{Machine: "m3", State: "ready", Image: "sha256:b", Time: ago(day)},
	} {
		check(state.FlushReports(ctx, []lease.Report{r}))
	}
	for i, severity := range []dormer.Severity{dormer.Information, dormer.Error, dormer.Warning, dormer.Error} {
		_, err := events.AppendEvents(ctx, []event.Batch{{
			Instance: "i", Client: "used", Journal: "j", Received: ago(time.Duration(3-i) * 3 * day),
			Events: []wire.NumberedEvent{{Sequence: uint64(i + 1), Event: dormer.Event{
				Severity: severity, Description: string(rune('a' + i)), User: "Anna", Host: "PC-used", Time: now,
			}}},
		}})
		check(err)
	}
	return state, events
}

func person(name string) dormer.Principal {
	return dormer.Principal{Directory: "local", Kind: dormer.KindUser, Key: name, Name: name}
}

func reporter(t *testing.T) *report.Reporter {
	state, events := fixture(t)
	return report.New(report.Config{
		Instance: "i", State: state, Events: events.Reports(), Saved: state, Now: func() time.Time { return now },
		ImageName: func(id dormer.ImageID) string {
			if id == "sha256:a" {
				return "office/3"
			}
			return ""
		},
		LastSeen: func(c dormer.ClientID) time.Time {
			if c == "used" {
				return ago(time.Second)
			}
			return time.Time{}
		},
	})
}

// objects are the rows of a page as JSON says them.
func objects(t *testing.T, p report.Page) []string {
	t.Helper()
	columns := make([]export.Column, len(p.Columns))
	for i, c := range p.Columns {
		columns[i] = c.Column
	}
	var list []string
	for _, r := range p.Rows {
		o, err := export.Object(columns, r, p.Zone)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, string(o))
	}
	return list
}

// setups returns a reporter over events of first-time setups.
func setups(t *testing.T, _ *report.Reporter) *report.Reporter {
	t.Helper()
	state, events := fixture(t)
	var numbered []wire.NumberedEvent
	for i, e := range []struct {
		code   event.Code
		user   string
		detail string
	}{
		{event.SetupStarted, "Anna", ""},
		{event.SetupStarted, "bert", ""},
		{event.SetupFinished, "bert", ""},
		{event.SetupFailed, "Anna", "step 2 (Install): exit code 1"},
	} {
		v := event.New(e.code, now, e.detail)
		v.User, v.Host, v.Workspace, v.WorkspaceName = e.user, "PC-used", "w", "Office"
		numbered = append(numbered, wire.NumberedEvent{Sequence: uint64(i + 10), Event: v})
	}
	for i, n := range numbered {
		received := now
		if i == 1 || i == 2 {
			received = ago(time.Hour)
		}
		if _, err := events.AppendEvents(t.Context(), []event.Batch{{Instance: "i", Client: "used", Journal: "setup", Received: received, Events: []wire.NumberedEvent{n}}}); err != nil {
			t.Fatal(err)
		}
	}
	return report.New(report.Config{Instance: "i", State: state, Events: events.Reports(), Now: func() time.Time { return now }})
}

func page(t *testing.T, r *report.Reporter, kind report.Kind, q report.Query) report.Page {
	t.Helper()
	p, err := r.Page(t.Context(), kind, q)
	if err != nil {
		t.Fatalf("%s %+v: %v", kind, q, err)
	}
	return p
}

func TestStatus(t *testing.T) {
	r := reporter(t)
	want := []string{
		`{"time":"2026-05-10T11:59:59Z","user":"CORP\\bert","host":"PC-used","workspace":"deleted","guest":"PC2","connected":true,` +
			`"last_connected":"2026-05-10T11:59:59Z","client_version":"1.used","image":"unknown","client":"used","machine":"m2"}`,
		`{"time":"2026-05-10T11:59:59Z","user":"Anna","host":"PC-used","workspace":"Office","guest":"GUEST1","state":"running",` +
			`"started":"2026-05-10T11:00:00Z","connected":true,"last_connected":"2026-05-10T11:59:59Z","client_version":"1.used","policy_revision":1,` +
			`"image":"office/3","client":"used","machine":"m1"}`,
		`{"time":"2026-05-10T11:58:00Z","user":"SYSTEM","host":"PC-empty","connected":true,"last_connected":"2026-05-10T11:58:00Z",` +
			`"client_version":"1.empty","client":"empty"}`,
		`{"time":"2026-05-09T12:00:00Z","user":"Anna","host":"PC-offline","workspace":"Office","guest":"PC3","state":"ready",` +
			`"stopped":"2026-05-09T12:00:00Z","connected":false,"last_connected":"2026-05-09T12:00:00Z","client_version":"1.offline",` +
			`"policy_revision":1,"image":"sha256:b","client":"offline","machine":"m3"}`,
	}
	got := objects(t, page(t, r, report.Status, report.Query{}))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, test := range []struct {
		q    report.Query
		want int
	}{
		{report.Query{Days: 31}, 5},
		{report.Query{Days: 1, User: "ANNA"}, 2},
		{report.Query{User: "anna", Host: "USED"}, 1},
		{report.Query{User: "system"}, 1},
		{report.Query{User: `corp\b`}, 1},
		{report.Query{Host: "nowhere"}, 0},
		{report.Query{Limit: 2}, 2},
		{report.Query{Workspace: "office"}, 2},
		{report.Query{Workspace: "w"}, 2},
		{report.Query{Client: "used"}, 2},
		{report.Query{Since: "2026-05-10T11:58:30"}, 2},
		{report.Query{Since: "2026-05-10T11:58:30", Zone: "Europe/Berlin"}, 3},
		{report.Query{Until: "2026-05-09"}, 1},
	} {
		if p := page(t, r, report.Status, test.q); len(p.Rows) != test.want {
			t.Errorf("%+v: %d rows, want %d", test.q, len(p.Rows), test.want)
		}
	}
	groups := objects(t, page(t, r, report.Status, report.Query{Group: []string{"host", "connected"}, Sort: "host"}))
	if diff := cmp.Diff([]string{
		`{"host":"PC-empty","connected":true,"count":1,"first":"2026-05-10T11:58:00Z","last":"2026-05-10T11:58:00Z"}`,
		`{"host":"PC-offline","connected":false,"count":1,"first":"2026-05-09T12:00:00Z","last":"2026-05-09T12:00:00Z"}`,
		`{"host":"PC-used","connected":true,"count":2,"first":"2026-05-10T11:59:59Z","last":"2026-05-10T11:59:59Z"}`,
	}, groups); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

func TestEvents(t *testing.T) {
	r := reporter(t)
	for _, test := range []struct {
		name string
		kind report.Kind
		q    report.Query
		want string
	}{
		{"activity", report.Activity, report.Query{}, "dcb"},
		{"activity of ten days", report.Activity, report.Query{Days: 10}, "dcba"},
		{"errors", report.Errors, report.Query{}, "db"},
		{"of a user", report.Activity, report.Query{User: "ANN"}, "dcb"},
		{"of another", report.Activity, report.Query{User: "bert"}, ""},
		{"of a host", report.Errors, report.Query{Host: "pc-"}, "db"},
		{"two", report.Activity, report.Query{Limit: 2}, "dc"},
		{"warnings", report.Activity, report.Query{Severities: []string{"warning"}}, "c"},
		{"before today", report.Activity, report.Query{Until: "2026-05-09"}, "cb"},
		{"upwards", report.Activity, report.Query{Sort: "received"}, "bcd"},
		{"by severity", report.Activity, report.Query{Sort: "-severity"}, "dbc"},
		{"by description", report.Activity, report.Query{Sort: "description"}, "bcd"},
	} {
		got := ""
		for _, row := range page(t, r, test.kind, test.q).Rows {
			text, _ := row[9].(string)
			got += text
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	groups := objects(t, page(t, r, report.Activity, report.Query{Days: 10, Group: []string{"severity"}}))
	if diff := cmp.Diff([]string{
		`{"severity":"error","count":2,"first":"2026-05-04T12:00:00Z","last":"2026-05-10T12:00:00Z"}`,
		`{"severity":"warning","count":1,"first":"2026-05-07T12:00:00Z","last":"2026-05-07T12:00:00Z"}`,
		`{"severity":"information","count":1,"first":"2026-05-01T12:00:00Z","last":"2026-05-01T12:00:00Z"}`,
	}, groups); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

// TestPages: in every order of every report, pages by their cursors are the
// whole.
func TestPages(t *testing.T) {
	r := reporter(t)
	for _, kind := range report.Kinds() {
		for _, group := range [][]string{nil, {"host", "user"}} {
			columns := kind.Columns()
			if group != nil {
				columns = page(t, r, kind, report.Query{Days: 60, Group: group}).Columns
			}
			for _, c := range columns {
				for _, sign := range []string{"", "-"} {
					q := report.Query{Days: 60, Sort: sign + c.Name, Group: group}
					whole := objects(t, page(t, r, kind, q))
					q.Limit = 1
					var parts []string
					for {
						p := page(t, r, kind, q)
						parts = append(parts, objects(t, p)...)
						if q.After = p.Next; p.Next == "" || len(parts) > len(whole) {
							break
						}
					}
					if diff := cmp.Diff(whole, parts); diff != "" {
						t.Errorf("%s by %s grouped by %v: (-whole +parts):\n%s", kind, q.Sort, group, diff)
					}
				}
			}
		}
	}
}

func TestSetup(t *testing.T) {
	r := reporter(t)
	want := []string{
		`{"time":"2026-05-10T12:00:00Z","user":"Anna","host":"PC-used","workspace":"Office","result":"failed",` +
			`"step":"step 2 (Install): exit code 1","received":"2026-05-10T12:00:00Z","client":"used","instance":"i"}`,
		`{"time":"2026-05-10T12:00:00Z","user":"bert","host":"PC-used","workspace":"Office","result":"finished","received":"2026-05-10T11:00:00Z","client":"used","instance":"i"}`,
	}
	if diff := cmp.Diff(want, objects(t, page(t, setups(t, r), report.Setup, report.Query{Sort: "-received"}))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestQueryRefused(t *testing.T) {
	r := reporter(t)
	next := page(t, r, report.Activity, report.Query{Limit: 1}).Next
	for _, test := range []struct {
		kind  report.Kind
		q     report.Query
		field string
	}{
		{report.Status, report.Query{Days: -1}, "days"},
		{report.Status, report.Query{Days: report.MaxDays + 1}, "days"},
		{report.Activity, report.Query{Limit: -1}, "limit"},
		{report.Activity, report.Query{Limit: report.MaxLimit + 1}, "limit"},
		{report.Activity, report.Query{After: "x"}, "after"},
		{report.Activity, report.Query{After: next, Sort: "user"}, "after"},
		{report.Errors, report.Query{After: next}, "after"},
		{report.Activity, report.Query{After: base64.RawURLEncoding.EncodeToString([]byte(`{"o":"activity,-received","p":["x",1]}`))}, "after"},
		{report.Activity, report.Query{After: base64.RawURLEncoding.EncodeToString([]byte(`{"o":"activity,-received","p":[1.5,1]}`))}, "after"},
		{report.Activity, report.Query{After: base64.RawURLEncoding.EncodeToString([]byte(`{"o":"activity,-received","p":[1]}`))}, "after"},
		{report.Activity, report.Query{Sort: "nothing"}, "sort"},
		{report.Activity, report.Query{Columns: []string{"user", "user"}}, "columns"},
		{report.Activity, report.Query{Columns: []string{"user;"}}, "columns"},
		{report.Activity, report.Query{Group: []string{"nothing"}}, "group"},
		{report.Activity, report.Query{Group: []string{"count"}}, "group"},
		{report.Activity, report.Query{Group: []string{"user"}, Columns: []string{"user"}}, "columns"},
		{report.Activity, report.Query{Severities: []string{"fatal"}}, "severity"},
		{report.Errors, report.Query{Severities: []string{"warning"}}, "severity"},
		{report.Status, report.Query{Severities: []string{"warning"}}, "severity"},
		{report.Status, report.Query{Equal: map[string]string{"code": "503"}}, "equal"},
		{report.Status, report.Query{Equal: map[string]string{"connected": "maybe"}}, "equal"},
		{report.Activity, report.Query{Equal: map[string]string{"count": "1"}}, "equal"},
		{report.Activity, report.Query{Equal: map[string]string{"severity": "fatal"}}, "equal"},
		{report.Activity, report.Query{Equal: map[string]string{"code": "many"}}, "equal"},
		{report.Activity, report.Query{Equal: map[string]string{"received": "yesterday"}}, "equal"},
		{report.Activity, report.Query{Equal: map[string]string{"user": strings.Repeat("x", 9000)}}, "equal"},
		{report.Activity, report.Query{Zone: "Mars/Phobos"}, "tz"},
		{report.Activity, report.Query{Zone: "Local"}, "tz"},
		{report.Activity, report.Query{Since: "yesterday"}, "since"},
		{report.Activity, report.Query{Since: "2026-05-02", Until: "2026-05-01"}, "until"},
		{report.Activity, report.Query{Since: "2026-05-02", Days: 1}, "days"},
		{report.Activity, report.Query{Instances: []string{"all"}}, "instances"},
		{report.Activity, report.Query{Instances: []string{"x"}}, "instances"},
		{report.Status, report.Query{Instances: []string{"all"}}, "instances"},
		{report.Activity, report.Query{User: strings.Repeat("x", 257)}, "user"},
		{"everything", report.Query{}, "report"},
	} {
		_, err := r.Page(t.Context(), test.kind, test.q)
		var invalid *dormer.InvalidError
		if !errors.As(err, &invalid) || invalid.Fields[0].Path != test.field {
			t.Errorf("%s %+v: %v, want %s to be refused", test.kind, test.q, err, test.field)
		}
	}
}

// TestTooLong: a report that takes too long says how to narrow it.
func TestTooLong(t *testing.T) {
	state, events := fixture(t)
	r := report.New(report.Config{Instance: "i", State: state, Events: events.Reports(), PageTime: time.Nanosecond, Now: func() time.Time { return now }})
	for sort, field := range map[string]string{"": "days", "user": "sort"} {
		_, err := r.Page(t.Context(), report.Activity, report.Query{Sort: sort})
		var invalid *dormer.InvalidError
		if !errors.As(err, &invalid) || invalid.Fields[0].Path != field || !strings.Contains(err.Error(), "narrow it") {
			t.Errorf("by %q: %v", sort, err)
		}
	}
	// Who goes away is told nothing of that.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Page(ctx, report.Activity, report.Query{}); err == nil || errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("given up: %v", err)
	}
}

// TestExport: an export has all rows, whatever the pieces are that it is read
// in, and what its columns promise.
func TestExport(t *testing.T) {
	r := reporter(t)
	for _, test := range []struct {
		kind report.Kind
		q    report.Query
		want int
	}{
		{report.Activity, report.Query{Days: 10}, 4},
		{report.Activity, report.Query{Days: 10, Sort: "user"}, 4},
		{report.Activity, report.Query{Days: 10, Limit: 2}, 2},
		{report.Errors, report.Query{Days: 10}, 2},
		{report.Status, report.Query{Days: 60}, 5},
		{report.Activity, report.Query{Days: 10, Group: []string{"user"}}, 1},
	} {
		e, err := r.Export(test.kind, test.q)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := e.Rows(t.Context(), func(values []any) error {
			if n++; len(values) != len(e.Columns) {
				t.Errorf("%d values for %d columns", len(values), len(e.Columns))
			}
			return nil
		}); err != nil || n != test.want {
			t.Errorf("%s %+v: %d rows (%v), want %d", test.kind, test.q, n, err, test.want)
		}
	}
	if _, err := r.Export(report.Activity, report.Query{After: "x"}); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("an export after a row: %v", err)
	}
}

// FuzzQuery: no query makes a report panic, and a cursor is none of another
// order.
func FuzzQuery(f *testing.F) {
	f.Add("activity", "2026-05-01", "2026-05-02T10:00", "-user", "user,host", "Europe/Berlin", "eyJvIjoiYWN0aXZpdHksLXJlY2VpdmVkIiwicCI6WzEsMV19")
	f.Fuzz(func(t *testing.T, kind, since, until, sort, group, zone, after string) {
		q := report.Query{Since: since, Until: until, Sort: sort, Zone: zone, After: after}
		if group != "" {
			q.Group = strings.Split(group, ",")
		}
		r := report.New(report.Config{Instance: "i", State: nothing{}, Events: none{}, Now: func() time.Time { return now }})
		if _, err := r.Page(context.Background(), report.Kind(kind), q); err != nil && !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("%+v: %v", q, err)
		}
	})
}

// nothing and none are an instance without anything.
type nothing struct{}

func (nothing) MachinesOf(context.Context, dormer.ClientID) ([]lease.Machine, error) { return nil, nil }

func (nothing) StatesSince(context.Context, dormer.ClientID) (map[dormer.MachineID]time.Time, error) {
	return nil, nil
}

func (nothing) ClientsOf(context.Context, dormer.ClientID) ([]enroll.Client, error) { return nil, nil }

func (nothing) Workspaces(context.Context) ([]catalog.Revision, error) { return nil, nil }

type none struct{}

func (none) Select(context.Context, report.Selection, func(position, values []any) error) error {
	return nil
}

func (none) Counts(context.Context, dormer.InstanceID, time.Time) ([]report.Count, error) {
	return nil, nil
}

func (none) Samples(context.Context, dormer.InstanceID, string, time.Time) ([]report.Sample, error) {
	return nil, nil
}

// BenchmarkStatus makes the status report over 5,000 clients.
func BenchmarkStatus(b *testing.B) {
	ctx := b.Context()
	state, err := store.OpenState(ctx, "sqlite:"+filepath.Join(b.TempDir(), "state.db"), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer state.Close()
	const clients = 5000
	if err := state.CreateJoinToken(ctx, enroll.JoinToken{ID: "t", MaxUses: clients}); err != nil {
		b.Fatal(err)
	}
	seen, reports := make([]enroll.Seen, clients), make([]lease.Report, clients)
	for i := range clients {
		id := fmt.Sprint("client-", i)
		if err := state.Enrol(ctx, [32]byte{}, enroll.Client{ID: dormer.ClientID(id)}, func(enroll.JoinToken) error { return nil }); err != nil {
			b.Fatal(err)
		}
		m := lease.Machine{ID: dormer.MachineID(id), Client: dormer.ClientID(id), User: person(id), Workspace: "w"}
		if _, err := state.EnsureMachine(ctx, m); err != nil {
			b.Fatal(err)
		}
		seen[i] = enroll.Seen{Client: m.Client, Host: wire.Host{Name: id}, Time: now}
		reports[i] = lease.Report{Machine: m.ID, State: "running", Time: now}
	}
	if err := errors.Join(state.FlushSeen(ctx, seen), state.FlushReports(ctx, reports)); err != nil {
		b.Fatal(err)
	}
	r := report.New(report.Config{Instance: "i", State: state, Now: func() time.Time { return now }})
	for b.Loop() {
		if p, err := r.Page(ctx, report.Status, report.Query{Limit: clients}); err != nil || len(p.Rows) != clients {
			b.Fatalf("%d rows, %v", len(p.Rows), err)
		}
	}
}
