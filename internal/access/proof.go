package access

import (
	"context"
	"time"

	"github.com/dormer-project/dormer"
)

// Method is a way of signing in.
type Method string

// The ways of signing in.
const (
	MethodPassword Method = "password"
	MethodKerberos Method = "kerberos"
	MethodOpenID   Method = "openid"
)

// Negotiator checks Kerberos tickets: package directory/kerberos.
type Negotiator interface {
	// Accept checks a SPNEGO token (RFC 4178, RFC 4559) against the service's
	// keytab. ErrUnauthenticated, with a cause that is fit for the audit log,
	// for one that is not for this service, of a foreign realm, expired or
	// malformed. Whether it was seen before is the caller's to check, by ID.
	Accept(ctx context.Context, token []byte) (Ticket, error)
}

// Ticket is what an accepted token says.
type Ticket struct {
	// User and Realm are the client principal: alice and CORP.EXAMPLE.TEST.
	User, Realm string
	// Account is the last number of the user's SID, as the domain says; 0: it
	// does not.
	Account uint32
	// Reply is the token that is answered, if there is one.
	Reply []byte
	// ID identifies the authenticator, which must count only once until
	// Expires.
	ID      [32]byte
	Expires time.Time
}

// Provider is an OpenID Connect provider: package directory/openid.
type Provider interface {
	// Info says what it is called, without asking it.
	Info() ProviderInfo
	// Begin returns the address that a browser is sent to (authorization code
	// with PKCE).
	Begin(ctx context.Context, b Authorization) (url string, err error)
	// Redeem exchanges the code that came back for the user who signed in.
	// ErrUnauthenticated, with a cause that is fit for the audit log, for a code
	// that does not count and for an ID token of another issuer, audience, nonce
	// or time.
	Redeem(ctx context.Context, b Authorization, code, verifier string) (dormer.Principal, error)
	// BeginDevice begins a sign-in that the user finishes on another device
	// (RFC 8628). ErrUnsupported where the provider has no such thing.
	BeginDevice(ctx context.Context) (DeviceGrant, error)
	// PollDevice asks whether the user has finished: ErrPending until then,
	// ErrUnauthenticated when the user refused or was too late.
	PollDevice(ctx context.Context, deviceCode string) (dormer.Principal, error)
}

// ProviderInfo says what a provider is called.
type ProviderInfo struct {
	Name  string `json:"name"`
	Title string `json:"title"` // for people
	// Device says that it can sign in by another device.
	Device bool `json:"device"`
}

// Authorization is what a sign-in with a browser is bound to.
type Authorization struct {
	// RedirectURI is where the provider sends the browser back to: a loopback
	// address (RFC 8252) or one of the instance's own.
	RedirectURI string
	// State and Nonce are random, made by whoever begins.
	State, Nonce string
	// Challenge is the S256 code challenge of RFC 7636.
	Challenge string
}

// DeviceGrant is a sign-in that is finished on another device.
type DeviceGrant struct {
	// DeviceCode is the secret that PollDevice takes.
	DeviceCode string
	// UserCode is typed at VerificationURI; VerificationURIComplete has it in it
	// and may be empty.
	UserCode, VerificationURI, VerificationURIComplete string
	Expires                                            time.Time
	// Interval is how long to wait between two polls.
	Interval time.Duration
}

// PendingError is an ErrUnavailable: the user has not finished yet; ask again
// after Wait.
type PendingError struct {
	Wait time.Duration
}

func (e *PendingError) Error() string { return "the sign-in is not finished yet" }

// Is makes a *PendingError match dormer.ErrUnavailable.
func (e *PendingError) Is(target error) bool { return target == dormer.ErrUnavailable }

// RetryAfter is Wait.
func (e *PendingError) RetryAfter() time.Duration { return e.Wait }

// OnceStore remembers what may be used only once, for all replicas.
type OnceStore interface {
	// UseOnce notes that something was used, until expires. ErrExists when it
	// was used before. It is durable when it returns.
	UseOnce(ctx context.Context, purpose string, id [32]byte, expires time.Time) error
	// DeleteExpiredUses forgets what expired before now.
	DeleteExpiredUses(ctx context.Context, now time.Time) error
}

// FederatedAccount is a user of an OpenID provider that is a directory of its
// own, as the last ID token described it.
type FederatedAccount struct {
	Directory   string
	Key         string // issuer and subject
	Name        string // account name
	DisplayName string
	Groups      []string // names in the group claim
	// Refresh is the refresh token, encrypted by whoever keeps it; empty: none.
	Refresh []byte
	// SignedIn is when the user last signed in; Checked when the provider last
	// said that the account is good.
	SignedIn, Checked time.Time
	// Refused is why the provider refuses the account, or empty.
	Refused Reason
}

// FederatedStore keeps the accounts of OpenID providers.
type FederatedStore interface {
	// PutFederated adds or replaces the account of that directory and key.
	PutFederated(ctx context.Context, a FederatedAccount) error
	// Federated returns one account, else ErrNotFound.
	Federated(ctx context.Context, directory, key string) (FederatedAccount, error)
	// FederatedAccounts returns all accounts of a directory, by name.
	FederatedAccounts(ctx context.Context, directory string) ([]FederatedAccount, error)
	// DeleteFederated is idempotent.
	DeleteFederated(ctx context.Context, directory, key string) error
}
