package access

import (
	"context"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
)

// Area is a part of the API. An API token may be confined to some.
type Area string

// The areas of the API.
const (
	AreaWorkspaces Area = "workspaces"
	AreaDirectory  Area = "directory"
	AreaAccess     Area = "access" // operators and API tokens
	AreaClients    Area = "clients"
	AreaImages     Area = "images"
	AreaReports    Area = "reports" // reports, plans and the audit log
)

// Areas returns all of them.
func Areas() []Area {
	return []Area{AreaWorkspaces, AreaDirectory, AreaAccess, AreaClients, AreaImages, AreaReports}
}

// AreaNames lists areas for people.
func AreaNames(areas []Area) string {
	texts := make([]string, len(areas))
	for i, area := range areas {
		texts[i] = string(area)
	}
	return strings.Join(texts, ", ")
}

// APIToken lets a program use the API for the operator who made it, with at
// most the role that the operator has at the time. Its secret is not kept,
// only its SHA-256.
type APIToken struct {
	ID   string
	Name string // what it is for
	Hash [32]byte
	// Owner is the operator who made it.
	Owner dormer.Principal
	// Role is the most that it may do.
	Role dormer.Role
	// Areas are what it may do that in; none: everywhere.
	Areas    []Area
	Created  time.Time
	Expires  time.Time
	LastUsed *time.Time
	Revoked  *time.Time
}

// APITokenStore keeps API tokens.
type APITokenStore interface {
	// CreateAPIToken adds one; ErrExists for an identity in use.
	CreateAPIToken(ctx context.Context, t APIToken) error
	// APIToken returns one, revoked or expired ones too, else ErrNotFound.
	APIToken(ctx context.Context, id string) (APIToken, error)
	// APITokens returns all, newest first.
	APITokens(ctx context.Context) ([]APIToken, error)
	// RevokeAPIToken is idempotent; ErrNotFound when there is none.
	RevokeAPIToken(ctx context.Context, id string, at time.Time) error
	// UsedAPITokens notes when tokens were last used.
	UsedAPITokens(ctx context.Context, used map[string]time.Time) error
}

// Caller is who uses the API: an operator in a session, or a program with an
// API token.
type Caller struct {
	User dormer.Principal
	Role dormer.Role
	// Areas confine a token; none: everywhere.
	Areas []Area
	// Session is the session; zero for tokens.
	Session Session
	// Token is the identity of the API token; empty for sessions.
	Token string
}
