package rest

import (
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire"
)

// JoinToken admits clients. The token itself is in JoinTokenCreated alone.
type JoinToken struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Managed   bool      `json:"managed" doc:"admits agents that run as a service"`
	Unmanaged bool      `json:"unmanaged" doc:"admits agents that run for one user"`
	MaxUses   int       `json:"max_uses"`
	Uses      int       `json:"uses"`
	Created   time.Time `json:"created"`
	Expires   time.Time `json:"expires"`
	By        string    `json:"by"`
	Revoked   bool      `json:"revoked"`
}

// NewJoinToken makes a join token.
type NewJoinToken struct {
	Name          string `json:"name" doc:"what it is for"`
	Managed       bool   `json:"managed"`
	Unmanaged     bool   `json:"unmanaged,omitempty"`
	MaxUses       int    `json:"max_uses,omitempty" doc:"1 when absent"`
	LifetimeHours int    `json:"lifetime_hours,omitempty" doc:"24 when absent"`
	URL           string `json:"url,omitempty" doc:"under which its clients reach the server; the first public URL when absent"`
}

// JoinTokenCreated is a new join token and its text.
type JoinTokenCreated struct {
	JoinToken
	Token string `json:"token" doc:"dormer1.URL.AUTHORITY.SECRET; shown once"`
}

// Client is an enrolled client.
type Client struct {
	ID           dormer.ClientID `json:"id"`
	Managed      bool            `json:"managed"`
	Host         wire.Host       `json:"host"`
	AgentVersion string          `json:"agent_version"`
	JoinToken    string          `json:"join_token"`
	Enrolled     time.Time       `json:"enrolled"`
	Revoked      *time.Time      `json:"revoked,omitempty"`
	LastSeen     *time.Time      `json:"last_seen,omitempty"`
	// Copied is when two agents were last found to work with this identity.
	Copied       *time.Time `json:"copied,omitempty" doc:"when two agents were last found to use this identity"`
	CopiedDetail string     `json:"copied_detail,omitempty" doc:"from where"`
	// ClockAheadSeconds is negative when the clock is behind.
	ClockAheadSeconds *int64 `json:"clock_ahead_seconds,omitempty" doc:"by how much its clock was ahead of the server's at its last poll; negative: behind; absent: not known"`
	// KeyFingerprint and Runs are in answers about one client alone.
	KeyFingerprint string      `json:"key_fingerprint,omitempty" doc:"SHA-256 of the client's public key; not in lists"`
	Runs           []ClientRun `json:"runs,omitempty" doc:"starts of its agents that this server has seen, the newest last; not in lists"`
}

// ClientRun is one start of a client's agent, from its first poll to its last.
type ClientRun struct {
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Host    string    `json:"host"`
	Address string    `json:"address,omitempty"`
}

// NewOrder makes a client do something at its next poll.
type NewOrder struct {
	Kind    string           `json:"kind" doc:"lock, stop, delete or refresh"`
	Machine dormer.MachineID `json:"machine,omitempty" doc:"needed for delete; absent: all of the client's"`
	Reason  string           `json:"reason" doc:"shown to the user"`
	Confirm bool             `json:"confirm,omitempty" doc:"also if many machines are being deleted"`
	Grace   *int64           `json:"grace_seconds,omitempty" doc:"for how many seconds a machine that runs goes on after the warning, for stop and delete; absent: at once for stop, what the policy says for delete"`
}

// Order is an order that waits for its client.
type Order struct {
	ID string `json:"id"`
}

// Machine is one user's machine from one workspace on one client.
type Machine struct {
	ID           dormer.MachineID   `json:"id"`
	Client       dormer.ClientID    `json:"client"`
	User         dormer.Principal   `json:"user"`
	Workspace    dormer.WorkspaceID `json:"workspace"`
	ComputerName string             `json:"computer_name,omitempty"`
	Created      time.Time          `json:"created"`
	State        string             `json:"state,omitempty"`
	Detail       string             `json:"detail,omitempty"`
	Image        dormer.ImageID     `json:"image,omitempty"`
	Guest        string             `json:"guest,omitempty"`
	Reported     *time.Time         `json:"reported,omitempty"`
	// What follows is as the client reports it.
	PolicyRevision dormer.Revision `json:"policy_revision,omitempty" doc:"revision of the workspace whose policy the client holds"`
	Locked         bool            `json:"locked,omitempty"`
	AtNextStart    []string        `json:"at_next_start,omitempty" doc:"fields of the policy that the machine takes over when it starts next"`
	NotEnforced    []string        `json:"not_enforced,omitempty" doc:"fields of the policy that the client does nothing for"`
}

// Deletion is a machine that its policy wants deleted, and that waits.
type Deletion struct {
	Machine     dormer.MachineID   `json:"machine"`
	Client      dormer.ClientID    `json:"client"`
	User        string             `json:"user"`
	Workspace   dormer.WorkspaceID `json:"workspace"`
	Revision    dormer.Revision    `json:"revision" doc:"of the workspace, that says so"`
	Reason      string             `json:"reason"`
	State       string             `json:"state" doc:"halted until it is confirmed; confirmed until the client polls"`
	Since       time.Time          `json:"since"`
	ConfirmedBy string             `json:"confirmed_by,omitempty"`
}

// ConfirmDeletions lets deletions go on that were halted.
type ConfirmDeletions struct {
	Count int `json:"count" doc:"how many are halted; refused when that has changed"`
}
