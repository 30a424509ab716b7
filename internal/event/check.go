package event

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire"
)

// checkBatch returns ErrInvalid for a batch that makes no sense as a whole.
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
		if e.Sequence <= last || e.Sequence > math.MaxInt64 {
			return dormer.Invalidf(fmt.Sprintf("events[%d].seq", i), "sequences must ascend, from 1")
		}
		last = e.Sequence
	}
	return nil
}

// takeEvents returns the events of a batch as they are stored, and which of
// them cannot be: in the place of each of those is one that tells of it. What
// the client says of the time stays, however wrong its clock is.
func takeEvents(b Batch) (list []wire.NumberedEvent, refused []wire.RefusedEvent) {
	list = make([]wire.NumberedEvent, len(b.Events))
	malformed := b.Malformed
	for i, e := range b.Events {
		var field, reason string
		if len(malformed) > 0 && malformed[0].Sequence == e.Sequence {
			field, reason = malformed[0].Field, malformed[0].Reason
			malformed = malformed[1:]
		} else {
			field, reason = checkEvent(e.Event)
		}
		if reason != "" {
			refused = append(refused, wire.RefusedEvent{Sequence: e.Sequence, Field: field, Reason: reason})
			e.Event = refusal(b, e.Sequence, field, reason)
		}
		e.Event = tidy(e.Event)
		e.Event.Received = b.Received
		list[i] = e
	}
	return list, refused
}

// refusal is the event that stands in the place of one that was refused.
func refusal(b Batch, sequence uint64, field, reason string) dormer.Event {
	detail := fmt.Sprintf("number %d of its journal: ", sequence)
	if field != "" {
		detail += field + " "
	}
	e := New(EventRefused, b.Received, detail+reason)
	e.Host, e.User, e.ClientVersion = b.Host, "SYSTEM", b.ClientVersion
	return e
}

// checkEvent says what is wrong with an event that no correct client sends;
// reason is empty for a good one. It never repeats a value.
func checkEvent(e dormer.Event) (field, reason string) {
	const negative = "must not be negative or too large"
	switch {
	case !knownSeverity(e.Severity):
		return "severity", fmt.Sprintf("must be %q, %q or %q", dormer.Information, dormer.Warning, dormer.Error)
	case e.Code < 0 || e.Code > math.MaxInt32:
		return "code", negative
	case e.PolicyRevision < 0 || int64(e.PolicyRevision) > math.MaxInt32:
		return "policy_revision", negative
	case e.Count < 0 || e.Count > math.MaxInt32:
		return "count", negative
	case e.Time.UTC().Year() < 1970 || e.Time.UTC().Year() > 9999:
		return "time", "must be between the years 1970 and 9999"
	case len(e.Description) > wire.MaxDescription:
		return "description", fmt.Sprintf("must have at most %d bytes", wire.MaxDescription)
	}
	for _, t := range []struct{ field, text string }{
		{"category", e.Category},
		{"host", e.Host},
		{"user", e.User},
		{"workspace", string(e.Workspace)},
		{"workspace_name", e.WorkspaceName},
		{"guest", e.Guest},
		{"client_version", e.ClientVersion},
		{"image", e.Image},
	} {
		if len(t.text) > MaxText {
			return t.field, fmt.Sprintf("must have at most %d bytes", MaxText)
		}
	}
	return "", ""
}

// plain reports whether s is printable ASCII.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

func knownSeverity(s dormer.Severity) bool {
	return s == dormer.Information || s == dormer.Warning || s == dormer.Error
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
