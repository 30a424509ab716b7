// Package machine is the program part "dormer-agent machine": the process that
// owns one running machine. It holds QEMU, serves its base disks, and answers
// the agent on a socket; it outlives the agent and ends with its machine. Only
// cmd/dormer-agent imports it.
package machine

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/account"
	"github.com/dormer-project/dormer/internal/hypervisor/control"
	"github.com/dormer-project/dormer/internal/hypervisor/qemu"
	"github.com/dormer-project/dormer/internal/nbd"
)

const (
	// maxSecrets and maxSpec bound what is read at the start, in bytes.
	maxSecrets = 64 << 10
	maxSpec    = 1 << 20
	// secretsTime is how long the keys may take to come.
	secretsTime = 30 * time.Second
	// shutdownTime is how long a guest may take to end when the process is
	// told to (SIGTERM: the computer shuts down).
	shutdownTime = 60 * time.Second
	// farewellTime is how long the last answers may take.
	farewellTime = 3 * time.Second
)

// Base is a disk of an image. The machine process closes it at the end.
type Base interface {
	nbd.Source
	io.Closer
}

// OpenBase opens a disk or a boot file of an image. repositoryKey is empty for
// a repository that is not encrypted. ErrNotFound when the image is not there
// completely, ErrCorrupt when the key does not open it.
type OpenBase func(ctx context.Context, disk hypervisor.ImageDisk, repositoryKey []byte) (Base, error)

// Config is what the process is made of.
type Config struct {
	// Dir is the machine's directory; its FileSpec says what to start.
	Dir string
	// Secrets is where the keys come from: standard input.
	Secrets io.Reader
	// Ready is told when the machine runs, or why it does not, and closed.
	Ready    io.WriteCloser
	OpenBase OpenBase
	QEMU     qemu.Config
	Log      *slog.Logger
	Now      func() time.Time
}

// Main runs the process with the arguments that driver process gives it, without
// the program's name and "machine": --dir DIR [--probe-file FILE]
// [--uids FIRST-LAST] [--uid-registry DIR] [--bridge PATTERN]...
func Main(ctx context.Context, cfg Config, args []string) error {
	flags := flag.NewFlagSet("machine", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&cfg.Dir, "dir", "", "directory of the machine")
	flags.StringVar(&cfg.QEMU.ProbeFile, "probe-file", "", "file that remembers which accelerator boots")
	flags.StringVar(&cfg.QEMU.Accounts.Registry, "uid-registry", cfg.QEMU.Accounts.Registry, "folder that says which machine has which user id")
	flags.Func("bridge", "adapters of the host that the machine may be bridged to", func(pattern string) error {
		cfg.QEMU.Bridges = append(cfg.QEMU.Bridges, pattern)
		return nil
	})
	flags.Func("uids", "user ids of machines", func(text string) (err error) {
		cfg.QEMU.Accounts.First, cfg.QEMU.Accounts.Count, err = account.Parse(text)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("arguments of machine process: %w", err)
	}
	return Run(ctx, cfg)
}

// Run starts the machine and returns when it has ended and everything it left
// behind is gone. When ctx ends the guest is shut down.
func Run(ctx context.Context, cfg Config) error {
	syscall.Umask(0o077)
	p := &process{cfg: cfg}
	err := p.start(ctx)
	if readyErr := p.tell(err); readyErr != nil {
		cfg.Log.Warn("nobody hears that the machine has started", slog.Any("error", readyErr))
	}
	if err != nil {
		return errors.Join(err, p.close())
	}
	return errors.Join(p.run(ctx), p.close())
}

// process is what there is to be closed, in reverse.
type process struct {
	cfg     Config
	spec    hypervisor.Spec
	machine hypervisor.Machine
	control *net.UnixListener

	serving sync.WaitGroup
	closers []func() error
}

func (p *process) onClose(f func() error) { p.closers = append(p.closers, f) }

func (p *process) close() error {
	var errs []error
	for _, f := range slices.Backward(p.closers) {
		errs = append(errs, f())
	}
	p.serving.Wait()
	return errors.Join(errs...)
}

// tell says how the start went, as waited for by driver process.
func (p *process) tell(failure error) error {
	b, err := json.Marshal(struct {
		Ready bool             `json:"ready"`
		Error *guestwire.Error `json:"error,omitempty"`
	}{failure == nil, guestwire.FromError(failure)})
	if err != nil {
		return err
	}
	_, err = p.cfg.Ready.Write(append(b, '\n'))
	return errors.Join(err, p.cfg.Ready.Close())
}

func (p *process) start(ctx context.Context) error {
	spec, err := readSpec(p.cfg.Dir)
	if err != nil {
		return err
	}
	lock, free, err := hypervisor.LockFile(spec.Dir, hypervisor.FileOwnerLock)
	if err != nil {
		return err
	}
	if !free {
		return fmt.Errorf("machine has a process already: %w", dormer.ErrExists)
	}
	p.onClose(lock.Close)
	if err := os.Remove(filepath.Join(spec.Dir, hypervisor.FileEnd)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget last end: %w", err)
	}
	if err := hypervisor.EndLeftBehind(spec.Dir); err != nil {
		return err
	}
	if err := hypervisor.CleanUp(spec.Dir); err != nil {
		return err
	}
	p.onClose(func() error { return hypervisor.CleanUp(spec.Dir) })
	if err := hypervisor.WriteProcess(spec.Dir, hypervisor.FileOwner, os.Getpid()); err != nil {
		return err
	}
	secrets, err := readSecrets(p.cfg.Secrets)
	if err != nil {
		return err
	}
	asked := spec
	if err := p.openDisks(ctx, &spec, secrets); err != nil {
		return err
	}
	cfg := p.cfg.QEMU
	cfg.Log, cfg.Now = p.cfg.Log, p.cfg.Now
	m, err := qemu.New(cfg).Start(ctx, spec, secrets)
	if err != nil {
		return err
	}
	p.machine, p.spec = served{Machine: m, asked: asked, given: spec}, spec
	if p.control, err = control.Listen(spec.Dir, hypervisor.FileControl); err != nil {
		return errors.Join(err, m.Kill(ctx))
	}
	return nil
}

// run serves the agent until the machine has ended.
func (p *process) run(ctx context.Context) error {
	serving, stop := context.WithCancel(context.Background())
	defer stop()
	served := make(chan error, 1)
	go func() { served <- control.NewServer(p.machine, p.cfg.Log).Serve(serving, p.control) }()

	select {
	case <-p.machine.Done():
	case <-ctx.Done():
		p.cfg.Log.Info("told to end: shutting the guest down")
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		if err := p.machine.Shutdown(ending); err != nil {
			p.cfg.Log.Warn("guest does not end: cutting its power", slog.Any("error", err))
			if err := p.machine.Kill(ending); err != nil {
				p.cfg.Log.Error("kill machine", slog.Any("error", err))
			}
		}
		cancel()
	}
	err := p.recordEnd()
	// Whoever watches is told now; a client that does not read is not waited for.
	stop()
	timer := time.NewTimer(farewellTime)
	defer timer.Stop()
	select {
	case serveErr := <-served:
		err = errors.Join(err, serveErr)
	case <-timer.C:
	}
	return err
}

// recordEnd keeps how the machine ended for an agent that was not there.
func (p *process) recordEnd() error {
	st, err := p.machine.Status(context.Background())
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return fmt.Errorf("record end: %w", err)
	}
	return hypervisor.WriteFile(filepath.Join(p.cfg.Dir, hypervisor.FileEnd), append(b, '\n'))
}

func readSpec(dir string) (hypervisor.Spec, error) {
	f, err := os.Open(filepath.Join(dir, hypervisor.FileSpec))
	if err != nil {
		return hypervisor.Spec{}, fmt.Errorf("read what to start: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSpec))
	if err != nil {
		return hypervisor.Spec{}, fmt.Errorf("read what to start: %w", err)
	}
	var spec hypervisor.Spec
	if err := json.Unmarshal(b, &spec); err != nil {
		return hypervisor.Spec{}, fmt.Errorf("read what to start: %w", dormer.ErrCorrupt)
	}
	if err := spec.Validate(); err != nil {
		return hypervisor.Spec{}, fmt.Errorf("read what to start: %w", err)
	}
	if spec.Dir != dir {
		return hypervisor.Spec{}, fmt.Errorf("machine belongs to another directory: %w", dormer.ErrInvalid)
	}
	return spec, nil
}

// readSecrets reads the keys until their end.
func readSecrets(r io.Reader) (hypervisor.Secrets, error) {
	if f, ok := r.(*os.File); ok {
		// Not every file can have a deadline; those that cannot do not hang either.
		_ = f.SetReadDeadline(time.Now().Add(secretsTime))
	}
	b, err := io.ReadAll(io.LimitReader(r, maxSecrets))
	if err != nil {
		return hypervisor.Secrets{}, fmt.Errorf("read keys: %w", err)
	}
	var secrets hypervisor.Secrets
	if json.Unmarshal(b, &secrets) != nil {
		return hypervisor.Secrets{}, fmt.Errorf("read keys: %w", dormer.ErrInvalid)
	}
	return secrets, secrets.Validate()
}
