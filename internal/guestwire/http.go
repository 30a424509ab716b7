package guestwire

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// How a channel's connection is looked after: a side that does not answer for
// so long is given up. Guests that are emulated are slow.
const (
	pingAfter  = time.Minute
	pingAnswer = time.Minute
	// maxStreams is how many requests are answered at the same time.
	maxStreams = 16
)

// prior is HTTP/2 without TLS and without asking whether the other side can.
func prior() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

// ServeHTTP answers the other side's requests on conn until that or ctx ends,
// and closes it.
func ServeHTTP(ctx context.Context, conn net.Conn, h http.Handler) {
	w := &watched{Conn: conn, closed: make(chan struct{})}
	stop := context.AfterFunc(ctx, func() { _ = w.Close() }) // ends what waits
	defer stop()
	s := &http.Server{
		Handler: h, Protocols: prior(), HTTP2: &http.HTTP2Config{MaxReadFrameSize: MaxHTTPFrame, MaxConcurrentStreams: maxStreams},
		ReadHeaderTimeout: pingAfter, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	// It ends with the connection: there is no other.
	_ = s.Serve(&once{conn: w})
}

// HTTPClient returns what sends requests to the other side of conn, which it
// closes. Whoever has it closes it.
func HTTPClient(ctx context.Context, conn net.Conn) (*http.ClientConn, error) {
	t := &http.Transport{
		Protocols: prior(), DisableCompression: true,
		HTTP2:       &http.HTTP2Config{MaxReadFrameSize: MaxHTTPFrame, SendPingTimeout: pingAfter, PingTimeout: pingAnswer},
		DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}
	c, err := t.NewClientConn(ctx, "http", conn.RemoteAddr().String()+":80")
	if err != nil {
		_ = conn.Close() // err says why
		return nil, fmt.Errorf("begin HTTP on a channel: %w", err)
	}
	return c, nil
}

// watched says when it is closed.
type watched struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
}

// Close implements net.Conn.
func (w *watched) Close() error {
	w.once.Do(func() { close(w.closed) })
	return w.Conn.Close()
}

// once is a listener with one connection. It ends with that.
type once struct {
	conn  *watched
	given bool
}

// Accept implements net.Listener.
func (o *once) Accept() (net.Conn, error) {
	if !o.given {
		o.given = true
		return o.conn, nil
	}
	<-o.conn.closed
	return nil, net.ErrClosed
}

// Close implements net.Listener.
func (o *once) Close() error { return nil }

// Addr implements net.Listener.
func (o *once) Addr() net.Addr { return o.conn.LocalAddr() }
