package imagepack

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
)

// maxFamily bounds how many files a disk may be made of.
const maxFamily = 64

// checkFamily refuses a disk that names files elsewhere: what it builds on, the
// file that holds its data, its extents. A disk that comes from somebody else
// could otherwise bring files of this computer, or of its network, into the
// image. Plain files in the disk's own folder are what every tool makes.
func checkFamily(ctx context.Context, path, format string) error {
	folder, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("find folder: %w", err)
	}
	next := []member{{path: path, format: format}}
	seen := map[string]bool{path: true}
	for len(next) > 0 {
		one := next[0]
		next = next[1:]
		named, err := one.names(ctx)
		if err != nil {
			return err
		}
		for _, other := range named {
			if seen[other.path] {
				continue
			}
			seen[other.path] = true
			if len(seen) > maxFamily {
				return dormer.Invalidf("disks", "is made of more than %d files", maxFamily)
			}
			if err := besides(folder, other.path); err != nil {
				return err
			}
			if other.format == "" {
				if other.format, err = detect(other.path); err != nil {
					return fmt.Errorf("%s: %w", other.path, err)
				}
			}
			if other.format != "raw" {
				next = append(next, other)
			}
		}
	}
	return nil
}

// member is one file of a disk. format is empty where nothing says it.
type member struct {
	path, format string
}

// names returns the files that m names. Nothing of them is read.
func (m member) names(ctx context.Context) ([]member, error) {
	out, err := qemuImg(ctx, "info", "-f", m.format, "--output=json", m.path)
	if err != nil {
		return nil, err
	}
	var info struct {
		Backing       string `json:"full-backing-filename"`
		BackingFormat string `json:"backing-filename-format"`
		Specific      struct {
			Data struct {
				DataFile string `json:"data-file"`
				Extents  []struct {
					Filename string `json:"filename"`
				} `json:"extents"`
			} `json:"data"`
		} `json:"format-specific"`
	}
	if err := json.Unmarshal(out, &info); err != nil {
		return nil, fmt.Errorf("qemu-img info: answer is not understood: %w", dormer.ErrUnsupported)
	}
	var all []member
	add := func(file, format string) {
		// Only what has a protocol before it is no path.
		if file != "" && !filepath.IsAbs(file) && !strings.Contains(file, ":") {
			file = filepath.Join(filepath.Dir(m.path), file)
		}
		if file != "" {
			all = append(all, member{path: file, format: format})
		}
	}
	add(info.Backing, info.BackingFormat)
	add(info.Specific.Data.DataFile, "raw")
	for _, e := range info.Specific.Data.Extents {
		add(e.Filename, "raw")
	}
	return all, nil
}

// besides returns an error unless path is a plain file in folder.
func besides(folder, path string) error {
	wrong := dormer.Invalidf("disks", "names the file %.200q, which is not a plain file beside it; put it there, or make one file of both with qemu-img convert", path)
	if !filepath.IsAbs(path) {
		return wrong
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil || dir != folder {
		return wrong
	}
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("a file that the disk is made of: %w", durable.Kind(err))
	}
	if !info.Mode().IsRegular() {
		return wrong
	}
	return nil
}
