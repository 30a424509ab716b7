package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func newClientList(a *app) *cobra.Command {
	var q apiclient.ClientQuery
	cmd := &cobra.Command{
		Use: "list", Short: "List the clients", Args: noArgs,
		Long: `Lists the clients, all of them unless flags select some. States are active (not
revoked), online, offline, beyond-limit (off-line for longer than one of their
machines may be), running (on-line, and a machine runs), never-seen, copied,
clock-wrong and revoked. 'dormer client figures' counts them.`,
		Example: "  dormer client list\n  dormer client list --state beyond-limit --sort last-seen\n  dormer client list --search alice --limit 20",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			all, err := c.Clients(ctx, q)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all.Items))
			for i, x := range all.Items {
				rows[i] = []string{
					x.Host.Name, kindOfClient(x), stateOfClient(x), since(a.Now(), x.LastSeen), fmt.Sprintf("%d/%d", x.Running, x.Machines),
					x.AgentVersion, x.Host.OS + "/" + x.Host.Arch, string(x.ID),
				}
			}
			if err := a.print(all.Items, []string{"HOST", "KIND", "STATE", "LAST SEEN", "RUNNING", "AGENT", "SYSTEM", "ID"}, rows); err != nil {
				return err
			}
			if len(all.Items) < all.Total && !a.json && !a.quiet {
				a.note("These are %d of %d; --offset shows others.", len(all.Items), all.Total)
			}
			return nil
		}),
	}
	f := cmd.Flags()
	f.StringVar(&q.Search, "search", "", "those with this in the name of their host or of a user, or with this identity")
	f.StringVar(&q.State, "state", "", "those in this state; see above")
	f.StringVar(&q.Version, "version", "", "those with this version of the agent")
	f.StringVar(&q.Sort, "sort", "", "by host, last-seen, version, enrolled or disk-free (default host)")
	f.BoolVar(&q.Descending, "descending", false, "the last first")
	f.IntVar(&q.Offset, "offset", 0, "leave out so many from the beginning")
	f.IntVar(&q.Limit, "limit", 0, "show so many, 1000 at most (default all)")
	return cmd
}

// stateOfClient says how a client is, and what is wrong with it.
func stateOfClient(x rest.Client) string {
	state := "off-line"
	switch {
	case x.Revoked != nil:
		return "revoked"
	case x.Online:
		state = "on-line"
	case x.BeyondLimit:
		state = "off-line beyond its limit"
	}
	if x.Copied != nil {
		state += ", copied"
	}
	if clockOff(x) != "" {
		state += ", clock wrong"
	}
	return state
}

func newClientFigures(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "figures", Short: "Count the clients by how they are", Args: noArgs,
		Example: "  dormer client figures",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			f, err := c.ClientFigures(ctx)
			if err != nil {
				return err
			}
			rows := [][]string{
				{"active", strconv.Itoa(f.Active)},
				{"online", strconv.Itoa(f.Online)},
				{"offline", strconv.Itoa(f.Offline)},
				{"beyond-limit", strconv.Itoa(f.BeyondLimit)},
				{"running", strconv.Itoa(f.Running)},
				{"never-seen", strconv.Itoa(f.NeverSeen)},
				{"copied", strconv.Itoa(f.Copied)},
				{"clock-wrong", strconv.Itoa(f.ClockWrong)},
				{"revoked", strconv.Itoa(f.Revoked)},
			}
			for _, v := range f.Versions {
				rows = append(rows, []string{"version " + v.Version, strconv.Itoa(v.Clients)})
			}
			return a.print(f, []string{"STATE", "CLIENTS"}, rows)
		}),
	}
}

func newClientOrders(a *app) *cobra.Command {
	var waiting bool
	cmd := &cobra.Command{
		Use: "orders [CLIENT]", Short: "List the newest orders to a client, or to all", Args: rangeArgs(0, 1),
		Example: "  dormer client orders --waiting\n  dormer client orders laptop7",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			of, err := clientOrAll(ctx, c, args)
			if err != nil {
				return err
			}
			all, err := c.Orders(ctx, of, waiting)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, o := range all {
				rows[i] = []string{o.ID, string(o.Client), o.Kind, string(o.Machine), when(o.Issued), o.By, o.State, o.Reason, o.Error}
			}
			return a.print(all, []string{"ORDER", "CLIENT", "KIND", "MACHINE", "GIVEN", "BY", "STATE", "REASON", "ERROR"}, rows)
		}),
	}
	cmd.Flags().BoolVar(&waiting, "waiting", false, "those alone that wait for their clients")
	return cmd
}

func newClientWithdrawOrder(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "withdraw-order ORDER", Short: "Take back an order that waits for its client", Args: exactArgs(1),
		Long: `Takes back an order that its client has not reported yet. A client that has the
order already, and is about to carry it out, does so nevertheless.`,
		Example: "  dormer client withdraw-order c2k7qv5xa3m4zt6hd5r2wn7bye",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			o, err := c.WithdrawOrder(ctx, args[0])
			if err != nil {
				return err
			}
			return a.say(o, "Order to %s withdrawn.", o.Kind)
		}),
	}
}
