package server

import (
	"errors"
	"fmt"
	"testing"

	"github.com/dormer-project/dormer"
)

// TestExitCode tells a wrong command line from all else that fails.
func TestExitCode(t *testing.T) {
	for err, want := range map[error]int{
		usageError{errors.New("unknown flag")}:                               2,
		fmt.Errorf("clear: %w", dormer.Invalidf("--older-than", "is wrong")): 2,
		dormer.Invalidf("events.retention_days", "is wrong"):                 1,
		dormer.ErrUnavailable:                                                1,
	} {
		if got := ExitCode(err); got != want {
			t.Errorf("%v: exit code %d instead of %d", err, got, want)
		}
	}
}
