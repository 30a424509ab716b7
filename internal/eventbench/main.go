// Command eventbench measures what events cost: taking them, durable, from many
// clients over HTTPS; draining what clients kept while they were off-line; and
// reading reports, clearing and exporting with many millions of them stored; and
// what the pages of the console ask with as many clients and images. It
// runs a real dormerd beside itself, on SQLite and on a PostgreSQL of its own, and
// prints a row for each figure: name, value, unit. What it does meanwhile, and
// what limits, goes to standard error.
//
//	go run ./internal/eventbench --dormerd bin/dormerd --work FOLDER [--events 30000000]
//
// scripts/bench-events.sh does all of it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/dormer-project/dormer/internal/server"
)

// profileOf makes this program be a dormerd whose processor time is written to
// the file that the variable names.
const profileOf = "DORMER_EVENTBENCH_PROFILE"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "eventbench:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run(ctx context.Context) error {
	if path := os.Getenv(profileOf); path != "" {
		return profiled(ctx, path)
	}
	b := bench{out: os.Stdout, progress: os.Stderr}
	flag.StringVar(&b.dormerd, "dormerd", "", "the program dormerd")
	flag.StringVar(&b.work, "work", "", "folder for databases, gone afterwards; with PostgreSQL a short path")
	flag.StringVar(&b.cache, "cache", "", "folder in which filled databases are kept for the next time; empty: they are not")
	flag.StringVar(&b.engines, "engines", "sqlite,postgres", "databases to measure")
	flag.StringVar(&b.parts, "parts", "journal,durable,drain,stored", "what to measure: journal, durable, drain, stored, console")
	flag.IntVar(&b.clients, "clients", 5000, "how many clients there are")
	flag.IntVar(&b.events, "events", 30_000_000, "how many events are stored when reports are read")
	flag.IntVar(&b.versions, "versions", 5000, "how many versions of images there are when the console is looked at")
	flag.StringVar(&b.browser, "browser", "", "command that looks at the console in a browser; empty: none")
	flag.DurationVar(&b.lasts, "lasts", time.Minute, "how long events are sent")
	flag.StringVar(&b.profile, "profile", "", "folder for profiles of the server's processor time; empty: none")
	flag.Parse()
	return b.run(ctx)
}

// profiled runs dormerd with a profile.
func profiled(ctx context.Context, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("make profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return fmt.Errorf("make profile: %w", err)
	}
	err = server.Command("profiled", os.Stdin, os.Stdout, os.Stderr).ExecuteContext(ctx)
	pprof.StopCPUProfile()
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}
