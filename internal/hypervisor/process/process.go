// Package process is the driver of hypervisor.Driver that gives each machine a
// process of its own, which outlives the caller and is found again by it. The
// agent uses it. The process is the program part internal/machine.
package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/account"
	"github.com/dormer-project/dormer/internal/hypervisor/qemu"
)

const (
	// answerTime is how long a machine process that runs may take to accept a
	// connection.
	answerTime = 10 * time.Second
	answerTick = 50 * time.Millisecond
	// maxReady is the longest message about a start, in bytes.
	maxReady = 64 << 10
	// killTime is how long a machine process may take to turn its machine off.
	killTime = 15 * time.Second
	// afterKill is how long a machine process may take to end after its machine.
	afterKill = 10 * time.Second
)

// Config is what the driver is told.
type Config struct {
	// Command is the machine process's program with its first arguments; the
	// driver adds "--dir DIR" and, if they are set, "--probe-file FILE",
	// "--uids FIRST-LAST", "--uid-registry DIR" and "--bridge PATTERN" for each.
	Command []string
	// Env are variables beside the few that every machine process gets.
	Env []string
	// ProbeFile remembers which accelerator boots.
	ProbeFile string
	// Accounts are the users that machines run as when the agent is root; what
	// is empty is the default of package account.
	Accounts account.Range
	// Bridges are patterns of the names of the host's adapters that machines may be
	// bridged to; empty allows none.
	Bridges []string
	Log     *slog.Logger
	Now     func() time.Time
}

// Driver implements hypervisor.Driver.
type Driver struct {
	cfg   Config
	probe *qemu.Driver

	mu       sync.Mutex // guards the field below
	starting map[string]bool
}

var _ hypervisor.Driver = (*Driver)(nil)

// New returns a driver.
func New(cfg Config) *Driver {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Driver{
		cfg:      cfg,
		probe:    qemu.New(qemu.Config{ProbeFile: cfg.ProbeFile, Accounts: cfg.Accounts, Bridges: cfg.Bridges, Log: cfg.Log, Now: cfg.Now}),
		starting: map[string]bool{},
	}
}

// Probe implements hypervisor.Driver.
func (d *Driver) Probe(ctx context.Context) (hypervisor.Capabilities, error) {
	return d.probe.Probe(ctx)
}

// Start implements hypervisor.Driver.
func (d *Driver) Start(ctx context.Context, spec hypervisor.Spec, secrets hypervisor.Secrets) (hypervisor.Machine, error) {
	if err := errors.Join(spec.Validate(), spec.Supported(), secrets.Validate()); err != nil {
		return nil, fmt.Errorf("start machine: %w", err)
	}
	d.mu.Lock()
	if d.starting[spec.Dir] {
		d.mu.Unlock()
		return nil, fmt.Errorf("start machine: it is being started: %w", dormer.ErrExists)
	}
	d.starting[spec.Dir] = true
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.starting, spec.Dir)
	}()
	if _, err := os.Stat(spec.Dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("start machine: its directory: %w", dormer.ErrNotFound)
	}
	if hypervisor.ReadProcess(spec.Dir, hypervisor.FileOwner).Alive() {
		return nil, fmt.Errorf("start machine: it runs already: %w", dormer.ErrExists)
	}
	if d.cfg.ProbeFile != "" {
		// Once here, not once in each machine process.
		if _, err := d.probe.Probe(ctx); err != nil {
			return nil, fmt.Errorf("start machine: %w", err)
		}
	}
	b, err := json.MarshalIndent(spec, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("start machine: %w", err)
	}
	if err := hypervisor.WriteFile(filepath.Join(spec.Dir, hypervisor.FileSpec), append(b, '\n')); err != nil {
		return nil, fmt.Errorf("start machine: %w", full(err))
	}
	process, err := d.spawn(ctx, spec.Dir, secrets)
	if err != nil {
		return nil, fmt.Errorf("start machine: %w", err)
	}
	m := newMachine(spec.Dir, process)
	if err := m.connect(ctx); err != nil {
		process.end()
		return nil, fmt.Errorf("start machine: %w", err)
	}
	return m, nil
}

func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%w: %w", dormer.ErrFull, err)
	}
	return err
}

// child is a machine process that this process has started; it is only waited
// for, so that it does not stay in the process table.
type child struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// end ends a machine process whose machine is of no use.
func (c *child) end() {
	_ = c.cmd.Process.Kill() // it may have ended by itself
	<-c.done
}

// spawn starts the machine process and returns when its machine runs. The keys
// go through its standard input.
func (d *Driver) spawn(ctx context.Context, dir string, secrets hypervisor.Secrets) (*child, error) {
	keys, err := json.Marshal(secrets)
	if err != nil {
		return nil, fmt.Errorf("hand over keys: %w", err)
	}
	logFile, err := os.OpenFile(filepath.Join(dir, hypervisor.FileLog), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", full(err))
	}
	defer logFile.Close()
	input, keysIn, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("hand over keys: %w", err)
	}
	readyOut, ready, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("wait for machine process: %w", err), input.Close(), keysIn.Close())
	}
	defer readyOut.Close()
	args := append(append([]string{}, d.cfg.Command...), "--dir", dir)
	if d.cfg.ProbeFile != "" {
		args = append(args, "--probe-file", d.cfg.ProbeFile)
	}
	if d.cfg.Accounts.First != 0 {
		args = append(args, "--uids", d.cfg.Accounts.String())
	}
	if d.cfg.Accounts.Registry != "" {
		args = append(args, "--uid-registry", d.cfg.Accounts.Registry)
	}
	for _, pattern := range d.cfg.Bridges {
		args = append(args, "--bridge", pattern)
	}
	cmd := exec.Command(args[0], args[1:]...) //nolint:noctx // outlives ctx and this process
	cmd.Env = environment(d.cfg.Env)
	cmd.Dir = dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input, logFile, logFile
	cmd.ExtraFiles = []*os.File{ready}
	// In a session of its own, signals of this process's terminal or group do
	// not reach it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	err = errors.Join(err, input.Close(), ready.Close())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start machine process: %w", err), keysIn.Close())
	}
	c := &child{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		if err := cmd.Wait(); err != nil {
			d.cfg.Log.Info("machine process has ended", slog.Int("pid", cmd.Process.Pid), slog.Any("error", err))
		}
	}()
	_, err = keysIn.Write(keys)
	if err = errors.Join(err, keysIn.Close()); err != nil {
		c.end()
		return nil, fmt.Errorf("hand over keys: %w", errors.Join(dormer.ErrUnavailable, err))
	}
	if err := waitReady(ctx, readyOut); err != nil {
		c.end()
		return nil, errors.Join(err, hypervisor.EndLeftBehind(dir), hypervisor.CleanUp(dir))
	}
	return c, nil
}

// waitReady reads what the machine process says about its start.
func waitReady(ctx context.Context, r *os.File) error {
	stop := context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	b, err := io.ReadAll(io.LimitReader(r, maxReady))
	if ctx.Err() != nil {
		return fmt.Errorf("machine process is not ready: %w", ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("machine process: %w", err)
	}
	var said struct {
		Ready bool             `json:"ready"`
		Error *guestwire.Error `json:"error"`
	}
	if len(b) == 0 || json.Unmarshal(b, &said) != nil {
		return fmt.Errorf("machine process ended while it started: %w", dormer.ErrUnavailable)
	}
	if said.Error != nil {
		return said.Error.Err()
	}
	return nil
}

// environment is what a machine process needs of this one's.
func environment(extra []string) []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	for _, name := range []string{"HOME", "TMPDIR", "XDG_RUNTIME_DIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return append(env, extra...)
}

// Adopt implements hypervisor.Driver.
func (d *Driver) Adopt(ctx context.Context, dir string) (hypervisor.Machine, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("adopt machine: no directory: %w", dormer.ErrNotFound)
	}
	owner := hypervisor.ReadProcess(dir, hypervisor.FileOwner)
	if owner.Alive() {
		m := newMachine(dir, nil)
		m.owner = owner
		if err := m.connect(ctx); err == nil || owner.Alive() {
			return m, err
		}
	}
	lock, free, err := hypervisor.LockFile(dir, hypervisor.FileOwnerLock)
	if err != nil {
		return nil, fmt.Errorf("adopt machine: %w", err)
	}
	if !free {
		return nil, fmt.Errorf("adopt machine: it is starting or ending: %w", dormer.ErrUnavailable)
	}
	err = errors.Join(hypervisor.EndLeftBehind(dir), hypervisor.CleanUp(dir), lock.Close())
	return nil, errors.Join(fmt.Errorf("adopt machine: %w", dormer.ErrNotFound), err)
}
