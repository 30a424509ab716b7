package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func newHealth(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "health", Short: "How the server is, and what to do about it", Args: noArgs,
		Long: `health shows how the parts of the server are: its databases, disks, certificates,
directories, standby and background work, since when, and what to do where
something is not well.

It exits with 1 when a part has an error. What a server that does not answer
lacks is found by 'dormerd doctor' on its computer.`,
		Example: "  dormer health\n  dormer health --json",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			h, err := c.Health(ctx)
			if errors.Is(err, dormer.ErrUnavailable) {
				return fmt.Errorf("%w; 'dormerd doctor' on the server's computer says what is wrong", err)
			}
			if err != nil {
				return err
			}
			rows := make([][]string, len(h.Parts))
			for i, p := range h.Parts {
				since := ""
				if p.Since != nil {
					since = when(*p.Since)
				}
				rows[i] = []string{p.Part, string(p.Status), since, p.Found}
			}
			err = a.print(h, []string{"PART", "STATUS", "SINCE", "FOUND"}, rows)
			for _, p := range h.Parts {
				if p.Status != rest.HealthOK && p.ToDo != "" {
					a.tell("\n%s: %s", printable(p.Part), printable(p.ToDo))
				}
			}
			if h.Status == rest.HealthError {
				err = errors.Join(err, statusError(1))
			}
			return err
		}),
	}
}
