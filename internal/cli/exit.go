package cli

import (
	"context"
	"errors"
	"io/fs"

	"github.com/dormer-project/dormer"
)

// usageError is a command line that cannot be understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// statusError ends the program with that code and without a message: what had
// to be said was printed.
type statusError int

func (statusError) Error() string { return "" }

// exitCodes maps error kinds to exit codes. They are part of the command
// line's contract (docs/commands.md): scripts rely on them.
var exitCodes = []struct {
	kind error
	code int
	name string // of the kind, for --json
}{
	{dormer.ErrInvalid, exitInvalid, "invalid"},
	{dormer.ErrTooLarge, exitInvalid, "too-large"},
	{fs.ErrNotExist, exitInvalid, "no-file"}, // a file that the command line names
	{context.Canceled, 130, "interrupted"},
	{dormer.ErrUnauthenticated, 3, "unauthenticated"},
	{dormer.ErrDenied, 4, "denied"},
	{dormer.ErrNotFound, 5, "not-found"},
	{dormer.ErrConflict, 6, "conflict"},
	{dormer.ErrExists, 6, "exists"},
	{dormer.ErrUnavailable, 7, "unavailable"},
	{dormer.ErrCorrupt, 8, "corrupt"},
	{dormer.ErrFull, 9, "full"},
	{dormer.ErrFenced, 7, "fenced"},
	{dormer.ErrUnsupported, 1, "unsupported"},
}

// exitInvalid is the code for wrong input and usage.
const exitInvalid = 2

// exitCode returns the code for err: 2 for wrong input or usage, 1 for
// everything without a kind of its own.
func exitCode(err error) int {
	var usage usageError
	if errors.As(err, &usage) {
		return exitInvalid
	}
	for _, e := range exitCodes {
		if errors.Is(err, e.kind) {
			return e.code
		}
	}
	return 1
}
