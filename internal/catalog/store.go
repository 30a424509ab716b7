// Package catalog keeps an instance's workspaces as documents in numbered
// revisions, and works out what each user gets: the effective policies,
// prepared once as bytes for all who have the same. It belongs to the server.
package catalog

import (
	"context"
	"time"

	"github.com/dormer-project/dormer"
)

// Revision is one stored revision of a workspace document.
type Revision struct {
	Workspace dormer.WorkspaceID `json:"workspace"`
	Name      string             `json:"name"`
	Number    dormer.Revision    `json:"revision"`
	// ETag is the hash of Document in hexadecimal, without quotes.
	ETag     string    `json:"etag"`
	Author   string    `json:"author"`
	Time     time.Time `json:"time"`
	Message  string    `json:"message,omitempty"`
	Document []byte    `json:"-"` // canonical JSON
}

// Store keeps revisions. Names are unique without regard to case after NFC
// (name.Fold). Methods that change something refuse a stale ifMatch with a
// *dormer.ConflictError naming who changed it and when.
type Store interface {
	// Workspaces returns the current revision of every workspace, by name.
	Workspaces(ctx context.Context) ([]Revision, error)
	Workspace(ctx context.Context, id dormer.WorkspaceID) (Revision, error)
	WorkspaceByName(ctx context.Context, name string) (Revision, error)
	// Commit stores r as the next revision of r.Workspace and returns it with
	// its number. ifMatch is the entity tag it replaces; "" means that the
	// workspace must be new. ErrExists for a name in use by another. Storing
	// the document that is current makes no new revision.
	Commit(ctx context.Context, r Revision, ifMatch string) (Revision, error)
	// Delete removes the workspace; its history stays for the audit.
	Delete(ctx context.Context, id dormer.WorkspaceID, ifMatch string) error
	// History returns all revisions without their documents, newest first;
	// RevisionOf returns one whole.
	History(ctx context.Context, id dormer.WorkspaceID) ([]Revision, error)
	RevisionOf(ctx context.Context, id dormer.WorkspaceID, number dormer.Revision) (Revision, error)
}

// PolicyStore keeps effective policies as immutable bytes by hash, so that a
// lease issued before a restart still finds its policy.
type PolicyStore interface {
	// PutPolicy is durable when it returns; repeating it changes nothing.
	PutPolicy(ctx context.Context, hash string, body []byte) error
	Policy(ctx context.Context, hash string) ([]byte, error)
}
