package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/setup"
)

func newSetup(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Show, resume, cancel or postpone the first-time setup of a workspace",
		Long: `First-time setup is the script by which a policy makes a new machine ready:
computer name, domain, commands. It runs when the machine starts for the first
time, and goes on where it stood after a restart, a failure or a cancel.`,
	}
	return group(
		cmd,
		a.newSetupCommand("status", "Show where the first-time setup of a workspace stands", ""),
		a.newSetupCommand("resume", "Go on with a setup that failed, was cancelled or postponed", agentapi.SetupResume),
		a.newSetupCommand("cancel", "End the setup until it is resumed or the workspace starts again", agentapi.SetupCancel),
		a.newSetupCommand("postpone", "Use the workspace now; the setup goes on when it starts again", agentapi.SetupPostpone),
	)
}

// newSetupCommand makes a command that shows the setup, after it was moved unless
// command is empty.
func (a *app) newSetupCommand(use, short string, command agentapi.SetupCommand) *cobra.Command {
	return &cobra.Command{
		Use: use + " WORKSPACE", Short: short, Example: "  dormer setup " + use + " office",
		Args: exactArgs(1), ValidArgsFunction: a.completeWorkspaces,
		RunE: a.withAgent(func(ctx context.Context, c *agentapi.Client, args []string) error {
			w, err := findWorkspace(ctx, c, args[0])
			if err != nil {
				return err
			}
			var s agentapi.SetupStatus
			if command == "" {
				s, err = c.Setup(ctx, string(w.Machine))
			} else {
				s, err = c.ActSetup(ctx, string(w.Machine), command)
			}
			if err != nil {
				return fmt.Errorf("workspace %s: %w", w.Name, err)
			}
			return a.say(s, "%s", setupText(w.Name, s))
		}),
	}
}

// setupText says where a setup stands, in sentences.
func setupText(workspace string, s agentapi.SetupStatus) string {
	lines := []string{workspace + ": " + setupState(s)}
	if s.Step > 0 {
		lines = append(lines, fmt.Sprintf("Step %d of %d: %s.", s.Step, s.Steps, printable(s.Title)))
	}
	if s.Failure != "" {
		lines = append(lines, printable(s.Failure))
	}
	if state := setup.State(s.State); s.Message != "" && (state == setup.Running || state == setup.Waiting) {
		lines = append(lines, printable(s.Message))
	}
	var may []string
	if s.MayCancel {
		may = append(may, "cancel")
	}
	if s.MayPostpone {
		may = append(may, fmt.Sprintf("postpone (%s more)", times(s.PostponesLeft)))
	}
	if setup.State(s.State) == setup.Failed || setup.State(s.State) == setup.Cancelled || setup.State(s.State) == setup.Postponed {
		may = append(may, "resume")
	}
	if len(may) > 0 {
		lines = append(lines, "You may: "+strings.Join(may, ", ")+".")
	}
	return strings.Join(lines, "\n")
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func setupState(s agentapi.SetupStatus) string {
	switch setup.State(s.State) {
	case setup.Waiting:
		return "the first-time setup goes on when the workspace runs."
	case setup.Running:
		return "the first-time setup is under way."
	case setup.Failed:
		return "the first-time setup failed. It goes on when the policy is corrected or the workspace starts again."
	case setup.Cancelled:
		return "the first-time setup was cancelled. It goes on when the workspace starts again."
	case setup.Postponed:
		return "the first-time setup was postponed; the workspace can be used. It goes on when the workspace starts again."
	case setup.Finished:
		return "the first-time setup is finished."
	default:
		return "there is no first-time setup."
	}
}
