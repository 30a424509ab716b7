package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer/internal/agentapi"
)

func newUpdate(a *app) *cobra.Command {
	var r agentapi.UpdateRequest
	cmd := &cobra.Command{
		Use:   "update WORKSPACE",
		Short: "Take a new version of a workspace's image",
		Long: `Takes the version of the image that 'dormer status' shows as offered when the
workspace starts next. A persistent workspace gets a fresh system beside the one
that it has, with the same name and your data disk; what was installed in the old
system stays there.

--back goes back to the version before, as long as it is kept. Until the workspace
starts, either takes the other back.`,
		Example:           "  dormer update office\n  dormer update --now office\n  dormer update --back office",
		Args:              exactArgs(1),
		ValidArgsFunction: a.completeWorkspaces,
		RunE: a.withAgent(func(ctx context.Context, c *agentapi.Client, args []string) error {
			w, err := findWorkspace(ctx, c, args[0])
			if err != nil {
				return err
			}
			if w, err = c.Update(ctx, string(w.Machine), r); err != nil {
				return err
			}
			if w.UpdateAtNextStart == "" && w.Image != "" {
				return a.say(w, "%s stays at %s.", w.Name, w.Image)
			}
			if r.Now {
				return a.say(w, "%s starts again for it; 'dormer status' shows how it goes.", w.Name)
			}
			return a.say(w, "%s takes %s when it starts next.", w.Name, w.UpdateAtNextStart)
		}),
	}
	cmd.Flags().BoolVar(&r.Back, "back", false, "go back to the version before")
	cmd.Flags().BoolVar(&r.Now, "now", false, "restart the workspace for it now; save your work first")
	return cmd
}
