// Package alert says what needs somebody: rules over events and over what the
// server observes of itself, raised once however often their condition repeats,
// acknowledged by people, cleared by themselves. It belongs to the server.
//
// Events are followed, each is looked at once; what is counted is kept in
// windows that slide, and saved together with how far the following has come and
// with the alerts that came of it. So a restart neither forgets nor counts twice.
package alert

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

// Limits of alerts.
const (
	// MaxRules is how many rules an instance may have of its own.
	MaxRules = 200
	// MaxNote is the longest note of who acknowledges, in bytes.
	MaxNote = 1000
	// maxWatched is how many clients, users and the like one rule counts apart;
	// those beyond it are counted together.
	maxWatched = 10_000
	// maxOpen is how many alerts of one rule may be open; more become one.
	maxOpen = 500
)

// Alert is a condition that holds, or held.
type Alert struct {
	ID   int64
	Rule string
	// Key says whose condition it is, within the rule: a client, an image.
	Key      string
	Severity dormer.Severity
	Text     string
	Raised   time.Time
	// Last is when the condition last held, Count how often.
	Last  time.Time
	Count int64
	// Acknowledged is nil until somebody did.
	Acknowledged   *time.Time
	AcknowledgedBy string
	Note           string
	// Cleared is nil while the alert is open.
	Cleared *time.Time
}

// Query selects alerts, newest first.
type Query struct {
	// Open: only those that are not cleared.
	Open   bool
	Before int64 // identity: only older ones; 0 = from the newest
	Limit  int   // at least 1
}

// Change is what became of the alert of a rule and a key. It says all of it, so
// that it can be applied again.
type Change struct {
	Kind     ChangeKind
	Rule     string
	Key      string
	Severity dormer.Severity
	Text     string
	Raised   time.Time
	Last     time.Time
	Count    int64
	Cleared  time.Time // of Clears
}

// ChangeKind says what a change does.
type ChangeKind int8

// The kinds of changes.
const (
	Raises  ChangeKind = iota + 1 // makes an open alert
	Repeats                       // changes text, last and count of the open one
	Clears                        // the same, and it is open no more
)

// Saved is what one pass of the rules left.
type Saved struct {
	// Name is that of the position.
	Name     string
	Position int64
	State    []byte
	Changes  []Change // in their order
	// Holder must have the turn of that name; empty: no turns are taken.
	Holder string
}

// Store keeps alerts. Of a rule and a key one at most is open.
type Store interface {
	// SaveAlerts stores position, state and changes at once. A change whose alert
	// is not there is passed over, and so is raising what is open. ErrConflict when
	// somebody else has the turn.
	SaveAlerts(ctx context.Context, i dormer.InstanceID, s Saved) error
	// Alerts returns alerts, newest first.
	Alerts(ctx context.Context, i dormer.InstanceID, q Query) ([]Alert, error)
	// AcknowledgeAlert notes who looks after an alert. ErrNotFound;
	// ErrConflict when somebody did before.
	AcknowledgeAlert(ctx context.Context, i dormer.InstanceID, id int64, by, note string, at time.Time) (Alert, error)
	// DeleteAlertsBefore removes alerts that were cleared before t.
	DeleteAlertsBefore(ctx context.Context, i dormer.InstanceID, t time.Time) (int64, error)
}

// StoredRule is a rule that operators wrote, or one of the program's that they
// changed.
type StoredRule struct {
	Rule    Rule
	By      string
	Changed time.Time
}

// RuleStore keeps operators' rules. Names do not regard case.
type RuleStore interface {
	AlertRules(ctx context.Context) ([]StoredRule, error)
	// PutAlertRule stores a rule or replaces the one of its name; ErrTooLarge when
	// there would be more than most.
	PutAlertRule(ctx context.Context, r StoredRule, most int) error
	// DeleteAlertRule returns ErrNotFound for one that is not there.
	DeleteAlertRule(ctx context.Context, name string) error
}

// Alerts returns alerts, newest first.
func (s *Service) Alerts(ctx context.Context, q Query) ([]Alert, error) {
	list, err := s.cfg.Store.Alerts(ctx, s.cfg.Instance, q)
	if err != nil {
		return nil, fmt.Errorf("list alerts: %w", err)
	}
	return list, nil
}

// Acknowledge notes that somebody looks after an alert, and tells others. Errors
// as those of Store.AcknowledgeAlert; ErrInvalid for a note that is too long.
func (s *Service) Acknowledge(ctx context.Context, id int64, by, note string) (Alert, error) {
	note = strings.TrimSpace(note)
	if len(note) > MaxNote || !utf8.ValidString(note) || strings.ContainsRune(note, 0) {
		return Alert{}, dormer.Invalidf("note", "must be text of at most %d bytes", MaxNote)
	}
	a, err := s.cfg.Store.AcknowledgeAlert(ctx, s.cfg.Instance, id, by, note, s.cfg.Now().UTC().Truncate(time.Microsecond))
	if err != nil {
		return Alert{}, fmt.Errorf("acknowledge alert %d: %w", id, err)
	}
	detail := fmt.Sprintf("%s: %s, by %s", a.Rule, a.Text, by)
	if note != "" {
		detail += ": " + note
	}
	s.cfg.Tell(event.AlertAcknowledged, detail)
	return a, nil
}
