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
// clients.
type wire struct {
	url      string
	received atomic.Int64 // bytes to clients, as encrypted
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
	_, _ = io.Copy(client, io.TeeReader(server, (*counter)(&w.received)))
	client.Close()
	wg.Wait()
}

type counter atomic.Int64

func (c *counter) Write(p []byte) (int, error) {
	(*atomic.Int64)(c).Add(int64(len(p)))
	return len(p), nil
}
