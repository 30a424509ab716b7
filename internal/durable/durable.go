// Package durable puts files on the disk so that a crash at any moment leaves
// the old content or the new one, and nothing that was reported as written is
// lost. It is a leaf that every package may import which keeps files.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/dormer-project/dormer"
)

// WriteFile replaces a file as a whole, for its owner alone, and returns when
// it is durable: written aside, synced, renamed, and the folder synced. When it
// fails nothing has changed, but for the last step. ErrFull when no space is
// left, ErrNotFound when there is no such folder.
func WriteFile(path string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, Kind(err))
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, Kind(err)), os.Remove(f.Name()))
	}
	return SyncFolder(filepath.Dir(path))
}

// SyncFolder makes the names in a folder durable.
func SyncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, Kind(err))
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync %s: %w", dir, Kind(err))
	}
	return nil
}

// IsFull reports whether an error says that the disk, or its owner's part of
// it, is full.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// Kind gives an error of the file system the kind that it is of: ErrFull,
// ErrNotFound, ErrExists. Others are returned as they are.
func Kind(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", dormer.ErrNotFound, err)
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%w: %w", dormer.ErrExists, err)
	case IsFull(err):
		return fmt.Errorf("%w: %w", dormer.ErrFull, err)
	}
	return err
}
