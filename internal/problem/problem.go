// Package problem maps error kinds to HTTP statuses and problem documents
// (RFC 9457) and back. It is the only place where the two meet: every edge
// that answers or asks over HTTP imports it, nothing below the edges does.
//
// A document never repeats what stood in a request's body: a mistyped sign-in
// must not echo the password. Texts of unexpected errors stay in the log.
package problem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/wire"
)

// Kinds of problems that have no error kind of their own in the root package.
const (
	// KindMustChange: the password is right and must be changed first.
	KindMustChange = "must-change-password"
	// KindNoOperator: who signed in is who they say, and may not use the API.
	KindNoOperator = "no-operator"
	// KindRateLimited: too many attempts; RetryAfter says when to try again.
	KindRateLimited = "rate-limited"
	// KindPreconditionRequired: a change needs If-Match.
	KindPreconditionRequired = "precondition-required"
	// KindMethod: the path does not know the method.
	KindMethod = "method-not-allowed"
	// KindAmbiguous: several principals go by a name; Candidates are they.
	KindAmbiguous = "ambiguous"
	// KindPending: the user has not finished a sign-in yet; RetryAfter says when
	// to ask again.
	KindPending = "sign-in-pending"
	// KindNotReady: the server cannot serve now; Detail says why.
	KindNotReady = "not-ready"
	// KindInternal: a fault of the server; its log says more.
	KindInternal = "internal"
)

// ErrPreconditionRequired refuses a change that does not say what it replaces.
var ErrPreconditionRequired error = kindError{
	kind: KindPreconditionRequired, text: "the header If-Match must name the entity tag that this replaces", is: dormer.ErrInvalid,
}

// ErrNoOperator refuses a session to a user who has no role.
var ErrNoOperator error = kindError{kind: KindNoOperator, text: "this user is no operator", is: dormer.ErrDenied}

// ErrMethod refuses a method that a path does not know.
var ErrMethod error = kindError{kind: KindMethod, text: "the method is not known here", is: dormer.ErrUnsupported}

type kindError struct {
	kind, text string
	is         error
}

func (e kindError) Error() string        { return e.text }
func (e kindError) ProblemKind() string  { return e.kind }
func (e kindError) Is(target error) bool { return target == e.is }

// kind is one row of the table of error kinds.
type kind struct {
	err    error
	name   string
	status int
	title  string
	// text: the error's own text is written for who asked and goes into the
	// document. Others may speak of the server's insides; see absence.
	text bool
}

// kinds is in the order in which kinds are tried.
var kinds = []kind{
	{dormer.ErrInvalid, "invalid", http.StatusBadRequest, "The input is wrong", true},
	{dormer.ErrUnauthenticated, "unauthenticated", http.StatusUnauthorized, "Sign in first", false},
	{dormer.ErrDenied, "denied", http.StatusForbidden, "Permission denied", true},
	{dormer.ErrNotFound, "not-found", http.StatusNotFound, "There is no such thing", true},
	{dormer.ErrExists, "exists", http.StatusConflict, "It exists already", true},
	{dormer.ErrConflict, "conflict", http.StatusConflict, "It was changed meanwhile, or its state does not allow this", true},
	{dormer.ErrTooLarge, "too-large", http.StatusRequestEntityTooLarge, "Too large", true},
	{dormer.ErrFull, "full", http.StatusInsufficientStorage, "No space is left on the server", false},
	{dormer.ErrFenced, "fenced", http.StatusServiceUnavailable, "Another server of this instance has taken over", false},
	{dormer.ErrUnavailable, "unavailable", http.StatusServiceUnavailable, "Not available now; try again later", false},
	{dormer.ErrCorrupt, "corrupt", http.StatusUnprocessableEntity, "The bytes are not what was signed or hashed", true},
	{dormer.ErrUnsupported, "unsupported", http.StatusNotImplemented, "Not supported", true},
}

// special maps the kinds that errors name themselves (ProblemKind).
var special = map[string]struct {
	status int
	title  string
	is     error
}{
	KindMustChange:           {http.StatusForbidden, "The password must be changed first", dormer.ErrDenied},
	KindNoOperator:           {http.StatusForbidden, "You are not an operator of this instance", dormer.ErrDenied},
	KindRateLimited:          {http.StatusTooManyRequests, "Too many attempts", dormer.ErrUnavailable},
	KindPreconditionRequired: {http.StatusPreconditionRequired, "If-Match is required", dormer.ErrInvalid},
	KindMethod:               {http.StatusMethodNotAllowed, "The method is not known here", dormer.ErrUnsupported},
	KindAmbiguous:            {http.StatusBadRequest, "Several go by this name", dormer.ErrInvalid},
	KindPending:              {http.StatusServiceUnavailable, "The sign-in is not finished yet", dormer.ErrUnavailable},
	KindNotReady:             {http.StatusServiceUnavailable, "Requests cannot be served now", dormer.ErrUnavailable},
}

// retryDefault is the Retry-After of unavailability that names none, in seconds.
const retryDefault = 5

// Of returns the document for err, which must not be nil.
func Of(err error) wire.Problem {
	p := of(err)
	if named, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok {
		p.RetryAfter = int((named.RetryAfter() + time.Second - 1) / time.Second)
	}
	return p
}

// ofSystem reports whether the text of err comes from the operating system in
// part, and so names the server's files and addresses.
func ofSystem(err error) bool {
	_, path := errors.AsType[*fs.PathError](err)
	_, link := errors.AsType[*os.LinkError](err)
	_, call := errors.AsType[*os.SyscallError](err)
	_, network := errors.AsType[*net.OpError](err)
	return path || link || call || network
}

// What is said of an absence that names nothing for who asks.
const (
	somethingAway = "something that is needed for this does not answer now; try again later, and look at the server's health when it stays so"
	tookTooLong   = "it took longer than it may; ask for less, or try again later"
)

// absence says what is not available and what to do, where an error says it for
// who asks: all of an *dormer.UnavailableError, and what does not answer (Away).
// What else they say is for the log.
func absence(err error) string {
	if told, ok := errors.AsType[*dormer.UnavailableError](err); ok {
		return told.Reason
	}
	if named, ok := errors.AsType[interface {
		error
		Away() string
	}](err); ok {
		return named.Away() + " does not answer now; try again later"
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return tookTooLong
	}
	return somethingAway
}

func of(err error) wire.Problem {
	if named, ok := errors.AsType[interface {
		error
		ProblemKind() string
	}](err); ok {
		if s, ok := special[named.ProblemKind()]; ok {
			return wire.Problem{Title: s.title, Status: s.status, Detail: named.Error(), Kind: named.ProblemKind()}
		}
	}
	if pending, ok := errors.AsType[*access.PendingError](err); ok {
		s := special[KindPending]
		return wire.Problem{Title: s.title, Status: s.status, Detail: pending.Error(), Kind: KindPending}
	}
	text := err.Error()
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		text, err = fmt.Sprintf("at most %d bytes are taken here", large.Limit), dormer.ErrTooLarge
	}
	absent := absence(err)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		err = dormer.ErrUnavailable
	}
	for _, k := range kinds {
		if !errors.Is(err, k.err) {
			continue
		}
		p := wire.Problem{Title: k.title, Status: k.status, Kind: k.name}
		if k.text && !ofSystem(err) {
			p.Detail = text
		}
		if errors.Is(k.err, dormer.ErrDenied) { // its reason says enough
			p.Detail = strings.TrimSuffix(p.Detail, ": "+k.err.Error())
		}
		if k.status == http.StatusServiceUnavailable {
			p.RetryAfter = retryDefault
		}
		if errors.Is(k.err, dormer.ErrUnavailable) {
			p.Detail = absent
		}
		if invalid, ok := errors.AsType[*dormer.InvalidError](err); ok {
			p.Fields = invalid.Fields
		}
		if ambiguous, ok := errors.AsType[*access.AmbiguousError](err); ok {
			p.Kind, p.Title = KindAmbiguous, special[KindAmbiguous].title
			for _, c := range ambiguous.Candidates {
				p.Candidates = append(p.Candidates, wire.Candidate(c))
			}
		}
		if c, ok := errors.AsType[*dormer.ConflictError](err); ok {
			p.Status = http.StatusPreconditionFailed
			p.By, p.Current = c.By, c.Current
			if !c.At.IsZero() {
				p.At = c.At.UTC().Format(time.RFC3339Nano)
			}
		}
		return p
	}
	return wire.Problem{
		Title: "The server has a fault", Status: http.StatusInternalServerError, Kind: KindInternal,
		Detail: "the server's log says more under this request's identity",
	}
}
