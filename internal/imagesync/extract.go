package imagesync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/imageformat"
)

// Extract writes a disk into a new file: format raw (sparse) or qcow2, for which
// qemu-img is needed. ErrExists when the file is there. progress, when not nil,
// is told the bytes written and their total.
func Extract(ctx context.Context, d *Disk, path, format string, progress func(done, total int64)) error {
	if format != "raw" && format != "qcow2" {
		return dormer.Invalidf("format", "expected raw or qcow2")
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("extract to %s: %w", path, dormer.ErrExists)
	}
	if format == "raw" {
		return writeRaw(ctx, d, path, progress)
	}
	raw := path + ".raw"
	defer os.Remove(raw)
	if err := writeRaw(ctx, d, raw, progress); err != nil {
		return err
	}
	from, err := filepath.Abs(raw)
	if err != nil {
		return fmt.Errorf("extract to %s: %w", path, err)
	}
	to, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("extract to %s: %w", path, err)
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "qemu-img", "convert", "-f", "raw", "-O", "qcow2", from, to)
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		os.Remove(path)
		if errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("qemu-img is needed for qcow2: %w", dormer.ErrUnsupported)
		}
		return fmt.Errorf("qemu-img convert: %s: %w", bytes.TrimSpace(stderr.Bytes()), err)
	}
	return nil
}

// writeRaw writes a disk as a sparse file, which has its name once it is whole.
// It replaces a file that is there.
func writeRaw(ctx context.Context, d *Disk, path string, progress func(done, total int64)) (err error) {
	extents := d.Extents(0, d.Size())
	total, done := int64(0), int64(0)
	for _, e := range extents {
		if !e.Hole {
			total += e.Length
		}
	}
	if free, err := freeBytes(filepath.Dir(path)); err == nil && free < total {
		return fmt.Errorf("write %s: %d bytes are needed, %d are free: %w", path, total, free, dormer.ErrFull)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".extract-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, durable.Kind(err))
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	if err := f.Truncate(d.Size()); err != nil {
		return fmt.Errorf("write %s: %w", path, durable.Kind(err))
	}
	buf := make([]byte, imageformat.MaxFrameBlocks*imageformat.BlockSize)
	for _, e := range extents {
		if e.Hole {
			continue
		}
		for off := e.Offset; off < e.Offset+e.Length; {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("write %s: %w", path, err)
			}
			b := buf[:min(int64(len(buf)), e.Offset+e.Length-off)]
			if _, err := d.ReadAt(b, off); err != nil {
				return fmt.Errorf("read disk %s: %w", d.Name(), err)
			}
			if _, err := f.WriteAt(b, off); err != nil {
				return fmt.Errorf("write %s: %w", path, durable.Kind(err))
			}
			off += int64(len(b))
			if done += int64(len(b)); progress != nil {
				progress(done, total)
			}
		}
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write %s: %w", path, durable.Kind(err))
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write %s: %w", path, durable.Kind(err))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return durable.SyncFolder(filepath.Dir(path))
}
