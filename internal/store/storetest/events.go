package storetest

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/wire"
)

// RunEvents runs the suite for events. open returns an empty store that it
// closes when the test ends.
func RunEvents(t *testing.T, open func(t *testing.T) Events) {
	tests := []struct {
		name string
		run  func(t *testing.T, s Events)
	}{
		{"round trip", testEventRoundTrip},
		{"repeats", testRepeats},
		{"instances", testInstances},
		{"big batches", testBigBatches},
		{"one client at once", testSameClientAtOnce},
		{"many clients at once", testClientsAtOnce},
		{"all or nothing", testAllOrNothing},
		{"filters", testFilters},
		{"pages", testPages},
		{"days", testDays},
		{"foreign text", testForeignText},
		{"condensed", testCondensed},
		{"following", testFollow},
		{"following while events are stored", testFollowStoring},
		{"positions", testPositions},
		{"turns", testTurns},
		{"alerts", testAlerts},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func happened(sequence uint64) wire.NumberedEvent {
	return wire.NumberedEvent{Sequence: sequence, Event: dormer.Event{
		Code: 501, Severity: dormer.Information, Category: "workspace", Description: fmt.Sprint("event ", sequence),
		Host: "host", User: "anna", Time: at(time.Duration(sequence) * time.Second),
	}}
}

func batch(c string, received time.Duration, sequences ...uint64) event.Batch {
	b := event.Batch{Instance: "i", Client: dormer.ClientID(c), Journal: dormer.JournalID("j-" + c), Received: at(received)}
	for _, n := range sequences {
		b.Events = append(b.Events, happened(n))
	}
	return b
}

func upTo(from, to uint64) (list []uint64) {
	for n := from; n <= to; n++ {
		list = append(list, n)
	}
	return list
}

// sequences returns those of a client's stored events, newest first, read off
// their descriptions.
func sequences(t *testing.T, s Events, c string) (list []uint64) {
	t.Helper()
	rows := must[[]event.Row](t)(s.Events(t.Context(), event.Filter{Instance: "i", Client: dormer.ClientID(c), Limit: 1_000_000}))
	for _, r := range rows {
		var n uint64
		if _, err := fmt.Sscanf(r.Description, "event %d", &n); err != nil {
			t.Fatalf("description %q: %v", r.Description, err)
		}
		list = append(list, n)
	}
	return list
}

func testEventRoundTrip(t *testing.T, s Events) {
	ctx := t.Context()
	e := dormer.Event{
		Code: 503, Severity: dormer.Error, Category: "workspace", Description: "event 7", Host: "PC-Büro", User: "CORP\\anna",
		Workspace: "w", WorkspaceName: "Office", Guest: "PC1", Time: at(-time.Hour), ClientVersion: "1.2", PolicyRevision: 4, Image: "office/3",
	}
	b := batch("c", 0)
	b.Events = []wire.NumberedEvent{{Sequence: 7, Event: e}}
	equal(t, must[[]uint64](t)(s.AppendEvents(ctx, []event.Batch{b})), []uint64{7})
	rows := must[[]event.Row](t)(s.Events(ctx, event.Filter{Instance: "i", Limit: 10}))
	e.Received = at(0)
	if len(rows) != 1 || rows[0].ID <= 0 {
		t.Fatalf("rows are %+v", rows)
	}
	equal(t, rows, []event.Row{{ID: rows[0].ID, Client: "c", Event: e}})
	equal(t, must[uint64](t)(s.Watermark(ctx, "i", "c", "j-c")), uint64(7))
	equal(t, must[uint64](t)(s.Watermark(ctx, "i", "c", "other")), uint64(0))
	ok(t, s.Ping(ctx))
}

func testRepeats(t *testing.T, s Events) {
	ctx := t.Context()
	appended := must[[]uint64](t)
	equal(t, appended(s.AppendEvents(ctx, nil)), nil)
	equal(t, appended(s.AppendEvents(ctx, []event.Batch{batch("c", 0, 1, 2, 3), batch("d", 0)})), []uint64{3, 0})
	equal(t, appended(s.AppendEvents(ctx, []event.Batch{batch("c", 1, 1, 2, 3)})), []uint64{3})
	equal(t, appended(s.AppendEvents(ctx, []event.Batch{batch("c", time.Second, 2, 3, 4, 9)})), []uint64{9})
	// The same client twice in one transaction, and a batch of old ones.
	equal(t, appended(s.AppendEvents(ctx, []event.Batch{
		batch("c", 2*time.Second, 9, 10), batch("c", 2*time.Second, 10, 11), batch("c", 2*time.Second, 5),
	})), []uint64{10, 11, 11})
	equal(t, sequences(t, s, "c"), []uint64{11, 10, 9, 4, 3, 2, 1})

	// A rebuilt journal begins anew.
	b := batch("c", 3*time.Second, 1)
	b.Journal = "rebuilt"
	equal(t, appended(s.AppendEvents(ctx, []event.Batch{b})), []uint64{1})
	equal(t, sequences(t, s, "c"), []uint64{1, 11, 10, 9, 4, 3, 2, 1})
	equal(t, must[uint64](t)(s.Watermark(ctx, "i", "c", "j-c")), uint64(11))
}

func testInstances(t *testing.T, s Events) {
	ctx := t.Context()
	other := batch("c", 0, 1, 2)
	other.Instance = "it's another"
	equal(t, must[[]uint64](t)(s.AppendEvents(ctx, []event.Batch{batch("c", 0, 1, 2, 3), other})), []uint64{3, 2})
	equal(t, must[uint64](t)(s.Watermark(ctx, other.Instance, "c", "j-c")), uint64(2))
	for i, n := range map[dormer.InstanceID]int{"i": 3, other.Instance: 2, "third": 0} {
		for _, f := range []event.Filter{{Instance: i, Limit: 10}, {Instance: i, Client: "c", Limit: 10}} {
			if rows := must[[]event.Row](t)(s.Events(ctx, f)); len(rows) != n {
				t.Errorf("instance %q has %d rows, want %d", i, len(rows), n)
			}
		}
	}
	if n := must[int64](t)(s.DeleteEventsBefore(ctx, other.Instance, at(time.Hour))); n != 2 {
		t.Errorf("%d events of the other instance were deleted, want 2", n)
	}
	equal(t, sequences(t, s, "c"), []uint64{3, 2, 1})
	// What was deleted does not come back by being sent again.
	equal(t, must[[]uint64](t)(s.AppendEvents(ctx, []event.Batch{other})), []uint64{2})
	if rows := must[[]event.Row](t)(s.Events(ctx, event.Filter{Instance: other.Instance, Limit: 10})); len(rows) != 0 {
		t.Errorf("%d deleted events came back", len(rows))
	}
}

func testBigBatches(t *testing.T, s Events) {
	const clients, each = 21, 63
	batches := make([]event.Batch, clients)
	for i := range batches {
		batches[i] = batch(fmt.Sprint("c", i), 0, upTo(1, each)...)
	}
	marks := must[[]uint64](t)(s.AppendEvents(t.Context(), batches))
	for i, m := range marks {
		if m != each {
			t.Fatalf("watermark %d is %d, want %d", i, m, each)
		}
	}
	rows := must[[]event.Row](t)(s.Events(t.Context(), event.Filter{Instance: "i", Limit: 2 * clients * each}))
	if len(rows) != clients*each {
		t.Errorf("%d rows, want %d", len(rows), clients*each)
	}
}

func testSameClientAtOnce(t *testing.T, s Events) {
	for _, err := range together(10, func(i int) error {
		marks, err := s.AppendEvents(t.Context(), []event.Batch{batch("c", 0, upTo(1, 50)...)})
		if err == nil && marks[0] != 50 {
			err = fmt.Errorf("watermark %d, want 50", marks[0])
		}
		return err
	}) {
		ok(t, err)
	}
	if got := sequences(t, s, "c"); len(got) != 50 {
		t.Errorf("%d events after ten repeats at once, want 50", len(got))
	}
}

func testClientsAtOnce(t *testing.T, s Events) {
	// Each writer sends for the same clients in another order.
	const writers, clients = 8, 12
	for _, err := range together(writers, func(w int) error {
		for round := range 5 {
			var batches []event.Batch
			for i := range clients {
				c := (i*(w+1) + w) % clients
				batches = append(batches, batch(fmt.Sprint("c", c), 0, upTo(1, uint64(round*3+3))...))
			}
			if _, err := s.AppendEvents(t.Context(), batches); err != nil {
				return err
			}
		}
		return nil
	}) {
		ok(t, err)
	}
	for c := range clients {
		if got := sequences(t, s, fmt.Sprint("c", c)); len(got) != 15 {
			t.Errorf("client %d has %d events, want 15", c, len(got))
		}
	}
}

func testAllOrNothing(t *testing.T, s Events) {
	ctx := t.Context()
	bad := batch("bad", 0, 1, math.MaxInt64+1)
	_, err := s.AppendEvents(ctx, []event.Batch{batch("good", 0, 1, 2), bad})
	is(t, err, dormer.ErrInvalid)
	equal(t, must[uint64](t)(s.Watermark(ctx, "i", "good", "j-good")), uint64(0))
	if got := append(sequences(t, s, "good"), sequences(t, s, "bad")...); len(got) != 0 {
		t.Errorf("a refused transaction stored %v", got)
	}
}

func testFilters(t *testing.T, s Events) {
	ctx := t.Context()
	severities := []dormer.Severity{dormer.Information, dormer.Warning, dormer.Error}
	hosts := []string{"PC-BÜRO", "laptop_1", "laptopX1", `50%\x`}
	users := []string{"CORP\\Anna", "bert"}
	b := batch("c", 0)
	for i := range 24 {
		e := happened(uint64(i + 1))
		e.Event.Severity, e.Event.Host, e.Event.User = severities[i%3], hosts[i%4], users[i%2]
		b.Events = append(b.Events, e)
	}
	later := batch("d", time.Hour, 1)
	must[[]uint64](t)(s.AppendEvents(ctx, []event.Batch{b, later}))
	for _, test := range []struct {
		name string
		f    event.Filter
		want int
	}{
		{"all", event.Filter{}, 25},
		{"client", event.Filter{Client: "d"}, 1},
		{"unknown client", event.Filter{Client: "x"}, 0},
		{"since", event.Filter{Since: at(time.Hour)}, 1},
		{"information", event.Filter{MinSeverity: dormer.Information}, 25},
		{"warnings", event.Filter{MinSeverity: dormer.Warning}, 16},
		{"errors", event.Filter{MinSeverity: dormer.Error}, 8},
		{"host without case", event.Filter{HostContains: "bu\u0308ro"}, 6},
		{"host with _", event.Filter{HostContains: "laptop_"}, 6},
		{"host with %", event.Filter{HostContains: "0%"}, 6},
		{`host with \`, event.Filter{HostContains: `\X`}, 6},
		{"user", event.Filter{UserContains: "ANN"}, 13},
		{"user and errors", event.Filter{UserContains: "bert", MinSeverity: dormer.Error}, 4},
		{"nobody", event.Filter{UserContains: "nobody"}, 0},
	} {
		test.f.Instance, test.f.Limit = "i", 100
		if rows := must[[]event.Row](t)(s.Events(ctx, test.f)); len(rows) != test.want {
			t.Errorf("%s: %d rows, want %d", test.name, len(rows), test.want)
		}
	}
	for _, f := range []event.Filter{{Instance: "i"}, {Instance: "i", Limit: 1, MinSeverity: "mild"}} {
		_, err := s.Events(ctx, f)
		is(t, err, dormer.ErrInvalid)
	}
}

func testPages(t *testing.T, s Events) {
	ctx := t.Context()
	// Stored in another order than received.
	for i, received := range []time.Duration{3 * time.Second, time.Second, 2 * time.Second, 2 * time.Second, 0} {
		must[[]uint64](t)(s.AppendEvents(ctx, []event.Batch{batch(fmt.Sprint("c", i), received, 1, 2, 3)}))
	}
	whole := must[[]event.Row](t)(s.Events(ctx, event.Filter{Instance: "i", Limit: 100}))
	if len(whole) != 15 {
		t.Fatalf("%d rows, want 15", len(whole))
	}
	for i, r := range whole[1:] {
		if p := whole[i]; r.Received.After(p.Received) || r.Received.Equal(p.Received) && r.ID > p.ID {
			t.Fatalf("row %d was received after row %d", i+1, i)
		}
	}
	var paged []event.Row
	for before := int64(0); ; before = paged[len(paged)-1].ID {
		page := must[[]event.Row](t)(s.Events(ctx, event.Filter{Instance: "i", Limit: 4, Before: before}))
		paged = append(paged, page...)
		if len(page) < 4 {
			break
		}
	}
	equal(t, paged, whole)
	if rows := must[[]event.Row](t)(s.Events(ctx, event.Filter{Instance: "other", Limit: 4, Before: whole[3].ID})); len(rows) != 0 {
		t.Errorf("another instance's row opened a page: %v", rows)
	}
}

func testDays(t *testing.T, s Events) {
	ctx := t.Context()
	day := 24 * time.Hour
	for i := range 6 {
		d := time.Duration(i) * day
		must[[]uint64](t)(s.AppendEvents(ctx, []event.Batch{batch("c", d, uint64(i*2+1)), batch("c", d+12*time.Hour, uint64(i*2+2))}))
	}
	if n := must[int64](t)(s.DeleteEventsBefore(ctx, "nobody", at(100*day))); n != 0 {
		t.Errorf("%d events of nobody were deleted", n)
	}
	if n := must[int64](t)(s.DeleteEventsBefore(ctx, "i", at(2*day+time.Hour))); n != 5 {
		t.Errorf("%d events were deleted, want 5", n)
	}
	equal(t, sequences(t, s, "c"), []uint64{12, 11, 10, 9, 8, 7, 6})
	rows := must[[]event.Row](t)(s.Events(ctx, event.Filter{Instance: "i", Since: at(5 * day), Limit: 10}))
	if len(rows) != 2 {
		t.Errorf("%d rows since the last day, want 2", len(rows))
	}
	// A day that was deleted can be written again.
	must[[]uint64](t)(s.AppendEvents(ctx, []event.Batch{batch("c", 0, 13)}))
	equal(t, sequences(t, s, "c"), []uint64{12, 11, 10, 9, 8, 7, 6, 13})
}

func testForeignText(t *testing.T, s Events) {
	b := batch("c", 0, 1)
	b.Events[0].Event.Host = "a\x00b\xff'\"; DROP TABLE events; --"
	b.Events[0].Event.Severity = "dreadful"
	must[[]uint64](t)(s.AppendEvents(t.Context(), []event.Batch{b}))
	rows := must[[]event.Row](t)(s.Events(t.Context(), event.Filter{Instance: "i", MinSeverity: dormer.Error, Limit: 5}))
	if len(rows) != 1 || rows[0].Host != "a\uFFFDb\uFFFD'\"; DROP TABLE events; --" {
		t.Fatalf("rows are %+v", rows)
	}
}

// AppendSome stores count events of a client from the sequence first on.
func AppendSome(t testing.TB, s Events, i dormer.InstanceID, c string, first uint64, count int) {
	t.Helper()
	b := batch(c, 0, upTo(first, first+uint64(count)-1)...)
	b.Instance = i
	if _, err := s.AppendEvents(t.Context(), []event.Batch{b}); err != nil {
		t.Fatal(err)
	}
}

// Rows returns an instance's events, oldest first.
func Rows(t testing.TB, s Events, i dormer.InstanceID) []event.Row {
	t.Helper()
	rows, err := s.Events(t.Context(), event.Filter{Instance: i, Limit: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(rows)
	return rows
}

// Happened returns count events from the sequence first on.
func Happened(first uint64, count int) (list []wire.NumberedEvent) {
	for _, n := range upTo(first, first+uint64(count)-1) {
		list = append(list, happened(n))
	}
	return list
}
