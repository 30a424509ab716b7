package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/dormer-project/dormer"
)

// Where the agent is installed in a guest.
const (
	programPath = "/usr/sbin/dormer-guest"
	unitPath    = "/etc/systemd/system/dormer-guest.service"
	wantsPath   = "/etc/systemd/system/sysinit.target.wants/dormer-guest.service"
)

// unit starts the agent as soon as the disks are mounted. Commands that were
// detached go on when the agent is restarted.
const unit = `[Unit]
Description=Dormer guest agent
DefaultDependencies=no
After=local-fs.target systemd-tmpfiles-setup-dev.service
Conflicts=shutdown.target
Before=shutdown.target

[Service]
ExecStart=/usr/sbin/dormer-guest run
Restart=always
RestartSec=1
KillMode=process
OOMScoreAdjust=-900

[Install]
WantedBy=sysinit.target
`

// Install copies the running program into the guest's system under root ("/"
// but for images that are being built) and enables it for systemd. Repeated, or
// with another version, it replaces what is there; an agent that runs is
// started anew.
func Install(root, program string) error {
	target := filepath.Join(root, programPath)
	if same, err := filepath.EvalSymlinks(program); err != nil || same != target {
		if err := copyFile(program, target, 0o755); err != nil {
			return fmt.Errorf("install program: %w", err)
		}
	}
	if root == "/" && !isDir("/run/systemd/system") {
		return fmt.Errorf("the program is at %s, but there is no systemd to start it: let the system start '%s run': %w", programPath, programPath, dormer.ErrUnsupported)
	}
	for _, dir := range []string{filepath.Dir(unitPath), filepath.Dir(wantsPath)} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return fmt.Errorf("install service: %w", err)
		}
	}
	if err := replaceFile(filepath.Join(root, unitPath), []byte(unit), 0o644, ""); err != nil {
		return fmt.Errorf("install service: %w", err)
	}
	if err := replaceLink(unitPath, filepath.Join(root, wantsPath)); err != nil {
		return fmt.Errorf("enable service: %w", err)
	}
	if root != "/" {
		return nil
	}
	for _, args := range [][]string{{"daemon-reload"}, {"--no-block", "restart", filepath.Base(unitPath)}} {
		if _, err := (tool{args: append([]string{"systemctl", "--no-ask-password"}, args...)}).run(context.Background()); err != nil {
			return fmt.Errorf("start service: %w", err)
		}
	}
	return nil
}

// Uninstall ends the agent and removes what Install has made. What it keeps of
// its own under /var/lib/dormer-guest goes, too.
func Uninstall(root string) error {
	if root == "/" && isDir("/run/systemd/system") {
		if _, err := (tool{args: []string{"systemctl", "--no-ask-password", "--no-block", "stop", filepath.Base(unitPath)}}).run(context.Background()); err != nil {
			return fmt.Errorf("end service: %w", err)
		}
	}
	if err := (&Guest{cfg: Config{Root: root}}).restoreResolver(); err != nil {
		return fmt.Errorf("uninstall: %w", err)
	}
	for _, name := range []string{wantsPath, unitPath, programPath, filepath.Dir(recordPath)} {
		if err := os.RemoveAll(filepath.Join(root, name)); err != nil {
			return fmt.Errorf("uninstall: %w", err)
		}
	}
	return nil
}

func copyFile(from, to string, mode os.FileMode) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.CreateTemp(filepath.Dir(to), ".dormer-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Chmod(mode)
	}
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, os.Remove(out.Name()))
	}
	return os.Rename(out.Name(), to)
}
