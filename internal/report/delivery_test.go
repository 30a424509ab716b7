package report_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/report"
)

// TestDelivery: figures by day in the zone that was asked for, and by version;
// what is no version is together, and nobody's word makes a row of its own.
func TestDelivery(t *testing.T) {
	state, events := fixture(t)
	names := map[dormer.ImageID]string{"a": "office/1", "b": "office/2"}
	r := report.New(report.Config{
		Instance: "i", State: state, Events: events.Reports(), Deliveries: state, Now: func() time.Time { return now },
		ImageName: func(id dormer.ImageID) string { return names[id] },
	})
	for i, d := range []struct {
		client        dormer.ClientID
		image         dormer.ImageID
		before        time.Duration
		size, fetched int64
	}{
		{"used", "a", 3 * day, 1000, 1000},
		{"used", "b", 13 * time.Hour, 1000, 50}, // of yesterday, in Berlin of today
		{"offline", "b", time.Hour, 1000, 150},
		{"offline", "gone", time.Hour, 10, 0},
		{"used", "made up", time.Hour, 10, 4},
		{"used", "a", 40 * day, 1000, 1000},
	} {
		err := state.KeepDeliveries(t.Context(), d.client, []report.Delivery{{
			Image: d.image, Finished: now.Add(time.Duration(i) * time.Hour), Received: ago(d.before), Delivered: report.Delivered{Size: d.size, Fetched: d.fetched},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	ask := func(days int, zone string, of dormer.ImageID) report.DeliveryReport {
		t.Helper()
		d, err := r.Delivery(t.Context(), days, zone, of)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := ask(0, "", "")
	if len(d.Days) != report.DefaultTrendDays || d.Count != 5 || d.Delivered != (report.Delivered{Size: 3020, Fetched: 1204}) || d.Saved() != 1816 {
		t.Errorf("%d days, %d deliveries, %+v", len(d.Days), d.Count, d.Delivered)
	}
	want := []report.DeliveredImage{
		{Image: "b", Name: "office/2", Clients: 2, Count: 2, Delivered: report.Delivered{Size: 2000, Fetched: 200}},
		{Count: 2, Delivered: report.Delivered{Size: 20, Fetched: 4}},
		{Image: "a", Name: "office/1", Clients: 1, Count: 1, Delivered: report.Delivered{Size: 1000, Fetched: 1000}},
	}
	if diff := cmp.Diff(want, d.Images); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	for zone, want := range map[string][]int64{"UTC": {1000, 0, 50, 154}, "Europe/Berlin": {1000, 0, 0, 204}} {
		var got []int64
		for _, day := range ask(4, zone, "").Days {
			got = append(got, day.Fetched)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", zone, diff)
		}
	}
	if d := ask(800, "", "a"); d.Count != 2 || len(d.Images) != 1 || d.Images[0].Clients != 1 {
		t.Errorf("of one image: %+v", d)
	}
	if d := ask(800, "", "gone"); len(d.Images) != 1 || d.Images[0].Image != "gone" || d.Images[0].Clients != 1 {
		t.Errorf("of one that is gone: %+v", d)
	}
	if d := ask(30, "", "other"); d.Count != 0 || len(d.Images) != 0 || len(d.Days) != 30 {
		t.Errorf("of none: %+v", d)
	}
	for _, days := range []int{-1, report.MaxTrendDays + 1} {
		if _, err := r.Delivery(t.Context(), days, "", ""); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("%d days: %v", days, err)
		}
	}
	if _, err := r.Delivery(t.Context(), 1, "Mars", ""); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("a zone that is none: %v", err)
	}
}

// TestDeliveryTooLong: figures that take too long say how to narrow them.
func TestDeliveryTooLong(t *testing.T) {
	state, events := fixture(t)
	r := report.New(report.Config{
		Instance: "i", State: state, Events: events.Reports(), Deliveries: state, PageTime: time.Nanosecond, Now: func() time.Time { return now },
	})
	_, err := r.Delivery(t.Context(), 1, "", "")
	var invalid *dormer.InvalidError
	if !errors.As(err, &invalid) || invalid.Fields[0].Path != "days" || !strings.Contains(err.Error(), "narrow it") {
		t.Errorf("it ended with %v", err)
	}
	// Who goes away is told nothing of that.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Delivery(ctx, 1, "", ""); !errors.Is(err, context.Canceled) || errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("given up: %v", err)
	}
}
