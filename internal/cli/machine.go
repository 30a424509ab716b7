package cli

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/workspace"
)

// defaultWait is how long start, stop and restart wait before they leave the
// rest to the agent. A first start downloads the image.
const defaultWait = 30 * time.Minute

func newStart(a *app) *cobra.Command {
	return a.newAct("start", "Start a workspace and wait until its guest is up", agentapi.CommandStart,
		started, "%s runs as %s.")
}

// up reports whether applications of a workspace run at once.
func up(w agentapi.Workspace) bool {
	return w.State == string(workspace.Running) && w.Ready && w.Setup == ""
}

func started(w agentapi.Workspace) (bool, error) {
	if up(w) {
		return true, nil
	}
	return false, trouble(w)
}

func newRestart(a *app) *cobra.Command {
	return a.newAct("restart", "Restart a workspace (a revertible one goes back to its image)", agentapi.CommandRestart,
		func(w agentapi.Workspace) (bool, error) {
			// What is desired becomes run when it starts again: it may be back
			// before it was seen away.
			if w.Desired == string(workspace.Run) && up(w) {
				return true, nil
			}
			return false, trouble(w)
		}, "%s runs again as %s.")
}

func newStop(a *app) *cobra.Command {
	var kill bool
	cmd := a.newAct("stop", "Stop a workspace", agentapi.CommandStop, stopped, "%s has stopped.")
	cmd.Flags().BoolVar(&kill, "kill", false, "turn it off without asking the guest; unsaved work is lost")
	ask := cmd.RunE
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if kill {
			return a.act(c, args[0], agentapi.CommandKill, stopped, "%s was turned off.")
		}
		return ask(c, args)
	}
	return cmd
}

func stopped(w agentapi.Workspace) (bool, error) {
	switch workspace.State(w.State) {
	case workspace.Ready, workspace.Saved, workspace.Absent, workspace.Failed, workspace.Downloading:
		return true, nil
	default:
		return false, nil
	}
}

// trouble says why a workspace will not come up, once the agent has given up.
func trouble(w agentapi.Workspace) error {
	switch {
	case !w.Permitted:
		return fmt.Errorf("workspace %s may not run: %s: %w", w.Name, w.Verdict, dormer.ErrDenied)
	case w.State == string(workspace.Failed):
		return fmt.Errorf("workspace %s did not start: %s", w.Name, w.Error)
	case w.State == string(workspace.Running) && w.SetupStopped:
		return fmt.Errorf("workspace %s runs and cannot be used: %s: %w", w.Name, w.Setup, dormer.ErrConflict)
	case w.Desired != string(workspace.Run) && w.Desired != string(workspace.Restart) && !workspace.State(w.State).Busy():
		return fmt.Errorf("workspace %s was stopped meanwhile: %w", w.Name, dormer.ErrConflict)
	default:
		return nil
	}
}

// newAct makes a command that sends one order to the agent and waits until
// done says so.
func (a *app) newAct(use, short string, command agentapi.Command, done func(agentapi.Workspace) (bool, error), said string) *cobra.Command {
	cmd := &cobra.Command{
		Use:               use + " WORKSPACE",
		Short:             short,
		Example:           "  dormer " + use + " office",
		Args:              exactArgs(1),
		ValidArgsFunction: a.completeWorkspaces,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.act(cmd, args[0], command, done, said)
		},
	}
	cmd.Flags().Bool("no-wait", false, "return at once; the agent goes on")
	cmd.Flags().Duration("timeout", defaultWait, "how long to wait")
	return cmd
}

// findWorkspace finds one of the caller's workspaces by name, without regard to
// case, or by the identity of its machine.
func findWorkspace(ctx context.Context, c *agentapi.Client, called string) (agentapi.Workspace, error) {
	s, err := c.Status(ctx)
	if err != nil {
		return agentapi.Workspace{}, err
	}
	var found []agentapi.Workspace
	for _, w := range s.Workspaces {
		if string(w.Machine) == called {
			return w, nil
		}
		if name.Fold(w.Name) == name.Fold(called) {
			found = append(found, w)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return agentapi.Workspace{}, fmt.Errorf("several of your workspaces are called %s; name the machine that 'dormer status --json' shows: %w", called, dormer.ErrConflict)
	}
	if err := nobody(s); err != nil {
		return agentapi.Workspace{}, err
	}
	return agentapi.Workspace{}, fmt.Errorf("workspace %q: %w; 'dormer status' shows yours, 'dormer refresh' asks the server for new ones", called, dormer.ErrNotFound)
}

// nobody returns an error when nobody is signed in for the caller:
// ErrUnavailable where nobody can, else ErrUnauthenticated.
func nobody(s agentapi.Status) error {
	switch {
	case !s.Enrolled:
		return fmt.Errorf("this computer is not enrolled; %s: %w", howToEnrol, dormer.ErrUnavailable)
	case len(s.Users) == 0:
		return fmt.Errorf("nobody has signed in here: %w", dormer.ErrUnauthenticated)
	}
	return nil
}

func (a *app) act(cmd *cobra.Command, called string, command agentapi.Command, done func(agentapi.Workspace) (bool, error), said string) error {
	noWait, err := cmd.Flags().GetBool("no-wait")
	if err != nil {
		return err
	}
	limit, err := cmd.Flags().GetDuration("timeout")
	if err != nil {
		return err
	}
	c, err := a.agent()
	if err != nil {
		return err
	}
	defer c.Close()
	if command == agentapi.CommandStart || command == agentapi.CommandRestart {
		a.signInUnasked(cmd.Context(), c)
	}
	w, err := findWorkspace(cmd.Context(), c, called)
	if err != nil {
		return err
	}
	if command == agentapi.CommandStart || command == agentapi.CommandRestart {
		a.sessionUnasked(cmd.Context(), c, w)
	}
	if w, err = c.Act(cmd.Context(), string(w.Machine), command); err != nil {
		return fmt.Errorf("workspace %s: %w", called, err)
	}
	if noWait {
		return a.say(w, "%s: the agent was told.", w.Name)
	}
	if w, err = a.await(cmd.Context(), c, w, limit, done); err != nil {
		return err
	}
	args := []any{w.Name}
	if w.State == string(workspace.Running) {
		args = append(args, w.Guest)
	}
	return a.say(w, said, args...)
}

// await waits until done says so of a workspace, and tells what it goes
// through meanwhile.
func (a *app) await(ctx context.Context, c *agentapi.Client, w agentapi.Workspace, limit time.Duration, done func(agentapi.Workspace) (bool, error)) (agentapi.Workspace, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var failed error
	last, seen := "", w
	w, err := c.Await(limited, w.Machine, func(w agentapi.Workspace) bool {
		ok, err := done(w)
		failed = err
		return ok || err != nil
	}, func(w agentapi.Workspace) {
		seen = w
		line := strings.TrimSpace(w.State + " " + w.Detail)
		if w.State == string(workspace.Running) && !w.Ready {
			line = "running; the system inside is not up yet"
		} else if w.Setup != "" {
			line = "running; " + w.Setup
		}
		if line != last && !a.quiet && !a.json {
			last = line
			a.note("%s: %s", printable(w.Name), printable(line))
		}
	})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return w, fmt.Errorf("workspace %s is still %s after %s; the agent goes on, see 'dormer status': %w", seen.Name, seen.State, limit, dormer.ErrUnavailable)
	case err != nil:
		return w, err
	}
	return w, failed
}

// bringUp starts a workspace unless it is up, and waits until it is: the first
// time that takes as long as its download.
func (a *app) bringUp(ctx context.Context, c *agentapi.Client, w agentapi.Workspace) (agentapi.Workspace, error) {
	if up(w) {
		return w, nil
	}
	told, err := c.Act(ctx, string(w.Machine), agentapi.CommandStart)
	if err != nil {
		return w, fmt.Errorf("workspace %s: %w", w.Name, err)
	}
	return a.await(ctx, c, told, defaultWait, started)
}

func newRunApplication(a *app) *cobra.Command {
	var detach bool
	cmd := &cobra.Command{
		Use:   "run WORKSPACE APPLICATION",
		Short: "Run a published application; the workspace starts when needed",
		Long: `Runs a published application in the guest and shows what it prints. The exit
status is that of the application. The workspace is started when it does not run.

With --json: exit_status, stdout and stderr as text. What is not valid UTF-8 is in
base64, and stdout_encoding or stderr_encoding says so. truncated is true when
there was more than is kept.`,
		Example:           "  dormer run office Notepad --detach\n  dormer run demo hello",
		Args:              exactArgs(2),
		ValidArgsFunction: a.completeWorkspaces,
		RunE: a.withAgent(func(ctx context.Context, c *agentapi.Client, args []string) error {
			a.signInUnasked(ctx, c)
			w, err := findWorkspace(ctx, c, args[0])
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(w.Applications, func(x agentapi.Application) bool { return name.Fold(x.Name) == name.Fold(args[1]) }) {
				return fmt.Errorf("workspace %s publishes no application %q, but %s: %w", w.Name, args[1], applications(w), dormer.ErrNotFound)
			}
			a.sessionUnasked(ctx, c, w)
			if w, err = a.bringUp(ctx, c, w); err != nil {
				return err
			}
			r, err := c.Run(ctx, string(w.Machine), agentapi.RunRequest{Application: args[1], Detach: detach})
			if err != nil {
				return fmt.Errorf("workspace %s: %w", w.Name, err)
			}
			switch {
			case a.json:
				if err := a.printJSON(newRanApplication(r)); err != nil {
					return err
				}
			default:
				if _, err := a.Out.Write(r.Stdout); err != nil {
					return err
				}
				if _, err := a.Err.Write(r.Stderr); err != nil {
					return err
				}
			}
			if r.Truncated {
				a.warn("the application printed more than is shown")
			}
			if r.ExitStatus != 0 {
				return statusError(r.ExitStatus)
			}
			return nil
		}),
	}
	cmd.Flags().BoolVar(&detach, "detach", false, "do not wait for it to end")
	return cmd
}

// ranApplication is what run prints with --json.
type ranApplication struct {
	Stdout         string `json:"stdout"`
	StdoutEncoding string `json:"stdout_encoding,omitempty"` // base64, absent for text
	Stderr         string `json:"stderr"`
	StderrEncoding string `json:"stderr_encoding,omitempty"`
	ExitStatus     int    `json:"exit_status"`
	Truncated      bool   `json:"truncated,omitempty"`
}

func newRanApplication(r agentapi.RunResult) ranApplication {
	out := ranApplication{ExitStatus: r.ExitStatus, Truncated: r.Truncated}
	out.Stdout, out.StdoutEncoding = asText(r.Stdout)
	out.Stderr, out.StderrEncoding = asText(r.Stderr)
	return out
}

// asText returns bytes as text, in base64 where they are none.
func asText(b []byte) (text, encoding string) {
	if utf8.Valid(b) {
		return string(b), ""
	}
	return base64.StdEncoding.EncodeToString(b), "base64"
}

// applications lists what a workspace publishes, for a message.
func applications(w agentapi.Workspace) string {
	names := make([]string, len(w.Applications))
	for i, app := range w.Applications {
		names[i] = app.Name
	}
	if len(names) == 0 {
		return "none at all"
	}
	return strings.Join(names, ", ")
}

// completeWorkspaces completes names of workspaces, and of applications behind
// one.
func (a *app) completeWorkspaces(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := a.agent()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	defer c.Close()
	all, err := c.Workspaces(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, w := range all {
		if len(args) == 0 {
			names = append(names, w.Name)
			continue
		}
		if w.Name != args[0] || cmd.Name() != "run" {
			continue
		}
		for _, app := range w.Applications {
			names = append(names, app.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
