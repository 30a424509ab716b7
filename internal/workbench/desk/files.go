package desk

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dormer-project/dormer"
)

const (
	// maxEntries is how many entries of a folder are listed.
	maxEntries = 2000
	// maxScanned is how many are looked at.
	maxScanned = 50_000
)

// diskFiles are how files end that may be a disk, or a description of some.
var diskFiles = []string{".qcow2", ".raw", ".img", ".vmdk", ".vpc", ".vhd", ".vhdx", ".json"}

// files lists what of a folder may be chosen as a disk: as the user, so that
// nobody sees what they may not read. Links are left out, since they lead
// elsewhere than it seems.
func (d *Desk) files(c *call, _ none) (folder, error) {
	path := cmp.Or(c.r.URL.Query().Get("path"), d.config.Home)
	if !filepath.IsAbs(path) {
		return folder{}, dormer.Invalidf("path", "is the whole path of a folder, from / on")
	}
	path = filepath.Clean(path)
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return folder{}, dormer.Invalidf("path", "there is no such folder")
	case errors.Is(err, fs.ErrPermission):
		return folder{}, dormer.Invalidf("path", "you may not read this folder")
	case err != nil:
		return folder{}, fmt.Errorf("open the folder: %w", err)
	}
	defer f.Close()
	found, err := f.ReadDir(maxScanned)
	if err != nil && !errors.Is(err, io.EOF) {
		return folder{}, dormer.Invalidf("path", "is not a folder that can be read")
	}
	out := folder{Path: path, Entries: []entry{}, More: len(found) == maxScanned}
	if above := filepath.Dir(path); above != path {
		out.Parent = above
	}
	for _, e := range found {
		if !choosable(e) {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // it has gone meanwhile
		}
		one := entry{Name: e.Name(), Path: filepath.Join(path, e.Name()), Folder: e.IsDir(), Time: info.ModTime().UTC()}
		if !one.Folder {
			one.Size = info.Size()
		}
		out.Entries = append(out.Entries, one)
	}
	slices.SortFunc(out.Entries, func(a, b entry) int {
		if a.Folder != b.Folder {
			if a.Folder {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	if len(out.Entries) > maxEntries {
		out.Entries, out.More = out.Entries[:maxEntries], true
	}
	return out, nil
}

// choosable reports whether something in a folder is shown.
func choosable(e fs.DirEntry) bool {
	if strings.HasPrefix(e.Name(), ".") {
		return false
	}
	return e.IsDir() || e.Type().IsRegular() && slices.Contains(diskFiles, strings.ToLower(filepath.Ext(e.Name())))
}
