package imagesync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/imageformat"
)

// Remove removes an image and the frames that no other needs. ErrConflict while
// it is open in any process.
func (s *Store) Remove(ctx context.Context, id dormer.ImageID) error {
	all, err := s.List()
	if err != nil {
		return err
	}
	if !slices.Contains(all, id) {
		return fmt.Errorf("image %s: %w", id, dormer.ErrNotFound)
	}
	keep := slices.DeleteFunc(all, func(i dormer.ImageID) bool { return i == id })
	if _, err := s.Collect(ctx, keep); err != nil {
		return err
	}
	if all, err = s.List(); err != nil {
		return err
	}
	if slices.Contains(all, id) {
		return fmt.Errorf("image %s is in use: %w", id, dormer.ErrConflict)
	}
	return nil
}

// Collect removes all images but those of keep and those that are open in any
// process, and the frames that no image needs then. It returns how many bytes of
// disk that freed.
func (s *Store) Collect(ctx context.Context, keep []dormer.ImageID) (int64, error) {
	release, err := s.acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	before, err := s.Used()
	if err != nil {
		return 0, err
	}
	all, err := s.List()
	if err != nil {
		return 0, err
	}
	// needed has for each pack the stored length of the frames to keep.
	needed := map[imageformat.Hash]map[int64]int{}
	for _, id := range all {
		if !slices.Contains(keep, id) {
			gone, err := s.removeImage(id)
			if err != nil {
				return 0, fmt.Errorf("remove image %s: %w", id, err)
			}
			if gone {
				continue
			}
		}
		m, err := s.frames(id)
		if errors.Is(err, dormer.ErrNotFound) {
			continue // a fetch was cut before the map
		}
		if err != nil {
			return 0, fmt.Errorf("collect frames: %w", err)
		}
		for _, f := range m.Frames {
			p := m.Packs[f.Pack]
			if needed[p] == nil {
				needed[p] = map[int64]int{}
			}
			needed[p][f.Offset] = f.Stored
		}
	}
	if err := s.collectPacks(needed); err != nil {
		return 0, fmt.Errorf("collect frames: %w", err)
	}
	after, err := s.Used()
	return before - after, err
}

// removeImage removes the files of an image unless somebody has it open.
func (s *Store) removeImage(id dormer.ImageID) (bool, error) {
	dir, err := s.imageDir(id)
	if err != nil {
		return false, err
	}
	use, err := os.OpenFile(filepath.Join(dir, useFile), os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		return false, durable.Kind(err)
	}
	defer use.Close()
	if err := lock(use, false); err != nil {
		if errors.Is(err, errLocked) {
			return false, nil
		}
		return false, err
	}
	// Without this mark nobody opens the image, whatever of it is left.
	if err := os.Remove(filepath.Join(dir, completeFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return true, os.RemoveAll(dir)
}

func (s *Store) collectPacks(needed map[imageformat.Hash]map[int64]int) error {
	entries, err := os.ReadDir(filepath.Join(s.dir, packsDir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		h, ok := packOf(e.Name())
		if !ok {
			continue
		}
		if needed[h] == nil {
			if err := os.Remove(filepath.Join(s.dir, packsDir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			continue
		}
		if filepath.Ext(e.Name()) == logSuffix {
			if err := s.shrink(h, needed[h]); err != nil {
				return err
			}
		}
	}
	return durable.SyncFolder(filepath.Join(s.dir, packsDir))
}

// shrink drops the frames of a pack that are not needed. The log says so before
// their bytes go.
func (s *Store) shrink(h imageformat.Hash, needed map[int64]int) error {
	p, err := openPackFile(s.packBase(h))
	if err != nil {
		return err
	}
	defer p.close()
	gone := map[int64]uint32{}
	for off, n := range p.present {
		if needed[off] != int(n) {
			gone[off] = n
		}
	}
	for off := range gone {
		if err := p.drop(off); err != nil {
			return err
		}
	}
	if err := p.sync(); err != nil {
		return err
	}
	for off, n := range gone {
		if err := punch(p.data, off, int64(n)); err != nil {
			return fmt.Errorf("free space of frame: %w", err)
		}
	}
	return nil
}

// Verify reads all frames of an image that are in the store. Those that are
// damaged are dropped, so that the next Fetch brings them again, and the error
// is ErrCorrupt and names the first. It needs no key.
func (s *Store) Verify(ctx context.Context, id dormer.ImageID, progress func(done, total int64)) error {
	release, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	dir, err := s.imageDir(id)
	if err != nil {
		return err
	}
	m, err := s.frames(id)
	if err != nil {
		return fmt.Errorf("verify image: %w", err)
	}
	f := &fetcher{s: s, o: &FetchOptions{}, m: m}
	defer f.close()
	if err := f.plan(); err != nil {
		return fmt.Errorf("verify image: %w", err)
	}
	var wrong error
	done := int64(0)
	for _, fr := range m.Frames {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("verify image: %w", err)
		}
		p := f.packs[fr.Pack]
		b, err := readFrame(p.data, fr)
		if err != nil {
			return fmt.Errorf("verify image: %w", frameError(m, fr, err))
		}
		if len(b) != fr.Stored || imageformat.HashOf(b) != fr.Hash {
			if wrong == nil {
				wrong = fmt.Errorf("verify image: %w", frameError(m, fr, fmt.Errorf("hash does not fit: %w", dormer.ErrCorrupt)))
				if err := os.Remove(filepath.Join(dir, completeFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return fmt.Errorf("verify image: %w", err)
				}
			}
			if err := p.drop(fr.Offset); err != nil {
				return fmt.Errorf("verify image: %w", err)
			}
		}
		if done += int64(fr.Stored); progress != nil {
			progress(done, f.progress.Total)
		}
	}
	return wrong
}
