package imagerepo

import (
	"context"
	"fmt"
)

// Addition is a version of an image with what is new in it.
type Addition struct {
	Version
	// New is the size of the objects that the version before it has not, in bytes;
	// of the first version all of them.
	New int64
}

// Additions returns the versions of an image by number, with what each has that
// the one before it has not: about what a client fetches for an update.
func (r *Repository) Additions(ctx context.Context, image string) ([]Addition, error) {
	refs, err := r.livingOf(ctx, image)
	if err != nil {
		return nil, err
	}
	list := make([]Addition, 0, len(refs))
	var before map[string]bool
	for _, ref := range refs {
		v, err := r.version(ctx, ref)
		if err != nil {
			return nil, fmt.Errorf("list versions of %s: %w", image, err)
		}
		m, err := r.manifest(ctx, v.Image)
		if err != nil {
			return nil, fmt.Errorf("list versions of %s: %w", image, err)
		}
		a := Addition{Version: v}
		objects := make(map[string]bool, len(m.Objects))
		for _, o := range m.Objects {
			objects[o.Name] = true
			if !before[o.Name] {
				a.New += o.Size
			}
		}
		list = append(list, a)
		before = objects
	}
	return list, nil
}
