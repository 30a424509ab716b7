package imagepack

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer"
)

// nextData returns the next part of f at or after off that may hold data; ok is
// false when there is none.
func nextData(f *os.File, off, size int64) (start, end int64, ok bool, err error) {
	start, err = unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return 0, 0, false, nil
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ESPIPE) {
		// Here nobody knows holes: everything is data.
		return off, size, off < size, nil
	}
	if err != nil {
		return 0, 0, false, fmt.Errorf("find data: %w", err)
	}
	end, err = unix.Seek(int(f.Fd()), start, unix.SEEK_HOLE)
	if err != nil {
		return 0, 0, false, fmt.Errorf("find hole: %w", err)
	}
	return start, min(end, size), start < size, nil
}

// checkSpace returns ErrFull when dir has not need bytes left.
func checkSpace(dir string, need int64) error {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return fmt.Errorf("look for free space: %w", err)
	}
	if free := int64(s.Bavail) * s.Bsize; free < need {
		return fmt.Errorf("%d bytes are needed in %s and %d are free: %w", need, dir, free, dormer.ErrFull)
	}
	return nil
}
