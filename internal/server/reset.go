package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/store"
)

// resetPassword gives a user a password and lets the account sign in again. It
// returns the password that was generated when none was given.
func resetPassword(ctx context.Context, state *store.State, cost access.Cost, name, password string) (string, error) {
	hasher, err := access.NewHasher(rand.Reader, cost, 1)
	if err != nil {
		return "", err
	}
	accounts := access.NewAccounts(state, state, hasher, time.Now, rand.Reader)
	a, err := accounts.ByName(ctx, name)
	if err != nil {
		return "", fmt.Errorf("reset the password: %w", err)
	}
	enabled := false
	if _, err := accounts.Update(ctx, a.ID, access.AccountChange{Disabled: &enabled}); err != nil {
		return "", fmt.Errorf("enable the user: %w", err)
	}
	_, generated, err := accounts.SetPassword(ctx, a.ID, password, true)
	if err != nil {
		return "", err
	}
	user := dormer.Principal{Directory: dormer.EmbeddedDirectory, Kind: dormer.KindUser, Key: a.ID, Name: a.Name}
	if _, err := state.EndSessionsOf(ctx, user.ID()); err != nil {
		return "", fmt.Errorf("end the user's sessions: %w", err)
	}
	return generated, state.Append(ctx, audit.Record{
		Time: time.Now().UTC().Truncate(time.Microsecond), Who: "SYSTEM", Action: "user.password",
		Object: a.Name + " (" + a.ID + ")", Detail: "reset on the server's command line",
	})
}

// joined is errors.Join that keeps a single error as it is.
func joined(a, b error) error {
	if b == nil {
		return a
	}
	return errors.Join(a, b)
}
