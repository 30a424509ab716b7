package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer/internal/agentapi"
)

func newLock(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "lock WORKSPACE",
		Short: "Lock a workspace until you prove who you are",
		Long: `Locks a workspace and the sessions in its guest. It runs on, but nothing leads
into it: no application, no file, no clipboard, until 'dormer unlock'.`,
		Example:           "  dormer lock office",
		Args:              exactArgs(1),
		ValidArgsFunction: a.completeWorkspaces,
		RunE: a.withAgent(func(ctx context.Context, c *agentapi.Client, args []string) error {
			w, err := findWorkspace(ctx, c, args[0])
			if err != nil {
				return err
			}
			if w, err = c.Lock(ctx, string(w.Machine)); err != nil {
				return err
			}
			return a.say(w, "%s is locked.", w.Name)
		}),
	}
}

func newUnlock(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "unlock WORKSPACE",
		Short: "Unlock a workspace with your password or PIN",
		Long: `Unlocks a workspace with the password that you signed in with, or your PIN. The
network is not needed. After 5 wrong ones in a row there is a wait, which doubles
each time, up to an hour.

What a limit has locked stays locked until the server permits the workspace again.`,
		Example:           "  dormer unlock office",
		Args:              exactArgs(1),
		ValidArgsFunction: a.completeWorkspaces,
		RunE: a.withAgent(func(ctx context.Context, c *agentapi.Client, args []string) error {
			w, err := findWorkspace(ctx, c, args[0])
			if err != nil {
				return err
			}
			if w.Locked == "" {
				return a.say(w, "%s is not locked.", w.Name)
			}
			secret, err := a.readSecret("password", "Password or PIN", false)
			if err != nil {
				return err
			}
			if w, err = c.Unlock(ctx, string(w.Machine), agentapi.UnlockRequest{Secret: secret}); err != nil {
				return err
			}
			return a.say(w, "%s is unlocked.", w.Name)
		}),
	}
}
