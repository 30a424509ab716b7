package imagesync

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/seal"
)

// cachedFrames is how many decoded frames an open image keeps: 16 MiB.
const cachedFrames = 16

// Image is an open image. It is safe for concurrent use. An image that is open
// is not removed from the store.
type Image struct {
	man   *imageformat.Manifest
	m     *imageformat.Map
	codec *imageformat.Codec
	disks []*Disk
	// stored reads a frame as it is stored.
	stored func(i int) ([]byte, error)
	close  func() error

	mu sync.Mutex
	// cache and order guard the fields below: the frames that were used last, and
	// those that are being read.
	cache map[int]*cachedFrame
	order *list.List // of int, the last used first
}

type cachedFrame struct {
	ready chan struct{}
	raw   []byte
	err   error
	at    *list.Element
}

// Open opens an image that is there whole; ErrNotFound otherwise. key opens the
// map and the frames; it is nil for an image that is not encrypted. The identity
// is what is trusted: it must come from a lease or another signed document. The
// caller closes the image.
func (s *Store) Open(id dormer.ImageID, key *imageformat.RepositoryKey) (*Image, error) {
	dir, err := s.imageDir(id)
	if err != nil {
		return nil, err
	}
	use, err := os.OpenFile(filepath.Join(dir, useFile), os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open image %s: %w", id, durable.Kind(err))
	}
	if err := lock(use, true); err != nil {
		return nil, errors.Join(fmt.Errorf("open image %s: %w: %w", id, dormer.ErrConflict, err), use.Close())
	}
	img, err := s.open(id, key, use)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open image %s: %w", id, err), use.Close())
	}
	return img, nil
}

func (s *Store) open(id dormer.ImageID, key *imageformat.RepositoryKey, use *os.File) (*Image, error) {
	if !s.Has(id) {
		return nil, fmt.Errorf("is not complete: %w", dormer.ErrNotFound)
	}
	man, err := s.Manifest(id)
	if err != nil {
		return nil, err
	}
	codec, err := imageformat.CodecFor(man, key, 1)
	if err != nil {
		return nil, err
	}
	m, err := s.readMap(id, man, codec)
	if err != nil {
		return nil, err
	}
	img := newImage(man, m, codec)
	files := []*os.File{use}
	img.close = func() error {
		var err error
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
		return err
	}
	packs := make([]*os.File, len(m.Packs))
	for i, h := range m.Packs {
		if packs[i], err = os.Open(s.packBase(h) + dataSuffix); err != nil {
			return nil, errors.Join(durable.Kind(err), closeAll(files[1:]))
		}
		files = append(files, packs[i])
	}
	img.stored = func(i int) ([]byte, error) { return readFrame(packs[m.Frames[i].Pack], m.Frames[i]) }
	return img, nil
}

func closeAll(files []*os.File) error {
	var err error
	for _, f := range files {
		err = errors.Join(err, f.Close())
	}
	return err
}

// OpenSource opens an image in a repository or folder without bringing it to a
// store: each frame is read when it is needed, with a request of its own.
func OpenSource(ctx context.Context, id dormer.ImageID, source Source, trust seal.KeySet, key *imageformat.RepositoryKey) (*Image, error) {
	name, err := imageformat.ManifestName(id)
	if err != nil {
		return nil, err
	}
	o := &FetchOptions{Source: source}
	b, err := readObject(ctx, o, imageformat.Object{Name: name, Size: seal.MaxEnvelope})
	if err != nil {
		return nil, fmt.Errorf("open image %s: %w", id, err)
	}
	man, _, err := imageformat.OpenManifest(trust, id, b)
	if err != nil {
		return nil, fmt.Errorf("open image %s: %w", id, err)
	}
	codec, err := imageformat.CodecFor(man, key, 1)
	if err != nil {
		return nil, err
	}
	object, _ := man.Object(man.Map.Object)
	if b, err = readObject(ctx, o, object); err != nil {
		return nil, fmt.Errorf("open image %s: %w", id, err)
	}
	m, err := openMap(man, codec, b)
	if err != nil {
		return nil, fmt.Errorf("open image %s: %w", id, err)
	}
	img := newImage(man, m, codec)
	img.stored = func(i int) ([]byte, error) {
		f := m.Frames[i]
		r, err := source.Get(ctx, imageformat.ObjectName(imageformat.KindPack, m.Packs[f.Pack]), f.Offset, int64(f.Stored))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		b := make([]byte, f.Stored)
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, fmt.Errorf("was cut: %w: %w", dormer.ErrUnavailable, err)
		}
		return b, nil
	}
	img.close = func() error { return nil }
	return img, nil
}

func newImage(man *imageformat.Manifest, m *imageformat.Map, codec *imageformat.Codec) *Image {
	img := &Image{man: man, m: m, codec: codec, cache: map[int]*cachedFrame{}, order: list.New()}
	for i, s := range man.Streams() {
		img.disks = append(img.disks, &Disk{img: img, stream: s, runs: &m.Streams[i]})
	}
	return img
}

// Close closes the image and its disks.
func (i *Image) Close() error { return i.close() }

// Manifest returns the manifest. Do not change it.
func (i *Image) Manifest() *imageformat.Manifest { return i.man }

// Disks returns the base disks in the order in which they are attached.
func (i *Image) Disks() []*Disk { return i.disks[:len(i.man.Disks)] }

// Contents returns all that the image holds: the base disks, then the files that
// it boots directly.
func (i *Image) Contents() []*Disk { return i.disks }

// Disk returns the disk with that name, or ErrNotFound.
func (i *Image) Disk(name string) (*Disk, error) {
	for _, d := range i.Disks() {
		if d.stream.Name == name {
			return d, nil
		}
	}
	return nil, fmt.Errorf("disk %.64q of the image: %w", name, dormer.ErrNotFound)
}

// Boot are the files to start directly from.
type Boot struct {
	// Kernel and Initrd are paths; Initrd is empty when there is none.
	Kernel, Initrd string
	// Append is the kernel's command line.
	Append string
}

// Boot files within the folder that WriteBoot is given.
const (
	kernelFile = "kernel"
	initrdFile = "initrd"
)

// WriteBoot writes kernel and initrd into a folder. ok is false when the image
// starts from its disk.
func (i *Image) WriteBoot(ctx context.Context, dir string) (b Boot, ok bool, err error) {
	if i.man.Boot == nil {
		return Boot{}, false, nil
	}
	b.Append = i.man.Boot.Append
	for j, to := range []*string{&b.Kernel, &b.Initrd} {
		n := len(i.man.Disks) + j
		if n == len(i.disks) {
			break
		}
		*to = filepath.Join(dir, []string{kernelFile, initrdFile}[j])
		if err := writeRaw(ctx, i.disks[n], *to, nil); err != nil {
			return Boot{}, false, fmt.Errorf("write boot files: %w", err)
		}
	}
	return b, true, nil
}

// frame returns the content of a frame, verified. Do not change it.
func (i *Image) frame(n int) ([]byte, error) {
	i.mu.Lock()
	if c, ok := i.cache[n]; ok {
		i.order.MoveToFront(c.at)
		i.mu.Unlock()
		<-c.ready
		return c.raw, c.err
	}
	c := &cachedFrame{ready: make(chan struct{})}
	c.at = i.order.PushFront(n)
	i.cache[n] = c
	if i.order.Len() > cachedFrames {
		last := i.order.Back()
		delete(i.cache, i.order.Remove(last).(int))
	}
	i.mu.Unlock()
	c.raw, c.err = i.load(n)
	if c.err != nil {
		// The next reader tries again.
		i.mu.Lock()
		if i.cache[n] == c {
			delete(i.cache, n)
			i.order.Remove(c.at)
		}
		i.mu.Unlock()
	}
	close(c.ready)
	return c.raw, c.err
}

func (i *Image) load(n int) ([]byte, error) {
	f := i.m.Frames[n]
	b, err := i.stored(n)
	if err != nil {
		return nil, frameError(i.m, f, err)
	}
	raw, err := i.codec.OpenFrame(make([]byte, 0, f.RawLen()), b, f)
	if err != nil {
		return nil, frameError(i.m, f, err)
	}
	return raw, nil
}

// Disk reads a disk, or a boot file, of an image. It is safe for concurrent use.
type Disk struct {
	img    *Image
	stream imageformat.Stream
	runs   *imageformat.StreamMap
}

// Name of the disk in the image.
func (d *Disk) Name() string { return d.stream.Name }

// Size returns the virtual size in bytes.
func (d *Disk) Size() int64 { return d.stream.Size }

// ReadAt reads verified bytes. ErrCorrupt, naming the frame, when what is stored
// is damaged: Store.Verify and a further Fetch mend that.
func (d *Disk) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, dormer.Invalidf("offset", "must not be negative")
	}
	if off >= d.Size() {
		return 0, io.EOF
	}
	var eof error
	if int64(len(p)) > d.Size()-off {
		p, eof = p[:d.Size()-off], io.EOF
	}
	done := 0
	for done < len(p) {
		n, err := d.readSome(p[done:], off+int64(done))
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, eof
}

// readSome reads up to the end of a hole, of a run or of a frame.
func (d *Disk) readSome(p []byte, off int64) (int, error) {
	block, within := off/imageformat.BlockSize, off%imageformat.BlockSize
	i := d.runs.Find(uint32(block))
	if i == len(d.runs.Runs) {
		clear(p)
		return len(p), nil
	}
	r := d.runs.Runs[i]
	if int64(r.Block) > block {
		n := min(int64(len(p)), int64(r.Block)*imageformat.BlockSize-off)
		clear(p[:n])
		return int(n), nil
	}
	skip := uint32(block) - r.Block
	place := d.img.m.At(r.Addr + skip)
	raw, err := d.img.frame(place.Frame)
	if err != nil {
		return 0, err
	}
	left := int64(min(int(r.Count-skip), d.img.m.Frames[place.Frame].Blocks-place.Index))*imageformat.BlockSize - within
	from := int64(place.Index)*imageformat.BlockSize + within
	return copy(p[:min(int64(len(p)), left)], raw[from:]), nil
}

// Extent is a part of a disk that is all hole or all data.
type Extent struct {
	Offset, Length int64
	// Hole says that it reads as zeros.
	Hole bool
}

// Extents returns the extents of a part of the disk, without gaps and in order.
func (d *Disk) Extents(off, length int64) []Extent {
	var out []Extent
	end := min(off+length, d.Size())
	add := func(to int64, hole bool) {
		if to = min(to, end); to <= off {
			return
		}
		if n := len(out); n > 0 && out[n-1].Hole == hole {
			out[n-1].Length += to - off
		} else {
			out = append(out, Extent{off, to - off, hole})
		}
		off = to
	}
	if off < 0 {
		return nil
	}
	for i := d.runs.Find(uint32(off / imageformat.BlockSize)); off < end && i < len(d.runs.Runs); i++ {
		r := d.runs.Runs[i]
		add(int64(r.Block)*imageformat.BlockSize, true)
		add((int64(r.Block)+int64(r.Count))*imageformat.BlockSize, false)
	}
	add(end, true)
	return out
}
