package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire"
)

// BenchmarkAppendEvents stores 5,000 events in one transaction, as group commit
// does: one of each client, or 20. It tells the bytes that each takes with its
// share of the indexes.
func BenchmarkAppendEvents(b *testing.B) {
	for _, e := range engines {
		for _, each := range []int{1, 20} {
			b.Run(fmt.Sprintf("%s/%d", e.name, each), func(b *testing.B) {
				s := openEvents(b, e.dsn(b))
				sequence := uint64(1)
				group := func() []event.Batch { return benchBatches(5000/each, each, &sequence) }
				if _, err := s.AppendEvents(b.Context(), group()); err != nil {
					b.Fatal(err)
				}
				before := store.SizeOf(b, s)
				for b.Loop() {
					if _, err := s.AppendEvents(b.Context(), group()); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(5000*float64(b.N)/b.Elapsed().Seconds(), "events/s")
				b.ReportMetric(float64(store.SizeOf(b, s)-before)/(5000*float64(b.N)), "B/event")
			})
		}
	}
}

func benchBatches(clients, each int, sequence *uint64) []event.Batch {
	batches := make([]event.Batch, clients)
	now := time.Now()
	for i := range batches {
		batches[i] = event.Batch{
			Instance: "instance", Client: dormer.ClientID(fmt.Sprintf("%026d", i)), Journal: "abcdefghijklmnopqrstuvwxyz", Received: now,
		}
		for n := range each {
			batches[i].Events = append(batches[i].Events, wire.NumberedEvent{Sequence: *sequence + uint64(n), Event: dormer.Event{
				Code: 501, Severity: dormer.Information, Category: "workspace", Description: "The workspace runs",
				Host: fmt.Sprint("host-", i), User: fmt.Sprint("CORP\\user-", i), Workspace: "abcdefghijklmnopqrstuvwxyz",
				WorkspaceName: "Office", Guest: "PC", Time: now, ClientVersion: "1.0.0", PolicyRevision: 3, Image: "office/3",
			}})
		}
	}
	*sequence += uint64(each)
	return batches
}

// BenchmarkFlushSeen records a sign of life of 5,000 clients.
func BenchmarkFlushSeen(b *testing.B) {
	for _, e := range engines {
		b.Run(e.name, func(b *testing.B) {
			s := openState(b, e.dsn(b))
			const clients = 5000
			if err := s.CreateJoinToken(b.Context(), enroll.JoinToken{ID: "t", MaxUses: clients}); err != nil {
				b.Fatal(err)
			}
			seen := make([]enroll.Seen, clients)
			for i := range seen {
				c := enroll.Client{ID: dormer.ClientID(fmt.Sprint("client-", i)), Host: wire.Host{Name: fmt.Sprint("host-", i)}}
				seen[i] = enroll.Seen{Client: c.ID, Host: c.Host, AgentVersion: "1.0"}
				if err := s.Enrol(b.Context(), [32]byte{}, c, func(enroll.JoinToken) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
			at := time.Now()
			for b.Loop() {
				at = at.Add(time.Minute)
				for i := range seen {
					seen[i].Time = at
				}
				if err := s.FlushSeen(b.Context(), seen); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(clients*float64(b.N)/b.Elapsed().Seconds(), "clients/s")
		})
	}
}

// BenchmarkClearDay removes a day of a third of a million events, of which a
// store of 30 million has ninety.
func BenchmarkClearDay(b *testing.B) {
	for _, e := range engines {
		b.Run(e.name, func(b *testing.B) {
			s := openEvents(b, e.dsn(b))
			sequence := uint64(1)
			day := time.Now().AddDate(0, 0, -10).Truncate(24 * time.Hour)
			for b.Loop() {
				b.StopTimer()
				for n := range 66 {
					batches := benchBatches(250, 20, &sequence)
					for i := range batches {
						batches[i].Received = day.Add(time.Duration(n) * time.Minute)
					}
					if _, err := s.AppendEvents(b.Context(), batches); err != nil {
						b.Fatal(err)
					}
				}
				b.StartTimer()
				if n, err := s.DeleteEventsBefore(b.Context(), "instance", day.AddDate(0, 0, 1)); err != nil || n != 66*5000 {
					b.Fatalf("%d events removed: %v", n, err)
				}
			}
		})
	}
}
