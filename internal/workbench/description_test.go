package workbench

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dormer-project/dormer"
)

// FuzzDescription holds that a description is taken whole or refused as
// invalid.
func FuzzDescription(f *testing.F) {
	f.Add([]byte(`{"disks": [{"name": "system", "path": "disk.raw"}]}`))
	f.Add([]byte(`{"firmware": "uefi", "tpm": true, "disks": [{"name": "a", "path": "/b", "format": "raw"}], "data": {"label": "data"}}`))
	f.Add([]byte(`{"disks": []}`))
	f.Add([]byte(`{"disks": [{}], "nonsense": 1}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parseDescription(b)
		if err != nil {
			if !errors.Is(err, dormer.ErrInvalid) {
				t.Errorf("refused as %v, not as invalid", err)
			}
			return
		}
		for _, disk := range d.Disks {
			if disk.Name == "" || disk.Path == "" {
				t.Errorf("a disk without name or path: %+v", d)
			}
		}
	})
}

// TestDescriptionPaths holds that what a description names is looked for
// beside it.
func TestDescriptionPaths(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "guest.json")
	if err := os.WriteFile(path, []byte(`{"disks": [{"name": "a", "path": "a.raw"}, {"name": "b", "path": "/b.raw"}], "kernel": "k"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := ReadDescription(path, "")
	if err != nil {
		t.Fatal(err)
	}
	if d.Disks[0].Path != filepath.Join(dir, "a.raw") || d.Disks[1].Path != "/b.raw" || d.Kernel != filepath.Join(dir, "k") || d.Initrd != "" {
		t.Errorf("paths: %+v", d)
	}
	large := filepath.Join(dir, "large.json")
	if err := os.WriteFile(large, []byte(strings.Repeat(" ", maxDescription+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadDescription(large, ""); !errors.Is(err, dormer.ErrTooLarge) {
		t.Errorf("a description over the limit: %v", err)
	}
}
