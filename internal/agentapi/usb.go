package agentapi

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/dormer-project/dormer"
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
	return takeOver(w, usbProtocol, func(conn net.Conn) { Relay(conn, guest) })
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
func (c *Client) OpenUSB(ctx context.Context, machine string) (net.Conn, error) {
	return c.upgrade(ctx, channelPath(pathUSB, machine), usbProtocol, nil)
}
