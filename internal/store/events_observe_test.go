package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/wire"
)

// TestObserve: what a plan is told of events follows from those that were
// stored, on both engines; another instance's do not count.
func TestObserve(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			ctx := t.Context()
			s := openEvents(t, e.dsn(t))
			r := s.Reports()
			if o, err := r.Observe(ctx, instanceA, reportNow.AddDate(0, 0, -30), 10); err != nil || o.Events != 0 || o.Rows != 0 || len(o.Newest) != 0 {
				t.Errorf("of an instance that stored nothing: %+v, %v", o, err)
			}
			all := reported(t, s, instanceA)
			reported(t, s, instanceB)
			for _, days := range []int{100, 2} {
				since := reportNow.AddDate(0, 0, -days)
				want, first := int64(0), time.Time{}
				for _, v := range all {
					if v.Received.Before(since) {
						continue
					}
					if want == 0 {
						first = v.Received
					}
					want++
				}
				o, err := r.Observe(ctx, instanceA, since, 10)
				if err != nil {
					t.Fatal(err)
				}
				if o.Events != want || !o.First.Equal(first) {
					t.Errorf("%d days: %d events, the first at %v; want %d, %v", days, o.Events, o.First, want, first)
				}
				if len(o.Newest) != 10 || !o.Newest[0].Received.Equal(all[len(all)-1].Received) || o.Newest[0].Host == "" {
					t.Errorf("newest: %+v", o.Newest)
				}
			}
			if o, err := r.Observe(ctx, instanceA, reportNow, 10); err != nil || o.Events != 0 || len(o.Newest) != 0 {
				t.Errorf("a time without events: %+v, %v", o, err)
			}
		})
	}
}

// TestObservedBytes: what an event takes is told within what benchmarks
// measured.
func TestObservedBytes(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			s := openEvents(t, e.dsn(t))
			const clients, each = 100, 200
			for n := range clients {
				b := event.Batch{Instance: instanceA, Client: dormer.ClientID(fmt.Sprintf("client-%02d", n)), Journal: "j", Received: reportNow.Add(time.Duration(n) * time.Minute)}
				for k := range each {
					b.Events = append(b.Events, wire.NumberedEvent{Sequence: uint64(k + 1), Event: dormer.Event{
						Code: 500 + k%7, Severity: dormer.Information, Category: "workspace", Description: fmt.Sprintf("The workspace Office was started for the %d. time", k),
						Host: fmt.Sprintf("pc-%02d", n), User: "anna", Workspace: "w", WorkspaceName: "Office", Time: b.Received, ClientVersion: "1.0",
					}})
				}
				if _, err := s.AppendEvents(t.Context(), []event.Batch{b}); err != nil {
					t.Fatal(err)
				}
			}
			o, err := s.Reports().Observe(t.Context(), instanceA, reportNow, 1)
			if err != nil {
				t.Fatal(err)
			}
			if o.Events != clients*each || o.Rows != clients*each {
				t.Fatalf("%+v", o)
			}
			if bytes := float64(o.Bytes) / float64(o.Rows); bytes < 90 || bytes > 350 {
				t.Errorf("an event takes %.0f bytes", bytes)
			} else {
				t.Logf("an event takes %.0f bytes", bytes)
			}
		})
	}
}
