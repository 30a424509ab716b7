package workbench

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

const (
	// uploads is how many objects are sent at once.
	uploads = 4
	// pushTries is how often in a row a push is tried at a server that cannot be
	// heard, pushPause the pause before the second time; each is twice the last.
	pushTries = 6
	pushPause = 500 * time.Millisecond
)

// Push uploads what the repository lacks of a packed image and makes it a
// version: that number, or 0 for the next free one. It returns the version and
// how many bytes were sent. When the server cannot be heard for some seconds,
// it goes on with what is lacking still.
func Push(ctx context.Context, c *apiclient.Client, name string, p *imagepack.Packed, number int, progress Progress) (rest.ImageVersion, int64, error) {
	envelope, err := seal.ParseEnvelope(p.Envelope)
	if err != nil {
		return rest.ImageVersion{}, 0, err
	}
	push, err := c.BeginPush(ctx, rest.NewPush{Name: name, Manifest: envelope})
	if err != nil {
		return rest.ImageVersion{}, 0, err
	}
	total := sizeOf(push.Missing)
	lacking, tries := push.Missing, 1
	for pause := pushPause; ; pause *= 2 {
		count := &counter{n: total - sizeOf(lacking), report: func(n int64) { progress(n, total) }}
		err := upload(ctx, c, push.ID, p, lacking, count)
		if err == nil {
			break
		}
		if tries++; tries > pushTries || !errors.Is(err, dormer.ErrUnavailable) {
			return rest.ImageVersion{}, 0, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return rest.ImageVersion{}, 0, err
		case <-timer.C:
		}
		switch still, err := c.Missing(ctx, push.ID); {
		case err == nil && sizeOf(still) < sizeOf(lacking):
			lacking, tries, pause = still, 1, pushPause/2
		case err == nil:
			lacking = still
		case !errors.Is(err, dormer.ErrUnavailable):
			return rest.ImageVersion{}, 0, err
		}
	}
	v, err := c.CommitPush(ctx, push.ID, number)
	return v, total, err
}

func sizeOf(objects []imageformat.Object) int64 {
	n := int64(0)
	for _, o := range objects {
		n += o.Size
	}
	return n
}

// upload sends objects of a packed image, several at once.
func upload(ctx context.Context, c *apiclient.Client, push string, p *imagepack.Packed, objects []imageformat.Object, count io.Writer) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(uploads)
	for _, o := range objects {
		g.Go(func() error {
			f, err := p.Open(o.Name)
			if err != nil {
				return err
			}
			defer f.Close()
			return c.PutObject(gctx, push, o, io.TeeReader(f, count))
		})
	}
	return g.Wait()
}

// counter counts bytes that pass several readers.
type counter struct {
	report func(int64)

	mu sync.Mutex // guards the field below
	n  int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += int64(len(p))
	c.report(c.n)
	return len(p), nil
}
