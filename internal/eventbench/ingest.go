package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/eventbench/load"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire"
)

const (
	pollEvents  = 20  // of one poll of a client that is on-line
	pollsAtOnce = 256 // by so many clients at a time; all take turns
	// Clients of the backlog: few, so that each brings many batches.
	backlogClients = 200
	backlogAtOnce  = 48
)

// enrol enrols clients and lets each poll once, so that all have tokens and TLS
// sessions to resume.
func (s *site) enrol(ctx context.Context, n int) ([]*load.Client, error) {
	s.bench.say("enrolling %d clients", n)
	return s.server.Clients(ctx, n)
}

// sent is what became of polls that were sent for a while.
type sent struct {
	took                        time.Duration
	events, polls, busy         int64
	latencies                   []time.Duration // ascending
	server, database, generator time.Duration   // processor time
	commits, stored             float64
}

func (r sent) percentile(p float64) time.Duration {
	if len(r.latencies) == 0 {
		return 0
	}
	return r.latencies[int(p*float64(len(r.latencies)-1))]
}

func (r sent) rate() float64 { return float64(r.events) / r.took.Seconds() }

// send lets clients poll in turns, so many at once, each with so many events,
// each poll when the one before was answered, until ctx ends or the time is over.
func (s *site) send(ctx context.Context, clients []*load.Client, atOnce, events int, lasts time.Duration) (sent, error) {
	var (
		r     sent
		mu    sync.Mutex // guards what is counted
		errs  []error
		wg    sync.WaitGroup
		queue = make(chan *load.Client, len(clients))
	)
	for _, c := range clients {
		queue <- c
	}
	before, err := s.meter(ctx)
	if err != nil {
		return r, err
	}
	began := time.Now()
	for range atOnce {
		wg.Go(func() {
			var mine sent
			var failed error
			for time.Since(began) < lasts && ctx.Err() == nil && failed == nil {
				c := <-queue
				had, at := c.Received, time.Now()
				_, failed = c.Poll(ctx, events)
				mine.latencies = append(mine.latencies, time.Since(at))
				mine.polls++
				if c.Received == had {
					mine.busy++
				}
				mine.events += int64(c.Received - had)
				queue <- c
			}
			mu.Lock()
			defer mu.Unlock()
			r.events, r.polls, r.busy = r.events+mine.events, r.polls+mine.polls, r.busy+mine.busy
			r.latencies = append(r.latencies, mine.latencies...)
			if ctx.Err() == nil {
				errs = append(errs, failed)
			}
		})
	}
	wg.Wait()
	r.took = time.Since(began)
	after, err := s.meter(ctx)
	if err = errors.Join(append(errs, err)...); err != nil {
		return r, err
	}
	slices.Sort(r.latencies)
	r.server, r.database, r.generator = after.server-before.server, after.database-before.database, after.generator-before.generator
	r.commits, r.stored = after.commits-before.commits, after.stored-before.stored
	return r, nil
}

// meter is what is read before and after.
type meter struct {
	server, database, generator time.Duration
	commits, stored             float64
}

func (s *site) meter(ctx context.Context) (m meter, err error) {
	if m.server, err = load.CPU(s.server.PID()); err != nil {
		return m, err
	}
	if s.database != nil {
		if m.database, err = load.CPU(s.database.PID()); err != nil {
			return m, err
		}
	}
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return m, fmt.Errorf("read own times: %w", err)
	}
	m.generator = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	values, err := s.server.Metrics(context.WithoutCancel(ctx))
	m.commits, m.stored = values["dormer_events_commits_total"], values["dormer_events_stored_total"]
	return m, err
}

// print prints what came of sending.
func (s *site) print(name string, r sent) {
	s.row(name, r.rate(), "1/s")
	s.row(name+".poll_p50", r.percentile(0.5).Seconds()*1000, "ms")
	s.row(name+".poll_p99", r.percentile(0.99).Seconds()*1000, "ms")
	million := float64(r.events) / 1e6
	s.row(name+".server_cpu", r.server.Seconds()/million, "s/million")
	if s.database != nil {
		s.row(name+".database_cpu", r.database.Seconds()/million, "s/million")
	}
	s.row(name+".generator_cpu", r.generator.Seconds()/million, "s/million")
	if r.commits > 0 {
		s.row(name+".commit", r.stored/r.commits, "events")
		s.row(name+".commits", r.commits/r.took.Seconds(), "1/s")
	}
	busy := (r.server + r.database + r.generator).Seconds() / r.took.Seconds()
	s.bench.say("%s: %d events in %.1f s by %d polls, %d without room; processors: server %.2f, database %.2f, generator %.2f, together %.2f",
		name, r.events, r.took.Seconds(), r.polls, r.busy, r.server.Seconds()/r.took.Seconds(), r.database.Seconds()/r.took.Seconds(),
		r.generator.Seconds()/r.took.Seconds(), busy)
}

// durable measures events that are acknowledged when they are durable: each poll
// connects anew and resumes its TLS session, as agents do.
func (b *bench) durable(ctx context.Context, s *site) error {
	if err := errors.Join(s.open(ctx), s.serve(ctx)); err != nil {
		return err
	}
	clients, err := s.enrol(ctx, b.clients)
	if err != nil {
		return err
	}
	b.say("sending %d events a poll for %v", pollEvents, b.lasts)
	r, err := s.send(ctx, clients, pollsAtOnce, pollEvents, b.lasts)
	if err != nil {
		return err
	}
	s.print("durable", r)
	return nil
}

// drain measures a backlog: clients that were off-line bring batches of 500, as
// large as a poll may have. Then the store alone, by so many writers.
func (b *bench) drain(ctx context.Context, s *site) error {
	if err := errors.Join(s.open(ctx), s.serve(ctx)); err != nil {
		return err
	}
	clients, err := s.enrol(ctx, min(backlogClients, b.clients))
	if err != nil {
		return err
	}
	b.say("sending %d events a poll for %v", wire.MaxEventsPerPoll, b.lasts/2)
	r, err := s.send(ctx, clients, backlogAtOnce, wire.MaxEventsPerPoll, b.lasts/2)
	if err != nil {
		return err
	}
	s.print("drain", r)
	if err := s.server.Stop(); err != nil {
		return err
	}
	for _, writers := range []int{1, 2, 4} {
		if s.engine == sqlite && writers > 1 {
			break
		}
		rate, err := s.storeAlone(ctx, writers)
		if err != nil {
			return err
		}
		s.row(fmt.Sprintf("store_%d", writers), rate, "1/s")
	}
	return nil
}

// storeAlone appends to the store without a server, by so many writers, each
// with clients of its own, 10 batches of 500 a commit as the server does it.
func (s *site) storeAlone(ctx context.Context, writers int) (rate float64, err error) {
	const batches = 10
	lasts := s.bench.lasts / 6
	s.bench.say("storing by %d writers for %v", writers, lasts)
	events, err := store.OpenEvents(ctx, s.dsn, store.Options{Writers: writers})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, events.Close()) }()
	var stored atomic.Int64
	began := time.Now()
	err = load.Each(writers, writers, func(w int) error {
		for n := 0; time.Since(began) < lasts; n++ {
			group := make([]event.Batch, batches)
			for i := range group {
				first := uint64(n)*wire.MaxEventsPerPoll + 1
				group[i] = batchOf(s.bench, fmt.Sprintf("writers-%d", writers), w*batches+i, first, wire.MaxEventsPerPoll, time.Now())
			}
			if _, err := events.AppendEvents(ctx, group); err != nil {
				return err
			}
			stored.Add(batches * wire.MaxEventsPerPoll)
		}
		return nil
	})
	return float64(stored.Load()) / time.Since(began).Seconds(), err
}
