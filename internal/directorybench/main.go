// Command directorybench measures what Active Directory costs the server:
// signing people in, and reading everybody's groups again. It fills a running
// Samba domain controller of scripts/samba-dc.sh with people in nested groups and
// prints a row for each figure; OpenLDAP's client tools and kinit do the same jobs
// beside it.
//
//	go run ./internal/directorybench --domain FOLDER --server PID [--users 1000]
//
// scripts/bench-directory.sh does all of it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	b := bench{out: os.Stdout}
	flag.StringVar(&b.domain, "domain", "", "folder of a domain controller that runs")
	flag.IntVar(&b.server, "server", 0, "its process")
	flag.IntVar(&b.users, "users", 1000, "how many people there are")
	flag.IntVar(&b.signIns, "sign-ins", 200, "how many of them sign in")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "directorybench:", err)
		stop()
		os.Exit(1) //nolint:forbidigo // this is main
	}
}
