package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

// noArgs, exactArgs and maxArgs refuse other counts of arguments as wrong
// usage, with the command's own usage line.
func noArgs(cmd *cobra.Command, args []string) error { return maxArgs(0)(cmd, args) }

func exactArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("usage: %s", cmd.UseLine())}
		}
		return nil
	}
}

func maxArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return usageError{fmt.Errorf("usage: %s", cmd.UseLine())}
		}
		return nil
	}
}
