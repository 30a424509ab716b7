package rest

import (
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire"
)

// Entry is a principal as people tell it from others of a like name.
type Entry struct {
	Principal   dormer.Principal `json:"principal"`
	DisplayName string           `json:"display_name,omitempty"`
	Detail      string           `json:"detail,omitempty" doc:"where it is or how it is reached: a distinguished name, a mail address"`
	State       string           `json:"state,omitempty" doc:"disabled, expired or locked, as far as the directory tells; absent where nothing is known against the account"`
}

// DirectoryTest is how one directory was found.
type DirectoryTest struct {
	Directory string    `json:"directory"`
	Findings  []Finding `json:"findings"`
}

// Finding is one thing that was examined.
type Finding struct {
	Setting string `json:"setting"`
	What    string `json:"what"`
	Problem string `json:"problem,omitempty" doc:"empty: it is well"`
	Millis  int64  `json:"millis"`
}

// SignInMethods says how people may sign in.
type SignInMethods struct {
	// Directories take a password; the first is that of users who name none.
	Directories []string `json:"directories"`
	// Kerberos says that tickets are taken; Service is the principal that they
	// are for, without its realm; empty: HTTP and the host of the address.
	Kerberos  bool       `json:"kerberos"`
	Service   string     `json:"service,omitempty"`
	Providers []Provider `json:"providers"`
}

// Provider is an OpenID Connect provider.
type Provider struct {
	Name   string `json:"name"`
	Title  string `json:"title"`
	Device bool   `json:"device" doc:"sign-in by another device is possible"`
}

// For says what a sign-in by ticket or provider is for: a session of the
// operator, or a one-time code for a client.
type For struct {
	Client dormer.ClientID `json:"client,omitempty" doc:"answers with a one-time code for this client instead of a session"`
}

// ProofAnswer is what a sign-in by ticket or provider gives: a session, or a
// one-time code when it was for a client.
type ProofAnswer struct {
	SignedIn
	Code *wire.SignInCode `json:"code,omitempty"`
}

// BeginOpenID begins a sign-in with a browser.
type BeginOpenID struct {
	Provider    string `json:"provider"`
	RedirectURI string `json:"redirect_uri" doc:"http://127.0.0.1:PORT/..., http://[::1]:PORT/... or an address of this instance"`
	State       string `json:"state"`
	Nonce       string `json:"nonce"`
	Challenge   string `json:"code_challenge" doc:"S256 (RFC 7636)"`
}

// OpenIDBegun is where the browser goes.
type OpenIDBegun struct {
	URL string `json:"url"`
}

// FinishOpenID redeems what the browser brought back.
type FinishOpenID struct {
	For
	Provider    string `json:"provider"`
	RedirectURI string `json:"redirect_uri" doc:"as it was begun"`
	Nonce       string `json:"nonce" doc:"as it was begun"`
	Code        string `json:"code"`
	Verifier    string `json:"code_verifier"`
}

// BeginDevice begins a sign-in that is finished on another device.
type BeginDevice struct {
	Provider string `json:"provider"`
}

// DeviceBegun says what the user does there.
type DeviceBegun struct {
	DeviceCode      string    `json:"device_code" doc:"a secret, for polling"`
	UserCode        string    `json:"user_code"`
	VerificationURI string    `json:"verification_uri"`
	Complete        string    `json:"verification_uri_complete,omitempty"`
	Expires         time.Time `json:"expires"`
	IntervalSeconds int       `json:"interval"`
}

// PollDevice asks whether the user has finished; 503 with Retry-After until
// then.
type PollDevice struct {
	For
	Provider   string `json:"provider"`
	DeviceCode string `json:"device_code"`
}

// EndSessions names a user whose sessions are ended, all of them.
type EndSessions struct {
	User string `json:"user" doc:"name, DIRECTORY\\name or name@domain"`
}

// SessionsEnded says whose sessions were ended.
type SessionsEnded struct {
	User dormer.Principal `json:"user"`
}

// APIToken lets a program use this API. Its text is shown once.
type APIToken struct {
	ID       string           `json:"id"`
	Name     string           `json:"name"`
	Owner    dormer.Principal `json:"owner"`
	Role     dormer.Role      `json:"role"`
	Areas    []string         `json:"areas" doc:"parts of the API; none: all"`
	Created  time.Time        `json:"created"`
	Expires  time.Time        `json:"expires"`
	LastUsed *time.Time       `json:"last_used,omitempty"`
	Revoked  *time.Time       `json:"revoked,omitempty"`
}

// NewAPIToken makes an API token for the operator who asks.
type NewAPIToken struct {
	Name          string      `json:"name" doc:"what it is for"`
	Role          dormer.Role `json:"role" doc:"read-only or full; at most the operator's own"`
	Areas         []string    `json:"areas,omitempty" doc:"workspaces, directory, access, clients, images, reports; none: all"`
	LifetimeHours int         `json:"lifetime_hours,omitempty" doc:"90 days when absent; at most a year"`
}

// APITokenCreated carries the token's text.
type APITokenCreated struct {
	APIToken
	Token string `json:"token" doc:"for the header Authorization: Bearer TOKEN; shown once"`
}

// AskWhy asks what a user gets of a workspace, and why. With grants added and
// taken away it answers what would be.
type AskWhy struct {
	User   string          `json:"user" doc:"name, DIRECTORY\\name or name@domain"`
	Client dormer.ClientID `json:"client,omitempty"`
	// With are grants as in the document, whether or not the user is in their
	// groups. AsIfIn are groups that the user is taken to be in, and so in those
	// that hold them. Without names principals whose grants are left out.
	With    []map[string]any   `json:"with,omitempty" doc:"grants as in the workspace document, taken as if the user had them"`
	AsIfIn  []dormer.Principal `json:"as_if_in,omitempty" doc:"groups that the user is taken to be in, by directory, kind, and key or else name"`
	Without []dormer.Principal `json:"without,omitempty" doc:"principals whose grants are left out; directory, kind and name count"`
}

// Why is what a user gets of a workspace, and where it comes from.
type Why struct {
	Workspace dormer.WorkspaceID `json:"workspace"`
	Name      string             `json:"name"`
	Revision  dormer.Revision    `json:"revision"`
	User      dormer.Principal   `json:"user"`
	// Gets says that the user may run it (on that client); Reason why, or why
	// not.
	Gets   bool   `json:"gets"`
	Reason string `json:"reason"`
	// Grants are those of the workspace that were looked at, in the order of the
	// document, those that were added last.
	Grants []WhyGrant `json:"grants"`
	Fields []WhyField `json:"fields"`
	// Otherwise is what holds without With, AsIfIn and Without; absent when none
	// was asked for.
	Otherwise *Why `json:"otherwise,omitempty"`
}

// WhyGrant is one grant and whether it counts for the user.
type WhyGrant struct {
	Grant     int              `json:"grant" doc:"place in the document, from 0"`
	Principal dormer.Principal `json:"principal"`
	Counts    bool             `json:"counts"`
	// Reason says why it counts or not: the chain of groups, that it has
	// expired, is disabled, or that the user is not in the group.
	Reason string             `json:"reason"`
	Chain  []dormer.Principal `json:"chain,omitempty" doc:"from the user's group, or the one that the user is taken to be in, to that of the grant"`
	Added  bool               `json:"added,omitempty"`
}

// WhyField is one field of the effective policy.
type WhyField struct {
	Path  string `json:"path" doc:"a list of a deployment has one field of the same path for each entry"`
	Value string `json:"value"`
	// Origin is "policy" (set in the document), "default", or "grants".
	Origin string `json:"origin"`
	// From are the grants that the value comes from, as places in Grants.
	From []int `json:"from,omitempty"`
}

// PrincipalState is a principal of a workspace's grant and what its directory
// says of it now.
type PrincipalState struct {
	Grant     int              `json:"grant"`
	Principal dormer.Principal `json:"principal" doc:"as it was granted"`
	State     string           `json:"state" doc:"found, renamed, gone, or unknown while the directory does not answer"`
	Name      string           `json:"name,omitempty" doc:"its name now"`
	Detail    string           `json:"detail,omitempty"`
}
