package access

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
)

// maxRecent bounds how many operators' groups are remembered; beyond it some
// are asked for again.
const maxRecent = 10_000

// recentGroups are the groups of operators as their directories said not long
// ago, so that not every request asks a directory. When they are older than
// Mount.Fresh the directory is asked; while it does not answer, the operator is
// refused: nobody keeps a role because a directory is down.
type recentGroups struct {
	now func() time.Time

	mu sync.Mutex
	// guards the fields below
	byID map[dormer.UserID]*recent
	// generation is raised by whatever makes answers of before worthless.
	generation uint64
}

// recent is what is known of one operator.
type recent struct {
	// turn is held while the directory is asked, so that requests side by side
	// ask it once.
	turn chan struct{}
	// Guarded by recentGroups.mu:
	looked time.Time // zero: never
	groups []dormer.Principal
	asked  int   // how often
	failed error // the last time
}

func newRecentGroups(now func() time.Time) *recentGroups {
	return &recentGroups{now: now, byID: map[dormer.UserID]*recent{}}
}

// of returns the groups of a user, no older than fresh, from memory or by ask.
func (g *recentGroups) of(ctx context.Context, user dormer.UserID, fresh time.Duration, ask func(context.Context) ([]dormer.Principal, error)) ([]dormer.Principal, error) {
	if fresh <= 0 {
		return ask(ctx)
	}
	r, groups, ok := g.look(user, fresh)
	if ok {
		return groups, nil
	}
	asked, _ := g.outcome(r)
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	// Somebody may have asked meanwhile, or the entry been dropped. Those who
	// waited while the directory did not answer do not try one after the other.
	if _, groups, ok := g.look(user, fresh); ok {
		return groups, nil
	}
	if again, failed := g.outcome(r); again != asked && errors.Is(failed, dormer.ErrUnavailable) {
		return nil, failed
	}
	g.mu.Lock()
	generation, began := g.generation, g.now()
	g.mu.Unlock()
	groups, err := ask(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	r.asked++
	if r.failed = err; err != nil {
		return nil, err
	}
	if g.generation == generation && g.byID[user] == r {
		r.looked, r.groups = began, groups
	}
	return groups, nil
}

// outcome returns how often the directory was asked, and how it last failed.
func (g *recentGroups) outcome(r *recent) (asked int, failed error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return r.asked, r.failed
}

// look returns what is known of a user, and whether it is fresh.
func (g *recentGroups) look(user dormer.UserID, fresh time.Duration) (r *recent, groups []dormer.Principal, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r = g.byID[user]
	if r == nil {
		if len(g.byID) >= maxRecent {
			for k := range g.byID {
				delete(g.byID, k)
				break
			}
		}
		r = &recent{turn: make(chan struct{}, 1)}
		g.byID[user] = r
	}
	age := g.now().Sub(r.looked)
	// A clock that was set back makes it older than it can be.
	return r, r.groups, !r.looked.IsZero() && age >= 0 && age < fresh
}

// drop forgets one user.
func (g *recentGroups) drop(user dormer.UserID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.byID, user)
}

// clear forgets all.
func (g *recentGroups) clear() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.byID)
	g.generation++
}

// DirectoryChanged makes the next request of every operator ask the directory
// again. It is called when users or groups were changed here.
func (a *Authenticator) DirectoryChanged() { a.recent.clear() }
