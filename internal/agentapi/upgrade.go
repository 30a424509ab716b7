package agentapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/problem"
)

// takeOver upgrades the connection of a request to a protocol and hands it to
// take until that returns.
func takeOver(w http.ResponseWriter, protocol string, take func(net.Conn)) error {
	conn, in, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return fmt.Errorf("upgrade a connection to %s: %w", protocol, err)
	}
	defer conn.Close()
	// What the server set for requests does not hold for the connection's life.
	err = conn.SetDeadline(time.Time{})
	if err == nil {
		_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+protocol+"\r\n\r\n")
	}
	if err == nil {
		take(buffer(conn, in.Reader))
	}
	return nil // if the caller is gone, nobody is left to be told
}

// upgrade asks the agent to speak a protocol on a connection, and returns that.
// body may be nil.
func (c *Client) upgrade(ctx context.Context, path, protocol string, body any) (_ net.Conn, err error) {
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
	r, err := newRequest(ctx, http.MethodPost, "http://agent"+path, body)
	if err != nil {
		return nil, fmt.Errorf("connect to the agent: %w", err)
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", protocol)
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

// buffered is a connection of which something was read already.
type buffered struct {
	net.Conn
	from io.Reader
}

func (c buffered) Read(b []byte) (int, error) { return c.from.Read(b) }

// buffer returns conn with what r has read of it.
func buffer(conn net.Conn, r *bufio.Reader) net.Conn {
	if r.Buffered() == 0 {
		return conn
	}
	return buffered{conn, r}
}
