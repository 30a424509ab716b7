package imagesync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/time/rate"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/seal"
)

// FetchOptions say from where and how.
type FetchOptions struct {
	Source Source
	// Trust verifies the manifest's signature.
	Trust seal.KeySet
	// Key opens the map; nil for an image that is not encrypted.
	Key *imageformat.RepositoryKey
	// Limiter, when not nil, limits the bytes a second. Its burst must be at least
	// LimiterBurst. It may be changed while the fetch runs and shared by several.
	Limiter *rate.Limiter
	// Pause is how long to wait before a second attempt; each further one waits
	// twice as long. 0 is half a second.
	Pause time.Duration
	// Progress, when not nil, is called after each frame, from one goroutine.
	Progress func(Progress)
}

// LimiterBurst is the smallest burst of a limiter, in bytes.
const LimiterBurst = 64 << 10

// Progress of a fetch, in stored bytes of frames.
type Progress struct {
	// Present are there, of Total that the image needs.
	Present, Total int64
	// Fetched came with this fetch.
	Fetched int64
}

const (
	// attempts is how often in a row a source may fail to bring a frame further,
	// and how often one frame may come wrong.
	attempts = 4
	// mergeGap is the largest gap between two frames that is fetched with them
	// rather than asked around, in bytes: a request costs about as much. With
	// several ranges a request, a range costs a few lines of header only.
	mergeGap, mergeGapRanges = 48 << 10, 256
	// maxRanges is the number of ranges in one request: a header of 2 KB.
	maxRanges = 100
	// syncEvery is how many bytes are written between two syncs.
	syncEvery = 64 << 20
)

// Fetch brings an image into the store: the manifest, which must be signed by a
// publisher that Trust lists, the map, and the frames that no image in the store
// has brought yet. What is there when it fails is not fetched again by the next
// Fetch: at most the frame that was cut. ErrCorrupt when the source keeps
// sending what does not fit, ErrFull when quota or disk are too small,
// ErrUnavailable when the source cannot be read now.
func (s *Store) Fetch(ctx context.Context, id dormer.ImageID, o FetchOptions) error {
	release, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := s.fetch(ctx, id, &o); err != nil {
		return fmt.Errorf("fetch image %s: %w", id, err)
	}
	return nil
}

// acquire waits for the right to change the store.
func (s *Store) acquire(ctx context.Context) (release func(), err error) {
	if s.lock == nil {
		return nil, fmt.Errorf("image store is open for reading only: %w", dormer.ErrUnsupported)
	}
	select {
	case s.writing <- struct{}{}:
		return func() { <-s.writing }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Store) fetch(ctx context.Context, id dormer.ImageID, o *FetchOptions) error {
	dir, err := s.imageDir(id)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make folder of image: %w", durable.Kind(err))
	}
	man, err := s.fetchManifest(ctx, id, dir, o)
	if err != nil {
		return err
	}
	codec, err := imageformat.CodecFor(man, o.Key, 1)
	if err != nil {
		return err
	}
	m, err := s.fetchMap(ctx, dir, man, codec, o)
	if err != nil {
		return err
	}
	f := &fetcher{s: s, o: o, m: m}
	defer f.close()
	if err := f.plan(); err != nil {
		return err
	}
	if err := s.checkSpace(f.lacking); err != nil {
		return err
	}
	if err := f.run(ctx); err != nil {
		return err
	}
	if s.Has(id) {
		return nil
	}
	return durable.WriteFile(filepath.Join(dir, completeFile), nil)
}

// checkSpace refuses to begin what cannot end well.
func (s *Store) checkSpace(need int64) error {
	if need == 0 {
		return nil
	}
	if s.cfg.Quota > 0 {
		used, err := s.Used()
		if err != nil {
			return err
		}
		if used+need > s.cfg.Quota {
			return fmt.Errorf("%d bytes are needed, the store holds %d of at most %d: %w", need, used, s.cfg.Quota, dormer.ErrFull)
		}
	}
	free, err := freeBytes(s.dir)
	if err != nil {
		return fmt.Errorf("look for free space: %w", err)
	}
	if need > free {
		return fmt.Errorf("%d bytes are needed in %s, %d are free: %w", need, s.dir, free, dormer.ErrFull)
	}
	return nil
}

// fetchManifest returns the manifest of the store, else that of the source. The
// signature is verified either way: a publisher may have lost trust.
func (s *Store) fetchManifest(ctx context.Context, id dormer.ImageID, dir string, o *FetchOptions) (*imageformat.Manifest, error) {
	path := filepath.Join(dir, manifestFile)
	if b, err := readFile(path, seal.MaxEnvelope); err == nil {
		m, _, err := imageformat.OpenManifest(o.Trust, id, b)
		if err == nil || errors.Is(err, dormer.ErrDenied) {
			return m, err
		}
	}
	name, err := imageformat.ManifestName(id)
	if err != nil {
		return nil, err
	}
	var m *imageformat.Manifest
	err = o.retry(ctx, func() error {
		b, err := readObject(ctx, o, imageformat.Object{Name: name, Size: seal.MaxEnvelope})
		if err != nil {
			return err
		}
		if m, _, err = imageformat.OpenManifest(o.Trust, id, b); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return durable.WriteFile(path, b)
	})
	return m, err
}

func (s *Store) fetchMap(ctx context.Context, dir string, man *imageformat.Manifest, codec *imageformat.Codec, o *FetchOptions) (*imageformat.Map, error) {
	path := filepath.Join(dir, mapFile)
	var m *imageformat.Map
	b, err := readFile(path, imageformat.MaxMap)
	if err == nil {
		m, err = openMap(man, codec, b)
	}
	if err != nil {
		object, _ := man.Object(man.Map.Object)
		err = o.retry(ctx, func() error {
			b, err := readObject(ctx, o, object)
			if err != nil {
				return err
			}
			if m, err = openMap(man, codec, b); err != nil {
				return err
			}
			return durable.WriteFile(path, b)
		})
		if err != nil {
			return nil, err
		}
	}
	if _, err := os.Stat(filepath.Join(dir, framesFile)); err == nil {
		return m, nil
	}
	frames := imageformat.Map{Packs: m.Packs, Frames: m.Frames}
	return m, durable.WriteFile(filepath.Join(dir, framesFile), frames.Encode())
}

// readObject reads an object of at most its size.
func readObject(ctx context.Context, o *FetchOptions, obj imageformat.Object) ([]byte, error) {
	r, err := o.Source.Get(ctx, obj.Name, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(o.limit(ctx, r), obj.Size+1))
	if err != nil {
		return nil, fmt.Errorf("get %s: %w: %w", obj.Name, dormer.ErrUnavailable, err)
	}
	if int64(len(b)) > obj.Size {
		return nil, fmt.Errorf("%s is longer than %d bytes: %w", obj.Name, obj.Size, dormer.ErrCorrupt)
	}
	return b, nil
}

// retry calls f until it succeeds, fails for good, or failed too often.
func (o *FetchOptions) retry(ctx context.Context, f func() error) error {
	for n := 1; ; n++ {
		err := f()
		if err == nil || n == attempts || !errors.Is(err, dormer.ErrUnavailable) && !errors.Is(err, dormer.ErrCorrupt) {
			return err
		}
		if err := o.wait(ctx, n); err != nil {
			return err
		}
	}
}

// wait pauses before attempt n+1.
func (o *FetchOptions) wait(ctx context.Context, n int) error {
	pause := o.Pause
	if pause == 0 {
		pause = 500 * time.Millisecond
	}
	t := time.NewTimer(pause << min(n-1, 6))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// limit slows r to the limiter's rate.
func (o *FetchOptions) limit(ctx context.Context, r io.Reader) io.Reader {
	if o.Limiter == nil {
		return r
	}
	return &limitedReader{ctx, r, o.Limiter}
}

type limitedReader struct {
	ctx context.Context
	r   io.Reader
	l   *rate.Limiter
}

func (l *limitedReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p[:min(len(p), LimiterBurst)])
	if n > 0 {
		if werr := l.l.WaitN(l.ctx, n); werr != nil {
			return n, werr
		}
	}
	return n, err
}
