package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
)

// Names in the data folder.
const (
	fileLock          = "dormer.lock"
	fileFormat        = "format"
	fileState         = "state.db"
	fileEvents        = "events.db"
	fileFirstPassword = "first-admin-password"
	fileFence         = "superseded-by-epoch"
	fileRestoring     = "restore-unfinished"
	fileOwner         = "standby-owner" // which copy of the instance this is
	filePromoted      = "promoted"      // until it was told
	dirFollowing      = "following"     // of a standby that follows
	dirRepository     = "repository"
	dirKeys           = "keys"
	dirTLS            = "tls"  // in keys
	dirACME           = "acme" // in tls: what an ACME server issued, its account
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
	d, err := lockDataDir(path)
	if err != nil {
		return nil, err
	}
	if err := d.checkFormat(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// lockDataDir makes the folder if need be and locks it, whatever it holds.
// ErrConflict when another program uses it.
func lockDataDir(path string) (*dataDir, error) {
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
	return &dataDir{path: path, lock: f}, nil
}

func (d *dataDir) checkFormat() error {
	if _, err := os.Lstat(d.file(dirFollowing)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("setting data: the folder %s follows another server; `dormerd standby promote` makes it a server: %w", d.path, dormer.ErrConflict)
	}
	if _, err := os.Lstat(d.file(fileRestoring)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("setting data: a restore into %s was not finished: empty the folder and the databases and restore again: %w",
			d.path, errors.Join(dormer.ErrConflict, err))
	}
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
	if err := durable.WriteFile(d.file(fileFormat), []byte(formatVersion)); err != nil {
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

// keepFence records that a server with that epoch has taken over.
func (d *dataDir) keepFence(heard dormer.Epoch) error {
	return durable.WriteFile(d.file(fileFence), fmt.Appendf(nil, "%d\n", heard))
}

// fence returns the epoch of which keepFence was told, 0 for none.
func (d *dataDir) fence() (dormer.Epoch, error) {
	b, err := os.ReadFile(d.file(fileFence))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("setting data: %w", err)
	}
	heard, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("setting data: %s does not hold an epoch: %w", fileFence, dormer.ErrCorrupt)
	}
	return dormer.Epoch(heard), nil
}

// checkFence refuses to start a server that was superseded, until its own
// epoch was raised.
func (d *dataDir) checkFence(own dormer.Epoch) error {
	heard, err := d.fence()
	if err != nil || heard <= own {
		return err
	}
	return fmt.Errorf("another server of this instance has taken over with epoch %d, this one has %d: %w", heard, own, dormer.ErrFenced)
}
