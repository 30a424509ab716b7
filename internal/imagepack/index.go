package imagepack

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"

	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/imageformat"
)

// An entry of the index: a key, and the address of the block (see library).
const (
	entrySize = imageformat.KeySize + 4
	// perSample entries of the sorted file share one sample in memory.
	perSample = 64
)

// indexBuilder sorts entries on disk: by the first byte into buckets, then
// each bucket in memory.
type indexBuilder struct {
	dir     string
	buckets [256]*os.File
	w       [256]*bufio.Writer
}

func newIndexBuilder(dir string) (*indexBuilder, error) {
	b := &indexBuilder{dir: dir}
	for i := range b.buckets {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("bucket-%02x", i)))
		if err != nil {
			b.close()
			return nil, fmt.Errorf("make index: %w", durable.Kind(err))
		}
		b.buckets[i], b.w[i] = f, bufio.NewWriterSize(f, 8<<10)
	}
	return b, nil
}

func (b *indexBuilder) close() {
	for _, f := range b.buckets {
		if f != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}
}

// add adds an entry. Of equal keys the first wins.
func (b *indexBuilder) add(k imageformat.Key, addr uint32) error {
	var e [entrySize]byte
	copy(e[:], k[:])
	binary.BigEndian.PutUint32(e[imageformat.KeySize:], addr)
	if _, err := b.w[k[0]].Write(e[:]); err != nil {
		return fmt.Errorf("write index: %w", durable.Kind(err))
	}
	return nil
}

// finish sorts and returns the index. The builder is closed.
func (b *indexBuilder) finish() (*index, error) {
	defer b.close()
	f, err := os.Create(filepath.Join(b.dir, "index"))
	if err != nil {
		return nil, fmt.Errorf("make index: %w", durable.Kind(err))
	}
	x := &index{f: f}
	w := bufio.NewWriterSize(f, 256<<10)
	for i := range b.buckets {
		if err := b.bucket(i, x, w); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	if err := w.Flush(); err != nil {
		return nil, errors.Join(fmt.Errorf("write index: %w", durable.Kind(err)), f.Close())
	}
	return x, nil
}

func (b *indexBuilder) bucket(i int, x *index, w io.Writer) error {
	if err := b.w[i].Flush(); err != nil {
		return fmt.Errorf("write index: %w", durable.Kind(err))
	}
	if _, err := b.buckets[i].Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	all, err := io.ReadAll(b.buckets[i])
	if err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	entries := slices.Collect(slices.Chunk(all, entrySize))
	key := func(e []byte) []byte { return e[:imageformat.KeySize] }
	slices.SortStableFunc(entries, func(a, b []byte) int { return bytes.Compare(key(a), key(b)) })
	entries = slices.CompactFunc(entries, func(a, b []byte) bool { return bytes.Equal(key(a), key(b)) })
	for _, e := range entries {
		if x.n%perSample == 0 {
			x.samples = append(x.samples, binary.BigEndian.Uint64(e))
		}
		x.n++
		if _, err := w.Write(e); err != nil {
			return fmt.Errorf("write index: %w", durable.Kind(err))
		}
	}
	return nil
}

// index finds blocks by their key in a sorted file. Only the first half of every
// 64th key is in memory: 1.3 MB for ten million blocks.
type index struct {
	f       *os.File
	n       int
	samples []uint64
	buf     [2 * perSample * entrySize]byte
}

func (x *index) close() error {
	if x == nil {
		return nil
	}
	return x.f.Close()
}

// find looks a key up. It is not safe for concurrent use.
func (x *index) find(k imageformat.Key) (uint32, bool, error) {
	if x == nil || x.n == 0 {
		return 0, false, nil
	}
	prefix := binary.BigEndian.Uint64(k[:])
	// The entry is in the last group whose sample is not above the prefix, or,
	// when samples equal the prefix, in one of those or the one before.
	hi := sort.Search(len(x.samples), func(i int) bool { return x.samples[i] > prefix })
	lo := sort.Search(hi, func(i int) bool { return x.samples[i] >= prefix })
	for g := max(lo-1, 0); g < hi; g++ {
		count := min(perSample, x.n-g*perSample)
		b := x.buf[:count*entrySize]
		if _, err := x.f.ReadAt(b, int64(g)*perSample*entrySize); err != nil {
			return 0, false, fmt.Errorf("read index: %w", err)
		}
		i := sort.Search(count, func(i int) bool {
			return bytes.Compare(b[i*entrySize:i*entrySize+imageformat.KeySize], k[:]) >= 0
		})
		if i < count && bytes.Equal(b[i*entrySize:i*entrySize+imageformat.KeySize], k[:]) {
			e := b[i*entrySize:]
			return binary.BigEndian.Uint32(e[imageformat.KeySize:]), true, nil
		}
	}
	return 0, false, nil
}

// ownTable finds blocks that were seen before in the image that is packed. It
// keeps 8 bytes a block: a part of the key, and the number of the block, whose
// whole key the caller compares. When it is three quarters full it takes no
// more: then a block that appears again far on is stored twice.
type ownTable struct {
	slots []struct{ mark, block uint32 }
	used  int
}

// maxOwnSlots bounds the table to 32 MiB: 12 GiB of new blocks.
const maxOwnSlots = 4 << 20

func newOwnTable(blocks int64) *ownTable {
	n := 1024
	for n < maxOwnSlots && int64(n) < blocks*3/2 {
		n *= 2
	}
	return &ownTable{slots: make([]struct{ mark, block uint32 }, n)}
}

func (t *ownTable) hash(k imageformat.Key) (slot int, mark uint32) {
	h := binary.LittleEndian.Uint64(k[:])
	return int(h % uint64(len(t.slots))), binary.LittleEndian.Uint32(k[8:])
}

// find calls same with each block that may have the key until it returns true.
func (t *ownTable) find(k imageformat.Key, same func(block uint32) (bool, error)) (uint32, bool, error) {
	i, mark := t.hash(k)
	for ; t.slots[i].block != 0; i = (i + 1) % len(t.slots) {
		if t.slots[i].mark != mark {
			continue
		}
		b := t.slots[i].block - 1
		if ok, err := same(b); ok || err != nil {
			return b, ok, err
		}
	}
	return 0, false, nil
}

func (t *ownTable) add(k imageformat.Key, block uint32) {
	if t.used >= len(t.slots)/4*3 {
		return
	}
	i, mark := t.hash(k)
	for t.slots[i].block != 0 {
		i = (i + 1) % len(t.slots)
	}
	t.slots[i].mark, t.slots[i].block = mark, block+1
	t.used++
}
