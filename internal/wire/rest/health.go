package rest

import "time"

// Status is how something is.
type Status string

// The statuses, the best first.
const (
	HealthOK      Status = "ok"
	HealthWarning Status = "warning"
	HealthError   Status = "error"
)

// Health is how a server is: as the worst of its parts.
type Health struct {
	Status Status       `json:"status" doc:"ok, warning or error: that of the worst part"`
	At     time.Time    `json:"at" doc:"when it was looked at"`
	Parts  []HealthPart `json:"parts"`
}

// HealthPart is how one part of a server is.
type HealthPart struct {
	Part   string     `json:"part"`
	Status Status     `json:"status" doc:"ok, warning or error"`
	Since  *time.Time `json:"since,omitempty" doc:"since when it has this status, as far as the server saw"`
	Found  string     `json:"found" doc:"what was found"`
	ToDo   string     `json:"to_do,omitempty" doc:"what to do about it"`
}
