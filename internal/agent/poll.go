package agent

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire"
)

// pollState is how polling goes. It is guarded by Agent.mu.
type pollState struct {
	next     time.Time // by the wall clock, for people
	problem  string    // of the last poll; "" when it succeeded
	told     string    // the last problem that an event told of
	refused  []string  // why the last leases and orders, at most maxRefused, did not count
	answered bool      // since the start
	interval time.Duration
	zone     string // of the instance
	failures int
	// alone is how long ago the last signed answer was at the last poll that
	// failed, by the boot clock; 0 after one that succeeded.
	alone time.Duration
	// superseded says that the last answer was of an epoch that is over.
	superseded bool
	// received is the watermark up to which the server has the journal's
	// events, though perhaps not yet for good; of is the journal it is about.
	received uint64
	of       dormer.JournalID
	// take bounds the events of one poll. It shrinks when the server refuses a
	// poll as invalid or too large, down to takeNone: if that is accepted, the next
	// event is to blame and is passed over. It grows again with each that is taken.
	take int
	// notices are why machines that were never here are not given.
	notices map[dormer.MachineID]string
}

// Bounds of what a server asks for, beside those of package wire.
const (
	minDelay    = 50 * time.Millisecond
	maxDelay    = time.Hour
	nonceLength = 16
	// maxEventBytes leaves room for the rest of a request.
	maxEventBytes = wire.MaxBody * 3 / 4
)

// errNotEnrolled is what a client answers that has no instance yet.
var errNotEnrolled = fmt.Errorf("this computer is not enrolled; ask your administrator for a join token and run 'dormer enrol': %w", dormer.ErrUnavailable)

// pollLoop polls when it is time, and at once when asked.
func (a *Agent) pollLoop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var asked []chan error
		select {
		case <-ctx.Done():
			return
		case c := <-a.polls:
			asked = append(asked, c)
		case <-timer.C:
		}
		delay, err := a.pollOnce(ctx)
		for _, c := range asked {
			c <- err
		}
		a.mu.Lock()
		a.poll.next = time.Now().Add(delay)
		a.mu.Unlock()
		timer.Reset(delay)
	}
}

// pollNow polls at once and returns the result.
func (a *Agent) pollNow(ctx context.Context) error {
	c := make(chan error, 1)
	select {
	case a.polls <- c:
	case <-ctx.Done():
		return ctx.Err()
	case <-a.ctx.Done():
		return fmt.Errorf("the agent is stopping: %w", dormer.ErrUnavailable)
	}
	select {
	case err := <-c:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pollOnce polls and returns when to do it again.
func (a *Agent) pollOnce(ctx context.Context) (time.Duration, error) {
	a.changing.Lock()
	defer a.changing.Unlock()
	a.mu.Lock()
	t, link := a.trust, a.link
	a.mu.Unlock()
	if t == nil {
		return maxDelay, errNotEnrolled
	}
	request, reported, err := a.request(t)
	if err != nil {
		return a.failed(err), err
	}
	var answer wire.PollAnswer
	accepted := t
	err = link.Poll(ctx, request, func(e seal.Envelope) error {
		var err error
		answer, accepted, err = verify(t, request, e)
		return err
	})
	if err != nil {
		return a.failed(err), err
	}
	if err := a.apply(ctx, accepted, answer, reported); err != nil {
		return a.failed(err), err
	}
	a.deliveriesTaken(request.Deliveries[:min(max(answer.DeliveriesTaken, 0), len(request.Deliveries))])
	return a.succeeded(answer, len(request.Events)), nil
}

// request puts together what the client has. reported are the orders whose
// results are in it.
func (a *Agent) request(t *trust) (wire.PollRequest, []string, error) {
	nonce := make([]byte, nonceLength)
	if _, err := io.ReadFull(a.random, nonce); err != nil {
		return wire.PollRequest{}, nil, fmt.Errorf("make nonce: %w", err)
	}
	reading, host := a.clock.Read(), a.hostNow()
	_, all := a.all()
	slices.SortFunc(all, func(x, y *machine) int { return strings.Compare(string(x.id), string(y.id)) })
	states := make([]wire.MachineState, 0, len(all))
	for _, m := range all[:min(len(all), wire.MaxMachines)] {
		states = append(states, m.report(reading))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	sessions, err := a.users.open(a.key)
	if err != nil {
		return wire.PollRequest{}, nil, err
	}
	r := wire.PollRequest{
		Protocol: wire.ProtocolVersion, Nonce: nonce, AgentVersion: a.cfg.Version, Run: a.run, Host: host, Enforces: enforces,
		KeySet: t.keys.Version, Epoch: t.Epoch, Sessions: sessions, Machines: states, KeysTag: a.sealed.Tag,
		Clock: a.time.Wall(),
	}
	if a.poll.superseded {
		r.EpochProof = &t.KeySet
	}
	r.OrdersRun = a.orders.results()
	reported := make([]string, len(r.OrdersRun))
	for i, o := range r.OrdersRun {
		reported[i] = o.Order
	}
	r.Deliveries = slices.Clone(a.deliveries.Waiting[:min(len(a.deliveries.Waiting), wire.MaxDeliveries)])
	return r, reported, a.addEvents(&r)
}

// addEvents takes events from the journal; the caller holds mu.
func (a *Agent) addEvents(r *wire.PollRequest) error {
	if a.poll.take == 0 {
		a.poll.take = wire.MaxEventsPerPoll
	}
	above := a.poll.received
	if a.poll.of != a.journal.ID() {
		above = 0
	}
	id, events, err := a.journal.Next(above, a.poll.take)
	if err != nil {
		return err
	}
	r.Journal = id
	size := 0
	for i, e := range events {
		b, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("encode event: %w", err)
		}
		if size += len(b) + 1; size > maxEventBytes {
			events = events[:i]
			break
		}
	}
	r.Events = events
	return nil
}

// report is what the server is told of a machine.
func (m *machine) report(r lease.Reading) wire.MachineState {
	now := m.rec.Snapshot()
	m.mu.Lock()
	defer m.mu.Unlock()
	s := wire.MachineState{
		Machine: m.record.Machine, State: string(now.State), Detail: now.Detail, Image: m.image(), Guest: m.status.Guest.Hostname,
	}
	if m.judged.Verdict != lease.Allowed && s.Detail == "" {
		s.Detail = m.judged.String()
	}
	s.Locked, s.AtNextStart = m.record.Lock != nil, fieldsOf(m.waiting)
	if m.lease != nil {
		s.PolicyRevision = m.lease.PolicyRevision
	}
	if m.policy != nil {
		s.NotEnforced = fieldsOf(m.policy.NotEnforced())
	}
	if m.record.Lease != nil && m.lease != nil {
		s.Serial = m.lease.Serial
		s.BudgetUsed = int64(lease.BudgetUsed(*m.lease, r) / time.Second)
	}
	s.Detail, s.Guest = cut(s.Detail, maxDetailText), cut(s.Guest, maxGuestText)
	return s
}

// failed notes a poll that did not succeed and returns the pause.
func (a *Agent) failed(err error) time.Duration {
	alone := a.clock.Sure().Elapsed
	a.mu.Lock()
	a.poll.alone = alone
	a.poll.failures++
	a.poll.problem = err.Error()
	_, fromServer := errors.AsType[*problem.Error](err)
	a.poll.superseded = errors.Is(err, dormer.ErrFenced) && !fromServer
	delay := pause(a.poll.failures, err)
	tell := a.poll.told != a.poll.problem
	if errors.Is(err, dormer.ErrInvalid) || fromServer && errors.Is(err, dormer.ErrTooLarge) {
		if a.poll.take > 1 {
			delay = wire.FirstRetry // fewer events may do
		}
		a.poll.take = fewer(a.poll.take)
	}
	code := problemEvent(err)
	if code != 0 {
		a.poll.told = a.poll.problem
	}
	a.mu.Unlock()
	if code != 0 && tell {
		a.tell(event.New(code, a.now(), err.Error()), nil)
	}
	if said, ok := errors.AsType[*problem.Error](err); ok && said.Kind == kindDenied {
		a.revoked(said.Error())
	}
	return min(a.jitter(delay), maxDelay)
}

// kindDenied is the problem with which a server refuses a client for good.
const kindDenied = "denied"

// pause is how long to wait after so many failures in a row, the last of them
// err: what the server asks for, else longer each time.
func pause(failures int, err error) time.Duration {
	if said, ok := errors.AsType[*problem.Error](err); ok {
		switch {
		case said.Kind == kindDenied:
			return wire.LongestRetry
		case said.RetryAfter() > 0:
			return min(said.RetryAfter(), maxDelay)
		}
	}
	return min(wire.FirstRetry<<min(failures-1, 10), wire.LongestRetry)
}

// problemEvent is the event that tells of a poll's failure; 0 for those that
// tell nothing, such as a server that is away.
func problemEvent(err error) event.Code {
	said, fromServer := errors.AsType[*problem.Error](err)
	switch {
	case fromServer && errors.Is(said, dormer.ErrUnsupported) && said.Kind != "":
		return event.AgentTooOld
	case fromServer:
		return 0
	case errors.Is(err, dormer.ErrFenced):
		return event.EpochRefused
	case errors.Is(err, dormer.ErrCorrupt), errors.Is(err, dormer.ErrDenied), errors.Is(err, dormer.ErrUnsupported):
		return event.AnswerRefused
	}
	return 0
}

// jitter keeps clients that failed together from coming back together: up to
// one part in wire.RetrySpread is added.
func (a *Agent) jitter(d time.Duration) time.Duration {
	n, err := rand.Int(a.random, big.NewInt(int64(d/wire.RetrySpread)+1))
	if err != nil {
		return d
	}
	return d + time.Duration(n.Int64())
}

// succeeded notes a poll that succeeded and returns the pause.
func (a *Agent) succeeded(answer wire.PollAnswer, sent int) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := &a.poll
	full := sent >= p.take || p.take == takeNone
	p.failures, p.alone, p.problem, p.told, p.answered, p.superseded = 0, 0, "", "", true, false
	if p.take == takeNone {
		a.passOver()
	}
	p.take = min(2*max(p.take, 1), wire.MaxEventsPerPoll)
	p.interval = time.Duration(answer.IntervalMillis) * time.Millisecond
	p.zone = answer.TimeZone
	delay := min(max(time.Duration(answer.NextPollMillis)*time.Millisecond, minDelay), maxDelay)
	if full && answer.Journal != "" {
		delay = min(delay, wire.MoreDelay)
	}
	return delay
}

// takeNone is a poll without events.
const takeNone = -1

// fewer is how many events the next poll takes after one was refused.
func fewer(take int) int {
	switch {
	case take == takeNone:
		return 1 // it was not the events
	case take <= 1:
		return takeNone
	default:
		return take / 2
	}
}

// passOver leaves out the one event that the server refuses; the caller holds
// mu.
func (a *Agent) passOver() {
	id, events, err := a.journal.Next(a.poll.received, 1)
	if err != nil || len(events) == 0 {
		return
	}
	a.poll.received, a.poll.of = events[0].Sequence, id
	a.log.LogAttrs(a.ctx, slog.LevelError, "the server refuses an event; it is left out",
		slog.Int("code", events[0].Event.Code), slog.Uint64("sequence", events[0].Sequence))
}

// logError logs what went wrong while an answer was applied and is made up for
// by a later poll.
func (a *Agent) logError(ctx context.Context, what string, err error) {
	if err != nil {
		a.log.LogAttrs(ctx, slog.LevelError, "an answer was not applied in full", slog.String("part", what), slog.Any("error", err))
	}
}
