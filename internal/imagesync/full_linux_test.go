package imagesync_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imagesync"
)

// smallDisk mounts a file system of that size.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatalf("mount a small tmpfs: %v", err)
		}
		t.Skipf("SKIPPED: needs root to mount a small tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

func TestFullDisk(t *testing.T) {
	f := newFixture(t)
	dir := smallDisk(t, "9m")
	s, err := imagesync.OpenStore(filepath.Join(dir, "store"), imagesync.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := f.packed[0].Image
	// Room for it when the fetch begins, but not when it goes on.
	ballast := filepath.Join(dir, "ballast")
	o := f.options(f.all)
	filled := false
	o.Progress = func(p imagesync.Progress) {
		if p.Fetched == 0 || filled {
			return
		}
		filled = true
		h, err := os.Create(ballast)
		if err != nil {
			t.Error(err)
			return
		}
		defer h.Close()
		for err == nil {
			_, err = h.Write(make([]byte, 64<<10))
		}
	}
	if err := s.Fetch(t.Context(), id, o); !errors.Is(err, dormer.ErrFull) {
		t.Fatalf("Fetch onto a disk that fills up: %v, want ErrFull", err)
	}
	if s.Has(id) {
		t.Error("half an image counts as whole")
	}
	o.Progress = nil
	if err := s.Fetch(t.Context(), id, o); !errors.Is(err, dormer.ErrFull) {
		t.Fatalf("Fetch onto a full disk: %v, want ErrFull", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	src := &counting{Source: f.all}
	if err := s.Fetch(t.Context(), id, f.options(src)); err != nil {
		t.Fatalf("Fetch once there is room: %v", err)
	}
	if src.bytes >= f.packed[0].NewBytes() {
		t.Errorf("what was there was fetched again: %d bytes", src.bytes)
	}
	wantDisk(t, s, id, f.key, f.disks[0])
}
