package guest

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// powerOff ends or restarts the guest: through the init system where there is
// one that can be asked, else by hand.
func (g *Guest) powerOff(restart bool) error {
	verb, syscallCommand := "poweroff", unix.LINUX_REBOOT_CMD_POWER_OFF
	if restart {
		verb, syscallCommand = "reboot", unix.LINUX_REBOOT_CMD_RESTART
	}
	if isDir("/run/systemd/system") {
		// --no-wall: nobody has to be warned, it is the user who asked for it.
		cmd := exec.Command("systemctl", "--no-wall", "--no-ask-password", verb) //nolint:noctx // must go on when the port closes
		out, err := cmd.CombinedOutput()
		if err == nil {
			return nil
		}
		g.cfg.Log.Warn("init system does not end the guest; doing it by hand", slog.String("said", strings.TrimSpace(string(out))), slog.Any("error", err))
	}
	unix.Sync()
	unmountDisks()
	unix.Sync()
	if err := unix.Reboot(syscallCommand); err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	return nil
}

// unmountDisks takes the disks out of use, the last mounted first. What is busy
// becomes read-only.
func unmountDisks() {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return
	}
	lines := slices.Collect(strings.Lines(string(mounts)))
	slices.Reverse(lines)
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) < 3 || !strings.HasPrefix(f[0], "/dev/") {
			continue
		}
		target := unescapeMount(f[1])
		if target != "/" && unix.Unmount(target, 0) == nil {
			continue
		}
		// Where that fails the journal of the file system has to do.
		_ = unix.Mount("", target, "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
	}
}
