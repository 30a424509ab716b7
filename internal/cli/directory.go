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
