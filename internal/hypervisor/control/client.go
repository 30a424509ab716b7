package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// Client asks the machine process of one directory.
type Client struct {
	dir string
}

// NewClient returns a client. It connects for each request.
func NewClient(dir string) *Client { return &Client{dir: dir} }

// Status asks how the machine is.
func (c *Client) Status(ctx context.Context) (hypervisor.Status, error) {
	a, err := c.ask(ctx, request{Method: MethodStatus})
	if err != nil {
		return hypervisor.Status{}, fmt.Errorf("status of machine: %w", err)
	}
	if a.Status == nil {
		return hypervisor.Status{}, fmt.Errorf("status of machine: %w", dormer.ErrCorrupt)
	}
	return *a.Status, nil
}

// Exec runs a command in the guest.
func (c *Client) Exec(ctx context.Context, r guestwire.ExecRequest) (guestwire.ExecResult, error) {
	a, err := c.ask(ctx, request{Method: MethodExec, Exec: &r})
	if err != nil {
		return guestwire.ExecResult{}, err
	}
	if a.Result == nil {
		return guestwire.ExecResult{}, fmt.Errorf("run command in machine: %w", dormer.ErrCorrupt)
	}
	return *a.Result, nil
}

// Shutdown shuts the machine down.
func (c *Client) Shutdown(ctx context.Context) error {
	_, err := c.ask(ctx, request{Method: MethodShutdown})
	return err
}

// Kill ends the machine.
func (c *Client) Kill(ctx context.Context) error {
	_, err := c.ask(ctx, request{Method: MethodKill})
	return err
}

// Watch returns how the machine ended, once it has. When the machine process
// goes without saying it, the error is ErrUnavailable.
func (c *Client) Watch(ctx context.Context) (hypervisor.Status, error) {
	a, err := c.ask(ctx, request{Method: MethodWatch})
	if err != nil {
		return hypervisor.Status{}, fmt.Errorf("watch machine: %w", err)
	}
	if a.Status == nil || a.Status.State != hypervisor.StateStopped {
		return hypervisor.Status{}, fmt.Errorf("watch machine: %w", dormer.ErrUnavailable)
	}
	return *a.Status, nil
}

// Ask sends a request to the guest's agent.
func (c *Client) Ask(ctx context.Context, need guestwire.Capability, method guestwire.Method, body, result any) error {
	q := &question{Need: need, Method: method}
	if body != nil {
		var err error
		if q.Body, err = json.Marshal(body); err != nil {
			return fmt.Errorf("ask guest for %s: %w", method, err)
		}
	}
	a, err := c.ask(ctx, request{Method: MethodAsk, Ask: q})
	if err != nil || result == nil {
		return err
	}
	if err := json.Unmarshal(a.Body, result); err != nil {
		return fmt.Errorf("answer of guest to %s: %w", method, dormer.ErrCorrupt)
	}
	return nil
}

// Apply makes the machine what spec says.
func (c *Client) Apply(ctx context.Context, spec hypervisor.Spec) ([]hypervisor.Part, error) {
	a, err := c.ask(ctx, request{Method: MethodApply, Spec: &spec})
	return a.Parts, err
}

// Devices lists what is attached.
func (c *Client) Devices(ctx context.Context) ([]hypervisor.Device, error) {
	a, err := c.ask(ctx, request{Method: MethodDevices})
	return a.Devices, err
}

// Open connects to a channel. ctx ends connecting, not the connection.
func (c *Client) Open(ctx context.Context, channel guestwire.Channel) (io.ReadWriteCloser, error) {
	conn, r, _, err := c.send(ctx, request{Method: MethodOpen, Channel: channel})
	if err != nil {
		return nil, err
	}
	return &stream{Conn: conn, r: r}, nil
}

// stream is a connection that has become a channel. r holds what came with the answer.
type stream struct {
	net.Conn
	r *bufio.Reader
}

func (s *stream) Read(p []byte) (int, error) { return s.r.Read(p) }

func (c *Client) ask(ctx context.Context, r request) (answer, error) {
	conn, _, a, err := c.send(ctx, r)
	if conn != nil {
		_ = conn.Close() // everything was said
	}
	return a, err
}

// send connects, asks and returns the answer and what it came from, which is
// nil after an error.
func (c *Client) send(ctx context.Context, r request) (_ net.Conn, _ *bufio.Reader, a answer, err error) {
	r.Protocol = Protocol
	if deadline, ok := ctx.Deadline(); ok {
		if r.Timeout = time.Until(deadline); r.Timeout <= 0 {
			return nil, nil, answer{}, fmt.Errorf("no time is left: %w", dormer.ErrUnavailable)
		}
	}
	b, err := json.Marshal(r)
	if err != nil {
		return nil, nil, answer{}, err
	}
	conn, err := Dial(ctx, c.dir, hypervisor.FileControl)
	if err != nil {
		return nil, nil, answer{}, fmt.Errorf("%w: %w", dormer.ErrUnavailable, err)
	}
	defer func() {
		if err != nil {
			_ = conn.Close()
		}
	}()
	stop := context.AfterFunc(ctx, func() {
		// The server answers by itself when the time is over; it gets a moment for it.
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
			return
		}
		_ = conn.Close()
	})
	defer stop()
	if _, err := conn.Write(append(b, '\n')); err != nil {
		return nil, nil, answer{}, fmt.Errorf("machine process has gone: %w: %w", dormer.ErrUnavailable, err)
	}
	lines := bufio.NewReader(conn)
	line, err := readLine(lines)
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil, answer{}, fmt.Errorf("%w: %w", dormer.ErrUnavailable, ctx.Err())
		}
		return nil, nil, answer{}, fmt.Errorf("machine process has gone: %w: %w", dormer.ErrUnavailable, err)
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return nil, nil, answer{}, fmt.Errorf("answer of machine process: %w", dormer.ErrCorrupt)
	}
	if err := a.Error.Err(); err != nil {
		return nil, nil, a, err
	}
	if !stop() {
		return nil, nil, a, fmt.Errorf("the time was over: %w", dormer.ErrUnavailable)
	}
	return conn, lines, a, nil
}
