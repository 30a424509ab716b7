package imagepack

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"maps"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/imageformat"
)

// folder is the packed image that is written.
type folder struct {
	dir string
	// sizes of all objects that are known, those of the bases among them.
	sizes map[string]int64
	// local are the objects that were written here.
	local map[string]bool
	// used are the objects that the image needs.
	used map[string]bool
}

func newFolder(dir string, baseSizes map[string]int64) *folder {
	f := &folder{dir: dir, sizes: map[string]int64{}, local: map[string]bool{}, used: map[string]bool{}}
	maps.Copy(f.sizes, baseSizes)
	return f
}

func (f *folder) here(o imageformat.Object) { f.sizes[o.Name], f.local[o.Name] = o.Size, true }

func (f *folder) need(name string) { f.used[name] = true }

// needed returns all objects of the image.
func (f *folder) needed() []imageformat.Object {
	out := make([]imageformat.Object, 0, len(f.used))
	for n := range f.used {
		out = append(out, imageformat.Object{Name: n, Size: f.sizes[n]})
	}
	sortObjects(out)
	return out
}

// added returns those of them that are in the folder.
func (f *folder) added() []imageformat.Object {
	out := []imageformat.Object{}
	for _, o := range f.needed() {
		if f.local[o.Name] {
			out = append(out, o)
		}
	}
	return out
}

// write stores an object under the hash of b.
func (f *folder) write(k imageformat.Kind, b []byte) (string, error) {
	name := imageformat.ObjectName(k, imageformat.HashOf(b))
	if err := f.put(name, b); err != nil {
		return "", err
	}
	f.here(imageformat.Object{Name: name, Size: int64(len(b))})
	f.need(name)
	return name, nil
}

// put writes a file beside, syncs it and gives it its name.
func (f *folder) put(name string, b []byte) error {
	s, err := f.spool()
	if err != nil {
		return err
	}
	defer s.discard()
	if err := s.write(b); err != nil {
		return err
	}
	return s.commit(name)
}

// sync makes the names of all objects durable.
func (f *folder) sync() error {
	for _, k := range []imageformat.Kind{imageformat.KindManifest, imageformat.KindMap, imageformat.KindPack, imageformat.KindKeys} {
		if err := syncPath(filepath.Join(f.dir, string(k))); err != nil && !errors.Is(err, dormer.ErrNotFound) {
			return err
		}
	}
	return syncPath(f.dir)
}

// spool is a file that gets its name when it is whole.
type spool struct {
	folder *folder
	file   *os.File
	sum    hash.Hash
	size   int64
}

func (f *folder) spool() (*spool, error) {
	file, err := os.CreateTemp(filepath.Join(f.dir, workDir), "object-*")
	if err != nil {
		return nil, fmt.Errorf("write packed image: %w", durable.Kind(err))
	}
	return &spool{folder: f, file: file, sum: sha256.New()}, nil
}

func (s *spool) write(b []byte) error {
	if _, err := s.file.Write(b); err != nil {
		return fmt.Errorf("write packed image: %w", durable.Kind(err))
	}
	s.sum.Write(b)
	s.size += int64(len(b))
	return nil
}

// keep commits the file as an object.
func (s *spool) keep(k imageformat.Kind) (imageformat.Hash, error) {
	h := imageformat.Hash(s.sum.Sum(nil))
	name := imageformat.ObjectName(k, h)
	s.folder.here(imageformat.Object{Name: name, Size: s.size})
	return h, s.commit(name)
}

func (s *spool) commit(name string) error {
	to := filepath.Join(s.folder.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return fmt.Errorf("write packed image: %w", durable.Kind(err))
	}
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("write packed image: %w", durable.Kind(err))
	}
	if err := os.Rename(s.file.Name(), to); err != nil {
		return fmt.Errorf("write packed image: %w", durable.Kind(err))
	}
	return nil
}

// discard closes the file and removes it if it got no name.
func (s *spool) discard() {
	s.file.Close()
	os.Remove(s.file.Name())
}

func syncPath(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return durable.Kind(err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// lockFolder keeps two Packs out of one folder.
func lockFolder(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock folder of packed image: %w", durable.Kind(err))
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another process packs into this folder: %w", dormer.ErrConflict), f.Close())
	}
	return func() { f.Close() }, nil
}
