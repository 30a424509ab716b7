package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// unaskedTime bounds a sign-in that nobody asked for.
const unaskedTime = 15 * time.Second

func newSignIn(a *app) *cobra.Command {
	var by proof
	var save bool
	cmd := &cobra.Command{
		Use:   "sign-in [USER]",
		Short: "Sign in to get your workspaces",
		Long: `Signs you in on this computer. With a name, the password is asked for.

--save also keeps the password on this computer, sealed to its key, where the
server and one of your workspaces allow that: after a restart nobody is asked for
it. It is deleted when you sign out and when they do not allow it any more.

--kerberos presents the ticket that you have from your desktop or from kinit.
--provider NAME opens the browser for you to sign in there, and with --device
shows a code to be typed on another device.

Without a name and without these, your Kerberos ticket is used where the server
takes it. 'dormer start', 'restart' and 'run' do the same when nobody is signed
in: on a computer of a domain nobody is asked.`,
		Example: "  dormer sign-in alice\n  dormer sign-in\n  dormer sign-in --provider corp",
		Args:    maxArgs(1),
		RunE: a.withAgent(func(ctx context.Context, c *agentapi.Client, args []string) error {
			var (
				u   agentapi.User
				err error
			)
			switch {
			case len(args) == 1 && by.given():
				return usageError{errors.New("a name goes with a password; --kerberos and --provider say by themselves who you are")}
			case save && len(args) == 0:
				return usageError{errors.New("--save goes with a name and its password")}
			case len(args) == 1:
				u, err = a.signInByPassword(ctx, c, args[0], save)
			case by.given():
				u, err = a.signInBy(ctx, c, by)
			default:
				u, err = a.signInSomehow(ctx, c)
			}
			if err != nil {
				return err
			}
			if u.Proof == "" && !a.quiet && !a.json {
				a.note("Nothing proves off-line that it is you; 'dormer pin set' sets a PIN for that.")
			}
			if err := a.say(u, "Signed in as %s until %s.", u.Name, when(u.Expires)); err != nil {
				return err
			}
			if u.NotSaved != "" {
				return fmt.Errorf("the password was not saved: %s: %w", u.NotSaved, dormer.ErrDenied)
			}
			return nil
		}),
	}
	by.flags(cmd)
	cmd.Flags().BoolVar(&save, "save", false, "save the password on this computer, where that is allowed")
	return cmd
}

func (a *app) signInByPassword(ctx context.Context, c *agentapi.Client, user string, save bool) (agentapi.User, error) {
	// Where nobody can sign in no password is asked for.
	if _, err := c.SignInInfo(ctx); err != nil {
		return agentapi.User{}, err
	}
	password, err := a.readPassword("Password of "+user, false)
	if err != nil {
		return agentapi.User{}, err
	}
	signIn := c.SignIn
	if save {
		signIn = c.SignInSaving
	}
	u, err := signIn(ctx, user, password)
	if errors.Is(err, dormer.ErrDenied) {
		err = proofError{err}
	}
	return u, err
}

// signInBy proves at the server who the caller is, as the caller, and hands the
// agent the one-time code that this gives.
func (a *app) signInBy(ctx context.Context, c *agentapi.Client, by proof) (agentapi.User, error) {
	if err := by.check(); err != nil {
		return agentapi.User{}, err
	}
	if by.kerberos {
		if err := a.ticketIsMine(); err != nil {
			return agentapi.User{}, err
		}
	}
	info, server, err := a.whereToProve(ctx, c)
	if err != nil {
		return agentapi.User{}, err
	}
	defer server.Close()
	r, err := a.prove(ctx, server, info.Server, by, info.Client)
	if err != nil {
		return agentapi.User{}, err
	}
	if r.Code == nil {
		return agentapi.User{}, fmt.Errorf("the server gave no one-time code for this computer: %w", dormer.ErrUnsupported)
	}
	return c.SignInCode(ctx, r.Code.Code)
}

// whereToProve returns the agent's server, and a client of it that trusts what
// the agent trusts. Close it.
func (a *app) whereToProve(ctx context.Context, c *agentapi.Client) (agentapi.SignInInfo, *apiclient.Client, error) {
	info, err := c.SignInInfo(ctx)
	if err != nil {
		return info, nil, err
	}
	server, err := apiclient.New(apiclient.Config{Server: info.Server, Authority: info.Authority, UserAgent: "dormer/" + a.Version})
	return info, server, err
}

// signInSomehow signs in by the caller's ticket where the server takes tickets,
// else says which ways there are.
func (a *app) signInSomehow(ctx context.Context, c *agentapi.Client) (agentapi.User, error) {
	_, server, err := a.whereToProve(ctx, c)
	if err != nil {
		return agentapi.User{}, err
	}
	defer server.Close()
	m, err := server.SignInMethods(ctx)
	switch {
	case errors.Is(err, dormer.ErrUnavailable):
		return agentapi.User{}, err // nobody signs in without it
	case err != nil: // then the server is no help, and the usual way is named
		m = rest.SignInMethods{}
	}
	if !m.Kerberos {
		return agentapi.User{}, usageError{errors.New(waysOf(nameYourself, m))}
	}
	u, err := a.signInBy(ctx, c, proof{kerberos: true})
	if errors.Is(err, dormer.ErrUnauthenticated) || errors.Is(err, dormer.ErrUnsupported) {
		m.Kerberos = false // it was tried
		return u, proofError{fmt.Errorf("%w\n%s", err, waysOf(nameYourself, m))}
	}
	return u, err
}

// nameYourself is how users sign in who have neither ticket nor provider.
const nameYourself = "name yourself, as 'dormer sign-in alice', and give your password"

// signInUnasked signs the caller in by their ticket when nobody is signed in and
// the server takes tickets. What does not work is passed over: the command goes
// on and says that nobody is signed in. A ticket that is there and refused is
// worth a word.
func (a *app) signInUnasked(ctx context.Context, c *agentapi.Client) {
	u, err := a.signInByTicket(ctx, c)
	switch {
	case err != nil && !a.quiet:
		a.note("Signing in with your Kerberos ticket did not work: %s", tidy(err.Error()))
	case err == nil && u.Name != "" && !a.quiet && !a.json:
		a.note("Signed in as %s with your Kerberos ticket.", printable(u.Name))
	}
}

// signInByTicket is signInUnasked without words. The user is empty when there was
// nothing to do: somebody is signed in, or there is no server that takes tickets.
func (a *app) signInByTicket(ctx context.Context, c *agentapi.Client) (agentapi.User, error) {
	s, err := c.Status(ctx)
	if err != nil || !s.Enrolled || !s.Online || len(s.Users) > 0 || a.ticketIsMine() != nil {
		return agentapi.User{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, unaskedTime)
	defer cancel()
	_, server, err := a.whereToProve(ctx, c)
	if err != nil {
		return agentapi.User{}, nil
	}
	defer server.Close()
	if m, err := server.SignInMethods(ctx); err != nil || !m.Kerberos {
		return agentapi.User{}, nil
	}
	return a.signInBy(ctx, c, proof{kerberos: true})
}

// ticketIsMine returns a usageError when the ticket of the environment is
// somebody else's: whoever becomes root must not sign in, as root, the one who
// they were before. The workspaces would be root's.
func (a *app) ticketIsMine() error {
	const instead = "run the command as the user whose workspaces they are, without sudo"
	me := os.Geteuid()
	for _, v := range []string{"SUDO_UID", "PKEXEC_UID"} {
		if was := a.Env(v); me == 0 && was != "" && was != "0" {
			return usageError{errors.New("a Kerberos ticket is not used as root for somebody else; " + instead)}
		}
	}
	path, isFile := strings.CutPrefix(a.Env("KRB5CCNAME"), "FILE:")
	if !isFile && !strings.HasPrefix(path, "/") {
		return nil // there is none, or one that is not read
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil //nolint:nilerr // who reads it says so
	}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok && int(sys.Uid) != me {
		return usageError{errors.New("the Kerberos ticket in KRB5CCNAME is somebody else's; " + instead)}
	}
	return nil
}
