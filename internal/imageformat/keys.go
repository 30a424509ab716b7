package imageformat

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/dormer-project/dormer"
)

// Key is the key of a block: the first half of its SHA-256. The key of a zero
// block is zero.
type Key [KeySize]byte

// zeroBlock is a block of zeros. Nobody writes to it.
var zeroBlock [BlockSize]byte

// KeyOf returns the key of a block of BlockSize bytes.
func KeyOf(block []byte) Key {
	if IsZero(block) {
		return Key{}
	}
	sum := sha256.Sum256(block)
	return Key(sum[:KeySize])
}

// IsZero reports whether b, of at most BlockSize bytes, is all zeros.
func IsZero(b []byte) bool { return string(b) == string(zeroBlock[:len(b)]) }

// The first byte of what is hashed keeps the levels of the tree apart.
const (
	treeSuper = 0
	treePage  = 1
	treeNode  = 2
)

// SuperHash returns the leaf of the tree over up to SuperBlocks keys; missing
// ones count as zero.
func SuperHash(keys []Key) Hash {
	b := make([]byte, 1+SuperBlocks*KeySize)
	b[0] = treeSuper
	for i, k := range keys {
		copy(b[1+i*KeySize:], k[:])
	}
	return sha256.Sum256(b)
}

// PageHash returns the node of the tree over a page: up to PageBlocks keys;
// missing ones count as zero.
func PageHash(keys []Key) Hash {
	b := []byte{treePage}
	for i := 0; i < PageBlocks; i += SuperBlocks {
		h := SuperHash(keys[min(i, len(keys)):min(i+SuperBlocks, len(keys))])
		b = append(b, h[:]...)
	}
	return sha256.Sum256(b)
}

// RootOf returns the root of the tree over the pages of a stream. Pairs are
// hashed level by level; one that is left over goes up as it is.
func RootOf(pages []Hash) Hash {
	if len(pages) == 0 {
		return sha256.Sum256([]byte{treeNode})
	}
	level := append([]Hash(nil), pages...)
	for len(level) > 1 {
		up := level[:0]
		for i := 0; i < len(level); i += 2 {
			if i+1 == len(level) {
				up = append(up, level[i])
				break
			}
			b := append([]byte{treeNode}, level[i][:]...)
			up = append(up, sha256.Sum256(append(b, level[i+1][:]...)))
		}
		level = up
	}
	return level[0]
}

// Page is one key page: where it is stored and its node of the tree.
type Page struct {
	// Object is the index in Directory.Objects, -1 for a page of zero keys,
	// which is not stored.
	Object int
	Offset int64
	Stored int
	// Node is the PageHash. It is not encoded for a page of zero keys.
	Node Hash
}

// Directory lists the key pages of an image, for each stream one for every
// PageBlocks blocks.
type Directory struct {
	Objects []Hash
	Streams [][]Page
}

const (
	directoryMagic = "DRMKEYS\n"
	// MaxPageStored is the largest stored length of a key page, in bytes.
	MaxPageStored = PageBlocks*KeySize + 1024
	maxPages      = MaxDisk / BlockSize / PageBlocks
)

// ZeroPage returns the node of a page of zero keys.
func ZeroPage() Hash { return PageHash(nil) }

// Encode returns the directory as it is sealed with UseDirectory.
func (d *Directory) Encode() []byte {
	b := []byte(directoryMagic)
	b = binary.AppendUvarint(b, uint64(len(d.Objects)))
	for _, o := range d.Objects {
		b = append(b, o[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(d.Streams)))
	for _, pages := range d.Streams {
		b = binary.AppendUvarint(b, uint64(len(pages)))
		for _, p := range pages {
			b = binary.AppendUvarint(b, uint64(p.Object+1))
			if p.Object < 0 {
				continue
			}
			b = binary.AppendUvarint(b, uint64(p.Offset))
			b = binary.AppendUvarint(b, uint64(p.Stored))
			b = append(b, p.Node[:]...)
		}
	}
	return b
}

// ParseDirectory decodes what Encode made and checks it against the streams of
// the manifest, roots included. Anything else is ErrCorrupt.
func ParseDirectory(b []byte, man *Manifest) (*Directory, error) {
	d := &decoder{b: b}
	d.magic(directoryMagic)
	dir := &Directory{}
	dir.Objects = make([]Hash, 0, d.count(len(Hash{}), MaxObjects))
	for range cap(dir.Objects) {
		dir.Objects = append(dir.Objects, d.hash())
	}
	zero := ZeroPage()
	for range d.count(1, MaxDisks+2) {
		n := d.count(1, maxPages)
		pages := make([]Page, 0, n)
		for range n {
			p := Page{Object: d.bounded(len(dir.Objects)) - 1, Node: zero}
			if p.Object >= 0 {
				p.Offset, p.Stored, p.Node = int64(d.bounded(MaxPack)), d.bounded(MaxPageStored), d.hash()
			}
			pages = append(pages, p)
		}
		dir.Streams = append(dir.Streams, pages)
	}
	if err := d.finish("key directory"); err != nil {
		return nil, err
	}
	streams := man.Streams()
	if len(streams) != len(dir.Streams) {
		return nil, corrupt("key directory has %d streams, the manifest has %d", len(dir.Streams), len(streams))
	}
	for i, s := range streams {
		if want := (s.Blocks() + PageBlocks - 1) / PageBlocks; int64(len(dir.Streams[i])) != want {
			return nil, corrupt("key directory has another number of pages for stream %s", s.Name)
		}
		nodes := make([]Hash, len(dir.Streams[i]))
		for j, p := range dir.Streams[i] {
			nodes[j] = p.Node
		}
		if RootOf(nodes) != s.Root {
			return nil, corrupt("key directory does not fit the root of stream %s", s.Name)
		}
	}
	return dir, nil
}

// SealPage returns a page as it is stored.
func (c *Codec) SealPage(dst []byte, keys []Key) []byte {
	raw := make([]byte, PageBlocks*KeySize)
	for i, k := range keys {
		copy(raw[i*KeySize:], k[:])
	}
	return c.Seal(dst, UsePage, raw)
}

// OpenPage opens a stored page and checks it against its node of the tree.
func (c *Codec) OpenPage(stored []byte, node Hash) ([]Key, error) {
	raw, err := c.Open(nil, UsePage, stored, PageBlocks*KeySize)
	if err != nil {
		return nil, fmt.Errorf("key page: %w", err)
	}
	keys := make([]Key, PageBlocks)
	for i := range keys {
		copy(keys[i][:], raw[i*KeySize:])
	}
	if PageHash(keys) != node {
		return nil, fmt.Errorf("key page does not fit the tree: %w", dormer.ErrCorrupt)
	}
	return keys, nil
}

// OpenFrame checks the hash of a stored frame, decrypts and decompresses it and
// appends its content to dst.
func (c *Codec) OpenFrame(dst, stored []byte, f Frame) ([]byte, error) {
	if len(stored) != f.Stored || HashOf(stored) != f.Hash {
		return nil, fmt.Errorf("hash does not fit: %w", dormer.ErrCorrupt)
	}
	return c.Open(dst, UseFrame, stored, f.RawLen())
}
