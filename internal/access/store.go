// Package access decides who somebody is and what they may do: sign-in against
// a directory, sessions, and the roles of operators. It belongs to the server.
package access

import (
	"context"
	"time"

	"github.com/dormer-project/dormer"
)

// Account is a user of the embedded directory.
type Account struct {
	ID          string // dormer.NewID; the Key of its principal
	Name        string // as typed; unique without regard to case
	DisplayName string
	// PasswordHash is argon2id in PHC form; empty: cannot sign in.
	PasswordHash string
	// MustChange: the next sign-in must set a new password.
	MustChange bool
	Disabled   bool
	Expires    *time.Time
	Created    time.Time
}

// Group is a group of the embedded directory.
type Group struct {
	ID   string // the Key of its principal
	Name string
}

// Member is a user or a group in a group.
type Member struct {
	Kind dormer.PrincipalKind
	ID   string
}

// AccountStore keeps the embedded directory's users. Names are compared folded
// (name.Fold). ErrExists for a name in use, ErrNotFound for one that is not.
type AccountStore interface {
	CreateAccount(ctx context.Context, a Account) error
	AccountByName(ctx context.Context, name string) (Account, error)
	AccountByID(ctx context.Context, id string) (Account, error)
	// UpdateAccount changes one account in one transaction. An error of change
	// is returned as it is and changes nothing.
	UpdateAccount(ctx context.Context, id string, change func(*Account) error) error
	Accounts(ctx context.Context) ([]Account, error)
	DeleteAccount(ctx context.Context, id string) error
}

// GroupStore keeps the embedded directory's groups.
type GroupStore interface {
	CreateGroup(ctx context.Context, g Group) error
	Groups(ctx context.Context) ([]Group, error)
	DeleteGroup(ctx context.Context, id string) error
	// SetMember adds or removes a member; repeating it changes nothing. A
	// cycle of groups is ErrInvalid.
	SetMember(ctx context.Context, group string, m Member, present bool) error
	Members(ctx context.Context, group string) ([]Member, error)
	// GroupsOf returns all groups that m is in, nested ones too.
	GroupsOf(ctx context.Context, m Member) ([]Group, error)
}

// Operator is a directory user or group that may use the console.
type Operator struct {
	Principal dormer.Principal `json:"principal"`
	Role      dormer.Role      `json:"role"`
}

// OperatorStore keeps the operators.
type OperatorStore interface {
	Operators(ctx context.Context) ([]Operator, error)
	// SetOperator adds an operator or changes its role; RoleNone removes it.
	SetOperator(ctx context.Context, o Operator) error
	// ChangeOperator is SetOperator after check, which sees all operators as
	// they are, in the same transaction: nobody changes them between. An error of
	// check is returned as it is and changes nothing. check asks nobody and is
	// quick: all who write wait for it.
	ChangeOperator(ctx context.Context, o Operator, check func(now []Operator) error) error
}

// SessionKind says where a session is used.
type SessionKind string

// The kinds of sessions.
const (
	SessionOperator SessionKind = "operator" // REST API, console
	SessionUser     SessionKind = "user"     // an end user on one client
)

// Session is somebody who is signed in. The secret is not kept, only its
// SHA-256.
type Session struct {
	ID      string
	Hash    [32]byte
	Kind    SessionKind
	User    dormer.Principal
	Client  dormer.ClientID // of user sessions
	Created time.Time
	Expires time.Time
}

// SessionStore keeps sessions.
type SessionStore interface {
	CreateSession(ctx context.Context, s Session) error
	// Session returns ErrNotFound for one that was ended; expiry is the
	// caller's to check.
	Session(ctx context.Context, id string) (Session, error)
	// Sessions returns all of a kind, for loading them into memory at start.
	Sessions(ctx context.Context, kind SessionKind) ([]Session, error)
	EndSession(ctx context.Context, id string) error
	// EndSessionsOf ends all sessions of a user and returns their identities.
	EndSessionsOf(ctx context.Context, user dormer.UserID) ([]string, error)
	DeleteExpiredSessions(ctx context.Context, now time.Time) error
}
