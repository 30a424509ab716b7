package dormer

import "time"

// Severity grades an event.
type Severity string

// The severities of events.
const (
	Information Severity = "information"
	Warning     Severity = "warning"
	Error       Severity = "error"
)

// Event is one thing that happened on a client or on the server. About 200
// bytes when sent. Time and Received are UTC with microseconds.
type Event struct {
	// Code identifies the kind of event in the catalogue (internal/event).
	Code        int         `json:"code"`
	Severity    Severity    `json:"severity"`
	Category    string      `json:"category"`
	Description string      `json:"description"`
	Host        string      `json:"host,omitempty"`
	User        string      `json:"user,omitempty"` // "SYSTEM" before sign-on
	Workspace   WorkspaceID `json:"workspace,omitempty"`
	// WorkspaceName is the name at the time of the event.
	WorkspaceName string `json:"workspace_name,omitempty"`
	// Guest is the name of the guest system.
	Guest          string    `json:"guest,omitempty"`
	Time           time.Time `json:"time"`
	Received       time.Time `json:"received,omitzero"`
	ClientVersion  string    `json:"client_version,omitempty"`
	PolicyRevision Revision  `json:"policy_revision,omitempty"`
	Image          string    `json:"image,omitempty"` // NAME/NUMBER
	// Count is how many events like it this one stands for; 0 and 1 are one.
	Count int `json:"count,omitempty"`
}
