package imagepack

import (
	"context"
	"fmt"
	"os"

	"github.com/dormer-project/dormer"
)

// RawDisk gives the content of a disk file of any format that can be packed. It
// is closed by whoever opened it; its methods may be called by several
// goroutines at once, and none changes the file.
type RawDisk struct {
	f    *os.File
	size int64
}

// OpenRaw opens a disk. One that is not raw is converted into the file temp,
// which the caller removes. Errors are those of Pack for a disk.
func OpenRaw(ctx context.Context, d DiskInput, temp string) (*RawDisk, error) {
	path, err := rawFile(ctx, d, temp)
	if err != nil {
		return nil, fmt.Errorf("disk %s: %w", d.Path, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("disk %s: %w", d.Path, err)
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() == 0 || info.Size()%512 != 0) {
		err = dormer.Invalidf("disks", "is not a file whose length is a multiple of 512")
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, fmt.Errorf("disk %s: %w", d.Path, err)
	}
	return &RawDisk{f: f, size: info.Size()}, nil
}

// Size is the length of the disk in bytes.
func (d *RawDisk) Size() int64 { return d.size }

// ReadAt implements io.ReaderAt.
func (d *RawDisk) ReadAt(p []byte, off int64) (int, error) { return d.f.ReadAt(p, off) }

// Data returns the next part of the disk at or after off that may hold more than
// zeros; false when there is none.
func (d *RawDisk) Data(off int64) (start, end int64, ok bool, err error) {
	return nextData(d.f, off, d.size)
}

// Close implements io.Closer.
func (d *RawDisk) Close() error { return d.f.Close() }
