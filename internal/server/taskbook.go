package server

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// taskState is what is known of a background task.
type taskState struct {
	Name string
	// Runs counts what was done by tasks that do something again and again,
	// Failures how often one ended with an error.
	Runs, Failures int64
	// Success is when it last did what it does, Failure when it last failed; zero:
	// never.
	Success, Failure time.Time
	// Problem is why it last failed; empty once it succeeded after that.
	Problem string
}

// taskRecord is the record of one task.
type taskRecord struct {
	now func() time.Time

	mu    sync.Mutex // guards the field below
	state taskState
}

func (r *taskRecord) succeeded() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Runs++
	r.state.Success, r.state.Problem = r.now(), ""
}

func (r *taskRecord) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Failures++
	r.state.Failure, r.state.Problem = r.now(), err.Error()
}

// settled takes back the problem of a task that goes on for long without doing
// something again and again: it was begun again and has not failed since.
func (r *taskRecord) settled(after time.Duration) taskState {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state.Problem != "" && r.state.Runs == 0 && r.now().Sub(r.state.Failure) >= after {
		r.state.Problem = ""
	}
	return r.state
}

// taskBook keeps the records of all tasks of a server.
type taskBook struct {
	now func() time.Time

	mu      sync.Mutex // guards the field below
	records []*taskRecord
}

// enter makes the task write into the book.
func (b *taskBook) enter(t *task) {
	if t.record == nil {
		t.record = &taskRecord{}
	}
	t.record.now, t.record.state.Name = b.now, t.name
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records = append(b.records, t.record)
}

// states are the tasks by name.
func (b *taskBook) states() []taskState {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]taskState, len(b.records))
	for i, r := range b.records {
		all[i] = r.settled(2 * restartDelay)
	}
	slices.SortFunc(all, func(a, b taskState) int { return cmp.Compare(a.Name, b.Name) })
	return all
}
