package agent

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer/internal/wire"
)

// sizeAge is for how long what images take on the disk counts without looking
// again.
const sizeAge = 10 * time.Minute

// imagesSize is what images take on the disk, as it was looked at last.
type imagesSize struct {
	mu    sync.Mutex // guards the fields below
	at    time.Duration
	known bool
	bytes int64
}

// of returns it; boot is the time now.
func (s *imagesSize) of(images Images, boot time.Duration) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known && boot-s.at < sizeAge {
		return s.bytes, nil
	}
	n, err := images.Size()
	if err != nil {
		return 0, err
	}
	s.at, s.known, s.bytes = boot, true, n
	return n, nil
}

// hostNow is the host with how its disk is. What cannot be found out is left out.
func (a *Agent) hostNow() wire.Host {
	h := a.host()
	var disk unix.Statfs_t
	if err := unix.Statfs(string(a.state), &disk); err != nil {
		return h
	}
	block := int64(disk.Bsize) //nolint:unconvert // 32 bits wide on some systems
	h.DiskTotal = int64(disk.Blocks) * block
	h.DiskFree = min(int64(disk.Bavail)*block, h.DiskTotal)
	n, err := a.size.of(a.images, a.time.Boot())
	if err != nil {
		a.log.LogAttrs(a.ctx, slog.LevelWarn, "what images take on the disk cannot be found out", slog.Any("error", err))
	}
	h.ImagesBytes = n
	return h
}

// taken is what files below a folder take on the disk, in bytes. What goes away
// meanwhile does not count.
func taken(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return gone(err)
		}
		info, err := e.Info()
		if err != nil {
			return gone(err)
		}
		sum += takenBy(info)
		return nil
	})
	return sum, err
}

func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// takenBy is what a file takes on the disk; it may have holes.
func takenBy(info fs.FileInfo) int64 {
	const block = 512
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Blocks * block
	}
	return info.Size()
}

// filesIn lists the files of a machine's disks.
func filesIn(dir string) []collectedFile {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // there are none yet
	}
	var out []collectedFile
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			out = append(out, collectedFile{Name: e.Name(), Size: takenBy(info)})
		}
	}
	return out
}
