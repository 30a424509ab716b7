package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
)

// errNoAgent says that no agent's socket is there.
var errNoAgent = errors.New("no agent runs on this computer; start the service, or one of your own with 'dormer-agent run --user'")

// agent returns a client of the agent: the one named by --agent, else the
// user's own, else the system's. Close it.
func (a *app) agent() (*agentapi.Client, error) {
	if a.socketPath != "" {
		return agentapi.NewClient(a.socketPath), nil
	}
	for _, path := range []string{agentapi.UserSocket(a.Env("XDG_RUNTIME_DIR")), agentapi.SystemSocket} {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err == nil {
			return agentapi.NewClient(path), nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("look for the agent: %w", err)
		}
	}
	return nil, fmt.Errorf("%w (%w)", errNoAgent, dormer.ErrUnavailable)
}

// withAgent makes a command body that speaks with the agent.
func (a *app) withAgent(f func(ctx context.Context, c *agentapi.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.agent()
		if err != nil {
			return err
		}
		defer c.Close()
		return f(cmd.Context(), c, args)
	}
}

func newEnrol(a *app) *cobra.Command {
	var again bool
	cmd := &cobra.Command{
		Use:   "enrol",
		Short: "Make this computer a client with a join token",
		Long: `Makes the agent of this computer a client of the instance that made the join
token. The token is read from standard input or asked for: it is a secret.

A client that was revoked is enrolled anew in the same way. With --again so is
one whose identity is still valid: it gets another key and another identity, its
users sign in again and get new machines, and those that it has stop and are
kept. The old identity counts until an operator revokes it.`,
		Example: "  dormer enrol < token.txt\n  dormer enrol --again < token.txt",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 { // perhaps the token: it is not repeated
				return usageError{errors.New("the join token comes from standard input: dormer enrol < token.txt")}
			}
			return nil
		},
		RunE: a.withAgent(func(ctx context.Context, c *agentapi.Client, _ []string) error {
			token, err := a.readSecret("join token", "Join token", false)
			if err != nil {
				return err
			}
			enrol := c.Enrol
			var old dormer.ClientID
			if again {
				before, err := c.Status(ctx)
				if err != nil {
					return err
				}
				enrol, old = c.EnrolAgain, before.Client
			}
			s, err := enrol(ctx, strings.TrimSpace(token))
			if err != nil {
				return err
			}
			if old != "" && old != s.Client {
				a.note("The earlier identity still counts until an operator revokes it: dormer client revoke %s", old)
			}
			return a.say(s, "This computer is client %s of %s.", s.Client, s.Server)
		}),
	}
	cmd.Flags().BoolVar(&again, "again", false, "get another identity although that of this client is still valid")
	return cmd
}

func newSignOut(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "sign-out [USER]",
		Example: "  dormer sign-out",
		Short:   "Sign out; your workspaces stop and are kept",
		Args:    maxArgs(1),
		RunE: a.withAgent(func(ctx context.Context, c *agentapi.Client, args []string) error {
			user := ""
			if len(args) == 1 {
				user = args[0]
			}
			if err := c.SignOut(ctx, user); err != nil {
				return err
			}
			return a.say(struct{}{}, "Signed out.")
		}),
	}
}

func newRefresh(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "refresh",
		Example: "  dormer refresh",
		Short:   "Ask the server now for changed policy and new images",
		Args:    noArgs,
		RunE: a.withAgent(func(ctx context.Context, c *agentapi.Client, _ []string) error {
			s, err := c.Refresh(ctx)
			if err != nil {
				return err
			}
			return a.printStatus(s)
		}),
	}
}

func newStatus(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show the agent, who is signed in, and the workspaces",
		Example: "  dormer status\n  dormer status --json",
		Args:    noArgs,
		RunE: a.withAgent(func(ctx context.Context, c *agentapi.Client, _ []string) error {
			s, err := c.Status(ctx)
			if err != nil {
				return err
			}
			return a.printStatus(s)
		}),
	}
}

const howToEnrol = "ask your administrator for a join token and run 'dormer enrol'"

func (a *app) printStatus(s agentapi.Status) error {
	if a.json {
		return a.printJSON(s)
	}
	line := "not enrolled; " + howToEnrol
	if s.Enrolled {
		line = "off-line"
		if s.Online {
			line = "on-line"
		}
		line = fmt.Sprintf("%s with %s (last answer %s)", line, s.Server, when(s.LastAnswer))
	}
	rows := [][]string{{"Agent", s.AgentVersion + ", " + line}}
	if s.Problem != "" {
		rows = append(rows, []string{"Problem", s.Problem})
	}
	for _, u := range s.Users {
		line := u.Name + " until " + when(u.Expires)
		if u.Saved {
			line += ", password saved"
		}
		rows = append(rows, []string{"Signed in", line})
	}
	if s.Enrolled && len(s.Users) == 0 {
		rows = append(rows, []string{"Signed in", "nobody; 'dormer sign-in' does it, and on a computer of a domain so does 'dormer start'"})
	}
	if s.EventsWaiting > 0 {
		rows = append(rows, []string{"Events", fmt.Sprintf("%d wait for the server", s.EventsWaiting)})
	}
	for _, n := range s.Notes {
		rows = append(rows, []string{"Note", n})
	}
	if n := len(s.Notices); n > shownNotices {
		rows = append(rows, []string{"Message", fmt.Sprintf("%d earlier ones; --json has them", n-shownNotices)})
		s.Notices = s.Notices[n-shownNotices:]
	}
	for _, n := range s.Notices {
		rows = append(rows, []string{"Message", when(n.Time) + " " + tidy(strings.TrimSpace(n.Title+": "+n.Text))})
	}
	if err := a.print(nil, nil, rows); err != nil {
		return err
	}
	if len(s.Workspaces) == 0 {
		return nil
	}
	fmt.Fprintln(a.Out)
	if err := a.printWorkspaces(s.Workspaces); err != nil {
		return err
	}
	return a.printRemarks(s.Workspaces)
}

// shownNotices is how many of the newest messages status shows, and shownFields
// how many fields of a policy.
const shownNotices, shownFields = 5, 3

// printRemarks says below the table what users should know of workspaces.
func (a *app) printRemarks(ws []agentapi.Workspace) error {
	var rows [][]string
	for _, w := range ws {
		for _, r := range remarks(w) {
			rows = append(rows, []string{w.Name, r})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(a.Out)
	return a.print(nil, nil, rows)
}

// remarks are what the user should know of a workspace beside its state.
func remarks(w agentapi.Workspace) []string {
	var out []string
	say := func(when bool, format string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	out = append(out, w.Warnings...)
	say(w.Locked != "", "locked %s; 'dormer unlock %s' asks for your password or PIN", w.Locked, w.Name)
	say(w.Setup != "", "first-time setup: %s", w.Setup)
	say(w.Update != "", "a new version of its image is offered, %s; 'dormer update %s' takes it", w.Update, w.Name)
	say(w.UpdateAtNextStart != "", "starts from %s next time", w.UpdateAtNextStart)
	say(w.UpdateProblem != "", "a new version of its image cannot be taken: %s", w.UpdateProblem)
	say(w.Earlier != "" && w.Earlier != w.Update && w.UpdateAtNextStart == "", "the version before is kept, %s; 'dormer update --back %s' goes back to it", w.Earlier, w.Name)
	say(len(w.Missing) > 0, "this computer does not have: %s", strings.Join(w.Missing, " "))
	for _, what := range w.Unarranged {
		say(true, "cannot be done inside: %s", what)
	}
	say(len(w.AtNextStart) > 0, "changed, and counts from the next start: %s", strings.Join(w.AtNextStart, ", "))
	say(len(w.NotEnforced) > 0, "not done by this version of the agent: %s", fieldList(w.NotEnforced))
	say(w.Support != "", "support: %s", strings.Join(strings.Fields(w.Support), " "))
	return out
}

// fieldList names the first fields, and says how many more there are.
func fieldList(fields []string) string {
	if len(fields) <= shownFields {
		return strings.Join(fields, ", ")
	}
	return fmt.Sprintf("%s and %d more; --json has them all", strings.Join(fields[:shownFields], ", "), len(fields)-shownFields)
}

// heldState is the state of a workspace and how it is held.
func heldState(w agentapi.Workspace) string {
	out := w.State
	for _, s := range []struct {
		is   bool
		word string
	}{{w.Suspended, "suspended"}, {w.Saved, "saved"}, {w.Locked != "", "locked"}} {
		if s.is && w.State != s.word {
			out += ", " + s.word
		}
	}
	return out
}

func (a *app) printWorkspaces(ws []agentapi.Workspace) error {
	rows := make([][]string, len(ws))
	for i, w := range ws {
		detail := w.Detail
		if w.Error != "" {
			detail = w.Error
		}
		if !w.Permitted {
			detail = w.Verdict
		}
		published := ""
		if len(w.Applications) > 0 {
			published = applications(w)
		}
		rows[i] = []string{w.Name, w.User, heldState(w), w.Image, offlineLeft(w), published, detail}
	}
	return a.print(ws, []string{"WORKSPACE", "USER", "STATE", "IMAGE", "OFF-LINE LEFT", "APPLICATIONS", "DETAIL"}, rows)
}

func offlineLeft(w agentapi.Workspace) string {
	switch {
	case !w.Permitted:
		return "-"
	case w.OfflineLeft == nil:
		return "unlimited"
	}
	return left(time.Duration(*w.OfflineLeft) * time.Second)
}

// left shows a time that is left for people: 12s, 45m, 71h or 3d.
func left(d time.Duration) string {
	const day = 24 * time.Hour
	if d < time.Minute {
		return fmt.Sprintf("%ds", d/time.Second)
	}
	if d < 2*time.Hour {
		return fmt.Sprintf("%dm", d.Round(time.Minute)/time.Minute)
	}
	// To the hour first: what began as 3d shows as such a moment later.
	if d = d.Round(time.Hour); d < 3*day {
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/day)
}
