package imageformat

import (
	"encoding/binary"
	"fmt"
	"math"
	"sort"

	"github.com/dormer-project/dormer"
)

// Frame is one frame of a pack.
type Frame struct {
	// Pack is the index in Map.Packs.
	Pack int
	// Offset and Stored are where in the pack it lies and how long it is there.
	Offset int64
	Stored int
	// Blocks is the number of blocks in it, 1 to MaxFrameBlocks.
	Blocks int
	// Hash over the stored bytes.
	Hash Hash
}

// RawLen is the length of the frame's content in bytes.
func (f Frame) RawLen() int64 { return int64(f.Blocks) * BlockSize }

// Run says where consecutive blocks of a stream are. Blocks in no run are zero.
type Run struct {
	// Block is the first block and Count how many there are.
	Block, Count uint32
	// Addr is the first block's address: the number of blocks in the frames
	// before its frame in Map.Frames, plus its place in that frame. A run may go
	// on from a frame to the next.
	Addr uint32
}

// StreamMap are the runs of one stream, in order and without overlap.
type StreamMap struct {
	Blocks int64
	Runs   []Run
}

// Map says where each block of each stream of an image is.
type Map struct {
	Packs   []Hash
	Frames  []Frame
	Streams []StreamMap

	// starts[i] is the address of the first block of frame i; one more entry
	// holds the end.
	starts []uint32
}

const mapMagic = "DRMMAP1\n"

// NewMap checks frames and streams and returns their map. The slices are kept.
func NewMap(packs []Hash, frames []Frame, streams []StreamMap) (*Map, error) {
	m := &Map{Packs: packs, Frames: frames, Streams: streams}
	if err := m.index(); err != nil {
		return nil, err
	}
	return m, nil
}

func corrupt(what string, args ...any) error {
	return fmt.Errorf(what+": %w", append(args, dormer.ErrCorrupt)...)
}

func (m *Map) index() error {
	if len(m.Frames) > MaxFrames {
		return fmt.Errorf("map of %d frames: %w (at most %d)", len(m.Frames), dormer.ErrTooLarge, MaxFrames)
	}
	m.starts = make([]uint32, 0, len(m.Frames)+1)
	var total uint64
	for i, f := range m.Frames {
		switch {
		case f.Pack < 0 || f.Pack >= len(m.Packs):
			return corrupt("frame %d is in a pack that is not listed", i)
		case f.Blocks < 1 || f.Blocks > MaxFrameBlocks || f.Stored < 1 || f.Stored > MaxFrameStored:
			return corrupt("frame %d has a wrong length", i)
		case f.Offset < 0 || f.Offset > MaxPack-int64(f.Stored):
			return corrupt("frame %d is outside of its pack", i)
		}
		if i > 0 {
			p := m.Frames[i-1]
			if f.Pack < p.Pack || f.Pack == p.Pack && f.Offset < p.Offset+int64(p.Stored) {
				return corrupt("frame %d is out of order", i)
			}
		}
		m.starts = append(m.starts, uint32(total))
		total += uint64(f.Blocks)
	}
	if total > math.MaxUint32 {
		return corrupt("frames hold too many blocks")
	}
	m.starts = append(m.starts, uint32(total))
	runs := 0
	for i, s := range m.Streams {
		if s.Blocks < 0 || s.Blocks > math.MaxUint32 {
			return corrupt("stream %d has a wrong length", i)
		}
		if runs += len(s.Runs); runs > MaxRuns {
			return fmt.Errorf("map of %d runs: %w (at most %d)", runs, dormer.ErrTooLarge, MaxRuns)
		}
		var end uint64
		for j, r := range s.Runs {
			if r.Count == 0 || uint64(r.Block) < end || uint64(r.Addr)+uint64(r.Count) > total {
				return corrupt("run %d of stream %d is wrong", j, i)
			}
			if end = uint64(r.Block) + uint64(r.Count); end > uint64(s.Blocks) {
				return corrupt("run %d of stream %d is beyond its end", j, i)
			}
		}
	}
	return nil
}

// Fits returns ErrCorrupt unless m maps the streams of the manifest.
func (m *Map) Fits(man *Manifest) error {
	streams := man.Streams()
	if len(streams) != len(m.Streams) {
		return corrupt("map has %d streams, the manifest has %d", len(m.Streams), len(streams))
	}
	for i, s := range streams {
		if s.Blocks() != m.Streams[i].Blocks {
			return corrupt("stream %s has another length in the map than in the manifest", s.Name)
		}
	}
	sizes := make([]int64, len(m.Packs))
	for i, p := range m.Packs {
		o, ok := man.Object(ObjectName(KindPack, p))
		if !ok {
			return corrupt("the manifest does not list pack %d of the map", i)
		}
		sizes[i] = o.Size
	}
	for i, f := range m.Frames {
		if f.Offset+int64(f.Stored) > sizes[f.Pack] {
			return corrupt("frame %d is beyond the end of its pack", i)
		}
	}
	return nil
}

// Place is where a block is: a frame and the block's place in it.
type Place struct {
	Frame int
	Index int
}

// At returns the place of an address.
func (m *Map) At(addr uint32) Place {
	i := sort.Search(len(m.Frames), func(i int) bool { return m.starts[i+1] > addr })
	return Place{Frame: i, Index: int(addr - m.starts[i])}
}

// Addr is the inverse of At.
func (m *Map) Addr(p Place) uint32 { return m.starts[p.Frame] + uint32(p.Index) }

// Find returns the index of the first run of s that ends after block; len(Runs)
// when there is none.
func (s *StreamMap) Find(block uint32) int {
	return sort.Search(len(s.Runs), func(i int) bool {
		return uint64(s.Runs[i].Block)+uint64(s.Runs[i].Count) > uint64(block)
	})
}

// Encode returns the map as it is sealed with UseMap.
func (m *Map) Encode() []byte {
	b := []byte(mapMagic)
	b = binary.AppendUvarint(b, uint64(len(m.Packs)))
	for _, p := range m.Packs {
		b = append(b, p[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(m.Frames)))
	pack, end := 0, int64(0)
	for _, f := range m.Frames {
		if f.Pack != pack {
			end = 0
		}
		b = binary.AppendUvarint(b, uint64(f.Pack-pack))
		b = binary.AppendUvarint(b, uint64(f.Offset-end))
		b = binary.AppendUvarint(b, uint64(f.Stored))
		b = binary.AppendUvarint(b, uint64(f.Blocks))
		pack, end = f.Pack, f.Offset+int64(f.Stored)
	}
	for _, f := range m.Frames {
		b = append(b, f.Hash[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(m.Streams)))
	for _, s := range m.Streams {
		b = binary.AppendUvarint(b, uint64(s.Blocks))
		b = binary.AppendUvarint(b, uint64(len(s.Runs)))
		var block, addr uint32
		for _, r := range s.Runs {
			b = binary.AppendUvarint(b, uint64(r.Block-block))
			b = binary.AppendUvarint(b, uint64(r.Count))
			b = binary.AppendVarint(b, int64(r.Addr)-int64(addr))
			block, addr = r.Block+r.Count, r.Addr+r.Count
		}
	}
	return b
}

// ParseMap decodes what Encode made. Anything else is ErrCorrupt.
func ParseMap(b []byte) (*Map, error) {
	d := &decoder{b: b}
	d.magic(mapMagic)
	m := &Map{}
	m.Packs = make([]Hash, 0, d.count(len(Hash{}), MaxObjects))
	for range cap(m.Packs) {
		m.Packs = append(m.Packs, d.hash())
	}
	frames := d.count(4+len(Hash{}), MaxFrames)
	m.Frames = make([]Frame, 0, frames)
	pack, end := 0, int64(0)
	for range frames {
		step := d.bounded(MaxObjects)
		if step != 0 {
			end = 0
		}
		pack += step
		f := Frame{Pack: pack, Offset: end + int64(d.bounded(MaxPack)), Stored: d.bounded(MaxFrameStored), Blocks: d.bounded(MaxFrameBlocks)}
		end = f.Offset + int64(f.Stored)
		m.Frames = append(m.Frames, f)
	}
	for i := range m.Frames {
		m.Frames[i].Hash = d.hash()
	}
	streams := d.count(2, MaxDisks+2)
	left := MaxRuns
	for range streams {
		s := StreamMap{Blocks: int64(d.bounded(math.MaxUint32))}
		n := d.count(3, left)
		left -= n
		s.Runs = make([]Run, 0, n)
		var block, addr int64
		for range n {
			r := Run{}
			block += int64(d.bounded(math.MaxUint32))
			count := int64(d.bounded(math.MaxUint32))
			addr += d.varint()
			if block+count > math.MaxUint32 || addr < 0 || addr+count > math.MaxUint32 {
				d.fail("a run is outside of its stream")
				break
			}
			r.Block, r.Count, r.Addr = uint32(block), uint32(count), uint32(addr)
			block, addr = block+count, addr+count
			s.Runs = append(s.Runs, r)
		}
		m.Streams = append(m.Streams, s)
	}
	if err := d.finish("map"); err != nil {
		return nil, err
	}
	if err := m.index(); err != nil {
		return nil, fmt.Errorf("map: %w", err)
	}
	return m, nil
}
