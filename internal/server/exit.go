package server

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
)

// usageError is a command line that cannot be understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// ExitCode is what the program exits with: 2 for a command line that cannot be
// understood or has a wrong value for a flag, 1 for all else that failed.
func ExitCode(err error) int {
	if _, ok := errors.AsType[usageError](err); ok {
		return 2
	}
	wrong, ok := errors.AsType[*dormer.InvalidError](err)
	if ok && slices.ContainsFunc(wrong.Fields, func(f dormer.FieldError) bool { return strings.HasPrefix(f.Path, "--") }) {
		return 2
	}
	return 1
}

// markUsage makes wrong flags and arguments of a command and all below it
// usageErrors.
func markUsage(c *cobra.Command) {
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see '%s --help'", err, c.CommandPath())}
	})
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError{fmt.Errorf("%w; see '%s --help'", err, c.CommandPath())}
			}
			return nil
		}
	}
	for _, below := range c.Commands() {
		markUsage(below)
	}
}
