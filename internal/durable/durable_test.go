package durable_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
)

func TestWriteFileReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, content := range []string{"a longer first content", "", "second"} {
		if err := durable.WriteFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != content {
			t.Errorf("content is %q, %v; expected %q", got, err, content)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %s", info.Mode())
	}
	alone(t, dir, "f")
}

// alone expects those names in dir and no others.
func alone(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(names) {
		t.Errorf("the folder holds %v, expected %v", entries, names)
	}
}

// TestWriteFillFails: what was there stays, whatever was written before the
// failure, and nothing beside it.
func TestWriteFillFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := durable.WriteFile(path, []byte("before")); err != nil {
		t.Fatal(err)
	}
	wrong := errors.New("the source ended")
	err := durable.Write(path, func(w io.Writer) error {
		_, err := io.WriteString(w, "half")
		return errors.Join(err, wrong)
	})
	if !errors.Is(err, wrong) {
		t.Errorf("%v; expected what fill said", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "before" {
		t.Errorf("content is %q, %v", got, err)
	}
	alone(t, dir, "f")
}

// TestWriteFileFails and leaves what was there, and nothing beside it.
func TestWriteFileFails(t *testing.T) {
	dir := t.TempDir()
	if err := durable.WriteFile(filepath.Join(dir, "none", "f"), nil); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("in a folder that is not there: %v", err)
	}
	taken := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(taken, []byte("x")); err == nil {
		t.Error("a folder is replaced by a file")
	}
	alone(t, dir, "taken")
	if _, err := os.Stat(filepath.Join(taken, "below")); err != nil {
		t.Error(err)
	}
	if err := durable.SyncFolder(filepath.Join(dir, "none")); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("a folder that is not there is synced: %v", err)
	}
}

func TestKind(t *testing.T) {
	for _, test := range []struct{ err, want error }{
		{&fs.PathError{Op: "write", Path: "f", Err: syscall.ENOSPC}, dormer.ErrFull},
		{fmt.Errorf("write: %w", syscall.EDQUOT), dormer.ErrFull},
		{fs.ErrNotExist, dormer.ErrNotFound},
		{&os.LinkError{Op: "link", Err: fs.ErrExist}, dormer.ErrExists},
	} {
		if got := durable.Kind(test.err); !errors.Is(got, test.want) || !errors.Is(got, test.err) {
			t.Errorf("%v is %v, expected %v", test.err, got, test.want)
		}
	}
	if other := errors.New("other"); !errors.Is(durable.Kind(other), other) || durable.Kind(nil) != nil {
		t.Error("other errors are changed")
	}
}
