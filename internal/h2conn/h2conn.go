// Package h2conn speaks HTTP/2 on one connection that is there already, without
// TLS and without asking whether the other side can: on the channels of a guest,
// and between the agent and the session process of a user. It is a leaf that every
// package may import.
package h2conn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// maxHeader is how long the header of a request may be, in bytes.
const maxHeader = 64 << 10

// Limits are what a side puts up with.
type Limits struct {
	// Silence is after which time without a word the client asks whether the
	// server is there, Answer how long it waits for that; the server waits Silence
	// for the first word.
	Silence, Answer time.Duration
	// Frame is the longest frame that is taken, in bytes, Streams how many requests
	// are answered at the same time; 0 is what net/http takes.
	Frame, Streams int
}

// protocols is HTTP/2 without TLS.
func protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

// Serve answers the other side's requests on conn until that or ctx ends, and
// closes it.
func Serve(ctx context.Context, conn net.Conn, h http.Handler, l Limits) {
	c := Watch(conn)
	stop := context.AfterFunc(ctx, func() { _ = c.Close() }) // ends what waits
	defer stop()
	s := &http.Server{
		Handler: h, Protocols: protocols(), HTTP2: &http.HTTP2Config{MaxReadFrameSize: l.Frame, MaxConcurrentStreams: l.Streams},
		ReadHeaderTimeout: l.Silence, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	_ = s.Serve(&once{conn: c}) // it ends with the connection: there is no other
}

// Client returns what sends requests to the other side of conn, which it closes:
// at once when it fails. host is what requests are addressed to. Whoever has the
// client closes it.
func Client(ctx context.Context, conn net.Conn, host string, l Limits) (*http.ClientConn, error) {
	t := &http.Transport{
		Protocols: protocols(), DisableCompression: true,
		HTTP2:       &http.HTTP2Config{MaxReadFrameSize: l.Frame, SendPingTimeout: l.Silence, PingTimeout: l.Answer},
		DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}
	c, err := t.NewClientConn(ctx, "http", host+":80")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("begin HTTP on a connection: %w", err), conn.Close())
	}
	return c, nil
}

// Conn is a connection that says when this side has closed it, as Serve and what
// Client returns do when it has ended.
type Conn struct {
	net.Conn
	closed chan struct{}
	close  func()
}

// Watch returns conn as one that says when it is closed.
func Watch(conn net.Conn) *Conn {
	closed := make(chan struct{})
	return &Conn{conn, closed, sync.OnceFunc(func() { close(closed) })}
}

// Closed is closed with the connection.
func (c *Conn) Closed() <-chan struct{} { return c.closed }

// Close implements net.Conn.
func (c *Conn) Close() error {
	c.close()
	return c.Conn.Close()
}

// once is a listener with one connection, with which it ends.
type once struct {
	conn  *Conn
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
