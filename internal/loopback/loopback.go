// Package loopback finds addresses for the servers of tests and benchmarks:
// those that must know their port before they listen. Only tests and
// benchmarks may import it.
package loopback

import (
	"context"
	"fmt"
	"math/rand/v2" //nolint:depguard // two tests that run at once must not try the same ports
	"net"
	"strconv"
	"sync"
)

// Below what systems give to whoever asks for any port, and to connections
// going out (Linux from 32768, others from 49152): what nobody listens on now
// is then taken by nobody until the server has started.
const firstPort, lastPort = 15000, 31999

// attempts is how many ports are tried.
const attempts = 100

var (
	mu    sync.Mutex
	given = map[int]bool{} // by this process, guarded by mu
)

// Port returns a TCP port of 127.0.0.1 that nobody listens on, another one at
// each call.
func Port(ctx context.Context) (int, error) {
	mu.Lock()
	defer mu.Unlock()
	var (
		lc  net.ListenConfig
		err error
	)
	for range attempts {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if given[port] {
			continue
		}
		var l net.Listener
		if l, err = lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			given[port] = true
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("find a free port of 127.0.0.1: %d were tried, the last: %w", attempts, err)
}

// Address is 127.0.0.1 with a Port.
func Address(ctx context.Context) (string, error) {
	port, err := Port(ctx)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}
