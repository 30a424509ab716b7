package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

func (c *Client) ask(ctx context.Context, r request) (a answer, err error) {
	r.Protocol = Protocol
	if deadline, ok := ctx.Deadline(); ok {
		if r.Timeout = time.Until(deadline); r.Timeout <= 0 {
			return answer{}, fmt.Errorf("no time is left: %w", dormer.ErrUnavailable)
		}
	}
	conn, err := Dial(ctx, c.dir, hypervisor.FileControl)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", dormer.ErrUnavailable, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() {
		// The server answers by itself when the time is over; it gets a moment for it.
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
			return
		}
		_ = conn.Close()
	})
	defer stop()
	b, err := json.Marshal(r)
	if err != nil {
		return answer{}, err
	}
	if _, err := conn.Write(append(b, '\n')); err != nil {
		return answer{}, fmt.Errorf("machine process has gone: %w: %w", dormer.ErrUnavailable, err)
	}
	line, err := readLine(conn)
	if err != nil {
		if ctx.Err() != nil {
			return answer{}, fmt.Errorf("%w: %w", dormer.ErrUnavailable, ctx.Err())
		}
		return answer{}, fmt.Errorf("machine process has gone: %w: %w", dormer.ErrUnavailable, err)
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return answer{}, fmt.Errorf("answer of machine process: %w", dormer.ErrCorrupt)
	}
	return a, a.Error.Err()
}
