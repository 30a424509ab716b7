package imagepack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/seal"
)

// Pack makes a packed image in o.Dir. The same input, bases and key give the
// same image. What is wrong with the input is ErrInvalid or ErrConflict, a full
// disk ErrFull; after those and after a cut, Pack of the same folder goes on.
func Pack(ctx context.Context, o Options) (*Packed, error) {
	if o.Signer == nil || o.Dir == "" {
		return nil, dormer.Invalidf("", "packing needs a publisher's key and a folder")
	}
	work := filepath.Join(o.Dir, workDir)
	if err := os.MkdirAll(work, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of packed image: %w", durable.Kind(err))
	}
	if _, err := os.Stat(filepath.Join(o.Dir, recordFile)); err == nil {
		return nil, fmt.Errorf("folder %s holds a packed image: %w", o.Dir, dormer.ErrExists)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look into folder of packed image: %w", err)
	}
	unlock, err := lockFolder(work)
	if err != nil {
		return nil, err
	}
	defer unlock()
	parent := o.Temp
	if parent == "" {
		parent = work
	}
	temp, err := os.MkdirTemp(parent, "temp-*")
	if err != nil {
		return nil, fmt.Errorf("make temporary folder: %w", durable.Kind(err))
	}
	defer os.RemoveAll(temp)
	p, err := o.packIn(ctx, work, temp)
	if err != nil {
		return nil, fmt.Errorf("pack image: %w", err)
	}
	return p, nil
}

func (o *Options) packIn(ctx context.Context, work, temp string) (*Packed, error) {
	if o.Progress != nil {
		o.Progress(Progress{Phase: "convert"})
	}
	streams, err := openInputs(ctx, o, temp)
	defer func() {
		for _, s := range streams {
			s.f.Close()
		}
	}()
	if err != nil {
		return nil, err
	}
	parallel := o.Parallel
	if parallel <= 0 {
		parallel = min(runtime.NumCPU(), 8)
	}
	codec, err := imageformat.NewCodec(o.Key, parallel)
	if err != nil {
		return nil, err
	}
	// What the first attempt finds to be of little use counts as absent in the
	// second.
	var skip map[imageformat.Hash]map[int64]bool
	for {
		p, again, err := o.attempt(ctx, streams, codec, work, temp, parallel, skip)
		if err != nil || again == nil {
			return p, err
		}
		skip = again
	}
}

func (o *Options) attempt(ctx context.Context, streams []*stream, codec *imageformat.Codec, work, temp string, parallel int, skip map[imageformat.Hash]map[int64]bool) (packed *Packed, again map[imageformat.Hash]map[int64]bool, err error) {
	if o.Progress != nil {
		o.Progress(Progress{Phase: "base"})
	}
	lib, err := loadLibrary(ctx, o, codec, temp, skip)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, lib.close()) }()
	p := &planner{lib: lib, codec: codec, streams: streams, runs: make([][]imageformat.Run, len(streams))}
	blocks := int64(0)
	for _, s := range streams {
		p.previous = append(p.previous, nil)
		p.prevAt = append(p.prevAt, 0)
		blocks += s.blocks()
	}
	p.findPrevious()
	p.own = newOwnTable(blocks)
	if p.keys, err = os.Create(filepath.Join(temp, "keys")); err != nil {
		return nil, nil, fmt.Errorf("make key file: %w", durable.Kind(err))
	}
	defer func() { err = errors.Join(err, p.keys.Close()) }()
	cipherName, keyID := codec.Cipher()
	if p.w, err = openPackWriter(work, fingerprint(o, streams, cipherName, keyID)); err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, p.w.close()) }()
	if err := o.pack(ctx, p, parallel); err != nil {
		return nil, nil, err
	}
	for _, s := range streams {
		if err := s.unchanged(); err != nil {
			return nil, nil, err
		}
	}
	if skip == nil {
		if again := p.tooSparse(); again != nil {
			return nil, again, nil
		}
	}
	if o.Progress != nil {
		o.Progress(Progress{Phase: "finish", New: p.w.written.Load()})
	}
	// The keys of what was not read are zero.
	if err := p.keys.Truncate(blocks * imageformat.KeySize); err != nil {
		return nil, nil, fmt.Errorf("write key file: %w", durable.Kind(err))
	}
	packed, err = o.finish(p, work)
	return packed, nil, err
}

// findPrevious pairs the streams with those of the previous version by name.
func (p *planner) findPrevious() {
	prev := p.lib.previous
	if prev == nil {
		return
	}
	first := int64(0)
	for i, was := range prev.man.Streams() {
		for j, s := range p.streams {
			if s.name == was.Name {
				p.previous[j] = &cursor{m: prev.m, s: &prev.m.Streams[i]}
				p.prevAt[j] = first
			}
		}
		first += was.Blocks()
	}
}

// A version of whose frames less than minUseful percent are useful is packed
// anew as far as that brings it to wantUseful.
const (
	minUseful  = 75
	wantUseful = 80
)

// tooSparse returns the frames of bases that should rather not be used, nil when
// enough of all frames is useful.
func (p *planner) tooSparse() map[imageformat.Hash]map[int64]bool {
	used := make([][4]uint64, len(p.lib.frames))
	for _, runs := range p.runs {
		for _, r := range runs {
			p.lib.mark(used, r)
		}
	}
	type use struct{ frame, useful int }
	var uses []use
	useful, total := p.frames*frameBlocks, p.frames*frameBlocks
	for i, u := range used {
		n := bits.OnesCount64(u[0]) + bits.OnesCount64(u[1]) + bits.OnesCount64(u[2]) + bits.OnesCount64(u[3])
		if n > 0 {
			uses = append(uses, use{i, n})
			useful += n
			total += p.lib.frames[i].Blocks
		}
	}
	if useful*100 >= total*minUseful {
		return nil
	}
	sort.SliceStable(uses, func(i, j int) bool {
		return uses[i].useful*p.lib.frames[uses[j].frame].Blocks < uses[j].useful*p.lib.frames[uses[i].frame].Blocks
	})
	out := map[imageformat.Hash]map[int64]bool{}
	for _, u := range uses {
		if useful*100 >= total*wantUseful {
			break
		}
		f := p.lib.frames[u.frame]
		pack := p.lib.packs[f.Pack]
		if out[pack] == nil {
			out[pack] = map[int64]bool{}
		}
		out[pack][f.Offset] = true
		total -= f.Blocks - u.useful
	}
	return out
}

// mark sets the bits of the blocks of base frames that r uses.
func (l *library) mark(used [][4]uint64, r imageformat.Run) {
	end := min(r.Addr+r.Count, l.starts[len(l.frames)])
	f := sort.Search(len(l.frames), func(i int) bool { return l.starts[i+1] > r.Addr })
	for a := r.Addr; a < end; a++ {
		for a >= l.starts[f+1] {
			f++
		}
		i := a - l.starts[f]
		used[f][i/64] |= 1 << (i % 64)
	}
}

// finish writes map, keys and manifest, and gives everything its name.
func (o *Options) finish(p *planner, work string) (*Packed, error) {
	if err := p.w.finish(o.Dir); err != nil {
		return nil, err
	}
	m, err := p.buildMap()
	if err != nil {
		return nil, err
	}
	out := newFolder(o.Dir, p.lib.sizes)
	for _, pack := range p.w.packs {
		out.here(pack)
	}
	for _, pack := range m.Packs {
		out.need(imageformat.ObjectName(imageformat.KindPack, pack))
	}
	raw := m.Encode()
	if len(raw) > imageformat.MaxMap {
		return nil, fmt.Errorf("map of %d bytes: %w", len(raw), dormer.ErrTooLarge)
	}
	mapName, err := out.write(imageformat.KindMap, p.codec.Seal(nil, imageformat.UseMap, raw))
	if err != nil {
		return nil, err
	}
	man := o.manifest(p, m)
	man.Map = imageformat.Ref{Object: mapName, Raw: int64(len(raw))}
	roots, dir, err := p.writeKeys(out)
	if err != nil {
		return nil, err
	}
	raw = dir.Encode()
	keysName, err := out.write(imageformat.KindKeys, p.codec.Seal(nil, imageformat.UseDirectory, raw))
	if err != nil {
		return nil, err
	}
	man.Keys = &imageformat.Ref{Object: keysName, Raw: int64(len(raw))}
	setRoots(man, roots)
	man.Objects = out.needed()
	payload, err := man.Encode()
	if err != nil {
		return nil, err
	}
	packed := &Packed{Dir: o.Dir, Image: imageformat.IDOf(payload), Manifest: man, Objects: out.added(), Preparation: p.prepared.newest}
	packed.Envelope = o.Signer.Sign(seal.TypeManifest, payload).Bytes()
	name, err := imageformat.ManifestName(packed.Image)
	if err != nil {
		return nil, err
	}
	if err := out.put(name, packed.Envelope); err != nil {
		return nil, err
	}
	rec, err := json.Marshal(record{Image: packed.Image, Objects: packed.Objects, Preparation: packed.Preparation})
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", recordFile, err)
	}
	if err := out.sync(); err != nil {
		return nil, err
	}
	if err := out.put(recordFile, rec); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(work); err != nil {
		return nil, fmt.Errorf("remove working folder: %w", err)
	}
	return packed, syncPath(o.Dir)
}

func (o *Options) manifest(p *planner, m *imageformat.Map) *imageformat.Manifest {
	or := func(s, other string) string {
		if s == "" {
			return other
		}
		return s
	}
	man := &imageformat.Manifest{
		Format: imageformat.FormatVersion, Architecture: or(o.Machine.Architecture, "x86_64"), Firmware: or(o.Machine.Firmware, imageformat.FirmwareBIOS),
		TPM: o.Machine.TPM, DiskBus: or(o.Machine.DiskBus, "virtio"), MachineFloor: o.Machine.MachineFloor, Data: o.Machine.Data,
	}
	man.Cipher, man.KeyID = p.codec.Cipher()
	for i, s := range p.streams {
		st := imageformat.Stream{Name: s.name, Size: s.size}
		switch {
		case i < len(o.Disks):
			man.Disks = append(man.Disks, st)
			man.Sizes.Virtual += s.size
		case s.name == "kernel":
			man.Boot = &imageformat.Boot{Kernel: st, Append: o.Append}
		case man.Boot != nil:
			man.Boot.Initrd = &st
		}
	}
	man.Sizes.Full = p.full
	for _, f := range m.Frames {
		man.Sizes.Packed += int64(f.Stored)
	}
	return man
}

func setRoots(m *imageformat.Manifest, roots []imageformat.Hash) {
	for i := range m.Disks {
		m.Disks[i].Root = roots[i]
	}
	if m.Boot != nil {
		m.Boot.Kernel.Root = roots[len(m.Disks)]
		if m.Boot.Initrd != nil {
			m.Boot.Initrd.Root = roots[len(m.Disks)+1]
		}
	}
}

// buildMap keeps the frames that are used and translates addresses.
func (p *planner) buildMap() (*imageformat.Map, error) {
	newStart := p.lib.starts[len(p.lib.frames)]
	frames := slices.Concat(p.lib.frames, p.w.frames)
	packs := slices.Clone(p.lib.packs)
	for i := range p.w.frames {
		frames[len(p.lib.frames)+i].Pack += len(p.lib.packs)
	}
	for _, o := range p.w.packs {
		_, h, err := imageformat.ParseObjectName(o.Name)
		if err != nil {
			return nil, err
		}
		packs = append(packs, h)
	}
	frameOf := func(addr uint32) int {
		if addr >= newStart {
			return len(p.lib.frames) + int(addr-newStart)/frameBlocks
		}
		return sort.Search(len(p.lib.frames), func(i int) bool { return p.lib.starts[i+1] > addr })
	}
	startOf := func(f int) uint32 {
		if i := f - len(p.lib.frames); i >= 0 {
			return newStart + uint32(i*frameBlocks)
		}
		return p.lib.starts[f]
	}
	used := make([]bool, len(frames))
	for _, runs := range p.runs {
		for _, r := range runs {
			for f := frameOf(r.Addr); f <= frameOf(r.Addr+r.Count-1); f++ {
				used[f] = true
			}
		}
	}
	// kept[f] is the final address of frame f.
	kept := make([]uint32, len(frames))
	packUsed := make([]int, len(packs))
	var outFrames []imageformat.Frame
	var outPacks []imageformat.Hash
	var addr uint32
	for f, fr := range frames {
		if !used[f] {
			continue
		}
		if packUsed[fr.Pack] == 0 {
			outPacks = append(outPacks, packs[fr.Pack])
			packUsed[fr.Pack] = len(outPacks)
		}
		fr.Pack = packUsed[fr.Pack] - 1
		outFrames = append(outFrames, fr)
		kept[f] = addr
		addr += uint32(fr.Blocks)
	}
	streams := make([]imageformat.StreamMap, len(p.streams))
	for i, s := range p.streams {
		for j, r := range p.runs[i] {
			f := frameOf(r.Addr)
			p.runs[i][j].Addr = kept[f] + r.Addr - startOf(f)
		}
		streams[i] = imageformat.StreamMap{Blocks: s.blocks(), Runs: p.runs[i]}
	}
	return imageformat.NewMap(outPacks, outFrames, streams)
}

// writeKeys writes the key pages that the previous version has not, and returns
// the roots of the streams and the directory.
func (p *planner) writeKeys(out *folder) ([]imageformat.Hash, *imageformat.Directory, error) {
	dir := &imageformat.Directory{}
	object := map[imageformat.Hash]int{}
	number := func(h imageformat.Hash) int {
		if _, ok := object[h]; !ok {
			object[h] = len(dir.Objects)
			dir.Objects = append(dir.Objects, h)
		}
		return object[h]
	}
	// fresh marks pages in the new object until its hash is known.
	const fresh = -2
	spool, err := out.spool()
	if err != nil {
		return nil, nil, err
	}
	defer spool.discard()
	zero := imageformat.ZeroPage()
	var roots []imageformat.Hash
	buf := make([]byte, imageformat.PageBlocks*imageformat.KeySize)
	for i, s := range p.streams {
		old := p.pagesBefore(i)
		var pages []imageformat.Page
		var nodes []imageformat.Hash
		for b := int64(0); b < s.blocks(); b += imageformat.PageBlocks {
			raw := buf[:min(imageformat.PageBlocks, s.blocks()-b)*imageformat.KeySize]
			if _, err := p.keys.ReadAt(raw, (s.first+b)*imageformat.KeySize); err != nil && !errors.Is(err, io.EOF) {
				return nil, nil, fmt.Errorf("read key file: %w", err)
			}
			keys := make([]imageformat.Key, len(raw)/imageformat.KeySize)
			for j := range keys {
				keys[j] = imageformat.Key(raw[j*imageformat.KeySize:])
			}
			page := imageformat.Page{Object: -1, Node: imageformat.PageHash(keys)}
			switch n := len(pages); {
			case page.Node == zero:
			case n < len(old) && old[n].Node == page.Node:
				page = old[n]
				page.Object = number(p.lib.previous.dir.Objects[old[n].Object])
			default:
				stored := p.codec.SealPage(nil, keys)
				page.Object, page.Offset, page.Stored = fresh, spool.size, len(stored)
				if err := spool.write(stored); err != nil {
					return nil, nil, err
				}
			}
			pages = append(pages, page)
			nodes = append(nodes, page.Node)
		}
		dir.Streams = append(dir.Streams, pages)
		roots = append(roots, imageformat.RootOf(nodes))
	}
	if spool.size > 0 {
		h, err := spool.keep(imageformat.KindKeys)
		if err != nil {
			return nil, nil, err
		}
		n := number(h)
		for _, pages := range dir.Streams {
			for i := range pages {
				if pages[i].Object == fresh {
					pages[i].Object = n
				}
			}
		}
	}
	for _, h := range dir.Objects {
		out.need(imageformat.ObjectName(imageformat.KindKeys, h))
	}
	return roots, dir, nil
}

// pagesBefore returns the key pages of the stream in the previous version.
func (p *planner) pagesBefore(i int) []imageformat.Page {
	if p.previous[i] == nil {
		return nil
	}
	for j, s := range p.lib.previous.man.Streams() {
		if s.Name == p.streams[i].name {
			return p.lib.previous.dir.Streams[j]
		}
	}
	return nil
}

// sortObjects sorts by name, as the manifest wants them.
func sortObjects(o []imageformat.Object) {
	slices.SortFunc(o, func(a, b imageformat.Object) int { return strings.Compare(a.Name, b.Name) })
}
