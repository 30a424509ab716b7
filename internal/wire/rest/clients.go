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
	// What follows to Machines is worked out when it is asked for.
	Online              bool   `json:"online" doc:"seen within a few poll intervals"`
	Machines            int    `json:"machines"`
	Running             int    `json:"running" doc:"how many of its machines run, as it last said"`
	OfflineLimitSeconds *int64 `json:"offline_limit_seconds,omitempty" doc:"for how long it may be off-line before one of its machines may not run; absent: without a limit, or not known"`
	BeyondLimit         bool   `json:"beyond_limit,omitempty" doc:"it is off-line for longer than that"`
	// ClockAheadSeconds is negative when the clock is behind.
	ClockAheadSeconds *int64 `json:"clock_ahead_seconds,omitempty" doc:"by how much its clock was ahead of the server's at its last poll; negative: behind; absent: not known"`
	// KeyFingerprint and Runs are in answers about one client alone.
	KeyFingerprint string      `json:"key_fingerprint,omitempty" doc:"SHA-256 of the client's public key; not in lists"`
	Runs           []ClientRun `json:"runs,omitempty" doc:"starts of its agents that this server has seen, the newest last; not in lists"`
}

// ClientList is a page of the list of clients.
type ClientList struct {
	Items []Client `json:"items"`
	Total int      `json:"total" doc:"how many the filters select in all"`
}

// MachineList is the beginning of a list of machines, or all of it.
type MachineList struct {
	Items []Machine `json:"items"`
	Total int       `json:"total" doc:"how many there are without the limit"`
}

// ClientFigures counts clients by how they are.
type ClientFigures struct {
	Active      int `json:"active" doc:"not revoked"`
	Online      int `json:"online"`
	Offline     int `json:"offline"`
	BeyondLimit int `json:"beyond_limit" doc:"off-line for longer than one of their machines may be"`
	Running     int `json:"running" doc:"on-line, and a machine runs"`
	NeverSeen   int `json:"never_seen"`
	Copied      int `json:"copied" doc:"two agents were found to use one identity"`
	ClockWrong  int `json:"clock_wrong"`
	Revoked     int `json:"revoked"`
	// Machines and RunningMachines are those of clients that are not revoked.
	Machines        int `json:"machines" doc:"of clients that are not revoked"`
	RunningMachines int `json:"running_machines" doc:"of clients that are on-line"`
	// OnlineWithinSeconds is the rule by which a client is on-line.
	OnlineWithinSeconds int64          `json:"online_within_seconds" doc:"a client is on-line that was seen so recently"`
	Versions            []VersionCount `json:"versions" doc:"of the agents of clients that are not revoked, the most common first"`
}

// VersionCount is how many clients have a version of the agent.
type VersionCount struct {
	Version string `json:"version"`
	Clients int    `json:"clients"`
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
	Kind    string           `json:"kind" doc:"lock, stop, delete, reset, diagnostics or refresh"`
	Machine dormer.MachineID `json:"machine,omitempty" doc:"needed for delete and reset; absent: all of the client's"`
	Reason  string           `json:"reason" doc:"shown to the user"`
	Confirm bool             `json:"confirm,omitempty" doc:"also if many machines are being deleted"`
	Grace   *int64           `json:"grace_seconds,omitempty" doc:"for how many seconds a machine that runs goes on after the warning, for stop, reset and delete; absent: at once for stop, what the policy says for reset and delete"`
}

// Order is what a client was ordered to do.
type Order struct {
	ID      string           `json:"id"`
	Client  dormer.ClientID  `json:"client"`
	Host    string           `json:"host,omitempty" doc:"name of the client's computer"`
	Machine dormer.MachineID `json:"machine,omitempty" doc:"absent: all of the client's"`
	// Workspace and User are those of the machine, while it is there.
	Workspace dormer.WorkspaceID `json:"workspace,omitempty" doc:"of the machine, while it is there"`
	User      string             `json:"user,omitempty" doc:"of the machine, while it is there"`
	Kind      string             `json:"kind"`
	Reason    string             `json:"reason"`
	Issued    time.Time          `json:"issued"`
	By        string             `json:"by"`
	Grace     *int64             `json:"grace_seconds,omitempty"`
	State     string             `json:"state" doc:"waiting until its client reports it; then done, failed or withdrawn"`
	Done      *time.Time         `json:"done,omitempty" doc:"when its client reported it, or when it was withdrawn"`
	Error     string             `json:"error,omitempty" doc:"why the client could not do it, or who withdrew it"`
}

// Diagnostics is an archive that a client sent because it was ordered to.
type Diagnostics struct {
	ID       string          `json:"id"`
	Client   dormer.ClientID `json:"client"`
	Order    string          `json:"order"`
	Received time.Time       `json:"received"`
	Bytes    int64           `json:"bytes"`
	Expires  time.Time       `json:"expires" doc:"when it is deleted, if it is not before: the newest of each client are kept"`
}

// Machine is one user's machine from one workspace on one client.
type Machine struct {
	ID           dormer.MachineID   `json:"id"`
	Client       dormer.ClientID    `json:"client"`
	Host         string             `json:"host,omitempty" doc:"name of the client's computer"`
	User         dormer.Principal   `json:"user"`
	Workspace    dormer.WorkspaceID `json:"workspace"`
	ComputerName string             `json:"computer_name,omitempty"`
	Created      time.Time          `json:"created"`
	State        string             `json:"state,omitempty"`
	Detail       string             `json:"detail,omitempty"`
	Image        dormer.ImageID     `json:"image,omitempty"`
	Guest        string             `json:"guest,omitempty"`
	Reported     *time.Time         `json:"reported,omitempty"`
	// OfflineBudgetSeconds counts from when the client's lease was renewed last, which is at
	// most a twentieth of it before it was last seen.
	OfflineBudgetSeconds *int64 `json:"offline_budget_seconds,omitempty" doc:"for how long it may run without its lease being renewed, by the lease that is out; absent: without a limit, or not known"`
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
