// Package memblobs keeps the blobs of a repository in memory. Tests import it.
package memblobs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imagerepo"
)

// Blobs is an imagerepo.Blobs in memory.
type Blobs struct {
	// Now says when blobs were put.
	Now func() time.Time

	mu sync.Mutex
	// blobs is guarded by mu; their bytes never change.
	blobs map[string]blob
}

type blob struct {
	*bytes.Reader
	info imagerepo.BlobInfo
}

func (blob) Close() error  { return nil }
func (b blob) Size() int64 { return b.info.Size }

// New returns an empty storage.
func New(now func() time.Time) *Blobs { return &Blobs{Now: now, blobs: map[string]blob{}} }

func checkName(name string) error {
	for part := range strings.SplitSeq(name, "/") {
		ok := part != "" && len(part) <= 255 && part[0] != '.' && !strings.ContainsFunc(part, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._~%-", r))
		})
		if !ok || len(name) > 1024 {
			return dormer.Invalidf("name", "is not the name of a blob")
		}
	}
	return nil
}

// Put stores a blob.
func (m *Blobs) Put(ctx context.Context, name string, r io.Reader, size int64) error {
	if err := checkName(name); err != nil {
		return err
	}
	b, err := io.ReadAll(io.LimitReader(r, size+1))
	if err != nil {
		return err
	}
	if int64(len(b)) != size {
		return dormer.Invalidf("", "content is not %d bytes long", size)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.blobs[name]; ok {
		return fmt.Errorf("blob %s: %w", name, dormer.ErrExists)
	}
	m.blobs[name] = blob{bytes.NewReader(b), imagerepo.BlobInfo{Name: name, Size: size, Modified: m.Now()}}
	return nil
}

func (m *Blobs) get(name string) (blob, error) {
	if err := checkName(name); err != nil {
		return blob{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.blobs[name]
	if !ok {
		return blob{}, fmt.Errorf("blob %s: %w", name, dormer.ErrNotFound)
	}
	return b, nil
}

// Open opens a blob.
func (m *Blobs) Open(_ context.Context, name string) (imagerepo.Blob, error) {
	b, err := m.get(name)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Stat describes a blob.
func (m *Blobs) Stat(_ context.Context, name string) (imagerepo.BlobInfo, error) {
	b, err := m.get(name)
	return b.info, err
}

// Delete removes a blob.
func (m *Blobs) Delete(_ context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.blobs, name)
	return nil
}

// List lists blobs.
func (m *Blobs) List(_ context.Context, prefix, after string, limit int) ([]imagerepo.BlobInfo, error) {
	if prefix != "" && (!strings.HasSuffix(prefix, "/") || checkName(prefix[:len(prefix)-1]) != nil) {
		return nil, dormer.Invalidf("prefix", "must be empty or folders ending in a slash")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []imagerepo.BlobInfo
	for n, b := range m.blobs {
		if strings.HasPrefix(n, prefix) && n > after {
			out = append(out, b.info)
		}
	}
	slices.SortFunc(out, func(a, b imagerepo.BlobInfo) int { return strings.Compare(a.Name, b.Name) })
	return out[:min(limit, len(out))], nil
}

// Corrupt flips one bit of a blob, as a failing disk would.
func (m *Blobs) Corrupt(name string, at int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.blobs[name]
	if !ok {
		return fmt.Errorf("blob %s: %w", name, dormer.ErrNotFound)
	}
	raw := make([]byte, b.info.Size)
	if _, err := b.ReadAt(raw, 0); err != nil {
		return err
	}
	raw[at] ^= 4
	b.Reader = bytes.NewReader(raw)
	m.blobs[name] = b
	return nil
}
