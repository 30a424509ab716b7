package guestwire

import (
	"errors"
	"fmt"

	"github.com/dormer-project/dormer"
)

// Error is an error of the closed set of kinds on its way to the other side.
type Error struct {
	// Kind is one of the names of kinds below; unknown ones carry no kind.
	Kind    string `json:"kind,omitempty"`
	Message string `json:"message"`
}

// maxMessage bounds the text of an error, in bytes.
const maxMessage = 4096

// kinds pairs the error kinds with their names on the wire.
var kinds = []struct {
	name string
	kind error
}{
	{"invalid", dormer.ErrInvalid},
	{"unauthenticated", dormer.ErrUnauthenticated},
	{"denied", dormer.ErrDenied},
	{"not-found", dormer.ErrNotFound},
	{"exists", dormer.ErrExists},
	{"conflict", dormer.ErrConflict},
	{"too-large", dormer.ErrTooLarge},
	{"full", dormer.ErrFull},
	{"unavailable", dormer.ErrUnavailable},
	{"corrupt", dormer.ErrCorrupt},
	{"unsupported", dormer.ErrUnsupported},
	{"fenced", dormer.ErrFenced},
}

// FromError returns err as it travels, or nil for nil.
func FromError(err error) *Error {
	if err == nil {
		return nil
	}
	e := &Error{Message: Printable(err.Error(), maxMessage)}
	for _, k := range kinds {
		if errors.Is(err, k.kind) {
			e.Kind = k.name
			break
		}
	}
	return e
}

// Err returns the error with its kind again, or nil for nil.
func (e *Error) Err() error {
	if e == nil {
		return nil
	}
	message := Printable(e.Message, maxMessage)
	for _, k := range kinds {
		if e.Kind == k.name {
			return &remoteError{message: message, kind: k.kind}
		}
	}
	return fmt.Errorf("the other side says: %s", message)
}

// remoteError keeps the words of the other side, which already name the kind.
type remoteError struct {
	message string
	kind    error
}

func (e *remoteError) Error() string        { return e.message }
func (e *remoteError) Is(target error) bool { return target == e.kind }
