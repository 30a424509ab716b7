// Package imagerepo is the repository of images: pushes, names and versions,
// deletion and collection, over any storage of blobs. Servers import it.
//
// All truth is in the repository's objects; several instances may share one.
// Beside the objects of imageformat it holds
//
//	names/<instance>/<name>/<number>       which image a version is: an envelope
//	tombstones/<instance>/<name>/<number>  that the version was deleted
//	pending/<instance>/<push>              a push under way, with its time limit
//	garbage/<kind>/<hash>                  since when nothing refers to an object
//
// A version lives while its name record exists and no tombstone does.
package imagerepo

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/seal"
)

// Times when Config does not give others.
const (
	DefaultPushLimit  = 24 * time.Hour
	DefaultSweepAfter = 72 * time.Hour
)

// Config is what a repository needs to know.
type Config struct {
	// Instance whose names this repository reads and writes.
	Instance dormer.InstanceID
	// Trust returns the current key set: publishers for manifests, authorities
	// for the instance's own names.
	Trust func() seal.KeySet
	// Sign puts a payload into an envelope of seal.TypeName under a key of Trust
	// with seal.PurposeAuthority.
	Sign func(payload []byte) seal.Envelope
	// PushLimit is how long a push may take; 0 is DefaultPushLimit.
	PushLimit time.Duration
	// SweepAfter is how long an object stays after nothing refers to it any
	// more; 0 is DefaultSweepAfter.
	SweepAfter time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Random makes identities of pushes; nil is crypto/rand.
	Random io.Reader
}

// Repository is one instance's view of a repository. It is safe for concurrent
// use.
type Repository struct {
	blobs Blobs
	cfg   Config
	// sweeping lets pushes begin and versions be committed together, but not
	// while a sweep looks at an object a last time and deletes it.
	sweeping sync.RWMutex
	ledger   ledger
}

// New returns the repository of an instance on blobs.
func New(blobs Blobs, cfg Config) (*Repository, error) {
	if !dormer.ValidID(string(cfg.Instance)) || cfg.Trust == nil || cfg.Sign == nil {
		return nil, dormer.Invalidf("", "a repository needs an instance, its key set and its key")
	}
	if cfg.PushLimit == 0 {
		cfg.PushLimit = DefaultPushLimit
	}
	if cfg.SweepAfter == 0 {
		cfg.SweepAfter = DefaultSweepAfter
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	return &Repository{blobs: blobs, cfg: cfg}, nil
}

// Open opens an object by the name that clients use: those of
// imageformat.ParseObjectName and no other.
func (r *Repository) Open(ctx context.Context, object string) (Blob, error) {
	if _, _, err := imageformat.ParseObjectName(object); err != nil {
		return nil, err
	}
	return r.blobs.Open(ctx, object)
}

// Get reads a part of an object; length below 0 means to its end. So a
// repository is a source for imagesync and imagepack in the same process.
func (r *Repository) Get(ctx context.Context, object string, offset, length int64) (io.ReadCloser, error) {
	b, err := r.Open(ctx, object)
	if err != nil {
		return nil, err
	}
	if length < 0 {
		length = b.Size() - offset
	}
	if offset < 0 || length < 0 || offset > b.Size()-length {
		return nil, errors.Join(dormer.Invalidf("range", "is outside of the object"), b.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(b, offset, length), b}, nil
}

// maxRecord bounds the small records beside the objects.
const maxRecord = 4 << 20

// read returns a small blob whole.
func (r *Repository) read(ctx context.Context, name string) ([]byte, error) {
	b, err := r.blobs.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if b.Size() > maxRecord {
		return nil, fmt.Errorf("%s has %d bytes: %w", name, b.Size(), dormer.ErrCorrupt)
	}
	buf := make([]byte, b.Size())
	if _, err := io.ReadFull(io.NewSectionReader(b, 0, b.Size()), buf); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return buf, nil
}

func (r *Repository) put(ctx context.Context, name string, b []byte) error {
	return r.blobs.Put(ctx, name, bytes.NewReader(b), int64(len(b)))
}

func (r *Repository) putJSON(ctx context.Context, name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	return r.put(ctx, name, b)
}

// readJSON decodes a record of this repository; what is not JSON is ErrCorrupt.
func (r *Repository) readJSON(ctx context.Context, name string, v any) error {
	b, err := r.read(ctx, name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s is not valid JSON: %w", name, dormer.ErrCorrupt)
	}
	return nil
}

// each calls f for every blob under prefix until f fails.
func (r *Repository) each(ctx context.Context, prefix string, f func(BlobInfo) error) error {
	const page = 1000
	after := ""
	for {
		infos, err := r.blobs.List(ctx, prefix, after, page)
		if err != nil {
			return fmt.Errorf("list %s: %w", prefix, err)
		}
		for _, i := range infos {
			if err := f(i); err != nil {
				return err
			}
			after = i.Name
		}
		if len(infos) < page {
			return nil
		}
	}
}

// manifest reads and decodes the manifest of id, trusting its hash alone.
func (r *Repository) manifest(ctx context.Context, id dormer.ImageID) (*imageformat.Manifest, error) {
	m, _, err := r.manifestAndSigner(ctx, id)
	return m, err
}

// escape makes a folded name a part of a blob's name: bytes outside of
// [a-z0-9._-] become %XX, so that every storage takes it.
func escape(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', digits[c>>4], digits[c&15]})
	}
	return b.String()
}
