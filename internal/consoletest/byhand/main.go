// Command byhand is the stage of the console's journeys for those who run them
// by hand: it prints the variables that they need, and ends with its input.
package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/dormer-project/dormer/internal/consoletest"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "stage:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run(in io.Reader, out io.Writer) error {
	dir, err := os.MkdirTemp("", "dormer-stage")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := consoletest.New(dir, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		return err
	}
	for _, v := range s.Environment() {
		if _, err := fmt.Fprintln(out, "export", v); err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	return s.Close()
}
