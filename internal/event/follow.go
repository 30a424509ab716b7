package event

import (
	"context"
	"fmt"
	"time"

	"github.com/dormer-project/dormer"
)

// Follower reads each stored event once, in the order of identities, and
// remembers under a name how far somebody has come.
type Follower interface {
	// Follow returns an instance's events with identities over after, ascending,
	// at most limit. No event that is committed later has an identity up to next:
	// who goes on from there misses none. With fewer rows than limit all was read.
	Follow(ctx context.Context, i dormer.InstanceID, after int64, limit int) (rows []Row, next int64, err error)
	// End is where somebody begins who wants only what is stored from now on.
	End(ctx context.Context) (int64, error)
	// Position returns what SetPosition stored under the name; ErrNotFound.
	Position(ctx context.Context, i dormer.InstanceID, name string) (position int64, state []byte, err error)
	// SetPosition stores how far somebody has come, and what else they must know
	// to go on.
	SetPosition(ctx context.Context, i dormer.InstanceID, name string, position int64, state []byte) error
}

// Turns lets one of several servers of an instance do a piece of work.
type Turns interface {
	// TakeTurn gives holder the turn of that name for so long by the clock of the
	// database, or prolongs it; a time of zero gives it back. false: somebody else
	// has it.
	TakeTurn(ctx context.Context, i dormer.InstanceID, name, holder string, length time.Duration) (bool, error)
}

// Times of turns.
const (
	// TurnLength is how long a turn lasts that is not prolonged: so long after one
	// server is gone another takes its place.
	TurnLength = 20 * time.Second
	// turnRenewal is how often it is prolonged, or asked for.
	turnRenewal = 5 * time.Second
)

// InTurn calls work while this server has the turn of that name, and waits while
// another one has. The context of work ends when the turn does; work that ends
// by itself gives the turn back. InTurn returns nil when ctx ends, else the
// error of work or of the store.
func InTurn(ctx context.Context, turns Turns, i dormer.InstanceID, name, holder string, work func(context.Context) error) error {
	tick := time.NewTicker(turnRenewal)
	defer tick.Stop()
	for {
		mine, err := turns.TakeTurn(ctx, i, name, holder, TurnLength)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("take the turn of %s: %w", name, err)
		case mine:
			return duringTurn(ctx, turns, i, name, holder, work)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// duringTurn runs work and prolongs the turn beside it.
func duringTurn(ctx context.Context, turns Turns, i dormer.InstanceID, name, holder string, work func(context.Context) error) error {
	working, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- work(working) }()
	tick := time.NewTicker(turnRenewal)
	defer tick.Stop()
	// Work stops before another server may begin.
	expired := time.NewTimer(TurnLength - turnRenewal)
	defer expired.Stop()
	lost := func(err error) error {
		stop()
		<-done
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	for {
		select {
		case err := <-done:
			giveBack, cancel := context.WithTimeout(context.WithoutCancel(ctx), turnRenewal)
			defer cancel()
			if _, e := turns.TakeTurn(giveBack, i, name, holder, 0); e != nil && err == nil && ctx.Err() == nil {
				err = fmt.Errorf("give the turn of %s back: %w", name, e)
			}
			if ctx.Err() != nil {
				return nil
			}
			return err
		case <-tick.C:
			asked, cancel := context.WithTimeout(ctx, turnRenewal)
			mine, err := turns.TakeTurn(asked, i, name, holder, TurnLength)
			cancel()
			switch {
			case err != nil:
				// The database may be back before the turn is over.
			case !mine:
				return lost(fmt.Errorf("another server has taken the turn of %s: %w", name, dormer.ErrConflict))
			default:
				expired.Reset(TurnLength - turnRenewal)
			}
		case <-expired.C:
			return lost(fmt.Errorf("the turn of %s is over: %w", name, dormer.ErrUnavailable))
		}
	}
}
