package lease

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// bootIDFile holds an identity that the kernel makes at every start.
const bootIDFile = "/proc/sys/kernel/random/boot_id"

// SystemTime returns the clocks of this computer.
func SystemTime() (TimeSources, error) {
	id, err := os.ReadFile(bootIDFile)
	if err != nil {
		return TimeSources{}, fmt.Errorf("read identity of this boot: %w", err)
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return TimeSources{}, fmt.Errorf("read boot clock: %w", err)
	}
	return TimeSources{
		Wall: time.Now,
		Boot: func() time.Duration {
			var now unix.Timespec
			if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
				// It answered a moment ago and cannot fail for a valid clock;
				// standing still is the harmless reading.
				now = ts
			}
			return time.Duration(now.Nano())
		},
		BootID: strings.TrimSpace(string(id)),
	}, nil
}
