package standby

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/benbjohnson/litestream"
	"github.com/benbjohnson/litestream/file"
	"github.com/superfly/ltx"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
)

// folder is a target on a file system, mostly another computer's.
type folder struct{ dir string }

// aside is the folder for what is being written; no object's name has a dot in
// front.
const aside = ".writing"

func openFolder(dir string) (objects, func(string) litestream.ReplicaClient) {
	f := folder{filepath.Clean(dir)}
	return f, func(name string) litestream.ReplicaClient {
		return mounted{ReplicaClient: file.NewReplicaClient(f.path(name)), folder: f}
	}
}

// mounted writes databases into a folder that holds a record, and into no other:
// litestream makes all folders above its files.
type mounted struct {
	litestream.ReplicaClient
	folder folder
}

// WriteLTXFile is litestream's.
func (m mounted) WriteLTXFile(ctx context.Context, level int, minTXID, maxTXID ltx.TXID, r io.Reader) (*ltx.FileInfo, error) {
	if _, err := os.Stat(m.folder.path(prefixRecord)); err != nil {
		return nil, fmt.Errorf("the target has lost its record: %w", dormer.ErrUnavailable)
	}
	return m.ReplicaClient.WriteLTXFile(ctx, level, minTXID, maxTXID, r)
}

func (f folder) path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

// write puts content aside, durably, and returns where.
func (f folder) write(name string, r io.Reader, size int64) (path string, err error) {
	// Only the last folder is made: when its parent is missing, what should be
	// mounted there is not.
	if err := os.Mkdir(f.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", away(fmt.Errorf("make the folder: %w", err))
	}
	if err := os.MkdirAll(filepath.Join(f.dir, aside), 0o700); err != nil {
		return "", away(durable.Kind(err))
	}
	if err := os.MkdirAll(filepath.Dir(f.path(name)), 0o700); err != nil {
		return "", away(durable.Kind(err))
	}
	tmp, err := os.CreateTemp(filepath.Join(f.dir, aside), "*")
	if err != nil {
		return "", away(durable.Kind(err))
	}
	n, err := io.Copy(tmp, io.LimitReader(r, size+1))
	if err == nil && n != size {
		err = dormer.Invalidf("", "content is not %d bytes long", size)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return "", errors.Join(away(durable.Kind(err)), os.Remove(tmp.Name()))
	}
	return tmp.Name(), nil
}

func (f folder) Create(_ context.Context, name string, b []byte) error {
	tmp, err := f.write(name, strings.NewReader(string(b)), int64(len(b)))
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	defer os.Remove(tmp)
	// A link fails when the name is taken, on NFS too.
	if err := os.Link(tmp, f.path(name)); err != nil {
		return fmt.Errorf("create %s: %w", name, away(durable.Kind(err)))
	}
	return away(durable.SyncFolder(filepath.Dir(f.path(name))))
}

func (f folder) Put(_ context.Context, name string, r io.Reader, size int64) error {
	tmp, err := f.write(name, r, size)
	if err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	if err := os.Rename(tmp, f.path(name)); err != nil {
		return fmt.Errorf("put %s: %w", name, errors.Join(away(durable.Kind(err)), os.Remove(tmp)))
	}
	return away(durable.SyncFolder(filepath.Dir(f.path(name))))
}

func (f folder) Open(_ context.Context, name string) (io.ReadCloser, error) {
	r, err := os.Open(f.path(name))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, away(durable.Kind(err)))
	}
	return r, nil
}

func (f folder) List(ctx context.Context, prefix string, each func(name string, size int64) error) error {
	err := filepath.WalkDir(f.path(prefix), func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // gone meanwhile
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case !d.Type().IsRegular():
			return nil
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(f.dir, path)
		if err != nil {
			return err
		}
		return each(filepath.ToSlash(name), info.Size())
	})
	if err != nil {
		return fmt.Errorf("list %s: %w", prefix, away(err))
	}
	return nil
}

func (f folder) Delete(_ context.Context, name string) error {
	if err := os.Remove(f.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete %s: %w", name, away(err))
	}
	return nil
}

func (folder) Close() error { return nil }
