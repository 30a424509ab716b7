package guest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// lookForPorts is how often the ports of channels are looked for: they come and
// go with what the policy allows.
const lookForPorts = time.Second

// channels are the ports of channels that are open, and what the guest asks on
// those where it is who asks.
type channels struct {
	clipboard clipboard
	folders   passage
	printing  passage
	loopback  loopback

	mu   sync.Mutex // guards the fields below
	open map[guestwire.Channel]io.Closer
}

// serveChannels serves the channels of which there is a port until ctx ends.
func (g *Guest) serveChannels(ctx context.Context) {
	go g.serveLocal(ctx)
	tick := time.NewTicker(lookForPorts)
	defer tick.Stop()
	for {
		for _, c := range guestwire.Channels {
			if g.channelOpen(c) {
				continue
			}
			path, err := findPortNamed(c.PortName())
			if err != nil {
				continue
			}
			port, err := openPort(path)
			if err != nil {
				g.cfg.Log.Debug("port of a channel cannot be opened", slog.String("channel", string(c)), slog.Any("error", err))
				continue
			}
			g.cfg.Log.Info("channel is open", slog.String("channel", string(c)))
			go g.keepChannel(ctx, c, port)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (g *Guest) channelOpen(c guestwire.Channel) bool {
	g.channels.mu.Lock()
	defer g.channels.mu.Unlock()
	return g.channels.open[c] != nil
}

// keepChannel serves one port until it is gone.
func (g *Guest) keepChannel(ctx context.Context, c guestwire.Channel, port io.ReadWriteCloser) {
	g.channels.mu.Lock()
	if g.channels.open == nil {
		g.channels.open = map[guestwire.Channel]io.Closer{}
	}
	g.channels.open[c] = port
	g.channels.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { _ = port.Close() }) // ends what waits
	defer func() {
		stop()
		_ = port.Close() // it may be gone already
		g.channels.mu.Lock()
		if g.channels.open[c] == port {
			delete(g.channels.open, c)
		}
		g.channels.mu.Unlock()
	}()
	tick := time.NewTicker(reopen)
	defer tick.Stop()
	for {
		session, err := guestwire.Await(port)
		switch {
		case err == nil:
			g.cfg.Log.Debug("host is connected to a channel", slog.String("channel", string(c)), slog.String("session", session))
			g.serveChannel(ctx, c, port)
			continue
		case !errors.Is(err, io.EOF) || !reopensItself(port):
			if ctx.Err() == nil {
				g.cfg.Log.Info("channel is closed", slog.String("channel", string(c)), slog.Any("error", err))
			}
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// ServeChannel serves one connection of a channel after the handshake, until it
// ends, and closes it.
func (g *Guest) ServeChannel(ctx context.Context, c guestwire.Channel, conn io.ReadWriteCloser) {
	g.serveChannel(ctx, c, conn)
	_ = conn.Close() // it may be closed already
}

func (g *Guest) serveChannel(ctx context.Context, c guestwire.Channel, port io.ReadWriteCloser) {
	conn := borrow(port, c)
	defer conn.giveBack()
	switch c {
	case guestwire.ChannelFiles:
		g.serveFiles(ctx, conn)
	case guestwire.ChannelClipboard:
		guestwire.ServeHTTP(ctx, conn, http.HandlerFunc(g.hostClipboard))
	case guestwire.ChannelFolders:
		g.channels.folders.use(ctx, conn)
	case guestwire.ChannelPrint:
		g.channels.printing.use(ctx, conn)
	}
}

// borrowed is a connection on a port that outlives it: to close it ends reading
// and writing and leaves the port open.
type borrowed struct {
	net.Conn
	port   io.ReadWriteCloser
	closed chan struct{}

	mu    sync.Mutex // guards the fields below
	over  bool
	under sync.WaitGroup // reads and writes
}

func borrow(port io.ReadWriteCloser, c guestwire.Channel) *borrowed {
	return &borrowed{Conn: guestwire.Stream(port, c), port: port, closed: make(chan struct{})}
}

// begin reports whether a read or write may begin; done ends it.
func (b *borrowed) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		b.under.Add(1)
	}
	return !b.over
}

// Read implements net.Conn.
func (b *borrowed) Read(p []byte) (int, error) {
	if !b.begin() {
		return 0, net.ErrClosed
	}
	defer b.under.Done()
	return b.Conn.Read(p)
}

// Write implements net.Conn.
func (b *borrowed) Write(p []byte) (int, error) {
	if !b.begin() {
		return 0, net.ErrClosed
	}
	defer b.under.Done()
	return b.Conn.Write(p)
}

// Close ends what reads and writes. A port without deadlines is closed.
func (b *borrowed) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return nil
	}
	b.over = true
	close(b.closed)
	if b.Conn.SetDeadline(time.Unix(1, 0)) != nil {
		return b.port.Close()
	}
	return nil
}

// SetDeadline implements net.Conn; what is closed keeps its own.
func (b *borrowed) SetDeadline(t time.Time) error { return b.limit(b.Conn.SetDeadline, t) }

// SetReadDeadline implements net.Conn.
func (b *borrowed) SetReadDeadline(t time.Time) error { return b.limit(b.Conn.SetReadDeadline, t) }

// SetWriteDeadline implements net.Conn.
func (b *borrowed) SetWriteDeadline(t time.Time) error { return b.limit(b.Conn.SetWriteDeadline, t) }

func (b *borrowed) limit(set func(time.Time) error, t time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return net.ErrClosed
	}
	return set(t)
}

// giveBack makes the port ready for the next connection: nothing reads or
// writes any more.
func (b *borrowed) giveBack() {
	_ = b.Close() // whoever had it may have closed it
	b.under.Wait()
	_ = b.Conn.SetDeadline(time.Time{}) // a port without deadlines is closed now
}

// passage is a channel on which the guest asks: requests wait for the host's
// connection for a short time.
type passage struct {
	mu   sync.Mutex // guards the fields below
	conn *http.ClientConn
	come chan struct{} // closed when there is another
}

// passagePatience is how long a request waits for the host to connect.
const passagePatience = 10 * time.Second

// use lets requests go to conn until it ends.
func (p *passage) use(ctx context.Context, conn *borrowed) {
	c, err := guestwire.HTTPClient(ctx, conn)
	if err != nil {
		return // the host is gone already
	}
	p.mu.Lock()
	p.conn = c
	if p.come != nil {
		close(p.come)
		p.come = nil
	}
	p.mu.Unlock()
	select {
	case <-conn.closed:
	case <-ctx.Done():
	}
	p.mu.Lock()
	if p.conn == c {
		p.conn = nil
	}
	p.mu.Unlock()
	_ = c.Close() // it may be closed already
}

// RoundTrip implements http.RoundTripper. ErrUnavailable when the host is not
// connected.
func (p *passage) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), passagePatience)
	defer cancel()
	for {
		p.mu.Lock()
		c := p.conn
		if c == nil && p.come == nil {
			p.come = make(chan struct{})
		}
		come := p.come
		p.mu.Unlock()
		if c != nil {
			return c.RoundTrip(r)
		}
		select {
		case <-come:
		case <-ctx.Done():
			return nil, fmt.Errorf("the host is not connected to the channel: %w", dormer.ErrUnavailable)
		}
	}
}

// reopenChannels closes ports; they are opened again when they are looked for.
func (g *Guest) reopenChannels(_ context.Context, r guestwire.ReopenRequest) error {
	g.channels.mu.Lock()
	defer g.channels.mu.Unlock()
	for c, port := range g.channels.open {
		if !slices.Contains(r.Channels, c) {
			continue
		}
		delete(g.channels.open, c)
		if err := port.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			g.cfg.Log.Debug("close port of a channel", slog.String("channel", string(c)), slog.Any("error", err))
		}
	}
	return nil
}

// maxQuestion bounds the JSON of a request on a channel.
const maxQuestion = 64 << 10

// question reads the JSON body of a request.
func question[T any](w http.ResponseWriter, r *http.Request) (T, error) {
	var v T
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion)).Decode(&v); err != nil {
		return v, dormer.Invalidf("", "the request is not the JSON document that is expected here")
	}
	return v, nil
}

// reply sends v or the error.
func reply(w http.ResponseWriter, v any, err error) {
	status := http.StatusOK
	if err != nil {
		status, v = http.StatusUnprocessableEntity, guestwire.FromError(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The host may be gone; it asks again.
	_, _ = w.Write(b)
}

// answered is the error that an answer other than 200 says.
func answered(body []byte) error {
	var e guestwire.Error
	if err := json.Unmarshal(body, &e); err != nil || e.Message == "" {
		return fmt.Errorf("the host does not answer: %w", dormer.ErrUnavailable)
	}
	return e.Err()
}
