package guest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// maxRequests bounds the requests that are worked on at the same time.
const maxRequests = 64

// conversation is what is under way on one open port.
type conversation struct {
	guest *Guest

	writing sync.Mutex // held while a frame is written
	port    io.Writer

	mu      sync.Mutex // guards the fields below
	session string
	running map[uint64]context.CancelFunc
}

func newConversation(g *Guest, port io.Writer) *conversation {
	return &conversation{guest: g, port: port, running: map[uint64]context.CancelFunc{}}
}

// reset begins a session and ends what was under way in the one before.
func (c *conversation) reset(session string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == session {
		return
	}
	c.session = session
	for id, cancel := range c.running {
		cancel()
		delete(c.running, id)
	}
}

func (c *conversation) end() { c.reset("") }

func (c *conversation) take(ctx context.Context, f guestwire.Frame) {
	switch f.Kind {
	case guestwire.KindHello:
		c.reset(f.Session)
		c.write(f.Session, guestwire.KindHello, 0, "", guestwire.Hello{
			Protocol: guestwire.Protocol, Oldest: guestwire.Oldest, Capabilities: capabilities(),
			Software: "dormer-guest " + c.guest.cfg.Version, System: runtime.GOOS,
		}, nil)
	case guestwire.KindRequest:
		c.request(ctx, f)
	case guestwire.KindCancel:
		c.mu.Lock()
		if cancel, ok := c.running[f.ID]; ok && f.Session == c.session {
			cancel()
		}
		c.mu.Unlock()
	case guestwire.KindAnswer, guestwire.KindEvent:
	}
}

func (c *conversation) request(ctx context.Context, f guestwire.Frame) {
	c.mu.Lock()
	if f.Session != c.session || c.session == "" || c.running[f.ID] != nil {
		c.mu.Unlock()
		return
	}
	if len(c.running) >= maxRequests {
		c.mu.Unlock()
		c.write(f.Session, guestwire.KindAnswer, f.ID, "", nil, fmt.Errorf("guest works on %d requests already: %w", maxRequests, dormer.ErrUnavailable))
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	c.running[f.ID] = cancel
	c.mu.Unlock()
	go func() {
		defer func() {
			cancel()
			c.mu.Lock()
			if c.session == f.Session {
				delete(c.running, f.ID)
			}
			c.mu.Unlock()
		}()
		body, after, err := c.guest.work(ctx, c, f)
		c.write(f.Session, guestwire.KindAnswer, f.ID, "", body, err)
		if after != nil {
			if err := after(); err != nil {
				c.guest.cfg.Log.Error("cannot do what was promised", slog.String("method", string(f.Method)), slog.Any("error", err))
			}
		}
	}()
}

// write sends a frame. A host that cannot be reached asks again, so that
// errors are only logged.
func (c *conversation) write(session string, kind guestwire.Kind, id uint64, method guestwire.Method, body any, failure error) {
	f := guestwire.Frame{Kind: kind, Session: session, ID: id, Method: method, Error: guestwire.FromError(failure)}
	if body != nil && failure == nil {
		b, err := json.Marshal(body)
		if err != nil {
			f.Error = guestwire.FromError(fmt.Errorf("encode answer: %w", err))
		}
		f.Body = b
	}
	line, err := guestwire.Encode(f)
	if err != nil {
		line, err = guestwire.Encode(guestwire.Frame{Kind: kind, Session: session, ID: id, Error: guestwire.FromError(err)})
	}
	if err != nil {
		c.guest.cfg.Log.Warn("cannot encode frame", slog.Any("error", err))
		return
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	if _, err := c.port.Write(line); err != nil {
		c.guest.cfg.Log.Debug("cannot write to the host", slog.Any("error", err))
	}
}
