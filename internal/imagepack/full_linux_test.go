package imagepack_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/imagepack/packtest"
	"github.com/dormer-project/dormer/internal/imagesync"
)

func TestFullDisk(t *testing.T) {
	disk := packtest.NewDisk(12, 12<<20)
	path := disk.Write(t)
	want := packtest.Pack(t, disk, imagepack.Options{})
	small := t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=3m"); err != nil {
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatalf("mount a small tmpfs: %v", err)
		}
		t.Skipf("SKIPPED: needs root to mount a small tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(small, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	publisher, _, key := packtest.Keys(t, "")
	o := imagepack.Options{
		Disks: []imagepack.DiskInput{{Name: "system", Path: path, Format: "raw"}}, Signer: publisher, Key: key, Dir: filepath.Join(small, "out"),
	}
	if _, err := imagepack.Pack(t.Context(), o); !errors.Is(err, dormer.ErrFull) {
		t.Fatalf("Pack onto a disk that fills up: %v, want ErrFull", err)
	}
	if _, err := imagepack.OpenPacked(o.Dir); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("half an image opens: %v", err)
	}
	if err := syscall.Mount("tmpfs", small, "tmpfs", syscall.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	p, err := imagepack.Pack(t.Context(), o)
	if err != nil {
		t.Fatalf("Pack once there is room: %v", err)
	}
	if p.Image != want.Image {
		t.Errorf("image is %s, want %s", p.Image, want.Image)
	}
	if got := readDisk(t, p.Image, imagesync.DirSource(p.Dir), key, 0); !bytes.Equal(got, disk) {
		t.Error("disk differs")
	}
}
