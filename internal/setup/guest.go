package setup

import (
	"context"
	"errors"
	"time"

	"github.com/dormer-project/dormer/internal/policy"
)

// Guest is what a script does in a guest. Its methods return
// dormer.ErrUnavailable when the guest does not answer (any more): that is no
// failure of a step, the script goes on when it does. An error that wraps ErrLater
// is none either. All but Run may be repeated after an end that nobody saw.
type Guest interface {
	System
	// Join joins the guest to the domain that the step names, with a secret that
	// is gone afterwards. It is harmless when the guest is in the domain.
	Join(ctx context.Context, s Step) error
	// Connect returns ErrUnreachable when nothing answers within timeout.
	Connect(ctx context.Context, address string, port int, timeout time.Duration) error
	// Run runs a command as the guest's administrator.
	Run(ctx context.Context, c Command) (Result, error)
}

// System is what a script asks of the guest's system.
type System interface {
	// Boot names this start of the guest's system: another after each restart.
	Boot(ctx context.Context) (string, error)
	// Rename gives the computer its name.
	Rename(ctx context.Context) error
	// Restart makes the guest start again; it returns before that.
	Restart(ctx context.Context) error
	// NoAutomaticSignOn turns the guest's automatic sign-on off.
	NoAutomaticSignOn(ctx context.Context) error
}

// ErrLater is wrapped by what cannot be done yet and is no failure of the
// script: the user's password is not known, the server does not answer.
var ErrLater = errors.New("it is tried again")

// ErrUnreachable says that nothing answers at an address.
var ErrUnreachable = errors.New("nothing answers")

// ErrBegun is returned by Run for a command that is never begun a second time
// and was begun before.
var ErrBegun = errors.New("the command was begun before")

// Command is a command of the guest.
type Command struct {
	Args []string
	// Password says how the command gets the user's password.
	Password policy.PasswordVia
	// Wait is false for a command that is left alone once it runs; then the
	// Result is empty.
	Wait bool
	// Interactive lets it show windows to the user.
	Interactive bool
	// Once is empty, or names a command that is never begun a second time: the
	// guest keeps it before it begins. Again says that it may have been asked
	// before: a guest that keeps nothing must answer ErrBegun then.
	Once  string
	Again bool
}

// Result is how a command ended.
type Result struct {
	Status int
	// Detail is for people: the end of what the command said of its failure.
	Detail string
}
