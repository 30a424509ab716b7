package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func userByName(ctx context.Context, c *apiclient.Client, called string) (rest.User, error) {
	all, err := c.Users(ctx)
	if err != nil {
		return rest.User{}, err
	}
	i := slices.IndexFunc(all, func(u rest.User) bool { return name.Fold(u.Name) == name.Fold(called) })
	if i < 0 {
		return rest.User{}, fmt.Errorf("user %q: %w", called, dormer.ErrNotFound)
	}
	return all[i], nil
}

func newUserAdd(a *app) *cobra.Command {
	var display string
	var generate, mustChange bool
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Add a user", Args: exactArgs(1),
		Long:    "Adds a user. The password is asked for, or read from standard input, or generated and shown once with --generate.",
		Example: "  dormer directory user add alice --display-name 'Alice Example' --generate",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			u := rest.NewUser{Name: args[0], DisplayName: display, MustChange: mustChange}
			if !generate {
				var err error
				if u.Password, err = a.readNewPassword("Password of "+args[0], false); err != nil {
					return err
				}
			}
			r, err := c.CreateUser(ctx, u)
			if err != nil {
				return err
			}
			if r.Password != "" {
				return a.say(r, "User %s added; password: %s", r.Name, r.Password)
			}
			return a.say(r, "User %s added.", r.Name)
		}),
	}
	cmd.Flags().StringVar(&display, "display-name", "", "name for people")
	cmd.Flags().BoolVar(&generate, "generate", false, "generate a password and show it once")
	cmd.Flags().BoolVar(&mustChange, "must-change", false, "the user must change it at the next sign-in")
	return cmd
}

func newUserList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the users", Args: noArgs,
		Example: "  dormer directory user list",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			all, err := c.Users(ctx)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, u := range all {
				rows[i] = userRow(u)
			}
			return a.print(all, userHeaders, rows)
		}),
	}
}

var userHeaders = []string{"NAME", "DISPLAY NAME", "STATE", "ADDED"}

func userRow(u rest.User) []string {
	var state []string
	if u.Disabled {
		state = append(state, "disabled")
	}
	if u.MustChange {
		state = append(state, "must change password")
	}
	if u.Expires != nil {
		state = append(state, "expires "+when(*u.Expires))
	}
	return []string{u.Name, u.DisplayName, strings.Join(state, ", "), when(u.Created)}
}

func newUserShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a user, by name or by identity", Args: exactArgs(1),
		Long:    "Shows a user of the embedded directory. Instead of the name there may be the\nidentity, which stays when the user is renamed.",
		Example: "  dormer directory user show alice",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			var u rest.User
			err := dormer.ErrNotFound
			if dormer.ValidID(args[0]) {
				u, err = c.User(ctx, args[0])
			}
			if errors.Is(err, dormer.ErrNotFound) {
				u, err = userByName(ctx, c, args[0])
			}
			if err != nil {
				return err
			}
			return a.print(u, userHeaders, [][]string{userRow(u)})
		}),
	}
}

func newUserPassword(a *app) *cobra.Command {
	var generate, mustChange bool
	cmd := &cobra.Command{
		Use: "password NAME", Short: "Give a user another password", Args: exactArgs(1),
		Example: "  dormer directory user password alice --generate --must-change",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			u, err := userByName(ctx, c, args[0])
			if err != nil {
				return err
			}
			s := rest.SetPassword{MustChange: mustChange}
			if !generate {
				if s.Password, err = a.readNewPassword("New password of "+args[0], false); err != nil {
					return err
				}
			}
			r, err := c.SetPassword(ctx, u.ID, s)
			if err != nil {
				return err
			}
			if r.Password != "" {
				return a.say(r, "Password of %s: %s", u.Name, r.Password)
			}
			return a.say(r, "Password of %s changed.", u.Name)
		}),
	}
	cmd.Flags().BoolVar(&generate, "generate", false, "generate a password and show it once")
	cmd.Flags().BoolVar(&mustChange, "must-change", false, "the user must change it at the next sign-in")
	return cmd
}

func newUserEnable(a *app, enable bool) *cobra.Command {
	use, short, said := "disable NAME", "Refuse a user; running workspaces stop after the grants' period of grace", "User %s disabled."
	if enable {
		use, short, said = "enable NAME", "Let a disabled user in again", "User %s enabled."
	}
	return &cobra.Command{
		Use: use, Short: short, Args: exactArgs(1),
		Example: "  dormer directory user " + strings.Replace(use, "NAME", "alice", 1),
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			u, err := userByName(ctx, c, args[0])
			if err != nil {
				return err
			}
			disabled := !enable
			r, err := c.ChangeUser(ctx, u.ID, rest.ChangeUser{Disabled: &disabled})
			if err != nil {
				return err
			}
			return a.say(r, said, r.Name)
		}),
	}
}

func newUserDelete(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete NAME", Short: "Remove a user", Args: exactArgs(1),
		Example: "  dormer directory user delete alice",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			u, err := userByName(ctx, c, args[0])
			if err != nil {
				return err
			}
			if err := a.confirm("User "+u.Name, "removed", u.Name, yes); err != nil {
				return err
			}
			if err := c.DeleteUser(ctx, u.ID); err != nil {
				return err
			}
			return a.say(u, "User %s removed.", u.Name)
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
