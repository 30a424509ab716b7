package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func newDirectory(a *app) *cobra.Command {
	return group(&cobra.Command{Use: "directory", Short: "Users and groups"},
		group(&cobra.Command{Use: "user", Short: "Users of the embedded directory"},
			newUserAdd(a), newUserList(a), newUserShow(a), newUserPassword(a), newUserEnable(a, true), newUserEnable(a, false), newUserDelete(a)),
		group(&cobra.Command{Use: "group", Short: "Groups of the embedded directory"},
			newGroupAdd(a), newGroupList(a), newGroupMember(a, true), newGroupMember(a, false), newGroupDelete(a)),
		newDirectoryCheck(a), newDirectoryFind(a), newDirectoryTest(a), newDirectorySignOut(a))
}

func newDirectorySignOut(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "sign-out USER", Short: "End all sessions of a user", Args: exactArgs(1),
		Long: `Ends all sessions of a user of any directory: as an operator at once, on clients
at their next poll, which stops the user's workspaces and keeps them. Who may
sign in can sign in again: disable the account, or change its password, first.
API tokens go on: 'dormer token api list' shows them, with their owners.`,
		Example: "  dormer directory sign-out 'CORP\\alice'",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			r, err := c.EndSessions(ctx, args[0])
			if err != nil {
				return err
			}
			return a.say(r, "All sessions of %s have ended.", r.User.Shown())
		}),
	}
}

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

// found is what find prints with --json.
type found struct {
	Found      []rest.Entry `json:"found"`
	Unanswered []string     `json:"unanswered,omitempty"`
}

// unanswered warns of the directories that a search had to leave out and
// returns them. Any other error it returns.
func (a *app) unanswered(err error) ([]string, error) {
	away, ok := errors.AsType[*access.UnansweredError](err)
	if !ok {
		return nil, err
	}
	for _, d := range away.Directories {
		a.warn("directory %s does not answer: whom it has is not shown; 'dormer directory test' says what is wrong", printable(d))
	}
	return away.Directories, nil
}

func newDirectoryFind(a *app) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "find PREFIX", Short: "Find users and groups whose names begin so", Args: exactArgs(1),
		Long: `Shows users and groups one of whose names begins so, in all directories or in the
one of DIRECTORY\PREFIX. A directory that does not answer is told and left out.`,
		Example: "  dormer directory find off",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			all, err := c.Find(ctx, args[0], limit)
			away, err := a.unanswered(err)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, e := range all {
				p := e.Principal
				rows[i] = []string{p.Name, string(p.Kind), p.Directory, e.DisplayName, e.State, e.Detail}
			}
			return a.print(found{all, away}, []string{"NAME", "KIND", "DIRECTORY", "DISPLAY NAME", "STATE", "DETAIL"}, rows)
		}),
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many")
	return cmd
}

// checked is what check prints of one name with --json.
type checked struct {
	Name string `json:"name"`
	found
}

func newDirectoryCheck(a *app) *cobra.Command {
	var user, group bool
	cmd := &cobra.Command{
		Use: "check NAME...", Short: "Show who goes by a name, in all directories",
		Long: `Shows which users and groups go by a name, exactly: account name, name for
people, user principal name or mail address. DIRECTORY\NAME and NAME@DOMAIN ask
one directory. Where several are listed, grant to the one that is meant as
DIRECTORY\NAME. A name that nobody has gives the exit code 5; a name that was not
found while a directory does not answer gives 7.`,
		Example: `  dormer directory check alice
  dormer directory check --group 'CORP\office' 'CORP\staff'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{fmt.Errorf("usage: %s", cmd.UseLine())}
			}
			return nil
		},
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			kind := dormer.PrincipalKind("")
			switch {
			case user && group:
				return usageError{errors.New("use --user or --group, or neither for both")}
			case user:
				kind = dormer.KindUser
			case group:
				kind = dormer.KindGroup
			}
			all := make([]checked, len(args))
			var rows [][]string
			var missing, unknown, silent []string
			for i, called := range args {
				entries, err := c.Check(ctx, kind, called)
				if away, ok := errors.AsType[*access.UnansweredError](err); ok {
					err = nil
					all[i].Unanswered = away.Directories
					silent = append(silent, away.Directories...)
				}
				if err != nil {
					return err
				}
				all[i].Name, all[i].Found = called, entries
				for _, e := range entries {
					p := e.Principal
					rows = append(rows, []string{called, p.Name, string(p.Kind), p.Directory, e.DisplayName, e.State, e.Detail})
				}
				switch {
				case len(entries) > 0:
				case len(all[i].Unanswered) > 0:
					unknown = append(unknown, `"`+printable(called)+`"`)
				default:
					missing = append(missing, `"`+printable(called)+`"`)
				}
			}
			slices.Sort(silent)
			silent = slices.Compact(silent)
			if len(silent) > 0 {
				if _, err := a.unanswered(&access.UnansweredError{Directories: silent}); err != nil {
					return err
				}
			}
			if a.json || len(rows) > 0 {
				if err := a.print(all, []string{"CHECKED", "NAME", "KIND", "DIRECTORY", "DISPLAY NAME", "STATE", "DETAIL"}, rows); err != nil {
					return err
				}
			}
			what := "user or group"
			if kind != "" {
				what = string(kind)
			}
			none := fmt.Sprintf("no %s goes by %s", what, strings.Join(missing, ", "))
			switch {
			case len(unknown) > 0:
				// The code says that it is not known, also where another name is nobody's.
				err := fmt.Errorf("whether a %s goes by %s is not known: %w", what, strings.Join(unknown, ", "), &access.UnansweredError{Directories: silent})
				if len(missing) > 0 {
					err = fmt.Errorf("%s; %w", none, err)
				}
				return err
			case len(missing) > 0:
				return fmt.Errorf("%s: %w", none, dormer.ErrNotFound)
			}
			return nil
		}),
	}
	cmd.Flags().BoolVar(&user, "user", false, "look for users alone")
	cmd.Flags().BoolVar(&group, "group", false, "look for groups alone")
	return cmd
}

func newDirectoryTest(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "test", Short: "Have the server examine its directories, setting by setting", Args: noArgs,
		Long: `Has the server try everything that its directories need, server by server, and
shows what it found. Problems name the setting and what the other side said; they
give the exit code 1. 'dormerd directory test' does the same before the server
runs.`,
		Example: "  dormer directory test",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			all, err := c.TestDirectories(ctx)
			if err != nil {
				return err
			}
			var rows [][]string
			var problems []string
			for _, d := range all {
				for _, f := range d.Findings {
					result := "well"
					if f.Problem != "" {
						result = "PROBLEM"
						problems = append(problems, fmt.Sprintf("%s, %s\n  setting %s: %s", printable(d.Directory), printable(f.What), f.Setting, printable(f.Problem)))
					}
					rows = append(rows, []string{d.Directory, result, strconv.FormatInt(f.Millis, 10) + " ms", f.What})
				}
			}
			if len(rows) == 0 && !a.json {
				return a.say(nil, "There is nothing to examine: no directory is outside of the server.")
			}
			if err := a.print(all, []string{"DIRECTORY", "RESULT", "TOOK", "EXAMINED"}, rows); err != nil {
				return err
			}
			for _, p := range problems {
				a.tell("\n%s", p)
			}
			if len(problems) > 0 {
				return fmt.Errorf("%d of %d examinations found a problem", len(problems), len(rows))
			}
			return nil
		}),
	}
}
