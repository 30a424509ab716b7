// Command dormer-guest is Dormer's agent inside a virtual machine.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/dormer-project/dormer/internal/guest"
)

var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := guest.Main(ctx, version, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "dormer-guest:", err)
		os.Exit(1)
	}
}
