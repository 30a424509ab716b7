package imagerepo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imageformat"
)

// Push is an upload under way.
type Push struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Image is what is pushed.
	Image dormer.ImageID `json:"image"`
	// Expires is when the push is forgotten and its objects may be swept.
	Expires time.Time `json:"expires"`
	// Missing are the objects that the repository lacks.
	Missing []imageformat.Object `json:"missing"`
}

// pendingRecord is what is stored of a push. Envelope is the manifest's: the
// manifest becomes an object only with the commit.
type pendingRecord struct {
	Name     string         `json:"name"`
	Image    dormer.ImageID `json:"image"`
	Expires  time.Time      `json:"expires"`
	Envelope []byte         `json:"envelope"`
}

func (r *Repository) pendingName(id string) string {
	return "pending/" + string(r.cfg.Instance) + "/" + id
}

// BeginPush verifies that a trusted publisher signed the manifest in envelope
// and returns what of it the repository lacks. Until the push expires nothing
// that it needs is swept. name is the image's; the number comes with Commit.
// ErrDenied when the publisher is not trusted.
func (r *Repository) BeginPush(ctx context.Context, name string, envelope []byte) (Push, error) {
	if err := checkName(name); err != nil {
		return Push{}, err
	}
	_, id, err := imageformat.OpenManifest(r.cfg.Trust(), "", envelope)
	if err != nil {
		return Push{}, fmt.Errorf("begin push of %s: %w", name, err)
	}
	push, err := dormer.NewID(r.cfg.Random)
	if err != nil {
		return Push{}, err
	}
	rec := pendingRecord{Name: name, Image: id, Expires: r.cfg.Now().UTC().Add(r.cfg.PushLimit).Truncate(time.Microsecond), Envelope: envelope}
	if err := r.recordPending(ctx, push, rec); err != nil {
		return Push{}, fmt.Errorf("begin push of %s: %w", name, err)
	}
	missing, err := r.Missing(ctx, push)
	if err != nil {
		return Push{}, err
	}
	return Push{ID: push, Name: name, Image: id, Expires: rec.Expires, Missing: missing}, nil
}

// recordPending makes the record before anything is counted as present: from
// then on a sweep sees it.
func (r *Repository) recordPending(ctx context.Context, push string, rec pendingRecord) error {
	r.sweeping.RLock()
	defer r.sweeping.RUnlock()
	return r.putJSON(ctx, r.pendingName(push), rec)
}

// pending returns a push that has not expired; ErrNotFound otherwise.
func (r *Repository) pending(ctx context.Context, push string) (pendingRecord, *imageformat.Manifest, error) {
	var rec pendingRecord
	if !dormer.ValidID(push) {
		return rec, nil, fmt.Errorf("push: %w", dormer.ErrNotFound)
	}
	if err := r.readJSON(ctx, r.pendingName(push), &rec); err != nil {
		return rec, nil, fmt.Errorf("push %s: %w", push, err)
	}
	if !r.cfg.Now().Before(rec.Expires) {
		return rec, nil, fmt.Errorf("push %s has expired: %w", push, dormer.ErrNotFound)
	}
	// The publisher may have lost trust since the push began.
	m, _, err := imageformat.OpenManifest(r.cfg.Trust(), rec.Image, rec.Envelope)
	if err != nil {
		return rec, nil, fmt.Errorf("push %s: %w", push, err)
	}
	return rec, m, nil
}

// Missing returns what the repository lacks of a push: ask it to resume.
func (r *Repository) Missing(ctx context.Context, push string) ([]imageformat.Object, error) {
	_, m, err := r.pending(ctx, push)
	if err != nil {
		return nil, err
	}
	return r.lacking(ctx, m)
}

func (r *Repository) lacking(ctx context.Context, m *imageformat.Manifest) ([]imageformat.Object, error) {
	missing := []imageformat.Object{}
	for _, o := range m.Objects {
		info, err := r.blobs.Stat(ctx, o.Name)
		switch {
		case errors.Is(err, dormer.ErrNotFound):
			missing = append(missing, o)
		case err != nil:
			return nil, fmt.Errorf("look for %s: %w", o.Name, err)
		case info.Size != o.Size:
			return nil, fmt.Errorf("%s has %d bytes, the manifest says %d: %w", o.Name, info.Size, o.Size, dormer.ErrCorrupt)
		}
	}
	return missing, nil
}

// PutObject stores an object of a push. size must be what the manifest says;
// the content is hashed while it is stored, and refused with ErrCorrupt when the
// hash is another. Storing what is there already is no error.
func (r *Repository) PutObject(ctx context.Context, push, object string, size int64, body io.Reader) error {
	_, m, err := r.pending(ctx, push)
	if err != nil {
		return err
	}
	_, want, err := imageformat.ParseObjectName(object)
	if err != nil {
		return err
	}
	listed, ok := m.Object(object)
	if !ok {
		return dormer.Invalidf("object", "does not belong to the image that is pushed")
	}
	if size != listed.Size {
		return dormer.Invalidf("object", "has %d bytes, the manifest says %d", size, listed.Size)
	}
	if _, err := r.blobs.Stat(ctx, object); err == nil {
		return nil
	}
	err = r.blobs.Put(ctx, object, &hashedReader{r: io.LimitReader(body, size+1), left: size, sum: sha256.New(), want: want, name: object}, size)
	if err != nil && !errors.Is(err, dormer.ErrExists) {
		return fmt.Errorf("store %s: %w", object, err)
	}
	return nil
}

// hashedReader fails instead of returning the last bytes when all bytes do not
// have the wanted hash, so that a Put of it stores nothing.
type hashedReader struct {
	r    io.Reader
	left int64
	sum  hash.Hash
	want imageformat.Hash
	name string
}

func (h *hashedReader) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	h.sum.Write(p[:n])
	h.left -= int64(n)
	if h.left < 0 {
		return 0, dormer.Invalidf("object", "is longer than announced")
	}
	if h.left == 0 && n > 0 && imageformat.Hash(h.sum.Sum(nil)) != h.want {
		return 0, fmt.Errorf("%s: hash of what was sent does not fit: %w", h.name, dormer.ErrCorrupt)
	}
	return n, err
}

// Abort ends a push at once. What was stored and nothing else needs is swept
// later.
func (r *Repository) Abort(ctx context.Context, push string) error {
	if !dormer.ValidID(push) {
		return fmt.Errorf("push: %w", dormer.ErrNotFound)
	}
	return r.blobs.Delete(ctx, r.pendingName(push))
}
