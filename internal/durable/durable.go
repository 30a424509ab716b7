// Package durable puts files on the disk so that a crash at any moment leaves
// the old content or the new one, and nothing that was reported as written is
// lost. It is a leaf that every package may import which keeps files.
package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/dormer-project/dormer"
)

// WriteFile is Write with the bytes that are there already.
func WriteFile(path string, b []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// Write replaces a file as a whole with what fill writes, for its owner alone,
// and returns when it is durable: written aside, synced, renamed, and the folder
// synced. When it fails, or fill does, nothing has changed, but for the last
// step. ErrFull when no space is left, ErrNotFound when there is no such folder.
func Write(path string, fill func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, Kind(err))
	}
	if err = fill(f); err == nil {
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
