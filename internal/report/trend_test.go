package report_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/report"
	"github.com/dormer-project/dormer/internal/wire"
)

// TestTrendDays: days begin in the zone that was asked for, those that have 23
// or 25 hours too.
func TestTrendDays(t *testing.T) {
	state, events := fixture(t)
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	// The clocks went back in the night to 25 October.
	clock := time.Date(2026, 10, 26, 12, 0, 0, 0, berlin)
	for i, at := range []time.Time{
		time.Date(2026, 10, 24, 23, 59, 0, 0, berlin), time.Date(2026, 10, 25, 0, 1, 0, 0, berlin),
		time.Date(2026, 10, 25, 23, 59, 0, 0, berlin), time.Date(2026, 10, 26, 0, 1, 0, 0, berlin),
	} {
		if _, err := events.AppendEvents(t.Context(), []event.Batch{{
			Instance: "i", Client: "used", Journal: "night", Received: at,
			Events: []wire.NumberedEvent{{Sequence: uint64(i + 1), Event: dormer.Event{Severity: dormer.Error, Time: at}}},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	r := report.New(report.Config{Instance: "i", State: state, Events: events.Reports(), Now: func() time.Time { return clock }})
	for zone, want := range map[string][]int64{
		"Europe/Berlin": {1, 2, 1}, "UTC": {2, 2, 0}, "Asia/Kathmandu": {0, 2, 2}, "America/New_York": {2, 2, 0},
	} {
		for _, counted := range []bool{false, true} {
			if counted {
				if err := events.CountEvents(t.Context(), "i", clock); err != nil {
					t.Fatal(err)
				}
			}
			trends, err := r.Trends(t.Context(), 3, zone)
			if err != nil {
				t.Fatal(err)
			}
			var got []int64
			for _, d := range trends.Days {
				got = append(got, d.Error)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, counted %v: (-want +got):\n%s", zone, counted, diff)
			}
		}
	}
	for _, days := range []int{-1, report.MaxTrendDays + 1} {
		if _, err := r.Trends(t.Context(), days, ""); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("%d days: %v", days, err)
		}
	}
}

// TestSample counts clients once, whatever they have.
func TestSample(t *testing.T) {
	state, events := fixture(t)
	r := report.New(report.Config{Instance: "i", State: state, Events: events.Reports(), Now: func() time.Time { return now }})
	got, err := r.Sample(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	hour := now.Truncate(time.Hour)
	want := []report.Sample{
		{Time: hour, Name: report.SampleOnline, Value: 2},
		{Time: hour, Name: report.SampleClient, Label: "1.empty", Value: 1},
		{Time: hour, Name: report.SampleClient, Label: "1.forgotten", Value: 1},
		{Time: hour, Name: report.SampleClient, Label: "1.offline", Value: 1},
		{Time: hour, Name: report.SampleClient, Label: "1.used", Value: 1},
		{Time: hour, Name: report.SampleImage, Label: "sha256:a", Value: 1},
		{Time: hour, Name: report.SampleImage, Label: "sha256:b", Value: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := events.AddSamples(t.Context(), "i", got); err != nil {
		t.Fatal(err)
	}
	trends, err := r.Trends(t.Context(), 2, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(trends.Online) != 1 || trends.Online[0].Value != 2 || len(trends.Versions) != 6 || trends.Versions[0].Now != 1 || trends.Versions[0].Days[1] != 1 {
		t.Errorf("trends: %+v", trends)
	}
}
