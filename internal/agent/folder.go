package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer"
)

// The files of the agent's state folder. Everything there is for the agent's
// own user alone; docs/agent.md lists them for people.
const (
	// FileLock is locked while an agent works in the folder.
	FileLock = "agent.lock"
	// FileFormat holds the version of the folder's form.
	FileFormat = "format"
	// FileKey is the client's private key, PEM.
	FileKey = "client.key"
	// FileNextKey is the key of an enrolment that has not succeeded yet, PEM.
	FileNextKey = "client.key.next"
	// FileIdentity is who the client is and whom it trusts.
	FileIdentity = "identity.json"
	// FileClock is the state of the clock, written at least each minute.
	FileClock = "clock.json"
	// FileUsers are the sessions of users, their secrets sealed.
	FileUsers = "users.json"
	// FileKeys are the keys that leases need, sealed to the client's key.
	FileKeys = "keys.json"
	// FileOrders are the orders that were carried out.
	FileOrders = "orders.json"
	// FileDeliveries are the images that came here whole, until the server knows.
	FileDeliveries = "deliveries.json"
	// FileSettings is what the server lets clients do, and the passwords that are
	// saved because it does, sealed to the client's key.
	FileSettings = "settings.json"
	// FileProbe is what the hypervisor's probe found.
	FileProbe = "probe.json"
	// DirJournal is the journal of events.
	DirJournal = "journal"
	// DirPolicies holds effective policies by the digits of their hash.
	DirPolicies = "policies"
	// DirMachines holds a folder for each machine, by its identity.
	DirMachines = "machines"
	// DirImages is the store of images unless the configuration names another.
	DirImages = "images"

	// FileMachine, in a machine's folder, is its record with its lease.
	FileMachine = "machine.json"
	// FileSetup, in a machine's folder, is how far its first-time setup has come.
	FileSetup = "setup.json"
	// DirDisks, in a machine's folder, belongs to the hypervisor.
	DirDisks = "vm"
	// DirBoot, in a machine's folder, holds what its image boots directly.
	DirBoot = "boot"

	suffixNew = ".new"
)

// formatVersion is the version of the form of the state folder.
const formatVersion = "1"

// maxStateFile bounds what is read of one file, in bytes.
const maxStateFile = 16 << 20

// folder is a directory whose files are replaced as a whole.
type folder string

// makeFolder makes the directory if it is missing, so that it is there after a
// crash too.
func makeFolder(dir string) (folder, error) {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return folder(dir), nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make folder: %w", full(err))
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return "", fmt.Errorf("make folder: %w", err)
	}
	return folder(dir), nil
}

func (f folder) path(name ...string) string {
	return filepath.Join(append([]string{string(f)}, name...)...)
}

// write replaces a file so that after any crash either the old or the new
// content is there.
func (f folder) write(name string, b []byte) (err error) {
	path := f.path(name)
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", name, full(err))
		}
	}()
	t, err := os.OpenFile(path+suffixNew, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = t.Write(b)
	if err == nil {
		err = t.Sync()
	}
	if err = errors.Join(err, t.Close()); err != nil {
		return errors.Join(err, os.Remove(path+suffixNew))
	}
	if err := os.Rename(path+suffixNew, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// full marks errors of a full disk.
func full(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", dormer.ErrFull, err)
	}
	return err
}

// read returns a file's content; ErrNotFound when it is not there.
func (f folder) read(name string) ([]byte, error) {
	info, err := os.Stat(f.path(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read %s: %w", name, dormer.ErrNotFound)
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", name, err)
	case info.Size() > maxStateFile:
		return nil, fmt.Errorf("read %s: %w", name, dormer.ErrTooLarge)
	}
	b, err := os.ReadFile(f.path(name))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return b, nil
}

// writeJSON replaces a file by v.
func (f folder) writeJSON(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	return f.write(name, append(b, '\n'))
}

// readJSON reads a file into v. A file that is not there leaves v alone; one
// that cannot be read is ErrCorrupt.
func (f folder) readJSON(name string, v any) error {
	b, err := f.read(name)
	if errors.Is(err, dormer.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s is not as the agent wrote it: %w", f.path(name), dormer.ErrCorrupt)
	}
	return nil
}

// openState makes and locks the state folder and checks its form. The file
// that it returns holds the lock until it is closed.
func openState(dir string) (folder, *os.File, error) {
	f, err := makeFolder(dir)
	if err != nil {
		return "", nil, err
	}
	lock, err := os.OpenFile(f.path(FileLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", nil, fmt.Errorf("lock state folder: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close() // nothing was written
		return "", nil, fmt.Errorf("another agent runs here, in %s: %w", dir, dormer.ErrExists)
	}
	if err := checkFormat(f); err != nil {
		_ = lock.Close() // nothing was written
		return "", nil, err
	}
	for _, d := range []string{DirPolicies, DirMachines} {
		if _, err := makeFolder(f.path(d)); err != nil {
			_ = lock.Close() // nothing was written
			return "", nil, err
		}
	}
	return f, lock, nil
}

func checkFormat(f folder) error {
	b, err := f.read(FileFormat)
	switch {
	case errors.Is(err, dormer.ErrNotFound):
		return f.write(FileFormat, []byte(formatVersion+"\n"))
	case err != nil:
		return err
	case strings.TrimSpace(string(b)) != formatVersion:
		return fmt.Errorf("state folder %s is of another version of the agent (form %.20q, this one knows %s): %w",
			string(f), strings.TrimSpace(string(b)), formatVersion, dormer.ErrUnsupported)
	}
	return nil
}
