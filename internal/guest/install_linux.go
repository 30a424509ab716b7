package guest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
// but for images that are being built) and enables it for systemd.
func Install(root, program string) error {
	if err := copyFile(program, filepath.Join(root, programPath), 0o755); err != nil {
		return fmt.Errorf("install program: %w", err)
	}
	for _, dir := range []string{filepath.Dir(unitPath), filepath.Dir(wantsPath)} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return fmt.Errorf("install service: %w", err)
		}
	}
	if err := replaceFile(filepath.Join(root, unitPath), []byte(unit), 0o644, ""); err != nil {
		return fmt.Errorf("install service: %w", err)
	}
	link := filepath.Join(root, wantsPath)
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("enable service: %w", err)
	}
	if err := os.Symlink(unitPath, link); err != nil {
		return fmt.Errorf("enable service: %w", err)
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
