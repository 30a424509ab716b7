package event

import (
	"context"
	"fmt"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire"
)

// What a client may have stored at most, however it goes about it; see
// docs/limits.md.
const (
	// maxRows is how many rows, more than the longest journal holds, and rowRate
	// how many a second are added to that again, by the server's clock.
	maxRows = 400_000
	rowRate = 5.0
	// maxJournals is how many journals it may begin, and journalEvery after what
	// time one more. An agent begins one when its folder is new or damaged.
	maxJournals  = 20
	journalEvery = 10 * time.Minute
)

// condensedEvery is how often it is told that a client's events are condensed.
const condensedEvery = time.Hour

// throttle gives every client a bucket of events. It is not safe for
// concurrent use.
type throttle struct {
	burst, rate float64
	// keep is how many clients are remembered, at least. Who is forgotten has a
	// full bucket again.
	keep        int
	recent, old map[clientKey]*bucket
}

// bucket is what a client may still have stored each in a row of its own.
type bucket struct {
	events float64
	// received is when the last batch came, by the server's clock, and happened
	// the latest time of events, by the client's.
	received, happened time.Time
	// told is when it was last told that events are condensed; since then left
	// went into the counts of rows.
	told time.Time
	left int
	// rows and journals are how many of them it may still have.
	rows, journals float64
}

// spending is what a batch took out of a bucket. It is given back when the
// batch was not stored: a client that sends again what a broken store did not
// take is in no loop.
type spending struct {
	from                   *bucket // nil: nothing
	events, rows, journals float64
}

func (s *spending) giveBack() {
	if s.from == nil {
		return
	}
	s.from.events += s.events
	s.from.rows += s.rows
	s.from.journals += s.journals
	*s = spending{}
}

func (t *throttle) of(k clientKey) *bucket {
	if b, ok := t.recent[k]; ok {
		return b
	}
	b, ok := t.old[k]
	if !ok {
		b = &bucket{events: t.burst, rows: maxRows, journals: maxJournals}
	}
	if t.recent == nil || len(t.recent) >= t.keep {
		t.old, t.recent = t.recent, make(map[clientKey]*bucket)
	}
	t.recent[k] = b
	return b
}

// fill adds what has come in since the last batch. Time counts by either
// clock: a client that brings what happened in weeks off-line is in no loop.
func (t *throttle) fill(b *bucket, batch Batch) {
	happened := batch.Events[0].Event.Time
	for _, e := range batch.Events[1:] {
		if e.Event.Time.After(happened) {
			happened = e.Event.Time
		}
	}
	if !b.received.IsZero() {
		here := max(batch.Received.Sub(b.received), 0)
		passed := max(here, happened.Sub(b.happened))
		b.events = min(t.burst, b.events+passed.Seconds()*t.rate)
		b.rows = min(maxRows, b.rows+here.Seconds()*rowRate)
		b.journals = min(maxJournals, b.journals+here.Seconds()/journalEvery.Seconds())
	}
	b.received = batch.Received // a clock that was set back counts on from there
	if happened.After(b.happened) {
		b.happened = happened
	}
}

// prepare leaves out of each batch what was stored before, condenses those of
// clients that send too many, and turns those away that send without end. What
// has nothing left then is stored.
func (g *Ingester) prepare(ctx context.Context, group []*waiting) error {
	for _, w := range group {
		g.mu.Lock()
		mark, _ := g.known.get(keyOf(w.batch))
		g.mu.Unlock()
		if g.leaveOut(w, mark); w.stored || g.throttle.burst < 0 || w.batch.Client == "" {
			continue
		}
		bucket := g.throttle.of(clientOf(w.batch))
		g.throttle.fill(bucket, w.batch)
		w.took.from = bucket
		if bucket.spend(len(w.batch.Events)) {
			w.took.events = float64(len(w.batch.Events))
		} else {
			// The count is exact only above the watermark that counts, and another
			// server of the instance may have raised it.
			mark, err := g.watermark(ctx, w)
			if err != nil {
				return err
			}
			if g.leaveOut(w, mark); w.stored {
				continue
			}
			g.condense(w, mark, bucket)
		}
		if err := g.allow(ctx, w, mark, bucket); err != nil {
			return err
		}
	}
	return nil
}

func (g *Ingester) watermark(ctx context.Context, w *waiting) (uint64, error) {
	mark, err := g.store.Watermark(ctx, w.batch.Instance, w.batch.Client, w.batch.Journal)
	if err != nil {
		return 0, fmt.Errorf("find watermark: %w", err)
	}
	return mark, nil
}

// allow takes the rows of a batch, and its journal if that is a new one, off
// what its client may have, or turns it away. known is what is remembered of
// the journal's watermark.
func (g *Ingester) allow(ctx context.Context, w *waiting, known uint64, b *bucket) error {
	if float64(len(w.batch.Events)) > b.rows {
		w.err = &BusyError{Reason: "this client sends more events than are kept of one"}
		return nil
	}
	if known == 0 {
		if b.journals < 1 {
			// It may only be forgotten.
			mark, err := g.watermark(ctx, w)
			if err != nil {
				return err
			}
			if mark == 0 {
				w.err = &BusyError{Reason: "this client begins more journals than are kept of one"}
				return nil
			}
		} else {
			b.journals--
			w.took.journals = 1
		}
	}
	w.took.rows = float64(len(w.batch.Events))
	b.rows -= w.took.rows
	return nil
}

// leaveOut takes the events up to mark out of a batch: they are stored.
func (g *Ingester) leaveOut(w *waiting, mark uint64) {
	n := 0
	for n < len(w.batch.Events) && w.batch.Events[n].Sequence <= mark {
		n++
	}
	if n == 0 {
		return
	}
	w.batch.Events = w.batch.Events[n:]
	w.stored, w.marks.Received = len(w.batch.Events) == 0, mark
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stats.Repeats += int64(n)
}

// spend takes events out of the bucket, unless they are too many.
func (b *bucket) spend(events int) bool {
	if float64(events) > b.events {
		return false
	}
	b.events -= float64(events)
	return true
}

// condense makes one event of those of a batch that differ in nothing but
// description and time: the last, with the count of all. The batch counts above
// that watermark.
func (g *Ingester) condense(w *waiting, above uint64, b *bucket) {
	before := len(w.batch.Events)
	rows := condensed(w.batch.Events)
	w.took.events = min(b.events, float64(len(rows)))
	b.events -= w.took.events
	if len(rows) == before {
		return
	}
	w.batch.Events, w.batch.Condensed, w.batch.Above = rows, true, above
	g.mu.Lock()
	g.stats.Condensed += int64(before - len(rows))
	g.mu.Unlock()
	b.left += before - len(rows)
	if now := w.batch.Received; b.told.IsZero() || now.Sub(b.told) >= condensedEvery {
		g.tell(EventsCondensed, fmt.Sprintf("client %s (%s): %d went into the counts of others", w.batch.Host, w.batch.Client, b.left))
		b.told, b.left = now, 0
	}
}

// condensed returns the events condensed, in the order of their sequences.
func condensed(events []wire.NumberedEvent) []wire.NumberedEvent {
	last := make(map[dormer.Event]int, 16)
	count := make(map[dormer.Event]int, 16)
	kindOf := func(e dormer.Event) dormer.Event {
		e.Description, e.Time, e.Received, e.Count = "", time.Time{}, time.Time{}, 0
		return e
	}
	for i, e := range events {
		k := kindOf(e.Event)
		last[k] = i
		count[k] += max(1, e.Event.Count)
	}
	rows := make([]wire.NumberedEvent, 0, len(last))
	for i, e := range events {
		k := kindOf(e.Event)
		if last[k] != i {
			continue
		}
		if e.Event.Count = count[k]; e.Event.Count == 1 {
			e.Event.Count = 0
		}
		rows = append(rows, e)
	}
	return rows
}
