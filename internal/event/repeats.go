package event

import (
	"errors"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
)

// Limits of what a loop of the same event writes; see docs/limits.md.
const (
	// RepeatWindow is for how long the same event is merged with the ones before
	// it.
	RepeatWindow = time.Minute
	// RepeatPause is how long it must not come for the count to be written before
	// that.
	RepeatPause = 10 * time.Second
	// repeatsAtOnce is how many of the same are written as they come: what
	// somebody does three times in a minute is no loop.
	repeatsAtOnce = 3
	// maxRepeats is how many different events are watched at once. Others are
	// written as they come.
	maxRepeats = 1000
)

// Repeats puts events into a journal and keeps a loop from filling it. Of the
// same warning or error - code, workspace, user and description - the first ones
// within a minute are written at once; all others of that minute are written as one, the
// last with the count of them, when the minute is over or the loop pauses. What
// is not written yet a crash loses: the counts of loops within a minute. Events
// of information are written as they come: they tell what people did and were
// told was done. It is safe for concurrent use.
type Repeats struct {
	journal *Journal
	now     func() time.Time

	mu   sync.Mutex // guards the fields below
	open map[repeatKey]*repeat
}

type repeatKey struct {
	code        int
	workspace   dormer.WorkspaceID
	user        string
	description string
}

// repeat is what came of one event since the first of it.
type repeat struct {
	since   time.Time
	written int
	// last and count are of those that are not written; latest is when that last
	// one came.
	last   dormer.Event
	latest time.Time
	count  int
}

// NewRepeats returns a Repeats that writes to j. Flush must be called now and
// then, and with all when nothing comes any more.
func NewRepeats(j *Journal, now func() time.Time) *Repeats {
	return &Repeats{journal: j, now: now, open: make(map[repeatKey]*repeat)}
}

// Append puts an event into the journal, or counts it with those like it.
// Errors are those of Journal.Append.
func (r *Repeats) Append(e dormer.Event) error {
	e = tidy(e)
	if e.Severity != dormer.Information && r.counted(e) {
		return nil
	}
	_, err := r.journal.Append(e)
	return err
}

// counted reports whether e went into a count.
func (r *Repeats) counted(e dormer.Event) bool {
	k := repeatKey{code: e.Code, workspace: e.Workspace, user: e.User, description: e.Description}
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	same := r.open[k]
	switch {
	case same == nil && len(r.open) < maxRepeats:
		r.open[k] = &repeat{since: now, written: 1}
		return false
	case same == nil:
		return false
	case same.count == 0 && same.over(now):
		same.since, same.written = now, 1
		return false
	case same.written < repeatsAtOnce:
		same.written++
		return false
	}
	same.last, same.latest = e, now
	same.count += max(1, e.Count)
	return true
}

// over reports whether the minute has passed, or whether the clock was
// corrected so that nobody knows.
func (r *repeat) over(now time.Time) bool {
	return now.Sub(r.since) >= RepeatWindow || now.Before(r.since)
}

// paused reports whether it has not come for a while.
func (r *repeat) paused(now time.Time) bool {
	return r.count > 0 && now.Sub(r.latest) >= RepeatPause
}

// Len returns how many events wait to be written.
func (r *Repeats) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, same := range r.open {
		if same.count > 0 {
			n++
		}
	}
	return n
}

// Flush writes what was counted in minutes that are over, or of loops that
// pause; all of it if all is set. What cannot be written stays counted.
func (r *Repeats) Flush(all bool) error {
	now := r.now()
	r.mu.Lock()
	taken := make(map[repeatKey]repeat)
	for k, same := range r.open {
		over := all || same.over(now)
		if same.count > 0 && (over || same.paused(now)) {
			taken[k] = *same
			same.count = 0
		}
		if over {
			delete(r.open, k)
		}
	}
	r.mu.Unlock()
	var errs []error
	for k, same := range taken {
		e := same.last
		if e.Count = same.count; e.Count == 1 {
			e.Count = 0
		}
		if _, err := r.journal.Append(e); err != nil {
			errs = append(errs, err)
			r.putBack(k, same)
		}
	}
	return errors.Join(errs...)
}

// putBack counts what could not be written with what came meanwhile.
func (r *Repeats) putBack(k repeatKey, same repeat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if newer := r.open[k]; newer != nil {
		if newer.count > 0 {
			same.last, same.latest = newer.last, newer.latest
		}
		same.count += newer.count
	}
	r.open[k] = &same
}
