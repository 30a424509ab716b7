package dormer

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"
)

// The closed set of error kinds. Drivers translate their own codes into these;
// one function maps them to HTTP statuses (internal/problem) and one to exit
// codes (internal/cli). Wrap them with what you were doing; test with
// errors.Is.
var (
	// ErrInvalid: the input is wrong; nothing was changed. Usually carried by
	// an *InvalidError that names the fields.
	ErrInvalid = errors.New("invalid")
	// ErrUnauthenticated: who asks is not known, or the proof is wrong.
	ErrUnauthenticated = errors.New("not signed in")
	// ErrDenied: who asks is known and may not.
	ErrDenied = errors.New("permission denied")
	// ErrNotFound: there is no such thing, or who asks may not know of it.
	ErrNotFound = errors.New("not found")
	// ErrExists: a thing of that name or identity is there already.
	ErrExists = errors.New("already exists")
	// ErrConflict: it was changed by somebody else, or is in a state that does
	// not allow this. Often carried by a *ConflictError.
	ErrConflict = errors.New("conflict")
	// ErrTooLarge: over a limit of docs/limits.md.
	ErrTooLarge = errors.New("too large")
	// ErrFull: no space is left where it should go. Retry after making room.
	ErrFull = errors.New("no space left")
	// ErrUnavailable: what it needs does not answer now. Retry later.
	ErrUnavailable = errors.New("unavailable")
	// ErrCorrupt: stored or received bytes are not what was signed or hashed.
	ErrCorrupt = errors.New("corrupt")
	// ErrUnsupported: this build, host or guest cannot do it.
	ErrUnsupported = errors.New("not supported")
	// ErrFenced: another server of this instance has a higher epoch.
	ErrFenced = errors.New("superseded by a newer epoch")
)

// FieldError is one wrong field. Message never repeats the value: it may be a
// secret in the wrong place.
type FieldError struct {
	// Path is the field, as spec.deployment.offline.limit or grants[2].principal.
	Path string `json:"path"`
	// Line is where it stands in the file it came from, from 1; 0 if unknown.
	Line int `json:"line,omitempty"`
	// Message says what is wrong and what was expected.
	Message string `json:"message"`
}

func (e FieldError) String() string {
	switch {
	case e.Line > 0 && e.Path != "":
		return fmt.Sprintf("line %d: %s: %s", e.Line, e.Path, e.Message)
	case e.Line > 0:
		return fmt.Sprintf("line %d: %s", e.Line, e.Message)
	case e.Path != "":
		return e.Path + ": " + e.Message
	default:
		return e.Message
	}
}

// InvalidError is an ErrInvalid that names every wrong field.
type InvalidError struct {
	Fields []FieldError
}

func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Is makes an *InvalidError match ErrInvalid.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// Invalidf returns an *InvalidError about one field. path may be empty when
// the whole input is meant.
func Invalidf(path, format string, args ...any) error {
	return &InvalidError{Fields: []FieldError{{Path: path, Message: fmt.Sprintf(format, args...)}}}
}

// ConflictError is an ErrConflict that says who changed what when, so that the
// person whose change was refused knows whom to ask.
type ConflictError struct {
	What    string // "workspace office"
	By      string // name of who changed it
	At      time.Time
	Current string // entity tag of what is stored now
}

func (e *ConflictError) Error() string {
	if e.By == "" {
		return e.What + " was changed meanwhile"
	}
	return fmt.Sprintf("%s was changed by %s at %s", e.What, e.By, e.At.UTC().Format(time.RFC3339))
}

// Is makes a *ConflictError match ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// UnavailableError is an ErrUnavailable whose text is for who asked: what is
// not available, and what to do. Others speak of the insides of the server.
type UnavailableError struct{ Reason string }

// Unavailablef returns an *UnavailableError.
func Unavailablef(format string, args ...any) error {
	return &UnavailableError{Reason: fmt.Sprintf(format, args...)}
}

func (e *UnavailableError) Error() string { return e.Reason }

// Is makes an *UnavailableError match ErrUnavailable.
func (e *UnavailableError) Is(target error) bool { return target == ErrUnavailable }

// Plain is the text of err for people: without the kind that ends a line and
// says less than what stands before it. Whether something is missing or there
// already is often said by the kind alone, so those stay, and so does what the
// operating system denies.
func Plain(err error) string {
	_, path := errors.AsType[*fs.PathError](err)
	_, call := errors.AsType[syscall.Errno](err)
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		for _, k := range []error{ErrConflict, ErrUnavailable, ErrInvalid, ErrUnsupported, ErrDenied} {
			if errors.Is(k, ErrDenied) && (path || call) {
				continue
			}
			line = strings.TrimSuffix(line, ": "+k.Error())
		}
		lines[i] = line
	}
	return strings.Join(lines, "\n")
}
