package workbench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/imagesync"
	"github.com/dormer-project/dormer/internal/seal"
)

// Progress is told how many bytes of how many are done. Calls may come from
// several goroutines, one after the other; total may grow while it is found out.
type Progress func(done, total int64)

// PackOptions say what is packed and where to.
type PackOptions struct {
	// Name of the image: its newest version on the server is what blocks are
	// looked for in.
	Name        string
	Description Description
	// Signer is a key that the server trusts.
	Signer *seal.SigningKey
	// Dir is the folder of the packed image. One that is there is replaced.
	Dir string
	// Plain leaves the image unencrypted.
	Plain    bool
	Progress Progress
}

// Pack makes a packed image of disks. What was cut short goes on where it
// stopped when it is repeated.
func Pack(ctx context.Context, c *apiclient.Client, o PackOptions) (*imagepack.Packed, error) {
	d := o.Description
	p := imagepack.Options{
		Kernel: d.Kernel, Initrd: d.Initrd, Append: d.Append, Signer: o.Signer, Dir: o.Dir,
		Machine: imagepack.Machine{
			Architecture: d.Architecture, Firmware: d.Firmware, DiskBus: d.DiskBus,
			MachineFloor: d.MachineFloor, TPM: d.TPM, Data: d.Data,
		},
		Progress: func(p imagepack.Progress) { o.Progress(p.Done, p.Total) },
	}
	for _, disk := range d.Disks {
		p.Disks = append(p.Disks, imagepack.DiskInput{Name: disk.Name, Path: disk.Path, Format: disk.Format})
	}
	if !o.Plain {
		var err error
		if p.Key, err = repositoryKey(ctx, c); err != nil {
			return nil, err
		}
	}
	switch base, err := newestBase(ctx, c, o.Name, o.Plain); {
	case err == nil:
		p.Bases = []imagepack.Base{base}
	case !errors.Is(err, dormer.ErrNotFound):
		return nil, fmt.Errorf("look at the version before: %w", err)
	}
	packed, err := imagepack.Pack(ctx, p)
	if errors.Is(err, dormer.ErrExists) {
		return replacePacked(ctx, p)
	}
	return packed, err
}

// replacePacked packs anew where a packed image lies. That one stays until the
// new one is whole, and comes back where the new disk is refused.
func replacePacked(ctx context.Context, o imagepack.Options) (*imagepack.Packed, error) {
	previous := filepath.Join(filepath.Dir(o.Dir), "."+filepath.Base(o.Dir)+".previous") // no image's name begins with a dot
	if err := os.RemoveAll(previous); err != nil {
		return nil, fmt.Errorf("replace packed image: %w", err)
	}
	if err := os.Rename(o.Dir, previous); err != nil {
		return nil, fmt.Errorf("replace packed image: %w", err)
	}
	p, err := imagepack.Pack(ctx, o)
	switch {
	case err == nil:
		return p, os.RemoveAll(previous)
	case refused(err):
		return nil, errors.Join(err, os.RemoveAll(o.Dir), os.Rename(previous, o.Dir))
	default:
		return nil, err // repeated, it goes on where it stopped
	}
}

// refused reports whether the disk is to blame, and not what was cut short.
func refused(err error) bool {
	return errors.Is(err, dormer.ErrInvalid) || errors.Is(err, dormer.ErrTooLarge) || errors.Is(err, fs.ErrNotExist)
}

func repositoryKey(ctx context.Context, c *apiclient.Client) (*imageformat.RepositoryKey, error) {
	k, err := c.ImageKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("get the repository's key: %w", err)
	}
	return imageformat.ParseRepositoryKey(k.Key)
}

// newestBase returns the newest version on the server, to find known blocks
// in. A version that is encrypted otherwise than the new one is no base.
func newestBase(ctx context.Context, c *apiclient.Client, name string, plain bool) (imagepack.Base, error) {
	v, err := FindVersion(ctx, c, name)
	if err != nil {
		return imagepack.Base{}, err
	}
	trust, err := Publishers(ctx, c)
	if err != nil {
		return imagepack.Base{}, err
	}
	src := objects(c)
	m, err := readManifest(ctx, src, trust, v.Image)
	if err != nil {
		return imagepack.Base{}, err
	}
	if (m.KeyID == "") != plain {
		return imagepack.Base{}, fmt.Errorf("a base that is encrypted alike: %w", dormer.ErrNotFound)
	}
	return imagepack.Base{Image: v.Image, Source: src, Trust: trust}, nil
}

// objects reads the server's repository.
func objects(c *apiclient.Client) *imagesync.HTTPSource {
	return &imagesync.HTTPSource{Client: c.HTTP(), BaseURL: c.Repository(), Authorize: c.Authorize}
}

func readManifest(ctx context.Context, s imagesync.Source, trust seal.KeySet, id dormer.ImageID) (*imageformat.Manifest, error) {
	name, err := imageformat.ManifestName(id)
	if err != nil {
		return nil, err
	}
	r, err := s.Get(ctx, name, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, seal.MaxEnvelope+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	m, _, err := imageformat.OpenManifest(trust, id, b)
	return m, err
}
