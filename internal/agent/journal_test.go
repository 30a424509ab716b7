package agent

import (
	"net/http"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire"
)

func TestJournalBytes(t *testing.T) {
	days := func(n int64) *int64 { n *= 24 * 3600; return &n }
	for name, test := range map[string]struct {
		budgets []*int64
		want    int64
	}{
		"nothing":           {nil, event.DefaultJournalBytes},
		"a week":            {[]*int64{days(7)}, event.DefaultJournalBytes},
		"half a year":       {[]*int64{days(180)}, 18_000_000},
		"two of them":       {[]*int64{days(180), days(180)}, 36_000_000},
		"ten years":         {[]*int64{days(3650)}, event.MaxJournalBytes},
		"without end":       {[]*int64{days(1), nil}, event.MaxJournalBytes},
		"less than nothing": {[]*int64{days(-5), days(180)}, 18_000_000},
	} {
		if got := journalBytes(test.budgets); got != test.want {
			t.Errorf("%s: %d bytes, want %d", name, got, test.want)
		}
	}
}

// sequences are those of the events of a poll.
func sequences(q wire.PollRequest) []uint64 {
	var list []uint64
	for _, e := range q.Events {
		list = append(list, e.Sequence)
	}
	return list
}

// TestSafeAndReceived has a server that has not replicated yet: what it has
// received is not sent again, nor given up. Another server that was promoted
// without having all of it gets the rest.
func TestSafeAndReceived(t *testing.T) {
	d := newDesk(t)
	var polls []wire.PollRequest
	received, safe := uint64(0), uint64(0)
	d.house.set(func(h *house) {
		h.answer = func(q wire.PollRequest, a *wire.PollAnswer) {
			polls = append(polls, q)
			if n := len(q.Events); n > 0 {
				received = max(received, q.Events[n-1].Sequence)
			}
			a.Journal, a.ReceivedThrough, a.SafeThrough = q.Journal, received, safe
		}
	})
	poll := func() wire.PollRequest {
		t.Helper()
		d.poll()
		return polls[len(polls)-1]
	}
	poll()
	for range 3 {
		d.agent.tell(event.New(event.ClockSetBack, d.now(), ""), nil)
	}
	if n := len(poll().Events); n < 3 {
		t.Fatalf("%d events were sent, want three", n)
	}
	waiting, last := d.agent.journal.Len(), received
	if q := poll(); len(q.Events) > 0 || waiting == 0 {
		t.Errorf("sent again: %v; %d are held", sequences(q), waiting)
	}
	// One of a higher epoch takes over that lacks the last two.
	d.house.set(func(h *house) {
		promoted := seal.KeySet{Version: 2, Instance: houseInstance, Epoch: 2, Servers: []string{h.url}, Keys: []seal.PublicKey{{
			ID: h.key.ID(), Key: h.key.Public(), Purposes: []seal.Purpose{seal.PurposeLease, seal.PurposeOrder, seal.PurposeAuthority},
		}}}
		var err error
		if h.keySet, err = promoted.Sign(h.root); err != nil {
			t.Error(err)
		}
		before := h.answer
		received = last - 2
		h.answer = func(q wire.PollRequest, a *wire.PollAnswer) {
			before(q, a)
			a.Epoch, a.KeySet = 2, &h.keySet
		}
	})
	poll()
	if q := poll(); len(q.Events) != 2 || q.Events[1].Sequence != last {
		t.Errorf("the other server got %v, want the two up to %d that it lacks", sequences(q), last)
	}
	d.house.set(func(*house) { safe = last })
	poll()
	if n := d.agent.journal.Len(); n != 0 {
		t.Errorf("%d events are held that are safe", n)
	}
}

// TestPollTooLarge has a server that takes less at once than the agent sends:
// it sends less, until all have arrived.
func TestPollTooLarge(t *testing.T) {
	d := newDesk(t)
	const events, fits = 60, 10
	arrived := map[uint64]bool{}
	d.house.set(func(h *house) {
		h.refuse = func(q wire.PollRequest) (int, string) {
			if len(q.Events) > fits {
				return http.StatusRequestEntityTooLarge, "too-large"
			}
			return 0, ""
		}
		h.answer = func(q wire.PollRequest, a *wire.PollAnswer) {
			for _, e := range q.Events {
				arrived[e.Sequence] = true
				a.ReceivedThrough = e.Sequence
			}
			a.Journal, a.SafeThrough = q.Journal, a.ReceivedThrough
		}
	})
	d.poll()
	d.house.set(func(*house) { clear(arrived) })
	list := make([]dormer.Event, events)
	for i := range list {
		list[i] = event.New(event.ClockSetBack, d.now(), time.Duration(i).String())
	}
	if _, err := d.agent.journal.Append(list...); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		_ = d.agent.pollNow(t.Context())
		if d.agent.journal.Len() == 0 {
			break
		}
	}
	if len(arrived) < events || d.agent.journal.Len() > 0 {
		t.Errorf("%d events have arrived and %d wait, want all", len(arrived), d.agent.journal.Len())
	}
}

// TestEventLoop tells of the same over and over: few are written, and all are
// counted.
func TestEventLoop(t *testing.T) {
	d := newDesk(t)
	count, rows := 0, 0
	d.house.set(func(h *house) {
		h.answer = func(q wire.PollRequest, a *wire.PollAnswer) {
			for _, e := range q.Events {
				a.ReceivedThrough = e.Sequence
				if event.Code(e.Event.Code) == event.ArrangeFailed {
					rows++
					count += max(1, e.Event.Count)
				}
			}
			a.Journal, a.SafeThrough = q.Journal, a.ReceivedThrough
		}
	})
	for range 500 {
		d.agent.tell(event.New(event.ArrangeFailed, d.now(), "the same"), nil)
	}
	d.stop() // writes what was counted
	d.start()
	d.poll()
	if count != 500 || rows != 4 {
		t.Errorf("%d are counted in %d events, want 500 in 4", count, rows)
	}
}

// TestPollTellsClock sends what the wall clock shows, not what the agent
// believes, and logs what the server refuses without sending it again.
func TestPollTellsClock(t *testing.T) {
	d := newDesk(t)
	d.poll()
	d.mu.Lock()
	d.passed -= time.Hour
	d.mu.Unlock()
	var told wire.PollRequest
	d.house.set(func(h *house) {
		now := h.now()
		h.now = func() time.Time { return now.Add(2 * time.Hour) }
		h.answer = func(q wire.PollRequest, a *wire.PollAnswer) {
			told = q
			if n := len(q.Events); n > 0 {
				a.Journal, a.ReceivedThrough, a.SafeThrough = q.Journal, q.Events[n-1].Sequence, q.Events[n-1].Sequence
				a.RefusedEvents = []wire.RefusedEvent{{Sequence: q.Events[0].Sequence, Field: "time", Reason: "is wrong"}}
			}
		}
	})
	d.poll()
	d.poll()
	if off := told.Clock.Sub(d.now()).Abs(); off > time.Minute {
		t.Errorf("the clock that was told is %v off the wall clock", off)
	}
	if len(told.Events) > 0 {
		t.Errorf("sent again: %v", sequences(told))
	}
}
