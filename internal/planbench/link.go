package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/eventbench/load"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire"
)

const (
	commits  = 20
	batch    = 20 // events of a commit
	far      = 40 * time.Millisecond
	pieces   = 64 << 10
	inFlight = 1024 // pieces
)

// link measures a commit of events on a PostgreSQL that is near, and over a
// link whose round trip takes some time: what it takes longer is round trips.
func (b *bench) link(ctx context.Context, dir string) (err error) {
	b.say("a PostgreSQL at the other end of a link")
	p, err := load.NewPostgres(ctx, filepath.Join(dir, "pg"))
	if err != nil {
		return err
	}
	if err := p.Start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	if _, err := p.SQL(ctx, "postgres", "CREATE DATABASE events"); err != nil {
		return err
	}
	var took [2]time.Duration
	for i, latency := range []time.Duration{0, far} {
		if took[i], err = b.commits(ctx, p, latency, i); err != nil {
			return err
		}
	}
	b.row("link.commit", took[0].Seconds(), "s")
	b.row("link.trips", (took[1]-took[0]).Seconds()/far.Seconds(), "round-trips/commit")
	return nil
}

// commits returns what a commit takes when the connection is warm.
func (b *bench) commits(ctx context.Context, p *load.Postgres, latency time.Duration, round int) (took time.Duration, err error) {
	front, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("listen: %w", err)
	}
	defer front.Close()
	go delayed(ctx, front, filepath.Join(p.Dir, ".s.PGSQL.5432"), latency/2)
	events, err := store.OpenEvents(ctx, fmt.Sprintf("postgres://postgres@%s/events?sslmode=disable", front.Addr()), store.Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, events.Close()) }()
	began := time.Now()
	for i := range commits + 1 {
		if i == 1 {
			began = time.Now() // the first one makes tables and contexts
		}
		q := event.Batch{
			Instance: dormer.InstanceID(strings.Repeat("i", 26)), Client: dormer.ClientID(strings.Repeat("c", 26)),
			Journal: dormer.JournalID(strings.Repeat(fmt.Sprint(round), 26)), Received: began,
		}
		for n := range uint64(batch) {
			sequence := uint64(i)*batch + n + 1
			q.Events = append(q.Events, wire.NumberedEvent{Sequence: sequence, Event: load.Event(1, sequence, began)})
		}
		if _, err := events.AppendEvents(ctx, []event.Batch{q}); err != nil {
			return 0, err
		}
	}
	return time.Since(began) / commits, nil
}

// delayed passes connections on to a socket; everything arrives so much later.
func delayed(ctx context.Context, front net.Listener, socket string, later time.Duration) {
	for {
		near, err := front.Accept()
		if err != nil {
			return
		}
		back, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
		if err != nil {
			near.Close()
			return
		}
		go pass(near, back, later)
		go pass(back, near, later)
	}
}

// piece is what was read, and when it may arrive.
type piece struct {
	bytes []byte
	at    time.Time
}

// pass copies what comes in, so much later, and closes both ends at its end.
func pass(to io.WriteCloser, from io.ReadCloser, later time.Duration) {
	queue := make(chan piece, inFlight)
	go func() {
		defer close(queue)
		for {
			p := make([]byte, pieces)
			n, err := from.Read(p)
			if n > 0 {
				queue <- piece{p[:n], time.Now().Add(later)}
			}
			if err != nil {
				return
			}
		}
	}()
	defer from.Close()
	defer to.Close()
	for p := range queue {
		if wait := time.Until(p.at); wait > 0 {
			<-time.After(wait)
		}
		if _, err := to.Write(p.bytes); err != nil {
			break
		}
	}
	for range queue { // the reader ends when its connection is closed
	}
}
