package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
)

func newPIN(a *app) *cobra.Command {
	return group(&cobra.Command{Use: "pin", Short: "The PIN that proves off-line that it is you, if you sign in without a password"},
		newPINSet(a), newPINRemove(a), newPINTest(a))
}

func newPINSet(a *app) *cobra.Command {
	var by proof
	cmd := &cobra.Command{
		Use:   "set [USER]",
		Short: "Set your PIN on this computer",
		Long: `Sets the PIN that proves on this computer, without the network, that it is you.
It is for those who sign in with a Kerberos ticket or at a provider: where you
signed in with a password, that password counts.

A PIN has at least 6 characters. It is set within 10 minutes after signing in;
later, sign in again with --kerberos or --provider. It ends with your sign-in.`,
		Example: "  dormer pin set\n  dormer pin set --kerberos\n  dormer pin set --provider corp < pin.txt",
		Args:    maxArgs(1),
		RunE: a.withAgent(func(ctx context.Context, c *agentapi.Client, args []string) error {
			r := agentapi.PINRequest{User: optional(args)}
			if by.given() {
				if r.User != "" {
					return usageError{errors.New("--kerberos and --provider say by themselves who you are; leave the name out")}
				}
				u, err := a.signInBy(ctx, c, by)
				if err != nil {
					return err
				}
				r.User = u.ID
			}
			// Nobody types a PIN, twice, that could not be set.
			if _, err := c.SetPIN(ctx, agentapi.PINRequest{User: r.User, Check: true}); err != nil {
				return orNobody(ctx, c, err)
			}
			var err error
			if r.PIN, err = a.readNewPIN(); err != nil {
				return err
			}
			u, err := c.SetPIN(ctx, r)
			if err != nil {
				return err
			}
			return a.say(u, "The PIN of %s on this computer is set.", u.Name)
		}),
	}
	by.flags(cmd)
	return cmd
}

func newPINRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "remove [USER]",
		Short:   "Remove your PIN from this computer",
		Example: "  dormer pin remove",
		Args:    maxArgs(1),
		RunE: a.withAgent(func(ctx context.Context, c *agentapi.Client, args []string) error {
			u, err := c.SetPIN(ctx, agentapi.PINRequest{User: optional(args), Remove: true})
			if err != nil {
				return orNobody(ctx, c, err)
			}
			return a.say(u, "There is no PIN of %s on this computer any more.", u.Name)
		}),
	}
}

func newPINTest(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "test [USER]",
		Short: "Try your PIN, or the password that you signed in with",
		Long: `Asks the agent whether a PIN, or the password of your sign-in, proves that it is
you. The network is not needed. After 5 wrong ones in a row there is a wait, which
doubles each time, up to an hour.`,
		Example: "  dormer pin test",
		Args:    maxArgs(1),
		RunE: a.withAgent(func(ctx context.Context, c *agentapi.Client, args []string) error {
			if err := somebodyIn(ctx, c); err != nil {
				return err
			}
			secret, err := a.readSecret("PIN", "PIN or password", false)
			if err != nil {
				return err
			}
			if err := c.Prove(ctx, agentapi.ProveRequest{User: optional(args), Secret: secret}); err != nil {
				return err
			}
			return a.say(struct{}{}, "That is right.")
		}),
	}
}

// somebodyIn returns an error, as of findWorkspace, when nobody is signed in.
func somebodyIn(ctx context.Context, c *agentapi.Client) error {
	s, err := c.Status(ctx)
	if err != nil {
		return err
	}
	return nobody(s)
}

// orNobody returns the error of somebodyIn in place of err where that is why
// nothing was found.
func orNobody(ctx context.Context, c *agentapi.Client, err error) error {
	if !errors.Is(err, dormer.ErrNotFound) {
		return err
	}
	if why := somebodyIn(ctx, c); why != nil {
		return why
	}
	return err
}

// optional returns the only argument, or "".
func optional(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// readNewPIN asks for a PIN that is to be set: on a terminal twice, since nobody
// sees what is typed; from standard input it is one line.
func (a *app) readNewPIN() (string, error) {
	first, err := a.readSecret("PIN", "New PIN", false)
	if err != nil {
		return "", err
	}
	if _, typed := a.terminal(); !typed {
		return first, nil
	}
	again, err := a.readSecret("PIN", "Once more", false)
	if err != nil {
		return "", err
	}
	if first != again {
		return "", dormer.Invalidf("pin", "was not the same twice; nothing was changed")
	}
	return first, nil
}
