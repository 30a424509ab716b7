package event_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

// nothingStore takes everything at once and keeps nothing.
type nothingStore struct{}

func (nothingStore) AppendEvents(_ context.Context, batches []event.Batch) ([]uint64, error) {
	marks := make([]uint64, len(batches))
	for i, b := range batches {
		marks[i] = b.Events[len(b.Events)-1].Sequence
	}
	return marks, nil
}

func (nothingStore) Watermark(context.Context, dormer.InstanceID, dormer.ClientID, dormer.JournalID) (uint64, error) {
	return 0, nil
}

// BenchmarkSubmit is what an event costs between protocol and store, in batches
// of 20 of many clients.
func BenchmarkSubmit(b *testing.B) {
	g := event.NewIngester(nothingStore{}, event.IngestConfig{Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	var clients atomic.Int64
	b.SetParallelism(200)
	b.RunParallel(func(pb *testing.PB) {
		n, sequence := clients.Add(1), uint64(0)
		batch := batchOf(int(n))
		batch.Client = dormer.ClientID(fmt.Sprintf("%026d", n))
		at := time.Now()
		for pb.Next() {
			batch.Events = batch.Events[:0:0]
			for range 20 {
				sequence++
				e := numbered(sequence)
				at = at.Add(time.Second)
				e.Event.Time = at
				batch.Events = append(batch.Events, e)
			}
			if _, err := g.Submit(ctx, batch); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N*20)/b.Elapsed().Seconds(), "events/s")
	stop()
	if err := <-done; err != nil {
		b.Error(err)
	}
}
