package alert

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

// Limits of rules.
const (
	maxName      = 100 // bytes
	maxText      = 300 // bytes
	maxCodes     = 100
	maxThreshold = 1_000_000
	minWindow    = 10 * time.Second
	maxWindow    = 7 * 24 * time.Hour
	maxFor       = 7 * 24 * time.Hour
	minClear     = time.Minute
	maxClear     = 30 * 24 * time.Hour
)

// Rule is a condition and what is said when it holds, as people write it. It has
// either Events or State. Times are written as "90s", "10m", "12h" or "7d".
type Rule struct {
	Name    string `json:"name"`
	Enabled bool   `json:"enabled"`
	// Severity of the alert: warning or error.
	Severity dormer.Severity `json:"severity"`
	// Text of the alert. In it {subject} is whose condition holds, {count} how many
	// events or clients there were, {value} what was observed, and {threshold},
	// {window} and {for} are those of the rule.
	Text string `json:"text"`
	// ClearAfter is how long the condition must be over, or how long no such event
	// must have come, until the alert clears.
	ClearAfter string          `json:"clear_after"`
	Events     *EventCondition `json:"events,omitempty"`
	State      *StateCondition `json:"state,omitempty"`
}

// EventCondition holds when enough events of a kind came within a time. What is
// empty of Codes, Severity and Category selects nothing out.
type EventCondition struct {
	Codes []int `json:"codes,omitempty"`
	// Severity that events have at least.
	Severity dormer.Severity `json:"severity,omitempty"`
	Category string          `json:"category,omitempty"`
	// Counts says what Threshold counts.
	Counts    Counted `json:"counts,omitempty"`
	Threshold int     `json:"threshold"`
	Window    string  `json:"window"`
	// By says what is counted apart.
	By Grouping `json:"by"`
}

// Counted is what the threshold of events counts.
type Counted string

// What can be counted.
const (
	CountEvents  Counted = "events" // also what is empty
	CountClients Counted = "clients"
)

// Grouping is what events are counted apart by.
type Grouping string

// What events can be counted apart by.
const (
	ByClient    Grouping = "client"
	ByWorkspace Grouping = "workspace"
	ByImage     Grouping = "image"
	ByUser      Grouping = "user"
	ByInstance  Grouping = "instance" // all together
)

// StateCondition holds when something observed is above or below a value for a
// time.
type StateCondition struct {
	Observed   Kind       `json:"observed"`
	Comparison Comparison `json:"comparison"`
	Value      float64    `json:"value"`
	For        string     `json:"for,omitempty"`
}

// Comparison says on which side of a value the condition holds; at the value
// itself it does not.
type Comparison string

// The comparisons.
const (
	Above Comparison = "above"
	Below Comparison = "below"
)

// compiled is a rule that was checked.
type compiled struct {
	Rule
	print      string // of what decides
	clearAfter time.Duration
	window     time.Duration
	step       time.Duration // of the window's slots
	holdFor    time.Duration
	rank       int // of events.severity
}

// Check returns an *dormer.InvalidError that names every wrong field.
func (r Rule) Check() error {
	_, err := r.compile()
	return err
}

// placeholders of texts.
var placeholders = []string{"subject", "count", "value", "threshold", "window", "for", "rule"}

func (r Rule) compile() (*compiled, error) {
	var wrong []dormer.FieldError
	add := func(path, format string, args ...any) {
		wrong = append(wrong, dormer.FieldError{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	span := func(path, s string, least, most time.Duration) time.Duration {
		d, ok := parseSpan(s)
		if !ok || d < least || d > most {
			add(path, `must be a time from %s to %s, as "10m", "12h" or "7d"`, spanText(least), spanText(most))
		}
		return d
	}
	c := &compiled{Rule: r}
	if !ValidName(r.Name) {
		add("name", "must be 1 to %d letters, digits, dots, hyphens and underscores", maxName)
	}
	if r.Severity != dormer.Warning && r.Severity != dormer.Error {
		add("severity", "must be %q or %q", dormer.Warning, dormer.Error)
	}
	checkText(r.Text, add)
	c.clearAfter = span("clear_after", r.ClearAfter, minClear, maxClear)
	switch {
	case r.Events == nil && r.State == nil, r.Events != nil && r.State != nil:
		add("", "needs either events or state")
	case r.Events != nil:
		c.checkEvents(r.Events, add, span)
	default:
		c.checkState(r.State, add, span)
	}
	if len(wrong) > 0 {
		return nil, &dormer.InvalidError{Fields: wrong}
	}
	b, err := json.Marshal([]any{r.Events, r.State})
	if err != nil {
		return nil, dormer.Invalidf("state.value", "must be a number")
	}
	c.print = string(b)
	return c, nil
}

func checkText(text string, add func(path, format string, args ...any)) {
	if strings.TrimSpace(text) == "" || len(text) > maxText || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) {
		add("text", "must be one line of 1 to %d bytes", maxText)
		return
	}
	for rest := text; ; {
		_, after, ok := strings.Cut(rest, "{")
		if !ok {
			return
		}
		word, more, closed := strings.Cut(after, "}")
		if !closed || !slices.Contains(placeholders, word) {
			add("text", "has a {placeholder} that is not known; known are {%s}", strings.Join(placeholders, "}, {"))
			return
		}
		rest = more
	}
}

func (c *compiled) checkEvents(e *EventCondition, add func(path, format string, args ...any), span func(path, s string, least, most time.Duration) time.Duration) {
	if len(e.Codes) > maxCodes {
		add("events.codes", "at most %d", maxCodes)
	}
	for i, code := range e.Codes {
		if _, known := event.KindOf(event.Code(code)); !known {
			add(fmt.Sprintf("events.codes[%d]", i), "is no event of docs/events.md")
		} else if ours(code) {
			add(fmt.Sprintf("events.codes[%d]", i), "is of alerts themselves")
		}
	}
	c.rank = rank(e.Severity)
	if e.Severity != "" && c.rank == 0 {
		add("events.severity", "must be %q, %q or %q", dormer.Information, dormer.Warning, dormer.Error)
	}
	if e.Category != "" && !slices.Contains(event.Categories(), e.Category) {
		add("events.category", "is no category of docs/events.md")
	}
	if e.Counts != "" && e.Counts != CountEvents && e.Counts != CountClients {
		add("events.counts", "must be %q or %q", CountEvents, CountClients)
	}
	if e.Threshold < 1 || e.Threshold > maxThreshold {
		add("events.threshold", "must be from 1 to %d", maxThreshold)
	}
	c.window = span("events.window", e.Window, minWindow, maxWindow)
	c.step = max(c.window/slots, time.Second)
	switch e.By {
	case ByClient:
		if e.Counts == CountClients {
			add("events.by", "must not be %q where clients are counted", ByClient)
		}
	case ByWorkspace, ByImage, ByUser, ByInstance:
	default:
		add("events.by", "must be %q, %q, %q, %q or %q", ByClient, ByWorkspace, ByImage, ByUser, ByInstance)
	}
}

func (c *compiled) checkState(s *StateCondition, add func(path, format string, args ...any), span func(path, s string, least, most time.Duration) time.Duration) {
	if !slices.Contains(kinds, s.Observed) {
		names := make([]string, len(kinds))
		for i, k := range kinds {
			names[i] = string(k)
		}
		add("state.observed", "must be one of %s", strings.Join(names, ", "))
	}
	if s.Comparison != Above && s.Comparison != Below {
		add("state.comparison", "must be %q or %q", Above, Below)
	}
	if math.IsNaN(s.Value) || math.IsInf(s.Value, 0) {
		add("state.value", "must be a number")
	}
	if s.For != "" {
		c.holdFor = span("state.for", s.For, 0, maxFor)
	}
}

// ValidName reports whether a rule can be called that.
func ValidName(name string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return name != "" && len(name) <= maxName && strings.Trim(name, allowed) == "" && name != "." && name != ".."
}

// ours reports whether a code is of alerts themselves: no rule looks at those.
func ours(code int) bool {
	switch event.Code(code) {
	case event.AlertRaised, event.SeriousAlertRaised, event.AlertAcknowledged, event.AlertCleared:
		return true
	}
	return false
}

// rank orders severities; 0 is none.
func rank(s dormer.Severity) int {
	return slices.Index([]dormer.Severity{dormer.Information, dormer.Warning, dormer.Error}, s) + 1
}

// matches reports whether an event is one that the rule counts.
func (c *compiled) matches(r event.Row) bool {
	e := c.Events
	return (len(e.Codes) == 0 || slices.Contains(e.Codes, r.Code)) && rank(r.Severity) >= c.rank &&
		(e.Category == "" || e.Category == r.Category) && !ours(r.Code)
}

// subject says whose event it is for the rule, and how people call that; an empty
// key where it is nobody's.
func (c *compiled) subject(r event.Row) (key, shown string) {
	switch c.Events.By {
	case ByClient:
		return string(r.Client), r.Host
	case ByWorkspace:
		return string(r.Workspace), r.WorkspaceName
	case ByImage:
		return r.Image, r.Image
	case ByUser:
		return r.User, r.User
	case ByInstance:
	}
	return everybody, ""
}

// Keys that are nobody's.
const (
	everybody = "*"
	others    = "* others"
)

// holds compares what was observed.
func (c *compiled) holds(value float64) bool {
	if c.State.Comparison == Above {
		return value > c.State.Value
	}
	return value < c.State.Value
}

// render writes the text of an alert.
func (c *compiled) render(shown string, count int64, value float64) string {
	var threshold, window, holdFor string
	if c.Events != nil {
		threshold, window = strconv.Itoa(c.Events.Threshold), c.Events.Window
	} else {
		threshold, holdFor = number(c.State.Value), c.State.For
	}
	return strings.NewReplacer(
		"{subject}", shown, "{count}", strconv.FormatInt(count, 10), "{value}", number(value),
		"{threshold}", threshold, "{window}", window, "{for}", holdFor, "{rule}", c.Name,
	).Replace(c.Text)
}

// number writes a value with at most one place after the point.
func number(v float64) string {
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}

// parseSpan reads a time; d stands for 24 hours.
func parseSpan(s string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		return time.Duration(n) * 24 * time.Hour, err == nil && n >= 0 && n <= 1000
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d >= 0
}

// spanText is the opposite of parseSpan.
func spanText(d time.Duration) string {
	if day := 24 * time.Hour; d >= day && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
