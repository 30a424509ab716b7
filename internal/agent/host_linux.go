package agent

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer/internal/wire"
)

// ThisHost describes this computer.
func ThisHost() wire.Host {
	h := wire.Host{OS: runtime.GOOS, Arch: runtime.GOARCH, Processors: runtime.NumCPU()}
	var err error
	if h.Name, err = os.Hostname(); err != nil || h.Name == "" {
		h.Name = "unknown"
	}
	h.Name = cut(h.Name, maxHostText)
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err == nil {
		h.MemoryMiB = int(uint64(info.Totalram) * uint64(info.Unit) >> 20) //nolint:unconvert // 32 bits wide on some systems
	}
	return h
}
