package agentapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/problem"
)

const (
	pathUSB = "/v1/workspaces/{machine}/usb"
	// usbProtocol is what the connection is upgraded to: usbredir, on which who
	// asks is the host of the device.
	usbProtocol = "usbredir"
)

// Devices lets users redirect USB devices of theirs to the guest of a machine.
type Devices interface {
	// OpenUSB begins to redirect a device and returns the guest's end, which the
	// caller closes. ErrDenied when the policy lets no device in, ErrConflict when
	// there is no room for another one, ErrUnavailable when the machine does not
	// run.
	OpenUSB(ctx context.Context, peer Peer, machine string) (io.ReadWriteCloser, error)
}

var deviceRoutes = []route{{http.MethodPost, pathUSB, takeUSB}}

// takeUSB upgrades a connection and relays it to the guest.
func takeUSB(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
	if r.Header.Get("Upgrade") != usbProtocol {
		return fmt.Errorf("this agent takes USB devices by %s: %w", usbProtocol, dormer.ErrUnsupported)
	}
	guest, err := s.agent.OpenUSB(r.Context(), p, r.PathValue("machine"))
	if err != nil {
		return err
	}
	defer guest.Close()
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return fmt.Errorf("take over the connection of a USB device: %w", err)
	}
	defer conn.Close()
	// What the server set for requests does not hold for the connection's life.
	err = conn.SetDeadline(time.Time{})
	if err == nil {
		_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+usbProtocol+"\r\n\r\n")
	}
	if err == nil {
		Relay(buffer(conn, buffered.Reader), guest)
	}
	return nil // the caller is gone; nobody is left to be told
}

// Relay carries bytes both ways until either end closes, and closes both.
func Relay(one, other io.ReadWriteCloser) {
	end := sync.OnceFunc(func() {
		_ = one.Close()
		_ = other.Close()
	})
	var ways sync.WaitGroup
	carry := func(to io.Writer, from io.Reader) {
		defer end()
		_, _ = io.Copy(to, from) // an end is no error
	}
	ways.Go(func() { carry(one, other) })
	ways.Go(func() { carry(other, one) })
	ways.Wait()
}

// OpenUSB begins to redirect a USB device to the guest of a machine and returns
// the connection on which the caller is its host, by usbredir.
func (c *Client) OpenUSB(ctx context.Context, machine string) (_ net.Conn, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.socket)
	if err != nil {
		return nil, fmt.Errorf("no agent answers (%w): %w", err, dormer.ErrUnavailable)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends what waits
	defer func() {
		if !stop() && err == nil {
			err = ctx.Err()
		}
		if err != nil {
			_ = conn.Close() // err says why
		}
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://agent"+channelPath(pathUSB, machine), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("connect to the agent: %w", err)
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", usbProtocol)
	if err := r.Write(conn); err != nil {
		return nil, fmt.Errorf("connect to the agent (%w): %w", err, dormer.ErrUnavailable)
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, r)
	if err != nil {
		return nil, fmt.Errorf("connect to the agent (%w): %w", err, dormer.ErrUnavailable)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		defer resp.Body.Close()
		return nil, problem.FromResponse(resp)
	}
	return buffer(conn, in), nil
}
