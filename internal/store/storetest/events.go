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
	rows := Rows(t, s, "i")
	slices.Reverse(rows)
	for _, r := range rows {
		if r.Client != dormer.ClientID(c) {
			continue
		}
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
	rows := Rows(t, s, "i")
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
		if rows := Rows(t, s, i); len(rows) != n {
			t.Errorf("instance %q has %d rows, want %d", i, len(rows), n)
		}
	}
	if n := must[int64](t)(s.DeleteEventsBefore(ctx, other.Instance, at(time.Hour))); n != 2 {
		t.Errorf("%d events of the other instance were deleted, want 2", n)
	}
	equal(t, sequences(t, s, "c"), []uint64{3, 2, 1})
	// What was deleted does not come back by being sent again.
	equal(t, must[[]uint64](t)(s.AppendEvents(ctx, []event.Batch{other})), []uint64{2})
	if rows := Rows(t, s, other.Instance); len(rows) != 0 {
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
	rows := Rows(t, s, "i")
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
	// A day that was deleted can be written again.
	must[[]uint64](t)(s.AppendEvents(ctx, []event.Batch{batch("c", 0, 13)}))
	equal(t, sequences(t, s, "c"), []uint64{12, 11, 10, 9, 8, 7, 6, 13})
}

func testForeignText(t *testing.T, s Events) {
	b := batch("c", 0, 1)
	b.Events[0].Event.Host = "a\x00b\xff'\"; DROP TABLE events; --"
	b.Events[0].Event.Severity = "dreadful"
	must[[]uint64](t)(s.AppendEvents(t.Context(), []event.Batch{b}))
	rows := Rows(t, s, "i")
	if len(rows) != 1 || rows[0].Severity != dormer.Error || rows[0].Host != "a\uFFFDb\uFFFD'\"; DROP TABLE events; --" {
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

// Rows returns an instance's events, oldest received first, and those received at
// the same moment as they were stored.
func Rows(t testing.TB, s event.Follower, i dormer.InstanceID) (rows []event.Row) {
	t.Helper()
	const page = 10_000
	for after := int64(0); ; {
		list, next, err := s.Follow(t.Context(), i, after, page)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, list...)
		if len(list) < page {
			break
		}
		after = next
	}
	slices.SortStableFunc(rows, func(a, b event.Row) int { return a.Received.Compare(b.Received) })
	return rows
}

// Happened returns count events from the sequence first on.
func Happened(first uint64, count int) (list []wire.NumberedEvent) {
	for _, n := range upTo(first, first+uint64(count)-1) {
		list = append(list, happened(n))
	}
	return list
}
