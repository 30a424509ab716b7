package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

func (*Guest) readFile(_ context.Context, r guestwire.ReadFileRequest) (guestwire.ReadFileResult, error) {
	limit := r.Max
	if limit <= 0 || limit > guestwire.MaxFile {
		limit = guestwire.MaxFile
	}
	if !filepath.IsAbs(r.Path) {
		return guestwire.ReadFileResult{}, dormer.Invalidf("path", "must be absolute")
	}
	st, err := os.Stat(r.Path)
	if err != nil {
		return guestwire.ReadFileResult{}, fileError("read", r.Path, err)
	}
	if !st.Mode().IsRegular() {
		return guestwire.ReadFileResult{}, dormer.Invalidf("path", "must be a regular file")
	}
	f, err := os.Open(r.Path)
	if err != nil {
		return guestwire.ReadFileResult{}, fileError("read", r.Path, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return guestwire.ReadFileResult{}, fileError("read", r.Path, err)
	}
	if len(b) > limit {
		return guestwire.ReadFileResult{}, fmt.Errorf("read %s: more than %d bytes: %w", r.Path, limit, dormer.ErrTooLarge)
	}
	return guestwire.ReadFileResult{Data: b}, nil
}

func (*Guest) writeFile(_ context.Context, r guestwire.WriteFileRequest) error {
	if !filepath.IsAbs(r.Path) {
		return dormer.Invalidf("path", "must be absolute")
	}
	if len(r.Data) > guestwire.MaxFile {
		return fmt.Errorf("write %s: more than %d bytes: %w", r.Path, guestwire.MaxFile, dormer.ErrTooLarge)
	}
	mode := fs.FileMode(r.Mode).Perm()
	if r.Mode == 0 {
		mode = 0o644
	}
	return replaceFile(r.Path, r.Data, mode, r.Owner)
}

// replaceFile replaces a file as a whole and makes it durable.
func replaceFile(path string, data []byte, mode fs.FileMode, owner string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".dormer-*")
	if err != nil {
		return fileError("write", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil && owner != "" {
		err = chown(f.Name(), owner)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fileError("write", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fileError("write", path, err)
	}
	return syncDir(filepath.Dir(path))
}

func fileError(doing, path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s %s: %w", doing, path, dormer.ErrNotFound)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s %s: %w", doing, path, dormer.ErrDenied)
	case isFull(err):
		return fmt.Errorf("%s %s: %w", doing, path, dormer.ErrFull)
	default:
		return fmt.Errorf("%s %s: %w", doing, path, err)
	}
}
