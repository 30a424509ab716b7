package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/workspace"
)

// defaultWait is how long start, stop and restart wait before they leave the
// rest to the agent. A first start downloads the image.
const defaultWait = 30 * time.Minute

func newStart(a *app) *cobra.Command {
	return a.newAct("start", "Start a workspace and wait until its guest is up", agentapi.CommandStart,
		func(w agentapi.Workspace) (bool, error) {
			if w.State == string(workspace.Running) && w.Ready {
				return true, nil
			}
			return false, trouble(w)
		}, "%s runs as %s.")
}

func newRestart(a *app) *cobra.Command {
	var left bool
	return a.newAct("restart", "Restart a workspace (a revertible one goes back to its image)", agentapi.CommandRestart,
		func(w agentapi.Workspace) (bool, error) {
			// It has to be seen away from running once before it is back.
			if w.State != string(workspace.Running) {
				left = true
			}
			if left && w.State == string(workspace.Running) && w.Ready {
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
			return a.act(c, args[0], agentapi.CommandKill, true, defaultWait, stopped, "%s was turned off.")
		}
		return ask(c, args)
	}
	return cmd
}

func stopped(w agentapi.Workspace) (bool, error) {
	switch w.State {
	case string(workspace.Ready), string(workspace.Absent), string(workspace.Failed):
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
	default:
		return nil
	}
}

// newAct makes a command that sends one order to the agent and waits until
// done says so.
func (a *app) newAct(use, short string, command agentapi.Command, done func(agentapi.Workspace) (bool, error), said string) *cobra.Command {
	var noWait bool
	var limit time.Duration
	cmd := &cobra.Command{
		Use:               use + " WORKSPACE",
		Short:             short,
		Example:           "  dormer " + use + " office",
		Args:              exactArgs(1),
		ValidArgsFunction: a.completeWorkspaces,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.act(cmd, args[0], command, !noWait, limit, done, said)
		},
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "return at once; the agent goes on")
	cmd.Flags().DurationVar(&limit, "timeout", defaultWait, "how long to wait")
	return cmd
}

func (a *app) act(cmd *cobra.Command, name string, command agentapi.Command, wait bool, limit time.Duration, done func(agentapi.Workspace) (bool, error), said string) error {
	c, err := a.agent()
	if err != nil {
		return err
	}
	defer c.Close()
	w, err := c.Act(cmd.Context(), name, command)
	if err != nil {
		return err
	}
	if !wait {
		return a.say(w, "%s: the agent was told.", w.Name)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), limit)
	defer cancel()
	var failed error
	last := ""
	w, err = c.Await(ctx, w.Machine, func(w agentapi.Workspace) bool {
		ok, err := done(w)
		failed = err
		return ok || err != nil
	}, func(w agentapi.Workspace) {
		if line := w.State + " " + w.Detail; line != last && !a.quiet && !a.json {
			last = line
			fmt.Fprintf(a.Err, "%s: %s\n", w.Name, printable(line))
		}
	})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("workspace %s is still %s after %s; the agent goes on, see 'dormer status': %w", name, last, limit, dormer.ErrUnavailable)
	case err != nil:
		return err
	case failed != nil:
		return failed
	}
	args := []any{w.Name}
	if w.State == string(workspace.Running) {
		args = append(args, w.Guest)
	}
	return a.say(w, said, args...)
}

func newRunApplication(a *app) *cobra.Command {
	var detach bool
	cmd := &cobra.Command{
		Use:   "run WORKSPACE APPLICATION",
		Short: "Run a published application; the workspace starts when needed",
		Long: `Runs a published application in the guest and shows what it prints. The exit
status is that of the application. The workspace is started when it does not run.`,
		Example:           "  dormer run office Notepad --detach\n  dormer run demo hello",
		Args:              exactArgs(2),
		ValidArgsFunction: a.completeWorkspaces,
		RunE: a.withAgent(func(ctx context.Context, c *agentapi.Client, args []string) error {
			r, err := c.Run(ctx, args[0], agentapi.RunRequest{Application: args[1], Detach: detach})
			if err != nil {
				return err
			}
			switch {
			case a.json:
				if err := a.printJSON(r); err != nil {
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
