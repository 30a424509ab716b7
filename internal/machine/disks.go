package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/control"
	"github.com/dormer-project/dormer/internal/nbd"
)

// maxBootFile is the largest kernel or initrd that is copied, in bytes.
const maxBootFile = 1 << 30

// openDisks serves the image's disks and copies its boot files, and puts the
// sockets and files in the place of the images in spec.
func (p *process) openDisks(ctx context.Context, spec *hypervisor.Spec, secrets hypervisor.Secrets) error {
	spec.Base = slices.Clone(spec.Base)
	for i := range spec.Base {
		if spec.Base[i].Image == nil {
			continue
		}
		source, err := p.serve(ctx, spec.Dir, i, *spec.Base[i].Image, secrets.RepositoryKey)
		if err != nil {
			return fmt.Errorf("base disk %d: %w", i, err)
		}
		spec.Base[i] = source
	}
	if spec.Boot == nil {
		return nil
	}
	boot := *spec.Boot
	spec.Boot = &boot
	for _, b := range []struct {
		source *hypervisor.DiskSource
		name   string
	}{{&boot.Kernel, hypervisor.FileKernel}, {&boot.Initrd, hypervisor.FileInitrd}} {
		if b.source.Image == nil {
			continue
		}
		file := filepath.Join(spec.Dir, b.name)
		if err := p.copyBoot(ctx, *b.source.Image, secrets.RepositoryKey, file); err != nil {
			return fmt.Errorf("boot file %s: %w", b.name, err)
		}
		*b.source = hypervisor.DiskSource{File: file, Format: hypervisor.FormatRaw}
	}
	return nil
}

func (p *process) open(ctx context.Context, disk hypervisor.ImageDisk, key []byte) (Base, error) {
	if p.cfg.OpenBase == nil {
		return nil, fmt.Errorf("disks of images: %w", dormer.ErrUnsupported)
	}
	return p.cfg.OpenBase(ctx, disk, key)
}

// serve starts a server of one disk that lives until the process ends.
func (p *process) serve(ctx context.Context, dir string, number int, disk hypervisor.ImageDisk, key []byte) (hypervisor.DiskSource, error) {
	base, err := p.open(ctx, disk, key)
	if err != nil {
		return hypervisor.DiskSource{}, err
	}
	p.onClose(base.Close)
	name := hypervisor.FileBase(number)
	l, err := control.Listen(dir, name)
	if err != nil {
		return hypervisor.DiskSource{}, err
	}
	serving, stop := context.WithCancel(context.Background())
	p.onClose(func() error { stop(); return nil })
	p.serving.Go(func() {
		if err := nbd.NewServer(base, p.cfg.Log).Serve(serving, l); err != nil {
			p.cfg.Log.Error("base disk is no longer served", slog.Int("disk", number), slog.Any("error", err))
		}
	})
	return hypervisor.DiskSource{Socket: filepath.Join(dir, name), Of: disk.Image}, nil
}

// copyBoot copies a boot file out of an image: QEMU reads it from a file.
func (p *process) copyBoot(ctx context.Context, disk hypervisor.ImageDisk, key []byte, file string) (err error) {
	base, err := p.open(ctx, disk, key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	if base.Size() > maxBootFile {
		return fmt.Errorf("%d bytes: %w", base.Size(), dormer.ErrTooLarge)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, io.NewSectionReader(base, 0, base.Size()))
	return errors.Join(err, f.Close())
}
