package rest

import (
	"time"

	"github.com/dormer-project/dormer"
)

// Alert is a condition of a rule that holds, or held.
type Alert struct {
	ID             int64           `json:"id"`
	Rule           string          `json:"rule"`
	Key            string          `json:"key" doc:"whose condition it is, within the rule: a client, an image; * for everybody's"`
	Severity       dormer.Severity `json:"severity"`
	Text           string          `json:"text"`
	Raised         time.Time       `json:"raised"`
	Last           time.Time       `json:"last" doc:"when the condition last held"`
	Count          int64           `json:"count" doc:"how often"`
	Acknowledged   *time.Time      `json:"acknowledged,omitempty"`
	AcknowledgedBy string          `json:"acknowledged_by,omitempty"`
	Note           string          `json:"note,omitempty"`
	Cleared        *time.Time      `json:"cleared,omitempty" doc:"absent while it is open"`
}

// AcknowledgeAlert says that somebody looks after an alert.
type AcknowledgeAlert struct {
	Note string `json:"note,omitempty" doc:"at most 1,000 bytes"`
}

// AlertRule is a rule as people write it. Times are written as 90s, 10m, 12h or
// 7d. It has either events or state.
type AlertRule struct {
	Name       string          `json:"name" doc:"1 to 100 letters, digits, dots, hyphens and underscores"`
	Enabled    bool            `json:"enabled"`
	Severity   dormer.Severity `json:"severity" doc:"of the alert: warning or error"`
	Text       string          `json:"text" doc:"of the alert; {subject}, {count}, {value}, {threshold}, {window}, {for} and {rule} are filled in"`
	ClearAfter string          `json:"clear_after" doc:"how long the condition must be over, or no such event have come"`
	Events     *AlertEvents    `json:"events,omitempty" doc:"holds when enough events came within a time"`
	State      *AlertState     `json:"state,omitempty" doc:"holds when something observed is above or below a value"`
}

// AlertEvents is a condition over events.
type AlertEvents struct {
	Codes     []int           `json:"codes,omitempty" doc:"only these events; empty: all"`
	Severity  dormer.Severity `json:"severity,omitempty" doc:"only events that are at least that severe"`
	Category  string          `json:"category,omitempty" doc:"only events of that category"`
	Counts    string          `json:"counts,omitempty" doc:"what the threshold counts: events (also when absent) or clients"`
	Threshold int             `json:"threshold"`
	Window    string          `json:"window"`
	By        string          `json:"by" doc:"counted apart by client, workspace, image or user; instance: all together"`
}

// AlertState is a condition over what the server observes.
type AlertState struct {
	Observed   string  `json:"observed" doc:"what; docs/alerts.md lists it"`
	Comparison string  `json:"comparison" doc:"above or below"`
	Value      float64 `json:"value"`
	For        string  `json:"for,omitempty" doc:"how long it must hold; absent: not at all"`
}

// ListedAlertRule is a rule and where it is from.
type ListedAlertRule struct {
	AlertRule
	Origin  string     `json:"origin" doc:"default: comes with the program; changed: the program's, changed by an operator; own: an operator's"`
	By      string     `json:"by,omitempty"`
	Changed *time.Time `json:"changed,omitempty"`
}
