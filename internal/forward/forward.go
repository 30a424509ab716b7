// Package forward hands stored events to receivers elsewhere, webhooks and syslog
// servers: in their order, at least once, from a position of each receiver that
// outlives the server. Alerts go the same way, as events. It belongs to the server.
package forward

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

// Times and limits of forwarding.
const (
	turnName = "forwarding"
	// page is how many events are handed over at once.
	page = 200
	// followInterval is when events are looked for that another server stored.
	followInterval = 3 * time.Second
	// gatherTime lets the events of some commits come together.
	gatherTime = 200 * time.Millisecond
	// sendTime is how long a receiver may take for one page.
	sendTime = time.Minute
	// firstPause and longestPause are between attempts that failed.
	firstPause   = time.Second
	longestPause = 5 * time.Minute
	// failingAfter is when a receiver that fails is told of.
	failingAfter = time.Minute
	// idleSave and longestIdle are how often it is stored how far a receiver has
	// come, while there is nothing for it.
	idleSave    = 10 * time.Second
	longestIdle = time.Hour
)

// Receiver takes events. It is used by one goroutine at a time.
type Receiver interface {
	// Send hands events over and returns nil when the receiver has all of them, as
	// far as that can be known; after an error all are sent again. A *LaterError
	// says when; ErrTooLarge that fewer should be sent at once.
	Send(ctx context.Context, i dormer.InstanceID, rows []event.Row) error
	// Close ends connections. Send may be called again.
	Close() error
}

// LaterError is an ErrUnavailable of a receiver that says when to come back.
type LaterError struct {
	Reason string
	After  time.Duration
}

func (e *LaterError) Error() string { return e.Reason }

// Is makes a *LaterError match dormer.ErrUnavailable.
func (e *LaterError) Is(target error) bool { return target == dormer.ErrUnavailable }

// Filter selects events. What is empty selects nothing out. Alerts pass every
// filter: whoever is told of events is told of them.
type Filter struct {
	Severities []dormer.Severity
	Codes      []int
}

// alerts are the events of alerts.
var alerts = []event.Code{event.AlertRaised, event.SeriousAlertRaised, event.AlertAcknowledged, event.AlertCleared}

// Passes reports whether an event is forwarded.
func (f Filter) Passes(e dormer.Event) bool {
	if slices.Contains(alerts, event.Code(e.Code)) {
		return true
	}
	return (len(f.Severities) == 0 || slices.Contains(f.Severities, e.Severity)) &&
		(len(f.Codes) == 0 || slices.Contains(f.Codes, e.Code))
}

// Target is a receiver and what goes to it.
type Target struct {
	// Name is that of the configuration. How far the receiver has come is stored
	// under it.
	Name     string
	Filter   Filter
	Receiver Receiver
}

// Config is what forwarding works with. All fields are needed unless they say
// otherwise.
type Config struct {
	Instance dormer.InstanceID
	Events   event.Follower
	// Turns lets one server of the instance at a time forward; nil where there is
	// one only.
	Turns  event.Turns
	Holder string
	// Targets have names of their own each.
	Targets []Target
	// Kept is how long events are kept before they are removed; 0: for good.
	Kept time.Duration
	// Tell reports an event of the server.
	Tell   func(code event.Code, detail string)
	Now    func() time.Time
	Random io.Reader
	Logger *slog.Logger
}

// Service forwards events. It is safe for concurrent use.
type Service struct {
	cfg     Config
	workers []*worker
}

// New returns the service; nothing is sent before Run.
func New(cfg Config) *Service {
	s := &Service{cfg: cfg}
	for _, t := range cfg.Targets {
		s.workers = append(s.workers, &worker{cfg: &s.cfg, target: t, wake: make(chan struct{}, 1)})
	}
	return s
}

// Wake says that events were stored. It does not block.
func (s *Service) Wake() {
	for _, w := range s.workers {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// ReceiverState says how a receiver is.
type ReceiverState struct {
	Name string
	// Failing says that it has taken nothing for so long that it was told.
	Failing bool
	// Sent counts the events that it took since the server started.
	Sent int64
	// Behind is how old the newest event is that it has, while it lacks others;
	// zero: it has all.
	Behind time.Duration
}

// Receivers returns the state of all, in the order of the configuration. On a
// server whose turn it is not, they are as they were when it last was.
func (s *Service) Receivers() []ReceiverState {
	list := make([]ReceiverState, len(s.workers))
	for i, w := range s.workers {
		list[i] = w.state()
	}
	return list
}

// Run forwards events until ctx ends, while it is this server's turn.
func (s *Service) Run(ctx context.Context) error {
	if len(s.workers) == 0 {
		<-ctx.Done()
		return nil
	}
	if s.cfg.Turns == nil {
		return s.run(ctx)
	}
	return event.InTurn(ctx, s.cfg.Turns, s.cfg.Instance, turnName, s.cfg.Holder, s.run)
}

func (s *Service) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, len(s.workers))
	var all sync.WaitGroup
	for i, w := range s.workers {
		all.Go(func() {
			defer stop() // all begin again together
			errs[i] = w.run(ctx)
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// worker serves one receiver.
type worker struct {
	cfg    *Config
	target Target
	wake   chan struct{}

	// of the goroutine that runs:
	position int64
	saved    time.Time // when the position was stored
	moved    bool      // since then
	away     bool      // the database, as was logged

	mu      sync.Mutex // guards the fields below
	kept    keptState
	sent    int64
	lacking bool
}

// keptState is stored with the position.
type keptState struct {
	// Failing: it was told that the receiver fails.
	Failing bool `json:"failing,omitempty"`
	// Reached is up to which time of receipt, in microseconds, the receiver has
	// all events.
	Reached int64 `json:"reached"`
}

func (w *worker) state() ReceiverState {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := ReceiverState{Name: w.target.Name, Failing: w.kept.Failing, Sent: w.sent}
	if w.lacking {
		s.Behind = max(w.cfg.Now().Sub(time.UnixMicro(w.kept.Reached)), time.Microsecond)
	}
	return s
}

func (w *worker) reached() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.UnixMicro(w.kept.Reached).UTC()
}

func (w *worker) reach(t time.Time, lacking bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept.Reached, w.lacking = t.UnixMicro(), lacking
}

func (w *worker) positionName() string { return "forward: " + w.target.Name }

func (w *worker) run(ctx context.Context) error {
	defer w.target.Receiver.Close()
	if err := w.load(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	follow := time.NewTicker(followInterval)
	defer follow.Stop()
	gather := time.NewTimer(0)
	defer gather.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
			gather.Reset(gatherTime)
			continue
		case <-gather.C:
		case <-follow.C:
		}
		err := w.forward(ctx)
		if ctx.Err() != nil {
			return nil
		}
		away := err != nil
		if away && !errors.Is(err, dormer.ErrUnavailable) && !errors.Is(err, dormer.ErrFull) {
			return err
		}
		if away && !w.away {
			w.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "forwarding waits for the database",
				slog.String("receiver", w.target.Name), slog.String("error", err.Error()))
		}
		w.away = away
	}
}

// load goes on where the receiver was left; a new one begins with what is stored
// from now on.
func (w *worker) load(ctx context.Context) error {
	position, state, err := w.cfg.Events.Position(ctx, w.cfg.Instance, w.positionName())
	var kept keptState
	switch {
	case errors.Is(err, dormer.ErrNotFound):
		if position, err = w.cfg.Events.End(ctx); err != nil {
			return fmt.Errorf("find where to begin forwarding: %w", err)
		}
		kept.Reached = w.cfg.Now().UnixMicro()
	case err != nil:
		return fmt.Errorf("find where forwarding goes on: %w", err)
	default:
		if json.Unmarshal(state, &kept) != nil {
			kept = keptState{Reached: w.cfg.Now().UnixMicro()}
		}
	}
	w.mu.Lock()
	w.kept = kept
	w.mu.Unlock()
	w.position, w.moved = position, true
	return w.save(ctx, true)
}

// save stores how far the receiver has come: when asked to, else now and then.
func (w *worker) save(ctx context.Context, now bool) error {
	at := w.cfg.Now()
	since := at.Sub(w.saved)
	if !now && since >= 0 && since < longestIdle && (!w.moved || since < idleSave) {
		return nil
	}
	w.mu.Lock()
	b, err := json.Marshal(w.kept)
	w.mu.Unlock()
	if err != nil {
		return fmt.Errorf("encode how far forwarding has come: %w", err)
	}
	if err := w.cfg.Events.SetPosition(ctx, w.cfg.Instance, w.positionName(), w.position, b); err != nil {
		return err
	}
	w.saved, w.moved = at, false
	return nil
}

// forward hands over all that was stored since.
func (w *worker) forward(ctx context.Context) error {
	for {
		asked := w.cfg.Now()
		rows, next, err := w.cfg.Events.Follow(ctx, w.cfg.Instance, w.position, page)
		if err != nil {
			return fmt.Errorf("follow events for %s: %w", w.target.Name, err)
		}
		w.leftOut(rows, asked)
		selected := slices.DeleteFunc(slices.Clone(rows), func(r event.Row) bool { return !w.target.Filter.Passes(r.Event) })
		if len(selected) > 0 {
			w.reach(w.reached(), true)
			if err := w.send(ctx, selected); err != nil {
				return err
			}
		}
		w.moved = w.moved || next != w.position
		w.position = next
		all := len(rows) < page
		if all {
			w.reach(asked, false)
		} else {
			w.reach(rows[len(rows)-1].Received, true)
		}
		if err := w.save(ctx, len(selected) > 0); err != nil {
			return err
		}
		if all {
			return nil
		}
	}
}

// leftOut tells of events that were removed before the receiver took them.
func (w *worker) leftOut(rows []event.Row, now time.Time) {
	if w.cfg.Kept == 0 {
		return
	}
	from, removed := w.reached(), now.Add(-w.cfg.Kept)
	if !removed.After(from) {
		return
	}
	if len(rows) > 0 && rows[0].Received.Before(removed) {
		removed = rows[0].Received // not removed yet
		if !removed.After(from) {
			return
		}
	}
	w.reach(removed, true)
	w.cfg.Tell(event.ForwardLeftOut, fmt.Sprintf("%s was away for longer than events are kept; it lacks those received from %s to %s",
		w.target.Name, from.Format(time.RFC3339), removed.UTC().Format(time.RFC3339)))
}

// send hands events over, however long that takes; it returns an error only when
// ctx ends or the database is away.
func (w *worker) send(ctx context.Context, rows []event.Row) error {
	began := w.cfg.Now()
	pause := firstPause
	most := len(rows)
	for len(rows) > 0 {
		n := min(most, len(rows))
		err := w.attempt(ctx, rows[:n])
		switch {
		case err == nil:
			rows = rows[n:]
			pause, began = firstPause, w.cfg.Now()
			w.works(n)
			continue
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, dormer.ErrTooLarge) && n > 1:
			most = n / 2
			continue
		}
		if w.cfg.Now().Sub(began) >= failingAfter && w.fails(err) {
			if err := w.save(ctx, true); err != nil { // so that a restart does not tell it again
				return err
			}
		}
		wait := w.jitter(pause)
		if later, ok := errors.AsType[*LaterError](err); ok {
			wait = max(wait, later.After)
		}
		w.cfg.Logger.LogAttrs(ctx, slog.LevelDebug, "a receiver did not take events",
			slog.String("receiver", w.target.Name), slog.Int("events", n), slog.String("error", err.Error()), slog.Duration("pause", wait))
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		pause = min(2*pause, longestPause)
	}
	return nil
}

func (w *worker) attempt(ctx context.Context, rows []event.Row) error {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	return w.target.Receiver.Send(ctx, w.cfg.Instance, rows)
}

// jitter returns between half of d and all of it, so that servers that failed
// together do not come back together.
func (w *worker) jitter(d time.Duration) time.Duration {
	var b [8]byte
	if _, err := io.ReadFull(w.cfg.Random, b[:]); err != nil {
		return d
	}
	part := new(big.Int).SetBytes(b[:])
	return d/2 + time.Duration(part.Mod(part, big.NewInt(int64(d/2)+1)).Int64())
}

// fails tells, once, that the receiver takes nothing, and reports whether it did.
func (w *worker) fails(err error) bool {
	w.mu.Lock()
	told := w.kept.Failing
	w.kept.Failing = true
	w.mu.Unlock()
	if !told {
		w.cfg.Tell(event.ForwardFails, w.target.Name+": "+dormer.Plain(err))
	}
	return !told
}

// works counts what was taken, and tells that the receiver works again if it was
// told that it does not.
func (w *worker) works(n int) {
	w.mu.Lock()
	told := w.kept.Failing
	w.kept.Failing = false
	w.sent += int64(n)
	w.mu.Unlock()
	if told {
		w.cfg.Tell(event.ForwardWorks, w.target.Name)
	}
}
