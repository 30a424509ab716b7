package imagesync_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/imagepack/packtest"
	"github.com/dormer-project/dormer/internal/imagesync"
	"github.com/dormer-project/dormer/internal/seal"
)

// fixture are two versions of an image in folders, and a store.
type fixture struct {
	disks  [2]packtest.Disk
	packed [2]*imagepack.Packed
	trust  seal.KeySet
	key    *imageformat.RepositoryKey
	all    imagesync.Sources
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{}
	_, f.trust, f.key = packtest.Keys(t, "")
	f.disks[0] = packtest.NewDisk(1, 9<<20+1024)
	f.disks[1] = f.disks[0].Change(2, 40)
	f.packed[0] = packtest.Pack(t, f.disks[0], imagepack.Options{})
	f.all = imagesync.Sources{imagesync.DirSource(f.packed[0].Dir)}
	f.packed[1] = packtest.Pack(t, f.disks[1], imagepack.Options{Bases: []imagepack.Base{{Image: f.packed[0].Image, Source: f.all, Trust: f.trust}}})
	f.all = append(f.all, imagesync.DirSource(f.packed[1].Dir))
	return f
}

func (f *fixture) options(s imagesync.Source) imagesync.FetchOptions {
	return imagesync.FetchOptions{Source: s, Trust: f.trust, Key: f.key, Pause: time.Millisecond}
}

func openStore(t *testing.T, dir string, cfg imagesync.StoreConfig) *imagesync.Store {
	t.Helper()
	s, err := imagesync.OpenStore(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func wantDisk(t *testing.T, s *imagesync.Store, id dormer.ImageID, key *imageformat.RepositoryKey, want []byte) {
	t.Helper()
	img, err := s.Open(id, key)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer img.Close()
	got, err := io.ReadAll(io.NewSectionReader(img.Disks()[0], 0, img.Disks()[0].Size()))
	if err != nil {
		t.Fatalf("read disk: %v", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("disk has %x.., want %x..", sha256.Sum256(got), sha256.Sum256(want))
	}
}

// counting counts requests and bytes, and can cut or spoil what comes.
type counting struct {
	imagesync.Source
	requests int
	bytes    int64
	// cutAfter cuts each answer after that many bytes; 0 does not.
	cutAfter func() int64
	// spoil flips a bit of the answer to a request, when not nil.
	spoil func(object string, request int) bool
}

func (c *counting) Get(ctx context.Context, object string, offset, length int64) (io.ReadCloser, error) {
	c.requests++
	r, err := c.Source.Get(ctx, object, offset, length)
	if err != nil {
		return nil, err
	}
	var body io.Reader = r
	if c.cutAfter != nil {
		body = io.LimitReader(body, c.cutAfter())
	}
	if c.spoil != nil && c.spoil(object, c.requests) {
		body = &spoiler{r: body, at: 100}
	}
	return struct {
		io.Reader
		io.Closer
	}{io.TeeReader(body, (*counter)(&c.bytes)), r}, nil
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// spoiler flips a bit at a place of what is read.
type spoiler struct {
	r  io.Reader
	at int64
}

func (s *spoiler) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if s.at >= 0 && s.at < int64(n) {
		p[s.at] ^= 1
	}
	s.at -= int64(n)
	return n, err
}

func TestSecondVersionFetchesOnlyWhatChanged(t *testing.T) {
	f := newFixture(t)
	s := openStore(t, t.TempDir(), imagesync.StoreConfig{})
	src := &counting{Source: f.all}
	if err := s.Fetch(t.Context(), f.packed[0].Image, f.options(src)); err != nil {
		t.Fatal(err)
	}
	first := *src
	if first.requests > 4 {
		t.Errorf("first delivery took %d requests", first.requests)
	}
	if err := s.Fetch(t.Context(), f.packed[1].Image, f.options(src)); err != nil {
		t.Fatal(err)
	}
	moved := src.bytes - first.bytes
	if limit := int64(40*imageformat.BlockSize*115/100 + 256<<10); moved > limit {
		t.Errorf("second version moved %d bytes, want at most %d", moved, limit)
	}
	for i := range f.disks {
		wantDisk(t, s, f.packed[i].Image, f.key, f.disks[i])
	}
	before := src.requests
	if err := s.Fetch(t.Context(), f.packed[1].Image, f.options(src)); err != nil {
		t.Fatal(err)
	}
	if src.requests != before {
		t.Errorf("a further fetch made %d requests", src.requests-before)
	}
}

func TestCutTransferGoesOn(t *testing.T) {
	f := newFixture(t)
	r := rand.New(rand.NewPCG(7, 7))
	src := &counting{Source: f.all}
	// At least one frame comes each time, so that every attempt brings it on.
	src.cutAfter = func() int64 { return imageformat.MaxFrameStored + r.Int64N(3<<20) }
	s := openStore(t, t.TempDir(), imagesync.StoreConfig{})
	if err := s.Fetch(t.Context(), f.packed[0].Image, f.options(src)); err != nil {
		t.Fatal(err)
	}
	wantDisk(t, s, f.packed[0].Image, f.key, f.disks[0])
	if limit := f.packed[0].NewBytes() + int64(src.requests)*imageformat.MaxFrameStored; src.bytes > limit {
		t.Errorf("%d bytes in %d requests, want at most %d", src.bytes, src.requests, limit)
	}
}

func TestInterruptedFetchKeepsWhatCame(t *testing.T) {
	f := newFixture(t)
	dir := t.TempDir()
	total := int64(0)
	for i := range 40 {
		src := &counting{Source: f.all, cutAfter: func() int64 { return 1 << 40 }}
		ctx, cancel := context.WithCancel(t.Context())
		o := f.options(src)
		frames := 0
		o.Progress = func(p imagesync.Progress) {
			if p.Fetched > 0 {
				frames++
			}
			if frames == 2 {
				cancel()
			}
		}
		s, err := imagesync.OpenStore(dir, imagesync.StoreConfig{})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Fetch(ctx, f.packed[0].Image, o)
		cancel()
		total += src.bytes
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		// A crash may leave half a record in a log.
		logs, _ := filepath.Glob(filepath.Join(dir, "packs", "*.log"))
		for _, l := range logs {
			h, err := os.OpenFile(l, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.WriteString("half a r"); err != nil {
				t.Fatal(err)
			}
			h.Close()
		}
		if err == nil {
			if i < 2 {
				t.Fatalf("fetch was not interrupted at all")
			}
			break
		}
	}
	s := openStore(t, dir, imagesync.StoreConfig{})
	wantDisk(t, s, f.packed[0].Image, f.key, f.disks[0])
	if limit := f.packed[0].NewBytes() + 40*imageformat.MaxFrameStored; total > limit {
		t.Errorf("%d bytes were fetched, want at most %d", total, limit)
	}
}

func TestFlippedBits(t *testing.T) {
	f := newFixture(t)
	for _, kind := range []imageformat.Kind{imageformat.KindManifest, imageformat.KindMap, imageformat.KindPack} {
		t.Run(string(kind)+" once", func(t *testing.T) {
			done := false
			src := &counting{Source: f.all, spoil: func(object string, _ int) bool {
				k, _, _ := imageformat.ParseObjectName(object)
				if k != kind || done {
					return false
				}
				done = true
				return true
			}}
			s := openStore(t, t.TempDir(), imagesync.StoreConfig{})
			if err := s.Fetch(t.Context(), f.packed[0].Image, f.options(src)); err != nil {
				t.Fatal(err)
			}
			if !done {
				t.Fatal("nothing was spoiled")
			}
			wantDisk(t, s, f.packed[0].Image, f.key, f.disks[0])
		})
		t.Run(string(kind)+" always", func(t *testing.T) {
			src := &counting{Source: f.all, spoil: func(object string, _ int) bool {
				k, _, _ := imageformat.ParseObjectName(object)
				return k == kind
			}}
			s := openStore(t, t.TempDir(), imagesync.StoreConfig{})
			err := s.Fetch(t.Context(), f.packed[0].Image, f.options(src))
			if !errors.Is(err, dormer.ErrCorrupt) || !bytes.Contains([]byte(err.Error()), []byte(kind+"/")) {
				t.Errorf("Fetch: %v, want ErrCorrupt that names the object", err)
			}
			if s.Has(f.packed[0].Image) {
				t.Error("a spoiled image counts as whole")
			}
			if _, err := s.Open(f.packed[0].Image, f.key); !errors.Is(err, dormer.ErrNotFound) {
				t.Errorf("Open: %v, want ErrNotFound", err)
			}
		})
	}
}

func TestDamagedStoreIsMended(t *testing.T) {
	f := newFixture(t)
	dir := t.TempDir()
	s := openStore(t, dir, imagesync.StoreConfig{})
	id := f.packed[0].Image
	if err := s.Fetch(t.Context(), id, f.options(f.all)); err != nil {
		t.Fatal(err)
	}
	packs, _ := filepath.Glob(filepath.Join(dir, "packs", "*.data"))
	b, err := os.ReadFile(packs[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(packs[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	img, err := s.Open(id, f.key)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	if _, err := io.Copy(io.Discard, io.NewSectionReader(img.Disks()[0], 0, img.Disks()[0].Size())); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("read of a damaged frame: %v, want ErrCorrupt", err)
	}
	if err := s.Verify(t.Context(), id, nil); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("Verify: %v, want ErrCorrupt", err)
	}
	if s.Has(id) {
		t.Error("a damaged image counts as whole after Verify")
	}
	src := &counting{Source: f.all}
	if err := s.Fetch(t.Context(), id, f.options(src)); err != nil {
		t.Fatal(err)
	}
	if src.requests != 1 || src.bytes > imageformat.MaxFrameStored {
		t.Errorf("mending took %d requests and %d bytes", src.requests, src.bytes)
	}
	if err := s.Verify(t.Context(), id, nil); err != nil {
		t.Errorf("Verify after mending: %v", err)
	}
	wantDisk(t, s, id, f.key, f.disks[0])
}

func TestWrongTrustAndKey(t *testing.T) {
	f := newFixture(t)
	s := openStore(t, t.TempDir(), imagesync.StoreConfig{})
	id := f.packed[0].Image
	o := f.options(f.all)
	o.Trust = seal.KeySet{}
	if err := s.Fetch(t.Context(), id, o); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("Fetch of an untrusted publisher's image: %v, want ErrDenied", err)
	}
	o = f.options(f.all)
	o.Key = &imageformat.RepositoryKey{1}
	if err := s.Fetch(t.Context(), id, o); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("Fetch with another key: %v, want ErrDenied", err)
	}
	o.Key = nil
	if err := s.Fetch(t.Context(), id, o); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("Fetch without key: %v, want ErrDenied", err)
	}
}

func TestQuota(t *testing.T) {
	f := newFixture(t)
	s := openStore(t, t.TempDir(), imagesync.StoreConfig{Quota: 1 << 20})
	if err := s.Fetch(t.Context(), f.packed[0].Image, f.options(f.all)); !errors.Is(err, dormer.ErrFull) {
		t.Errorf("Fetch over the quota: %v, want ErrFull", err)
	}
}

func TestRemoveAndCollect(t *testing.T) {
	f := newFixture(t)
	dir := t.TempDir()
	s := openStore(t, dir, imagesync.StoreConfig{})
	for _, p := range f.packed {
		if err := s.Fetch(t.Context(), p.Image, f.options(f.all)); err != nil {
			t.Fatal(err)
		}
	}
	reader, err := imagesync.ReadStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	img, err := reader.Open(f.packed[0].Image, f.key)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), f.packed[0].Image); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("Remove of an open image: %v, want ErrConflict", err)
	}
	wantDisk(t, s, f.packed[0].Image, f.key, f.disks[0])
	if err := img.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), f.packed[0].Image); err != nil {
		t.Errorf("Remove: %v", err)
	}
	wantDisk(t, s, f.packed[1].Image, f.key, f.disks[1])
	if err := s.Verify(t.Context(), f.packed[1].Image, nil); err != nil {
		t.Errorf("Verify of the image that stays: %v", err)
	}
	if freed, err := s.Collect(t.Context(), nil); err != nil || freed == 0 {
		t.Errorf("Collect of everything freed %d, %v", freed, err)
	}
	if used, err := s.Used(); err != nil || used != 0 {
		t.Errorf("%d bytes are used by nothing, %v", used, err)
	}
	if err := s.Remove(t.Context(), f.packed[0].Image); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("Remove of nothing: %v, want ErrNotFound", err)
	}
}

func TestOneWriter(t *testing.T) {
	dir := t.TempDir()
	openStore(t, dir, imagesync.StoreConfig{})
	if _, err := imagesync.OpenStore(dir, imagesync.StoreConfig{}); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("second OpenStore: %v, want ErrConflict", err)
	}
	r, err := imagesync.ReadStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Fetch(t.Context(), imageformat.IDOf(nil), imagesync.FetchOptions{}); !errors.Is(err, dormer.ErrUnsupported) {
		t.Errorf("Fetch into a store for reading: %v, want ErrUnsupported", err)
	}
}

func TestExtract(t *testing.T) {
	f := newFixture(t)
	img, err := imagesync.OpenSource(t.Context(), f.packed[1].Image, f.all, f.trust, f.key)
	if err != nil {
		t.Fatal(err)
	}
	d, err := img.Disk("system")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "out.raw")
	if err := imagesync.Extract(t.Context(), d, path, "raw", nil); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, f.disks[1]) {
		t.Errorf("extracted disk differs (%v)", err)
	}
	if err := imagesync.Extract(t.Context(), d, path, "raw", nil); !errors.Is(err, dormer.ErrExists) {
		t.Errorf("Extract over a file: %v, want ErrExists", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".extract*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestExtentsAndRandomReads(t *testing.T) {
	f := newFixture(t)
	s := openStore(t, t.TempDir(), imagesync.StoreConfig{})
	if err := s.Fetch(t.Context(), f.packed[0].Image, f.options(f.all)); err != nil {
		t.Fatal(err)
	}
	img, err := s.Open(f.packed[0].Image, f.key)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	d, want := img.Disks()[0], f.disks[0]
	at := int64(0)
	for _, e := range d.Extents(0, d.Size()) {
		if e.Offset != at || e.Length <= 0 {
			t.Fatalf("extent %+v after %d", e, at)
		}
		if part := want[at : at+e.Length]; e.Hole != (len(bytes.Trim(part[:min(len(part), 4096)], "\x00")) == 0) {
			t.Errorf("extent %+v does not fit what is there", e)
		}
		at += e.Length
	}
	if at != d.Size() {
		t.Errorf("extents end at %d of %d", at, d.Size())
	}
	done := make(chan error)
	const readers = 4
	for i := range readers {
		go func() {
			r := rand.New(rand.NewPCG(uint64(i), 9))
			for range 300 {
				off := r.Int64N(d.Size())
				p := make([]byte, r.IntN(200_000))
				n, err := d.ReadAt(p, off)
				if err != nil && !errors.Is(err, io.EOF) || n < len(p) && off+int64(n) != d.Size() || !bytes.Equal(p[:n], want[off:off+int64(n)]) {
					done <- errors.Join(errors.New("wrong read"), err)
					return
				}
			}
			done <- nil
		}()
	}
	for range readers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
