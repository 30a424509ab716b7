// Package agentapi is the local interface of the agent: HTTP over a Unix
// socket, with the kernel saying which user asks. It is an edge: the agent
// serves it, the command line and the session use its Client.
//
// Whoever connects sees and moves only what belongs to their own user of the
// computer. Errors are problem documents, as those of the server.
package agentapi

import (
	"time"

	"github.com/dormer-project/dormer"
)

// Paths of the interface. {machine} is the identity of a machine or the name
// of a workspace.
const (
	pathStatus      = "/v1/status"
	pathEnrol       = "/v1/enrol"
	pathSignIn      = "/v1/sign-in"
	pathSignOut     = "/v1/sign-out"
	pathWorkspaces  = "/v1/workspaces"
	pathAct         = "/v1/workspaces/{machine}/{command}"
	pathRun         = "/v1/workspaces/{machine}/run"
	pathRefresh     = "/v1/refresh"
	pathDiagnostics = "/v1/diagnostics"
	pathPIN         = "/v1/pin"
	pathProve       = "/v1/prove"
)

// maxBody is the largest request, in bytes.
const maxBody = 64 << 10

// SystemSocket is where the system service listens.
const SystemSocket = "/run/dormer/agent.sock"

// UserSocket returns where an agent with --user listens, given
// $XDG_RUNTIME_DIR; "" when that is not set.
func UserSocket(runtimeDir string) string {
	if runtimeDir == "" {
		return ""
	}
	return runtimeDir + "/dormer/agent.sock"
}

// Peer is who asks, as the kernel says.
type Peer struct {
	UID uint32
	PID int32
}

// Status is how the agent is, and what it holds for the user who asks.
type Status struct {
	AgentVersion string `json:"agent_version"`
	// Managed says that the agent is a system service.
	Managed  bool              `json:"managed"`
	Enrolled bool              `json:"enrolled"`
	Client   dormer.ClientID   `json:"client,omitempty"`
	Instance dormer.InstanceID `json:"instance,omitempty"`
	Epoch    dormer.Epoch      `json:"epoch,omitempty"`
	Host     string            `json:"host"`
	// Server is the base URL that answered last, or the first that is tried.
	Server string `json:"server,omitempty"`
	// Online says that the last poll succeeded.
	Online bool `json:"online"`
	// LastAnswer is the server's time in its last answer.
	LastAnswer time.Time `json:"last_answer,omitzero"`
	NextPoll   time.Time `json:"next_poll,omitzero"`
	// Problem is why the last poll did not succeed, or that the client must
	// enrol again.
	Problem string `json:"problem,omitempty"`
	// EventsWaiting is how many events the server has not yet acknowledged.
	EventsWaiting int `json:"events_waiting"`
	// Hypervisor says what runs machines here; Notes what is missing.
	Hypervisor string   `json:"hypervisor,omitempty"`
	Notes      []string `json:"notes,omitempty"`
	// Notices are messages of the last day that no desktop has shown.
	Notices []Notice `json:"notices,omitempty"`

	Users      []User      `json:"users"`
	Workspaces []Workspace `json:"workspaces"`
}

// User is somebody of the instance who is signed in for the user who asks.
type User struct {
	Name    string    `json:"name"`
	ID      string    `json:"id"`
	Expires time.Time `json:"expires"`
	// Proof is what proves off-line that it is the user: "password", "pin" or
	// "" for nothing yet.
	Proof string `json:"proof,omitempty"`
	// Saved says that the password is saved on this computer, NotSaved why that
	// was wanted and not done.
	Saved    bool   `json:"saved,omitempty"`
	NotSaved string `json:"not_saved,omitempty"`
}

// What proves off-line that it is the user.
const (
	ProofPassword = "password"
	ProofPIN      = "pin"
)

// Workspace is one machine of the user who asks.
type Workspace struct {
	Machine     dormer.MachineID   `json:"machine"`
	Workspace   dormer.WorkspaceID `json:"workspace"`
	Name        string             `json:"name"`
	Description string             `json:"description,omitempty"`
	Support     string             `json:"support,omitempty"`
	User        string             `json:"user"`
	Persistent  bool               `json:"persistent"`
	// State and Desired are those of package workspace.
	State   string `json:"state"`
	Desired string `json:"desired"`
	// Detail is progress, or why it is as it is: also that it may not start,
	// or until when it runs although it may not.
	Detail string `json:"detail,omitempty"`
	// Error is why the last start, stop or download did not succeed.
	Error string `json:"error,omitempty"`
	// Ready says that the guest is up: applications run at once.
	Ready bool `json:"ready"`
	// Guest is the name of the guest system.
	Guest string `json:"guest,omitempty"`
	// Image is NAME/NUMBER.
	Image          string          `json:"image"`
	PolicyRevision dormer.Revision `json:"policy_revision"`
	// Permitted says that it may run now; Verdict why or why not, and then what
	// comes of it: when it stops, or that it does not start.
	Permitted bool   `json:"permitted"`
	Verdict   string `json:"verdict"`
	// ValidUntil is when it ends, absent: no end. OfflineLeft is how many
	// seconds it may go on without the server, absent: unrestricted, or not
	// permitted anyway.
	ValidUntil  *time.Time `json:"valid_until,omitempty"`
	OfflineLeft *int64     `json:"offline_left,omitempty"`

	Applications []Application `json:"applications"`

	// Locked is why it is locked, empty when it is not: 'dormer unlock' is asked
	// for the user's password or PIN.
	Locked string `json:"locked,omitempty"`
	// Suspended says that the machine is held in memory, Saved that its state is
	// kept for the next start.
	Suspended bool `json:"suspended,omitempty"`
	Saved     bool `json:"saved,omitempty"`
	// Update is the NAME/NUMBER of a new version of the image that the user may
	// take.
	Update string `json:"update,omitempty"`
	// UpdateAtNextStart is the version that the next start takes, UpdateProblem why
	// a new one cannot be taken, Earlier the one that the user may go back to.
	UpdateAtNextStart string `json:"update_at_next_start,omitempty"`
	UpdateProblem     string `json:"update_problem,omitempty"`
	Earlier           string `json:"earlier,omitempty"`
	// Setup says how first-time setup goes, or why it does not; empty when it is
	// finished or there is none. SetupStopped says that it failed or was cancelled
	// and does not go on by itself.
	Setup        string `json:"setup,omitempty"`
	SetupStopped bool   `json:"setup_stopped,omitempty"`
	// AtNextStart are fields of a changed policy that count when the machine
	// starts next; NotEnforced those that this agent does nothing for; Missing
	// what the policy wants and this computer does not have.
	AtNextStart []string `json:"at_next_start,omitempty"`
	NotEnforced []string `json:"not_enforced,omitempty"`
	Missing     []string `json:"missing,omitempty"`
	// Unarranged is what could not be done in the guest as the policy says, each
	// with the reason.
	Unarranged []string `json:"unarranged,omitempty"`
	// Warnings are what the user should know now: that it stops, and when.
	Warnings []string `json:"warnings,omitempty"`
	// NeedsSession says that the policy wants something done by the user's
	// session process.
	NeedsSession bool `json:"needs_session,omitempty"`
}

// Application is one that the workspace publishes.
type Application struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

// EnrolRequest makes the agent one of an instance's clients.
type EnrolRequest struct {
	JoinToken string `json:"join_token"`
	// Again asks for a new identity although the client's is still valid.
	Again bool `json:"again,omitempty"`
}

// SignInInfo is what the user's own process needs to prove at the server who
// the user is.
type SignInInfo struct {
	// Server is the base URL that answered last, or the first that is tried.
	Server string `json:"server"`
	// Authority is the certificate (PEM) that the server's must come from;
	// empty: one of the system's.
	Authority []byte `json:"authority,omitempty"`
	// Client is whom the one-time code must be for.
	Client dormer.ClientID `json:"client"`
}

// SignInRequest signs a user of the instance in for the user who asks: by name
// and password, or by a one-time code of the server (wire.SignInCode).
type SignInRequest struct {
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	Code     string `json:"code,omitempty"`
	// Save keeps the password on this computer, where policy and server allow it.
	Save bool `json:"save,omitempty"`
}

// PINRequest sets or removes the PIN that stands in for the password of a user
// who signed in without one. User is as in SignOutRequest. Check changes
// nothing: whether a PIN may be set is known before it is asked for.
type PINRequest struct {
	User   string `json:"user,omitempty"`
	PIN    string `json:"pin,omitempty"`
	Remove bool   `json:"remove,omitempty"`
	Check  bool   `json:"check,omitempty"`
}

// ProveRequest proves that the user at the computer is the one who is signed
// in, by the password of the sign-in or the PIN. User is as in SignOutRequest.
type ProveRequest struct {
	User   string `json:"user,omitempty"`
	Secret string `json:"secret"`
}

// SignOutRequest ends that; the workspaces stop and are kept. User is what
// User.Name or User.ID said, or empty when only one is signed in.
type SignOutRequest struct {
	User string `json:"user"`
}

// Command is what to do with a machine.
type Command string

// The commands.
const (
	CommandStart   Command = "start"
	CommandStop    Command = "stop"
	CommandRestart Command = "restart"
	CommandKill    Command = "kill"
)

// RunRequest runs a published application; the workspace is started when it
// does not run.
type RunRequest struct {
	Application string `json:"application"`
	// Detach answers as soon as it runs; its output is not kept.
	Detach bool `json:"detach,omitempty"`
}

// RunResult is how an application ended.
type RunResult struct {
	Stdout     []byte `json:"stdout"`
	Stderr     []byte `json:"stderr"`
	ExitStatus int    `json:"exit_status"`
	// Truncated says that there was more output than is kept.
	Truncated bool `json:"truncated,omitempty"`
}

// Diagnostics is what helps somebody who helps.
type Diagnostics struct {
	Status Status `json:"status"`
	// StateFolder is shown to whoever runs the agent, and to root.
	StateFolder string `json:"state_folder,omitempty"`
	// Clock is the time as far as the agent can be sure of it.
	Clock time.Time `json:"clock"`
	// Machines are those of the user who asks.
	Machines []MachineDiagnostics `json:"machines"`
}

// MachineDiagnostics are of one machine.
type MachineDiagnostics struct {
	Machine dormer.MachineID `json:"machine"`
	// Log and Console are the ends of the machine's log and of the guest's
	// serial console.
	Log     string `json:"log,omitempty"`
	Console string `json:"console,omitempty"`
}
