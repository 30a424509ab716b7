package event

import (
	"context"
	"fmt"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire"
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
	// received and happened are the latest times of events, by the server's and
	// the client's clock.
	received, happened time.Time
	// told is when it was last told that events are condensed; since then left
	// went into the counts of rows.
	told time.Time
	left int
}

func (t *throttle) of(k clientKey) *bucket {
	if b, ok := t.recent[k]; ok {
		return b
	}
	b, ok := t.old[k]
	if !ok {
		b = &bucket{events: t.burst}
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
		passed := max(batch.Received.Sub(b.received), happened.Sub(b.happened), 0)
		b.events = min(t.burst, b.events+passed.Seconds()*t.rate)
	}
	if batch.Received.After(b.received) {
		b.received = batch.Received
	}
	if happened.After(b.happened) {
		b.happened = happened
	}
}

// prepare leaves out of each batch what was stored before and condenses those
// of clients that send too many. What has nothing left then is stored.
func (g *Ingester) prepare(ctx context.Context, group []*waiting) error {
	for _, w := range group {
		g.mu.Lock()
		mark, _ := g.known.get(keyOf(w.batch))
		g.mu.Unlock()
		if g.leaveOut(w, mark); w.stored {
			continue
		}
		bucket := g.spend(w.batch)
		if bucket == nil {
			continue
		}
		// The count is exact only above the watermark that counts, and another
		// server of the instance may have raised it.
		mark, err := g.store.Watermark(ctx, w.batch.Instance, w.batch.Client, w.batch.Journal)
		if err != nil {
			return fmt.Errorf("find watermark: %w", err)
		}
		if g.leaveOut(w, mark); !w.stored {
			g.condense(w, mark, bucket)
		}
	}
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

// spend takes the events of a batch out of its client's bucket, and returns
// that if they are too many.
func (g *Ingester) spend(b Batch) *bucket {
	if g.throttle.burst < 0 || b.Client == "" {
		return nil
	}
	bucket := g.throttle.of(clientOf(b))
	g.throttle.fill(bucket, b)
	if n := float64(len(b.Events)); n <= bucket.events {
		bucket.events -= n
		return nil
	}
	return bucket
}

// condense makes one event of those of a batch that differ in nothing but
// description and time: the last, with the count of all. The batch counts above
// that watermark.
func (g *Ingester) condense(w *waiting, above uint64, b *bucket) {
	before := len(w.batch.Events)
	rows := condensed(w.batch.Events)
	b.events = max(0, b.events-float64(len(rows)))
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
