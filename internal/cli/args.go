package cli

import (
	"fmt"
	"strings"

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

// group makes a command that only holds others: alone it shows its help, and
// an unknown word behind it is wrong usage.
func group(cmd *cobra.Command, inside ...*cobra.Command) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.DisableFlagsInUseLine = true
	cmd.SuggestionsMinimumDistance = 2
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		hint := ""
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			hint = "; did you mean " + strings.Join(near, " or ") + "?"
		}
		return usageError{fmt.Errorf("unknown command %q%s; see '%s --help'", args[0], hint, cmd.CommandPath())}
	}
	cmd.AddCommand(inside...)
	return cmd
}

func rangeArgs(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usageError{fmt.Errorf("usage: %s", cmd.UseLine())}
		}
		return nil
	}
}
