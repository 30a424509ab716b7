// Package enroll gives clients their identity: join tokens, enrolment,
// challenges and the tokens that authenticate polls. It belongs to the server.
package enroll

import (
	"context"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire"
)

// JoinToken admits new clients. Its secret is not kept, only its SHA-256.
type JoinToken struct {
	ID   string
	Hash [32]byte
	Name string // what it is for
	// AdmitsManaged and AdmitsUnmanaged say which agents it enrols.
	AdmitsManaged, AdmitsUnmanaged bool
	MaxUses                        int // at least 1
	Uses                           int
	Expires                        time.Time
	Created                        time.Time
	By                             string // operator's name
	Revoked                        bool
}

// Client is an enrolled client.
type Client struct {
	ID           dormer.ClientID
	PublicKey    []byte // seal.MarshalClientPublic
	Managed      bool
	Host         wire.Host
	AgentVersion string
	JoinToken    string // identity of the token it came with
	Enrolled     time.Time
	Revoked      *time.Time
	LastSeen     *time.Time
	// Copied is when two agents were last found to work with this identity, nil
	// if never; CopiedDetail says from where.
	Copied       *time.Time
	CopiedDetail string
	// ClockAhead is by how much the client's clock was ahead of the server's at
	// its last poll, negative when behind, in microseconds; nil: not known. What a
	// poll takes on its way is part of it.
	ClockAhead *time.Duration
	// Runs are the starts of its agents that polls told of since the server was
	// started, the newest last. They are not stored, and not in lists.
	Runs []Run
}

// Seen is a sign of life of a client; the newest counts.
type Seen struct {
	Client       dormer.ClientID
	Time         time.Time
	Host         wire.Host
	AgentVersion string
	// Run is wire.PollRequest.Run, Address where the poll came from. Both may be
	// empty, and neither is stored.
	Run     string
	Address string
	// ClockAhead is as in Client; nil when the poll did not tell.
	ClockAhead *time.Duration
}

// Run is one start of an agent, from its first poll to its last.
type Run struct {
	First, Last time.Time
	Host        string
	Address     string
}

// Store keeps join tokens and clients.
type Store interface {
	CreateJoinToken(ctx context.Context, t JoinToken) error
	JoinTokens(ctx context.Context) ([]JoinToken, error)
	RevokeJoinToken(ctx context.Context, id string) error
	// Enrol counts one use of the token with that hash and adds the client, in
	// one transaction. admit sees the token before the use is counted; its
	// error is returned as it is and changes nothing. ErrNotFound when there is
	// no such token.
	Enrol(ctx context.Context, hash [32]byte, c Client, admit func(JoinToken) error) error
}

// ClientStore keeps clients.
type ClientStore interface {
	Client(ctx context.Context, id dormer.ClientID) (Client, error)
	// Clients returns all clients in the order of their host names.
	Clients(ctx context.Context) ([]Client, error)
	// RevokeClient is durable when it returns; repeating it changes nothing.
	RevokeClient(ctx context.Context, id dormer.ClientID, at time.Time) error
	// FlushSeen records many signs of life in one transaction. Unknown clients
	// are passed over.
	FlushSeen(ctx context.Context, seen []Seen) error
	CopyStore
	Finder
}

// CopyStore keeps which clients were found to be copied.
type CopyStore interface {
	// MarkCopied sets Copied and CopiedDetail of a client; the latest counts.
	// ErrNotFound when there is no such client. It is durable when it returns.
	MarkCopied(ctx context.Context, id dormer.ClientID, at time.Time, detail string) error
}
