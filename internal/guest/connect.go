package guest

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

const (
	// connectTick is how long to wait between two attempts to connect, and
	// connectAttempt how long one of them may take.
	connectTick    = 500 * time.Millisecond
	connectAttempt = 5 * time.Second
)

// connect waits until a port answers.
func (*Guest) connect(ctx context.Context, r guestwire.ConnectRequest) error {
	switch {
	case r.Port < 1 || r.Port > 65535:
		return dormer.Invalidf("port", "must be between 1 and 65535")
	case r.Address == "" || len(r.Address) > 253 || strings.ContainsAny(r.Address, "/\\ \x00"):
		return dormer.Invalidf("address", "must be a name or an address")
	case r.Timeout < 0 || r.Timeout > guestwire.MaxTimeout:
		return dormer.Invalidf("timeout_ns", "must be between 0 and %s", guestwire.MaxTimeout)
	}
	address := net.JoinHostPort(strings.Trim(r.Address, "[]"), strconv.Itoa(r.Port))
	ctx, cancel := context.WithTimeout(ctx, max(r.Timeout, connectTick))
	defer cancel()
	tick := time.NewTicker(connectTick)
	defer tick.Stop()
	dialer := net.Dialer{Timeout: connectAttempt}
	for {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer from the guest: %w", address, dormer.ErrUnavailable)
		case <-tick.C:
		}
	}
}
