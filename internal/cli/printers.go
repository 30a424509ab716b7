package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer/internal/agentapi"
)

func newPrinters(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "printers",
		Short: "List the printers that workspaces get whose policy lets them print",
		Long: `Lists the printers of this computer, as your session process tells them to
workspaces whose policy lets them print.`,
		Example: "  dormer printers", Args: noArgs,
		RunE: a.withAgent(func(ctx context.Context, c *agentapi.Client, _ []string) error {
			all, err := c.Printers(ctx)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, p := range all {
				standard := ""
				if p.Default {
					standard = "default"
				}
				rows[i] = []string{p.Name, p.Info, standard}
			}
			return a.print(all, []string{"NAME", "DESCRIPTION", ""}, rows)
		}),
	}
}
