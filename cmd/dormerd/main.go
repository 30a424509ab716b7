// Command dormerd is the server of Dormer.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // time zones of workspaces, also where the system has none

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/server"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := server.Command(version, os.Stdin, os.Stdout, os.Stderr).ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "dormerd: "+strings.TrimSuffix(err.Error(), ": "+dormer.ErrInvalid.Error()))
		os.Exit(server.ExitCode(err))
	}
}
