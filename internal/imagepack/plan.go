package imagepack

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"sort"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/imageformat"
)

const chunkBytes = imageformat.SuperBlocks * imageformat.BlockSize

// chunk is 1 MiB of a stream, on its way from the reader over the hashers to the
// planner.
type chunk struct {
	stream *stream
	// off in the stream, a multiple of chunkBytes.
	off  int64
	data []byte
	keys [imageformat.SuperBlocks]imageformat.Key
	done chan struct{}
}

// newFrame is a frame on its way from the planner over the compressors to the
// writer.
type newFrame struct {
	number  int
	blocks  int
	content imageformat.Hash
	raw     []byte
	stored  []byte
	done    chan struct{}
}

// planner decides for each block whether it is stored already.
type planner struct {
	lib     *library
	codec   *imageformat.Codec
	w       *packWriter
	streams []*stream
	// keys of all blocks of all streams, at KeySize times their number.
	keys *os.File
	own  *ownTable
	// runs of each stream, with addresses of the library, and cursors in the previous version for those that it
	// has, by name.
	runs     [][]imageformat.Run
	previous []*cursor
	prevAt   []int64
	full     int64
	// read is how far the planner came, in bytes of all streams.
	read     atomic.Int64
	prepared prepared

	// building is the frame that is filled; contents hashes its keys.
	building *newFrame
	contents []byte
	// frames counts the new ones. All but the last are full.
	frames int
	emit   func(*newFrame) error
}

func (o *Options) pack(ctx context.Context, p *planner, parallel int) error {
	g, ctx := errgroup.WithContext(ctx)
	depth := 2*parallel + 1
	var (
		buffers  = make(chan []byte, depth)
		frameBuf = make(chan []byte, depth)
		toHash   = make(chan *chunk, depth)
		toPlan   = make(chan *chunk, depth)
		toSeal   = make(chan *newFrame, depth)
		toWrite  = make(chan *newFrame, depth)
		total    int64
	)
	for range depth {
		buffers <- make([]byte, chunkBytes)
		frameBuf <- make([]byte, 0, frameBlocks*imageformat.BlockSize)
	}
	for _, s := range p.streams {
		total += s.blocks() * imageformat.BlockSize
	}
	g.Go(func() error {
		defer close(toHash)
		defer close(toPlan)
		return readStreams(ctx, p.streams, buffers, toHash, toPlan)
	})
	for range parallel {
		g.Go(func() error {
			for c := range toHash {
				for i := range c.keys {
					block := c.data[i*imageformat.BlockSize : (i+1)*imageformat.BlockSize]
					c.keys[i] = imageformat.KeyOf(block)
					p.prepared.look(block)
				}
				close(c.done)
			}
			return nil
		})
		g.Go(func() error {
			for f := range toSeal {
				if f.stored = p.w.reuse(f.number, f.content); f.stored == nil {
					f.stored = p.codec.Seal(nil, imageformat.UseFrame, f.raw)
				}
				close(f.done)
			}
			return nil
		})
	}
	p.emit = func(f *newFrame) error {
		for _, to := range []chan *newFrame{toWrite, toSeal} {
			if err := send(ctx, to, f); err != nil {
				return err
			}
		}
		return nil
	}
	g.Go(func() error {
		defer close(toSeal)
		defer close(toWrite)
		return p.planAll(ctx, toPlan, buffers, frameBuf)
	})
	g.Go(func() error {
		for f := range toWrite {
			if err := receive(ctx, f.done); err != nil {
				return err
			}
			if err := p.w.add(f.stored, f.blocks, f.content); err != nil {
				return err
			}
			frameBuf <- f.raw[:0]
		}
		return nil
	})
	if o.Progress != nil {
		return p.watch(o.Progress, total, g.Wait)
	}
	return g.Wait()
}

func send[T any](ctx context.Context, to chan<- T, v T) error {
	select {
	case to <- v:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func receive(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// readStreams reads what may hold data, in order.
func readStreams(ctx context.Context, streams []*stream, buffers chan []byte, toHash, toPlan chan<- *chunk) error {
	for _, s := range streams {
		for off := int64(0); off < s.size; {
			start, _, ok, err := nextData(s.f, off, s.size)
			if err != nil {
				return fmt.Errorf("%s: %w", s.path, err)
			}
			if !ok {
				break
			}
			c := &chunk{stream: s, off: start / chunkBytes * chunkBytes, done: make(chan struct{})}
			off = c.off + chunkBytes
			select {
			case c.data = <-buffers:
			case <-ctx.Done():
				return ctx.Err()
			}
			if err := readFull(s.f, c.data, c.off, s.size); err != nil {
				return fmt.Errorf("%s: %w", s.path, err)
			}
			if err := send(ctx, toPlan, c); err != nil {
				return err
			}
			if err := send(ctx, toHash, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *planner) planAll(ctx context.Context, toPlan <-chan *chunk, buffers, frameBuf chan []byte) error {
	for c := range toPlan {
		if err := receive(ctx, c.done); err != nil {
			return err
		}
		if err := p.plan(ctx, c, frameBuf); err != nil {
			return err
		}
		buffers <- c.data
	}
	// The reader may have stopped because of an error elsewhere.
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.building != nil {
		return p.closeFrame()
	}
	return nil
}

// plan places the blocks of one chunk.
func (p *planner) plan(ctx context.Context, c *chunk, frameBuf chan []byte) error {
	n := int(min(imageformat.SuperBlocks, c.stream.blocks()-c.off/imageformat.BlockSize))
	first := c.off / imageformat.BlockSize
	raw := make([]byte, 0, imageformat.SuperBlocks*imageformat.KeySize)
	for _, k := range c.keys[:n] {
		raw = append(raw, k[:]...)
	}
	if _, err := p.keys.WriteAt(raw, (c.stream.first+first)*imageformat.KeySize); err != nil {
		return fmt.Errorf("write key file: %w", durable.Kind(err))
	}
	si := p.streamIndex(c.stream)
	before, err := p.keysBefore(si, first, n)
	if err != nil {
		return err
	}
	p.read.Store(c.stream.first*imageformat.BlockSize + c.off + int64(n)*imageformat.BlockSize)
	for i, k := range c.keys[:n] {
		if k == (imageformat.Key{}) {
			continue
		}
		p.full += imageformat.BlockSize
		block := uint32(first) + uint32(i)
		at, found, err := p.find(si, block, k, before, i)
		if err != nil {
			return err
		}
		if !found {
			if at, err = p.store(ctx, c.data[i*imageformat.BlockSize:(i+1)*imageformat.BlockSize], k, frameBuf); err != nil {
				return err
			}
			p.own.add(k, uint32(c.stream.first)+block)
		}
		if err := p.extend(si, block, at); err != nil {
			return err
		}
	}
	return nil
}

func (p *planner) streamIndex(s *stream) int {
	for i := range p.streams {
		if p.streams[i] == s {
			return i
		}
	}
	panic("imagepack: a chunk belongs to a stream")
}

// keysBefore returns the keys that the previous version has at these blocks, nil
// when it has no such stream.
func (p *planner) keysBefore(si int, first int64, n int) ([]byte, error) {
	c := p.previous[si]
	if c == nil || first >= c.s.Blocks {
		return nil, nil
	}
	b := make([]byte, min(int64(n), c.s.Blocks-first)*imageformat.KeySize)
	if _, err := p.lib.previous.keys.ReadAt(b, (p.prevAt[si]+first)*imageformat.KeySize); err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	return b, nil
}

// find looks for a block at its own place in the previous version, in all bases,
// and in what was packed of this image.
func (p *planner) find(si int, block uint32, k imageformat.Key, before []byte, i int) (uint32, bool, error) {
	if at := i * imageformat.KeySize; at < len(before) && imageformat.Key(before[at:at+imageformat.KeySize]) == k {
		if pl, ok := p.previous[si].at(block); ok {
			return p.lib.starts[p.lib.previous.frames[pl.Frame]] + uint32(pl.Index), true, nil
		}
	}
	if at, ok, err := p.lib.index.find(k); ok || err != nil {
		return at, ok, err
	}
	var buf imageformat.Key
	other, ok, err := p.own.find(k, func(b uint32) (bool, error) {
		if _, err := p.keys.ReadAt(buf[:], int64(b)*imageformat.KeySize); err != nil {
			return false, fmt.Errorf("read key file: %w", err)
		}
		return buf == k, nil
	})
	if !ok || err != nil {
		return 0, false, err
	}
	at, ok := p.placeOf(other)
	return at, ok, nil
}

// placeOf returns where a block is that was placed before, by its number over
// all streams.
func (p *planner) placeOf(number uint32) (uint32, bool) {
	si := sort.Search(len(p.streams), func(i int) bool { return p.streams[i].first > int64(number) }) - 1
	block := number - uint32(p.streams[si].first)
	runs := p.runs[si]
	i := sort.Search(len(runs), func(i int) bool { return runs[i].Block > block }) - 1
	if i < 0 || block-runs[i].Block >= runs[i].Count {
		return 0, false
	}
	return runs[i].Addr + block - runs[i].Block, true
}

// store puts a block into the frame that is filled.
func (p *planner) store(ctx context.Context, data []byte, k imageformat.Key, frameBuf chan []byte) (uint32, error) {
	if p.building == nil {
		p.building = &newFrame{number: p.frames, done: make(chan struct{})}
		select {
		case p.building.raw = <-frameBuf:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		p.frames++
		p.contents = p.contents[:0]
	}
	f := p.building
	at := p.lib.starts[len(p.lib.frames)] + uint32(f.number*frameBlocks+f.blocks)
	f.raw = append(f.raw, data...)
	p.contents = append(p.contents, k[:]...)
	if f.blocks++; f.blocks == frameBlocks {
		return at, p.closeFrame()
	}
	return at, nil
}

func (p *planner) closeFrame() error {
	f := p.building
	p.building = nil
	f.content = sha256.Sum256(p.contents)
	return p.emit(f)
}

// extend adds a block to the runs of its stream.
func (p *planner) extend(si int, block, at uint32) error {
	runs := p.runs[si]
	if n := len(runs); n > 0 {
		if last := &runs[n-1]; last.Block+last.Count == block && last.Addr+last.Count == at {
			last.Count++
			return nil
		}
	}
	if len(runs) >= imageformat.MaxRuns {
		return fmt.Errorf("disk is in more than %d pieces: %w", imageformat.MaxRuns, dormer.ErrTooLarge)
	}
	p.runs[si] = append(runs, imageformat.Run{Block: block, Count: 1, Addr: at})
	return nil
}

// watch reports progress until the group is done.
func (p *planner) watch(report func(Progress), total int64, wait func() error) error {
	done := make(chan error, 1)
	go func() { done <- wait() }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			report(Progress{Phase: "pack", Done: p.read.Load(), Total: total, New: p.w.written.Load()})
			return err
		case <-tick.C:
			report(Progress{Phase: "pack", Done: p.read.Load(), Total: total, New: p.w.written.Load()})
		}
	}
}
