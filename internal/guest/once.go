package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dormer-project/dormer"
)

// begin keeps, durable, that the command of that name begins now. ErrExists when
// it has begun before.
func (g *Guest) begin(name string) error {
	dir := g.path(onceFolder())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fileError("make", dir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("command %s was begun before: %w", name, dormer.ErrExists)
	}
	if err != nil {
		return fileError("keep that a command begins in", dir, err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fileError("keep that a command begins in", dir, err)
	}
	// The folder itself may be new.
	return errors.Join(syncDir(dir), syncDir(filepath.Dir(dir)))
}

// unbegun forgets a command that could not be started.
func (g *Guest) unbegun(name string) error {
	return os.Remove(filepath.Join(g.path(onceFolder()), name))
}
