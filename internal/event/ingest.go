package event

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire"
)

// Limits of events that come from clients; see docs/limits.md.
const (
	// MaxText is the longest text of an event but its description, in bytes;
	// longer ones are cut.
	MaxText = 255
	// maxJournalID bounds the name of a journal, in bytes.
	maxJournalID = 64
)

// IngestLimits bound an Ingester. Zero fields take the values of
// DefaultIngestLimits.
type IngestLimits struct {
	// QueueEvents is how many events may wait to be stored.
	QueueEvents int
	// ClientEvents is how many of them may be one client's.
	ClientEvents int
	// CommitEvents is how many one transaction stores at most, unless a single
	// batch has more.
	CommitEvents int
	// CommitTime is how long one transaction may take.
	CommitTime time.Duration
	// WaitTime is how long a client waits for its events to be stored; then it
	// is told to come again.
	WaitTime time.Duration
	// RetryAfter is what a client is told when the queue is full.
	RetryAfter time.Duration
	// ClientBurst is how many events of a client are stored each in a row of its
	// own, and ClientRate how many a second are added to that again. Beyond it
	// those of one kind are condensed. A negative ClientBurst condenses nothing.
	ClientBurst int
	ClientRate  float64
	// KnownJournals is how many watermarks are remembered, so that polls
	// without events need not ask the store.
	KnownJournals int
}

// DefaultIngestLimits suit a server of two processors.
func DefaultIngestLimits() IngestLimits {
	return IngestLimits{
		QueueEvents:   50_000,
		ClientEvents:  2_000,
		CommitEvents:  5_000,
		CommitTime:    30 * time.Second,
		WaitTime:      10 * time.Second,
		RetryAfter:    5 * time.Second,
		ClientBurst:   600,
		ClientRate:    2,
		KnownJournals: 200_000,
	}
}

func (l IngestLimits) withDefaults() IngestLimits {
	d := DefaultIngestLimits()
	l.QueueEvents = orDefault(l.QueueEvents, d.QueueEvents)
	l.ClientEvents = orDefault(l.ClientEvents, d.ClientEvents)
	l.CommitEvents = orDefault(l.CommitEvents, d.CommitEvents)
	l.CommitTime = orDefault(l.CommitTime, d.CommitTime)
	l.WaitTime = orDefault(l.WaitTime, d.WaitTime)
	l.RetryAfter = orDefault(l.RetryAfter, d.RetryAfter)
	l.ClientRate = orDefault(l.ClientRate, d.ClientRate)
	l.KnownJournals = orDefault(l.KnownJournals, d.KnownJournals)
	if l.ClientBurst == 0 {
		l.ClientBurst = d.ClientBurst
	}
	return l
}

func orDefault[T int | float64 | time.Duration](n, otherwise T) T {
	if n <= 0 {
		return otherwise
	}
	return n
}

// IngestConfig says what an Ingester works with. Now and Logger are needed.
type IngestConfig struct {
	Now    func() time.Time
	Logger *slog.Logger
	Limits IngestLimits
	// Replicate returns nil once everything that was committed before the call
	// is on another disk too. Events are safe from then on. Nil: what is received
	// is safe. It is called by one goroutine at a time.
	Replicate func(context.Context) error
	// Stored is called after each commit with what was stored. It must not
	// block, nor change the batches. It may be nil.
	Stored func([]Batch)
	// Tell is told what the server itself should report among the events. It
	// must not block for long, and may be nil.
	Tell func(code Code, detail string)
}

// Marks is how far the server has a client's journal.
type Marks struct {
	// Received is durable on the server, Safe on a replica as well. Without
	// replication they are the same.
	Received, Safe uint64
	// Refused are the events of the batch that could not be taken. Received
	// passes over them.
	Refused []wire.RefusedEvent
}

// Stats are counts since an Ingester was made.
type Stats struct {
	// Events were stored, in Batches, by Commits. A condensed event counts as
	// the row that it is.
	Events, Batches, Commits int64
	// Repeats were stored before, Refused were no events, Condensed went into
	// the count of another one.
	Repeats, Refused, Condensed int64
	// Busy batches were turned away for want of room, or because they were not
	// stored in time.
	Busy int64
	// Queued is how many events wait now, QueueLimit how many may.
	Queued, QueueLimit int
	// LastCommit is when the last commit succeeded and LastDuration how long it
	// took, LastError when one failed last; zero: never.
	LastCommit   time.Time
	LastDuration time.Duration
	LastError    time.Time
	// Away says that the last commit failed, with Problem.
	Away    bool
	Problem string
	// Unsafe is how many journals have events that are not replicated yet.
	Unsafe int
}

// BusyError is an ErrUnavailable that says when to come back.
type BusyError struct {
	RetryAfter time.Duration
	Reason     string
	// Err is what the store answered last; nil when it works.
	Err error
}

func (e *BusyError) Error() string { return e.Reason }

func (e *BusyError) Unwrap() error { return e.Err }

// Is makes a *BusyError match dormer.ErrUnavailable.
func (e *BusyError) Is(target error) bool { return target == dormer.ErrUnavailable }

// Ingester stores the events of many clients in common transactions.
type Ingester struct {
	store  Store
	c      IngestConfig
	limits IngestLimits
	// wake has room for one: there is work, or the end has come.
	wake     chan struct{}
	throttle throttle // of the goroutine that commits

	mu      sync.Mutex // guards the fields below
	queue   []*waiting
	queued  int // events in queue and in the transaction that runs
	clients map[clientKey]int
	asking  int // questions for watermarks under way
	closed  bool
	known   recentMarks
	safety  safety
	stats   Stats
	away    time.Time // since when nothing can be stored; zero: it can
	cause   error     // why, the last time
}

// clientKey names a client among several instances.
type clientKey struct {
	instance dormer.InstanceID
	client   dormer.ClientID
}

func clientOf(b Batch) clientKey { return clientKey{instance: b.Instance, client: b.Client} }

// waiting is a batch whose sender waits. The goroutine of Run sets marks and
// err before it closes done.
type waiting struct {
	batch Batch
	// events is how many of the queue it takes up.
	events int
	done   chan struct{}
	marks  Marks
	err    error
	// stored says that what batch still holds is stored, or that nothing of it is
	// left to be.
	stored bool
	// took is what it took out of the bucket of its client.
	took spending
}

// NewIngester returns an ingester that stores in store. Nothing is stored
// before Run is called.
func NewIngester(store Store, c IngestConfig) *Ingester {
	limits := c.Limits.withDefaults()
	return &Ingester{
		store: store, c: c, limits: limits,
		wake:     make(chan struct{}, 1),
		throttle: throttle{burst: float64(limits.ClientBurst), rate: limits.ClientRate, keep: limits.KnownJournals},
		clients:  make(map[clientKey]int),
		known:    recentMarks{limit: limits.KnownJournals},
		safety:   newSafety(c.Replicate),
	}
}

// Submit stores what a client sent and returns the watermarks of its journal
// once everything up to the first is durable. It sets the time of receipt. An
// event that cannot be taken is named in the answer, and one that tells of it
// is stored in its place. ErrInvalid, before anything is queued, for a batch
// that makes no sense as a whole; a *BusyError when the queue is full, the
// store does not work or takes too long, or the server stops; the store's error
// when it does not take this batch. Whenever there is an error but ErrInvalid
// the events may be stored all the same: sending them again is harmless.
//
// A batch without events is answered from memory where that is possible.
func (g *Ingester) Submit(ctx context.Context, b Batch) (Marks, error) {
	if err := checkBatch(b); err != nil {
		return Marks{}, err
	}
	if len(b.Events) == 0 {
		return g.watermarks(ctx, b)
	}
	b.Received = g.c.Now().UTC().Truncate(time.Microsecond)
	w := &waiting{events: len(b.Events), done: make(chan struct{})}
	b.Events, w.marks.Refused = takeEvents(b)
	w.batch = b
	if err := g.enqueue(w); err != nil {
		return Marks{}, err
	}
	late := time.NewTimer(g.limits.WaitTime)
	defer late.Stop()
	select {
	case <-w.done:
		return w.marks, w.err
	case <-late.C:
		return Marks{}, g.busy("storing events takes too long", nil)
	case <-ctx.Done():
		return Marks{}, fmt.Errorf("wait for events to be stored: %w", context.Cause(ctx))
	}
}

// watermarks answers a batch without events.
func (g *Ingester) watermarks(ctx context.Context, b Batch) (Marks, error) {
	if b.Journal == "" {
		return Marks{}, nil
	}
	k := keyOf(b)
	g.mu.Lock()
	mark, ok := g.known.get(k)
	if ok {
		defer g.mu.Unlock()
		return Marks{Received: mark, Safe: g.safety.of(k, mark)}, nil
	}
	// As in enqueue: nobody but one waits for a store that is away.
	if !g.away.IsZero() && g.asking > 0 {
		defer g.mu.Unlock()
		return Marks{}, g.busyLocked(reasonAway, g.cause)
	}
	g.asking++
	g.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, g.limits.WaitTime)
	defer cancel()
	mark, err := g.store.Watermark(limited, b.Instance, b.Client, b.Journal)
	if isAway(err) && ctx.Err() == nil {
		g.failed(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asking--
	switch {
	case isAway(err):
		return Marks{}, g.busyLocked(reasonAway, err)
	case err != nil:
		return Marks{}, err
	}
	mark = g.known.raise(k, mark)
	return Marks{Received: mark, Safe: g.safety.of(k, mark)}, nil
}

// busy turns a batch away. It takes mu.
func (g *Ingester) busy(reason string, err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.busyLocked(reason, err)
}

func (g *Ingester) busyLocked(reason string, err error) error {
	g.stats.Busy++
	return &BusyError{RetryAfter: g.limits.RetryAfter, Reason: reason, Err: err}
}

func (g *Ingester) enqueue(w *waiting) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	client := clientOf(w.batch)
	switch {
	case g.closed:
		return g.busyLocked("the server is stopping", nil)
	// While the store is away one batch finds out whether it is back, so that no
	// other waits for that.
	case !g.away.IsZero() && g.queued > 0:
		return g.busyLocked(reasonAway, g.cause)
	// One batch always fits, however small the queue was made.
	case g.queued > 0 && g.queued+w.events > g.limits.QueueEvents:
		return g.busyLocked("too many events are waiting to be stored", nil)
	case g.clients[client] > 0 && g.clients[client]+w.events > g.limits.ClientEvents:
		return g.busyLocked("too many events of this client are waiting to be stored", nil)
	}
	g.queue = append(g.queue, w)
	g.queued += w.events
	g.clients[client] += w.events
	select {
	case g.wake <- struct{}{}:
	default:
	}
	return nil
}

// reasonAway is what clients are told while the store does not work.
const reasonAway = "events cannot be stored now"

// Run stores what is submitted until ctx ends. Then it refuses new batches,
// stores those that wait, and returns nil. It is called once.
func (g *Ingester) Run(ctx context.Context) error {
	var replication sync.WaitGroup
	replication.Go(func() { g.replicate(ctx) })
	defer replication.Wait()
	// What was accepted is stored even though ctx ends.
	storing := context.WithoutCancel(ctx)
	for {
		for group := g.next(); len(group) > 0; group = g.next() {
			g.commit(storing, group)
		}
		select {
		case <-g.wake:
		case <-ctx.Done():
			g.mu.Lock()
			stop := g.closed && len(g.queue) == 0
			g.closed = true
			g.mu.Unlock()
			if stop {
				return nil
			}
		}
	}
}

// next takes the next group off the queue: in its order, but no two batches of
// one client, whose second rests on what became of the first.
func (g *Ingester) next() []*waiting {
	g.mu.Lock()
	defer g.mu.Unlock()
	var group, later []*waiting
	events := 0
	clients := make(map[clientKey]bool, min(len(g.queue), g.limits.CommitEvents))
	for i, w := range g.queue {
		if len(group) > 0 && events+w.events > g.limits.CommitEvents {
			later = append(later, g.queue[i:]...)
			break
		}
		if client := clientOf(w.batch); clients[client] {
			later = append(later, w)
		} else {
			clients[client] = true
			group = append(group, w)
			events += w.events
		}
	}
	g.queue = later
	return group
}

// commit stores a group in one transaction. If that fails each is tried alone,
// so that one that cannot be stored harms nobody else; unless the store as a
// whole does not work.
func (g *Ingester) commit(ctx context.Context, group []*waiting) {
	start := g.c.Now()
	err := g.prepare(ctx, group)
	left := slices.DeleteFunc(slices.Clone(group), func(w *waiting) bool { return w.stored || w.err != nil })
	if err == nil && len(left) > 0 {
		err = g.storeTogether(ctx, left)
	}
	if err != nil && len(left) > 1 && !isAway(err) {
		g.c.Logger.LogAttrs(ctx, slog.LevelWarn, "storing events together failed, trying each client alone",
			slog.Int("clients", len(left)), slog.Any("error", err))
		left, err = g.storeEach(ctx, left)
	}
	switch {
	case err != nil && !isRefusal(err):
		g.failed(err)
		for _, w := range left {
			w.err = &BusyError{Reason: reasonAway, Err: err}
		}
	case err != nil:
		left[0].err = refusedByStore(err)
	case len(left) > 0:
		g.works(start)
	}
	g.finish(group)
}

// refusedByStore is what the sender of a batch is told that the store does not
// take.
func refusedByStore(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, dormer.ErrConflict):
		return &BusyError{Reason: "another server has stored events of this client meanwhile", Err: err}
	}
	return fmt.Errorf("store events: %w", err)
}

// storeEach stores batches one by one. It returns those that were not tried,
// with the error for which the store as a whole counts as away; else what was
// stored.
func (g *Ingester) storeEach(ctx context.Context, group []*waiting) ([]*waiting, error) {
	var stored []*waiting
	var fault error
	for i, w := range group {
		err := g.storeTogether(ctx, group[i:i+1])
		switch {
		case err == nil:
			stored = append(stored, w)
		case isAway(err):
			return group[i:], err
		case !isRefusal(err):
			fault = err
		}
		w.err = refusedByStore(err)
	}
	if len(stored) == 0 && fault != nil {
		return group, fault
	}
	return stored, nil
}

// isRefusal reports whether err is about the batch, and not about the store.
func isRefusal(err error) bool {
	for _, kind := range []error{dormer.ErrInvalid, dormer.ErrTooLarge, dormer.ErrConflict} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// isAway reports whether err says that the store as a whole does not work.
func isAway(err error) bool {
	return errors.Is(err, dormer.ErrUnavailable) || errors.Is(err, dormer.ErrFull) || errors.Is(err, context.DeadlineExceeded)
}

// storeTogether stores batches in one transaction and notes the watermarks.
func (g *Ingester) storeTogether(ctx context.Context, group []*waiting) error {
	ctx, cancel := context.WithTimeout(ctx, g.limits.CommitTime)
	defer cancel()
	batches := make([]Batch, len(group))
	g.mu.Lock()
	for i, w := range group {
		batches[i] = w.batch
		k := keyOf(w.batch)
		before, _ := g.known.get(k)
		g.safety.begin(k, before)
	}
	g.mu.Unlock()
	marks, err := g.store.AppendEvents(ctx, batches)
	g.noteStored(group, marks, err)
	if err == nil && g.c.Stored != nil {
		g.c.Stored(batches)
	}
	return err
}

// noteStored notes what became of a transaction.
func (g *Ingester) noteStored(group []*waiting, marks []uint64, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, w := range group {
		g.safety.end(keyOf(w.batch))
	}
	if err != nil {
		return
	}
	g.stats.Commits++
	g.stats.Batches += int64(len(group))
	for i, w := range group {
		w.stored, w.marks.Received = true, marks[i]
		g.known.raise(keyOf(w.batch), marks[i])
		g.stats.Events += int64(len(w.batch.Events))
	}
}

// finish answers the senders of a group.
func (g *Ingester) finish(group []*waiting) {
	g.mu.Lock()
	for _, w := range group {
		g.queued -= w.events
		client := clientOf(w.batch)
		if g.clients[client] -= w.events; g.clients[client] <= 0 {
			delete(g.clients, client)
		}
		if busy, ok := errors.AsType[*BusyError](w.err); ok {
			busy.RetryAfter = g.limits.RetryAfter
			g.stats.Busy++
		}
		if w.err != nil {
			w.took.giveBack()
		}
		if w.err == nil {
			g.stats.Refused += int64(len(w.marks.Refused))
			k := keyOf(w.batch)
			w.marks.Received = g.known.raise(k, w.marks.Received)
			w.marks.Safe = g.safety.of(k, w.marks.Received)
		}
	}
	g.mu.Unlock()
	g.safety.wake()
	for _, w := range group {
		close(w.done)
	}
}

// works notes that the store took something.
func (g *Ingester) works(start time.Time) {
	now := g.c.Now()
	g.mu.Lock()
	since := g.away
	g.away, g.cause = time.Time{}, nil
	g.stats.LastCommit, g.stats.LastDuration, g.stats.Away, g.stats.Problem = now, now.Sub(start), false, ""
	g.mu.Unlock()
	if !since.IsZero() {
		g.c.Logger.Info("events are stored again", slog.Duration("after", now.Sub(since)))
		g.tell(EventsBack, "after "+now.Sub(since).Round(time.Second).String())
	}
}

// failed notes that the store does not work.
func (g *Ingester) failed(err error) {
	now := g.c.Now()
	g.mu.Lock()
	first := g.away.IsZero()
	if first {
		g.away = now
	}
	g.cause = err
	g.stats.LastError, g.stats.Away, g.stats.Problem = now, true, err.Error()
	g.mu.Unlock()
	if first {
		g.c.Logger.Error("events cannot be stored; clients keep them", slog.Any("error", err))
		g.tell(EventsAway, err.Error())
	}
}

func (g *Ingester) tell(code Code, detail string) {
	if g.c.Tell != nil {
		g.c.Tell(code, detail)
	}
}

// Stats returns what was counted so far.
func (g *Ingester) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.stats
	s.Queued, s.QueueLimit, s.Unsafe = g.queued, g.limits.QueueEvents, g.safety.unsafe()
	return s
}
