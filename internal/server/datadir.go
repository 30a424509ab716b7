package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer"
)

// Names in the data folder.
const (
	fileLock          = "dormer.lock"
	fileFormat        = "format"
	fileState         = "state.db"
	fileEvents        = "events.db"
	fileFirstPassword = "first-admin-password"
	dirRepository     = "repository"
	dirKeys           = "keys"
	dirTLS            = "tls" // in keys
)

// formatVersion is the version of the layout of the data folder.
const formatVersion = "dormer data 1\n"

// dataDir is a locked data folder.
type dataDir struct {
	path string
	lock *os.File
	// fresh: no server has finished its first start here.
	fresh bool
}

// openDataDir makes the folder if need be, locks it and checks its format.
// ErrConflict when another server uses it, ErrUnsupported when a newer
// version of the program made it.
func openDataDir(path string) (*dataDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("setting data: make the folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(path, fileLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("setting data: open the lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("setting data: another dormerd is using the folder %s: %w", path, dormer.ErrConflict)
		}
		return nil, fmt.Errorf("setting data: lock the folder: %w", err)
	}
	d := &dataDir{path: path, lock: f}
	if err := d.checkFormat(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return d, nil
}

func (d *dataDir) checkFormat() error {
	b, err := os.ReadFile(d.file(fileFormat))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.fresh = true
		return nil
	case err != nil:
		return fmt.Errorf("setting data: read the format: %w", err)
	case string(b) != formatVersion:
		return fmt.Errorf("setting data: the folder has the format %q, this program knows %q: %w",
			strings.TrimSpace(string(b)), strings.TrimSpace(formatVersion), dormer.ErrUnsupported)
	}
	return nil
}

// finish marks the first start as done: from now on a missing key is damage.
func (d *dataDir) finish() error {
	if !d.fresh {
		return nil
	}
	if err := writeFile(d.file(fileFormat), []byte(formatVersion)); err != nil {
		return err
	}
	d.fresh = false
	return nil
}

func (d *dataDir) file(name ...string) string {
	return filepath.Join(append([]string{d.path}, name...)...)
}

// Close releases the lock.
func (d *dataDir) Close() error { return d.lock.Close() }

// writeFile replaces a file so that a crash leaves the old or the new one, for
// the owner alone.
func writeFile(path string, b []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(b); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), f.Close())
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}
