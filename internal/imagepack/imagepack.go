// Package imagepack makes images from disk files: it skips zero blocks, finds
// the blocks that earlier versions hold, and compresses and encrypts the others
// into packs. The command line and tests import it.
//
// The result is a packed image: a folder with the objects that the image adds
// to those of its bases, to be pushed to a repository.
package imagepack

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/preparation"
	"github.com/dormer-project/dormer/internal/seal"
)

// Source reads objects of a repository.
type Source interface {
	// Get returns length bytes of an object from offset; with length below 0 all
	// from offset to its end. ErrNotFound when there is no such object. The
	// caller closes the reader.
	Get(ctx context.Context, object string, offset, length int64) (io.ReadCloser, error)
}

// DiskInput is a disk to pack.
type DiskInput struct {
	// Name of the disk in the image, as "system".
	Name string
	// Path of the disk file.
	Path string
	// Format is raw, qcow2, vmdk, vpc or vhdx; empty means to look. What looks
	// like none of them and begins with neither a partition table nor a known
	// file system is refused then.
	Format string
}

// Machine is what the image needs of the machine; see imageformat.Manifest.
type Machine struct {
	Architecture string
	Firmware     string
	DiskBus      string
	MachineFloor string
	TPM          bool
	Data         *imageformat.DataConvention
}

// Base is an image whose blocks the new one may use. Only its manifest, map and
// keys are read.
type Base struct {
	Image  dormer.ImageID
	Source Source
	// Trust verifies the manifest.
	Trust seal.KeySet
}

// Options say what to pack. Disks, Signer and Dir are needed.
type Options struct {
	Disks []DiskInput
	// Kernel and Initrd are files to boot directly, with the command line Append;
	// empty without.
	Kernel, Initrd, Append string
	// Machine: empty strings mean x86_64, bios and virtio.
	Machine Machine
	// Bases: the version before first, then others. They must be encrypted as the
	// new image is.
	Bases []Base
	// Key encrypts; nil means that the image is not encrypted.
	Key *imageformat.RepositoryKey
	// Signer is the publisher's key.
	Signer *seal.SigningKey
	// Dir is the folder for the packed image. One in which an earlier Pack of the
	// same input was cut short is taken up where that stopped; one that holds a
	// packed image is ErrExists.
	Dir string
	// Temp is the folder for large temporary files; empty means inside Dir.
	Temp string
	// Parallel is how many processors to use; 0 means all, at most 8.
	Parallel int
	// Progress, when not nil, is called from time to time, from one goroutine.
	Progress func(Progress)
}

// Progress of a Pack.
type Progress struct {
	// Phase is "convert", "base", "pack" or "finish".
	Phase string
	// Done and Total are bytes of disk.
	Done, Total int64
	// New is what was stored so far, in bytes.
	New int64
}

// Packed is a packed image in a folder.
type Packed struct {
	Dir   string
	Image dormer.ImageID
	// Envelope is the signed manifest, and Manifest what is in it.
	Envelope []byte
	Manifest *imageformat.Manifest
	// Objects are those that lie in the folder, beside the manifest.
	Objects []imageformat.Object
	// Preparation is what the guest noted on its disks when it was prepared to
	// become an image, the newest if there are several; nil when it has not.
	Preparation *preparation.Record
}

// File names in the folder of a packed image. Objects lie under their own names.
const (
	recordFile = "image.json"
	workDir    = ".work"
)

type record struct {
	Image   dormer.ImageID       `json:"image"`
	Objects []imageformat.Object `json:"objects"`
	// Preparation is of the packed disks.
	Preparation *preparation.Record `json:"preparation,omitempty"`
}

// OpenPacked opens what Pack made. It reads the manifest, not the packs;
// imagesync verifies a folder whole.
func OpenPacked(dir string) (*Packed, error) {
	b, err := os.ReadFile(filepath.Join(dir, recordFile))
	if err != nil {
		return nil, fmt.Errorf("open packed image: %w", durable.Kind(err))
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("open packed image: %s is not valid JSON: %w", recordFile, dormer.ErrCorrupt)
	}
	name, err := imageformat.ManifestName(r.Image)
	if err != nil {
		return nil, fmt.Errorf("open packed image: %w", err)
	}
	envelope, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return nil, fmt.Errorf("open packed image: %w", durable.Kind(err))
	}
	m, err := imageformat.OpenPinnedManifest(r.Image, envelope)
	if err != nil {
		return nil, fmt.Errorf("open packed image: %w", err)
	}
	for _, o := range r.Objects {
		if listed, ok := m.Object(o.Name); !ok || listed != o {
			return nil, fmt.Errorf("open packed image: %s lists an object that the manifest does not: %w", recordFile, dormer.ErrCorrupt)
		}
	}
	return &Packed{Dir: dir, Image: r.Image, Envelope: envelope, Manifest: m, Objects: r.Objects, Preparation: r.Preparation}, nil
}

// Open opens an object of the folder. The caller closes it.
func (p *Packed) Open(object string) (*os.File, error) {
	if _, _, err := imageformat.ParseObjectName(object); err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(p.Dir, filepath.FromSlash(object)))
	if err != nil {
		return nil, fmt.Errorf("open %s of packed image: %w", object, durable.Kind(err))
	}
	return f, nil
}

// NewBytes is the size of what the image adds to its bases.
func (p *Packed) NewBytes() int64 {
	n := int64(0)
	for _, o := range p.Objects {
		n += o.Size
	}
	return n
}

// readObject reads an object whole, at most size bytes, and checks its hash.
func readObject(ctx context.Context, s Source, o imageformat.Object) ([]byte, error) {
	b, err := readAll(ctx, s, o.Name, o.Size)
	if err != nil {
		return nil, err
	}
	return b, imageformat.CheckObject(o.Name, b)
}

func readAll(ctx context.Context, s Source, object string, limit int64) ([]byte, error) {
	r, err := s.Get(ctx, object, 0, -1)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", object, err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", object, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s is longer than %d bytes: %w", object, limit, dormer.ErrCorrupt)
	}
	return b, nil
}
