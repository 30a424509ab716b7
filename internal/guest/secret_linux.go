package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Where the agent keeps what must be gone after the guest's end: in memory.
const (
	runFolder     = "/run/dormer-guest"
	secretsFolder = runFolder + "/secrets"
	ticketsFolder = runFolder + "/tickets"
)

// memoryFolder makes a folder that is in memory only and that users can pass
// through but not list.
func memoryFolder(path string) error {
	if err := os.MkdirAll(path, 0o711); err != nil {
		return fileError("make", path, err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return fmt.Errorf("look at %s: %w", path, err)
	}
	if st.Type != unix.TMPFS_MAGIC && st.Type != unix.RAMFS_MAGIC {
		if err := unix.Mount("tmpfs", path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0711,size=16m"); err != nil {
			return fmt.Errorf("keep secrets in memory: %w", err)
		}
	}
	for dir := path; strings.HasPrefix(dir, runFolder); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o711); err != nil {
			return err
		}
	}
	return nil
}

// secretFile puts a secret where only who can read it, and returns how to
// remove it.
func secretFile(secret []byte, who account) (name string, remove func() error, err error) {
	if err := memoryFolder(secretsFolder); err != nil {
		return "", nil, err
	}
	f, err := os.CreateTemp(secretsFolder, "secret-*")
	if err != nil {
		return "", nil, fmt.Errorf("keep a secret for a command: %w", err)
	}
	remove = func() error {
		if err := os.Remove(f.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove a command's secret: %w", err)
		}
		return nil
	}
	_, err = f.Write(secret)
	if err == nil && !who.self {
		err = f.Chown(int(who.uid), int(who.gid))
	}
	if err == nil {
		err = f.Chmod(0o400)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", nil, errors.Join(fmt.Errorf("keep a secret for a command: %w", err), remove())
	}
	return f.Name(), remove, nil
}

// forgetSecrets removes what an agent that was killed has left.
func forgetSecrets() error { return os.RemoveAll(secretsFolder) }

// ticketFile is where a user's Kerberos tickets are.
func ticketFile(uid uint32) string {
	return filepath.Join(ticketsFolder, strconv.FormatUint(uint64(uid), 10), "cc")
}

// ofSystem is what the agent of this system keeps.
type ofSystem struct {
	mounted []string // where disks are mounted
}
