package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func newClientDiagnostics(a *app) *cobra.Command {
	return group(&cobra.Command{
		Use: "diagnostics", Short: "What clients send for those who help",
		Long: `A client that is ordered to sends its state, that of its machines, and the ends of
their logs, as a tar archive compressed with gzip. There are no keys and no
passwords in it, but names of users and what guests wrote on their consoles. The
server keeps the newest 3 of each client for 30 days.`,
	}, newDiagnosticsCollect(a), newDiagnosticsList(a), newDiagnosticsGet(a), newDiagnosticsDelete(a))
}

func newDiagnosticsCollect(a *app) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "collect CLIENT", Short: "Order a client to send its diagnostics", Args: exactArgs(1),
		Example: "  dormer client diagnostics collect laptop7",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			x, err := clientByName(ctx, c, args[0])
			if err != nil {
				return err
			}
			o, err := c.Order(ctx, x.ID, rest.NewOrder{Kind: string(lease.OrderDiagnostics), Reason: reason})
			if err != nil {
				return err
			}
			return a.say(o, "Ordered; %s sends them at its next poll.", x.Host.Name)
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the records")
	return cmd
}

func newDiagnosticsList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list [CLIENT]", Short: "List the archives of a client, or of all", Args: rangeArgs(0, 1),
		Example: "  dormer client diagnostics list laptop7",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			of, err := clientOrAll(ctx, c, args)
			if err != nil {
				return err
			}
			all, err := c.Diagnostics(ctx, of)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, d := range all {
				rows[i] = []string{d.ID, string(d.Client), when(d.Received), size(d.Bytes), when(d.Expires)}
			}
			return a.print(all, []string{"ARCHIVE", "CLIENT", "RECEIVED", "SIZE", "KEPT UNTIL"}, rows)
		}),
	}
}

func newDiagnosticsGet(a *app) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "get ARCHIVE", Short: "Download an archive", Args: exactArgs(1),
		Example: "  dormer client diagnostics get c2k7qv5xa3m4zt6hd5r2wn7bye -o diagnostics.tar.gz",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			if file == "" {
				return usageError{errors.New("say where to with --output")}
			}
			if err := freshFile(file); err != nil {
				return err
			}
			f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return fmt.Errorf("write the archive: %w", err)
			}
			err = c.DownloadDiagnostics(ctx, args[0], f)
			if err = errors.Join(err, f.Close()); err != nil {
				return errors.Join(err, os.Remove(file))
			}
			return a.say(struct{}{}, "The archive is in %s.", file)
		}),
	}
	cmd.Flags().StringVarP(&file, "output", "o", "", "file that is written, with mode 0600")
	return cmd
}

func newDiagnosticsDelete(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "delete ARCHIVE", Short: "Delete an archive from the server", Args: exactArgs(1),
		Example: "  dormer client diagnostics delete c2k7qv5xa3m4zt6hd5r2wn7bye",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			if err := c.DeleteDiagnostics(ctx, args[0]); err != nil {
				return err
			}
			return a.say(struct{}{}, "Archive %s deleted.", args[0])
		}),
	}
}
