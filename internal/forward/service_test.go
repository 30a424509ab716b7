package forward_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/forward"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/store/fresh"
	"github.com/dormer-project/dormer/internal/wire"
)

// receiver keeps what it is sent, unless it shall fail.
type receiver struct {
	mu     sync.Mutex // guards the fields below
	fails  error
	most   int // events at once; 0: any number
	got    []string
	closed int
}

func (r *receiver) Send(_ context.Context, _ dormer.InstanceID, rows []event.Row) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.fails != nil:
		return r.fails
	case r.most > 0 && len(rows) > r.most:
		return fmt.Errorf("too many: %w", dormer.ErrTooLarge)
	}
	for _, row := range rows {
		r.got = append(r.got, row.Description)
	}
	return nil
}

func (r *receiver) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed++
	return nil
}

func (r *receiver) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fails = err
}

// take returns what arrived since the last time.
func (r *receiver) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

// house forwards from a real database, in a bubble of time.
type house struct {
	t        *testing.T
	events   *store.Events
	service  *forward.Service
	receiver *receiver
	next     uint64

	mu   sync.Mutex // guards told
	told []string
}

func inHouse(t *testing.T, test func(t *testing.T, h *house)) {
	dir := t.TempDir()
	fresh.Lay(t, dir)
	synctest.Test(t, func(t *testing.T) {
		h := &house{t: t, receiver: &receiver{}}
		var err error
		if h.events, err = store.OpenEvents(t.Context(), "sqlite:"+filepath.Join(dir, "events.db"), store.Options{}); err != nil {
			t.Fatal(err)
		}
		defer h.events.Close()
		h.make(forward.Filter{}, 0)
		test(t, h)
	})
}

// make makes the service anew, as a restart does.
func (h *house) make(f forward.Filter, kept time.Duration) {
	h.service = forward.New(forward.Config{
		Instance: "i", Events: h.events, Targets: []forward.Target{{Name: "r", Filter: f, Receiver: h.receiver}}, Kept: kept,
		Tell: func(code event.Code, detail string) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.told = append(h.told, fmt.Sprintf("%d %s", code, detail))
		},
		Now: time.Now, Random: rand.Reader, Logger: slog.New(slog.DiscardHandler),
	})
}

func (h *house) during(f func()) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan error, 1)
	go func() { done <- h.service.Run(ctx) }()
	h.pass(time.Second)
	f()
	cancel()
	if err := <-done; err != nil {
		h.t.Error(err)
	}
}

func (h *house) pass(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

// happens stores n events of a code and returns their texts.
func (h *house) happens(code event.Code, n int) []string {
	h.t.Helper()
	var texts []string
	for n > 0 {
		b := event.Batch{Instance: "i", Client: "c", Journal: "j", Received: time.Now().UTC()}
		for range min(n, wire.MaxEventsPerPoll) {
			h.next++
			e := event.New(code, time.Now(), fmt.Sprint(h.next))
			texts = append(texts, e.Description)
			b.Events = append(b.Events, wire.NumberedEvent{Sequence: h.next, Event: e})
			n--
		}
		if _, err := h.events.AppendEvents(h.t.Context(), []event.Batch{b}); err != nil {
			h.t.Fatal(err)
		}
	}
	h.service.Wake()
	return texts
}

func (h *house) arrives(want []string) {
	h.t.Helper()
	if diff := cmp.Diff(want, h.receiver.take()); diff != "" {
		h.t.Errorf("arrived (-want +got):\n%s", diff)
	}
}

func (h *house) tells(want ...string) {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if diff := cmp.Diff(want, h.told); diff != "" {
		h.t.Errorf("told (-want +got):\n%s", diff)
	}
	h.told = nil
}

func TestInOrder(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.happens(event.WorkspaceFailed, 50) // before it was configured
		h.during(func() {
			h.arrives(nil)
			want := h.happens(event.WorkspaceFailed, 1000)
			h.pass(time.Second)
			h.arrives(want)
		})
		want := h.happens(event.WorkspaceStarted, 300) // while the server is down
		h.make(forward.Filter{}, 0)
		h.during(func() { h.arrives(want) })
		h.make(forward.Filter{}, 0)
		h.during(func() { h.arrives(nil) })
		h.tells()
		if h.receiver.closed != 3 {
			t.Errorf("closed %d times", h.receiver.closed)
		}
	})
}

func TestFails(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		down := fmt.Errorf("no answer: %w", dormer.ErrUnavailable)
		var want []string
		h.during(func() {
			h.receiver.fail(down)
			want = h.happens(event.WorkspaceFailed, 10)
			h.pass(30 * time.Second)
			h.tells() // not at once
			h.pass(time.Hour)
			h.tells("840 r: no answer") // and not again
			if s := h.service.Receivers(); !s[0].Failing || s[0].Sent != 0 || s[0].Behind < time.Hour || s[0].Behind > 2*time.Hour {
				t.Errorf("state %+v", s)
			}
			want = append(want, h.happens(event.WorkspaceStarted, 500)...)
		})
		h.make(forward.Filter{}, 0)
		h.during(func() {
			h.pass(10 * time.Minute)
			h.tells() // nor after a restart
			h.receiver.fail(nil)
			h.pass(6 * time.Minute)
			h.arrives(want)
			h.tells("841 r")
			if s := h.service.Receivers(); s[0].Failing || s[0].Sent != 510 || s[0].Behind != 0 {
				t.Errorf("state %+v", s)
			}
			h.receiver.fail(&forward.LaterError{Reason: "busy", After: 30 * time.Minute})
			want := h.happens(event.WorkspaceFailed, 1)
			h.pass(time.Minute)
			h.receiver.fail(nil)
			h.pass(28 * time.Minute)
			h.arrives(nil)
			h.pass(2 * time.Minute)
			h.arrives(want)
		})
	})
}

// TestTooMany sends less at once to who cannot take as much.
func TestTooMany(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.receiver.most = 7
		h.during(func() {
			want := h.happens(event.WorkspaceFailed, 500)
			h.pass(time.Second)
			h.arrives(want)
		})
	})
}

func TestFilter(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.make(forward.Filter{Severities: []dormer.Severity{dormer.Error}, Codes: []int{int(event.WorkspaceFailed), int(event.WorkspaceStarted)}}, 0)
		h.during(func() {
			h.happens(event.WorkspaceStarted, 1) // no error
			h.happens(event.ImageFailed, 1)      // another code
			want := h.happens(event.WorkspaceFailed, 1)
			want = append(want, h.happens(event.AlertRaised, 1)...)
			want = append(want, h.happens(event.AlertCleared, 1)...)
			h.pass(time.Second)
			h.arrives(want)
		})
	})
}

// TestLeftOut tells of what was removed while the receiver was away, once.
func TestLeftOut(t *testing.T) {
	const kept = 2 * time.Hour
	inHouse(t, func(t *testing.T, h *house) {
		h.make(forward.Filter{}, kept)
		h.during(func() {
			h.pass(kept + time.Hour) // nothing happens, and nothing is lacking
			h.tells()
		})
		h.happens(event.WorkspaceFailed, 5)
		h.pass(2 * kept) // the server is down
		want := h.happens(event.WorkspaceStarted, 5)
		if _, err := h.events.DeleteEventsBefore(t.Context(), "i", time.Now().Add(-kept)); err != nil {
			t.Fatal(err)
		}
		h.make(forward.Filter{}, kept)
		h.during(func() {
			h.arrives(want)
			h.mu.Lock()
			if len(h.told) != 1 || !strings.HasPrefix(h.told[0], "842 r was away for longer than events are kept; it lacks those received from ") {
				t.Errorf("told %q", h.told)
			}
			h.told = nil
			h.mu.Unlock()
			h.pass(time.Hour)
			h.tells()
		})
	})
}

// TestTurns forwards from two servers: each event arrives once, and when the one
// is gone the other goes on.
func TestTurns(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		other := &receiver{}
		run := func(holder string, r *receiver) (stop func()) {
			s := forward.New(forward.Config{
				Instance: "i", Events: h.events, Turns: turns{h.events}, Holder: holder, Targets: []forward.Target{{Name: "r", Receiver: r}},
				Tell: func(event.Code, string) {}, Now: time.Now, Random: rand.Reader, Logger: slog.New(slog.DiscardHandler),
			})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- s.Run(ctx) }()
			h.pass(10 * time.Second)
			return func() {
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		}
		stopFirst := run("first", h.receiver)
		stopOther := run("other", other)
		want := h.happens(event.WorkspaceFailed, 10)
		h.pass(10 * time.Second)
		h.arrives(want)
		stopFirst()
		want = h.happens(event.WorkspaceFailed, 10)
		h.pass(30 * time.Second)
		h.arrives(nil)
		if diff := cmp.Diff(want, other.take()); diff != "" {
			t.Errorf("arrived at the other (-want +got):\n%s", diff)
		}
		stopOther()
	})
}

// turns are those of the database by the clock of the bubble.
type turns struct{ *store.Events }

func (s turns) TakeTurn(ctx context.Context, i dormer.InstanceID, name, holder string, length time.Duration) (bool, error) {
	_, has, err := s.Position(ctx, i, "turn: "+name)
	if err != nil && !errors.Is(err, dormer.ErrNotFound) {
		return false, err
	}
	until, _, err := s.Position(ctx, i, "until: "+name)
	if err != nil && !errors.Is(err, dormer.ErrNotFound) {
		return false, err
	}
	now := time.Now().UnixMicro()
	if string(has) != holder && until > now {
		return false, nil
	}
	if err := s.SetPosition(ctx, i, "turn: "+name, 0, []byte(holder)); err != nil {
		return false, err
	}
	return true, s.SetPosition(ctx, i, "until: "+name, now+length.Microseconds(), nil)
}
