package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/session"
)

// backgroundTime is how long a session in the background has to connect.
const backgroundTime = 15 * time.Second

// connectedLine is what a session in the background writes to its standard
// output when the agent has taken it.
const connectedLine = "connected"

// maxSessionLog is how large the log of sessions grows before a new session
// begins it anew, in bytes.
const maxSessionLog = 1 << 20

func newSession(a *app) *cobra.Command {
	var background bool
	cmd := &cobra.Command{
		Use:   "session",
		Short: "Act for the agent as you: host commands, shared folders, printing, messages",
		Long: `Connects to the agent and does for it, for as long as it runs, what is done as
you: commands that a workspace wants run on this computer before it starts or on
files that it receives, shared folders, printing, messages on your desktop, and
signing in again with your Kerberos ticket. Workspaces that start with your
session start when it connects.

The systemd unit dormer-session.service runs it in your session. Where there is
none, 'dormer start' and 'dormer run' begin one in the background when a workspace
needs it.`,
		Example: "  dormer session --background\n  dormer session status\n  dormer session stop",
		Args:    noArgs,
		RunE: a.withAgent(func(ctx context.Context, c *agentapi.Client, _ []string) error {
			if background {
				if err := a.beginSession(ctx); err != nil {
					return err
				}
				return a.sessionStatus(ctx, c)
			}
			return a.runSession(ctx, c)
		}),
	}
	cmd.Flags().BoolVar(&background, "background", false, "go on in the background; the log is dormer/session.log in your state folder")
	cmd.AddCommand(&cobra.Command{
		Use: "status", Short: "Show whether your session is connected", Example: "  dormer session status", Args: noArgs,
		RunE: a.withAgent(func(ctx context.Context, c *agentapi.Client, _ []string) error { return a.sessionStatus(ctx, c) }),
	}, &cobra.Command{
		Use: "stop", Short: "End your session", Example: "  dormer session stop", Args: noArgs,
		RunE: a.withAgent(func(ctx context.Context, c *agentapi.Client, _ []string) error {
			if err := c.EndDesk(ctx); err != nil {
				return err
			}
			return a.say(struct{}{}, "Your session has ended.")
		}),
	})
	return cmd
}

func (a *app) sessionStatus(ctx context.Context, c *agentapi.Client) error {
	s, err := c.DeskStatus(ctx)
	if err != nil {
		return err
	}
	if !s.Connected {
		return a.say(s, "No session of yours is connected.")
	}
	return a.say(s, "Your session is process %d, connected since %s.", s.PID, when(s.Since))
}

// runSession is the session until it is told to end.
func (a *app) runSession(ctx context.Context, c *agentapi.Client) error {
	// The terminal may go; the session stays with its user.
	signal.Ignore(syscall.SIGHUP)
	log := slog.New(slog.NewTextHandler(a.Err, nil))
	s := session.New(session.Config{
		Agent: c, Version: a.Version, Logger: log, Env: a.Env,
		SignIn: func(ctx context.Context) error { _, err := a.signInByTicket(ctx, c); return err },
	})
	told := false
	return s.Run(ctx, func() {
		if told {
			return
		}
		told = true
		if err := a.say(agentapi.DeskStatus{Connected: true}, connectedLine); err != nil {
			log.LogAttrs(ctx, slog.LevelDebug, "nobody waits for the session to connect", slog.Any("error", err))
		}
	})
}

// sessionUnasked begins a session in the background when a workspace needs one
// and none is connected. What does not work is told; the agent decides whether
// it goes on without.
func (a *app) sessionUnasked(ctx context.Context, c *agentapi.Client, w agentapi.Workspace) {
	if !w.NeedsSession {
		return
	}
	if s, err := c.DeskStatus(ctx); err != nil || s.Connected {
		return // who asks next is told why
	}
	if err := a.beginSession(ctx); err != nil && !errors.Is(err, dormer.ErrExists) {
		a.warn("what workspace %s needs done as you cannot be done: %s", printable(w.Name), tidy(err.Error()))
	}
}

// beginSession begins a session in the background and returns when the agent
// has taken it.
func (a *app) beginSession(ctx context.Context) (err error) {
	if a.Program == nil {
		return fmt.Errorf("begin a session in the background: %w", dormer.ErrUnsupported)
	}
	program, err := a.Program()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	log, err := a.sessionLog()
	if err != nil {
		return err
	}
	defer log.Close() // the session has its own
	args := []string{"dormer", "session"}
	if a.socketPath != "" {
		socket, err := filepath.Abs(a.socketPath)
		if err != nil {
			return fmt.Errorf("find the agent's socket: %w", err)
		}
		args = append(args, "--agent", socket)
	}
	// It outlives this command, whose end must not end it.
	c := exec.Command(program) //nolint:noctx // see above
	c.Args, c.Stderr = args, log
	c.Dir = a.Env("HOME")
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := c.StdoutPipe()
	if err != nil {
		return fmt.Errorf("begin a session in the background: %w", err)
	}
	if err := c.Start(); err != nil {
		return fmt.Errorf("begin a session in the background: %w", err)
	}
	line := make(chan string, 1)
	go func() {
		l, _ := bufio.NewReader(io.LimitReader(out, 100)).ReadString('\n') // less than a line is not what is awaited
		line <- l
	}()
	limit := time.NewTimer(backgroundTime)
	defer limit.Stop()
	select {
	case l := <-line:
		if l == connectedLine+"\n" {
			return c.Process.Release()
		}
		if err := c.Wait(); err != nil && c.ProcessState.ExitCode() == exitCode(dormer.ErrExists) {
			return fmt.Errorf("a session of yours is connected already: %w", dormer.ErrExists)
		}
		return fmt.Errorf("the session ended at once; %s says why: %w", log.Name(), dormer.ErrUnavailable)
	case <-ctx.Done():
		err = ctx.Err()
	case <-limit.C:
		err = fmt.Errorf("the session does not connect; %s says why: %w", log.Name(), dormer.ErrUnavailable)
	}
	return errors.Join(err, c.Process.Kill())
}

// sessionLog opens the log of sessions in the background.
func (a *app) sessionLog() (*os.File, error) {
	dir := a.Env("XDG_STATE_HOME")
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(a.Env("HOME"), ".local", "state")
	}
	dir = filepath.Join(dir, "dormer")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the session's log: %w", err)
	}
	path, flags := filepath.Join(dir, "session.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND
	if info, err := os.Stat(path); err == nil && info.Size() > maxSessionLog {
		flags |= os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the session's log: %w", err)
	}
	return f, nil
}
