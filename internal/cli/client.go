package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func newToken(a *app) *cobra.Command {
	return group(&cobra.Command{Use: "token", Short: "Join tokens for computers, and API tokens for programs"},
		newTokenCreate(a), newTokenList(a), newTokenRevoke(a))
}

func newTokenCreate(a *app) *cobra.Command {
	t := rest.NewJoinToken{}
	var noManaged bool
	var file string
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a join token", Args: exactArgs(1),
		Long: `Makes a join token and prints it; it is shown once. It admits agents that run as
a system service; with --unmanaged also those that run for one user. Whoever
holds it enrols clients until its uses or its time are over: treat it as a
secret.`,
		Example: "  dormer token create 'third floor' --uses 40 --hours 8 -o token.txt",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			t.Name, t.Managed = args[0], !noManaged
			switch {
			case t.MaxUses < 1:
				return usageError{errors.New("--uses takes a number from 1")}
			case t.LifetimeHours < 1:
				return usageError{errors.New("--hours takes a number from 1")}
			case !t.Managed && !t.Unmanaged:
				return usageError{errors.New("--no-managed needs --unmanaged: the token would admit nobody")}
			}
			if file != "" {
				if err := freshFile(file); err != nil {
					return err
				}
			}
			r, err := c.CreateJoinToken(ctx, t)
			if err != nil {
				return err
			}
			if file != "" {
				if err := writeSecret(file, r.Token+"\n"); err != nil {
					return fmt.Errorf("write the token: %w", err)
				}
				r.Token = ""
				return a.say(r, "Join token %s (%d uses until %s) is in %s.", r.Name, r.MaxUses, when(r.Expires), file)
			}
			return a.say(r, "%s", r.Token)
		}),
	}
	cmd.Flags().IntVar(&t.MaxUses, "uses", 1, "how many clients it enrols")
	cmd.Flags().IntVar(&t.LifetimeHours, "hours", 24, "how long it can be used")
	cmd.Flags().BoolVar(&t.Unmanaged, "unmanaged", false, "admit agents that run for one user, too")
	cmd.Flags().BoolVar(&noManaged, "no-managed", false, "do not admit agents that run as a service")
	cmd.Flags().StringVar(&t.URL, "url", "", "under which its clients reach the server (default: the server's first public URL)")
	cmd.Flags().StringVarP(&file, "output", "o", "", "write it to a file with mode 0600")
	return cmd
}

func newTokenList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the join tokens", Args: noArgs,
		Example: "  dormer token list",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			all, err := c.JoinTokens(ctx)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, t := range all {
				var admits []string
				if t.Managed {
					admits = append(admits, "managed")
				}
				if t.Unmanaged {
					admits = append(admits, "unmanaged")
				}
				state := "usable"
				switch {
				case t.Revoked:
					state = "revoked"
				case t.Uses >= t.MaxUses:
					state = "used up"
				case !t.Expires.After(a.Now()):
					state = "expired"
				}
				rows[i] = []string{t.Name, state, fmt.Sprintf("%d/%d", t.Uses, t.MaxUses), when(t.Expires), strings.Join(admits, ", "), t.By, t.ID}
			}
			return a.print(all, []string{"NAME", "STATE", "USES", "EXPIRES", "ADMITS", "BY", "ID"}, rows)
		}),
	}
}

func newTokenRevoke(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME|ID", Short: "Make a join token useless", Args: exactArgs(1),
		Example: "  dormer token revoke 'third floor'\n  dormer token revoke c2k7qv5xa3m4zt6hd5r2wn7bye",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			id, err := tokenByName(ctx, c, args[0])
			if err != nil {
				return err
			}
			if err := c.RevokeJoinToken(ctx, id); err != nil {
				return err
			}
			return a.say(struct{}{}, "Join token %s revoked.", args[0])
		}),
	}
}

// tokenByName returns the identity of the one join token of that name that is
// not revoked, or what is an identity itself.
func tokenByName(ctx context.Context, c *apiclient.Client, called string) (string, error) {
	if dormer.ValidID(called) {
		return called, nil
	}
	all, err := c.JoinTokens(ctx)
	if err != nil {
		return "", err
	}
	var found []string
	for _, t := range all {
		if name.Fold(t.Name) == name.Fold(called) && !t.Revoked {
			found = append(found, t.ID)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("join token %q: %w; 'dormer token list' shows those that are there", called, dormer.ErrNotFound)
	case 1:
		return found[0], nil
	}
	return "", dormer.Invalidf("token", "%d join tokens have that name; use the ID that 'dormer token list' shows", len(found))
}

func newClient(a *app) *cobra.Command {
	return group(&cobra.Command{Use: "client", Short: "Clients, their machines, and orders to them"},
		newClientList(a), newClientFigures(a), newClientShow(a), newClientRevoke(a), newClientOrders(a), newClientWithdrawOrder(a), newClientDiagnostics(a),
		newClientOrder(a, "refresh CLIENT", "Make a client ask for everything anew", lease.OrderRefresh),
		newClientOrder(a, "lock CLIENT [MACHINE]", "Lock a machine, or all, until their users prove who they are", lease.OrderLock),
		newClientOrder(a, "stop CLIENT [MACHINE]", "Stop a machine, or all, at the client's next poll", lease.OrderStop),
		newClientOrder(a, "reset-machine CLIENT MACHINE", "Take a machine back to its image; the data disk stays", lease.OrderReset),
		newClientOrder(a, "delete-machine CLIENT MACHINE", "Delete a user's machine with its data from a client", lease.OrderDelete))
}

// clientOrAll is the client that an argument names, by name or identity; empty:
// all of them, because there is none.
func clientOrAll(ctx context.Context, c *apiclient.Client, args []string) (dormer.ClientID, error) {
	if len(args) == 0 {
		return "", nil
	}
	x, err := clientByName(ctx, c, args[0])
	return x.ID, err
}

// clientByName finds a client by its identity or the name of its host; revoked
// ones count only where no other has the name.
func clientByName(ctx context.Context, c *apiclient.Client, called string) (rest.Client, error) {
	if dormer.ValidID(called) {
		return c.Client(ctx, dormer.ClientID(called))
	}
	all, err := c.Clients(ctx, apiclient.ClientQuery{Search: called})
	if err != nil {
		return rest.Client{}, err
	}
	found := slices.DeleteFunc(all.Items, func(x rest.Client) bool { return !strings.EqualFold(x.Host.Name, called) })
	if slices.ContainsFunc(found, func(x rest.Client) bool { return x.Revoked == nil }) {
		found = slices.DeleteFunc(found, func(x rest.Client) bool { return x.Revoked != nil })
	}
	switch len(found) {
	case 0:
		return rest.Client{}, fmt.Errorf("client %q: %w; 'dormer client list' shows those that are there", called, dormer.ErrNotFound)
	case 1:
		return c.Client(ctx, found[0].ID) // the list does not tell everything
	}
	return rest.Client{}, dormer.Invalidf("client", "%d clients have hosts of that name; use the identity that 'dormer client list' shows", len(found))
}

// kindOfClient says how a client's agent runs, or that it counts no more.
func kindOfClient(c rest.Client) string {
	switch {
	case c.Revoked != nil:
		return "revoked"
	case c.Managed:
		return "managed"
	default:
		return "unmanaged"
	}
}

// clockRight is by how much a client's clock may be off without being told of.
const clockRight = 2 * time.Minute

// clockOff says how far off a client's clock is; empty when it is right, or when
// it is not known.
func clockOff(c rest.Client) string {
	if c.ClockAheadSeconds == nil {
		return ""
	}
	switch ahead := time.Duration(*c.ClockAheadSeconds) * time.Second; {
	case ahead > clockRight:
		return ahead.String() + " ahead of the server's"
	case ahead < -clockRight:
		return (-ahead).String() + " behind the server's"
	}
	return ""
}

// clientDetail is what show prints with --json.
type clientDetail struct {
	rest.Client
	Machines []rest.Machine `json:"machines"`
}

func newClientShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "show CLIENT", Short: "Show a client and its machines", Args: exactArgs(1),
		Example: "  dormer client show laptop7",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			x, err := clientByName(ctx, c, args[0])
			if err != nil {
				return err
			}
			machines, err := c.Machines(ctx, x.ID)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(clientDetail{x, machines})
			}
			tokens, err := c.JoinTokens(ctx)
			if err != nil {
				return err
			}
			err = a.print(nil, nil, a.clientRows(x, tokens))
			if err != nil || len(machines) == 0 {
				return err
			}
			names, err := workspaceNames(ctx, c)
			if err != nil {
				return err
			}
			fmt.Fprintln(a.Out)
			rows := make([][]string, len(machines))
			for i, m := range machines {
				rows[i] = machineRow(m, names)
			}
			if err := a.print(machines, []string{"MACHINE", "WORKSPACE", "USER", "COMPUTER", "STATE", "POLICY", "DETAIL"}, rows); err != nil {
				return err
			}
			told := map[string]bool{} // machines of one workspace lack the same
			for _, m := range machines {
				key := fmt.Sprint(m.Workspace, m.AtNextStart, m.NotEnforced)
				if !told[key] {
					told[key] = true
					a.noteFollows(m, called(names, m.Workspace))
				}
			}
			return nil
		}),
	}
}

// clientRows shows what is known of a client.
func (a *app) clientRows(x rest.Client, tokens []rest.JoinToken) [][]string {
	kind := "managed: the agent is a service"
	if !x.Managed {
		kind = "unmanaged: the agent is one user's"
	}
	token := x.JoinToken
	if i := slices.IndexFunc(tokens, func(t rest.JoinToken) bool { return t.ID == x.JoinToken }); i >= 0 {
		token = fmt.Sprintf("%s (%s)", tokens[i].Name, x.JoinToken)
	}
	rows := [][]string{
		{"Client", string(x.ID)},
		{"Host", fmt.Sprintf("%s, %s/%s, %d MiB, %s processors", x.Host.Name, x.Host.OS, x.Host.Arch, x.Host.MemoryMiB, strconv.Itoa(x.Host.Processors))},
		{"Agent", x.AgentVersion},
		{"Kind", kind},
		{"Key", x.KeyFingerprint},
		{"Enrolled", fmt.Sprintf("%s, with join token %s", when(x.Enrolled), token)},
		{"Last seen", since(a.Now(), x.LastSeen)},
	}
	if h := x.Host; h.DiskTotal > 0 {
		rows = append(rows, []string{"Disk", fmt.Sprintf("%s of %s free; images take %s", size(h.DiskFree), size(h.DiskTotal), size(h.ImagesBytes))})
	}
	if off := clockOff(x); off != "" {
		rows = append(rows, []string{"Clock", off + ", when it was last seen"})
	}
	for _, r := range slices.Backward(x.Runs) {
		from := r.Host
		if r.Address != "" {
			from += " at " + r.Address
		}
		rows = append(rows, []string{"Agent run", fmt.Sprintf("%s to %s on %s", when(r.First), when(r.Last), from)})
	}
	if x.Copied != nil {
		rows = append(
			rows,
			[]string{"Copied", when(*x.Copied) + ": " + x.CopiedDetail},
			[]string{"", "two agents use this identity; revoke it, and enrol each computer anew"},
		)
	}
	if x.Revoked != nil {
		rows = append(rows, []string{"Revoked", when(*x.Revoked)})
	}
	return rows
}

// machineRow shows a machine; workspaces that were deleted have no name.
func machineRow(m rest.Machine, workspaces map[dormer.WorkspaceID]string) []string {
	state, revision := m.State, "-"
	if m.Locked {
		state += ", locked"
	}
	if m.PolicyRevision > 0 {
		revision = strconv.Itoa(int(m.PolicyRevision))
	}
	detail := m.Detail
	if detail == "" && m.Image == "" {
		detail = "no image on the client yet"
	}
	return []string{string(m.ID), called(workspaces, m.Workspace), m.User.Shown(), m.ComputerName, state, revision, detail}
}

// noteFollows tells what of its policy a machine does not follow, or not yet.
func (a *app) noteFollows(m rest.Machine, workspace string) {
	if a.quiet {
		return
	}
	if len(m.AtNextStart) > 0 {
		a.note("Workspace %s takes over when it starts next: %s.", workspace, strings.Join(m.AtNextStart, ", "))
	}
	if len(m.NotEnforced) > 0 {
		a.note("For workspace %s this client does nothing yet for: %s.", workspace, strings.Join(m.NotEnforced, ", "))
	}
}

func newClientRevoke(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "revoke CLIENT", Short: "End a client for good; its machines stop when their leases end", Args: exactArgs(1),
		Example: "  dormer client revoke laptop7",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			x, err := clientByName(ctx, c, args[0])
			if err != nil {
				return err
			}
			if err := a.confirm("Client "+x.Host.Name, "revoked", x.Host.Name, yes); err != nil {
				return err
			}
			if err := c.RevokeClient(ctx, x.ID); err != nil {
				return err
			}
			return a.say(x, "Client %s (%s) revoked.", x.Host.Name, x.ID)
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func newClientOrder(a *app, use, short string, kind lease.OrderKind) *cobra.Command {
	var reason string
	var yes bool
	var grace time.Duration
	most := strings.Count(use, " ")
	least := most - strings.Count(use, "[")
	example := strings.NewReplacer("CLIENT", "laptop7", "[MACHINE]", "c2k7qv5xa3m4zt6hd5r2wn7bye", "MACHINE", "c2k7qv5xa3m4zt6hd5r2wn7bye").Replace(use)
	cmd := &cobra.Command{
		Use: use, Short: short, Args: rangeArgs(least, most),
		Example: "  dormer client " + example + " --reason 'asked for by phone'",
	}
	cmd.RunE = a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
		if reason == "" {
			return usageError{errors.New("say why with --reason; the user is shown it")}
		}
		x, err := clientByName(ctx, c, args[0])
		if err != nil {
			return err
		}
		o := rest.NewOrder{Kind: string(kind), Reason: reason}
		if len(args) == 2 {
			o.Machine = dormer.MachineID(args[1])
		}
		if cmd.Flags().Changed("grace") {
			o.Grace = new(int64(grace / time.Second))
		}
		if kind == lease.OrderDelete {
			if err := a.confirm("Machine "+args[1]+" with its data", "deleted", args[1], yes); err != nil {
				return err
			}
		}
		if kind == lease.OrderReset {
			if err := a.confirm("What was installed and changed in machine "+args[1], "thrown away", args[1], yes); err != nil {
				return err
			}
		}
		r, err := c.Order(ctx, x.ID, o)
		if err != nil {
			return err
		}
		return a.say(r, "Ordered; %s carries it out at its next poll.", x.Host.Name)
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why; the user sees it")
	switch kind {
	case lease.OrderDelete, lease.OrderReset:
		cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
		cmd.Flags().DurationVar(&grace, "grace", 0, "how long a machine that runs goes on after the warning (default: what the policy says)")
	case lease.OrderStop:
		cmd.Flags().DurationVar(&grace, "grace", 0, "how long a machine that runs goes on after the warning (default: not at all)")
	case lease.OrderLock, lease.OrderRefresh, lease.OrderDiagnostics:
	}
	return cmd
}
