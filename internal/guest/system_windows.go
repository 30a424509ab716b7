package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/windows"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// The agent on Windows runs commands as the service's account only, says how
// the guest is and shuts it down. It says so in its capabilities.
func capabilities() []guestwire.Capability {
	return []guestwire.Capability{
		guestwire.CapExec, guestwire.CapStream, guestwire.CapShutdown, guestwire.CapStatus, guestwire.CapFile,
	}
}

func findPort() (string, error) { return findPortNamed(guestwire.PortName) }

func findPortNamed(port string) (string, error) { return `\\.\Global\` + port, nil }

func openPort(path string) (io.ReadWriteCloser, error) { return os.OpenFile(path, os.O_RDWR, 0) }

func reopensItself(io.ReadWriteCloser) bool { return false }

// account is a user of the guest who runs a command.
type account struct {
	home string
}

func (g *Guest) account(name string) (account, error) {
	if name != "root" && name != g.cfg.User {
		return account{}, fmt.Errorf("run a command as %s: %w on this guest", name, dormer.ErrUnsupported)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return account{}, fmt.Errorf("home folder: %w", err)
	}
	return account{home: home}, nil
}

func (account) environment() []string { return os.Environ() }

func (account) apply(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
	return nil
}

func killGroup(pid int) {
	p, err := os.FindProcess(pid)
	if err != nil {
		return
	}
	// It may have ended just now: there is nothing to do about an error.
	_ = p.Kill()
}

func ended(st *os.ProcessState) (code, signal int) { return st.ExitCode(), 0 }

func executableNames(path string) []string { return []string{path, path + ".exe"} }

func executable(st fs.FileInfo) bool {
	return st.Mode().IsRegular() && filepath.Ext(st.Name()) == ".exe"
}

func isFull(err error) bool { return errors.Is(err, windows.ERROR_DISK_FULL) }

func chown(string, string) error { return fmt.Errorf("owner of a file: %w", dormer.ErrUnsupported) }

func syncDir(string) error { return nil }

func (g *Guest) status() (guestwire.Status, error) {
	hostname, err := os.Hostname()
	if err != nil {
		return guestwire.Status{}, fmt.Errorf("host name: %w", err)
	}
	return guestwire.Status{
		Hostname: hostname, System: "windows", Uptime: windows.DurationSinceBoot(), Idle: g.input.idle(), DefaultUser: g.cfg.User,
	}, nil
}

func (*Guest) mount(context.Context, guestwire.MountRequest) (guestwire.MountResult, error) {
	return guestwire.MountResult{}, fmt.Errorf("mount data disk: %w on this guest", dormer.ErrUnsupported)
}

func setHostname(string) error { return fmt.Errorf("rename computer: %w", dormer.ErrUnsupported) }

func inputDevices() []string { return nil }

func lastTerminalUse() time.Time { return time.Time{} }

func (*Guest) powerOff(restart bool) error {
	flag := "/s"
	if restart {
		flag = "/r"
	}
	if err := exec.Command("shutdown.exe", flag, "/t", "0").Run(); err != nil { //nolint:noctx // must go on when the port closes
		return fmt.Errorf("shut down: %w", err)
	}
	return nil
}

// Install is for guests with systemd.
func Install(_, _ string) error { return fmt.Errorf("install service: %w", dormer.ErrUnsupported) }
