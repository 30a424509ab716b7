package qemu

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// reopenAfter is how long a guest that does not answer on a channel is waited
// for before its agent is asked to open the port anew.
const reopenAfter = 4 * time.Second

// channel is the host's end of one channel. It outlives connections: QEMU has
// the other end of its socket for as long as the device is attached.
type channel struct {
	conn net.Conn
	done chan struct{} // closed when QEMU has closed its end

	writing sync.Mutex // held while bytes are written

	mu   sync.Mutex // guards the field below
	lane *lane      // the connection, nil for none
}

// lane is one connection of a channel.
type lane struct {
	of     *channel
	r      *io.PipeReader
	w      *io.PipeWriter
	closed chan struct{}
	once   sync.Once
	begun  bool // the handshake is over; guarded by channel.mu
}

// newChannel takes over conn.
func newChannel(conn net.Conn) *channel {
	c := &channel{conn: conn, done: make(chan struct{})}
	go c.read()
	return c
}

// read hands what the guest sends to the connection; without one it is lost, as
// what an earlier one did not want.
func (c *channel) read() {
	defer close(c.done)
	buf := make([]byte, 64<<10)
	for {
		n, err := c.conn.Read(buf)
		if n > 0 {
			if l := c.current(); l != nil {
				_, _ = l.w.Write(buf[:n]) // fails when it is closed, and is lost then
			}
		}
		if err != nil {
			if l := c.current(); l != nil {
				_ = l.Close()
			}
			return
		}
	}
}

func (c *channel) current() *lane {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lane
}

// connect begins a connection and ends the one before.
func (c *channel) connect() *lane {
	r, w := io.Pipe()
	l := &lane{of: c, r: r, w: w, closed: make(chan struct{})}
	c.mu.Lock()
	before := c.lane
	c.lane = l
	c.mu.Unlock()
	if before != nil {
		_ = before.Close()
	}
	return l
}

// guestClosed ends a connection whose guest's end was closed.
func (c *channel) guestClosed() {
	c.mu.Lock()
	l := c.lane
	begun := l != nil && l.begun
	c.mu.Unlock()
	if begun {
		_ = l.Close()
	}
}

// close ends the connection and the channel.
func (c *channel) close() {
	if l := c.current(); l != nil {
		_ = l.Close()
	}
	_ = c.conn.Close() // QEMU may have closed its end already
	<-c.done
}

// Read implements io.Reader.
func (l *lane) Read(p []byte) (int, error) { return l.r.Read(p) }

// Write implements io.Writer. A guest that does not read is waited for until the
// connection is closed.
func (l *lane) Write(p []byte) (int, error) {
	l.of.writing.Lock()
	defer l.of.writing.Unlock()
	select {
	case <-l.closed:
		return 0, io.ErrClosedPipe
	default:
	}
	if err := l.of.conn.SetWriteDeadline(time.Time{}); err != nil {
		return 0, err
	}
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-l.closed:
			_ = l.of.conn.SetWriteDeadline(time.Unix(1, 0)) // the write ends with an error
		case <-stop:
		}
	}()
	return l.of.conn.Write(p)
}

// Close implements io.Closer. The channel goes on.
func (l *lane) Close() error {
	l.once.Do(func() {
		close(l.closed)
		_ = l.w.Close()
		_ = l.r.Close()
		l.of.mu.Lock()
		defer l.of.mu.Unlock()
		if l.of.lane == l {
			l.of.lane = nil
		}
	})
	return nil
}

// channelChanged ends a connection whose guest's end was closed. m.mu is held.
func (m *machine) channelChanged(d eventPort) {
	if d.Open {
		return
	}
	for name, c := range m.channels {
		if hypervisor.DeviceChannel(name) == d.ID {
			c.guestClosed()
		}
	}
}

// closeChannels ends all connections of channels and redirected devices.
func (m *machine) closeChannels() {
	m.mu.Lock()
	channels, slots := maps.Clone(m.channels), maps.Clone(m.slots)
	m.mu.Unlock()
	for _, c := range channels {
		c.close()
	}
	for _, s := range slots {
		_ = s.Conn.Close() // QEMU has gone
	}
}

// Ask implements hypervisor.Machine.
func (m *machine) Ask(ctx context.Context, need guestwire.Capability, method guestwire.Method, request, answer any) error {
	if err := m.port.WaitUp(ctx); err != nil {
		return fmt.Errorf("ask guest for %s: %w", method, err)
	}
	return m.port.Call(ctx, need, method, request, answer)
}

// Open implements hypervisor.Machine.
func (m *machine) Open(ctx context.Context, name guestwire.Channel) (io.ReadWriteCloser, error) {
	conn, err := m.open(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open channel %s: %w", name, err)
	}
	return conn, nil
}

func (m *machine) open(ctx context.Context, name guestwire.Channel) (io.ReadWriteCloser, error) {
	select {
	case <-m.done:
		return nil, fmt.Errorf("the machine has ended: %w", dormer.ErrUnavailable)
	default:
	}
	if slot, ok := hypervisor.USBSlotNumber(name); ok {
		return m.openUSB(ctx, slot)
	}
	m.mu.Lock()
	c := m.channels[name]
	m.mu.Unlock()
	if c == nil {
		return nil, fmt.Errorf("the machine has none: %w", dormer.ErrNotFound)
	}
	if err := m.port.WaitUp(ctx); err != nil {
		return nil, err
	}
	l := c.connect()
	greeted := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() { m.reopen(ctx, name, greeted) })
	err := guestwire.Greet(ctx, l, rand.Text())
	close(greeted)
	asking.Wait()
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	c.mu.Lock()
	l.begun = true
	taken := c.lane != l
	c.mu.Unlock()
	if taken {
		_ = l.Close()
		return nil, fmt.Errorf("another connection has taken its place: %w", dormer.ErrUnavailable)
	}
	return l, nil
}

// reopen asks a guest that does not answer on a channel to open the port anew.
func (m *machine) reopen(ctx context.Context, name guestwire.Channel, greeted <-chan struct{}) {
	timer := time.NewTimer(reopenAfter)
	defer timer.Stop()
	select {
	case <-greeted:
		return
	case <-ctx.Done():
		return
	case <-timer.C:
	}
	ctx, cancel := context.WithTimeout(ctx, reopenAfter)
	defer cancel()
	go func() {
		select {
		case <-greeted:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := m.port.Call(ctx, guestwire.CapChannels, guestwire.MethodReopen, guestwire.ReopenRequest{Channels: []guestwire.Channel{name}}, nil)
	if err != nil && ctx.Err() == nil {
		m.log.Info("guest does not answer on a channel", slog.String("channel", string(name)), slog.Any("error", err))
	}
}

// attachChannel plugs a channel's port in.
func (m *machine) attachChannel(ctx context.Context, name guestwire.Channel) error {
	conn, err := m.addSocket(ctx, charPrefix+string(name))
	if err != nil {
		return err
	}
	if err := m.monitor.execute(ctx, "device_add", channelDevice(name), nil); err != nil {
		return errors.Join(err, m.dropSocket(ctx, charPrefix+string(name)), conn.Close())
	}
	c := newChannel(conn)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.channels[name] = c
	m.spec.Channels = append(slices.Clone(m.spec.Channels), name)
	return nil
}

// detachChannel ends a channel's connection and unplugs its port.
func (m *machine) detachChannel(ctx context.Context, name guestwire.Channel) error {
	m.mu.Lock()
	c := m.channels[name]
	delete(m.channels, name)
	m.mu.Unlock()
	if c != nil {
		c.close()
	}
	if err := m.unplug(ctx, hypervisor.DeviceChannel(name), unplugTime); err != nil {
		return err
	}
	m.mu.Lock()
	m.spec.Channels = slices.DeleteFunc(slices.Clone(m.spec.Channels), func(other guestwire.Channel) bool { return other == name })
	m.mu.Unlock()
	return m.dropSocket(ctx, charPrefix+string(name))
}
