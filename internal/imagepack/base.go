package imagepack

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/seal"
)

// library is what the bases hold: all frames, and where each block is.
type library struct {
	// packs and frames of all bases together, the frames in order of pack and
	// offset, each once.
	packs  []imageformat.Hash
	frames []imageformat.Frame
	// starts[i] is the address of the first block of frames[i]: the number of
	// blocks in the frames before. The last entry is that of the first new frame;
	// new frames count as full.
	starts []uint32
	// index finds blocks by key; nil without bases.
	index *index
	// previous is the first base, in which blocks are looked for at their own
	// place first; nil without.
	previous *base
	// sizes of the packs and of the key objects of the bases.
	sizes map[string]int64
}

// base is one of them while it is read.
type base struct {
	man *imageformat.Manifest
	m   *imageformat.Map
	dir *imageformat.Directory
	// frames[i] is the number in library.frames of the base's frame i.
	frames []uint32
	// keys holds the keys of all blocks of all streams; only of the previous one.
	keys *os.File
}

func (l *library) close() error {
	var err error
	if l.previous != nil && l.previous.keys != nil {
		err = l.previous.keys.Close()
	}
	return errors.Join(err, l.index.close())
}

func loadLibrary(ctx context.Context, o *Options, codec *imageformat.Codec, temp string, skip map[imageformat.Hash]map[int64]bool) (*library, error) {
	l := &library{sizes: map[string]int64{}}
	if len(o.Bases) == 0 {
		l.starts = []uint32{0}
		return l, nil
	}
	bases := make([]*base, len(o.Bases))
	for i, b := range o.Bases {
		var err error
		if bases[i], err = loadBase(ctx, b, codec); err != nil {
			return nil, fmt.Errorf("base %s: %w", b.Image, err)
		}
		for _, obj := range bases[i].man.Objects {
			l.sizes[obj.Name] = obj.Size
		}
	}
	l.unify(bases)
	b, err := newIndexBuilder(temp)
	if err != nil {
		return nil, err
	}
	defer b.close()
	keys, err := os.Create(filepath.Join(temp, "base-keys"))
	if err != nil {
		return nil, fmt.Errorf("make key file: %w", durable.Kind(err))
	}
	bases[0].keys = keys
	l.previous = bases[0]
	for i, base := range bases {
		if err := base.readKeys(ctx, l, o.Bases[i].Source, codec, temp, b, skip); err != nil {
			return nil, errors.Join(fmt.Errorf("base %s: %w", o.Bases[i].Image, err), keys.Close())
		}
	}
	if l.index, err = b.finish(); err != nil {
		return nil, errors.Join(err, keys.Close())
	}
	return l, nil
}

func loadBase(ctx context.Context, b Base, codec *imageformat.Codec) (*base, error) {
	name, err := imageformat.ManifestName(b.Image)
	if err != nil {
		return nil, err
	}
	envelope, err := readAll(ctx, b.Source, name, seal.MaxEnvelope)
	if err != nil {
		return nil, err
	}
	man, _, err := imageformat.OpenManifest(b.Trust, b.Image, envelope)
	if err != nil {
		return nil, err
	}
	if c, id := codec.Cipher(); man.Cipher != c || man.KeyID != id {
		return nil, dormer.Invalidf("bases", "is encrypted in another way than the new image")
	}
	if man.Keys == nil {
		return nil, dormer.Invalidf("bases", "has no keys of its blocks, so nothing in it can be found")
	}
	out := &base{man: man}
	raw, err := openRef(ctx, b.Source, codec, man, man.Map, imageformat.UseMap)
	if err != nil {
		return nil, err
	}
	if out.m, err = imageformat.ParseMap(raw); err != nil {
		return nil, fmt.Errorf("%s: %w", man.Map.Object, err)
	}
	if err := out.m.Fits(man); err != nil {
		return nil, fmt.Errorf("%s: %w", man.Map.Object, err)
	}
	if raw, err = openRef(ctx, b.Source, codec, man, *man.Keys, imageformat.UseDirectory); err != nil {
		return nil, err
	}
	if out.dir, err = imageformat.ParseDirectory(raw, man); err != nil {
		return nil, fmt.Errorf("%s: %w", man.Keys.Object, err)
	}
	return out, nil
}

func openRef(ctx context.Context, s Source, codec *imageformat.Codec, man *imageformat.Manifest, ref imageformat.Ref, use imageformat.Use) ([]byte, error) {
	o, _ := man.Object(ref.Object)
	stored, err := readObject(ctx, s, o)
	if err != nil {
		return nil, err
	}
	return codec.OpenObject(ref.Object, use, stored, ref.Raw)
}

// unify numbers the frames of all bases. Frames that follow each other in a base
// do so here, unless another base has one between them.
func (l *library) unify(bases []*base) {
	packNumber := map[imageformat.Hash]int{}
	for _, b := range bases {
		for _, f := range b.m.Frames {
			p := b.m.Packs[f.Pack]
			n, ok := packNumber[p]
			if !ok {
				n = len(l.packs)
				packNumber[p] = n
				l.packs = append(l.packs, p)
			}
			f.Pack = n
			l.frames = append(l.frames, f)
		}
	}
	order := func(a, b imageformat.Frame) int {
		return cmp.Or(cmp.Compare(a.Pack, b.Pack), cmp.Compare(a.Offset, b.Offset))
	}
	slices.SortStableFunc(l.frames, order)
	l.frames = slices.CompactFunc(l.frames, func(a, b imageformat.Frame) bool { return order(a, b) == 0 })
	var total uint32
	for _, f := range l.frames {
		l.starts = append(l.starts, total)
		total += uint32(f.Blocks)
	}
	l.starts = append(l.starts, total)
	for _, b := range bases {
		for _, f := range b.m.Frames {
			f.Pack = packNumber[b.m.Packs[f.Pack]]
			i, _ := slices.BinarySearchFunc(l.frames, f, order)
			b.frames = append(b.frames, uint32(i))
		}
	}
}

// readKeys reads the key pages, fills the index and, of the previous version,
// the key file. Blocks in frames of skip count as not there.
func (b *base) readKeys(ctx context.Context, l *library, s Source, codec *imageformat.Codec, temp string, x *indexBuilder, skip map[imageformat.Hash]map[int64]bool) error {
	objects := make([]*os.File, len(b.dir.Objects))
	defer func() {
		for _, f := range objects {
			if f != nil {
				f.Close()
				os.Remove(f.Name())
			}
		}
	}()
	for i, h := range b.dir.Objects {
		name := imageformat.ObjectName(imageformat.KindKeys, h)
		o, ok := b.man.Object(name)
		if !ok {
			return fmt.Errorf("the manifest does not list %s: %w", name, dormer.ErrCorrupt)
		}
		f, err := download(ctx, s, o, filepath.Join(temp, fmt.Sprintf("keys-%d", i)))
		if err != nil {
			return err
		}
		objects[i] = f
	}
	first := int64(0)
	for i := range b.dir.Streams {
		if err := b.streamKeys(ctx, l, i, first, objects, codec, x, skip); err != nil {
			return err
		}
		first += b.m.Streams[i].Blocks
	}
	return nil
}

func (b *base) streamKeys(ctx context.Context, l *library, stream int, first int64, objects []*os.File, codec *imageformat.Codec, x *indexBuilder, skip map[imageformat.Hash]map[int64]bool) error {
	cur := cursor{m: b.m, s: &b.m.Streams[stream]}
	buf := make([]byte, imageformat.MaxPageStored)
	for i, page := range b.dir.Streams[stream] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if page.Object < 0 {
			continue
		}
		stored := buf[:page.Stored]
		if _, err := objects[page.Object].ReadAt(stored, page.Offset); err != nil {
			return fmt.Errorf("read key page %d: %w: %w", i, dormer.ErrCorrupt, err)
		}
		keys, err := codec.OpenPage(stored, page.Node)
		if err != nil {
			return fmt.Errorf("page %d of stream %d: %w", i, stream, err)
		}
		at := int64(i) * imageformat.PageBlocks
		keys = keys[:min(int64(len(keys)), b.m.Streams[stream].Blocks-at)]
		raw := make([]byte, 0, len(keys)*imageformat.KeySize)
		for j, k := range keys {
			block := uint32(at) + uint32(j)
			p, ok := cur.at(block)
			if ok != (k != imageformat.Key{}) {
				return fmt.Errorf("map and keys differ about block %d: %w", block, dormer.ErrCorrupt)
			}
			if ok {
				f := b.m.Frames[p.Frame]
				if skip[b.m.Packs[f.Pack]][f.Offset] {
					k, ok = imageformat.Key{}, false
				}
			}
			raw = append(raw, k[:]...)
			if ok {
				if err := x.add(k, l.starts[b.frames[p.Frame]]+uint32(p.Index)); err != nil {
					return err
				}
			}
		}
		if b.keys == nil {
			continue
		}
		if _, err := b.keys.WriteAt(raw, (first+at)*imageformat.KeySize); err != nil {
			return fmt.Errorf("write key file: %w", durable.Kind(err))
		}
	}
	// What was not written reads as zero keys.
	if b.keys != nil {
		if err := b.keys.Truncate((first + b.m.Streams[stream].Blocks) * imageformat.KeySize); err != nil {
			return fmt.Errorf("write key file: %w", durable.Kind(err))
		}
	}
	return nil
}

// download fetches an object into a file and checks its hash.
func download(ctx context.Context, s Source, o imageformat.Object, path string) (*os.File, error) {
	r, err := s.Get(ctx, o.Name, 0, -1)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", o.Name, err)
	}
	defer r.Close()
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", o.Name, durable.Kind(err))
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(r, o.Size+1))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("get %s: %w", o.Name, durable.Kind(err)), f.Close(), os.Remove(path))
	}
	_, want, err := imageformat.ParseObjectName(o.Name)
	if err != nil || n != o.Size || imageformat.Hash(h.Sum(nil)) != want {
		return nil, errors.Join(fmt.Errorf("%s: hash does not fit: %w", o.Name, dormer.ErrCorrupt), f.Close(), os.Remove(path))
	}
	return f, nil
}

// cursor finds the places of blocks that are asked for in order.
type cursor struct {
	m   *imageformat.Map
	s   *imageformat.StreamMap
	run int
	// frame is that of the last answer: the next is mostly the same.
	last  imageformat.Place
	laddr uint32
	valid bool
}

func (c *cursor) at(block uint32) (imageformat.Place, bool) {
	for c.run < len(c.s.Runs) && uint64(c.s.Runs[c.run].Block)+uint64(c.s.Runs[c.run].Count) <= uint64(block) {
		c.run++
	}
	if c.run == len(c.s.Runs) || c.s.Runs[c.run].Block > block {
		return imageformat.Place{}, false
	}
	r := c.s.Runs[c.run]
	addr := r.Addr + (block - r.Block)
	if c.valid && addr == c.laddr+1 && c.last.Index+1 < c.m.Frames[c.last.Frame].Blocks {
		c.last.Index++
	} else {
		c.last = c.m.At(addr)
	}
	c.laddr, c.valid = addr, true
	return c.last, true
}
