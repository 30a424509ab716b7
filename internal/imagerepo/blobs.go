package imagerepo

import (
	"context"
	"io"
	"time"
)

// Blobs is where a repository keeps its bytes: a folder, or an object store.
// Names are parts of [A-Za-z0-9._~%-] joined by slashes, each at most 255 bytes
// and not "." or "..", without empty parts. Every method may be called
// concurrently, also from other processes on the same storage.
type Blobs interface {
	// Put stores size bytes of r under name, all or nothing: who opens the name
	// sees the whole content or ErrNotFound, also after a crash, and when Put has
	// returned the content is durable. It never replaces: ErrExists when the name
	// is there. ErrFull when no space is left, ErrInvalid when r ends early or
	// goes on after size, and the error of r when r fails; nothing is left behind.
	Put(ctx context.Context, name string, r io.Reader, size int64) error
	// Open returns the content under name, or ErrNotFound. It can be read while
	// and after the name is deleted, or fails with ErrNotFound then.
	Open(ctx context.Context, name string) (Blob, error)
	// Stat returns what Open would give, or ErrNotFound.
	Stat(ctx context.Context, name string) (BlobInfo, error)
	// Delete removes name. It is no error when it is not there.
	Delete(ctx context.Context, name string) error
	// List returns at most limit blobs whose names begin with prefix (empty or
	// ending in a slash) and sort after the name after, sorted by name as bytes.
	// Fewer than limit are the end. Blobs put or deleted meanwhile may be missing
	// or listed.
	List(ctx context.Context, prefix, after string, limit int) ([]BlobInfo, error)
}

// Blob is an open blob. The reader closes it.
type Blob interface {
	io.ReaderAt
	io.Closer
	// Size in bytes.
	Size() int64
}

// BlobInfo describes a blob.
type BlobInfo struct {
	Name     string
	Size     int64
	Modified time.Time
}
