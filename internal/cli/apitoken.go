package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func newAPIToken(a *app) *cobra.Command {
	return group(&cobra.Command{Use: "api", Short: "API tokens, with which programs use the server"},
		newAPITokenCreate(a), newAPITokenList(a), newAPITokenRevoke(a))
}

func newAPITokenCreate(a *app) *cobra.Command {
	n := rest.NewAPIToken{}
	var role, lifetime, file string
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make an API token for yourself", Args: exactArgs(1),
		Long: `Makes an API token and prints it; it is shown once. A program that has it uses
the server in your name, with the role that you give it and never more than you
have yourself, until it expires or is revoked. --area confines it to parts of
the API: ` + access.AreaNames(access.Areas()) + `. Only one for access
makes operators, and changes users and groups of the embedded directory who are.

Programs name the file with --token-file, or in DORMER_TOKEN_FILE.`,
		Example: `  dormer token api create monitoring --role read-only --area reports -o token.txt
  dormer token api create 'nightly images' --role full --area images --lifetime 30d -o token.txt`,
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			n.Name, n.Role = args[0], dormer.Role(role)
			if n.Role != dormer.RoleReadOnly && n.Role != dormer.RoleFull {
				return usageError{errors.New("--role takes read-only or full")}
			}
			var err error
			if n.LifetimeHours, err = hours(lifetime); err != nil {
				return err
			}
			if file != "" {
				if err := freshFile(file); err != nil {
					return err
				}
			}
			r, err := c.CreateAPIToken(ctx, n)
			if err != nil {
				return err
			}
			if file == "" {
				return a.say(r, "%s", r.Token)
			}
			if err := writeSecret(file, r.Token+"\n"); err != nil {
				return errors.Join(fmt.Errorf("write the token: %w", err), c.RevokeAPIToken(ctx, r.ID))
			}
			r.Token = ""
			return a.say(r, "API token %s (%s until %s) is in %s.", r.Name, r.Role, when(r.Expires), file)
		}),
	}
	cmd.Flags().StringVar(&role, "role", string(dormer.RoleReadOnly), "what it may do: read-only or full")
	cmd.Flags().StringSliceVar(&n.Areas, "area", nil, "part of the API that it is for; may be repeated (default: all)")
	cmd.Flags().StringVar(&lifetime, "lifetime", "90d", "how long it counts: days as 90d, or hours as 8h; at most a year")
	cmd.Flags().StringVarP(&file, "output", "o", "", "write it to a file with mode 0600")
	return cmd
}

// hours reads a time such as 90d or 8h.
func hours(s string) (int, error) {
	wrong := usageError{errors.New("--lifetime takes days as 90d or hours as 8h, from 1h to 365d")}
	if len(s) < 2 {
		return 0, wrong
	}
	n, err := strconv.Atoi(s[:len(s)-1])
	if err != nil || n < 1 || n > 365*24 {
		return 0, wrong
	}
	switch s[len(s)-1] {
	case 'h':
	case 'd':
		n *= 24
	default:
		return 0, wrong
	}
	if n > 365*24 {
		return 0, wrong
	}
	return n, nil
}

func newAPITokenList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the API tokens, newest first", Args: noArgs,
		Example: "  dormer token api list",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			all, err := c.APITokens(ctx)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, t := range all {
				where := "all"
				if len(t.Areas) > 0 {
					where = strings.Join(t.Areas, ", ")
				}
				rows[i] = []string{t.Name, stateOf(t, a.Now()), t.Owner.Name, string(t.Role), where, when(t.Expires), since(a.Now(), t.LastUsed), t.ID}
			}
			return a.print(all, []string{"NAME", "STATE", "OWNER", "ROLE", "AREAS", "EXPIRES", "LAST USED", "ID"}, rows)
		}),
	}
}

func stateOf(t rest.APIToken, now time.Time) string {
	switch {
	case t.Revoked != nil:
		return "revoked"
	case !t.Expires.After(now):
		return "expired"
	}
	return "usable"
}

func newAPITokenRevoke(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME|ID", Short: "Make an API token useless", Args: exactArgs(1),
		Example: "  dormer token api revoke monitoring\n  dormer token api revoke c2k7qv5xa3m4zt6hd5r2wn7bye",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			id, err := apiTokenByName(ctx, c, args[0])
			if err != nil {
				return err
			}
			if err := c.RevokeAPIToken(ctx, id); err != nil {
				return err
			}
			return a.say(struct{}{}, "API token %s revoked.", args[0])
		}),
	}
}

// apiTokenByName returns the identity of the one API token of that name that is
// not revoked, or what is an identity itself.
func apiTokenByName(ctx context.Context, c *apiclient.Client, called string) (string, error) {
	if dormer.ValidID(called) {
		return called, nil
	}
	all, err := c.APITokens(ctx)
	if err != nil {
		return "", err
	}
	var found []string
	for _, t := range all {
		if name.Fold(t.Name) == name.Fold(called) && t.Revoked == nil {
			found = append(found, t.ID)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("API token %q: %w; 'dormer token api list' shows those that are there", called, dormer.ErrNotFound)
	case 1:
		return found[0], nil
	}
	return "", dormer.Invalidf("token", "%d API tokens have that name; use the ID that 'dormer token api list' shows", len(found))
}
