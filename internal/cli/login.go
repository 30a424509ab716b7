package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// errWrongPassword is an ErrUnauthenticated for whom signing in is no advice.
var errWrongPassword error = loginError{}

type loginError struct{}

func (loginError) Error() string        { return "name or password is wrong" }
func (loginError) Is(target error) bool { return target == dormer.ErrUnauthenticated }

// server returns a client of the server of the profile, with the API token of
// this call in place of the session where there is one. Close it.
func (a *app) server() (*apiclient.Client, profile, error) {
	token, err := a.apiToken()
	if err != nil {
		return nil, profile{}, err
	}
	p, err := a.loadProfile()
	if err != nil && (token == "" || !errors.Is(err, errNoFolder)) {
		return nil, profile{}, err
	}
	if token != "" {
		if err != nil { // programs may have no home
			if p, err = a.overlay(profile{}); err != nil {
				return nil, profile{}, err
			}
		}
		p.Token = token
	}
	if p.Server == "" {
		return nil, profile{}, errNoServer
	}
	c, err := a.serverOf(p)
	return c, p, err
}

func (a *app) serverOf(p profile) (*apiclient.Client, error) {
	return apiclient.New(apiclient.Config{
		Server: p.Server, Authority: []byte(p.CA), Token: p.Token, UserAgent: "dormer/" + a.Version,
	})
}

// withServer makes a command body that speaks with the server.
func (a *app) withServer(f func(ctx context.Context, c *apiclient.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, p, err := a.server()
		if err != nil {
			return err
		}
		defer c.Close()
		if p.Token == "" {
			return fmt.Errorf("no session with %s: %w", p.Server, dormer.ErrUnauthenticated)
		}
		err = f(cmd.Context(), c, args)
		if file := a.tokenFile(); file != "" && errors.Is(err, dormer.ErrUnauthenticated) {
			// What the server says is for people who have no token: to sign in.
			err = proofError{fmt.Errorf(
				"the API token in %s is not accepted: it is revoked, expired or unknown, or its owner may not sign in any more; make another with 'dormer token api create': %w",
				file, dormer.ErrUnauthenticated)}
		}
		return err
	}
}

func newLogin(a *app) *cobra.Command {
	var user string
	var fromStdin bool
	var by proof
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Sign in to a server as an operator",
		Long: `Signs in to a server. Server, authority and session are kept in your profile
(mode 0600) for the commands that follow. Passwords are asked for on the
terminal, or read from standard input, a line each: the password and, where it
must be changed, the new one.

--kerberos presents the ticket that you have from your desktop or from kinit.
--provider NAME opens the browser for you to sign in there, and with --device
shows a code to be typed on another device.`,
		Example: `  dormer login --server https://dormer.example.com:8443 --ca ca.crt --user admin
  dormer login --user 'CORP\alice' --password-stdin < passwords.txt
  dormer login --kerberos
  dormer login --provider corp --device`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := by.check(); err != nil {
				return err
			}
			if by.given() && (user != "" || fromStdin) {
				return usageError{errors.New("--user and --password-stdin are for passwords; ticket and provider say who you are")}
			}
			p, err := a.loadProfile()
			if err != nil {
				return err
			}
			if p.Server == "" {
				return errNoServer
			}
			p.Token = ""
			c, err := a.serverOf(p)
			if err != nil {
				return err
			}
			defer c.Close()
			if user == "" {
				user = p.User
			}
			var s rest.SignedIn
			switch {
			case by.given():
				// The name that a provider gives is none to sign in with.
				user = ""
				var r rest.ProofAnswer
				r, err = a.prove(cmd.Context(), c, p.Server, by, "")
				s = r.SignedIn
			case user == "":
				return a.offer(cmd.Context(), c)
			default:
				s, err = a.signIn(cmd.Context(), c, user, fromStdin)
			}
			if err != nil {
				return err
			}
			p.User, p.Token, p.Expires = user, s.Token, s.Expires
			if err := a.saveProfile(p); err != nil {
				return err
			}
			s.Token = "" // stays in the profile
			return a.say(s, "Signed in to %s as %s (%s) until %s.", p.Server, s.Principal.Shown(), s.Role, when(s.Expires))
		},
	}
	cmd.Flags().StringVar(&user, "user", "", `name of the operator: NAME, DIRECTORY\NAME or NAME@DOMAIN (default: that of the last login)`)
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from standard input even on a terminal")
	by.flags(cmd)
	return cmd
}

// offer says in which ways one can sign in, to somebody who chose none.
func (a *app) offer(ctx context.Context, c *apiclient.Client) error {
	m, err := c.SignInMethods(ctx)
	if err != nil { // then the server is no help, and the usual way is named
		m = rest.SignInMethods{}
	}
	return usageError{errors.New(waysOf("name the operator with --user", m))}
}

// waysOf lists the ways to sign in: byName, which there is always, and those
// that the server has.
func waysOf(byName string, m rest.SignInMethods) string {
	ways := []string{byName}
	if m.Kerberos {
		ways = append(ways, "sign in with your Kerberos ticket by --kerberos")
	}
	for _, p := range m.Providers {
		ways = append(ways, fmt.Sprintf("sign in at %s by --provider %s", printable(p.Title), printable(p.Name)))
	}
	return strings.Join(ways, ", or ")
}

// signIn asks for the password and, when the server wants a new one, for that.
func (a *app) signIn(ctx context.Context, c *apiclient.Client, user string, fromStdin bool) (rest.SignedIn, error) {
	password, err := a.readPassword("Password of "+user, fromStdin)
	if err != nil {
		return rest.SignedIn{}, err
	}
	s, err := c.SignIn(ctx, rest.SignIn{User: user, Password: password})
	if errors.Is(err, dormer.ErrUnauthenticated) {
		return rest.SignedIn{}, errWrongPassword
	}
	var kind interface{ ProblemKind() string }
	if !errors.As(err, &kind) || kind.ProblemKind() != problem.KindMustChange {
		return s, err
	}
	fmt.Fprintln(a.Err, "This password must be changed.")
	next, err := a.readNewPassword("New password", fromStdin)
	if err != nil {
		return rest.SignedIn{}, err
	}
	return c.SignIn(ctx, rest.SignIn{User: user, Password: password, NewPassword: next})
}

func newLogout(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "logout",
		Example: "  dormer logout",
		Short:   "End the session",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.loadProfile() // an API token is no session
			if err != nil {
				return err
			}
			if p.Server == "" {
				return errNoServer
			}
			c, err := a.serverOf(p)
			if err != nil {
				return err
			}
			defer c.Close()
			if p.Token == "" {
				return a.say(struct{}{}, "No session was open.")
			}
			if err := c.SignOut(cmd.Context()); err != nil && !errors.Is(err, dormer.ErrUnauthenticated) {
				return err
			}
			p.Token = ""
			if err := a.saveProfile(p); err != nil {
				return err
			}
			return a.say(struct{}{}, "Signed out of %s.", p.Server)
		},
	}
}

func newWhoami(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "whoami",
		Example: "  dormer whoami",
		Short:   "Show who is signed in where",
		Args:    noArgs,
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			s, err := c.Session(ctx)
			if err != nil {
				return err
			}
			with := ""
			if s.APIToken != nil {
				with = ", API token " + printable(s.APIToken.Name)
			}
			return a.say(s, "%s (%s%s) until %s", s.Principal.Shown(), s.Role, with, when(s.Expires))
		}),
	}
}
