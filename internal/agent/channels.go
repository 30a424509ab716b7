package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/policy"
)

// links are the connections to channels of guests, one each. The zero value is
// ready.
type links struct {
	mu     sync.Mutex // guards the fields below
	asking map[link]*asking
	// serving are those on which the guest asks.
	serving map[link]bool
	granted map[string]override
}

// link names a connection: that of a channel of one run of a machine.
type link struct {
	vm      hypervisor.Machine
	channel guestwire.Channel
}

// asking is a connection for the host's requests.
type asking struct {
	turn chan struct{} // held while it is opened: a guest that does not answer holds up nobody else's
	conn *http.ClientConn
	stop func() bool // forgets that it ends with the agent
}

// askingOn returns the place of a connection, and forgets those of machines that
// have ended.
func (l *links) askingOn(key link) *asking {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asking == nil {
		l.asking = map[link]*asking{}
	}
	for k, c := range l.asking {
		select {
		case <-k.vm.Done():
			c.end()
			delete(l.asking, k)
		default:
		}
	}
	c := l.asking[key]
	if c == nil {
		c = &asking{turn: make(chan struct{}, 1)}
		l.asking[key] = c
	}
	return c
}

// end lets go of the connection of a machine that has ended, unless somebody is
// opening it in vain.
func (c *asking) end() {
	select {
	case c.turn <- struct{}{}:
		c.drop()
		<-c.turn
	default:
	}
}

// drop closes the connection. The caller holds turn.
func (c *asking) drop() {
	if c.conn != nil {
		c.stop()
		_ = c.conn.Close() // it may have ended already
		c.conn = nil
	}
}

// openTime is how long a guest has to answer on a channel.
const openTime = 30 * time.Second

// channel returns a client for the host's requests on a channel of a machine
// that runs and may be used. ErrDenied when the policy does not have it, in the
// words of what.
func (a *Agent) channel(ctx context.Context, m *machine, c guestwire.Channel, what string) (*http.Client, error) {
	vm, err := m.running(ctx)
	if err != nil {
		return nil, err
	}
	key := link{vm, c}
	link := a.links.askingOn(key)
	select {
	case link.turn <- struct{}{}:
		defer func() { <-link.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the guest: %w", ctx.Err())
	}
	if link.conn != nil && link.conn.Err() == nil {
		return &http.Client{Transport: link.conn}, nil
	}
	link.drop()
	short, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	stream, err := vm.Open(short, c)
	if errors.Is(err, dormer.ErrNotFound) {
		return nil, fmt.Errorf("the workspace has no %s yet; restart it when its policy was changed: %w", what, dormer.ErrUnavailable)
	}
	if err != nil {
		return nil, err
	}
	// The connection outlives the request.
	conn, err := guestwire.HTTPClient(a.ctx, guestwire.Stream(stream, c))
	if err != nil {
		return nil, err
	}
	link.conn = conn
	link.stop = context.AfterFunc(a.ctx, func() { _ = conn.Close() }) // with the agent
	return &http.Client{Transport: conn}, nil
}

// serveChannel answers what the guest asks on a channel, as long as the machine
// runs and has it.
func (a *Agent) serveChannel(g guest, c guestwire.Channel, h http.Handler) {
	key := link{g.vm, c}
	a.links.mu.Lock()
	defer a.links.mu.Unlock()
	if a.links.serving[key] {
		return
	}
	if a.links.serving == nil {
		a.links.serving = map[link]bool{}
	}
	a.links.serving[key] = true
	a.running.Go(func() {
		a.keepServing(key, h)
		a.links.mu.Lock()
		delete(a.links.serving, key)
		a.links.mu.Unlock()
	})
}

// serveAgain is the time between two connections to a channel.
const serveAgain = time.Second

func (a *Agent) keepServing(key link, h http.Handler) {
	tick := time.NewTicker(serveAgain)
	defer tick.Stop()
	for {
		short, cancel := context.WithTimeout(a.ctx, openTime)
		stream, err := key.vm.Open(short, key.channel)
		cancel()
		switch {
		case err == nil:
			guestwire.ServeHTTP(a.ctx, guestwire.Stream(stream, key.channel), h)
		case errors.Is(err, dormer.ErrNotFound):
			return // the policy does not have it any more
		default:
			a.log.LogAttrs(a.ctx, slog.LevelDebug, "a guest does not answer on a channel", slog.String("channel", string(key.channel)), slog.Any("error", err))
		}
		select {
		case <-a.ctx.Done():
			return
		case <-key.vm.Done():
			return
		case <-tick.C:
		}
	}
}

// policyNow is the machine's policy; ErrUnavailable when it is not here.
func (m *machine) policyNow() (*policy.Effective, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.policy == nil {
		return nil, fmt.Errorf("the workspace's policy is not here: %w", dormer.ErrUnavailable)
	}
	return m.policy, nil
}

// maxChannelAnswer is the largest JSON that a guest answers: a folder full of
// long names.
const maxChannelAnswer = 16 << 20

// askGuest sends one request on a channel and decodes the answer. The guest is
// believed nothing: what it says is checked by whoever uses it.
func askGuest[T any](ctx context.Context, c *http.Client, path string, question any) (T, error) {
	var out T
	b, err := json.Marshal(question)
	if err != nil {
		return out, fmt.Errorf("encode request: %w", err)
	}
	resp, err := sendGuest(ctx, c, http.MethodPost, path, nil, bytes.NewReader(b))
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxChannelAnswer)).Decode(&out); err != nil {
		return out, fmt.Errorf("the guest's answer is not as expected: %w", dormer.ErrCorrupt)
	}
	return out, nil
}

// sendGuest sends one request on a channel. The caller closes the answer's body.
func sendGuest(ctx context.Context, c *http.Client, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://guest"+path, body)
	if err != nil {
		return nil, fmt.Errorf("ask the guest: %w", err)
	}
	maps.Copy(r.Header, header)
	resp, err := c.Do(r)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("ask the guest: %w", ctx.Err())
	case err != nil:
		return nil, fmt.Errorf("the connection to the guest has ended (%w); try again: %w", errors.Unwrap(err), dormer.ErrUnavailable)
	case resp.StatusCode == http.StatusOK:
		return resp, nil
	}
	defer resp.Body.Close()
	var refused guestwire.Error
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxDetailText*4)).Decode(&refused); err != nil || refused.Message == "" {
		return nil, fmt.Errorf("the guest answers %d: %w", resp.StatusCode, dormer.ErrUnavailable)
	}
	refused.Message = "in the guest: " + cut(refused.Message, maxDetailText)
	return nil, refused.Err()
}

// Clipboard implements agentapi.Exchange.
func (a *Agent) Clipboard(ctx context.Context, peer agentapi.Peer, which string) ([]byte, error) {
	c, err := a.clipboard(ctx, peer, which, policy.Direction.ToHost, "from the guest")
	if err != nil {
		return nil, err
	}
	resp, err := sendGuest(ctx, c, http.MethodGet, guestwire.ClipboardText, nil, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, guestwire.MaxClipboard+1))
	if err != nil {
		return nil, fmt.Errorf("read the guest's clipboard: %w", err)
	}
	if len(text) > guestwire.MaxClipboard {
		return nil, fmt.Errorf("the guest's clipboard: %w", dormer.ErrTooLarge)
	}
	return text, nil
}

// SetClipboard implements agentapi.Exchange.
func (a *Agent) SetClipboard(ctx context.Context, peer agentapi.Peer, which string, text []byte) error {
	c, err := a.clipboard(ctx, peer, which, policy.Direction.ToGuest, "to the guest")
	if err != nil {
		return err
	}
	resp, err := sendGuest(ctx, c, http.MethodPut, guestwire.ClipboardText, nil, bytes.NewReader(text))
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func (a *Agent) clipboard(ctx context.Context, peer agentapi.Peer, which string, allowed func(policy.Direction) bool, way string) (*http.Client, error) {
	m, err := a.machineOf(peer, which)
	if err != nil {
		return nil, err
	}
	p, err := m.policyNow()
	if err != nil {
		return nil, err
	}
	if !allowed(p.Deployment.Clipboard) {
		return nil, fmt.Errorf("the policy does not let the clipboard pass %s: %w", way, dormer.ErrDenied)
	}
	return a.channel(ctx, m, guestwire.ChannelClipboard, "clipboard")
}
