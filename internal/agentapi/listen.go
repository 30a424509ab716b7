package agentapi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/dormer-project/dormer"
)

// Listen opens the socket at path. With everybody set, all users of the
// computer may connect (the peer's credentials decide what they see), else
// only the caller's own. A socket that a killed agent left is replaced, one
// that is served is ErrExists. The folder is made when it is missing.
func Listen(ctx context.Context, path string, everybody bool) (net.Listener, error) {
	dirMode, mode := fs.FileMode(0o700), fs.FileMode(0o600)
	if everybody {
		dirMode, mode = 0o755, 0o666
	}
	if err := makeFolder(filepath.Dir(path), dirMode); err != nil {
		return nil, fmt.Errorf("make folder of the agent's socket: %w", err)
	}
	var d net.Dialer
	if c, err := d.DialContext(ctx, "unix", path); err == nil {
		_ = c.Close() // nothing was said on it
		return nil, fmt.Errorf("an agent serves %s already: %w", path, dormer.ErrExists)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("replace the agent's socket: %w", err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for local users: %w", err)
	}
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(fmt.Errorf("set permissions of the agent's socket: %w", err), l.Close())
	}
	return l, nil
}

// makeFolder makes a folder with exactly that mode, whatever the umask. One
// that is there is left as it is: it may be everybody's.
func makeFolder(dir string, mode fs.FileMode) error {
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return err
	}
	return os.Chmod(dir, mode)
}
