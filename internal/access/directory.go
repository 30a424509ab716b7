package access

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/name"
)

// Directory is where users and groups come from. The embedded directory is
// one. The conformance suite is directorytest.
type Directory interface {
	People
	Names
}

// People signs in the users of one directory.
type People interface {
	// Name is the name of the directory in principals.
	Name() string
	// Authenticate checks a password. ErrUnauthenticated when name or password
	// is wrong, a *RefusedError when the account may not be used,
	// ErrUnavailable when the directory does not answer.
	Authenticate(ctx context.Context, name, password string) (dormer.Principal, error)
	// Groups returns the groups that a user is in, nested ones too, as the
	// directory says now. ErrNotFound when the user is gone, *RefusedError when
	// disabled or expired, ErrUnavailable when the directory does not answer.
	Groups(ctx context.Context, user dormer.Principal) ([]dormer.Principal, error)
}

// Names finds the principals of one directory. A directory that does not
// answer is ErrUnavailable.
type Names interface {
	// Resolve finds the one principal of that kind and exact account name
	// (without regard to case), else ErrNotFound.
	Resolve(ctx context.Context, kind dormer.PrincipalKind, name string) (dormer.Principal, error)
	// Match lists the principals of that kind that go by exactly this name:
	// account name, name for people, or another that the directory has (a user
	// principal name, a mail address); at most limit, none when there is none.
	Match(ctx context.Context, kind dormer.PrincipalKind, name string, limit int) ([]Entry, error)
	// Lookup finds a principal by its key and returns it with the name that it
	// has now. ErrNotFound when it is gone.
	Lookup(ctx context.Context, p dormer.Principal) (dormer.Principal, error)
	// Find lists principals one of whose names begins with prefix, in the order
	// of their account names, at most limit.
	Find(ctx context.Context, prefix string, limit int) ([]Entry, error)
	// Chain says how a member, a user or itself a group, is in a group: the
	// groups from the one that names the member to group itself, the shortest
	// such chain. ErrNotFound when the member is not in it.
	Chain(ctx context.Context, member, group dormer.Principal) ([]dormer.Principal, error)
}

// SIDPrefix begins the keys of principals of Active Directory: their security
// identifiers.
const SIDPrefix = "S-1-"

// Entry is a principal as people tell it from others of a like name.
type Entry struct {
	Principal dormer.Principal `json:"principal"`
	// DisplayName is the name for people, if there is one.
	DisplayName string `json:"display_name,omitempty"`
	// Detail is where it is or how it is reached: a distinguished name, a mail
	// address.
	Detail string `json:"detail,omitempty"`
	// State is why the account may not be used, where that is known without
	// another question; see Reason.State. Empty: nothing is known against it.
	State string `json:"state,omitempty"`
}

// CompareNames orders entries by their account names, as Find lists them.
func CompareNames(x, y Entry) int {
	return strings.Compare(name.Fold(x.Principal.Name), name.Fold(y.Principal.Name))
}

// GoesBy fits, for a directory that has all its entries at hand, those that
// Match lists: of that kind, and with that account name or name for people.
func GoesBy(kind dormer.PrincipalKind, who string) func(Entry) bool {
	folded := name.Fold(who)
	return func(e Entry) bool {
		return folded != "" && e.Principal.Kind == kind && (name.Fold(e.Principal.Name) == folded || name.Fold(e.DisplayName) == folded)
	}
}

// BeginsWith fits those that Find lists.
func BeginsWith(prefix string) func(Entry) bool {
	folded := name.Fold(prefix)
	return func(e Entry) bool {
		return strings.HasPrefix(name.Fold(e.Principal.Name), folded) || strings.HasPrefix(name.Fold(e.DisplayName), folded)
	}
}

// ForeignGrouper is a Directory whose groups may hold principals of other
// directories, as foreign security principals of Active Directory.
type ForeignGrouper interface {
	// ForeignGroups returns the groups, nested ones too, that hold one of the
	// principals of another directory.
	ForeignGroups(ctx context.Context, of []dormer.Principal) ([]dormer.Principal, error)
	// ForeignChain is Chain from principals of another directory.
	ForeignChain(ctx context.Context, from []dormer.Principal, group dormer.Principal) ([]dormer.Principal, error)
}

// Tester is a Directory that can be examined.
type Tester interface {
	// Test tries everything that the directory needs, server by server, and
	// says how each went. It returns an error only when ctx ends.
	Test(ctx context.Context) ([]Finding, error)
}

// Finding is one thing that was examined.
type Finding struct {
	// Setting is the setting that it is about, as "servers[0]" or "base".
	Setting string `json:"setting"`
	// What was examined, as "ldaps://dc1.example.com: certificate".
	What string `json:"what"`
	// Problem says what is wrong, what the server said and what to do; empty:
	// nothing is.
	Problem string `json:"problem,omitempty"`
	// Took is how long it took.
	Took time.Duration `json:"took"`
}

// Mount is a directory and how people name it.
type Mount struct {
	Directory
	// Prefixes are what may stand for the directory in PREFIX\user beside its
	// name: NetBIOS names.
	Prefixes []string
	// Suffixes are what follows the @ in user@SUFFIX: domains.
	Suffixes []string
	// Realm is the Kerberos realm of the directory's users; empty: none.
	Realm string
	// Trusts names the directories whose users may be in groups of this one.
	// Its Directory is a ForeignGrouper then.
	Trusts []string
	// NoPasswords says that its users prove who they are otherwise.
	NoPasswords bool
	// Fresh is for how long groups of operators count without asking the
	// directory again; 0: they are asked for at each request.
	Fresh time.Duration
}

// Reason is why an account is refused.
type Reason string

// The reasons for which accounts are refused.
const (
	ReasonDisabled        Reason = "the account is disabled"
	ReasonLocked          Reason = "the account is locked"
	ReasonExpired         Reason = "the account has expired"
	ReasonMustChange      Reason = "the password must be changed first"
	ReasonPasswordExpired Reason = "the password has expired"
	ReasonHours           Reason = "the account may not sign in at this time or from this computer"
	ReasonGuarded         Reason = "there were too many wrong passwords"
	ReasonSignInAgain     Reason = "the sign-in is too long ago; sign in again"
)

// State is the word of an Entry for an account that is refused for that reason;
// empty for reasons that are not the account's own.
func (r Reason) State() string {
	switch r {
	case ReasonDisabled:
		return "disabled"
	case ReasonLocked:
		return "locked"
	case ReasonExpired:
		return "expired"
	default:
		return ""
	}
}

// RefusedError is an ErrDenied with the reason that the user is told.
type RefusedError struct {
	Reason Reason
	// Elsewhere is the directory in which the password has to be changed where
	// that cannot be done here; else empty.
	Elsewhere string
	// Wait is after which time another attempt is let through, with
	// ReasonGuarded; 0: time alone does not help.
	Wait time.Duration
}

func (e *RefusedError) Error() string {
	switch {
	case e.Reason == ReasonGuarded && e.Wait > 0:
		return fmt.Sprintf("%s: wait %s, or sign in to the domain on another computer first", e.Reason, forPeople(e.Wait))
	case e.Reason == ReasonGuarded:
		return fmt.Sprintf("%s: sign in to the domain on another computer first", e.Reason)
	case e.Elsewhere != "":
		return fmt.Sprintf("%s; change it in directory %s (not here), and sign in again", e.Reason, e.Elsewhere)
	}
	return string(e.Reason)
}

// RetryAfter is Wait, for the edges.
func (e *RefusedError) RetryAfter() time.Duration { return e.Wait }

// forPeople shows a wait in whole minutes, or hours when it is long, rounded up.
func forPeople(wait time.Duration) string {
	unit, name := time.Minute, "minute"
	if wait > 2*time.Hour {
		unit, name = time.Hour, "hour"
	}
	n := (wait-1)/unit + 1
	if n > 1 {
		name += "s"
	}
	return fmt.Sprintf("%d %s", n, name)
}

// Is makes a *RefusedError match dormer.ErrDenied.
func (e *RefusedError) Is(target error) bool { return target == dormer.ErrDenied }

// NoDirectoryError is an ErrNotFound: the directory of a principal is not, or
// not any more, one of the instance.
type NoDirectoryError struct {
	Directory string
}

func (e *NoDirectoryError) Error() string {
	return fmt.Sprintf("directory %s is not configured on the server", e.Directory)
}

// Is makes a *NoDirectoryError match dormer.ErrNotFound.
func (e *NoDirectoryError) Is(target error) bool { return target == dormer.ErrNotFound }

// AmbiguousError is an ErrInvalid: a name that several principals go by.
type AmbiguousError struct {
	Candidates []Entry
}

func (e *AmbiguousError) Error() string {
	names := make([]string, len(e.Candidates))
	for i, c := range e.Candidates {
		names[i] = c.Principal.Qualified()
	}
	return fmt.Sprintf("several go by this name; say which is meant: %s", strings.Join(names, ", "))
}

// Is makes an *AmbiguousError match dormer.ErrInvalid.
func (e *AmbiguousError) Is(target error) bool { return target == dormer.ErrInvalid }
