// Package imageformat holds the stored forms of an image: the manifest that a
// publisher signs, the map from blocks to frames, the key pages, the frames of
// packs and the encryption of all of them. docs/image-format.md describes the
// bytes well enough to write a second reader.
//
// The words: a stream is a disk or a boot file, seen as blocks of 4 KiB. A
// frame is up to 256 blocks that were compressed and encrypted together. A pack
// is an object that holds frames. A map says for each block of each stream in
// which frame it lies. A key is the first half of the SHA-256 of a block.
//
// It is a leaf: it imports the root package and seal, does no input or output,
// and every package may import it. Each decoder bounds what it allocates by
// what it was given, and names what is wrong with dormer.ErrCorrupt.
package imageformat

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/dormer-project/dormer"
)

// Sizes of the format. They are part of it: another value is another format.
const (
	// BlockSize is the size of a block, in bytes.
	BlockSize = 4096
	// MaxFrameBlocks is the largest number of blocks in a frame (1 MiB).
	MaxFrameBlocks = 256
	// MaxFrameStored is the largest stored length of a frame, in bytes: what
	// incompressible blocks, their compression headers and the encryption need.
	MaxFrameStored = MaxFrameBlocks*BlockSize + 4096
	// PageBlocks is the number of blocks whose keys are in one key page.
	PageBlocks = 1024
	// SuperBlocks is the number of blocks under one leaf of the tree (1 MiB).
	SuperBlocks = 256
	// KeySize is the length of a block's key, in bytes.
	KeySize = 16
)

// Limits of what decoders accept; docs/limits.md lists them.
const (
	// MaxManifest is the largest payload of a manifest, in bytes.
	MaxManifest = 2 << 20
	// MaxObjects is the largest number of objects that a manifest names.
	MaxObjects = 16384
	// MaxDisks is the largest number of disks of an image.
	MaxDisks = 16
	// MaxDisk is the largest virtual size of a disk, in bytes.
	MaxDisk = 8 << 40
	// MaxBootFile is the largest size of a kernel or an initrd, in bytes.
	MaxBootFile = 1 << 30
	// MaxPack is the largest stored size of a pack, in bytes.
	MaxPack = 1 << 30
	// MaxMap is the largest map and the largest key directory, in bytes, stored
	// or not.
	MaxMap = 192 << 20
	// MaxRuns is the largest number of runs of a map.
	MaxRuns = 8 << 20
	// MaxFrames is the largest number of frames of a map.
	MaxFrames = 4 << 20
)

// Hash is a SHA-256.
type Hash [sha256.Size]byte

// HashOf returns the hash of b.
func HashOf(b []byte) Hash { return sha256.Sum256(b) }

// String returns the hash as 64 hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText writes the hash as 64 hexadecimal digits.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 lower-case hexadecimal digits.
func (h *Hash) UnmarshalText(b []byte) error {
	v, err := ParseHash(string(b))
	if err != nil {
		return err
	}
	*h = v
	return nil
}

// ParseHash reads 64 lower-case hexadecimal digits; anything else is ErrCorrupt.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != 2*len(h) || strings.ToLower(s) != s {
		return Hash{}, fmt.Errorf("hash is not 64 lower-case hexadecimal digits: %w", dormer.ErrCorrupt)
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return Hash{}, fmt.Errorf("hash is not 64 lower-case hexadecimal digits: %w", dormer.ErrCorrupt)
	}
	return h, nil
}

// Kind is a kind of object: the first part of its name.
type Kind string

// The kinds of objects that are named by their hash.
const (
	// KindManifest objects are envelopes, named by the hash of their payload.
	KindManifest Kind = "manifests"
	// KindMap objects are maps, named by the hash of their stored bytes.
	KindMap Kind = "maps"
	// KindPack objects are packs, named by the hash of their stored bytes.
	KindPack Kind = "packs"
	// KindKeys objects are key pages and their directories, named by the hash of
	// their stored bytes.
	KindKeys Kind = "keys"
)

// ObjectName returns the name of an object, as "packs/<64 hex>".
func ObjectName(k Kind, h Hash) string { return string(k) + "/" + h.String() }

// ParseObjectName is the inverse of ObjectName. Anything that ObjectName cannot
// have made is ErrInvalid, so that what it accepts is safe in paths and URLs.
func ParseObjectName(name string) (Kind, Hash, error) {
	kind, digits, ok := strings.Cut(name, "/")
	if ok {
		switch k := Kind(kind); k {
		case KindManifest, KindMap, KindPack, KindKeys:
			if h, err := ParseHash(digits); err == nil {
				return k, h, nil
			}
		}
	}
	return "", Hash{}, dormer.Invalidf("object", "is not the name of an object: expected manifests/, maps/, packs/ or keys/ and 64 hexadecimal digits")
}

const idPrefix = "sha256:"

// IDOf returns the identity of the image whose manifest payload is given.
func IDOf(payload []byte) dormer.ImageID { return dormer.ImageID(idPrefix + HashOf(payload).String()) }

// ParseID returns the hash in an image's identity; ErrInvalid if it is none.
func ParseID(id dormer.ImageID) (Hash, error) {
	digits, ok := strings.CutPrefix(string(id), idPrefix)
	if ok {
		if h, err := ParseHash(digits); err == nil {
			return h, nil
		}
	}
	return Hash{}, dormer.Invalidf("image", "is not an image identity: expected sha256: and 64 hexadecimal digits")
}

// ManifestName returns the name of the object that holds the manifest of id.
func ManifestName(id dormer.ImageID) (string, error) {
	h, err := ParseID(id)
	if err != nil {
		return "", err
	}
	return ObjectName(KindManifest, h), nil
}
