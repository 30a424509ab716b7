package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer/internal/policy"
)

// namePreview is what name-preview prints with --json.
type namePreview struct {
	Pattern string   `json:"pattern"`
	Names   []string `json:"names"`
	Warning string   `json:"warning,omitempty"`
}

func newWorkspaceNamePreview(a *app) *cobra.Command {
	vars := policy.NameVars{}
	cmd := &cobra.Command{
		Use:   "name-preview PATTERN",
		Short: "Show which computer names a pattern gives",
		Long: `Shows a few of the names that machines would get from a pattern of
setup.computerName, and says what is wrong with one that is refused. It asks no
server: whether a name is taken is seen when a machine gets it.`,
		Example: "  dormer workspace name-preview 'OFFICE-####'\n  dormer workspace name-preview '{user}-{machine}' --user alice",
		Args:    exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			pattern := args[0]
			names, err := policy.PreviewComputerNames(pattern, vars, 3, a.Rand)
			if err != nil {
				return err
			}
			out := namePreview{Pattern: pattern, Names: names, Warning: policy.ComputerNameWarning(pattern)}
			if a.json {
				return a.printJSON(out)
			}
			for _, n := range out.Names {
				fmt.Fprintln(a.Out, n)
			}
			if out.Warning != "" {
				a.note("The pattern %s.", out.Warning)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&vars.User, "user", "alice", "value of {user}")
	flags.StringVar(&vars.Domain, "domain", "CORP", "value of {domain}")
	flags.StringVar(&vars.Host, "host", "desk-17", "value of {host}")
	flags.StringVar(&vars.Workspace, "workspace", "office", "value of {workspace}")
	return cmd
}
