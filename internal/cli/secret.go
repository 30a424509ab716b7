package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer/internal/apiclient"
)

// secretName is what --json prints of a change.
type secretName struct {
	Name string `json:"name"`
}

func newSecret(a *app) *cobra.Command {
	return group(&cobra.Command{
		Use: "secret", Short: "Secrets that workspaces name",
		Long: `A secret is left with the server under a name, and workspaces name it where they
need it: the password of an account that joins computers to a domain. The server
keeps it encrypted, uses it itself and never shows it again.`,
	}, newSecretSet(a), newSecretList(a), newSecretDelete(a))
}

func newSecretSet(a *app) *cobra.Command {
	var fromStdin bool
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Leave a secret with the server, or replace it", Args: exactArgs(1),
		Example: "  dormer secret set join.corp\n  dormer secret set join.corp --stdin < password.txt",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			value, err := a.readNewPassword("Secret", fromStdin)
			if err != nil {
				return err
			}
			if err := c.SetSecret(ctx, args[0], value); err != nil {
				return err
			}
			return a.say(secretName{args[0]}, "Secret %s is kept by the server.", args[0])
		}),
	}
	cmd.Flags().BoolVar(&fromStdin, "stdin", false, "read it from one line of standard input")
	return cmd
}

func newSecretList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the secrets by name", Args: noArgs,
		Example: "  dormer secret list",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			all, err := c.Secrets(ctx)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, s := range all {
				rows[i] = []string{s.Name, when(s.Set), s.By}
			}
			return a.print(all, []string{"NAME", "SET", "BY"}, rows)
		}),
	}
}

func newSecretDelete(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete NAME", Short: "Delete a secret that no workspace names", Args: exactArgs(1),
		Example: "  dormer secret delete join.corp",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			if err := a.confirm("Secret "+args[0], "deleted", args[0], yes); err != nil {
				return err
			}
			if err := c.DeleteSecret(ctx, args[0]); err != nil {
				return err
			}
			return a.say(secretName{args[0]}, "Secret %s deleted.", args[0])
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
