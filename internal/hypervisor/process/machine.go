package process

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/control"
)

// machine speaks with one machine process.
type machine struct {
	dir    string
	client *control.Client
	child  *child // nil when another process has started it
	owner  hypervisor.ProcessID
	done   chan struct{}

	mu    sync.Mutex // guards the field below
	final hypervisor.Status
}

var _ hypervisor.Machine = (*machine)(nil)

func newMachine(dir string, c *child) *machine {
	return &machine{dir: dir, client: control.NewClient(dir), child: c, owner: hypervisor.ReadProcess(dir, hypervisor.FileOwner), done: make(chan struct{})}
}

// connect waits until the machine process listens, and watches it from then on.
func (m *machine) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	tick := time.NewTicker(answerTick)
	defer tick.Stop()
	for {
		if _, err := m.client.Status(ctx); err == nil {
			break
		} else if !m.owner.Alive() {
			return fmt.Errorf("machine process has ended: %w", errors.Join(dormer.ErrUnavailable, err))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("machine process does not answer: %w", dormer.ErrUnavailable)
		case <-tick.C:
		}
	}
	go m.watch()
	return nil
}

// watch waits for the end of the machine and then of its process.
func (m *machine) watch() {
	defer close(m.done)
	tick := time.NewTicker(answerTick)
	defer tick.Stop()
	for {
		st, err := m.client.Watch(context.Background())
		if err == nil {
			m.end(st)
			return
		}
		if !m.owner.Alive() {
			break
		}
		<-tick.C
	}
	// It has ended while nobody listened, or was killed and could not say so.
	st, ok := hypervisor.LastEnd(m.dir)
	if !ok {
		st = hypervisor.Status{State: hypervisor.StateStopped, Reason: hypervisor.ReasonCrashed, Detail: "The machine process was killed."}
		_ = hypervisor.EndLeftBehind(m.dir) // Adopt and Start try again and say what is wrong
		_ = hypervisor.CleanUp(m.dir)
	}
	m.end(st)
}

// end keeps how the machine ended and waits for its process to go, so that the
// machine can be started again at once.
func (m *machine) end(st hypervisor.Status) {
	ctx, cancel := context.WithTimeout(context.Background(), afterKill)
	defer cancel()
	tick := time.NewTicker(answerTick / 5)
	defer tick.Stop()
	for m.owner.Alive() && ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	if m.child != nil {
		select {
		case <-m.child.done:
		case <-ctx.Done():
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.final = st
}

func (m *machine) ended() bool {
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

// savedAtEnd reports whether the machine ended because it was saved.
func (m *machine) savedAtEnd() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.final.Reason == hypervisor.ReasonSaved
}

// Done implements hypervisor.Machine.
func (m *machine) Done() <-chan struct{} { return m.done }

// Status implements hypervisor.Machine.
func (m *machine) Status(ctx context.Context) (hypervisor.Status, error) {
	if !m.ended() {
		st, err := m.client.Status(ctx)
		if err == nil {
			return st, nil
		}
		if m.owner.Alive() {
			return hypervisor.Status{}, err
		}
		select {
		case <-m.done:
		case <-ctx.Done():
			return hypervisor.Status{}, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.final, nil
}

// Exec implements hypervisor.Machine.
func (m *machine) Exec(ctx context.Context, r guestwire.ExecRequest) (guestwire.ExecResult, error) {
	if err := r.Validate(); err != nil {
		return guestwire.ExecResult{}, fmt.Errorf("run command in machine: %w", err)
	}
	if m.ended() {
		return guestwire.ExecResult{}, fmt.Errorf("run command in machine: it has ended: %w", dormer.ErrUnavailable)
	}
	return m.client.Exec(ctx, r)
}

// Shutdown implements hypervisor.Machine.
func (m *machine) Shutdown(ctx context.Context) error {
	return m.wait(ctx, "shut machine down", m.client.Shutdown)
}

// Kill implements hypervisor.Machine. A machine process that does not carry it
// out is killed itself: QEMU dies with it, so that a lease ends any machine.
func (m *machine) Kill(ctx context.Context) error {
	asked, cancel := context.WithTimeout(ctx, killTime)
	defer cancel()
	err := m.wait(asked, "kill machine", m.client.Kill)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if err := m.owner.Kill(); err != nil && m.owner.Alive() {
		return fmt.Errorf("kill machine process: %w", err)
	}
	select {
	case <-m.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("kill machine: it goes on: %w", dormer.ErrUnavailable)
	}
}

// wait asks for the end and waits for it. An answer may be lost with the
// process that ends.
func (m *machine) wait(ctx context.Context, doing string, ask func(context.Context) error) error {
	if m.ended() {
		return nil
	}
	err := ask(ctx)
	if err != nil && m.owner.Alive() && !errors.Is(err, dormer.ErrUnavailable) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	select {
	case <-m.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: it goes on: %w", doing, dormer.ErrUnavailable)
	}
}
