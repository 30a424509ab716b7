package access

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
)

// Limits of looking up in the store what is not in memory, so that those who
// make up identities cost others nothing.
const (
	// missKept is for how long it is remembered that the store has none.
	missKept = 5 * time.Second
	// maxMisses bounds how many are remembered; beyond it all are forgotten.
	maxMisses = 20_000
	// maxLookups is how many are looked up at once. Others wait.
	maxLookups = 2
)

// misses are the identities that the store did not have not long ago.
type misses struct {
	now   func() time.Time
	slots chan struct{}

	mu *sync.Mutex
	// guards the field below
	until map[string]time.Time
}

func newMisses(now func() time.Time) misses {
	return misses{now: now, slots: make(chan struct{}, maxLookups), mu: &sync.Mutex{}, until: map[string]time.Time{}}
}

func (m *misses) has(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	until, ok := m.until[id]
	return ok && m.now().Before(until)
}

func (m *misses) add(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.until) >= maxMisses {
		clear(m.until)
	}
	m.until[id] = m.now().Add(missKept)
}

// lookUp reads one thing from the store, ErrNotFound when there is none.
func lookUp[T any](ctx context.Context, m *misses, id string, read func(context.Context, string) (T, error)) (T, error) {
	var none T
	if !dormer.ValidID(id) || m.has(id) {
		return none, dormer.ErrNotFound
	}
	select {
	case m.slots <- struct{}{}:
		defer func() { <-m.slots }()
	case <-ctx.Done():
		return none, fmt.Errorf("wait for the store: %w", ctx.Err())
	}
	one, err := read(ctx, id)
	if errors.Is(err, dormer.ErrNotFound) {
		m.add(id)
	}
	return one, err
}
