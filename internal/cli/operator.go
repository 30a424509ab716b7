package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func newOperator(a *app) *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the operators", Args: noArgs,
		Example: "  dormer operator list",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			all, err := c.Operators(ctx)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, o := range all {
				state := map[string]string{"renamed": "renamed to " + o.Name, "gone": "GONE from its directory", "unknown": "directory does not answer"}[o.State]
				rows[i] = []string{o.Principal.Name, string(o.Principal.Kind), o.Principal.Directory, string(o.Role), state}
			}
			return a.print(all, []string{"NAME", "KIND", "DIRECTORY", "ROLE", "STATE"}, rows)
		}),
	}
	return group(&cobra.Command{Use: "operator", Short: "Who may administer"}, list, newOperatorSet(a))
}

func newOperatorSet(a *app) *cobra.Command {
	var group bool
	cmd := &cobra.Command{
		Use: "set NAME read-only|full|none", Short: "Give a user or a group a role, or take it away", Args: exactArgs(2),
		Long: `Gives a user or a group a role, or takes it away. NAME may be DIRECTORY\NAME or
NAME@DOMAIN; alone it is one of the default directory. 'dormer directory check'
shows who goes by a name.`,
		Example: "  dormer operator set bob read-only\n  dormer operator set --group 'CORP\\helpdesk' read-only",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			o := rest.SetOperator{Kind: dormer.KindUser, Name: args[0], Role: dormer.Role(args[1])}
			if group {
				o.Kind = dormer.KindGroup
			}
			switch o.Role {
			case "none":
				o.Role = dormer.RoleNone
			case dormer.RoleReadOnly, dormer.RoleFull:
			default:
				return dormer.Invalidf("role", "expected read-only, full or none")
			}
			r, err := c.SetOperator(ctx, o)
			if err != nil {
				return err
			}
			who := r.Principal.Shown()
			if r.Role == dormer.RoleNone {
				return a.say(r, "%s is no operator.", who)
			}
			return a.say(r, "%s is an operator: %s.", who, r.Role)
		}),
	}
	cmd.Flags().BoolVar(&group, "group", false, "NAME is a group")
	return cmd
}
