package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/wire"
)

// BenchmarkAppendEvents stores one event of each of many clients in one
// transaction, as group commit does.
func BenchmarkAppendEvents(b *testing.B) {
	for _, e := range engines {
		for _, clients := range []int{20, 500, 5000} {
			b.Run(fmt.Sprintf("%s/%d", e.name, clients), func(b *testing.B) {
				s := openEvents(b, e.dsn(b))
				now := time.Now()
				var sequence uint64
				for b.Loop() {
					sequence++
					batches := make([]event.Batch, clients)
					for i := range batches {
						batches[i] = event.Batch{
							Instance: "instance", Client: dormer.ClientID(fmt.Sprintf("%026d", i)), Journal: "abcdefghijklmnopqrstuvwxyz", Received: now,
							Events: []wire.NumberedEvent{{Sequence: sequence, Event: dormer.Event{
								Code: 501, Severity: dormer.Information, Category: "workspace", Description: "The workspace runs",
								Host: fmt.Sprint("host-", i), User: fmt.Sprint("CORP\\user-", i), Workspace: "abcdefghijklmnopqrstuvwxyz",
								WorkspaceName: "Office", Guest: "PC", Time: now, ClientVersion: "1.0.0", PolicyRevision: 3, Image: "office/3",
							}}},
						}
					}
					if _, err := s.AppendEvents(b.Context(), batches); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(clients)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
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
