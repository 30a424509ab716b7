package imagerepo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imageformat"
)

// Swept says what a sweep did.
type Swept struct {
	// Marked is how many objects nothing refers to since now.
	Marked int `json:"marked"`
	// Deleted is how many objects were deleted and Freed their bytes.
	Deleted int   `json:"deleted"`
	Freed   int64 `json:"freed"`
}

const prefixGarbage = "garbage/"

// garbageRecord marks an object that nothing refers to.
type garbageRecord struct {
	Since time.Time `json:"since"`
}

var objectPrefixes = []string{
	string(imageformat.KindManifest) + "/", string(imageformat.KindMap) + "/",
	string(imageformat.KindPack) + "/", string(imageformat.KindKeys) + "/",
}

// Sweep marks what neither a living version of any instance nor a push under
// way refers to, and deletes what was marked for Config.SweepAfter. Run it from
// time to time. When a reference cannot be read it deletes nothing: better to
// keep too much.
func (r *Repository) Sweep(ctx context.Context) (Swept, error) {
	now := r.cfg.Now().UTC()
	if err := r.dropExpired(ctx, now); err != nil {
		return Swept{}, fmt.Errorf("sweep repository: %w", err)
	}
	live, err := r.live(ctx, now)
	if err != nil {
		return Swept{}, fmt.Errorf("sweep repository: %w", err)
	}
	marks := map[string]time.Time{}
	err = r.each(ctx, prefixGarbage, func(i BlobInfo) error {
		var g garbageRecord
		if err := r.readJSON(ctx, i.Name, &g); err != nil {
			return err
		}
		marks[i.Name[len(prefixGarbage):]] = g.Since
		return nil
	})
	if err != nil {
		return Swept{}, fmt.Errorf("sweep repository: %w", err)
	}
	s := sweep{r: r, now: now, live: live, marks: marks}
	for _, prefix := range objectPrefixes {
		if err := r.each(ctx, prefix, func(i BlobInfo) error { return s.object(ctx, i) }); err != nil {
			return s.done, fmt.Errorf("sweep repository: %w", err)
		}
	}
	if err := s.finish(ctx); err != nil {
		return s.done, fmt.Errorf("sweep repository: %w", err)
	}
	return s.done, nil
}

type sweep struct {
	r     *Repository
	now   time.Time
	live  map[string]bool
	marks map[string]time.Time
	// due are marked long enough.
	due  []BlobInfo
	done Swept
}

// object looks at one object.
func (s *sweep) object(ctx context.Context, i BlobInfo) error {
	since, marked := s.marks[i.Name]
	delete(s.marks, i.Name)
	mark := prefixGarbage + i.Name
	switch {
	case s.live[i.Name] && marked:
		return s.r.blobs.Delete(ctx, mark)
	case s.live[i.Name]:
		return nil
	case !marked:
		if err := s.r.putJSON(ctx, mark, garbageRecord{Since: s.now}); err != nil && !errors.Is(err, dormer.ErrExists) {
			return err
		}
		s.done.Marked++
	case s.now.Sub(since) >= s.r.cfg.SweepAfter:
		s.due = append(s.due, i)
	}
	return nil
}

// batch is how many objects are deleted after one look at all references.
const batch = 64

// finish deletes what is due, after another look at what refers to it, and the
// marks of objects that are gone.
func (s *sweep) finish(ctx context.Context) error {
	for due := range slices.Chunk(s.due, batch) {
		if err := s.delete(ctx, due); err != nil {
			return err
		}
	}
	for object := range s.marks {
		if err := s.r.blobs.Delete(ctx, prefixGarbage+object); err != nil {
			return err
		}
	}
	return s.buried(ctx)
}

// delete holds off pushes of this process between the look and the deletion.
// Those of other replicas are seen when their record is older than the look;
// one that begins in between finds at its commit that objects are missing.
func (s *sweep) delete(ctx context.Context, due []BlobInfo) error {
	s.r.sweeping.Lock()
	defer s.r.sweeping.Unlock()
	live, err := s.r.live(ctx, s.now)
	if err != nil {
		return err
	}
	for _, i := range due {
		if !live[i.Name] {
			if err := s.r.blobs.Delete(ctx, i.Name); err != nil {
				return err
			}
			s.done.Deleted++
			s.done.Freed += i.Size
		}
		if err := s.r.blobs.Delete(ctx, prefixGarbage+i.Name); err != nil {
			return err
		}
	}
	return nil
}

// buried removes the name records of versions that were deleted long enough
// ago. Their tombstones stay: they keep the numbers from being used again.
func (s *sweep) buried(ctx context.Context) error {
	dead, err := s.r.refs(ctx, prefixTombstones, string(s.r.cfg.Instance)+"/")
	if err != nil {
		return err
	}
	for _, v := range dead {
		var t tombstone
		if err := s.r.readJSON(ctx, prefixTombstones+v.path(), &t); err != nil {
			return err
		}
		if s.now.Sub(t.Deleted) < s.r.cfg.SweepAfter {
			continue
		}
		if err := s.r.blobs.Delete(ctx, prefixNames+v.path()); err != nil {
			return err
		}
	}
	return nil
}

// live returns the names of all objects that something refers to.
func (r *Repository) live(ctx context.Context, now time.Time) (map[string]bool, error) {
	live := map[string]bool{}
	keep := func(id dormer.ImageID, m *imageformat.Manifest) error {
		name, err := imageformat.ManifestName(id)
		if err != nil {
			return err
		}
		live[name] = true
		for _, o := range m.Objects {
			live[o.Name] = true
		}
		return nil
	}
	// Pushes first: one that is committed meanwhile is then seen as a version.
	err := r.each(ctx, "pending/", func(i BlobInfo) error {
		var p pendingRecord
		if err := r.readJSON(ctx, i.Name, &p); err != nil {
			if errors.Is(err, dormer.ErrNotFound) {
				return nil
			}
			return err
		}
		if !now.Before(p.Expires) {
			return nil
		}
		m, err := imageformat.OpenPinnedManifest(p.Image, p.Envelope)
		if err != nil {
			return fmt.Errorf("%s: %w", i.Name, err)
		}
		return keep(p.Image, m)
	})
	if err != nil {
		return nil, err
	}
	refs, err := r.living(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, v := range refs {
		rec, err := r.record(ctx, v)
		if err != nil {
			return nil, err
		}
		m, err := r.manifest(ctx, rec.Image)
		if err != nil {
			return nil, err
		}
		if err := keep(rec.Image, m); err != nil {
			return nil, err
		}
	}
	return live, nil
}

// dropExpired removes this instance's pushes whose time is over.
func (r *Repository) dropExpired(ctx context.Context, now time.Time) error {
	return r.each(ctx, r.pendingName(""), func(i BlobInfo) error {
		var p pendingRecord
		if err := r.readJSON(ctx, i.Name, &p); err != nil || now.Before(p.Expires) {
			return err
		}
		return r.blobs.Delete(ctx, i.Name)
	})
}

// Problem is something wrong in the repository.
type Problem struct {
	// Object is what is wrong: the name of an object or of a record.
	Object string `json:"object"`
	// Message says how.
	Message string `json:"message"`
}

// Verify reads every object of the living versions and compares sizes and
// hashes. progress, when not nil, is told the bytes read and their total. It
// returns what is wrong; the error is for what could not be looked at.
func (r *Repository) Verify(ctx context.Context, progress func(done, total int64)) ([]Problem, error) {
	refs, err := r.living(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("verify repository: %w", err)
	}
	var problems []Problem
	wanted, total := map[string]int64{}, int64(0)
	for _, v := range refs {
		rec, err := r.record(ctx, v)
		if err == nil {
			var m *imageformat.Manifest
			if m, err = r.manifest(ctx, rec.Image); err == nil {
				for _, o := range m.Objects {
					if _, seen := wanted[o.Name]; !seen {
						wanted[o.Name] = o.Size
						total += o.Size
					}
				}
			}
		}
		if err != nil {
			problems = append(problems, Problem{Object: prefixNames + v.path(), Message: err.Error()})
		}
	}
	done := int64(0)
	for name, size := range wanted {
		if err := ctx.Err(); err != nil {
			return problems, fmt.Errorf("verify repository: %w", err)
		}
		if err := r.verifyObject(ctx, name, size); err != nil {
			problems = append(problems, Problem{Object: name, Message: err.Error()})
		}
		if done += size; progress != nil {
			progress(done, total)
		}
	}
	return problems, nil
}

func (r *Repository) verifyObject(ctx context.Context, name string, size int64) error {
	_, want, err := imageformat.ParseObjectName(name)
	if err != nil {
		return err
	}
	b, err := r.blobs.Open(ctx, name)
	if err != nil {
		return err
	}
	defer b.Close()
	if b.Size() != size {
		return fmt.Errorf("has %d bytes, the manifest says %d: %w", b.Size(), size, dormer.ErrCorrupt)
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(b, 0, size)); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if imageformat.Hash(h.Sum(nil)) != want {
		return fmt.Errorf("hash does not fit: %w", dormer.ErrCorrupt)
	}
	return nil
}
