package event

import (
	"context"
	"errors"
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
	t := turn{turns: turns, instance: i, name: name, holder: holder}
	tick := time.NewTicker(turnRenewal)
	defer tick.Stop()
	for {
		mine, err := t.take(ctx, TurnLength)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case mine:
			return t.during(ctx, work)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// turn is one that a server may have.
type turn struct {
	turns        Turns
	instance     dormer.InstanceID
	name, holder string
}

func (t turn) take(ctx context.Context, length time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, turnRenewal)
	defer cancel()
	mine, err := t.turns.TakeTurn(ctx, t.instance, t.name, t.holder, length)
	if err != nil {
		return false, fmt.Errorf("take the turn of %s: %w", t.name, err)
	}
	return mine, nil
}

// during runs work and prolongs the turn beside it.
func (t turn) during(ctx context.Context, work func(context.Context) error) error {
	working, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- work(working) }()
	why := t.prolong(ctx, done)
	stop()
	err := <-done
	if why == nil {
		_, why = t.take(context.WithoutCancel(ctx), 0) // gives it back
	}
	if ctx.Err() != nil {
		return nil
	}
	return errors.Join(err, why)
}

// prolong keeps the turn until ctx ends or work is done, whose answer it leaves
// in done. Its error says why the turn is over before that.
func (t turn) prolong(ctx context.Context, done chan error) error {
	tick := time.NewTicker(turnRenewal)
	defer tick.Stop()
	// Work stops before another server may begin.
	expired := time.NewTimer(TurnLength - turnRenewal)
	defer expired.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-done:
			done <- err
			return nil
		case <-expired.C:
			return fmt.Errorf("the turn of %s is over: %w", t.name, dormer.ErrUnavailable)
		case <-tick.C:
			mine, err := t.take(ctx, TurnLength)
			switch {
			case err != nil: // the database may be back before the turn is over
			case !mine:
				return fmt.Errorf("another server has taken the turn of %s: %w", t.name, dormer.ErrConflict)
			default:
				expired.Reset(TurnLength - turnRenewal)
			}
		}
	}
}
