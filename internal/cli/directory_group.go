package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func groupByName(ctx context.Context, c *apiclient.Client, called string) (rest.Group, error) {
	all, err := c.Groups(ctx)
	if err != nil {
		return rest.Group{}, err
	}
	i := slices.IndexFunc(all, func(g rest.Group) bool { return name.Fold(g.Name) == name.Fold(called) })
	if i < 0 {
		return rest.Group{}, fmt.Errorf("group %q: %w", called, dormer.ErrNotFound)
	}
	return all[i], nil
}

func newGroupAdd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "add NAME", Short: "Add a group", Args: exactArgs(1),
		Example: "  dormer directory group add office",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			g, err := c.CreateGroup(ctx, args[0])
			if err != nil {
				return err
			}
			return a.say(g, "Group %s added.", g.Name)
		}),
	}
}

func newGroupList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the groups and their members", Args: noArgs,
		Example: "  dormer directory group list",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			all, err := c.Groups(ctx)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, g := range all {
				members := make([]string, len(g.Members))
				for j, m := range g.Members {
					members[j] = m.Name
				}
				rows[i] = []string{g.Name, strings.Join(members, ", ")}
			}
			return a.print(all, []string{"NAME", "MEMBERS"}, rows)
		}),
	}
}

func newGroupMember(a *app, present bool) *cobra.Command {
	var group bool
	use, short, said := "take-out GROUP MEMBER", "Take a user, or with --group a group, out of a group", "%s is not in %s."
	if present {
		use, short, said = "put-in GROUP MEMBER", "Put a user, or with --group a group, into a group", "%s is in %s."
	}
	cmd := &cobra.Command{
		Use: use, Short: short, Args: exactArgs(2),
		Example: "  dormer directory group " + strings.Replace(use, "GROUP MEMBER", "office alice", 1),
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			g, err := groupByName(ctx, c, args[0])
			if err != nil {
				return err
			}
			kind, id := dormer.KindUser, ""
			if group {
				kind = dormer.KindGroup
				m, err := groupByName(ctx, c, args[1])
				if err != nil {
					return err
				}
				id = m.ID
			} else {
				m, err := userByName(ctx, c, args[1])
				if err != nil {
					return err
				}
				id = m.ID
			}
			if err := c.SetMember(ctx, g.ID, kind, id, present); err != nil {
				return err
			}
			return a.say(struct{}{}, said, args[1], g.Name)
		}),
	}
	cmd.Flags().BoolVar(&group, "group", false, "the member is a group")
	return cmd
}

func newGroupDelete(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete NAME", Short: "Remove a group", Args: exactArgs(1),
		Example: "  dormer directory group delete office",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			g, err := groupByName(ctx, c, args[0])
			if err != nil {
				return err
			}
			if err := a.confirm("Group "+g.Name, "removed", g.Name, yes); err != nil {
				return err
			}
			if err := c.DeleteGroup(ctx, g.ID); err != nil {
				return err
			}
			return a.say(g, "Group %s removed.", g.Name)
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
