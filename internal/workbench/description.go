package workbench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imageformat"
)

// errFormat refuses a format beside a description.
var errFormat = dormer.Invalidf("format", "is for a disk; a description says the format of each of its disks")

// Description says what an image is made of, for images that are more than one
// disk: a JSON file in place of the disk. Paths in it are relative to it.
type Description struct {
	Architecture string                      `json:"architecture,omitempty"`
	Firmware     string                      `json:"firmware,omitempty"`
	DiskBus      string                      `json:"disk_bus,omitempty"`
	MachineFloor string                      `json:"machine_floor,omitempty"`
	TPM          bool                        `json:"tpm,omitempty"`
	Disks        []DescribedDisk             `json:"disks"`
	Kernel       string                      `json:"kernel,omitempty"`
	Initrd       string                      `json:"initrd,omitempty"`
	Append       string                      `json:"append,omitempty"`
	Data         *imageformat.DataConvention `json:"data,omitempty"`
	// Memory in MiB and User are for people who test the image.
	Memory int    `json:"memory,omitempty"`
	User   string `json:"user,omitempty"`
}

// DescribedDisk is one disk of a Description.
type DescribedDisk struct {
	Name   string `json:"name"`
	Path   string `json:"path"`
	Format string `json:"format,omitempty"`
}

// maxDescription is the largest description, in bytes.
const maxDescription = 64 << 10

// ReadDescription reads a description, or makes one of a disk file in that
// format ("": to be found out).
func ReadDescription(path, format string) (Description, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return Description{}, dormer.Invalidf(path, "is a folder; name a disk file or a description")
	}
	if !strings.EqualFold(filepath.Ext(path), ".json") {
		return Description{Disks: []DescribedDisk{{Name: "system", Path: path, Format: format}}}, nil
	}
	if format != "" {
		return Description{}, errFormat
	}
	f, err := os.Open(path)
	if err != nil {
		return Description{}, fmt.Errorf("read description: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxDescription+1))
	if err != nil {
		return Description{}, fmt.Errorf("read description: %w", err)
	}
	if len(b) > maxDescription {
		return Description{}, fmt.Errorf("description %s: %w", path, dormer.ErrTooLarge)
	}
	d, err := parseDescription(b)
	if err != nil {
		return Description{}, fmt.Errorf("%s is not valid:\n%w", path, err)
	}
	base := filepath.Dir(path)
	at := func(p string) string {
		if p == "" || filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(base, p)
	}
	for i := range d.Disks {
		d.Disks[i].Path = at(d.Disks[i].Path)
	}
	d.Kernel, d.Initrd = at(d.Kernel), at(d.Initrd)
	return d, nil
}

func parseDescription(b []byte) (Description, error) {
	var d Description
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return d, dormer.Invalidf("", "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if len(d.Disks) == 0 {
		return d, dormer.Invalidf("disks", "an image has at least one disk")
	}
	for i, disk := range d.Disks {
		if disk.Name == "" || disk.Path == "" {
			return d, dormer.Invalidf(fmt.Sprintf("disks[%d]", i), "needs name and path")
		}
	}
	return d, nil
}
