package report_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/report"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire"
)

var now = time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

func agoPointer(d time.Duration) *time.Time { v := ago(d); return &v }

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
	state, err := store.OpenState(ctx, "sqlite:"+filepath.Join(t.TempDir(), "state.db"), store.Options{})
	check(err)
	events, err := store.OpenEvents(ctx, "sqlite:"+filepath.Join(t.TempDir(), "events.db"), store.Options{})
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
		{ID: "m2", Client: "used", User: person("bert"), Workspace: "deleted", ComputerName: "PC2"},
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
		Instance: "i", State: state, Events: events, Now: func() time.Time { return now },
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

func TestStatus(t *testing.T) {
	r := reporter(t)
	rows, err := r.Status(t.Context(), report.Query{})
	if err != nil {
		t.Fatal(err)
	}
	want := []report.StatusRow{
		{
			Time: ago(time.Second), User: "Anna", Host: "PC-used", Client: "used", Machine: "m1", Workspace: "Office", Guest: "GUEST1",
			State: "running", Started: agoPointer(time.Hour), Connected: true, LastConnected: agoPointer(time.Second),
			ClientVersion: "1.used", PolicyRevision: 1, Image: "office/3",
		},
		{
			Time: ago(time.Second), User: "bert", Host: "PC-used", Client: "used", Machine: "m2", Workspace: "deleted", Guest: "PC2",
			Connected: true, LastConnected: agoPointer(time.Second), ClientVersion: "1.used", Image: "unknown",
		},
		{
			Time: ago(2 * time.Minute), User: "SYSTEM", Host: "PC-empty", Client: "empty", Connected: true,
			LastConnected: agoPointer(2 * time.Minute), ClientVersion: "1.empty",
		},
		{
			Time: ago(day), User: "Anna", Host: "PC-offline", Client: "offline", Machine: "m3", Workspace: "Office", Guest: "PC3",
			State: "ready", Stopped: agoPointer(day), LastConnected: agoPointer(day), ClientVersion: "1.offline", PolicyRevision: 1, Image: "sha256:b",
		},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
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
		{report.Query{Host: "nowhere"}, 0},
		{report.Query{Limit: 2}, 2},
	} {
		if rows, err := r.Status(t.Context(), test.q); err != nil || len(rows) != test.want {
			t.Errorf("%+v: %d rows (%v), want %d", test.q, len(rows), err, test.want)
		}
	}
}

func TestEvents(t *testing.T) {
	r := reporter(t)
	for _, test := range []struct {
		name string
		make func(context.Context, report.Query) ([]report.EventRow, error)
		q    report.Query
		want string
	}{
		{"activity", r.Activity, report.Query{}, "dcb"},
		{"activity of ten days", r.Activity, report.Query{Days: 10}, "dcba"},
		{"errors", r.Errors, report.Query{}, "db"},
		{"of a user", r.Activity, report.Query{User: "ANN"}, "dcb"},
		{"of another", r.Activity, report.Query{User: "bert"}, ""},
		{"of a host", r.Errors, report.Query{Host: "pc-"}, "db"},
		{"two", r.Activity, report.Query{Limit: 2}, "dc"},
		{"older", r.Activity, report.Query{Limit: 2, Before: 3}, "b"},
	} {
		rows, err := test.make(t.Context(), test.q)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		got := ""
		for _, row := range rows {
			got += row.Description
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestQueryRefused(t *testing.T) {
	r := reporter(t)
	for _, q := range []report.Query{{Days: -1}, {Days: report.MaxDays + 1}, {Limit: -1}, {Limit: report.MaxLimit + 1}, {Before: -1}} {
		if _, err := r.Status(t.Context(), q); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("status %+v: %v, want dormer.ErrInvalid", q, err)
		}
		if _, err := r.Activity(t.Context(), q); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("activity %+v: %v, want dormer.ErrInvalid", q, err)
		}
	}
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
		if rows, err := r.Status(ctx, report.Query{Limit: clients}); err != nil || len(rows) != clients {
			b.Fatalf("%d rows, %v", len(rows), err)
		}
	}
}
