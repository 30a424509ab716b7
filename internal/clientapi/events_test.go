package clientapi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/store/storetest"
	"github.com/dormer-project/dormer/internal/wire"
)

// sendWith sends a poll whose events are those bytes.
func (c *client) sendWith(t *testing.T, events string) (wire.PollAnswer, error) {
	t.Helper()
	q := c.request()
	q.Journal, q.Events = "journal-1", numbered(99)
	body := must(json.Marshal(q))(t)
	marked := must(json.Marshal(q.Events))(t)
	body = bytes.Replace(body, marked, []byte(events), 1)
	var e seal.Envelope
	if err := c.s.post(wire.PathPoll, c.token, body, &e); err != nil {
		return wire.PollAnswer{}, err
	}
	return c.accept(q, e)
}

// TestEventsOfAnEarlierEpoch has a server that took over without the last events
// that the one before had received: what a client sends above those must not
// pass over them.
func TestEventsOfAnEarlierEpoch(t *testing.T) {
	s, c, _ := ready(t)
	send := func(seqs ...uint64) wire.PollAnswer {
		t.Helper()
		q := c.request()
		q.Journal, q.Events = "journal-1", numbered(seqs...)
		return must(c.send(q))(t)
	}
	if a := send(1, 2, 3); a.ReceivedThrough != 3 {
		t.Fatalf("received through %d, want 3", a.ReceivedThrough)
	}
	_ = errors.Join(s.state.Close(), s.events.Close())
	s.epoch++
	s.start()
	// 4 and 5 were received by the server that is lost.
	if a := send(6, 7); a.Epoch != s.epoch || a.Journal != "journal-1" || a.ReceivedThrough != 3 || a.SafeThrough != 3 {
		t.Errorf("epoch %d has %d of the journal, %d safe; want 3", a.Epoch, a.ReceivedThrough, a.SafeThrough)
	}
	if a := send(4, 5, 6, 7); a.ReceivedThrough != 7 {
		t.Errorf("received through %d, want 7", a.ReceivedThrough)
	}
	if all := storetest.Rows(t, s.events, s.instance); len(all) != 7 {
		t.Errorf("%d events are stored, want 7", len(all))
	}
}

// TestMalformedEvents sends events that are no events among others: each is
// named, the others are stored, and the journal goes on behind them.
func TestMalformedEvents(t *testing.T) {
	s, c, _ := ready(t)
	good := string(must(json.Marshal(numbered(5)[0]))(t))
	with := func(seq, e string) string { return `{"seq":` + seq + `,"event":` + e + `}` }
	a, err := c.sendWith(t, "["+strings.Join([]string{
		with("1", `{"code":"seven","severity":"error","time":"2026-11-22T09:00:00Z"}`),
		with("2", `"surely not"`),
		with("3", `{"code":7,"severity":"error","time":"at noon"}`),
		with("4", `null`),
		good,
		with("6", `{"code":7,"severity":"fatal","time":"2026-11-22T09:00:00Z"}`),
		with("7", `{"code":7,"severity":"error","description":"`+strings.Repeat("x", 1001)+`","time":"2026-11-22T09:00:00Z"}`),
	}, ",")+"]")
	if err != nil {
		t.Fatal(err)
	}
	var fields []string
	for i, r := range a.RefusedEvents {
		fields = append(fields, r.Field)
		if want := []uint64{1, 2, 3, 4, 6, 7}[i]; r.Sequence != want || r.Reason == "" || strings.Contains(r.Reason+r.Field, "seven") {
			t.Errorf("refused %+v, want event %d with a reason and without its values", r, want)
		}
	}
	if want := []string{"code", "", "time", "severity", "severity", "description"}; !slices.Equal(fields, want) || a.ReceivedThrough != 7 {
		t.Errorf("fields %q are refused up to %d, want %q up to 7", fields, a.ReceivedThrough, want)
	}
	rows := storetest.Rows(t, s.events, s.instance)
	kinds := make(map[int]int)
	for _, r := range rows {
		kinds[r.Code]++
		if r.Client != c.id {
			t.Errorf("an event of client %q", r.Client)
		}
	}
	if diff := cmp.Diff(map[int]int{1000: 1, int(event.EventRefused): 6}, kinds); diff != "" {
		t.Errorf("stored by code:\n%s", diff)
	}
}

// TestSenselessEvents sends what no event can be taken from: the answer names
// the field, and nothing is stored.
func TestSenselessEvents(t *testing.T) {
	s, c, _ := ready(t)
	for events, field := range map[string]string{
		`[{"seq":2,"event":"x"},{"seq":1,"event":"x"}]`: "events[1].seq",
		`[{"seq":"one","event":{}}]`:                    "events[0].seq",
		`["x"]`:                                         "events[0].seq",
		`[{"event":"x"}]`:                               "events[0].seq",
		`"x"`:                                           "events",
		`[` + strings.Repeat(`"x",`, 500) + `"x"]`:            "events",
		`[{"seq":18446744073709551615,"event":{"code":"x"}}]`: "events[0].seq",
	} {
		_, err := c.sendWith(t, events)
		wantKind(t, err, dormer.ErrInvalid)
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%.40s: %v, want that it names %s", events, err, field)
		}
	}
	if rows := storetest.Rows(t, s.events, s.instance); len(rows) != 0 {
		t.Errorf("stored %+v", rows)
	}
	q := c.request()
	q.Journal, q.Events = "journal-1", numbered(1)
	q.Events[0].Event.Description = strings.Repeat("x", wire.MaxBody)
	_, err := c.send(q)
	wantKind(t, err, dormer.ErrTooLarge)
}

// TestReordered sends what was sent before, in part and after what came later:
// everything is stored once.
func TestReordered(t *testing.T) {
	s, c, _ := ready(t)
	for _, seqs := range [][]uint64{{1, 2, 3}, {3, 4}, {1, 2}, {2, 3, 4, 5, 9}, {6, 7}, {9}} {
		q := c.request()
		q.Journal, q.Events = "journal-1", numbered(seqs...)
		must(c.send(q))(t)
	}
	rows := storetest.Rows(t, s.events, s.instance)
	if len(rows) != 6 { // 6 and 7 came after 9, which no journal does
		t.Errorf("%d events stored, want 1 to 5 and 9", len(rows))
	}
}

// TestFutureEvents keeps the client's time as it is and says when it came.
func TestFutureEvents(t *testing.T) {
	s, c, _ := ready(t)
	q := c.request()
	q.Journal, q.Events = "journal-1", numbered(1)
	q.Events[0].Event.Time = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	must(c.send(q))(t)
	rows := storetest.Rows(t, s.events, s.instance)
	if len(rows) != 1 || rows[0].Time.Year() != 2099 || !rows[0].Received.Equal(s.clock.Now().UTC().Truncate(time.Microsecond)) {
		t.Errorf("stored %+v", rows)
	}
}

// TestClockSkew measures a client's clock, tells once when it is wrong, and
// again when it was right in between.
func TestClockSkew(t *testing.T) {
	s, c, _ := ready(t)
	for _, step := range []struct {
		ahead time.Duration
		told  int
	}{{0, 0}, {4 * time.Minute, 0}, {-6 * time.Minute, 1}, {-7 * time.Minute, 1}, {3 * time.Minute, 1}, {8 * time.Minute, 1}, {time.Minute, 1}, {time.Hour, 2}} {
		s.clock.Add(time.Minute)
		q := c.request()
		q.Clock = s.clock.Now().Add(step.ahead)
		must(c.send(q))(t)
		got := must(s.enroll.Client(t.Context(), c.id))(t)
		if got.ClockAhead == nil || *got.ClockAhead != step.ahead {
			t.Errorf("the clock is ahead by %v, want %v", got.ClockAhead, step.ahead)
		}
		if len(s.told) != step.told {
			t.Errorf("with %v: told %q, want %d", step.ahead, s.told, step.told)
		}
	}
	if len(s.told) == 2 && !strings.Contains(s.told[1], "1h0m0s ahead") {
		t.Errorf("told %q", s.told[1])
	}
	q := c.request() // an agent from before does not tell
	must(c.send(q))(t)
	if err := s.api.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := must(s.state.Client(t.Context(), c.id))(t); got.ClockAhead == nil || *got.ClockAhead != time.Hour {
		t.Errorf("stored: the clock is ahead by %v, want 1h", got.ClockAhead)
	}
	s.told = nil
	_ = s.state.Close()
	_ = s.events.Close()
	s.start()
	q = c.request()
	q.Clock = s.clock.Now().Add(time.Hour)
	must(c.send(q))(t)
	if len(s.told) != 0 {
		t.Errorf("told again after a restart: %q", s.told)
	}
}
