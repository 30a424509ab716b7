// Package imagesync brings images to a client and reads them there: it fetches
// the frames that the client's store lacks, verifies every one, and shows the
// disks of an image as readers. The agent, the machine process and the command
// line import it.
//
// The store keeps frames as they came, compressed and encrypted, in sparse
// copies of the packs, so that versions of an image share them. One process at a
// time writes to it. Any number may read: a frame's bytes never change once they
// are there, every frame is verified when it is read, and an image that is open
// anywhere is locked against removal.
package imagesync

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/seal"
)

// File names of a store.
const (
	// formatFile says which layout the store has.
	formatFile = "format"
	// lockFile is locked by the process that writes.
	lockFile = "lock"
	// imagesDir has a folder for each image, named by the hash of its identity.
	imagesDir = "images"
	// In it: the envelope, the map as stored, the frames (a map without streams,
	// not encrypted, for verifying and collecting), the mark that everything is
	// there, and the file that is locked by those who have the image open.
	manifestFile = "manifest"
	mapFile      = "map"
	framesFile   = "frames"
	completeFile = "complete"
	useFile      = "use"
	// packsDir has two files for each pack.
	packsDir   = "packs"
	dataSuffix = ".data"
	logSuffix  = ".log"
)

const storeFormat = "dormer image store 1\n"

// StoreConfig is what a store needs to know.
type StoreConfig struct {
	// Quota is how many bytes of disk the packs may take; 0 is no limit.
	Quota int64
}

// Store is a client's images.
type Store struct {
	dir  string
	cfg  StoreConfig
	lock *os.File
	// writing is held by the one call that changes the store.
	writing chan struct{}
}

var errLocked = errors.New("locked by another process")

// OpenStore opens the store in dir for reading and writing, making it if need
// be. ErrConflict when another process has it open so. The caller closes it.
func OpenStore(dir string, cfg StoreConfig) (*Store, error) {
	for _, d := range []string{dir, filepath.Join(dir, imagesDir), filepath.Join(dir, packsDir)} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("make image store: %w", durable.Kind(err))
		}
	}
	l, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock image store: %w", durable.Kind(err))
	}
	if err := lock(l, false); err != nil {
		if errors.Is(err, errLocked) {
			err = fmt.Errorf("%w: %w", dormer.ErrConflict, err)
		}
		return nil, errors.Join(fmt.Errorf("lock image store %s: %w", dir, err), l.Close())
	}
	s := &Store{dir: dir, cfg: cfg, lock: l, writing: make(chan struct{}, 1)}
	err = s.checkFormat()
	if errors.Is(err, dormer.ErrNotFound) {
		err = durable.WriteFile(filepath.Join(dir, formatFile), []byte(storeFormat))
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return s, nil
}

// ReadStore opens a store for reading while another process may write to it.
func ReadStore(dir string) (*Store, error) {
	s := &Store{dir: dir}
	if err := s.checkFormat(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Store) checkFormat() error {
	b, err := os.ReadFile(filepath.Join(s.dir, formatFile))
	if err != nil {
		return fmt.Errorf("open image store: %w", durable.Kind(err))
	}
	if string(b) != storeFormat {
		return fmt.Errorf("image store %s has a layout that this program does not know: %w", s.dir, dormer.ErrUnsupported)
	}
	return nil
}

// Close gives the store up. Images that are open stay so.
func (s *Store) Close() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.Close()
}

func (s *Store) imageDir(id dormer.ImageID) (string, error) {
	h, err := imageformat.ParseID(id)
	if err != nil {
		return "", err
	}
	return filepath.Join(s.dir, imagesDir, h.String()), nil
}

func (s *Store) packBase(h imageformat.Hash) string {
	return filepath.Join(s.dir, packsDir, h.String())
}

// Has reports whether the image is there whole.
func (s *Store) Has(id dormer.ImageID) bool {
	dir, err := s.imageDir(id)
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(dir, completeFile))
	return err == nil
}

// List returns the images of which anything is there.
func (s *Store) List() ([]dormer.ImageID, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, imagesDir))
	if err != nil {
		return nil, fmt.Errorf("list images of store: %w", err)
	}
	var out []dormer.ImageID
	for _, e := range entries {
		id := dormer.ImageID("sha256:" + e.Name())
		if _, err := imageformat.ParseID(id); err == nil {
			out = append(out, id)
		}
	}
	return out, nil
}

// Manifest returns the manifest of an image of which at least that is there.
func (s *Store) Manifest(id dormer.ImageID) (*imageformat.Manifest, error) {
	dir, err := s.imageDir(id)
	if err != nil {
		return nil, err
	}
	b, err := readFile(filepath.Join(dir, manifestFile), seal.MaxEnvelope)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", id, err)
	}
	return imageformat.OpenPinnedManifest(id, b)
}

// readMap reads and opens the map of an image.
func (s *Store) readMap(id dormer.ImageID, man *imageformat.Manifest, codec *imageformat.Codec) (*imageformat.Map, error) {
	dir, err := s.imageDir(id)
	if err != nil {
		return nil, err
	}
	stored, err := readFile(filepath.Join(dir, mapFile), imageformat.MaxMap)
	if err != nil {
		return nil, fmt.Errorf("map of image %s: %w", id, err)
	}
	return openMap(man, codec, stored)
}

func openMap(man *imageformat.Manifest, codec *imageformat.Codec, stored []byte) (*imageformat.Map, error) {
	raw, err := codec.OpenObject(man.Map.Object, imageformat.UseMap, stored, man.Map.Raw)
	if err != nil {
		return nil, err
	}
	m, err := imageformat.ParseMap(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", man.Map.Object, err)
	}
	if err := m.Fits(man); err != nil {
		return nil, fmt.Errorf("%s: %w", man.Map.Object, err)
	}
	return m, nil
}

// frames reads which frames an image needs, without any key.
func (s *Store) frames(id dormer.ImageID) (*imageformat.Map, error) {
	dir, err := s.imageDir(id)
	if err != nil {
		return nil, err
	}
	b, err := readFile(filepath.Join(dir, framesFile), imageformat.MaxMap)
	if err != nil {
		return nil, fmt.Errorf("frames of image %s: %w", id, err)
	}
	m, err := imageformat.ParseMap(b)
	if err != nil {
		return nil, fmt.Errorf("frames of image %s: %w", id, err)
	}
	return m, nil
}

// frameError names the frame that err is about.
func frameError(m *imageformat.Map, f imageformat.Frame, err error) error {
	return fmt.Errorf("frame at %d of %s: %w", f.Offset, imageformat.ObjectName(imageformat.KindPack, m.Packs[f.Pack]), err)
}

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, durable.Kind(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s is longer than %d bytes: %w", path, limit, dormer.ErrCorrupt)
	}
	return b, nil
}

// Used returns how many bytes of disk the packs take.
func (s *Store) Used() (int64, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, packsDir))
	if err != nil {
		return 0, fmt.Errorf("look at packs of store: %w", err)
	}
	n := int64(0)
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("look at packs of store: %w", err)
		}
		n += usedBytes(info)
	}
	return n, nil
}

// packOf returns the pack that a file of packsDir belongs to.
func packOf(file string) (imageformat.Hash, bool) {
	digits, _, ok := strings.Cut(file, ".")
	h, err := imageformat.ParseHash(digits)
	return h, ok && err == nil
}
