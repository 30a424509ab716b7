package guest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/dormer-project/dormer"
)

// lock locks the sessions of the guest. A guest without sessions is noted as
// locked: the host lets nobody in.
func (g *Guest) lock(ctx context.Context) error {
	if err := sessions(ctx, "lock-sessions"); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	g.setLocked(true)
	return nil
}

// unlock unlocks them again. It leaves alone what somebody locked in the guest.
func (g *Guest) unlock(ctx context.Context) error {
	g.mu.Lock()
	locked := g.locked
	g.mu.Unlock()
	if !locked {
		return nil
	}
	if err := sessions(ctx, "unlock-sessions"); err != nil {
		return fmt.Errorf("unlock: %w", err)
	}
	g.setLocked(false)
	return nil
}

// sessions asks systemd-logind to do something to all sessions, if there are any.
func sessions(ctx context.Context, what string) error {
	found, err := filepath.Glob("/run/systemd/sessions/*")
	if err != nil || len(found) == 0 {
		return err
	}
	_, err = tool{args: []string{"loginctl", "--no-ask-password", what}}.run(ctx)
	if errors.Is(err, dormer.ErrUnsupported) {
		return nil
	}
	return err
}
