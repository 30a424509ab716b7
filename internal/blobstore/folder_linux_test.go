package blobstore

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/blobstore/blobtest"
	"github.com/dormer-project/dormer/internal/imagerepo"
)

func TestFolder(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) imagerepo.Blobs {
		f, err := OpenFolder(filepath.Join(t.TempDir(), "new", "repository"))
		if err != nil {
			t.Fatal(err)
		}
		return f
	})
}

func TestFolderForgetsUnfinishedWrites(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenFolder(dir); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, temporary, "put-123")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an unfinished write is still there: %v", err)
	}
	if infos, err := f.List(t.Context(), "", "", 10); err != nil || len(infos) != 0 {
		t.Errorf("List = %v, %v", infos, err)
	}
}

func TestFolderIsPrivate(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "r")
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Put(t.Context(), "names/x", strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{dir, filepath.Join(dir, "names"), filepath.Join(dir, "names", "x")} {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", p, info.Mode())
		}
	}
}

func TestFolderFull(t *testing.T) {
	dir := smallDisk(t)
	f, err := OpenFolder(filepath.Join(dir, "r"))
	if err != nil {
		t.Fatal(err)
	}
	const size = 4 << 20
	err = f.Put(t.Context(), "packs/big", io.LimitReader(zeros{}, size), size)
	if !errors.Is(err, dormer.ErrFull) {
		t.Fatalf("Put on a full disk: %v, want ErrFull", err)
	}
	left, err := os.ReadDir(filepath.Join(dir, "r", temporary))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := f.Put(t.Context(), "packs/small", strings.NewReader("x"), 1); err != nil {
		t.Errorf("Put after a full disk: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// smallDisk mounts a file system of 1 MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatalf("mount a small tmpfs: %v", err)
		}
		t.Skipf("SKIPPED: needs root to mount a small tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}
