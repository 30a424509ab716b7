package standby

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire"
)

// BenchmarkIngest is what storing events of many clients costs in batches of
// 20, with shipping to a folder each second and without.
func BenchmarkIngest(b *testing.B) {
	for name, shipped := range map[string]bool{"alone": false, "shipped": true} {
		b.Run(name, func(b *testing.B) { ingest(b, shipped) })
	}
}

func ingest(b *testing.B, shipped bool) {
	dir := b.TempDir()
	path := filepath.Join(dir, "events.db")
	events, err := store.OpenEvents(b.Context(), "sqlite:"+path, store.Options{KeepWAL: shipped})
	if err != nil {
		b.Fatal(err)
	}
	defer events.Close()
	logger := slog.New(slog.DiscardHandler)
	c := event.IngestConfig{Now: time.Now, Logger: logger, Limits: event.IngestLimits{ClientBurst: -1}}
	ctx, stop := context.WithCancel(b.Context())
	var running []chan error
	run := func(f func(context.Context) error) {
		ended := make(chan error, 1)
		go func() { ended <- f(ctx) }()
		running = append(running, ended)
	}
	if shipped {
		target, err := OpenTarget(TargetConfig{URL: "file://" + filepath.Join(b.TempDir(), "target"), Logger: logger})
		if err != nil {
			b.Fatal(err)
		}
		lock, err := ReadLock(keyFile(b))
		if err != nil {
			b.Fatal(err)
		}
		s := NewShipper(ShipConfig{
			Target: target, Lock: lock, Instance: instance, Epoch: 1, Owner: NewOwner(), Host: "primary",
			Databases: map[string]string{"events": path}, Keys: filepath.Join(dir, "keys"),
			Interval: time.Second, Fenced: func(dormer.Epoch) {}, Now: time.Now, Logger: logger,
		})
		if err := s.Rule(b.Context(), false); err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		c.Replicate = s.Sync
		run(s.Run)
	}
	g := event.NewIngester(events, c)
	run(g.Run)
	var clients atomic.Int64
	b.SetParallelism(200)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		batch := event.Batch{Instance: instance, Client: dormer.ClientID(fmt.Sprintf("%026d", clients.Add(1))), Journal: "journal", Host: "pc", ClientVersion: "1.0"}
		for sequence := uint64(0); pb.Next(); {
			batch.Events = nil
			for range 20 {
				sequence++
				batch.Events = append(batch.Events, wire.NumberedEvent{Sequence: sequence, Event: event.New(event.ApplicationRun, time.Now(), "something was run")})
			}
			if _, err := g.Submit(ctx, batch); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N*20)/b.Elapsed().Seconds(), "events/s")
	b.StopTimer()
	stop()
	for _, ended := range running {
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}
}
