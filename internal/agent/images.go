package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagesync"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/uplink"
)

// Images keeps images on this computer, shared by all its users. Its methods
// may be called by several goroutines; no image is fetched twice at once.
type Images interface {
	// Has reports whether an image is here whole. It is quick.
	Has(id dormer.ImageID) bool
	// Fetch gets what is missing of an image, goes on where it ended, and
	// verifies everything. ErrUnavailable when the source does not answer,
	// ErrDenied for an image that no trusted publisher signed, ErrFull when no
	// space is left.
	Fetch(ctx context.Context, id dormer.ImageID, f Fetch) error
	// Verify reads all of an image that is here. What is damaged is dropped, so
	// that Fetch brings it again, and the error is ErrCorrupt and names the
	// first.
	Verify(ctx context.Context, id dormer.ImageID) error
	// Describe returns what a machine made from the image looks like, and puts
	// what it boots directly into the folder boot. ErrNotFound unless the
	// image is here whole.
	Describe(ctx context.Context, id dormer.ImageID, key *imageformat.RepositoryKey, boot string) (Hardware, error)
	// Collect removes all images but those.
	Collect(ctx context.Context, keep []dormer.ImageID) error
	// Size is what all images take on the disk, in bytes. It reads the folder.
	Size() (int64, error)
}

// Fetch says where an image comes from.
type Fetch struct {
	Source imagesync.Source
	// Trust are the publishers that are believed.
	Trust seal.KeySet
	// Key is nil for images that are not encrypted.
	Key *imageformat.RepositoryKey
	// Progress is called with bytes, at first with what is here before anything is
	// fetched, then now and then; it may be nil.
	Progress func(done, total int64)
}

// Hardware is what an image's manifest says of its machines.
type Hardware struct {
	Base     []hypervisor.DiskSource
	Firmware hypervisor.Firmware
	Boot     *hypervisor.Boot
	DiskBus  string
	TPM      bool
	// Data is where the user's data belongs, nil when the image does not say.
	Data *imageformat.DataConvention
}

// StoreImages are the images of an image store.
type StoreImages struct {
	store *imagesync.Store
	dir   string
}

// OpenImages opens the image store in dir, making it if there is none. Only one
// process opens it so; machines read it beside.
func OpenImages(dir string) (*StoreImages, error) {
	s, err := imagesync.OpenStore(dir, imagesync.StoreConfig{})
	if err != nil {
		return nil, err
	}
	return &StoreImages{store: s, dir: dir}, nil
}

// Close lets go of the store.
func (s *StoreImages) Close() error { return s.store.Close() }

// Has implements Images.
func (s *StoreImages) Has(id dormer.ImageID) bool { return s.store.Has(id) }

// Fetch implements Images.
func (s *StoreImages) Fetch(ctx context.Context, id dormer.ImageID, f Fetch) error {
	o := imagesync.FetchOptions{Source: f.Source, Trust: f.Trust, Key: f.Key}
	if f.Progress != nil {
		o.Progress = func(p imagesync.Progress) { f.Progress(p.Present, p.Total) }
	}
	return s.store.Fetch(ctx, id, o)
}

// Verify implements Images.
func (s *StoreImages) Verify(ctx context.Context, id dormer.ImageID) error {
	return s.store.Verify(ctx, id, nil)
}

// Collect implements Images.
func (s *StoreImages) Collect(ctx context.Context, keep []dormer.ImageID) error {
	_, err := s.store.Collect(ctx, keep)
	return err
}

// Size implements Images.
func (s *StoreImages) Size() (int64, error) {
	n, err := taken(s.dir)
	if err != nil {
		return 0, fmt.Errorf("look at the image store: %w", err)
	}
	return n, nil
}

// Describe implements Images.
func (s *StoreImages) Describe(ctx context.Context, id dormer.ImageID, key *imageformat.RepositoryKey, boot string) (hw Hardware, err error) {
	image, err := s.store.Open(id, key)
	if err != nil {
		return Hardware{}, err
	}
	defer func() { err = errors.Join(err, image.Close()) }()
	man := image.Manifest()
	hw.Firmware, hw.Data = hypervisor.Firmware(man.Firmware), man.Data
	hw.DiskBus, hw.TPM = man.DiskBus, man.TPM
	for i := range man.Disks {
		hw.Base = append(hw.Base, hypervisor.DiskSource{Image: &hypervisor.ImageDisk{Store: s.dir, Image: id, Index: i}})
	}
	b, ok, err := image.WriteBoot(ctx, boot)
	if err != nil || !ok {
		return hw, err
	}
	hw.Boot = &hypervisor.Boot{Kernel: hypervisor.DiskSource{File: b.Kernel, Format: hypervisor.FormatRaw}, Append: b.Append}
	if b.Initrd != "" {
		hw.Boot.Initrd = hypervisor.DiskSource{File: b.Initrd, Format: hypervisor.FormatRaw}
	}
	return hw, nil
}

// objects is where images come from: the instance's servers.
func objects(link *uplink.Uplink) imagesync.Source {
	client, base, authorize := link.Objects()
	return &imagesync.HTTPSource{Client: client, BaseURL: base, Authorize: authorize}
}

// turns lets one at a time do something for an image.
type turns struct {
	busy map[dormer.ImageID]chan struct{} // guarded by Agent.mu
}

// takeTurn waits until nobody else fetches the image.
func (a *Agent) takeTurn(ctx context.Context, id dormer.ImageID) (done func(), err error) {
	for {
		a.mu.Lock()
		other, busy := a.turns.busy[id]
		if !busy {
			mine := make(chan struct{})
			a.turns.busy[id] = mine
			a.mu.Unlock()
			return func() {
				a.mu.Lock()
				delete(a.turns.busy, id)
				a.mu.Unlock()
				close(mine)
			}, nil
		}
		a.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// megabytes is an amount for people.
func megabytes(n int64) string {
	if n < 10<<20 {
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%d MB", n/1e6)
}

// percent says how far a fetch is.
func percent(done, total int64) string {
	if total <= 0 {
		return ""
	}
	return fmt.Sprintf("%d %% of %s", done*100/total, megabytes(total))
}
