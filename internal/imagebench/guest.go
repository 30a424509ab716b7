package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/dormer-project/dormer/internal/imagepack"
)

// guest is what is packed: a disk file, or a folder with guest.json in it, as
// those of the test guest.
type guest struct {
	Disks []struct {
		Name   string `json:"name"`
		Path   string `json:"path"`
		Format string `json:"format"`
	} `json:"disks"`
	Kernel string `json:"kernel"`
	Initrd string `json:"initrd"`
	Append string `json:"append"`

	dir string
}

// openGuest finds out which of both path is.
func openGuest(path string) (*guest, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open guest: %w", err)
	}
	g := &guest{dir: path}
	if !info.IsDir() {
		g.dir = filepath.Dir(path)
		g.Disks = append(g.Disks, struct {
			Name   string `json:"name"`
			Path   string `json:"path"`
			Format string `json:"format"`
		}{Name: "system", Path: filepath.Base(path)})
		return g, nil
	}
	b, err := os.ReadFile(filepath.Join(path, "guest.json"))
	if err != nil {
		return nil, fmt.Errorf("open guest: %w", err)
	}
	if err := json.Unmarshal(b, g); err != nil {
		return nil, fmt.Errorf("open guest: guest.json: %w", err)
	}
	return g, nil
}

func (g *guest) path(name string) string {
	if name == "" {
		return ""
	}
	return filepath.Join(g.dir, name)
}

// options returns what to pack.
func (g *guest) options() imagepack.Options {
	o := imagepack.Options{Kernel: g.path(g.Kernel), Initrd: g.path(g.Initrd), Append: g.Append}
	for _, d := range g.Disks {
		o.Disks = append(o.Disks, imagepack.DiskInput{Name: d.Name, Path: g.path(d.Path), Format: d.Format})
	}
	return o
}

// raw writes all of it into one sparse file, so that peers that know no
// machines move the same.
func (g *guest) raw(ctx context.Context, out string) (err error) {
	to, err := os.Create(out)
	if err != nil {
		return fmt.Errorf("write raw disk: %w", err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	at := int64(0)
	add := func(path string) error {
		f, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("write raw disk: %w", err)
		}
		defer f.Close()
		buf := make([]byte, 1<<20)
		for {
			n, err := io.ReadFull(f, buf)
			if _, werr := to.WriteAt(buf[:n], at); werr != nil {
				return fmt.Errorf("write raw disk: %w", werr)
			}
			at += int64(n)
			if err != nil {
				at = (at + 4095) / 4096 * 4096
				return nil
			}
		}
	}
	for _, d := range g.Disks {
		conv := out + ".disk"
		if err := command(ctx, nil, "qemu-img", "convert", "-O", "raw", g.path(d.Path), conv); err != nil {
			return err
		}
		if err := errors.Join(add(conv), os.Remove(conv)); err != nil {
			return err
		}
	}
	for _, f := range []string{g.Kernel, g.Initrd} {
		if f == "" {
			continue
		}
		if err := add(g.path(f)); err != nil {
			return err
		}
	}
	return nil
}
