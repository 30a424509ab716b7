// Command planbench measures the planner on a large organization, and what it
// takes from Dormer itself: memory of a server and of each client that it knows,
// bytes of the state database, processor time of a poll, and what a link between
// server and database costs. It runs the real dormer and dormerd and, where it is
// installed, a PostgreSQL of its own, and prints a row for each figure: name,
// value, unit. internal/plan/sizing has the latter figures as constants.
//
//	go run ./internal/planbench --dormer bin/dormer --dormerd bin/dormerd --work FOLDER --document examples/workspaces/office.yaml
//
// scripts/bench-plan.sh does all of it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/eventbench/load"
)

type bench struct {
	dormer, dormerd, work, document string
	clients                         int
	// out takes the rows; printErr is the first failure to write one.
	out, progress io.Writer
	printErr      error
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "planbench:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run(ctx context.Context) error {
	b := bench{out: os.Stdout, progress: os.Stderr}
	flag.StringVar(&b.dormer, "dormer", "", "the program dormer")
	flag.StringVar(&b.dormerd, "dormerd", "", "the program dormerd; without it only the planner is measured")
	flag.StringVar(&b.work, "work", "", "folder for databases, of which nothing is left; a short path")
	flag.StringVar(&b.document, "document", "", "a workspace document that is committed again and again")
	flag.IntVar(&b.clients, "clients", 5000, "how many clients there are")
	flag.Parse()
	if b.dormer == "" || b.work == "" || b.document == "" || b.clients < 1 {
		return dormer.Invalidf("", "name the program with --dormer, a folder with --work and a workspace with --document; clients are at least one")
	}
	if err := b.within(ctx, "large", b.large); err != nil {
		return fmt.Errorf("large organization: %w", err)
	}
	if b.dormerd == "" {
		return b.printErr
	}
	if err := b.within(ctx, "server", b.server); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	switch err := b.within(ctx, "link", b.link); {
	case errors.Is(err, dormer.ErrUnavailable):
		b.say("the link is not measured: %v", err)
	case err != nil:
		return fmt.Errorf("link: %w", err)
	}
	return b.printErr
}

// within runs f in a folder of its own, which is gone afterwards.
func (b *bench) within(ctx context.Context, name string, f func(context.Context, string) error) (err error) {
	dir := filepath.Join(b.work, name)
	if err := os.Mkdir(dir, 0o755); err != nil { // PostgreSQL may run as another user
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return f(ctx, dir)
}

// row prints a figure.
func (b *bench) row(name string, value float64, unit string) {
	text := fmt.Sprintf("%.0f", value)
	if value < 100 {
		text = fmt.Sprintf("%.3g", value)
	}
	if _, err := fmt.Fprintf(b.out, "plan.%s %s %s\n", name, text, unit); err != nil && b.printErr == nil {
		b.printErr = fmt.Errorf("print figure: %w", err)
	}
}

// say tells who waits what is being done.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "%s %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// memory prints the resident memory of a server.
func (b *bench) memory(name string, s *load.Server) error {
	n, err := load.Memory(s.PID())
	if err == nil {
		b.row(name, float64(n), "bytes")
	}
	return err
}
