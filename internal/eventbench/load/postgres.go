package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/dormer-project/dormer"
)

// Nobody is the user who runs PostgreSQL where this process is root, which it
// refuses.
const Nobody = 65534

// Postgres is a PostgreSQL server of its own on a Unix socket, durable as it is
// by default.
type Postgres struct {
	Dir      string // at most 80 bytes: the socket is in it
	bin      string
	settings []string
	cmd      *exec.Cmd
	ended    chan struct{}
}

// NewPostgres makes an empty cluster in dir, which must not be there yet, or
// takes the one that is there. Settings are as "shared_buffers=1GB". Nothing
// runs yet. ErrUnavailable when PostgreSQL is not installed.
func NewPostgres(ctx context.Context, dir string, settings ...string) (*Postgres, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("PostgreSQL is not installed; run scripts/setup.sh: %w", dormer.ErrUnavailable)
	}
	slices.Sort(found)
	p := &Postgres{Dir: dir, bin: filepath.Dir(found[len(found)-1]), settings: settings}
	if _, err := os.Stat(filepath.Join(p.data(), "PG_VERSION")); err == nil {
		return p, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of PostgreSQL: %w", err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(dir, Nobody, Nobody); err != nil {
			return nil, fmt.Errorf("make the folder of PostgreSQL: %w", err)
		}
	}
	c := p.command(ctx, "initdb", "-D", p.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	if out, err := c.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make a cluster: %w: %s", err, out)
	}
	return p, nil
}

func (p *Postgres) data() string { return filepath.Join(p.Dir, "data") }

func (p *Postgres) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, filepath.Join(p.bin, name), args...)
	c.Dir = "/"
	if os.Getuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: Nobody, Gid: Nobody}}
	}
	return c
}

// DSN is the URL of one of its databases, as its superuser.
func (p *Postgres) DSN(database string) string {
	return fmt.Sprintf("postgres://postgres@/%s?host=%s", database, p.Dir)
}

// PID is that of the postmaster.
func (p *Postgres) PID() int { return p.cmd.Process.Pid }

// Start runs the server and waits until it takes connections; after Kill it
// recovers first.
func (p *Postgres) Start(ctx context.Context) error {
	args := []string{"-D", p.data(), "-k", p.Dir, "-c", "listen_addresses=", "-c", "max_connections=100"}
	for _, s := range p.settings {
		args = append(args, "-c", s)
	}
	log, err := os.OpenFile(filepath.Join(p.Dir, "server.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	defer log.Close()
	p.cmd = p.command(context.WithoutCancel(ctx), "postgres", args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	ended := make(chan struct{})
	p.ended = ended
	go func(c *exec.Cmd) {
		defer close(ended)
		_ = c.Wait() // how it ended is in its log
	}(p.cmd)
	err = Until(ctx, func() error { return p.command(ctx, "pg_isready", "-q", "-h", p.Dir).Run() }, ended)
	if err != nil {
		return fmt.Errorf("PostgreSQL does not start: %w\n%s", err, p.log())
	}
	return nil
}

func (p *Postgres) log() string {
	b, err := os.ReadFile(filepath.Join(p.Dir, "server.log"))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4096):])
}

// Signal sends a signal to the postmaster and all its processes.
func (p *Postgres) Signal(sig syscall.Signal) error {
	list, err := children(p.PID())
	if err != nil {
		return err
	}
	for _, pid := range append([]int{p.PID()}, list...) {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signal PostgreSQL: %w", err)
		}
	}
	return nil
}

// Kill ends all processes at once with SIGKILL, as a power cut would, and waits
// until they are gone.
func (p *Postgres) Kill(ctx context.Context) error {
	if p.cmd == nil {
		return nil
	}
	list, err := children(p.PID())
	if err != nil {
		return err
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.ended
	// A backend that was just forked notices by itself that its parent is gone.
	return Until(ctx, func() error {
		for _, pid := range list {
			if s, err := readStat(pid); err == nil && !s.gone {
				return fmt.Errorf("process %d of PostgreSQL is still there: %w", pid, dormer.ErrUnavailable)
			}
		}
		return nil
	}, nil)
}

// StopNow makes the server end without writing anything (mode "immediate").
func (p *Postgres) StopNow() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGQUIT) // it may have ended
	<-p.ended
}

// Stop makes the server write what it has and end.
func (p *Postgres) Stop() error {
	if p.cmd == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGINT) // it may have ended
	select {
	case <-p.ended:
		return nil
	case <-time.After(2 * time.Minute):
		p.StopNow()
		return fmt.Errorf("stop PostgreSQL: %w", context.DeadlineExceeded)
	}
}

// SQL runs statements in a database and returns what they say, columns parted
// by |.
func (p *Postgres) SQL(ctx context.Context, database, text string) (string, error) {
	c := p.command(ctx, "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", p.Dir, "-U", "postgres", "-d", database, "-c", text)
	out, err := c.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("psql: %w: %s", err, out)
	}
	return strings.TrimSpace(string(out)), nil
}
