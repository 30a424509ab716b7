package imagerepo

import (
	"context"
	"errors"
	"fmt"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imageformat"
)

// Survey is what a repository holds, with a sample of it read.
type Survey struct {
	// Versions live; they refer to Objects with so many Bytes.
	Versions, Objects int
	Bytes             int64
	// Orphans are objects that nothing refers to, and that were not collected
	// yet.
	Orphans     int
	OrphanBytes int64
	// Checked objects were read and compared with their hashes.
	Checked      int
	CheckedBytes int64
	// Problems are those that were found, of all records and of the sample.
	Problems []Problem
}

// Survey looks at all records and at which objects are there with the right
// size, and reads objects of up to most bytes altogether: those that pick, which
// is asked for a number below n, chooses. It changes nothing. The error is for
// what could not be looked at.
func (r *Repository) Survey(ctx context.Context, most int64, pick func(n int) int) (Survey, error) {
	s, wanted, err := r.surveyRecords(ctx)
	if err != nil {
		return s, fmt.Errorf("survey the repository: %w", err)
	}
	var names []string
	for name, size := range wanted {
		i, err := r.blobs.Stat(ctx, name)
		switch {
		case errors.Is(err, dormer.ErrNotFound):
			s.Problems = append(s.Problems, Problem{Object: name, Message: "is missing"})
		case err != nil:
			return s, fmt.Errorf("survey the repository: %w", err)
		case i.Size != size:
			s.Problems = append(s.Problems, Problem{Object: name, Message: fmt.Sprintf("has %d bytes, the manifest says %d", i.Size, size)})
		default:
			names = append(names, name)
		}
	}
	for len(names) > 0 && s.CheckedBytes < most {
		i := pick(len(names))
		name := names[i]
		names[i] = names[len(names)-1]
		names = names[:len(names)-1]
		if wanted[name] > most-s.CheckedBytes && s.Checked > 0 {
			continue
		}
		if err := r.verifyObject(ctx, name, wanted[name]); err != nil {
			if ctx.Err() != nil {
				return s, fmt.Errorf("survey the repository: %w", context.Cause(ctx))
			}
			s.Problems = append(s.Problems, Problem{Object: name, Message: err.Error()})
		}
		s.Checked++
		s.CheckedBytes += wanted[name]
	}
	return s, nil
}

// surveyRecords reads the records and lists the objects, and returns those that
// living versions refer to with their sizes.
func (r *Repository) surveyRecords(ctx context.Context) (s Survey, wanted map[string]int64, err error) {
	refs, err := r.living(ctx, "")
	if err != nil {
		return s, nil, err
	}
	s.Versions, wanted = len(refs), map[string]int64{}
	for _, v := range refs {
		rec, err := r.record(ctx, v)
		if err == nil {
			var m *imageformat.Manifest
			if m, err = r.manifest(ctx, rec.Image); err == nil {
				for _, o := range m.Objects {
					wanted[o.Name] = o.Size
				}
			}
		}
		if err != nil {
			s.Problems = append(s.Problems, Problem{Object: prefixNames + v.path(), Message: err.Error()})
		}
	}
	for _, size := range wanted {
		s.Objects++
		s.Bytes += size
	}
	if len(s.Problems) > 0 {
		return s, wanted, nil // what refers to the rest is not known
	}
	live, err := r.live(ctx, r.cfg.Now())
	if err != nil {
		return s, wanted, err
	}
	for _, prefix := range objectPrefixes {
		err := r.each(ctx, prefix, func(i BlobInfo) error {
			if !live[i.Name] {
				s.Orphans++
				s.OrphanBytes += i.Size
			}
			return nil
		})
		if err != nil {
			return s, wanted, err
		}
	}
	return s, wanted, nil
}
