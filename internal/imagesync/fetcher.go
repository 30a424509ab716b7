package imagesync

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imageformat"
)

// fetcher fetches the frames of one image.
type fetcher struct {
	s *Store
	o *FetchOptions
	m *imageformat.Map
	// packs[i] is the store's copy of m.Packs[i], and wanted[i] are the frames of
	// it that are lacking.
	packs  []*packFile
	wanted [][]imageformat.Frame
	// lacking is the stored length of all wanted frames.
	lacking int64
	// unsynced is what was written since the last sync.
	unsynced int64
	progress Progress
	// noRanges is set when the source turned out not to do several ranges.
	noRanges bool
	buf      []byte
}

func (f *fetcher) plan() error {
	f.packs = make([]*packFile, len(f.m.Packs))
	f.wanted = make([][]imageformat.Frame, len(f.m.Packs))
	f.buf = make([]byte, imageformat.MaxFrameStored)
	for i, h := range f.m.Packs {
		p, err := openPackFile(f.s.packBase(h))
		if err != nil {
			return err
		}
		f.packs[i] = p
	}
	for _, fr := range f.m.Frames {
		f.progress.Total += int64(fr.Stored)
		if f.packs[fr.Pack].has(fr) {
			f.progress.Present += int64(fr.Stored)
			continue
		}
		f.wanted[fr.Pack] = append(f.wanted[fr.Pack], fr)
		f.lacking += int64(fr.Stored)
	}
	return nil
}

func (f *fetcher) close() {
	for _, p := range f.packs {
		if p != nil {
			p.close()
		}
	}
}

func (f *fetcher) run(ctx context.Context) error {
	f.report()
	for i := range f.m.Packs {
		if len(f.wanted[i]) == 0 {
			continue
		}
		if err := f.pack(ctx, i); err != nil {
			return err
		}
	}
	// What an earlier fetch wrote may not be synced yet either.
	for _, p := range f.packs {
		if err := p.sync(); err != nil {
			return err
		}
	}
	return nil
}

func (f *fetcher) report() {
	if f.o.Progress != nil {
		f.o.Progress(f.progress)
	}
}

// pack fetches the wanted frames of pack i, beginning anew after each failure
// with those that still lack.
func (f *fetcher) pack(ctx context.Context, i int) error {
	bad := map[int64]int{}
	failures := 0
	for {
		before := len(f.wanted[i])
		err := f.round(ctx, i, bad)
		left := f.wanted[i][:0]
		for _, fr := range f.wanted[i] {
			if !f.packs[i].has(fr) {
				left = append(left, fr)
			}
		}
		f.wanted[i] = left
		if err == nil && len(left) == 0 {
			return nil
		}
		if err == nil {
			err = frameError(f.m, left[0], fmt.Errorf("did not come: %w", dormer.ErrUnavailable))
		}
		if len(left) < before && len(bad) == 0 {
			failures = 0
		}
		failures++
		for _, n := range bad {
			failures = max(failures, n)
		}
		if failures >= attempts || !errors.Is(err, dormer.ErrUnavailable) && !errors.Is(err, dormer.ErrCorrupt) {
			return err
		}
		if err := f.o.wait(ctx, failures); err != nil {
			return err
		}
	}
}

// span is a part of a pack that is fetched at once, and the frames in it.
type span struct {
	Range
	frames []imageformat.Frame
}

// merge puts frames into spans, with gaps of at most gap bytes in them.
func merge(frames []imageformat.Frame, gap int64) []span {
	var out []span
	for _, fr := range frames {
		end := fr.Offset + int64(fr.Stored)
		if n := len(out); n > 0 && fr.Offset-(out[n-1].Offset+out[n-1].Length) <= gap {
			out[n-1].Length = end - out[n-1].Offset
			out[n-1].frames = append(out[n-1].frames, fr)
			continue
		}
		out = append(out, span{Range{fr.Offset, int64(fr.Stored)}, []imageformat.Frame{fr}})
	}
	return out
}

// round asks once for all wanted frames of a pack. A frame that does not fit its
// hash is counted in bad, and the round goes on; the error then tells of it.
func (f *fetcher) round(ctx context.Context, i int, bad map[int64]int) error {
	object := imageformat.ObjectName(imageformat.KindPack, f.m.Packs[i])
	var wrong error
	take := func(s span, r io.Reader) error {
		err := f.take(ctx, s, r, bad)
		if errors.Is(err, dormer.ErrCorrupt) {
			wrong, err = err, nil
		}
		return err
	}
	many, ok := f.o.Source.(RangesSource)
	gap := int64(mergeGap)
	if ok && !f.noRanges {
		gap = mergeGapRanges
	}
	spans := merge(f.wanted[i], gap)
	for len(spans) > 0 {
		n := min(len(spans), maxRanges)
		if n == 1 || !ok || f.noRanges {
			if err := f.one(ctx, object, spans[0], take); err != nil {
				return err
			}
			spans = spans[1:]
			continue
		}
		ranges := make([]Range, n)
		for j := range ranges {
			ranges[j] = spans[j].Range
		}
		err := many.GetRanges(ctx, object, ranges, func(j int, r io.Reader) error { return take(spans[j], r) })
		if errors.Is(err, dormer.ErrUnsupported) {
			f.noRanges = true
			return f.round(ctx, i, bad)
		}
		if err != nil {
			return err
		}
		spans = spans[n:]
	}
	return wrong
}

func (f *fetcher) one(ctx context.Context, object string, s span, take func(span, io.Reader) error) error {
	r, err := f.o.Source.Get(ctx, object, s.Offset, s.Length)
	if err != nil {
		return err
	}
	return errors.Join(take(s, r), r.Close())
}

// take reads a span, verifies its frames and stores them. ErrUnavailable when it
// ends early, ErrCorrupt when a frame did not fit.
func (f *fetcher) take(ctx context.Context, s span, r io.Reader, bad map[int64]int) error {
	r = f.o.limit(ctx, r)
	at := s.Offset
	var wrong error
	for _, fr := range s.frames {
		if err := ctx.Err(); err != nil {
			return err
		}
		if gap := fr.Offset - at; gap > 0 {
			if _, err := io.CopyN(io.Discard, r, gap); err != nil {
				return cut(ctx, f.m, fr, err)
			}
			f.progress.Fetched += gap
		}
		b := f.buf[:fr.Stored]
		n, err := io.ReadFull(r, b)
		f.progress.Fetched += int64(n)
		if err != nil {
			return cut(ctx, f.m, fr, err)
		}
		at = fr.Offset + int64(fr.Stored)
		if imageformat.HashOf(b) != fr.Hash {
			bad[fr.Offset]++
			wrong = frameError(f.m, fr, fmt.Errorf("hash does not fit: %w", dormer.ErrCorrupt))
			continue
		}
		delete(bad, fr.Offset)
		if err := f.store(fr, b); err != nil {
			return err
		}
	}
	return wrong
}

func cut(ctx context.Context, m *imageformat.Map, fr imageformat.Frame, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return frameError(m, fr, fmt.Errorf("was cut: %w: %w", dormer.ErrUnavailable, err))
}

func (f *fetcher) store(fr imageformat.Frame, b []byte) error {
	p := f.packs[fr.Pack]
	if err := p.add(fr, b); err != nil {
		return err
	}
	f.progress.Present += int64(len(b))
	if f.unsynced += int64(len(b)); f.unsynced >= syncEvery {
		f.unsynced = 0
		if err := p.sync(); err != nil {
			return err
		}
	}
	f.report()
	return nil
}
