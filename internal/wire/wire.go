// Package wire holds the types of the client protocol, between dormer-agent
// and dormerd. It is a leaf: both sides import it, it imports only the root
// package and seal.
//
// All bodies are JSON. Every request carries the protocol version; a server
// serves the current and the previous one. History:
//
//	1  2026-11-22  first version
//	1  2026-11-22  before its first release: the client's clock in polls, refused events in answers, Count in
//	               events. Agents and servers from before leave them out.
//	1  2026-11-22  before its first release: disk and images of the host in polls, orders to reset and to send
//	               diagnostics, which an agent from before reports as unknown to it.
//	1  2026-11-23  before its first release: deliveries of images in polls, and how many were taken in answers. A
//	               server from before takes none; the agent keeps the newest.
package wire

import (
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/seal"
)

// The protocol versions that this build speaks.
const (
	ProtocolVersion    = 1
	MinProtocolVersion = 1
)

// Paths of the client protocol, below the server's base URL.
const (
	PathEnrol     = "/client/v1/enrol"      // POST EnrolRequest -> EnrolAnswer
	PathChallenge = "/client/v1/challenge"  // POST ChallengeRequest -> ChallengeAnswer
	PathToken     = "/client/v1/token"      // POST TokenRequest -> TokenAnswer
	PathSignIn    = "/client/v1/sign-in"    // POST SignInRequest -> SignInAnswer
	PathSignOut   = "/client/v1/sign-out"   // POST SignOutRequest -> 204
	PathPoll      = "/client/v1/poll"       // POST PollRequest -> seal.Envelope of PollAnswer
	PathPolicy    = "/client/v1/policies/"  // GET + hash -> effective policy, immutable
	PathJoin      = "/client/v1/join"       // POST JoinRequest -> JoinAnswer
	PathOverride  = "/client/v1/override"   // POST OverrideRequest -> OverrideAnswer
	PathCollected = "/client/v1/collected/" // PUT + order: tar.gz of diagnostics -> 204
	PathObject    = "/repository/v1/"       // GET + object name -> image object, immutable, ranges
)

// Limits of the client protocol; see docs/limits.md.
const (
	MaxBody           = 1 << 20 // bytes of a request
	MaxPollAnswer     = 8 << 20 // bytes of an answer
	MaxEventsPerPoll  = 500
	MaxSessions       = 32  // users signed in on one client
	MaxMachines       = 256 // machines of one client
	MaxDescription    = 1000
	MaxPasswordLength = 1024
	MaxSignInCode     = 4 << 10 // bytes of a one-time code
	MaxDiagnostics    = 1 << 20 // bytes of an archive of diagnostics
	MaxDeliveries     = 100     // deliveries of images a poll
)

// The pace of polls, beside the interval that a server asks for.
const (
	PollSpread   = 10              // the interval is off by a tenth of it at most, to both sides
	FirstRetry   = 5 * time.Second // after a poll that failed; it doubles with each further one
	LongestRetry = 5 * time.Minute // up to which it doubles
	RetrySpread  = 4               // a quarter of a pause after a failure is added at most
	MoreDelay    = time.Second     // when there are more events than one poll takes
)

// Host describes the computer of a client.
type Host struct {
	Name       string `json:"name"`
	OS         string `json:"os"`   // runtime.GOOS
	Arch       string `json:"arch"` // runtime.GOARCH
	MemoryMiB  int    `json:"memory_mib"`
	Processors int    `json:"processors"`
	// DiskFree and DiskTotal are of the disk that machines are kept on, ImagesBytes
	// is what images take there, in bytes; 0: not known. Agents told it from 2026-11
	// on.
	DiskFree    int64 `json:"disk_free,omitempty"`
	DiskTotal   int64 `json:"disk_total,omitempty"`
	ImagesBytes int64 `json:"images_bytes,omitempty"`
}

// EnrolRequest enrols a client with a join token's secret. It is not
// authenticated otherwise.
type EnrolRequest struct {
	Protocol int    `json:"protocol"`
	Secret   string `json:"secret"`
	// PublicKey is the client's P-256 key as seal.MarshalClientPublic makes it.
	PublicKey []byte `json:"public_key"`
	// Managed says that the agent runs as a system service, out of reach of
	// its users.
	Managed      bool   `json:"managed"`
	Host         Host   `json:"host"`
	AgentVersion string `json:"agent_version"`
}

// EnrolAnswer makes the client one of the instance's.
type EnrolAnswer struct {
	Client   dormer.ClientID   `json:"client"`
	Instance dormer.InstanceID `json:"instance"`
	// RootKey is the Ed25519 key that signs key sets for as long as the
	// instance exists. It is believed because the join token pinned the
	// authority of the connection.
	RootKey []byte        `json:"root_key"`
	KeySet  seal.Envelope `json:"key_set"`
}

// ChallengeRequest asks for a challenge to prove the client's key with.
type ChallengeRequest struct {
	Protocol int             `json:"protocol"`
	Client   dormer.ClientID `json:"client"`
}

// ChallengeAnswer carries opaque bytes that the client signs (seal.SignChallenge).
type ChallengeAnswer struct {
	Challenge []byte `json:"challenge"`
}

// TokenRequest exchanges a signed challenge for a token.
type TokenRequest struct {
	Protocol  int             `json:"protocol"`
	Client    dormer.ClientID `json:"client"`
	Challenge []byte          `json:"challenge"`
	Signature []byte          `json:"signature"`
}

// TokenAnswer carries the token that authenticates the client's other
// requests, as "Authorization: Bearer TOKEN".
type TokenAnswer struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

// SignInRequest signs an end user in on the client: with name and password, or
// with a one-time code that the user's process got from the server.
type SignInRequest struct {
	Protocol int    `json:"protocol"`
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	Code     string `json:"code,omitempty"`
}

// SignInCode stands for a sign-in that was proved by a ticket or a provider.
// It counts once, on one client, until it expires.
type SignInCode struct {
	Code    string           `json:"code"`
	User    dormer.Principal `json:"user"`
	Expires time.Time        `json:"expires"`
}

// SignInAnswer opens a user session. Secret is sealed to the client's key with
// info SessionInfo(Session).
type SignInAnswer struct {
	Session string           `json:"session"`
	Sealed  []byte           `json:"sealed"`
	User    dormer.Principal `json:"user"`
	Expires time.Time        `json:"expires"`
}

// SignOutRequest ends a user session.
type SignOutRequest struct {
	Protocol int     `json:"protocol"`
	Session  Session `json:"session"`
}

// SessionInfo is the info under which the secret of a session is sealed.
func SessionInfo(session string) string { return "dormer session " + session }

// Session proves that a user is signed in on the client.
type Session struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

// PollRequest is what the client has.
type PollRequest struct {
	Protocol int `json:"protocol"`
	// Nonce is 16 random bytes; the signed answer repeats them, so that an old
	// answer cannot be played back.
	Nonce        []byte `json:"nonce"`
	AgentVersion string `json:"agent_version"`
	// Run is random and made anew whenever the agent starts. An agent never goes
	// back to an earlier one, so that a server which sees that knows of a copy.
	Run  string `json:"run,omitempty"`
	Host Host   `json:"host"`
	// Enforces lists the requirements (policy.Effective.Requires) that this agent can enforce.
	Enforces []string `json:"enforces"`
	// KeySet is the version of the key set that the client holds.
	KeySet int `json:"key_set"`
	// Epoch is the highest that the client has seen.
	Epoch dormer.Epoch `json:"epoch"`
	// EpochProof is the client's key set, sent after an answer of a lower epoch
	// than the client has seen: it shows a superseded server that it is one.
	EpochProof *seal.Envelope `json:"epoch_proof,omitempty"`
	Sessions   []Session      `json:"sessions,omitempty"`
	Machines   []MachineState `json:"machines,omitempty"`
	// KeysTag is the tag of the sealed keys that the client holds.
	KeysTag string           `json:"keys_tag,omitempty"`
	Journal dormer.JournalID `json:"journal,omitempty"`
	// Events are those above what the server has received. One of a higher epoch
	// than the client's takes none of them: it may lack some that the server before
	// it had received.
	Events    []NumberedEvent `json:"events,omitempty"`
	OrdersRun []OrderResult   `json:"orders_run,omitempty"`
	// Deliveries are those that no answer said were taken, the oldest first.
	Deliveries []Delivery `json:"deliveries,omitempty"`
	// Clock is the client's wall clock when it sent the request, for the server
	// to see how wrong it is; nothing else is decided by it.
	Clock time.Time `json:"clock,omitzero"`
	// WaitSeconds is reserved for answering late; servers ignore it.
	WaitSeconds int `json:"wait_seconds,omitempty"`
}

// MachineState is the observed state of one machine of the client.
type MachineState struct {
	Machine dormer.MachineID `json:"machine"`
	// Serial is that of the lease the client holds, 0 for none.
	Serial uint64 `json:"serial"`
	// BudgetUsed is how many seconds of the off-line budget are used.
	BudgetUsed int64 `json:"budget_used,omitempty"`
	// State is a workspace.State.
	State string `json:"state"`
	// Detail says more for people: "62 % of 110 MB", "client too old: usb".
	Detail string `json:"detail,omitempty"`
	// Image is the version that the machine runs or would run.
	Image dormer.ImageID `json:"image,omitempty"`
	Guest string         `json:"guest,omitempty"`
	// PolicyRevision is the revision whose policy the client holds.
	PolicyRevision dormer.Revision `json:"policy_revision,omitempty"`
	// Locked says that the machine is locked.
	Locked bool `json:"locked,omitempty"`
	// AtNextStart are the fields of the policy that a running machine takes
	// over when it starts next; NotEnforced those that this agent does nothing for.
	AtNextStart []string `json:"at_next_start,omitempty"`
	NotEnforced []string `json:"not_enforced,omitempty"`
}

// NumberedEvent is an event and its place in the client's journal, from 1.
type NumberedEvent struct {
	Sequence uint64       `json:"seq"`
	Event    dormer.Event `json:"event"`
}

// RefusedEvent is an event that the server could not take. Its place in the
// journal counts as received: sending it again changes nothing.
type RefusedEvent struct {
	Sequence uint64 `json:"seq"`
	// Field is the path in the event that is wrong, empty for the event as a
	// whole. Neither text repeats a value.
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason"`
}

// OrderResult reports an order that was carried out, or why it was not.
type OrderResult struct {
	Order string `json:"order"`
	Error string `json:"error,omitempty"`
}

// Delivery is an image that came to be whole on the client.
type Delivery struct {
	Image dormer.ImageID `json:"image"`
	// Size is what the image takes as it is stored, Fetched what of it was not
	// there when its first fetch began and so came over the network, in bytes.
	Size    int64 `json:"size"`
	Fetched int64 `json:"fetched"`
	// Finished is by the client's clock. It tells deliveries of one image apart; a
	// delivery that is sent again has the same.
	Finished time.Time `json:"finished"`
}

// PollAnswer is what changed. It is sent as the payload of an envelope of
// type seal.TypeAnswer: its Time resets the client's clock floor.
type PollAnswer struct {
	Protocol int               `json:"protocol"`
	Instance dormer.InstanceID `json:"instance"`
	Epoch    dormer.Epoch      `json:"epoch"`
	Client   dormer.ClientID   `json:"client"`
	Nonce    []byte            `json:"nonce"`
	Time     time.Time         `json:"time"`
	// NextPollMillis is when to poll again, jittered by the server.
	NextPollMillis int64 `json:"next_poll_ms"`
	// IntervalMillis is the instance's poll interval, which limits are counted in.
	IntervalMillis int64 `json:"interval_ms"`
	// TimeZone is the zone of the instance, as "Europe/Berlin".
	TimeZone string `json:"time_zone,omitempty"`
	// SavePasswords says that clients may save passwords where a grant allows it
	// too.
	SavePasswords bool `json:"save_passwords,omitempty"`
	// Domains are those that users' directories are of.
	Domains []Domain `json:"domains,omitempty"`
	// KeySet is there when the client's is old.
	KeySet *seal.Envelope `json:"key_set,omitempty"`
	// EndedSessions are those of the request that are over, with the reason.
	EndedSessions []EndedSession `json:"ended_sessions,omitempty"`
	// Leases are new or renewed ones (payload lease.Lease). A machine of the
	// request that is neither here nor withdrawn keeps its lease.
	Leases []seal.Envelope `json:"leases,omitempty"`
	// Withdrawn are machines whose lease is not renewed any more: they stop,
	// and are kept.
	Withdrawn []Withdrawal `json:"withdrawn,omitempty"`
	// Orders have payload lease.Order. They are repeated until their result
	// was reported.
	Orders []seal.Envelope `json:"orders,omitempty"`
	// Keys is there when the client's are not current.
	Keys *SealedKeys `json:"keys,omitempty"`
	// ReceivedThrough and SafeThrough are watermarks of the request's journal:
	// what is received is durable on the server, what is safe survives the loss of
	// the server as well. The client trims at SafeThrough.
	Journal         dormer.JournalID `json:"journal,omitempty"`
	ReceivedThrough uint64           `json:"received_through,omitempty"`
	SafeThrough     uint64           `json:"safe_through,omitempty"`
	// RefusedEvents are those of the request that could not be taken.
	RefusedEvents []RefusedEvent `json:"refused_events,omitempty"`
	// DeliveriesTaken is how many deliveries of the request need not be sent again,
	// counted from its first.
	DeliveriesTaken int `json:"deliveries_taken,omitempty"`
}

// Domain says how the domain behind a directory is called.
type Domain struct {
	// Directory is as in dormer.Principal.
	Directory string `json:"directory"`
	// Name is the full name, as "corp.example.test", NetBIOSName the short one,
	// Realm that of Kerberos; empty: there is none.
	Name        string `json:"name,omitempty"`
	NetBIOSName string `json:"netbios_name,omitempty"`
	Realm       string `json:"realm,omitempty"`
}

// EndedSession says that a user is not signed in any more.
type EndedSession struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// Withdrawal says that a machine has no lease any more.
type Withdrawal struct {
	Machine dormer.MachineID `json:"machine"`
	Reason  string           `json:"reason"`
}

// SealedKeys are the secrets that the client's leases need, each sealed to its
// key with info KeyInfo(Name).
type SealedKeys struct {
	Tag  string      `json:"tag"`
	Keys []SealedKey `json:"keys"`
}

// SealedKey is one of them.
type SealedKey struct {
	// Name is DiskKeyName(machine) or RepositoryKeyName(key id).
	Name   string `json:"name"`
	Sealed []byte `json:"sealed"`
}

// KeyInfo is the info under which the key of that name is sealed.
func KeyInfo(name string) string { return "dormer key " + name }

// DiskKeyName names the key of a machine's disks.
func DiskKeyName(m dormer.MachineID) string { return "disk " + string(m) }

// RepositoryKeyName names a key that encrypts image objects.
func RepositoryKeyName(id string) string { return "repository " + id }
