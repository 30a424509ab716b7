package event

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

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
	// CommitEvents is how many one transaction stores at most, unless a single
	// batch has more.
	CommitEvents int
	// CommitTime is how long one transaction may take.
	CommitTime time.Duration
	// RetryAfter is what a client is told when the queue is full.
	RetryAfter time.Duration
	// KnownJournals is how many watermarks are remembered, so that polls
	// without events need not ask the store.
	KnownJournals int
}

// DefaultIngestLimits suit a server of two processors.
func DefaultIngestLimits() IngestLimits {
	return IngestLimits{
		QueueEvents:   50_000,
		CommitEvents:  5_000,
		CommitTime:    30 * time.Second,
		RetryAfter:    5 * time.Second,
		KnownJournals: 200_000,
	}
}

func (l IngestLimits) withDefaults() IngestLimits {
	d := DefaultIngestLimits()
	if l.QueueEvents <= 0 {
		l.QueueEvents = d.QueueEvents
	}
	if l.CommitEvents <= 0 {
		l.CommitEvents = d.CommitEvents
	}
	if l.CommitTime <= 0 {
		l.CommitTime = d.CommitTime
	}
	if l.RetryAfter <= 0 {
		l.RetryAfter = d.RetryAfter
	}
	if l.KnownJournals <= 0 {
		l.KnownJournals = d.KnownJournals
	}
	return l
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
}

func (e *BusyError) Error() string { return e.Reason }

// Is makes a *BusyError match dormer.ErrUnavailable.
func (e *BusyError) Is(target error) bool { return target == dormer.ErrUnavailable }

// Ingester stores the events of many clients in common transactions.
type Ingester struct {
	store  Store
	now    func() time.Time
	log    *slog.Logger
	limits IngestLimits
	// wake has room for one: there is work, or the end has come.
	wake chan struct{}

	mu     sync.Mutex // guards the fields below
	queue  []*waiting
	queued int // events in queue and in the transaction that runs
	closed bool
	known  recentMarks
}

// waiting is a batch whose sender waits. The goroutine of Run sets received
// and err before it closes done.
type waiting struct {
	batch    Batch
	done     chan struct{}
	received uint64
	err      error
}

// NewIngester returns an ingester that stores in store. Nothing is stored
// before Run is called.
func NewIngester(store Store, c IngestConfig) *Ingester {
	limits := c.Limits.withDefaults()
	return &Ingester{
		store: store, now: c.Now, log: c.Logger, limits: limits,
		wake:  make(chan struct{}, 1),
		known: recentMarks{limit: limits.KnownJournals},
	}
}

// Submit stores what a client sent and returns the watermark of its journal
// once everything up to it is durable. It sets the time of receipt and cuts
// texts that are too long. ErrInvalid, before anything is queued, for a batch
// that no correct client sends; a *BusyError when the queue is full or the
// server stops; the store's error when it cannot be stored. When ctx ends first
// the events may be stored all the same: sending them again is harmless.
//
// A batch without events is answered from memory where that is possible.
func (g *Ingester) Submit(ctx context.Context, b Batch) (Marks, error) {
	mark, err := g.submit(ctx, b)
	return Marks{Received: mark, Safe: mark}, err
}

// Stats returns what was counted so far.
func (g *Ingester) Stats() Stats { return Stats{QueueLimit: g.limits.QueueEvents} }

func (g *Ingester) submit(ctx context.Context, b Batch) (uint64, error) {
	if err := checkBatch(b); err != nil {
		return 0, err
	}
	if len(b.Events) == 0 {
		return g.watermark(ctx, b)
	}
	b.Received = g.now().UTC().Truncate(time.Microsecond)
	b.Events = tidyEvents(b.Events, b.Received)
	w := &waiting{batch: b, done: make(chan struct{})}
	if err := g.enqueue(w); err != nil {
		return 0, err
	}
	select {
	case <-w.done:
		return w.received, w.err
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for events to be stored: %w", context.Cause(ctx))
	}
}

// watermark answers a batch without events.
func (g *Ingester) watermark(ctx context.Context, b Batch) (uint64, error) {
	if b.Journal == "" {
		return 0, nil
	}
	k := keyOf(b)
	g.mu.Lock()
	mark, ok := g.known.get(k)
	g.mu.Unlock()
	if ok {
		return mark, nil
	}
	mark, err := g.store.Watermark(ctx, b.Instance, b.Client, b.Journal)
	if err != nil {
		return 0, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.known.raise(k, mark), nil
}

func (g *Ingester) enqueue(w *waiting) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return &BusyError{RetryAfter: g.limits.RetryAfter, Reason: "the server is stopping"}
	// One batch always fits, however small the queue was made.
	case g.queued > 0 && g.queued+len(w.batch.Events) > g.limits.QueueEvents:
		return &BusyError{RetryAfter: g.limits.RetryAfter, Reason: "too many events are waiting to be stored"}
	}
	g.queue = append(g.queue, w)
	g.queued += len(w.batch.Events)
	select {
	case g.wake <- struct{}{}:
	default:
	}
	return nil
}

// Run stores what is submitted until ctx ends. Then it refuses new batches,
// stores those that wait, and returns nil. It is called once.
func (g *Ingester) Run(ctx context.Context) error {
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

// next takes the next group off the queue.
func (g *Ingester) next() []*waiting {
	g.mu.Lock()
	defer g.mu.Unlock()
	var n, events int
	for n < len(g.queue) && (n == 0 || events+len(g.queue[n].batch.Events) <= g.limits.CommitEvents) {
		events += len(g.queue[n].batch.Events)
		n++
	}
	group := g.queue[:n:n]
	if n == len(g.queue) {
		g.queue = nil // let go of what was stored
	} else {
		g.queue = g.queue[n:]
	}
	return group
}

// commit stores a group in one transaction. If that fails each is tried alone,
// so that one that cannot be stored harms nobody else; unless the store as a
// whole does not work.
func (g *Ingester) commit(ctx context.Context, group []*waiting) {
	err := g.store1(ctx, group)
	if err != nil && len(group) > 1 && !errors.Is(err, dormer.ErrUnavailable) && !errors.Is(err, dormer.ErrFull) &&
		!errors.Is(err, context.DeadlineExceeded) {
		g.log.Warn("storing events together failed, trying each client alone", slog.Int("clients", len(group)), slog.Any("error", err))
		for i := range group {
			alone := group[i : i+1]
			if err := g.store1(ctx, alone); err != nil {
				g.refuse(alone, err)
			}
		}
	} else if err != nil {
		g.refuse(group, err)
	}
	g.mu.Lock()
	for _, w := range group {
		g.queued -= len(w.batch.Events)
		if w.err == nil {
			g.known.raise(keyOf(w.batch), w.received)
		}
	}
	g.mu.Unlock()
	for _, w := range group {
		close(w.done)
	}
}

// store1 stores batches in one transaction and notes the watermarks.
func (g *Ingester) store1(ctx context.Context, group []*waiting) error {
	ctx, cancel := context.WithTimeout(ctx, g.limits.CommitTime)
	defer cancel()
	batches := make([]Batch, len(group))
	for i, w := range group {
		batches[i] = w.batch
	}
	marks, err := g.store.AppendEvents(ctx, batches)
	if err != nil {
		return err
	}
	for i, w := range group {
		w.received = marks[i]
	}
	return nil
}

// refuse tells the senders. A time limit that passed is the store's fault, not
// the sender's.
func (g *Ingester) refuse(group []*waiting, err error) {
	if errors.Is(err, context.DeadlineExceeded) {
		err = &BusyError{RetryAfter: g.limits.RetryAfter, Reason: "storing events took too long"}
	}
	for _, w := range group {
		w.err = fmt.Errorf("store events: %w", err)
	}
}

// checkBatch returns ErrInvalid for a batch that no correct client sends.
func checkBatch(b Batch) error {
	switch {
	case len(b.Events) > 0 && b.Journal == "":
		return dormer.Invalidf("journal", "events need the identity of their journal")
	case len(b.Journal) > maxJournalID || !plain(string(b.Journal)):
		return dormer.Invalidf("journal", "is not the identity of a journal")
	case len(b.Events) > wire.MaxEventsPerPoll:
		return fmt.Errorf("%w: %w", dormer.ErrTooLarge, dormer.Invalidf("events", "at most %d at once", wire.MaxEventsPerPoll))
	}
	var last uint64
	for i, e := range b.Events {
		switch {
		case e.Sequence <= last || e.Sequence > math.MaxInt64:
			return dormer.Invalidf(fmt.Sprintf("events[%d].seq", i), "sequences must ascend, from 1")
		case !knownSeverity(e.Event.Severity):
			return dormer.Invalidf(fmt.Sprintf("events[%d].event.severity", i), "must be %q, %q or %q",
				dormer.Information, dormer.Warning, dormer.Error)
		case e.Event.Code < 0 || e.Event.Code > math.MaxInt32 || e.Event.PolicyRevision < 0:
			return dormer.Invalidf(fmt.Sprintf("events[%d].event", i), "numbers must not be negative")
		}
		last = e.Sequence
	}
	return nil
}

// plain reports whether s is printable ASCII.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

func knownSeverity(s dormer.Severity) bool {
	return s == dormer.Information || s == dormer.Warning || s == dormer.Error
}

// tidyEvents returns events with texts cut and times that can be stored. The
// client's time stays, however wrong its clock is, unless it is none at all.
func tidyEvents(events []wire.NumberedEvent, received time.Time) []wire.NumberedEvent {
	list := make([]wire.NumberedEvent, len(events))
	for i, e := range events {
		e.Event = tidy(e.Event)
		if y := e.Event.Time.Year(); y < 1970 || y > 9999 {
			e.Event.Time = received
		}
		e.Event.Received = received
		list[i] = e
	}
	return list
}

// tidy cuts the texts of an event to their limits and its time to microseconds
// in UTC.
func tidy(e dormer.Event) dormer.Event {
	e.Description = cut(e.Description, wire.MaxDescription)
	for _, s := range []*string{&e.Category, &e.Host, &e.User, &e.WorkspaceName, &e.Guest, &e.ClientVersion, &e.Image} {
		*s = cut(*s, MaxText)
	}
	e.Workspace = dormer.WorkspaceID(cut(string(e.Workspace), MaxText))
	e.Time = e.Time.UTC().Truncate(time.Microsecond)
	return e
}

// cut returns at most limit bytes of s, whole characters, as valid UTF-8
// without NUL.
func cut(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
		for len(s) > 0 && !utf8.RuneStart(s[len(s)-1]) {
			s = s[:len(s)-1]
		}
		if len(s) > 0 && s[len(s)-1] >= utf8.RuneSelf {
			s = s[:len(s)-1] // the first byte of a character that was cut
		}
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\x00", "?")
}
