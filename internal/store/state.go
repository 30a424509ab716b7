package store

import (
	"context"
	"fmt"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/vault"
)

// State is an instance's state. It is safe for concurrent use.
type State struct {
	db *engine
}

// What State is to the domain packages.
var (
	_ access.AccountStore   = (*State)(nil)
	_ access.GroupStore     = (*State)(nil)
	_ access.OperatorStore  = (*State)(nil)
	_ access.SessionStore   = (*State)(nil)
	_ access.OnceStore      = (*State)(nil)
	_ access.APITokenStore  = (*State)(nil)
	_ access.FederatedStore = (*State)(nil)
	_ enroll.Store          = (*State)(nil)
	_ enroll.ClientStore    = (*State)(nil)
	_ catalog.Store         = (*State)(nil)
	_ catalog.PolicyStore   = (*State)(nil)
	_ lease.MachineStore    = (*State)(nil)
	_ lease.MachineFinder   = (*State)(nil)
	_ lease.OrderStore      = (*State)(nil)
	_ lease.DeletionStore   = (*State)(nil)
	_ lease.EpochStore      = (*State)(nil)
	_ vault.Store           = (*State)(nil)
	_ audit.Log             = (*State)(nil)
)

// OpenState opens the state database at dsn, "sqlite:PATH" or a postgres://
// URL, makes it if the file is not there, and migrates it. ErrUnsupported for
// a database of a newer version, ErrUnavailable when it does not answer. The
// caller closes it.
func OpenState(ctx context.Context, dsn string, o Options) (*State, error) {
	db, err := openEngine(ctx, dsn, trackState, o)
	if err != nil {
		return nil, err
	}
	return &State{db: db}, nil
}

// Ping reports whether the database answers.
func (s *State) Ping(ctx context.Context) error { return s.db.Ping(ctx) }

// Close closes the database.
func (s *State) Close() error { return s.db.Close() }

// mustChange turns "no row was changed" into ErrNotFound.
func mustChange(what string, rows int64, err error) error {
	if err != nil {
		return err
	}
	if rows == 0 {
		return fmt.Errorf("%s: %w", what, dormer.ErrNotFound)
	}
	return nil
}
