package guestwire

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/dormer-project/dormer/internal/h2conn"
)

// How a channel's connection is looked after: a side that does not answer for
// so long is given up. Guests that are emulated are slow.
const (
	pingAfter  = time.Minute
	pingAnswer = time.Minute
	// maxStreams is how many requests are answered at the same time.
	maxStreams = 16
)

var channelLimits = h2conn.Limits{Silence: pingAfter, Answer: pingAnswer, Frame: MaxHTTPFrame, Streams: maxStreams}

// ServeHTTP answers the other side's requests on a channel until that or ctx
// ends, and closes it.
func ServeHTTP(ctx context.Context, conn net.Conn, h http.Handler) {
	h2conn.Serve(ctx, conn, h, channelLimits)
}

// HTTPClient returns what sends requests to the other side of a channel, which it
// closes. Whoever has it closes it.
func HTTPClient(ctx context.Context, conn net.Conn) (*http.ClientConn, error) {
	return h2conn.Client(ctx, conn, conn.RemoteAddr().String(), channelLimits)
}
