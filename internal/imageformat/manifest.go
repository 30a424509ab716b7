package imageformat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/seal"
)

// FormatVersion is the version of the format that this package reads and writes.
const FormatVersion = 1

// The values of Manifest.Cipher.
const (
	CipherAES256GCM = "aes-256-gcm"
	CipherNone      = "none"
)

// The values of Manifest.Firmware.
const (
	FirmwareBIOS = "bios"
	FirmwareUEFI = "uefi"
)

// Manifest is what a publisher signs: what the machine needs and the objects
// that hold its disks. It has no name, number or time, so that the same image
// has the same identity wherever it is packed.
type Manifest struct {
	// Format is FormatVersion.
	Format int `json:"format"`
	// Features are what a reader must understand beyond Format. This version
	// knows none; a reader refuses what it does not know.
	Features []string `json:"features,omitempty"`

	// Architecture of the guest, as QEMU names it: x86_64, aarch64.
	Architecture string `json:"architecture"`
	// Firmware is FirmwareBIOS or FirmwareUEFI.
	Firmware string `json:"firmware"`
	// TPM says that the guest expects a TPM 2.0.
	TPM bool `json:"tpm,omitempty"`
	// DiskBus is how the disks are attached: virtio, sata, nvme, scsi or ide.
	DiskBus string `json:"disk_bus"`
	// MachineFloor is the oldest versioned machine type on which the guest was
	// tried, as pc-q35-7.2; empty when it does not matter.
	MachineFloor string `json:"machine_floor,omitempty"`

	// Disks are the base disks in the order in which they are attached.
	Disks []Stream `json:"disks"`
	// Boot, when present, says to start the kernel directly.
	Boot *Boot `json:"boot,omitempty"`
	// Data, when present, says where the guest keeps what outlives an update.
	Data *DataConvention `json:"data,omitempty"`

	// Cipher is CipherAES256GCM or CipherNone and covers all objects below.
	Cipher string `json:"cipher"`
	// KeyID names the repository key; empty with CipherNone.
	KeyID string `json:"key_id,omitempty"`
	// Map is the map of all streams.
	Map Ref `json:"map"`
	// Keys, when present, is the directory of the key pages.
	Keys *Ref `json:"keys,omitempty"`
	// Objects are all objects that the image needs beside the manifest, sorted
	// by name, Map and Keys among them.
	Objects []Object `json:"objects"`
	// Sizes are for people and for reserving space.
	Sizes Sizes `json:"sizes"`
}

// Stream is a disk, or a file of Boot.
type Stream struct {
	// Name of a disk, unique in the image: letters, digits, hyphens.
	Name string `json:"name"`
	// Size is the virtual size in bytes. That of a disk is a multiple of 512.
	Size int64 `json:"size"`
	// Root of the tree over the keys of its blocks.
	Root Hash `json:"root"`
}

// Blocks returns the number of blocks of s. The last may be partly beyond Size;
// what is beyond is zero.
func (s Stream) Blocks() int64 { return (s.Size + BlockSize - 1) / BlockSize }

// Boot starts a kernel directly, without firmware's help.
type Boot struct {
	Kernel Stream  `json:"kernel"`
	Initrd *Stream `json:"initrd,omitempty"`
	// Append is the kernel's command line.
	Append string `json:"append,omitempty"`
}

// DataConvention says where in the guest the user's data disk belongs.
type DataConvention struct {
	// Label of the file system on the data disk.
	Label string `json:"label"`
	// MountPoint in the guest: an absolute path, or a drive letter as "D:".
	MountPoint string `json:"mount_point"`
}

// Ref names a sealed object that is read whole.
type Ref struct {
	Object string `json:"object"`
	// Raw is the length of the content before compression, in bytes.
	Raw int64 `json:"raw"`
}

// Object is an object and its stored size in bytes.
type Object struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// Sizes of an image in bytes.
type Sizes struct {
	// Virtual is the sum of the virtual sizes of the disks.
	Virtual int64 `json:"virtual"`
	// Full is what the blocks hold that are not zero.
	Full int64 `json:"full"`
	// Packed is the stored length of the frames that the image uses.
	Packed int64 `json:"packed"`
}

// Streams returns the disks and then the kernel and the initrd: the order in
// which the map and the key directory list them.
func (m *Manifest) Streams() []Stream {
	s := slices.Clone(m.Disks)
	if m.Boot != nil {
		s = append(s, m.Boot.Kernel)
		if m.Boot.Initrd != nil {
			s = append(s, *m.Boot.Initrd)
		}
	}
	return s
}

// Object returns the entry of Objects with that name.
func (m *Manifest) Object(name string) (Object, bool) {
	i, ok := slices.BinarySearchFunc(m.Objects, name, func(o Object, n string) int { return strings.Compare(o.Name, n) })
	if !ok {
		return Object{}, false
	}
	return m.Objects[i], true
}

// Encode validates m and returns it as a payload.
func (m *Manifest) Encode() ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	if len(b) > MaxManifest {
		return nil, fmt.Errorf("manifest of %d bytes: %w (at most %d)", len(b), dormer.ErrTooLarge, MaxManifest)
	}
	return b, nil
}

// ParseManifest decodes and validates a payload. What it does not know is
// refused with ErrUnsupported, what is wrong with ErrCorrupt.
func ParseManifest(payload []byte) (*Manifest, error) {
	if len(payload) > MaxManifest {
		return nil, fmt.Errorf("manifest of %d bytes: %w (at most %d)", len(payload), dormer.ErrTooLarge, MaxManifest)
	}
	var head struct {
		Format   int      `json:"format"`
		Features []string `json:"features"`
	}
	if err := json.Unmarshal(payload, &head); err != nil {
		return nil, fmt.Errorf("manifest is not valid JSON: %w", dormer.ErrCorrupt)
	}
	if head.Format != FormatVersion {
		return nil, fmt.Errorf("image has format %d, this reader knows %d: %w", head.Format, FormatVersion, dormer.ErrUnsupported)
	}
	if len(head.Features) > 0 {
		return nil, fmt.Errorf("image needs feature %.40q: %w", head.Features[0], dormer.ErrUnsupported)
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.DisallowUnknownFields()
	m := new(Manifest)
	if err := d.Decode(m); err != nil {
		return nil, fmt.Errorf("manifest has a wrong or unknown field: %w", dormer.ErrCorrupt)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("manifest has something after its end: %w", dormer.ErrCorrupt)
	}
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("manifest: %s: %w", err.Error(), dormer.ErrCorrupt)
	}
	return m, nil
}

// OpenManifest parses an envelope, verifies its signature by a publisher of
// trust and that it holds the image id, and decodes it. With id "" any image is
// accepted.
func OpenManifest(trust seal.KeySet, id dormer.ImageID, envelope []byte) (*Manifest, dormer.ImageID, error) {
	e, err := seal.ParseEnvelope(envelope)
	if err != nil {
		return nil, "", fmt.Errorf("open manifest: %w", err)
	}
	payload, err := trust.Open(seal.TypeManifest, e)
	if err != nil {
		return nil, "", fmt.Errorf("open manifest: %w", err)
	}
	return decodePayload(id, payload)
}

// OpenPinnedManifest decodes an envelope that is trusted by its hash alone: id
// comes from a signed lease or from a manifest that was verified when it was
// stored. The signature is not looked at.
func OpenPinnedManifest(id dormer.ImageID, envelope []byte) (*Manifest, error) {
	e, err := seal.ParseEnvelope(envelope)
	if err != nil {
		return nil, fmt.Errorf("open manifest: %w", err)
	}
	if e.Type != seal.TypeManifest {
		return nil, fmt.Errorf("open manifest: envelope holds another type: %w", dormer.ErrCorrupt)
	}
	m, _, err := decodePayload(id, e.Payload)
	return m, err
}

func decodePayload(id dormer.ImageID, payload []byte) (*Manifest, dormer.ImageID, error) {
	got := IDOf(payload)
	if id != "" && got != id {
		return nil, "", fmt.Errorf("manifest is that of image %s, expected %s: %w", got, id, dormer.ErrCorrupt)
	}
	m, err := ParseManifest(payload)
	if err != nil {
		return nil, "", fmt.Errorf("image %s: %w", got, err)
	}
	return m, got, nil
}

// Validate returns an *dormer.InvalidError with every wrong field, or nil.
func (m *Manifest) Validate() error {
	v := &validator{}
	v.check(m.Format == FormatVersion, "format", "expected 1")
	v.check(len(m.Features) == 0, "features", "this format knows none")
	v.check(slices.Contains([]string{"x86_64", "aarch64"}, m.Architecture), "architecture", "expected x86_64 or aarch64")
	v.check(m.Firmware == FirmwareBIOS || m.Firmware == FirmwareUEFI, "firmware", "expected bios or uefi")
	v.check(slices.Contains([]string{"virtio", "sata", "nvme", "scsi", "ide"}, m.DiskBus), "disk_bus", "expected virtio, sata, nvme, scsi or ide")
	v.check(len(m.MachineFloor) <= 64 && plainWord(m.MachineFloor), "machine_floor", "is not a machine type")
	v.check(len(m.Disks) >= 1 && len(m.Disks) <= MaxDisks, "disks", "an image has 1 to 16 disks")
	seen := map[string]bool{}
	for i, d := range m.Disks {
		p := fmt.Sprintf("disks[%d]", i)
		v.check(d.Name != "" && len(d.Name) <= 64 && plainWord(d.Name) && !seen[d.Name], p+".name", "must be unique, of letters, digits, dots, hyphens and underscores")
		seen[d.Name] = true
		v.check(d.Size > 0 && d.Size <= MaxDisk && d.Size%512 == 0, p+".size", "must be a multiple of 512, at most 8 TiB")
	}
	if b := m.Boot; b != nil {
		v.check(b.Kernel.Name == "kernel" && b.Kernel.Size > 0 && b.Kernel.Size <= MaxBootFile, "boot.kernel", "expected the stream kernel of at most 1 GiB")
		v.check(b.Initrd == nil || b.Initrd.Name == "initrd" && b.Initrd.Size > 0 && b.Initrd.Size <= MaxBootFile, "boot.initrd", "expected the stream initrd of at most 1 GiB")
		v.check(len(b.Append) <= 2048 && printable(b.Append), "boot.append", "must be one line of at most 2048 bytes")
	}
	if d := m.Data; d != nil {
		v.check(d.Label != "" && len(d.Label) <= 64 && printable(d.Label), "data.label", "is not a label")
		v.check(d.MountPoint != "" && len(d.MountPoint) <= 256 && printable(d.MountPoint), "data.mount_point", "is not a mount point")
	}
	v.check(m.Cipher == CipherNone && m.KeyID == "" || m.Cipher == CipherAES256GCM && len(m.KeyID) == keyIDLength && plainWord(m.KeyID), "cipher", "expected aes-256-gcm with a key_id, or none without")
	v.check(m.Sizes.Virtual >= 0 && m.Sizes.Full >= 0 && m.Sizes.Packed >= 0, "sizes", "must not be negative")
	m.validateObjects(v)
	if len(v.fields) > 0 {
		return &dormer.InvalidError{Fields: v.fields}
	}
	return nil
}

func (m *Manifest) validateObjects(v *validator) {
	v.check(len(m.Objects) <= MaxObjects, "objects", "are too many")
	for i, o := range m.Objects {
		kind, _, err := ParseObjectName(o.Name)
		limit := int64(MaxPack)
		if kind == KindMap {
			limit = MaxMap
		}
		if err != nil || kind == KindManifest || o.Size <= 0 || o.Size > limit || i > 0 && m.Objects[i-1].Name >= o.Name {
			v.check(false, fmt.Sprintf("objects[%d]", i), "must be a map, pack or keys object with its size, sorted by name")
			return
		}
	}
	refOK := func(r Ref, k Kind) bool {
		kind, _, err := ParseObjectName(r.Object)
		o, listed := m.Object(r.Object)
		return err == nil && kind == k && listed && o.Size <= MaxMap && r.Raw > 0 && r.Raw <= MaxMap
	}
	v.check(refOK(m.Map, KindMap), "map", "must be one of objects")
	v.check(m.Keys == nil || refOK(*m.Keys, KindKeys), "keys", "must be one of objects")
}

type validator struct{ fields []dormer.FieldError }

func (v *validator) check(ok bool, path, message string) {
	if !ok {
		v.fields = append(v.fields, dormer.FieldError{Path: path, Message: message})
	}
}

func plainWord(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_')
	})
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
