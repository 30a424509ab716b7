package clientapi

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire"
)

// poll answers what changed since the client's last poll.
func (a *API) poll(w http.ResponseWriter, r *http.Request, client dormer.ClientID) error {
	q, malformed, err := a.readPoll(w, r)
	if err != nil {
		return err
	}
	if err := checkPoll(&q); err != nil {
		return err
	}
	if err := enroll.CheckHost(q.Host, q.AgentVersion); err != nil {
		return err
	}
	if q.EpochProof != nil && q.Epoch > a.cfg.Epoch {
		return a.heardOf(r.Context(), client, *q.EpochProof)
	}
	out, busy, err := a.decide(r.Context(), client, &q, malformed, a.cfg.Address(r))
	if err != nil {
		return err
	}
	payload, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	if busy > 0 {
		// The rest of the poll is answered; its events are to come again.
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(busy.Seconds()))))
	}
	return send(w, a.cfg.Answers.Sign(seal.TypeAnswer, payload).Bytes())
}

// decide works out the answer to a poll that came from an address; malformed
// are those of its events that could not be decoded. busy is for
// how long the events of the request should wait because there is no room for
// them; they are not acknowledged then.
func (a *API) decide(ctx context.Context, client dormer.ClientID, q *wire.PollRequest, malformed []wire.RefusedEvent, from string) (out wire.PollAnswer, busy time.Duration, err error) {
	now := a.cfg.Now().UTC().Truncate(time.Microsecond)
	managed, err := a.cfg.Enrollment.Managed(ctx, client)
	if errors.Is(err, dormer.ErrNotFound) {
		// Its token is from before a restore of an older state.
		return out, 0, fmt.Errorf("client %s is not enrolled here: %w", client, dormer.ErrUnauthenticated)
	}
	if err != nil {
		return out, 0, err
	}
	ahead := enroll.AheadOf(q.Clock, now)
	copied := a.cfg.Enrollment.Saw(enroll.Seen{
		Client: client, Time: now, Host: q.Host, AgentVersion: q.AgentVersion, Run: q.Run, Address: from, ClockAhead: ahead,
	})
	if a.cfg.Enrollment.ClockTurnedWrong(client, ahead) && a.cfg.Tell != nil {
		a.cfg.Tell(event.ClientClockWrong, fmt.Sprintf("client %s (%s): %s", q.Host.Name, client, enroll.ClockText(*ahead)))
	}
	if copied != nil {
		a.reportCopy(ctx, *copied, q.AgentVersion, from)
	}
	a.cfg.Issuer.Report(client, q.Machines)
	if len(q.OrdersRun) > 0 {
		if err := a.cfg.Issuer.OrdersRun(ctx, client, q.OrdersRun); err != nil {
			a.fault(ctx, client, "results of orders cannot be recorded", err) // the order is sent again
		}
	}
	out = wire.PollAnswer{
		Protocol: q.Protocol, Instance: a.cfg.Instance, Epoch: a.cfg.Epoch, Client: client, Nonce: q.Nonce,
		IntervalMillis: a.cfg.Interval.Milliseconds(), NextPollMillis: a.next(q.Nonce).Milliseconds(),
		TimeZone: a.cfg.TimeZone, SavePasswords: a.cfg.SavePasswords, Domains: a.cfg.Domains,
	}
	a.takeDeliveries(ctx, client, q.Deliveries, now, &out)
	if set := a.cfg.KeySet(); set.Version > q.KeySet || q.Epoch < a.cfg.Epoch {
		out.KeySet = &set.Signed
	}
	claims, err := a.claims(ctx, client, q, &out)
	if err != nil {
		return out, 0, err
	}
	d, err := a.cfg.Issuer.Decide(ctx, lease.Poll{
		Client: client, Managed: managed, Host: q.Host.Name, Claims: claims, Machines: q.Machines, KeysTag: q.KeysTag,
		Public: func() (seal.ClientPublic, error) {
			identity, err := a.cfg.Enrollment.Identity(ctx, client)
			return identity.Public, err
		},
	})
	if err != nil {
		a.fault(ctx, client, "not all leases could be decided", err)
	}
	a.reportDeletions(ctx, d.Deletions, from)
	out.Leases, out.Withdrawn, out.Orders, out.Keys = d.Leases, d.Withdrawn, d.Orders, d.Keys

	if q.Journal != "" {
		busy, err = a.take(ctx, client, q, malformed, &out)
		if err != nil {
			return out, 0, err
		}
	}
	out.Time = a.cfg.Now().UTC() // last: the client's clock is set by it
	return out, busy, nil
}

// reportDeletions writes down which machines are deleted because of their
// policy, and which would be if somebody confirmed it.
func (a *API) reportDeletions(ctx context.Context, list []lease.Deletion, from string) {
	for _, d := range list {
		action := "machine.delete"
		attrs := []slog.Attr{
			slog.String("machine", string(d.Machine)), slog.String("client", string(d.Client)),
			slog.String("workspace", string(d.Workspace)), slog.String("reason", d.Reason),
		}
		if d.State == lease.DeletionHalted {
			action = "machine.delete-halted"
			a.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "the deletion of a machine by its policy waits for a confirmation; see dormer deletions list", attrs...)
		} else {
			a.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "a machine is deleted by its policy", attrs...)
		}
		detail := fmt.Sprintf("of %s on client %s: %s", d.User, d.Client, d.Reason)
		if d.ConfirmedBy != "" {
			detail += "; confirmed by " + d.ConfirmedBy
		}
		a.keep(ctx, audit.Record{Who: lease.ByPolicy, Action: action, Object: "machine " + string(d.Machine), Detail: detail, Remote: from})
	}
}

// take stores the events of a poll and puts the watermarks into the answer.
func (a *API) take(ctx context.Context, client dormer.ClientID, q *wire.PollRequest, malformed []wire.RefusedEvent, out *wire.PollAnswer) (busy time.Duration, err error) {
	batch := event.Batch{
		Instance: a.cfg.Instance, Client: client, Journal: q.Journal, Events: q.Events, Malformed: malformed,
		Host: q.Host.Name, ClientVersion: q.AgentVersion,
	}
	if q.Epoch < a.cfg.Epoch {
		// The client has left out what a server before this one had received, and
		// not all of that need be here. It learns how far this one is, and sends
		// everything above.
		batch.Events, batch.Malformed = nil, nil
	}
	marks, err := a.cfg.Events.Submit(ctx, batch)
	switch {
	case err == nil:
		out.Journal, out.ReceivedThrough, out.SafeThrough = q.Journal, marks.Received, marks.Safe
		out.RefusedEvents = marks.Refused
		return 0, nil
	case errors.Is(err, dormer.ErrInvalid):
		return 0, err // no correct agent sends it
	case ctx.Err() != nil:
		return 0, fmt.Errorf("store events: %w", dormer.ErrUnavailable)
	}
	busy = defaultBusy
	if b, ok := errors.AsType[*event.BusyError](err); ok {
		busy = max(b.RetryAfter, time.Second)
	} else {
		a.fault(ctx, client, "events cannot be stored", err)
	}
	out.NextPollMillis = max(out.NextPollMillis, busy.Milliseconds())
	return busy, nil
}

// defaultBusy is when events should come again that could not be stored.
const defaultBusy = 5 * time.Second

// claims checks the sessions of a poll: those that are over are named in the
// answer with the reason.
func (a *API) claims(ctx context.Context, client dormer.ClientID, q *wire.PollRequest, out *wire.PollAnswer) ([]lease.Claim, error) {
	claims := make([]lease.Claim, 0, len(q.Sessions))
	for _, said := range q.Sessions {
		end := func(reason string) {
			out.EndedSessions = append(out.EndedSessions, wire.EndedSession{ID: said.ID, Reason: reason})
		}
		s, err := a.cfg.People.CheckSession(ctx, access.SessionUser, said.ID, said.Secret)
		if err != nil && !errors.Is(err, dormer.ErrUnauthenticated) {
			return nil, fmt.Errorf("check a session: %w", err) // it is not over: the client comes again
		}
		if err != nil || s.Client != client {
			end("signed out, or signed in too long ago")
			continue
		}
		if named(claims, s.User.ID()) {
			continue
		}
		claim, err := a.users.claim(ctx, s.User, client)
		if ended, ok := errors.AsType[*endedError](err); ok {
			end(ended.reason)
			if err := a.cfg.People.EndSession(ctx, s.ID); err != nil {
				a.fault(ctx, client, "a session cannot be ended", err)
			}
			continue
		}
		if err != nil {
			a.fault(ctx, client, "what a user gets cannot be looked up; what was known counts", err)
		}
		claims = append(claims, claim)
	}
	return claims, nil
}

func named(claims []lease.Claim, id dormer.UserID) bool {
	for _, c := range claims {
		if c.User.ID() == id {
			return true
		}
	}
	return false
}

func (a *API) fault(ctx context.Context, client dormer.ClientID, what string, err error) {
	a.cfg.Logger.LogAttrs(ctx, slog.LevelError, "a poll was not answered in full",
		slog.String("client", string(client)), slog.String("problem", what), slog.Any("error", err))
}

// next returns when to poll again: the interval, jittered, so that clients
// that came at once do not stay together. The jitter is drawn from the nonce,
// which is random; a client that picks it only moves itself.
func (a *API) next(nonce []byte) time.Duration {
	spread := a.cfg.Interval / wire.PollSpread
	f := float64(binary.BigEndian.Uint32(nonce)) / (1 << 32)
	return a.cfg.Interval - spread + time.Duration(f*float64(2*spread))
}
