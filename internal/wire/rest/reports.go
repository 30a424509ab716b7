package rest

import (
	"time"

	"github.com/dormer-project/dormer"
)

// StatusRow is one user's workspace on one client, or a client that nobody
// uses yet.
type StatusRow struct {
	Time           time.Time        `json:"time" doc:"when this was last heard of"`
	User           string           `json:"user" doc:"SYSTEM before anybody signed in"`
	Host           string           `json:"host"`
	Client         dormer.ClientID  `json:"client"`
	Machine        dormer.MachineID `json:"machine,omitempty"`
	Workspace      string           `json:"workspace,omitempty"`
	Guest          string           `json:"guest,omitempty"`
	State          string           `json:"state,omitempty"`
	Detail         string           `json:"detail,omitempty"`
	Started        *time.Time       `json:"started,omitempty"`
	Stopped        *time.Time       `json:"stopped,omitempty"`
	Connected      bool             `json:"connected"`
	LastConnected  *time.Time       `json:"last_connected,omitempty"`
	ClientVersion  string           `json:"client_version,omitempty"`
	PolicyRevision dormer.Revision  `json:"policy_revision,omitempty" doc:"of the workspace, that is current on the server"`
	HeldRevision   dormer.Revision  `json:"held_revision,omitempty" doc:"whose policy the client holds"`
	Locked         bool             `json:"locked,omitempty"`
	AtNextStart    []string         `json:"at_next_start,omitempty" doc:"fields of the policy that the machine takes over when it starts next"`
	NotEnforced    []string         `json:"not_enforced,omitempty" doc:"fields of the policy that the client does nothing for"`
	Image          string           `json:"image,omitempty" doc:"NAME/NUMBER"`
	Revoked        bool             `json:"revoked,omitempty"`
}

// EventRow is a stored event.
type EventRow struct {
	ID     int64           `json:"id"`
	Client dormer.ClientID `json:"client"`
	dormer.Event
}
