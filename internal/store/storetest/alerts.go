package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/alert"
	"github.com/dormer-project/dormer/internal/event"
)

func testFollow(t *testing.T, s Events) {
	ctx := t.Context()
	if rows, next, err := s.Follow(ctx, "i", 0, 10); err != nil || len(rows) != 0 || next != 0 {
		t.Fatalf("empty: %d rows, next %d, %v", len(rows), next, err)
	}
	must[[]uint64](t)(s.AppendEvents(ctx, []event.Batch{batch("a", time.Hour, upTo(1, 5)...)}))
	other := batch("x", time.Hour, 1, 2, 3)
	other.Instance = "other"
	must[[]uint64](t)(s.AppendEvents(ctx, []event.Batch{other}))
	// The order is that of storing, whatever the times are.
	must[[]uint64](t)(s.AppendEvents(ctx, []event.Batch{batch("b", 0, 1, 2)}))

	var got []string
	var after int64
	for {
		rows, next, err := s.Follow(ctx, "i", after, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			got = append(got, fmt.Sprintf("%s %s", r.Client, r.Description))
		}
		after = next
		if len(rows) < 3 {
			break
		}
	}
	want := []string{"a event 1", "a event 2", "a event 3", "a event 4", "a event 5", "b event 1", "b event 2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("followed (-want +got):\n%s", diff)
	}
	if end := must[int64](t)(s.End(ctx)); end != after {
		t.Errorf("the end is %d, following came to %d", end, after)
	}
	must[[]uint64](t)(s.AppendEvents(ctx, []event.Batch{batch("a", 2*time.Hour, upTo(1, 6)...)}))
	rows, _, err := s.Follow(ctx, "i", after, 10)
	if err != nil || len(rows) != 1 || rows[0].Description != "event 6" {
		t.Errorf("after the end: %v, %v", rows, err)
	}
}

// testFollowStoring follows while many store: none may be missed, and none come
// twice.
func testFollowStoring(t *testing.T, s Events) {
	const clients, batches, each = 8, 25, 10
	ctx := t.Context()
	var all sync.WaitGroup
	stored := make(chan struct{})
	for c := range clients {
		all.Go(func() {
			for b := range uint64(batches) {
				if _, err := s.AppendEvents(ctx, []event.Batch{batch(fmt.Sprint("c", c), time.Hour, upTo(b*each+1, (b+1)*each)...)}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	go func() {
		all.Wait()
		close(stored)
	}()
	seen := map[string]int{}
	var after int64
	for last := false; ; {
		rows, next, err := s.Follow(ctx, "i", after, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if r.ID <= after {
				t.Fatalf("event %d came after %d", r.ID, after)
			}
			after = r.ID
			seen[string(r.Client)+r.Description]++
		}
		after = next
		if last && len(rows) < 100 {
			break
		}
		select {
		case <-stored:
			last = true
		default:
		}
	}
	if len(seen) != clients*batches*each {
		t.Errorf("%d events were followed of %d", len(seen), clients*batches*each)
	}
	for e, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", e, n)
		}
	}
}

func testPositions(t *testing.T, s Events) {
	ctx := t.Context()
	if _, _, err := s.Position(ctx, "i", "n"); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("no position: %v", err)
	}
	for _, p := range []int64{7, 3} {
		ok(t, s.SetPosition(ctx, "i", "n", p, []byte(fmt.Sprint("state ", p))))
		position, state, err := s.Position(ctx, "i", "n")
		if err != nil || position != p || string(state) != fmt.Sprint("state ", p) {
			t.Errorf("position %d, %q, %v", position, state, err)
		}
	}
	if _, _, err := s.Position(ctx, "other", "n"); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("of another instance: %v", err)
	}
	if _, _, err := s.Position(ctx, "i", "other"); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("of another name: %v", err)
	}
}

func testTurns(t *testing.T, s Events) {
	ctx := t.Context()
	for _, step := range []struct {
		name, holder string
		length       time.Duration
		mine         bool
	}{
		{"n", "a", time.Hour, true},
		{"n", "b", time.Hour, false},
		{"n", "a", time.Hour, true},
		{"other", "b", time.Hour, true},
		{"n", "a", 0, true}, // gives it back
		{"n", "b", time.Hour, true},
		{"n", "a", time.Hour, false},
	} {
		mine, err := s.TakeTurn(ctx, "i", step.name, step.holder, step.length)
		if err != nil || mine != step.mine {
			t.Errorf("%+v: %t, %v", step, mine, err)
		}
	}
	saved := alert.Saved{Name: "n", Holder: "a", Position: 1}
	if err := s.SaveAlerts(ctx, "i", saved); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("saved without the turn: %v", err)
	}
	saved.Holder = "b"
	ok(t, s.SaveAlerts(ctx, "i", saved))
}

func testAlerts(t *testing.T, s Events) {
	ctx := t.Context()
	list := func(q alert.Query) []alert.Alert {
		t.Helper()
		all := must[[]alert.Alert](t)(s.Alerts(ctx, "i", q))
		for i := range all {
			all[i].ID = 0
		}
		return all
	}
	if got := list(alert.Query{Limit: 10}); len(got) != 0 {
		t.Errorf("empty: %v", got)
	}
	change := func(kind alert.ChangeKind, key, text string, count int64, last time.Duration) alert.Change {
		return alert.Change{
			Kind: kind, Rule: "r", Key: key, Severity: dormer.Warning, Text: text, Raised: at(time.Hour), Last: at(last), Count: count, Cleared: at(last + time.Hour),
		}
	}
	save := func(position int64, list ...alert.Change) {
		t.Helper()
		ok(t, s.SaveAlerts(ctx, "i", alert.Saved{Name: "alerts", Position: position, State: []byte{byte(position)}, Changes: list}))
	}
	raised := func(key, text string, count int64, last time.Duration) alert.Alert {
		return alert.Alert{Rule: "r", Key: key, Severity: dormer.Warning, Text: text, Raised: at(time.Hour), Last: at(last), Count: count}
	}
	save(1, change(alert.Raises, "a", "one", 1, time.Hour), change(alert.Raises, "b", "two", 2, time.Hour))
	// Raising what is open does nothing; what is not there is passed over.
	save(2, change(alert.Raises, "a", "again", 9, 2*time.Hour), change(alert.Repeats, "b", "twice", 3, 3*time.Hour), change(alert.Clears, "c", "", 1, time.Hour))
	if position, state, err := s.Position(ctx, "i", "alerts"); err != nil || position != 2 || string(state) != "\x02" {
		t.Errorf("position %d, %v, %v", position, state, err)
	}
	if diff := cmp.Diff([]alert.Alert{raised("b", "twice", 3, 3*time.Hour), raised("a", "one", 1, time.Hour)}, list(alert.Query{Limit: 10})); diff != "" {
		t.Errorf("open (-want +got):\n%s", diff)
	}
	// Cleared and raised anew is another alert.
	save(3, change(alert.Clears, "a", "one", 5, 4*time.Hour), change(alert.Raises, "a", "new", 1, 6*time.Hour))
	cleared := raised("a", "one", 5, 4*time.Hour)
	end := at(5 * time.Hour)
	cleared.Cleared = &end
	all := []alert.Alert{raised("a", "new", 1, 6*time.Hour), raised("b", "twice", 3, 3*time.Hour), cleared}
	if diff := cmp.Diff(all, list(alert.Query{Limit: 10})); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(all[:2], list(alert.Query{Open: true, Limit: 10})); diff != "" {
		t.Errorf("open (-want +got):\n%s", diff)
	}
	ids := must[[]alert.Alert](t)(s.Alerts(ctx, "i", alert.Query{Limit: 2}))
	if diff := cmp.Diff(all[2:], list(alert.Query{Limit: 2, Before: ids[1].ID})); diff != "" {
		t.Errorf("second page (-want +got):\n%s", diff)
	}

	a, err := s.AcknowledgeAlert(ctx, "i", ids[0].ID, "anna", "looking", at(7*time.Hour))
	if err != nil || a.AcknowledgedBy != "anna" || a.Note != "looking" || a.Acknowledged == nil || !a.Acknowledged.Equal(at(7*time.Hour)) {
		t.Errorf("acknowledged: %+v, %v", a, err)
	}
	if diff := cmp.Diff(a, must[[]alert.Alert](t)(s.Alerts(ctx, "i", alert.Query{Limit: 1}))[0]); diff != "" {
		t.Errorf("acknowledged, read again (-want +got):\n%s", diff)
	}
	_, err = s.AcknowledgeAlert(ctx, "i", ids[0].ID, "bert", "", at(8*time.Hour))
	if !errors.Is(err, dormer.ErrConflict) || !strings.Contains(err.Error(), "anna") {
		t.Errorf("acknowledged twice: %v", err)
	}
	for _, i := range []dormer.InstanceID{"i", "other"} {
		if _, err := s.AcknowledgeAlert(ctx, i, ids[0].ID+1000, "bert", "", at(0)); !errors.Is(err, dormer.ErrNotFound) {
			t.Errorf("none of that number: %v", err)
		}
	}
	ok(t, s.SaveAlerts(ctx, "other", alert.Saved{Name: "alerts", Changes: []alert.Change{change(alert.Raises, "a", "other", 1, 0)}}))
	if _, err := s.AcknowledgeAlert(ctx, "other", ids[1].ID, "bert", "", at(0)); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("another instance's: %v", err)
	}

	for _, test := range []struct {
		before time.Duration
		n      int64
	}{{5 * time.Hour, 0}, {6 * time.Hour, 1}, {1000 * time.Hour, 0}} {
		if n := must[int64](t)(s.DeleteAlertsBefore(ctx, "i", at(test.before))); n != test.n {
			t.Errorf("%d alerts from before %s deleted, expected %d", n, test.before, test.n)
		}
	}
	if got := list(alert.Query{Limit: 10}); len(got) != 2 {
		t.Errorf("%d are left, expected the open ones", len(got))
	}
}

func testAlertRules(t *testing.T, s State) {
	ctx := t.Context()
	rule := func(name, text string) alert.StoredRule {
		return alert.StoredRule{
			Rule: alert.Rule{
				Name: name, Enabled: true, Severity: dormer.Error, Text: text, ClearAfter: "10m",
				Events: &alert.EventCondition{Codes: []int{503}, Threshold: 2, Window: "1h", By: alert.ByImage},
			}, By: "anna", Changed: at(time.Hour),
		}
	}
	ok(t, s.PutAlertRule(ctx, rule("b", "first"), 2))
	ok(t, s.PutAlertRule(ctx, rule("A", "second"), 2))
	if err := s.PutAlertRule(ctx, rule("c", "third"), 2); !errors.Is(err, dormer.ErrTooLarge) {
		t.Errorf("one too many: %v", err)
	}
	ok(t, s.PutAlertRule(ctx, rule("B", "changed"), 2))
	if diff := cmp.Diff([]alert.StoredRule{rule("A", "second"), rule("B", "changed")}, must[[]alert.StoredRule](t)(s.AlertRules(ctx))); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	ok(t, s.DeleteAlertRule(ctx, "a"))
	if err := s.DeleteAlertRule(ctx, "a"); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("deleted twice: %v", err)
	}
}
