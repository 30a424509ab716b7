package imagepack_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/imagepack/packtest"
)

// Whatever its format, a disk that is opened has its content, and its file is
// as it was.
func TestOpenRaw(t *testing.T) {
	raw := packtest.NewDisk(3, 4<<20).Write(t)
	want, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"raw", "qcow2", "vmdk", "vpc", "vhdx"} {
		dir, path := t.TempDir(), raw
		if format != "raw" {
			path = filepath.Join(t.TempDir(), "disk")
			qemuImg(t, "convert", "-f", "raw", "-O", format, raw, path)
		}
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		d, err := imagepack.OpenRaw(t.Context(), imagepack.DiskInput{Name: "system", Path: path, Format: format}, filepath.Join(dir, "disk.raw"))
		if err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		got, err := io.ReadAll(io.NewSectionReader(d, 0, d.Size()))
		if err != nil || len(got) < len(want) || !bytes.Equal(got[:len(want)], want) || len(bytes.Trim(got[len(want):], "\x00")) > 0 {
			t.Errorf("%s: %d bytes came back of %d, %v", format, len(got), len(want), err)
		}
		data := make([]byte, d.Size())
		for off := int64(0); off < d.Size(); {
			start, end, ok, err := d.Data(off)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			if _, err := d.ReadAt(data[start:end], start); err != nil {
				t.Fatal(err)
			}
			off = end
		}
		if !bytes.Equal(data, got) {
			t.Errorf("%s: the parts with data are not all", format)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, before) {
			t.Errorf("%s: the file has changed: %v", format, err)
		}
	}
	if _, err := imagepack.OpenRaw(t.Context(), imagepack.DiskInput{Path: filepath.Join(t.TempDir(), "none"), Format: "raw"}, ""); !errors.Is(err, os.ErrNotExist) && !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("a disk that is not there: %v", err)
	}
}
