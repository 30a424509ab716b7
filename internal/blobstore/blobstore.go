// Package blobstore keeps the blobs of a repository: in a local folder. Only
// the server's composition root and tests import it; the contract is that of
// imagerepo.Blobs, and the suite in blobtest holds every implementation to it.
package blobstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"syscall"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/imagerepo"
)

// temporary is the folder for what is being written. Names of blobs do not
// begin with a dot, so it never collides.
const temporary = ".tmp"

// Folder keeps each blob as a file below a folder, under its own name: any
// static web server can serve the objects from there.
type Folder struct {
	dir string
	// making is held while folders are made: one that is there is durable.
	making sync.Mutex
}

// OpenFolder uses dir, which is made if need be, and removes what unfinished
// writes left there. One process at a time may open a folder.
func OpenFolder(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make repository folder: %w", durable.Kind(err))
	}
	tmp := filepath.Join(dir, temporary)
	if err := os.RemoveAll(tmp); err != nil {
		return nil, fmt.Errorf("clear repository folder: %w", err)
	}
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return nil, fmt.Errorf("make repository folder: %w", durable.Kind(err))
	}
	return &Folder{dir: dir}, nil
}

// LookFolder uses dir beside the process that has opened it, to read.
func LookFolder(dir string) (*Folder, error) {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return nil, fmt.Errorf("look into the repository folder: %w", durable.Kind(err))
	case !info.IsDir():
		return nil, dormer.Invalidf("", "%s is no folder", dir)
	}
	return &Folder{dir: dir}, nil
}

// checkName refuses what is not a blob's name, so that no name leaves the
// folder.
func checkName(name string) error {
	if len(name) > 1024 {
		return dormer.Invalidf("name", "of a blob is too long")
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || len(part) > 255 || part[0] == '.' {
			return dormer.Invalidf("name", "of a blob has an empty, too long or dotted part")
		}
		for _, c := range []byte(part) {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._~%-", c) >= 0) {
				return dormer.Invalidf("name", "of a blob has a character that is not allowed")
			}
		}
	}
	return nil
}

func (f *Folder) path(name string) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	return filepath.Join(f.dir, filepath.FromSlash(name)), nil
}

// Put stores a blob: written beside, synced, then linked to its name, which
// fails when the name is taken.
func (f *Folder) Put(ctx context.Context, name string, r io.Reader, size int64) error {
	path, err := f.path(name)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("blob %s: %w", name, dormer.ErrExists)
	}
	tmp, err := os.CreateTemp(filepath.Join(f.dir, temporary), "put-*")
	if err != nil {
		return fmt.Errorf("put %s: %w", name, durable.Kind(err))
	}
	defer os.Remove(tmp.Name())
	if err := fill(ctx, tmp, r, size); err != nil {
		return fmt.Errorf("put %s: %w", name, errors.Join(err, tmp.Close()))
	}
	if err := tmp.Close(); err != nil {
		return fmt.Errorf("put %s: %w", name, durable.Kind(err))
	}
	f.making.Lock()
	err = f.makeParents(filepath.Dir(path))
	f.making.Unlock()
	if err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	if err := os.Link(tmp.Name(), path); err != nil {
		return fmt.Errorf("put %s: %w", name, durable.Kind(err))
	}
	return durable.SyncFolder(filepath.Dir(path))
}

// fill writes exactly size bytes of r to w and syncs.
func fill(ctx context.Context, w *os.File, r io.Reader, size int64) error {
	n, err := io.Copy(w, io.LimitReader(contextReader{ctx, r}, size+1))
	if err != nil {
		return durable.Kind(err)
	}
	if n != size {
		return dormer.Invalidf("", "content is not %d bytes long", size)
	}
	return durable.Kind(w.Sync())
}

// makeParents makes the folders of a blob, each durably in its own. It needs
// f.making: who finds a folder may link into it at once.
func (f *Folder) makeParents(dir string) error {
	if dir == f.dir {
		return nil
	}
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := f.makeParents(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return durable.Kind(err)
	}
	return durable.SyncFolder(filepath.Dir(dir))
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

type file struct {
	*os.File
	size int64
}

func (f *file) Size() int64 { return f.size }

// Open opens a blob.
func (f *Folder) Open(_ context.Context, name string) (imagerepo.Blob, error) {
	path, err := f.path(name)
	if err != nil {
		return nil, err
	}
	h, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, durable.Kind(err))
	}
	info, err := h.Stat()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, errors.Join(err, h.Close()))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open %s: %w", name, errors.Join(dormer.ErrNotFound, h.Close()))
	}
	return &file{h, info.Size()}, nil
}

// Stat describes a blob.
func (f *Folder) Stat(_ context.Context, name string) (imagerepo.BlobInfo, error) {
	path, err := f.path(name)
	if err != nil {
		return imagerepo.BlobInfo{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return imagerepo.BlobInfo{}, fmt.Errorf("stat %s: %w", name, durable.Kind(err))
	}
	if !info.Mode().IsRegular() {
		return imagerepo.BlobInfo{}, fmt.Errorf("stat %s: %w", name, dormer.ErrNotFound)
	}
	return imagerepo.BlobInfo{Name: name, Size: info.Size(), Modified: info.ModTime()}, nil
}

// Delete removes a blob durably. Its folders stay.
func (f *Folder) Delete(_ context.Context, name string) error {
	path, err := f.path(name)
	if err != nil {
		return err
	}
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return notThere(name, err)
	}
	if err := os.Remove(path); err != nil {
		return notThere(name, err)
	}
	return durable.SyncFolder(filepath.Dir(path))
}

func notThere(name string, err error) error {
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return fmt.Errorf("delete %s: %w", name, err)
}

// List walks only the folders that can hold names after the last one.
func (f *Folder) List(ctx context.Context, prefix, after string, limit int) ([]imagerepo.BlobInfo, error) {
	prefix, slash := strings.CutSuffix(prefix, "/")
	if prefix != "" {
		if err := checkName(prefix); err != nil || !slash {
			return nil, dormer.Invalidf("prefix", "must be empty or folders ending in a slash")
		}
	}
	l := lister{ctx: ctx, f: f, after: after, limit: limit}
	err := l.walk(prefix)
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	return l.out, nil
}

var errEnough = errors.New("enough listed")

type lister struct {
	ctx   context.Context
	f     *Folder
	after string
	limit int
	out   []imagerepo.BlobInfo
}

func (l *lister) walk(dir string) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(l.f.dir, filepath.FromSlash(dir)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	// A folder sorts as its name and the slash that follows.
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		n := e.Name()
		if n[0] == '.' {
			continue
		}
		if e.IsDir() {
			n += "/"
		}
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		name := n
		if dir != "" {
			name = dir + "/" + n
		}
		if sub, ok := strings.CutSuffix(name, "/"); ok {
			if l.after >= name && !strings.HasPrefix(l.after, name) {
				continue
			}
			if err := l.walk(sub); err != nil {
				return err
			}
			continue
		}
		if name <= l.after {
			continue
		}
		if len(l.out) >= l.limit {
			return errEnough
		}
		info, err := l.f.Stat(l.ctx, name)
		if errors.Is(err, dormer.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		l.out = append(l.out, info)
	}
	return nil
}
