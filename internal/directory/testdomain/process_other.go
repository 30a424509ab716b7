//go:build !linux

package testdomain

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
)

// process is a server. There are none on this system.
type process struct{}

func startProcess(cmd *exec.Cmd) (*process, error) {
	return nil, fmt.Errorf("start %s: servers for tests run on Linux: %w", cmd.Path, dormer.ErrUnsupported)
}

func (*process) await(context.Context, time.Duration, func() bool) bool { return false }
func (*process) kill()                                                  {}
func (*process) pause(testing.TB, bool)                                 {}
func tryLock(*os.File) bool                                             { return true }
