package hypervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dormer-project/dormer/internal/hypervisor/hostlink"
)

// WriteFile replaces a small file as a whole, with mode 0600, and returns when
// it is durable.
func WriteFile(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-*"+SuffixTemporary)
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", filepath.Base(path), err), os.Remove(f.Name()))
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("make directory durable: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("make directory durable: %w", err)
	}
	return nil
}

// LastEnd returns how the machine in dir ended when it ran last; false when
// nobody could write it down.
func LastEnd(dir string) (Status, bool) {
	b, err := os.ReadFile(filepath.Join(dir, FileEnd))
	if err != nil {
		return Status{}, false
	}
	var st Status
	return st, json.Unmarshal(b, &st) == nil && st.State == StateStopped
}

// CleanUp removes what a machine that no longer runs has left behind in its
// directory: sockets, throw-away disks, half-made files, and links to adapters
// of the host.
func CleanUp(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look for leftovers: %w", err)
	}
	errs := []error{hostlink.CleanUp(dir)}
	for _, e := range entries {
		if Leftover(e.Name()) && (!e.IsDir() || e.Name() == DirQEMU) {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}
