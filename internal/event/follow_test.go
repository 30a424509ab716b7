package event

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dormer-project/dormer"
)

// clockTurns are turns by the clock of the test.
type clockTurns struct {
	mu     sync.Mutex // guards the fields below
	holder string
	until  time.Time
	away   error
}

func (c *clockTurns) TakeTurn(_ context.Context, _ dormer.InstanceID, _, holder string, length time.Duration) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.away != nil:
		return false, c.away
	case c.holder != holder && c.until.After(time.Now()):
		return false, nil
	}
	c.holder, c.until = holder, time.Now().Add(length)
	return true, nil
}

func (c *clockTurns) set(away error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = away
}

// TestInTurn lets two servers work by turns: never both, also when one of them
// reaches the database no more, and the other soon after the one is gone.
func TestInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &clockTurns{}
		var mu sync.Mutex
		var working []string
		run := func(turns Turns, holder string) (stop func() error) {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				done <- InTurn(ctx, turns, "i", "n", holder, func(ctx context.Context) error {
					mu.Lock()
					if working = append(working, holder); len(working) > 1 {
						t.Errorf("%v work at once", working)
					}
					mu.Unlock()
					<-ctx.Done()
					mu.Lock()
					working = working[:len(working)-1]
					mu.Unlock()
					return nil
				})
			}()
			return func() error {
				cancel()
				return <-done
			}
		}
		works := func(after time.Duration, want string) {
			t.Helper()
			timer := time.NewTimer(after)
			<-timer.C
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if len(working) != 1 || working[0] != want {
				t.Errorf("%v work, expected %q", working, want)
			}
		}
		// away is the first server's way to the database.
		away := &partedTurns{Turns: shared}
		stopA := run(away, "a")
		works(time.Second, "a")
		stopB := run(shared, "b")
		works(time.Hour, "a")
		away.set(dormer.ErrUnavailable)
		works(TurnLength-2*turnRenewal-time.Second, "a")
		works(2*TurnLength, "b")
		if err := stopA(); !errors.Is(err, dormer.ErrUnavailable) {
			t.Errorf("the one that lost its turn: %v", err)
		}
		away.set(nil)
		stopA = run(away, "a")
		works(time.Hour, "b")
		if err := stopB(); err != nil {
			t.Error(err)
		}
		works(turnRenewal, "a") // it was given back
		if err := stopA(); err != nil {
			t.Error(err)
		}
		// What fails gives the turn back, and says so.
		broken := errors.New("broken")
		if err := InTurn(t.Context(), shared, "i", "n", "c", func(context.Context) error { return broken }); !errors.Is(err, broken) {
			t.Errorf("work failed: %v", err)
		}
		if shared.until.After(time.Now()) {
			t.Error("the turn was not given back")
		}
		shared.set(dormer.ErrUnavailable)
		if err := InTurn(t.Context(), shared, "i", "n", "c", nil); !errors.Is(err, dormer.ErrUnavailable) {
			t.Errorf("no database: %v", err)
		}
	})
}

// partedTurns is one server's way to turns that others reach.
type partedTurns struct {
	Turns

	mu   sync.Mutex // guards away
	away error
}

func (p *partedTurns) TakeTurn(ctx context.Context, i dormer.InstanceID, name, holder string, length time.Duration) (bool, error) {
	p.mu.Lock()
	away := p.away
	p.mu.Unlock()
	if away != nil {
		return false, away
	}
	return p.Turns.TakeTurn(ctx, i, name, holder, length)
}

func (p *partedTurns) set(away error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = away
}
