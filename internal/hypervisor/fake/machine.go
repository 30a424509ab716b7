package fake

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// machine is one running machine. Host.mu guards its mutable fields.
type machine struct {
	host   *Host
	spec   hypervisor.Spec
	status hypervisor.Status
	upAt   time.Time
	used   time.Time
	system map[string]string // the guest's files outside the data disk
	data   map[string]string
	memory map[string]string // those that are in memory
	guest  *Guest
	pid    int
	done   chan struct{}
	// open are the connections of channels, by channel.
	open map[guestwire.Channel]io.Closer
	// session is how often the guest's agent has started.
	session int
}

func newMachine(h *Host, spec hypervisor.Spec, kept *disks) *machine {
	now := h.now()
	m := &machine{
		host: h, spec: spec, upAt: now.Add(h.bootTime), used: now,
		data: kept.data, memory: map[string]string{}, pid: 1, done: make(chan struct{}), open: map[guestwire.Channel]io.Closer{}, session: 1,
		status: hypervisor.Status{
			State: hypervisor.StateRunning, Started: now,
			Hardware: hypervisor.Hardware{Hypervisor: h.caps.Hypervisor, Accelerator: h.caps.Accelerator, MachineType: "fake-1", CPU: h.caps.CPU},
		},
	}
	layer := kept.layers[spec.Layer]
	if layer == nil {
		layer = map[string]string{}
		kept.layers[spec.Layer] = layer
	}
	m.system = layer
	before := kept.guests[spec.Layer]
	if spec.Overlay == hypervisor.OverlayDiscard {
		m.system, before = map[string]string{}, nil
	}
	m.guest = newGuest(spec, before)
	if spec.Overlay == hypervisor.OverlayKeep {
		kept.guests[spec.Layer] = m.guest
	}
	return m
}

func (m *machine) endLocked(reason hypervisor.Reason) {
	if m.status.State == hypervisor.StateStopped {
		return
	}
	m.status.State, m.status.Reason = hypervisor.StateStopped, reason
	delete(m.host.machines, m.spec.Dir)
	for _, c := range m.open {
		_ = c.Close() // a pipe's end
	}
	close(m.done)
}

// Done implements hypervisor.Machine.
func (m *machine) Done() <-chan struct{} { return m.done }

// Status implements hypervisor.Machine.
func (m *machine) Status(ctx context.Context) (hypervisor.Status, error) {
	if err := ctx.Err(); err != nil {
		return hypervisor.Status{}, fmt.Errorf("status of machine: %w", dormer.ErrUnavailable)
	}
	m.host.mu.Lock()
	defer m.host.mu.Unlock()
	st := m.status
	now := m.host.now()
	if st.State == hypervisor.StateStopped || now.Before(m.upAt) {
		return st, nil
	}
	g := m.guest.status(m, now)
	st.Guest = hypervisor.GuestStatus{
		Up: true, Ready: true, Since: m.upAt, Hostname: g.Hostname, System: g.System, Software: "fake guest",
		Users: g.Users, Idle: g.Idle, Uptime: g.Uptime, Applications: g.Applications, Session: m.sessionName(),
	}
	for _, c := range capabilities {
		st.Guest.Capabilities = append(st.Guest.Capabilities, string(c))
	}
	return st, nil
}

// Exec implements hypervisor.Machine.
func (m *machine) Exec(ctx context.Context, request guestwire.ExecRequest) (guestwire.ExecResult, error) {
	if err := request.Validate(); err != nil {
		return guestwire.ExecResult{}, fmt.Errorf("run command in machine: %w", err)
	}
	if err := m.waitUp(ctx); err != nil {
		return guestwire.ExecResult{}, fmt.Errorf("run command in machine: %w", err)
	}
	m.host.mu.Lock()
	if request.Once != "" && slices.Contains(m.guest.Once, request.Once) {
		m.host.mu.Unlock()
		return guestwire.ExecResult{}, fmt.Errorf("run command in machine: it was begun before: %w", dormer.ErrExists)
	}
	if request.Once != "" {
		m.guest.Once = append(m.guest.Once, request.Once)
	}
	m.used = m.host.now()
	m.pid++
	pid, answer := m.pid, m.host.answer
	if request.Application && request.Detach {
		m.guest.Applications = append(m.guest.Applications, request)
	}
	m.host.mu.Unlock()
	if answer != nil {
		if result, err, ok := answer(ctx, m.spec, request); ok {
			return result, err
		}
	}
	result, err := m.interpret(ctx, request)
	result.PID = pid
	return result, err
}

func (m *machine) waitUp(ctx context.Context) error {
	m.host.mu.Lock()
	wait := m.upAt.Sub(m.host.now())
	m.host.mu.Unlock()
	timer := time.NewTimer(max(wait, 0))
	defer timer.Stop()
	select {
	case <-m.done:
		return fmt.Errorf("it has ended: %w", dormer.ErrUnavailable)
	default:
	}
	select {
	case <-m.done:
		return fmt.Errorf("it has ended: %w", dormer.ErrUnavailable)
	case <-ctx.Done():
		return fmt.Errorf("the guest does not answer: %w", dormer.ErrUnavailable)
	case <-timer.C:
		return nil
	}
}

// interpret is the built-in guest.
func (m *machine) interpret(ctx context.Context, r guestwire.ExecRequest) (guestwire.ExecResult, error) {
	args := r.Args[1:]
	switch r.Args[0] {
	case "echo":
		return guestwire.ExecResult{Stdout: []byte(strings.Join(args, " ") + "\n")}, nil
	case "whoami":
		user := r.User
		if user == "" {
			user = "user"
		}
		return guestwire.ExecResult{Stdout: []byte(user + "\n")}, nil
	case "secret":
		return guestwire.ExecResult{Stdout: r.SecretFile}, nil
	case "true":
		return guestwire.ExecResult{}, nil
	case "false":
		return guestwire.ExecResult{ExitCode: 1}, nil
	case "cat", "rm", "write":
		if len(args) == 0 {
			return guestwire.ExecResult{ExitCode: 2, Stderr: []byte("missing operand\n")}, nil
		}
		return m.file(r.Args[0], args), nil
	case "sleep":
		return m.sleep(ctx, r, args)
	default:
		return guestwire.ExecResult{}, fmt.Errorf("run command in machine: the guest has no such program: %w", dormer.ErrNotFound)
	}
}

// filesLocked are the files of the disk that a path is on.
func (m *machine) filesLocked(path string) map[string]string {
	if d := m.spec.Data; d != nil && (path == d.MountPoint || strings.HasPrefix(path, d.MountPoint+"/")) {
		return m.data
	}
	return m.system
}

func (m *machine) file(command string, args []string) guestwire.ExecResult {
	m.host.mu.Lock()
	defer m.host.mu.Unlock()
	path := args[0]
	files := m.filesLocked(path)
	if strings.HasPrefix(path, memoryPath) {
		files = m.memory
	}
	switch command {
	case "write":
		files[path] = strings.Join(args[1:], " ")
	case "rm":
		maps.DeleteFunc(files, func(k, _ string) bool { return k == path })
	default:
		text, ok := files[path]
		if !ok {
			return guestwire.ExecResult{ExitCode: 1, Stderr: []byte("cat: no such file\n")}
		}
		return guestwire.ExecResult{Stdout: []byte(text)}
	}
	return guestwire.ExecResult{}
}

func (m *machine) sleep(ctx context.Context, r guestwire.ExecRequest, args []string) (guestwire.ExecResult, error) {
	if r.Detach {
		return guestwire.ExecResult{}, nil
	}
	d, err := time.ParseDuration(strings.Join(args, "") + "s")
	if err != nil {
		return guestwire.ExecResult{ExitCode: 2, Stderr: []byte("sleep: not a time\n")}, nil
	}
	timedOut := r.Timeout > 0 && r.Timeout < d
	if timedOut {
		d = r.Timeout
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		if timedOut {
			return guestwire.ExecResult{ExitCode: -1, Signal: 9, TimedOut: true}, nil
		}
		return guestwire.ExecResult{}, nil
	case <-ctx.Done():
		return guestwire.ExecResult{}, fmt.Errorf("run command in machine: %w", ctx.Err())
	case <-m.done:
		return guestwire.ExecResult{}, fmt.Errorf("run command in machine: it has ended: %w", dormer.ErrUnavailable)
	}
}

// Shutdown implements hypervisor.Machine.
func (m *machine) Shutdown(ctx context.Context) error {
	m.host.mu.Lock()
	ignoring := m.host.ignoring
	if !ignoring {
		m.endLocked(hypervisor.ReasonShutdown)
	}
	m.host.mu.Unlock()
	select {
	case <-m.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("shut machine down: the guest goes on: %w", dormer.ErrUnavailable)
	}
}

// Kill implements hypervisor.Machine.
func (m *machine) Kill(context.Context) error {
	m.host.mu.Lock()
	defer m.host.mu.Unlock()
	m.endLocked(hypervisor.ReasonKilled)
	return nil
}
