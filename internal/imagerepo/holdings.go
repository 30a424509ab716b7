package imagerepo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/seal"
)

// Holding is an image with what its versions take. Sizes are bytes.
type Holding struct {
	Name string
	// Versions by number, with all sizes.
	Versions []Version
	// Stored is the size of the objects of all versions, each counted once.
	Stored int64
	// Saved is what the versions would take more if they shared nothing.
	Saved int64
	// Unique is what deleting all versions would free.
	Unique int64
}

// ledger remembers what cannot change, so that thousands of versions are listed
// without reading and verifying them all again: records of versions, and of
// manifests what sizes are worked out from.
type ledger struct {
	mu sync.Mutex // held while versions are looked at
	// guards the fields below
	records   map[ref]*record
	trust     []byte // the keys that records were verified with, encoded
	manifests map[dormer.ImageID]*outline
	objects   map[string]int32 // places in sizes
	sizes     []int64
}

// record is that of a version, as it is stored and decoded.
type record struct {
	stored []byte
	nameRecord
	verified bool // with the keys of the ledger
}

// outline is what sizes are worked out from.
type outline struct {
	sizes     imageformat.Sizes
	keyID     string
	publisher seal.KeyID
	stored    int64
	objects   []int32
}

// entry is one living version on a look at all of them.
type entry struct {
	ref
	rec nameRecord
	*outline
}

// look is all living versions of all instances at one moment.
type look struct {
	entries []entry
	sizes   []int64 // of objects
	users   []int32 // versions that need an object
}

// manifestAndSigner reads the manifest of id, trusting its hash alone, and who
// says that they signed it.
func (r *Repository) manifestAndSigner(ctx context.Context, id dormer.ImageID) (*imageformat.Manifest, seal.KeyID, error) {
	object, err := imageformat.ManifestName(id)
	if err != nil {
		return nil, "", err
	}
	b, err := r.read(ctx, object)
	if err != nil {
		return nil, "", err
	}
	m, err := imageformat.OpenPinnedManifest(id, b)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", object, err)
	}
	e, err := seal.ParseEnvelope(b)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", object, err)
	}
	return m, e.KeyID, nil
}

// outline returns what the manifest of id comes to, read once.
func (r *Repository) outline(ctx context.Context, id dormer.ImageID) (*outline, error) {
	l := &r.ledger
	if o := l.manifests[id]; o != nil {
		return o, nil
	}
	m, signer, err := r.manifestAndSigner(ctx, id)
	if err != nil {
		return nil, err
	}
	o := &outline{sizes: m.Sizes, keyID: m.KeyID, publisher: signer, objects: make([]int32, len(m.Objects))}
	for i, object := range m.Objects {
		place, known := l.objects[object.Name]
		if !known {
			place = int32(len(l.sizes))
			l.objects[object.Name] = place
			l.sizes = append(l.sizes, object.Size)
		}
		o.objects[i] = place
		o.stored += object.Size
	}
	l.manifests[id] = o
	return o, nil
}

// remembered returns the record of a version, read and decoded once.
func (r *Repository) remembered(ctx context.Context, v ref) (*record, error) {
	if known := r.ledger.records[v]; known != nil {
		return known, nil
	}
	b, err := r.read(ctx, prefixNames+v.path())
	if err != nil {
		return nil, err
	}
	rec, err := readRecord(v, b, nil)
	if err != nil {
		return nil, err
	}
	known := &record{stored: b, nameRecord: rec}
	r.ledger.records[v] = known
	return known, nil
}

// verify verifies the records of the entries: once with the same keys.
func (r *Repository) verify(ctx context.Context, entries []entry) error {
	trust := r.cfg.Trust()
	keys, err := json.Marshal(trust.Keys)
	if err != nil {
		return fmt.Errorf("encode keys: %w", err)
	}
	l := &r.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if !bytes.Equal(l.trust, keys) {
		l.trust = keys
		for _, known := range l.records {
			known.verified = false
		}
	}
	for _, e := range entries {
		known, err := r.remembered(ctx, e.ref)
		if err != nil {
			return err
		}
		if known.verified {
			continue
		}
		if _, err := readRecord(e.ref, known.stored, &trust); err != nil {
			return err
		}
		known.verified = true
	}
	return nil
}

// look looks at all living versions. Records are not verified: they are
// believed so far as they keep objects.
func (r *Repository) look(ctx context.Context) (look, error) {
	refs, err := r.living(ctx, "")
	if err != nil {
		return look{}, err
	}
	l := &r.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.records == nil || len(l.records) > 2*len(refs) {
		// Most of what is remembered is gone.
		l.records, l.manifests = make(map[ref]*record, len(refs)), make(map[dormer.ImageID]*outline, len(refs))
		l.objects, l.sizes = make(map[string]int32), nil
	}
	out := look{entries: make([]entry, len(refs))}
	for i, v := range refs {
		known, err := r.remembered(ctx, v)
		if err != nil {
			return look{}, err
		}
		e := entry{ref: v, rec: known.nameRecord}
		if e.outline, err = r.outline(ctx, e.rec.Image); err != nil {
			return look{}, err
		}
		out.entries[i] = e
	}
	out.sizes = slices.Clone(l.sizes)
	out.users = make([]int32, len(out.sizes))
	for _, e := range out.entries {
		for _, o := range e.objects {
			out.users[o]++
		}
	}
	return out, nil
}

// readRecord decodes the record of a version from b; with a key set it must be
// signed by one of its authorities.
func readRecord(v ref, b []byte, trust *seal.KeySet) (nameRecord, error) {
	var rec nameRecord
	blob := prefixNames + v.path()
	e, err := seal.ParseEnvelope(b)
	if err != nil {
		return rec, fmt.Errorf("%s: %w", blob, err)
	}
	payload := e.Payload
	if trust != nil {
		if payload, err = trust.Open(seal.TypeName, e); err != nil {
			return rec, fmt.Errorf("%s: %w", blob, err)
		}
	}
	if err := json.Unmarshal(payload, &rec); err != nil {
		return rec, fmt.Errorf("%s is not valid JSON: %w", blob, dormer.ErrCorrupt)
	}
	if rec.Instance != v.instance || rec.Number != v.number || escape(name.Fold(rec.Name)) != v.key {
		return rec, fmt.Errorf("%s holds another version: %w", blob, dormer.ErrCorrupt)
	}
	return rec, nil
}

// unshared returns what the entries need and no other version does, and what
// their objects take, each counted once.
func (l *look) unshared(entries []entry) (unique, stored int64) {
	needed := map[int32]int32{}
	for _, e := range entries {
		for _, o := range e.objects {
			needed[o]++
		}
	}
	for o, n := range needed {
		stored += l.sizes[o]
		if n == l.users[o] {
			unique += l.sizes[o]
		}
	}
	return unique, stored
}

// holding makes the holding of the entries, which are of one image of this
// instance, and verifies their records.
func (r *Repository) holding(ctx context.Context, l *look, entries []entry) (Holding, error) {
	if err := r.verify(ctx, entries); err != nil {
		return Holding{}, err
	}
	h := Holding{Versions: make([]Version, len(entries))}
	for i, e := range entries {
		rec := e.rec
		v := Version{
			Name: rec.Name, Number: rec.Number, Image: rec.Image, Created: rec.Created, By: rec.By,
			Sizes: e.sizes, Stored: e.outline.stored, KeyID: e.keyID, Publisher: e.publisher,
		}
		for _, o := range e.objects {
			if l.users[o] == 1 {
				v.Unique += l.sizes[o]
			}
		}
		h.Versions[i], h.Saved, h.Name = v, h.Saved+v.Stored, rec.Name
	}
	h.Unique, h.Stored = l.unshared(entries)
	h.Saved -= h.Stored
	return h, nil
}

// Holdings returns all images of the instance, by name.
func (r *Repository) Holdings(ctx context.Context) ([]Holding, error) {
	l, err := r.look(ctx)
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	own := slices.DeleteFunc(slices.Clone(l.entries), func(e entry) bool { return e.instance != r.cfg.Instance })
	var out []Holding
	for len(own) > 0 {
		n := 1
		for n < len(own) && own[n].key == own[0].key {
			n++
		}
		h, err := r.holding(ctx, &l, own[:n])
		if err != nil {
			return nil, fmt.Errorf("list images: %w", err)
		}
		out, own = append(out, h), own[n:]
	}
	slices.SortFunc(out, func(a, b Holding) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Holding returns one image. ErrNotFound when it has no version.
func (r *Repository) Holding(ctx context.Context, image string) (Holding, error) {
	l, of, err := r.lookAt(ctx, image)
	if err != nil {
		return Holding{}, err
	}
	h, err := r.holding(ctx, &l, of)
	if err != nil {
		return Holding{}, fmt.Errorf("list versions of %s: %w", image, err)
	}
	return h, nil
}

// lookAt looks at all versions and says which are of the image. ErrNotFound
// when none is.
func (r *Repository) lookAt(ctx context.Context, image string) (l look, of []entry, err error) {
	if err := checkName(image); err != nil {
		return look{}, nil, err
	}
	if l, err = r.look(ctx); err != nil {
		return look{}, nil, fmt.Errorf("list versions of %s: %w", image, err)
	}
	key := escape(name.Fold(image))
	of = slices.DeleteFunc(slices.Clone(l.entries), func(e entry) bool { return e.instance != r.cfg.Instance || e.key != key })
	if len(of) == 0 {
		return look{}, nil, fmt.Errorf("image %s: %w", image, dormer.ErrNotFound)
	}
	return l, of, nil
}

// Frees says what deleting versions of an image together would free, and which
// they are: those of the numbers, all without any. What only versions share
// that go together is freed, so it may be more than their Unique comes to.
// ErrNotFound when there is no such image or version.
func (r *Repository) Frees(ctx context.Context, image string, numbers ...int) (bytes int64, versions []Version, err error) {
	l, of, err := r.lookAt(ctx, image)
	if err != nil {
		return 0, nil, err
	}
	for _, n := range numbers {
		if !slices.ContainsFunc(of, func(e entry) bool { return e.number == n }) {
			return 0, nil, fmt.Errorf("version %d of image %s: %w", n, image, dormer.ErrNotFound)
		}
	}
	if len(numbers) > 0 {
		of = slices.DeleteFunc(of, func(e entry) bool { return !slices.Contains(numbers, e.number) })
	}
	h, err := r.holding(ctx, &l, of)
	return h.Unique, h.Versions, err
}
