// Package cli is the program `dormer`: everything that a person types. It is a
// composition root; only cmd/dormer imports it. Administrators' commands speak
// with dormerd through apiclient, users' commands with the agent of their
// computer through agentapi.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

// Streams are what a command reads and writes, and the variables of its
// environment. Tests pass their own.
type Streams struct {
	In   io.Reader
	Out  io.Writer
	Err  io.Writer
	Env  func(string) string
	Now  func() time.Time
	Rand io.Reader
	// Version of the program.
	Version string
	// Program finds the file of the program, to begin a session in the background
	// with; without it none is begun.
	Program func() (string, error)
}

// app is what all commands share.
type app struct {
	Streams
	profilePath string
	serverURL   string
	caPath      string
	tokenPath   string
	socketPath  string
	json        bool
	quiet       bool
}

// Run executes one command line and returns the exit code; see exitCode.
func Run(ctx context.Context, args []string, s Streams) int {
	a := &app{Streams: s}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var status statusError
	if errors.As(err, &status) {
		return int(status)
	}
	// A command line that cannot be read has not come as far as --json.
	a.json = a.json || slices.Contains(args, "--json")
	a.describe(err)
	return exitCode(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "dormer",
		Short: "Virtual desktops that run on people's own computers",
		Long: `dormer is the command line of Dormer.

Administrators pack images, write workspaces and grant them:
  dormer login, console, image, workspace, apply, diff, directory, operator,
  token, secret, client, deletions, publisher, report, alert, audit, health,
  plan

Users of a computer with the agent work with their workspaces:
  dormer sign-in, pin, status, start, run, stop, restart, refresh, session,
  sign-out`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       a.Version,
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see '%s --help'", flagError(err), c.CommandPath())}
	})
	flags := root.PersistentFlags()
	flags.StringVar(&a.profilePath, "profile", "", "file with server and session (default: dormer/profile.toml in your configuration folder)")
	flags.StringVar(&a.serverURL, "server", "", "base URL of the server (default: that of the last login)")
	flags.StringVar(&a.caPath, "ca", "", "file with the server's authority (PEM; default: that of the last login, else the system's)")
	flags.StringVar(&a.tokenPath, "token-file", "", "file with an API token, mode 0600, to use in place of your session (default: DORMER_TOKEN_FILE)")
	flags.StringVar(&a.socketPath, "agent", "", "socket of the agent (default: your own agent's, else the system's)")
	flags.BoolVar(&a.json, "json", false, "print JSON instead of tables")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "show no progress")

	tokens := newToken(a)
	tokens.AddCommand(newAPIToken(a))
	root.AddGroup(&cobra.Group{ID: "admin", Title: "For administrators:"}, &cobra.Group{ID: "user", Title: "For users of this computer:"})
	for _, c := range []*cobra.Command{
		newLogin(a), newLogout(a), newWhoami(a), newConsole(a),
		newWorkspace(a), newApply(a), newDiff(a),
		newImage(a), newPublisher(a),
		newDirectory(a), newOperator(a), tokens, newSecret(a), newClient(a), newDeletions(a),
		newReport(a), newAlert(a), newAudit(a), newWatch(a), newHealth(a), newPlan(a),
	} {
		c.GroupID = "admin"
		root.AddCommand(c)
	}
	for _, c := range []*cobra.Command{
		newEnrol(a), newSignIn(a), newSignOut(a), newPIN(a), newStatus(a), newSession(a),
		newStart(a), newStop(a), newRestart(a), newLock(a), newUnlock(a), newUpdate(a), newRunApplication(a), newUSB(a), newCopy(a), newClipboard(a), newPrinters(a), newSetup(a), newRefresh(a),
	} {
		c.GroupID = "user"
		root.AddCommand(c)
	}
	addCompletion(root)
	return group(root)
}

// addCompletion adds cobra's own commands now and not when it is run, so that
// they follow the rules of the others.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Short = "Make a script that completes commands in your shell"
		for _, shell := range c.Commands() {
			shell.Short = "For " + shell.Name()
			shell.Example = "  dormer completion " + shell.Name()
			shell.Args = noArgs
		}
		group(c)
	}
}
