// Package dormer holds the nouns of the product and the closed set of error
// kinds. Every other package may import it; it imports only the standard
// library and does no input or output.
//
// The words are those of ARCHITECTURE.md: an instance is one management
// domain, a workspace is an image plus a policy plus grants, a machine is what
// one user gets from a workspace on one client, and a lease is the server's
// signed, time-bounded permission to run it.
package dormer

import (
	"encoding/base32"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Identities. All are made by the server, are immutable and are opaque to
// everybody else; names are for people and may change.
type (
	// InstanceID names one management domain.
	InstanceID string
	// WorkspaceID names a workspace for as long as it exists, whatever its name.
	WorkspaceID string
	// ClientID names one enrolled agent.
	ClientID string
	// MachineID names the machine of one user from one workspace on one client.
	MachineID string
	// UserID names a user within the instance: the key of the principal,
	// qualified by its directory (see Principal.ID).
	UserID string
	// JournalID names one client's event journal. A journal that had to be
	// rebuilt gets a new one, so that sequence numbers are never reused.
	JournalID string
	// ImageID is the hash of an image's manifest payload, as "sha256:<64 hex>".
	ImageID string
	// Epoch counts promotions and restores of an instance. A client that saw
	// N+1 refuses N.
	Epoch uint64
	// Revision numbers the revisions of a workspace from 1, for people;
	// machines compare entity tags.
	Revision int
)

// idEncoding is lower-case base32 without padding: safe in file names, URLs
// and host names on every system.
var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewID returns a random identity of 128 bits as 26 lower-case characters.
func NewID(random io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("make identity: %w", err)
	}
	return idEncoding.EncodeToString(b[:]), nil
}

// ValidID reports whether s has the form that NewID makes. Identities from
// outside become parts of paths only after this check.
func ValidID(s string) bool {
	if len(s) != 26 {
		return false
	}
	b, err := idEncoding.DecodeString(s)
	return err == nil && len(b) == 16
}

// Limits on names and texts, enforced before anything is stored. The table in
// docs/limits.md lists all limits.
const (
	// MaxName is the longest name of an image or a workspace, in characters.
	MaxName = 200
	// MaxImageName is the longest name of an image, in bytes: it becomes part
	// of object names.
	MaxImageName = 200
)

// forbiddenInNames are the characters that names of images refuse beside
// spaces and control characters: those that some host system forbids in files.
const forbiddenInNames = `"<>|\/:*?`

// CheckImageName returns an error that says what is wrong with the name of an
// image, or nil. Spaces and " < > | \ / : * ? are refused.
func CheckImageName(name string) error {
	switch {
	case name == "":
		return Invalidf("name", "an image needs a name")
	case len(name) > MaxImageName:
		return Invalidf("name", "is longer than %d bytes", MaxImageName)
	case !utf8.ValidString(name):
		return Invalidf("name", "is not valid UTF-8")
	case name == "." || name == ".." || strings.HasPrefix(name, "-") || strings.HasPrefix(name, "."):
		return Invalidf("name", "must not begin with a dot or a hyphen")
	}
	for _, r := range name {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(forbiddenInNames, r) {
			return Invalidf("name", `must not contain spaces, control characters or any of " < > | \ / : * ?`)
		}
	}
	return nil
}

// PrincipalKind says whether a principal is a user or a group.
type PrincipalKind string

// The kinds of principal.
const (
	KindUser  PrincipalKind = "user"
	KindGroup PrincipalKind = "group"
)

// Check returns an *InvalidError about the field kind for any other kind.
func (k PrincipalKind) Check() error {
	if k != KindUser && k != KindGroup {
		return Invalidf("kind", "is %q or %q", KindUser, KindGroup)
	}
	return nil
}

// EmbeddedDirectory is the name of the directory in the server's own database.
const EmbeddedDirectory = "local"

// Principal is a user or a group of a directory. Key decides (a SID, an
// entryUUID, issuer and subject, or the embedded directory's own identity);
// Name is what was shown when it was granted.
type Principal struct {
	Directory string        `json:"directory"`
	Kind      PrincipalKind `json:"kind"`
	Key       string        `json:"key"`
	Name      string        `json:"name"`
}

// ID returns the principal's identity within the instance.
func (p Principal) ID() UserID { return UserID(p.Directory + "/" + p.Key) }

// Qualified is how a principal is named without doubt: DIRECTORY\name.
func (p Principal) Qualified() string { return p.Directory + `\` + p.Name }

// Shown is how people read a principal: with its directory, but for the
// embedded one.
func (p Principal) Shown() string {
	if p.Directory == EmbeddedDirectory {
		return p.Name
	}
	return p.Qualified()
}

// Role is what an operator may do.
type Role string

// The roles of operators. End users have none.
const (
	RoleNone     Role = ""
	RoleReadOnly Role = "read-only"
	RoleFull     Role = "full"
)

// Allows reports whether somebody with role r may do what needs role need.
func (r Role) Allows(need Role) bool {
	rank := map[Role]int{RoleNone: 0, RoleReadOnly: 1, RoleFull: 2}
	return rank[r] >= rank[need]
}
