// Package guestport is the host's side of the conversation with the agent
// inside a guest. Drivers of hypervisors import it; the messages are those of
// package guestwire.
package guestport

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// greetAgain is how often a guest that does not answer is greeted.
const greetAgain = 5 * time.Second

// Port is the host's end of one guest port. It greets the guest until it
// answers and keeps requests and answers together. Its methods may be called
// by several goroutines at once.
type Port struct {
	conn     io.ReadWriteCloser
	software string
	log      *slog.Logger
	outbox   chan []byte   // to the writer; bounded, so that a guest that does not read holds callers up, not memory
	done     chan struct{} // closed when the connection has ended

	mu      sync.Mutex // guards the fields below
	session string
	up      chan struct{} // closed while the guest is up
	hello   guestwire.Hello
	greeted bool // the guest has answered the hello of the session
	next    uint64
	calls   map[uint64]*call
	events  func(guestwire.Frame)
}

type call struct {
	answer chan guestwire.Frame // capacity 1
	output func(guestwire.Output)
}

// New returns a port over conn, which it owns from then on. software is the
// name and version by which the host introduces itself. onEvent gets the
// guest's events that belong to no request; it must not block and may be nil.
func New(conn io.ReadWriteCloser, software string, onEvent func(guestwire.Frame), log *slog.Logger) *Port {
	p := &Port{
		conn: conn, software: software, log: log,
		outbox: make(chan []byte, 16), done: make(chan struct{}),
		up: make(chan struct{}), calls: map[uint64]*call{}, session: rand.Text(), events: onEvent,
	}
	go p.write()
	go p.read()
	return p
}

// Close ends the connection. Calls under way return ErrUnavailable.
func (p *Port) Close() error { return p.conn.Close() }

// Reset begins a new session: the guest's end of the port was closed or opened, so
// whatever was under way is lost. Calls return ErrUnavailable.
func (p *Port) Reset() {
	p.mu.Lock()
	p.session = rand.Text()
	if p.greeted {
		p.up = make(chan struct{})
	}
	p.greeted = false
	calls := p.calls
	p.calls = map[uint64]*call{}
	p.mu.Unlock()
	for _, c := range calls {
		close(c.answer)
	}
	p.greet()
}

// Greet repeats the hello: the guest may have just opened its end.
func (p *Port) Greet() { p.greet() }

// Hello returns what the guest said of itself, and whether it is up.
func (p *Port) Hello() (guestwire.Hello, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hello, p.greeted
}

// Session names the present session. It changes when the guest's end of the
// port was closed: what the guest was told before may be lost.
func (p *Port) Session() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.session
}

// WaitUp waits until the guest has answered the hello; ErrUnavailable when ctx
// or the connection ends first.
func (p *Port) WaitUp(ctx context.Context) error {
	p.mu.Lock()
	up := p.up
	p.mu.Unlock()
	select {
	case <-up:
		return nil
	case <-p.done:
		return fmt.Errorf("guest has gone: %w", dormer.ErrUnavailable)
	case <-ctx.Done():
		return fmt.Errorf("guest does not answer: %w", dormer.ErrUnavailable)
	}
}

// Call sends a request and decodes its answer into answer, which may be nil. A
// *json.RawMessage takes it as it is, and nothing when there is nothing.
// When ctx ends the request is cancelled in the guest and the context's error
// returned. It does not wait for a guest that is not up.
func (p *Port) Call(ctx context.Context, need guestwire.Capability, method guestwire.Method, request, answer any) error {
	f, err := p.roundTrip(ctx, need, method, request, nil)
	if err != nil {
		return fmt.Errorf("ask guest for %s: %w", method, err)
	}
	if answer == nil {
		return nil
	}
	if raw, ok := answer.(*json.RawMessage); ok {
		*raw = f.Body
		return nil
	}
	return guestwire.DecodeBody(f, answer)
}

// Exec waits for the guest and runs a command in it. output gets what a
// command with Stream prints; it is called from the reader and must not block.
func (p *Port) Exec(ctx context.Context, request guestwire.ExecRequest, output func(guestwire.Output)) (guestwire.ExecResult, error) {
	if err := request.Validate(); err != nil {
		return guestwire.ExecResult{}, fmt.Errorf("run command in guest: %w", err)
	}
	if err := p.WaitUp(ctx); err != nil {
		return guestwire.ExecResult{}, fmt.Errorf("run command in guest: %w", err)
	}
	f, err := p.roundTrip(ctx, guestwire.CapExec, guestwire.MethodExec, request, output)
	if err != nil {
		return guestwire.ExecResult{}, fmt.Errorf("run command in guest: %w", err)
	}
	var result guestwire.ExecResult
	return result, guestwire.DecodeBody(f, &result)
}

func (p *Port) roundTrip(ctx context.Context, need guestwire.Capability, method guestwire.Method, request any, output func(guestwire.Output)) (guestwire.Frame, error) {
	c := &call{answer: make(chan guestwire.Frame, 1), output: output}
	p.mu.Lock()
	if !p.greeted {
		p.mu.Unlock()
		return guestwire.Frame{}, fmt.Errorf("it is not up: %w", dormer.ErrUnavailable)
	}
	if !p.hello.Has(need) {
		p.mu.Unlock()
		return guestwire.Frame{}, fmt.Errorf("it cannot do it: %w", dormer.ErrUnsupported)
	}
	p.next++
	id, session := p.next, p.session
	p.calls[id] = c
	p.mu.Unlock()

	defer func() {
		p.mu.Lock()
		delete(p.calls, id)
		p.mu.Unlock()
	}()
	if err := p.send(ctx, guestwire.KindRequest, session, id, method, request); err != nil {
		return guestwire.Frame{}, err
	}
	select {
	case f, ok := <-c.answer:
		if !ok {
			return guestwire.Frame{}, fmt.Errorf("it went away meanwhile: %w", dormer.ErrUnavailable)
		}
		return f, f.Error.Err()
	case <-p.done:
		return guestwire.Frame{}, fmt.Errorf("it went away meanwhile: %w", dormer.ErrUnavailable)
	case <-ctx.Done():
		cancel, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer stop()
		if err := p.send(cancel, guestwire.KindCancel, session, id, "", nil); err != nil {
			p.log.Debug("cannot cancel request in guest", slog.Any("error", err))
		}
		return guestwire.Frame{}, ctx.Err()
	}
}

func (p *Port) send(ctx context.Context, kind guestwire.Kind, session string, id uint64, method guestwire.Method, body any) error {
	f, err := guestwire.NewFrame(kind, session, id, method, body)
	if err != nil {
		return err
	}
	line, err := guestwire.Encode(f)
	if err != nil {
		return err
	}
	select {
	case p.outbox <- line:
		return nil
	case <-p.done:
		return fmt.Errorf("it has gone: %w", dormer.ErrUnavailable)
	case <-ctx.Done():
		return fmt.Errorf("it does not read: %w", dormer.ErrUnavailable)
	}
}

func (p *Port) greet() {
	p.mu.Lock()
	session := p.session
	p.mu.Unlock()
	f, err := guestwire.NewFrame(guestwire.KindHello, session, 0, "", guestwire.Hello{Protocol: guestwire.Protocol, Oldest: guestwire.Oldest, Software: p.software})
	if err != nil {
		return
	}
	line, err := guestwire.Encode(f)
	if err != nil {
		return
	}
	select {
	case p.outbox <- append([]byte{'\n'}, line...):
	default: // the guest does not read; it will be greeted again
	}
}

// write sends what is in the outbox, and greets a guest that is not up.
func (p *Port) write() {
	tick := time.NewTicker(greetAgain)
	defer tick.Stop()
	p.greet()
	for {
		select {
		case line := <-p.outbox:
			if _, err := p.conn.Write(line); err != nil {
				p.log.Debug("guest port has ended", slog.Any("error", err))
				if err := p.conn.Close(); err != nil {
					p.log.Debug("close guest port", slog.Any("error", err))
				}
				return
			}
		case <-tick.C:
			if _, up := p.Hello(); !up {
				p.greet()
			}
		case <-p.done:
			return
		}
	}
}

func (p *Port) read() {
	defer close(p.done)
	r := guestwire.NewReader(p.conn)
	for {
		f, err := r.ReadFrame()
		switch {
		case guestwire.Recoverable(err):
			p.log.Debug("guest sends what is no frame", slog.Any("error", err))
			continue
		case err != nil:
			if !errors.Is(err, io.EOF) {
				p.log.Debug("guest port has ended", slog.Any("error", err))
			}
			return
		}
		p.take(f)
	}
}

func (p *Port) take(f guestwire.Frame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.Session != p.session {
		return
	}
	if f.Kind == guestwire.KindHello {
		p.takeHelloLocked(f)
		return
	}
	if !p.greeted {
		return
	}
	switch {
	case f.Kind == guestwire.KindAnswer:
		if c, ok := p.calls[f.ID]; ok {
			delete(p.calls, f.ID)
			c.answer <- f
		}
	case f.Kind == guestwire.KindEvent && f.Method == guestwire.EventOutput:
		var out guestwire.Output
		if c, ok := p.calls[f.ID]; ok && c.output != nil && json.Unmarshal(f.Body, &out) == nil {
			c.output(out)
		}
	case f.Kind == guestwire.KindEvent && p.events != nil:
		p.events(f)
	}
}

func (p *Port) takeHelloLocked(f guestwire.Frame) {
	var hello guestwire.Hello
	if err := guestwire.DecodeBody(f, &hello); err != nil {
		p.log.Warn("guest greets wrongly", slog.Any("error", err))
		return
	}
	if _, err := guestwire.Negotiate(guestwire.Hello{Protocol: guestwire.Protocol, Oldest: guestwire.Oldest}, hello); err != nil {
		p.log.Warn("guest cannot be understood", slog.Any("error", err))
		return
	}
	p.hello = hello.Bounded()
	if !p.greeted {
		p.greeted = true
		close(p.up)
	}
}
