package clientapi_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/report"
	"github.com/dormer-project/dormer/internal/wire"
)

func image(digit string) dormer.ImageID {
	return dormer.ImageID("sha256:" + strings.Repeat(digit, 64))
}

// TestDeliveries: what a client says it got is stored once, however often it is
// sent; what cannot be true is clipped or left out, and stops nothing.
func TestDeliveries(t *testing.T) {
	s, c, _ := ready(t)
	send := func(list ...wire.Delivery) wire.PollAnswer {
		t.Helper()
		q := c.request()
		q.Deliveries = list
		return must(c.send(q))(t)
	}
	counts := func() map[dormer.ImageID]report.Delivered {
		t.Helper()
		by := map[dormer.ImageID]report.Delivered{}
		for _, n := range must(s.state.Deliveries(t.Context(), time.Time{}, ""))(t) {
			by[n.Image] = n.Delivered
			if now := s.clock.Now(); n.Time.After(now) || now.Sub(n.Time) > report.Quarter {
				t.Errorf("stored as of %s, it is %s", n.Time, now)
			}
		}
		return by
	}
	// The client's clock says which delivery it is, and nothing else.
	finished := s.clock.Now().AddDate(-20, 0, 0)
	const most = imageformat.MaxFrames * imageformat.MaxFrameStored
	list := []wire.Delivery{
		{Image: image("a"), Size: 100, Fetched: 30, Finished: finished},
		{Image: image("b"), Size: 100, Fetched: 101, Finished: finished},
		{Image: image("c"), Size: 100, Fetched: -1, Finished: finished},
		{Image: image("d"), Size: -100, Fetched: -100, Finished: finished},
		{Image: image("e"), Size: most + 1, Finished: finished},
		{Image: "office", Size: 100, Finished: finished},
		{Image: dormer.ImageID(strings.Repeat("x", 10_000)), Size: 100, Finished: finished},
		{},
		{Image: image("f"), Size: most},
	}
	want := map[dormer.ImageID]report.Delivered{image("a"): {Size: 100, Fetched: 30}, image("b"): {Size: 100, Fetched: 100}, image("f"): {Size: most}}
	for range 3 {
		if a := send(list...); a.DeliveriesTaken != len(list) {
			t.Errorf("%d of %d were taken", a.DeliveriesTaken, len(list))
		}
		if diff := cmp.Diff(want, counts()); diff != "" {
			t.Fatalf("stored (-want +got):\n%s", diff)
		}
	}
	if a := send(list[3]); a.DeliveriesTaken != 1 {
		t.Error("one that cannot be true would be sent for ever")
	}
	if a := send(); a.DeliveriesTaken != 0 {
		t.Errorf("%d of none were taken", a.DeliveriesTaken)
	}
	// The same image again is another delivery.
	send(wire.Delivery{Image: image("a"), Size: 100, Fetched: 100, Finished: finished.Add(time.Hour)})
	want[image("a")] = report.Delivered{Size: 200, Fetched: 130}
	if diff := cmp.Diff(want, counts()); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	q := c.request()
	q.Deliveries = make([]wire.Delivery, wire.MaxDeliveries+1)
	if _, err := c.send(q); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("too many: %v", err)
	}
}

// TestDeliveriesThatCannotBeStored come again with the next poll, which is
// answered.
func TestDeliveriesThatCannotBeStored(t *testing.T) {
	s, c, _ := ready(t)
	c.poll()
	if err := s.state.Close(); err != nil {
		t.Fatal(err)
	}
	q := c.request()
	q.Deliveries = []wire.Delivery{{Image: image("a"), Size: 100, Finished: s.clock.Now()}}
	a, err := c.send(q)
	if err != nil || a.DeliveriesTaken != 0 {
		t.Errorf("%d were taken (%v)", a.DeliveriesTaken, err)
	}
}

// TestDeliveriesOfOthers: agents from before say nothing of deliveries, and what
// later ones add to them is passed over.
func TestDeliveriesOfOthers(t *testing.T) {
	s, c, _ := ready(t)
	var q map[string]any
	b := must(json.Marshal(c.request()))(t)
	if err := json.Unmarshal(b, &q); err != nil {
		t.Fatal(err)
	}
	if _, there := q["deliveries"]; there {
		t.Error("a poll without deliveries speaks of them")
	}
	q["deliveries"] = []any{map[string]any{"image": image("a"), "size": 7, "finished": s.clock.Now(), "later": "x"}}
	if err := s.post(wire.PathPoll, c.token, q, nil); err != nil {
		t.Error(err)
	}
	if n := must(s.state.Deliveries(t.Context(), time.Time{}, ""))(t); len(n) != 1 || n[0].Size != 7 {
		t.Errorf("stored: %+v", n)
	}
}
