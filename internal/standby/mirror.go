package standby

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
)

// Prefixes in a repository: names and tombstones say which versions there are;
// pushes under way and what is to be swept are of no use to another server.
const (
	repositoryNames      = "names/"
	repositoryTombstones = "tombstones/"
	repositoryPending    = "pending/"
	repositoryGarbage    = "garbage/"
)

func mirrored(name string) bool {
	return !strings.HasPrefix(name, repositoryPending) && !strings.HasPrefix(name, repositoryGarbage)
}

// Kinds of objects in the order in which they are copied and in which they are
// removed: whoever reads meanwhile sees no version without its objects, and
// none again that was deleted.
const (
	kindObject = iota
	kindName
	kindTombstone
)

var (
	copyOrder   = []int{kindObject, kindName, kindTombstone}
	removeOrder = []int{kindName, kindTombstone, kindObject}
)

func kindOfObject(name string) int {
	switch {
	case strings.HasPrefix(name, repositoryNames):
		return kindName
	case strings.HasPrefix(name, repositoryTombstones):
		return kindTombstone
	}
	return kindObject
}

// localObjects lists a repository in a folder: sizes by name.
func localObjects(ctx context.Context, dir string) (map[string]int64, error) {
	all := map[string]int64{}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	err := folder{dir}.List(ctx, "", func(name string, size int64) error {
		if mirrored(name) {
			all[name] = size
		}
		return nil
	})
	return all, err
}

func (t *Target) remoteObjects(ctx context.Context) (map[string]int64, error) {
	all := map[string]int64{}
	// Names first: what they name was there before them.
	err := t.List(ctx, prefixRepository+repositoryNames, func(name string, size int64) error {
		if name = strings.TrimPrefix(name, prefixRepository); filepath.IsLocal(name) {
			all[name] = size
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = t.List(ctx, prefixRepository, func(name string, size int64) error {
		if name = strings.TrimPrefix(name, prefixRepository); mirrored(name) && kindOfObject(name) != kindName && filepath.IsLocal(name) {
			all[name] = size
		}
		return nil
	})
	return all, err
}

// images ships a repository's folder. Objects never change, so only names and
// sizes are compared.
type images struct {
	dir string
	// there is what is known to be at the target; nil: not asked yet.
	there map[string]int64
}

// ship copies what is missing at the target and removes what is gone from the
// folder, and reports whether it changed anything. rules is asked before
// anything is removed: who was superseded must not remove another's.
func (m *images) ship(ctx context.Context, t *Target, rules func(context.Context) error) (changed bool, err error) {
	here, err := localObjects(ctx, m.dir)
	if err != nil {
		return false, fmt.Errorf("look at the repository: %w", err)
	}
	if m.there == nil {
		if m.there, err = t.remoteObjects(ctx); err != nil {
			return false, err
		}
	}
	for _, kind := range copyOrder {
		for name, size := range here {
			if at, ok := m.there[name]; kindOfObject(name) != kind || (ok && at == size) {
				continue
			}
			if err := m.put(ctx, t, name, size); errors.Is(err, dormer.ErrNotFound) {
				continue // swept meanwhile
			} else if err != nil {
				return changed, err
			}
			changed = true
			m.there[name] = size
		}
	}
	// A folder in which nothing is left is rather one that is not mounted.
	if len(here) == 0 {
		return changed, nil
	}
	for _, kind := range removeOrder {
		for name := range m.there {
			if _, ok := here[name]; ok || kindOfObject(name) != kind {
				continue
			}
			if err := rules(ctx); err != nil {
				return changed, err
			}
			if err := t.Delete(ctx, prefixRepository+name); err != nil {
				return changed, err
			}
			changed = true
			delete(m.there, name)
		}
	}
	return changed, nil
}

func (m *images) put(ctx context.Context, t *Target, name string, size int64) error {
	f, err := os.Open(filepath.Join(m.dir, filepath.FromSlash(name)))
	if err != nil {
		return durable.Kind(err)
	}
	defer f.Close()
	return t.Put(ctx, prefixRepository+name, f, size)
}

// fetchImages makes dir what the repository at the target is. near, which may
// be empty, is a repository's folder on the same file system from which objects
// are linked instead of fetched.
func (t *Target) fetchImages(ctx context.Context, dir, near string) error {
	there, err := t.remoteObjects(ctx)
	if err != nil {
		return err
	}
	here, err := localObjects(ctx, dir)
	if err != nil {
		return fmt.Errorf("look at the repository: %w", err)
	}
	f := folder{dir}
	for _, kind := range copyOrder {
		for name, size := range there {
			if at, ok := here[name]; kindOfObject(name) != kind || (ok && at == size) {
				continue
			}
			if near != "" && t.link(name, size, dir, near) {
				continue
			}
			if err := t.fetch(ctx, f, name, size); err != nil && !errors.Is(err, dormer.ErrNotFound) {
				return err
			}
		}
	}
	if len(there) == 0 {
		return nil
	}
	for _, kind := range removeOrder {
		for name := range here {
			if _, had := there[name]; had || kindOfObject(name) != kind {
				continue
			}
			if err := f.Delete(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *Target) fetch(ctx context.Context, f folder, name string, size int64) error {
	r, err := t.Open(ctx, prefixRepository+name)
	if err != nil {
		return err
	}
	defer r.Close()
	return f.Put(ctx, name, r, size)
}

func (*Target) link(name string, size int64, dir, near string) bool {
	from, to := filepath.Join(near, filepath.FromSlash(name)), filepath.Join(dir, filepath.FromSlash(name))
	if info, err := os.Stat(from); err != nil || info.Size() != size {
		return false
	}
	return os.MkdirAll(filepath.Dir(to), 0o700) == nil && os.Link(from, to) == nil
}
