package cli

import (
	"context"
	"errors"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func newDeletions(a *app) *cobra.Command {
	return group(&cobra.Command{
		Use: "deletions", Short: "Machines that their policies want deleted, and that wait",
		Long: `A workspace may say that a machine is deleted when its grant is disabled or has
expired. The server orders that by itself, unless more than 5 % of all machines
would be deleted within an hour: then it waits until somebody has looked. Nothing
goes on by itself. Correct the workspace, and the machines are kept; confirm, and
each is deleted when its client asks next.`,
	}, newDeletionsList(a), newDeletionsConfirm(a))
}

func newDeletionsList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List them", Args: noArgs,
		Example: "  dormer deletions list",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			all, err := c.Deletions(ctx)
			if err != nil {
				return err
			}
			names, err := workspaceNames(ctx, c)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			halted := 0
			for i, d := range all {
				state := d.State
				if d.State == string(lease.DeletionHalted) {
					halted++
				} else {
					state += " by " + d.ConfirmedBy
				}
				rows[i] = []string{string(d.Machine), called(names, d.Workspace), strconv.Itoa(int(d.Revision)), d.User, state, when(d.Since), d.Reason}
			}
			if err := a.print(all, []string{"MACHINE", "WORKSPACE", "REVISION", "USER", "STATE", "SINCE", "REASON"}, rows); err != nil {
				return err
			}
			if halted > 0 && !a.json && !a.quiet {
				a.note("If these are meant to be deleted with their data: dormer deletions confirm %d", halted)
			}
			return nil
		}),
	}
}

// workspaceNames returns the names of the workspaces by identity.
func workspaceNames(ctx context.Context, c *apiclient.Client) (map[dormer.WorkspaceID]string, error) {
	all, err := c.Workspaces(ctx, "")
	if err != nil {
		return nil, err
	}
	names := make(map[dormer.WorkspaceID]string, len(all))
	for _, w := range all {
		names[w.ID] = w.Name
	}
	return names, nil
}

// called is the name of a workspace; those that were deleted have none.
func called(names map[dormer.WorkspaceID]string, w dormer.WorkspaceID) string {
	if name, ok := names[w]; ok {
		return name
	}
	return "(deleted) " + string(w)
}

func newDeletionsConfirm(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "confirm COUNT", Short: "Let so many halted deletions go on", Args: exactArgs(1),
		Long: `Lets the deletions go on that 'dormer deletions list' shows as halted. COUNT is
how many those are; when others have come meanwhile nothing happens. Each machine
is deleted with its data when its client asks next, if its workspace was not
changed since.`,
		Example: "  dormer deletions confirm 12",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			count, err := strconv.Atoi(args[0])
			if err != nil || count < 1 {
				return usageError{errors.New("COUNT is how many deletions are halted, as 'dormer deletions list' shows")}
			}
			if err := a.confirm(args[0]+" machines with their data", "deleted", args[0], yes); err != nil {
				return err
			}
			if err := c.ConfirmDeletions(ctx, count); err != nil {
				return err
			}
			return a.say(rest.ConfirmDeletions{Count: count}, "Confirmed; each machine is deleted when its client asks next.")
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
