package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// counter is a proxy in front of the domain controller that counts requests:
// the client writes each in a TLS record of its own. The records of handshakes
// that TLS 1.3 makes look like them are not counted.
type counter struct {
	listener net.Listener
	server   string
	requests atomic.Int64
	all      sync.WaitGroup
}

// startCounter listens on another port of the same address, so that the
// certificate fits.
func startCounter(ctx context.Context, address string) (*counter, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return nil, fmt.Errorf("listen for the counter: %w", err)
	}
	c := &counter{listener: l, server: net.JoinHostPort(address, "636")}
	c.all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // closed
			}
			c.all.Go(func() { c.pass(ctx, client) })
		}
	})
	return c, nil
}

func (c *counter) address() string { return c.listener.Addr().String() }

func (c *counter) close() {
	_ = c.listener.Close()
	c.all.Wait()
}

// pass connects a client with the server until either ends.
func (c *counter) pass(ctx context.Context, client net.Conn) {
	defer func() { _ = client.Close() }()
	var d net.Dialer
	server, err := d.DialContext(ctx, "tcp", c.server)
	if err != nil {
		return // the client sees its connection end
	}
	defer func() { _ = server.Close() }()
	c.all.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
	_ = c.count(server, client)
}

// count passes records on.
func (c *counter) count(to io.Writer, from io.Reader) error {
	const applicationData = 23
	handshake := true // its end is the first such record
	record := make([]byte, 5+1<<15)
	for {
		if _, err := io.ReadFull(from, record[:5]); err != nil {
			return err
		}
		end := 5 + int(binary.BigEndian.Uint16(record[3:5]))
		if end > len(record) {
			return io.ErrShortBuffer
		}
		if _, err := io.ReadFull(from, record[5:end]); err != nil {
			return err
		}
		if record[0] == applicationData {
			if !handshake {
				c.requests.Add(1)
			}
			handshake = false
		}
		if _, err := to.Write(record[:end]); err != nil {
			return err
		}
	}
}
