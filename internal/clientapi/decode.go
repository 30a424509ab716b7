package clientapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire"
)

// read decodes the body of a request, which is bounded before it is read.
// Fields that this server does not know are ignored: an agent of a later
// release may say more within the same protocol version, and what it must be
// understood about is a new version. Everything known is checked.
func (a *API) read(w http.ResponseWriter, r *http.Request, into any) error {
	return a.readUpTo(wire.MaxBody, w, r, into)
}

// maxStranger bounds the requests of those who have no token yet, in bytes.
const maxStranger = 16 << 10

// readStranger is read for a request that anybody can send.
func (a *API) readStranger(w http.ResponseWriter, r *http.Request, into any) error {
	return a.readUpTo(maxStranger, w, r, into)
}

// readPoll is read for a poll; see decodePoll.
func (a *API) readPoll(w http.ResponseWriter, r *http.Request) (q wire.PollRequest, malformed []wire.RefusedEvent, err error) {
	err = a.readWith(wire.MaxBody, w, r, func(b []byte) error {
		q, malformed, err = decodePoll(b)
		return err
	})
	return q, malformed, err
}

func (a *API) readUpTo(limit int64, w http.ResponseWriter, r *http.Request, into any) error {
	return a.readWith(limit, w, r, func(b []byte) error { return decode(b, into) })
}

// readWith passes the body of a request to decode.
func (a *API) readWith(limit int64, w http.ResponseWriter, r *http.Request, decode func([]byte) error) error {
	if r.ContentLength > limit {
		return &http.MaxBytesError{Limit: limit}
	}
	b := a.bodies.Get().(*bytes.Buffer)
	defer a.bodies.Put(b)
	b.Reset()
	if _, err := b.ReadFrom(http.MaxBytesReader(w, r.Body, limit)); err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return err
		}
		return dormer.Invalidf("", "the request ended too early")
	}
	return decode(b.Bytes())
}

// loosePoll is a poll whose events are not looked into.
type loosePoll struct {
	wire.PollRequest
	Events []json.RawMessage `json:"events"`
}

// decodePoll decodes a poll. An event that is no event spoils neither the poll
// nor the others: malformed names it, and all that counts of it in the poll is
// its sequence. Without that the client would bring it again for ever.
func decodePoll(b []byte) (q wire.PollRequest, malformed []wire.RefusedEvent, err error) {
	if err := json.Unmarshal(b, &q); err == nil {
		return q, nil, nil
	}
	var loose loosePoll
	if err := decode(b, &loose); err != nil {
		return q, nil, err
	}
	if len(loose.Events) > wire.MaxEventsPerPoll {
		return q, nil, errTooManyEvents()
	}
	q = loose.PollRequest
	q.Events = make([]wire.NumberedEvent, len(loose.Events))
	for i, raw := range loose.Events {
		var numbered struct {
			Sequence uint64          `json:"seq"`
			Event    json.RawMessage `json:"event"`
		}
		if err := json.Unmarshal(raw, &numbered); err != nil {
			return q, nil, dormer.Invalidf(fmt.Sprintf("events[%d].seq", i), "is not the number of an event")
		}
		q.Events[i].Sequence = numbered.Sequence
		if numbered.Event == nil {
			continue // it lacks everything, which is found later
		}
		var e dormer.Event
		if err := json.Unmarshal(numbered.Event, &e); err != nil {
			malformed = append(malformed, wire.RefusedEvent{Sequence: numbered.Sequence, Field: wrongField(err), Reason: "is not of the type that it must have"})
			continue
		}
		q.Events[i].Event = e
	}
	return q, malformed, nil
}

func errTooManyEvents() error {
	return dormer.Invalidf("events", "are more than %d", wire.MaxEventsPerPoll)
}

// wrongField is the path of what could not be decoded, empty where the whole
// is wrong.
func wrongField(err error) string {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return wrong.Field
	}
	if _, ok := errors.AsType[*time.ParseError](err); ok {
		return "time"
	}
	return ""
}

// decode decodes JSON. Errors name the field and never repeat a value. What it
// returns shares no memory with b.
func decode(b []byte, into any) error {
	err := json.Unmarshal(b, into)
	if err == nil {
		return nil
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return dormer.Invalidf(wrong.Field, "is not of the type that it must have")
	}
	return dormer.Invalidf("", "the body is not valid JSON of this request")
}

// checkProtocol refuses versions that this server does not serve.
func checkProtocol(version int) error {
	switch {
	case version < wire.MinProtocolVersion:
		return fmt.Errorf("this client is too old: it speaks protocol %d, the server %d to %d: %w",
			version, wire.MinProtocolVersion, wire.ProtocolVersion, dormer.ErrUnsupported)
	case version > wire.ProtocolVersion:
		return fmt.Errorf("this server is too old: the client speaks protocol %d, the server %d to %d: %w",
			version, wire.MinProtocolVersion, wire.ProtocolVersion, dormer.ErrUnsupported)
	}
	return nil
}

// answer writes v as JSON.
func answer(w http.ResponseWriter, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return send(w, b)
}

func send(w http.ResponseWriter, b []byte) error {
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(b)
	if err != nil {
		return fmt.Errorf("send answer: %w", dormer.ErrUnavailable)
	}
	return nil
}

// Limits on what a poll says; see docs/limits.md.
const (
	nonceSize       = 16
	maxSessionText  = 128
	maxState        = 64
	maxDetail       = 1000
	maxImageID      = 80
	maxGuest        = 255
	maxEnforces     = 256
	maxFields       = 200 // of the policy, at next start or not enforced
	maxField        = 200
	maxCapability   = 100
	maxOrdersRun    = 1000
	maxOrderID      = 64
	maxKeysTag      = 64
	maxRun          = 64
	maxJournalID    = 64
	maxOrderProblem = 4000
)

// tooMany reports whether a list of fields of a policy is beyond the limits.
func tooMany(fields []string) bool {
	return len(fields) > maxFields || slices.ContainsFunc(fields, func(f string) bool { return len(f) > maxField })
}

// checkPoll checks what a client says in a poll.
func checkPoll(p *wire.PollRequest) error {
	if err := checkProtocol(p.Protocol); err != nil {
		return err
	}
	switch {
	case len(p.Nonce) != nonceSize:
		return dormer.Invalidf("nonce", "must have %d bytes", nonceSize)
	case len(p.Sessions) > wire.MaxSessions:
		return dormer.Invalidf("sessions", "are more than %d", wire.MaxSessions)
	case len(p.Machines) > wire.MaxMachines:
		return dormer.Invalidf("machines", "are more than %d", wire.MaxMachines)
	case len(p.Events) > wire.MaxEventsPerPoll:
		return errTooManyEvents()
	case len(p.OrdersRun) > maxOrdersRun:
		return dormer.Invalidf("orders_run", "are more than %d", maxOrdersRun)
	case len(p.Deliveries) > wire.MaxDeliveries:
		return dormer.Invalidf("deliveries", "are more than %d", wire.MaxDeliveries)
	case len(p.Enforces) > maxEnforces:
		return dormer.Invalidf("enforces", "are more than %d", maxEnforces)
	case len(p.KeysTag) > maxKeysTag:
		return dormer.Invalidf("keys_tag", "is too long")
	case len(p.Run) > maxRun:
		return dormer.Invalidf("run", "is too long")
	case len(p.Journal) > maxJournalID:
		return dormer.Invalidf("journal", "is too long")
	case p.Journal == "" && len(p.Events) > 0:
		return dormer.Invalidf("journal", "must be given with events")
	}
	for i, s := range p.Sessions {
		if len(s.ID) > maxSessionText || len(s.Secret) > maxSessionText {
			return dormer.Invalidf(fmt.Sprintf("sessions[%d]", i), "is too long")
		}
	}
	seen := make(map[dormer.MachineID]struct{}, len(p.Machines))
	for i := range p.Machines {
		m := &p.Machines[i]
		path := fmt.Sprintf("machines[%d]", i)
		switch {
		case !dormer.ValidID(string(m.Machine)):
			return dormer.Invalidf(path+".machine", "is not the identity of a machine")
		case len(m.State) > maxState, len(m.Detail) > maxDetail, len(m.Image) > maxImageID, len(m.Guest) > maxGuest:
			return dormer.Invalidf(path, "has a text that is too long")
		case tooMany(m.AtNextStart), tooMany(m.NotEnforced):
			return dormer.Invalidf(path, "names more than %d fields, or one of more than %d bytes", maxFields, maxField)
		case m.PolicyRevision < 0:
			return dormer.Invalidf(path+".policy_revision", "must not be negative")
		case m.BudgetUsed < 0:
			return dormer.Invalidf(path+".budget_used", "must not be negative")
		}
		if _, again := seen[m.Machine]; again {
			return dormer.Invalidf(path+".machine", "is there twice")
		}
		seen[m.Machine] = struct{}{}
	}
	for i, c := range p.Enforces {
		if len(c) > maxCapability {
			return dormer.Invalidf(fmt.Sprintf("enforces[%d]", i), "is too long")
		}
	}
	for i, o := range p.OrdersRun {
		if len(o.Order) > maxOrderID || len(o.Error) > maxOrderProblem {
			return dormer.Invalidf(fmt.Sprintf("orders_run[%d]", i), "is too long")
		}
	}
	return nil
}
