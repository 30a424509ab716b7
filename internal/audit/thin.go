package audit

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/dormer-project/dormer/internal/throttle"
)

// Rates of records of refused attempts. Anybody who reaches the server can
// cause them: they tell what goes on, and do not fill the database.
var (
	sourceRate = throttle.Rate{Every: 30 * time.Second, Burst: 100} // from one address
	allRate    = throttle.Rate{Every: time.Second, Burst: 2000}
)

// refused ends the actions of refused attempts.
const refused = ".refuse"

// thinned is a Log that leaves out refused attempts beyond the rates.
type thinned struct {
	Log
	bySource, all *throttle.Limit

	mu   sync.Mutex // guards the field below
	left int        // how many were left out since one was recorded
}

// Thin returns a log that records every change, and refused attempts (actions
// that end in .refuse) as far as the limits of docs/limits.md go; the next one
// that is recorded says how many were left out before it.
func Thin(log Log, now func() time.Time) Log {
	return &thinned{Log: log, bySource: throttle.New(sourceRate, now), all: throttle.New(allRate, now)}
}

// Append records a change, or an attempt that is not one too many.
func (t *thinned) Append(ctx context.Context, r Record) error {
	if !strings.HasSuffix(r.Action, refused) {
		return t.Log.Append(ctx, r)
	}
	if !t.take(throttle.Network(r.Remote)) {
		t.mu.Lock()
		t.left++
		t.mu.Unlock()
		return nil
	}
	t.mu.Lock()
	left := t.left
	t.left = 0
	t.mu.Unlock()
	if left > 0 {
		r.Detail = strings.TrimSpace(fmt.Sprintf("%s (%d refused attempts before it were left out)", r.Detail, left))
	}
	return t.Log.Append(ctx, r)
}

// take says whether an attempt from there is recorded.
func (t *thinned) take(source string) bool {
	one, err := t.bySource.Take(source)
	if err != nil {
		return false
	}
	if _, err := t.all.Take(""); err != nil {
		one.GiveBack()
		return false
	}
	return true
}
