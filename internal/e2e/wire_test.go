package e2e

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// wire is the network between clients and server: it counts what reaches the
// clients, and stalls when it is told to.
type wire struct {
	url      string
	received atomic.Int64 // bytes to clients, as encrypted

	mu    sync.Mutex // guards the fields below
	limit int64      // of received, while stall is not nil
	stall chan struct{}
}

// stallAfter lets so many bytes more reach clients, and no more until release.
func (w *wire) stallAfter(bytes int64) (release func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	stall := make(chan struct{})
	w.limit, w.stall = w.received.Load()+bytes, stall
	return sync.OnceFunc(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.stall = nil
		close(stall)
	})
}

// pass counts bytes and waits while the wire stalls.
func (w *wire) pass(ctx context.Context, bytes int) {
	total := w.received.Add(int64(bytes))
	w.mu.Lock()
	stall := w.stall
	if total < w.limit {
		stall = nil
	}
	w.mu.Unlock()
	if stall == nil {
		return
	}
	select {
	case <-stall:
	case <-ctx.Done():
	}
}

func newWire(t *testing.T, server string) *wire {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{url: "https://localhost:" + port(l.Addr().String())}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { w.carry(ctx, c, server) })
		}
	})
	t.Cleanup(func() {
		cancel()
		l.Close()
		wg.Wait()
	})
	return w
}

// carry connects a client with the server until either ends.
func (w *wire) carry(ctx context.Context, client net.Conn, address string) {
	defer client.Close()
	var d net.Dialer
	server, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	stop := context.AfterFunc(ctx, func() {
		client.Close()
		server.Close()
	})
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = io.Copy(server, client) // it ends with the connection
		server.Close()
	})
	_, _ = io.Copy(client, io.TeeReader(server, gauge(func(n int) { w.pass(ctx, n) })))
	client.Close()
	wg.Wait()
}

// gauge is told how much is written.
type gauge func(bytes int)

func (g gauge) Write(p []byte) (int, error) {
	g(len(p))
	return len(p), nil
}
