package cli

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
	d, err := readDescription(path, "")
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
	if _, err := readDescription(large, ""); !errors.Is(err, dormer.ErrTooLarge) {
		t.Errorf("a description over the limit: %v", err)
	}
}

// TestReadLine holds that two secrets can follow each other on standard input,
// and that nobody's input is read without end.
func TestReadLine(t *testing.T) {
	a := &app{Streams: Streams{In: onlyReader{strings.NewReader("first\r\nsecond")}}}
	for _, want := range []string{"first", "second", ""} {
		if got, err := a.readLine(); err != nil || got != want {
			t.Errorf("readLine is %q, %v, want %q", got, err, want)
		}
	}
	a.In = strings.NewReader(strings.Repeat("x", maxSecret+1))
	if _, err := a.readLine(); !errors.Is(err, dormer.ErrTooLarge) {
		t.Errorf("a line over the limit: %v", err)
	}
}

type onlyReader struct{ r *strings.Reader }

func (o onlyReader) Read(p []byte) (int, error) { return o.r.Read(p) }

// TestPrintable holds that names from outside cannot steer a terminal.
func TestPrintable(t *testing.T) {
	if got := printable("a\x1b[2Jb\tc\u202ed"); strings.ContainsAny(got, "\x1b\t\u202e") {
		t.Errorf("%q", got)
	}
}

// TestSize holds the units.
func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 5 << 30: "5.0 GiB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) is %q, want %q", n, got, want)
		}
	}
}
