package alert_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/alert"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/store/fresh"
	"github.com/dormer-project/dormer/internal/wire"
)

// house is a service on real databases, in a bubble of time.
type house struct {
	t       *testing.T
	events  *store.Events
	state   *store.State
	service *alert.Service
	next    map[dormer.ClientID]uint64

	mu       sync.Mutex // guards the fields below
	told     []string
	observed []alert.Observation
	away     error // what the store of events answers
}

// awayStore is the store of events while its database is away.
type awayStore struct {
	*store.Events
	h *house
}

func (s awayStore) broken() error {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	return s.h.away
}

func (s awayStore) SaveAlerts(ctx context.Context, i dormer.InstanceID, saved alert.Saved) error {
	if err := s.broken(); err != nil {
		return err
	}
	return s.Events.SaveAlerts(ctx, i, saved)
}

func (s awayStore) Follow(ctx context.Context, i dormer.InstanceID, after int64, limit int) ([]event.Row, int64, error) {
	if err := s.broken(); err != nil {
		return nil, 0, err
	}
	return s.Events.Follow(ctx, i, after, limit)
}

func inHouse(t *testing.T, test func(t *testing.T, h *house)) {
	dir := t.TempDir()
	fresh.Lay(t, dir)
	synctest.Test(t, func(t *testing.T) {
		h := &house{t: t, next: map[dormer.ClientID]uint64{}}
		var err error
		if h.events, err = store.OpenEvents(t.Context(), "sqlite:"+filepath.Join(dir, "events.db"), store.Options{}); err != nil {
			t.Fatal(err)
		}
		defer h.events.Close()
		if h.state, err = store.OpenState(t.Context(), "sqlite:"+filepath.Join(dir, "state.db"), store.Options{}); err != nil {
			t.Fatal(err)
		}
		defer h.state.Close()
		h.make()
		test(t, h)
	})
}

// make makes the service anew, as a restart does.
func (h *house) make() {
	h.service = alert.New(alert.Config{
		Instance: "i", Store: awayStore{h.events, h}, Events: awayStore{h.events, h}, Rules: h.state,
		Observe: func(context.Context) ([]alert.Observation, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			return slices.Clone(h.observed), nil
		},
		Tell: func(code event.Code, detail string) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.told = append(h.told, fmt.Sprintf("%d %s", code, detail))
		},
		Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
}

// during runs the service for as long as f does.
func (h *house) during(f func()) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan error, 1)
	go func() { done <- h.service.Run(ctx) }()
	h.pass(time.Second)
	f()
	cancel()
	if err := <-done; err != nil {
		h.t.Error(err)
	}
}

// pass lets time pass.
func (h *house) pass(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

// fails stores failures of a client.
func (h *house) fails(client dormer.ClientID, n int) {
	h.t.Helper()
	for n > 0 {
		b := event.Batch{Instance: "i", Client: client, Journal: "j", Received: time.Now().UTC()}
		for range min(n, wire.MaxEventsPerPoll) {
			h.next[client]++
			e := event.New(event.WorkspaceFailed, time.Now(), "")
			e.Host, e.Image = "PC-"+string(client), "office/1"
			b.Events = append(b.Events, wire.NumberedEvent{Sequence: h.next[client], Event: e})
			n--
		}
		if _, err := h.events.AppendEvents(h.t.Context(), []event.Batch{b}); err != nil {
			h.t.Fatal(err)
		}
	}
	h.service.Wake()
}

func (h *house) observe(list ...alert.Observation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.observed = list
}

// expect compares what was told since the last time, and which alerts are open.
func (h *house) expect(told, open []string) {
	h.t.Helper()
	h.mu.Lock()
	got := h.told
	h.told = nil
	h.mu.Unlock()
	if diff := cmp.Diff(told, got); diff != "" {
		h.t.Errorf("told (-want +got):\n%s", diff)
	}
	list, err := h.service.Alerts(h.t.Context(), alert.Query{Open: true, Limit: 100})
	if err != nil {
		h.t.Fatal(err)
	}
	var names []string
	for _, a := range list {
		names = append(names, fmt.Sprintf("%s %s %d", a.Rule, a.Key, a.Count))
	}
	if diff := cmp.Diff(open, names); diff != "" {
		h.t.Errorf("open (-want +got):\n%s", diff)
	}
}

// TestLife follows one alert from events to its end, over restarts.
func TestLife(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.fails("old", 100) // what was stored before the first start is history
		h.during(func() {
			h.fails("a", 19)
			h.pass(time.Second)
			h.expect(nil, nil)
		})
		h.make() // a restart neither forgets...
		h.during(func() {
			h.pass(time.Minute)
			h.expect(nil, nil) // ...nor counts twice
			h.fails("a", 1)
			h.pass(time.Second)
			h.expect([]string{"870 errors-of-one-client: 20 errors of client PC-a within 10m"}, []string{"errors-of-one-client a 20"})
			h.fails("a", 1000)
			h.pass(15 * time.Second)
			h.expect(nil, []string{"errors-of-one-client a 1020"})
			list, err := h.service.Alerts(t.Context(), alert.Query{Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.service.Acknowledge(t.Context(), list[0].ID, "anna", " looking \n"); err != nil {
				t.Fatal(err)
			}
			if _, err := h.service.Acknowledge(t.Context(), list[0].ID, "bert", ""); !errors.Is(err, dormer.ErrConflict) {
				t.Errorf("acknowledged twice: %v", err)
			}
			h.expect([]string{"872 errors-of-one-client: 20 errors of client PC-a within 10m, by anna: looking"}, []string{"errors-of-one-client a 1020"})
		})
		h.make()
		h.during(func() {
			h.pass(31 * time.Minute)
			h.expect([]string{"873 errors-of-one-client: 20 errors of client PC-a within 10m"}, nil)
			h.fails("a", 20)
			h.pass(time.Second)
			h.expect([]string{"870 errors-of-one-client: 20 errors of client PC-a within 10m"}, []string{"errors-of-one-client a 20"})
		})
		list, err := h.service.Alerts(t.Context(), alert.Query{Limit: 10})
		if err != nil || len(list) != 2 || list[1].Note != "looking" || list[1].Cleared == nil || list[1].Count != 1020 {
			t.Errorf("in the end: %+v, %v", list, err)
		}
	})
}

// TestDatabaseAway raises an alert while the database that keeps alerts is
// away, tells it once, and stores it when the database is back.
func TestDatabaseAway(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.during(func() {
			h.mu.Lock()
			h.away = fmt.Errorf("no answer: %w", dormer.ErrUnavailable)
			h.mu.Unlock()
			h.observe(alert.Observation{Kind: alert.DatabaseAway, Subject: "events", Value: 1})
			h.fails("a", 20)
			h.pass(10 * time.Minute)
			h.expect([]string{"871 database-away: the events database does not answer"}, nil)
			h.mu.Lock()
			h.away = nil
			h.mu.Unlock()
			h.observe()
			h.pass(30 * time.Second)
			h.expect([]string{"870 errors-of-one-client: 20 errors of client PC-a within 10m"}, []string{"errors-of-one-client a 20", "database-away events 1"})
			h.pass(5 * time.Minute)
			h.expect([]string{"873 database-away: the events database does not answer"}, []string{"errors-of-one-client a 20"})
		})
	})
}

// TestRules changes rules of the program and adds others.
func TestRules(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		own := alert.Rule{
			Name: "Failures", Enabled: true, Severity: dormer.Error, Text: "{count} failures", ClearAfter: "5m",
			Events: &alert.EventCondition{Codes: []int{503}, Threshold: 2, Window: "1m", By: alert.ByInstance},
		}
		h.during(func() {
			changed, err := h.service.Rule(ctx, "Errors-of-one-client")
			if err != nil || changed.Origin != alert.FromProgram {
				t.Fatalf("%+v, %v", changed, err)
			}
			changed.Rule.Enabled = false
			if err := h.service.SetRule(ctx, changed.Rule, "anna"); err != nil {
				t.Fatal(err)
			}
			if err := h.service.SetRule(ctx, own, "anna"); err != nil {
				t.Fatal(err)
			}
			h.pass(time.Second)
			h.fails("a", 30)
			h.pass(time.Second)
			h.expect([]string{"871 Failures: 2 failures"}, []string{"Failures * 30"})
			origins := map[alert.Origin]int{}
			list, err := h.service.RuleList(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range list {
				origins[r.Origin]++
			}
			if origins[alert.Own] != 1 || origins[alert.Changed] != 1 || origins[alert.FromProgram] != len(list)-2 {
				t.Errorf("origins: %v", origins)
			}
			if err := h.service.DeleteRule(ctx, "FAILURES"); err != nil {
				t.Fatal(err)
			}
			h.pass(time.Second)
			h.expect([]string{"873 Failures: 2 failures"}, nil)
			for called, kind := range map[string]error{"failures": dormer.ErrNotFound, "disk-full": dormer.ErrConflict} {
				if err := h.service.DeleteRule(ctx, called); !errors.Is(err, kind) {
					t.Errorf("delete %s: %v", called, err)
				}
			}
			if err := h.service.DeleteRule(ctx, "errors-of-one-client"); err != nil {
				t.Fatal(err)
			}
			if r, err := h.service.Rule(ctx, "errors-of-one-client"); err != nil || !r.Rule.Enabled || r.Origin != alert.FromProgram {
				t.Errorf("reset: %+v, %v", r, err)
			}
			own.Text = strings.Repeat("x", 400)
			if err := h.service.SetRule(ctx, own, "anna"); !errors.Is(err, dormer.ErrInvalid) {
				t.Errorf("a wrong rule: %v", err)
			}
		})
	})
}

// TestSweep removes what was cleared long ago.
func TestSweep(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.during(func() {
			h.fails("a", 20)
			h.pass(time.Hour)
			h.fails("b", 20)
			h.pass(time.Second)
		})
		if err := h.service.Sweep(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		list, err := h.service.Alerts(t.Context(), alert.Query{Limit: 10})
		if err != nil || len(list) != 1 || list[0].Key != "b" {
			t.Errorf("left: %+v, %v", list, err)
		}
	})
}
