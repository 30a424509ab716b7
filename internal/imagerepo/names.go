package imagerepo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/seal"
)

// MaxNumber is the highest number of a version.
const MaxNumber = 999_999_999

// Version is one version of an image.
type Version struct {
	Name    string         `json:"name"`
	Number  int            `json:"number"`
	Image   dormer.ImageID `json:"image"`
	Created time.Time      `json:"created"`
	// By says who committed it, for people.
	By string `json:"by"`
	// Sizes are those of the manifest.
	Sizes imageformat.Sizes `json:"sizes"`
	// Stored is the size of all objects of the version, in bytes.
	Stored int64 `json:"stored"`
	// Unique is the part of Stored that no other version needs: what deleting
	// it would free. -1 where it was not asked for.
	Unique int64 `json:"unique"`
	// KeyID names the key that the objects are encrypted under, "" for none.
	KeyID string `json:"key_id,omitempty"`
	// Publisher is the key that the manifest is signed with.
	Publisher seal.KeyID `json:"publisher"`
}

// nameRecord is the payload of a name record; an instance signs it.
type nameRecord struct {
	Instance dormer.InstanceID `json:"instance"`
	Name     string            `json:"name"`
	Number   int               `json:"number"`
	Image    dormer.ImageID    `json:"image"`
	Created  time.Time         `json:"created"`
	By       string            `json:"by"`
}

// tombstone says who deleted a version and when.
type tombstone struct {
	Deleted time.Time `json:"deleted"`
	By      string    `json:"by"`
}

func checkName(n string) error {
	if err := dormer.CheckImageName(n); err != nil {
		return err
	}
	if len(escape(name.Fold(n))) > 255 {
		return dormer.Invalidf("name", "is too long once it is encoded for storage")
	}
	return nil
}

// The prefixes of the records of versions.
const (
	prefixNames      = "names/"
	prefixTombstones = "tombstones/"
)

// ref is the place of a version: the same under both prefixes.
type ref struct {
	instance dormer.InstanceID
	// key is the escaped, folded name.
	key    string
	number int
}

func (v ref) path() string {
	return string(v.instance) + "/" + v.key + "/" + fmt.Sprintf("%09d", v.number)
}

// parseRef reads the name of a blob under prefix.
func parseRef(prefix, blob string) (ref, error) {
	parts := strings.Split(strings.TrimPrefix(blob, prefix), "/")
	if len(parts) == 3 {
		n, err := strconv.Atoi(parts[2])
		v := ref{dormer.InstanceID(parts[0]), parts[1], n}
		if err == nil && n > 0 && n <= MaxNumber && prefix+v.path() == blob {
			return v, nil
		}
	}
	return ref{}, fmt.Errorf("%s is not the name of a version: %w", blob, dormer.ErrCorrupt)
}

// refs returns the versions under prefix and below, with their tombstones or
// only those.
func (r *Repository) refs(ctx context.Context, prefix, below string) ([]ref, error) {
	var out []ref
	err := r.each(ctx, prefix+below, func(i BlobInfo) error {
		v, err := parseRef(prefix, i.Name)
		if err != nil {
			return err
		}
		out = append(out, v)
		return nil
	})
	return out, err
}

// living returns the versions below that have no tombstone, in order of name
// and number.
func (r *Repository) living(ctx context.Context, below string) ([]ref, error) {
	all, err := r.refs(ctx, prefixNames, below)
	if err != nil {
		return nil, err
	}
	dead, err := r.refs(ctx, prefixTombstones, below)
	if err != nil {
		return nil, err
	}
	gone := map[ref]bool{}
	for _, v := range dead {
		gone[v] = true
	}
	return slices.DeleteFunc(all, func(v ref) bool { return gone[v] }), nil
}

// record reads the record of a version. Those of this instance are verified;
// those of others are believed only so far as they keep objects from the sweep.
func (r *Repository) record(ctx context.Context, v ref) (nameRecord, error) {
	b, err := r.read(ctx, prefixNames+v.path())
	if err != nil {
		return nameRecord{}, err
	}
	if v.instance != r.cfg.Instance {
		return readRecord(v, b, nil)
	}
	trust := r.cfg.Trust()
	return readRecord(v, b, &trust)
}

// Commit makes the pushed image a version. number 0 takes the next free number,
// or, when the newest version is this very image, returns that version: so a
// repeated commit is harmless. A number that is or was in use is a
// *dormer.ConflictError. ErrConflict too when objects are still missing.
func (r *Repository) Commit(ctx context.Context, push string, number int, by string) (Version, error) {
	if number < 0 || number > MaxNumber {
		return Version{}, dormer.Invalidf("number", "must be between 1 and %d", MaxNumber)
	}
	rec, m, err := r.pending(ctx, push)
	if err != nil {
		return Version{}, err
	}
	missing, err := r.lacking(ctx, m)
	if err != nil {
		return Version{}, err
	}
	if len(missing) > 0 {
		return Version{}, fmt.Errorf("%d objects of the push are missing, %s first: %w", len(missing), missing[0].Name, dormer.ErrConflict)
	}
	if err := r.putManifest(ctx, rec); err != nil {
		return Version{}, err
	}
	v, err := r.claim(ctx, rec, number, by)
	if err != nil {
		return Version{}, err
	}
	if err := r.Abort(ctx, push); err != nil {
		return Version{}, fmt.Errorf("end push: %w", err)
	}
	return r.version(ctx, v)
}

func (r *Repository) putManifest(ctx context.Context, rec pendingRecord) error {
	object, err := imageformat.ManifestName(rec.Image)
	if err != nil {
		return err
	}
	err = r.put(ctx, object, rec.Envelope)
	if !errors.Is(err, dormer.ErrExists) {
		return err
	}
	// The same image was pushed before, perhaps signed by another publisher.
	b, err := r.read(ctx, object)
	if err != nil {
		return err
	}
	if _, _, err := imageformat.OpenManifest(r.cfg.Trust(), rec.Image, b); err != nil {
		return fmt.Errorf("%s is stored already, but not as one that this instance trusts: %w", object, err)
	}
	return nil
}

// claim creates the name record under the number, or under the next free one.
func (r *Repository) claim(ctx context.Context, rec pendingRecord, number int, by string) (ref, error) {
	v := ref{r.cfg.Instance, escape(name.Fold(rec.Name)), number}
	below := string(v.instance) + "/" + v.key + "/"
	if number == 0 {
		last, same, err := r.newest(ctx, below, rec.Image)
		if err != nil || same {
			return last, err
		}
		v.number = last.number + 1
	}
	for {
		if v.number > MaxNumber {
			return ref{}, dormer.Invalidf("number", "must be between 1 and %d", MaxNumber)
		}
		err := r.tryClaim(ctx, v, rec, by)
		if number == 0 && errors.Is(err, dormer.ErrConflict) {
			v.number++
			continue
		}
		return v, err
	}
}

// newest returns the version with the highest number, deleted ones counted, so
// that no number is ever used twice; and whether it lives and is image.
func (r *Repository) newest(ctx context.Context, below string, image dormer.ImageID) (ref, bool, error) {
	all, err := r.refs(ctx, prefixNames, below)
	if err != nil {
		return ref{}, false, err
	}
	dead, err := r.refs(ctx, prefixTombstones, below)
	if err != nil {
		return ref{}, false, err
	}
	var last ref
	for _, v := range slices.Concat(all, dead) {
		if v.number > last.number {
			last = v
		}
	}
	if last.number == 0 || slices.Contains(dead, last) {
		return last, false, nil
	}
	rec, err := r.record(ctx, last)
	if err != nil {
		return ref{}, false, err
	}
	return last, rec.Image == image, nil
}

func (r *Repository) tryClaim(ctx context.Context, v ref, rec pendingRecord, by string) error {
	r.sweeping.RLock()
	defer r.sweeping.RUnlock()
	what := fmt.Sprintf("version %d of %s", v.number, rec.Name)
	if _, err := r.blobs.Stat(ctx, prefixTombstones+v.path()); err == nil {
		return &dormer.ConflictError{What: what}
	} else if !errors.Is(err, dormer.ErrNotFound) {
		return err
	}
	payload, err := json.Marshal(nameRecord{v.instance, rec.Name, v.number, rec.Image, r.cfg.Now().UTC().Truncate(time.Microsecond), by})
	if err != nil {
		return fmt.Errorf("encode name record: %w", err)
	}
	err = r.put(ctx, prefixNames+v.path(), r.cfg.Sign(payload).Bytes())
	if errors.Is(err, dormer.ErrExists) {
		winner, rerr := r.record(ctx, v)
		if rerr != nil {
			return rerr
		}
		return &dormer.ConflictError{What: what, By: winner.By, At: winner.Created, Current: string(winner.Image)}
	}
	return err
}

// version returns a version without the sizes that need all others.
func (r *Repository) version(ctx context.Context, v ref) (Version, error) {
	rec, err := r.record(ctx, v)
	if err != nil {
		return Version{}, err
	}
	m, signer, err := r.manifestAndSigner(ctx, rec.Image)
	if err != nil {
		return Version{}, err
	}
	out := Version{
		Name: rec.Name, Number: rec.Number, Image: rec.Image, Created: rec.Created, By: rec.By,
		Sizes: m.Sizes, Unique: -1, KeyID: m.KeyID, Publisher: signer,
	}
	for _, o := range m.Objects {
		out.Stored += o.Size
	}
	return out, nil
}

// Names returns the names that have a version, sorted.
func (r *Repository) Names(ctx context.Context) ([]string, error) {
	refs, err := r.living(ctx, string(r.cfg.Instance)+"/")
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	var out []string
	for i, v := range refs {
		if i+1 < len(refs) && refs[i+1].key == v.key {
			continue // the newest version says how the name is written
		}
		rec, err := r.record(ctx, v)
		if err != nil {
			return nil, fmt.Errorf("list images: %w", err)
		}
		out = append(out, rec.Name)
	}
	slices.Sort(out)
	return out, nil
}

func (r *Repository) livingOf(ctx context.Context, image string) ([]ref, error) {
	if err := checkName(image); err != nil {
		return nil, err
	}
	refs, err := r.living(ctx, string(r.cfg.Instance)+"/"+escape(name.Fold(image))+"/")
	if err != nil {
		return nil, fmt.Errorf("list versions of %s: %w", image, err)
	}
	if len(refs) == 0 {
		return nil, fmt.Errorf("image %s: %w", image, dormer.ErrNotFound)
	}
	return refs, nil
}

// Versions returns the versions of an image by number, with all sizes.
func (r *Repository) Versions(ctx context.Context, image string) ([]Version, error) {
	h, err := r.Holding(ctx, image)
	return h.Versions, err
}

// Version returns one version; number 0 is the newest.
func (r *Repository) Version(ctx context.Context, image string, number int) (Version, error) {
	v, err := r.find(ctx, image, number)
	if err != nil {
		return Version{}, err
	}
	return r.version(ctx, v)
}

func (r *Repository) find(ctx context.Context, image string, number int) (ref, error) {
	refs, err := r.livingOf(ctx, image)
	if err != nil {
		return ref{}, err
	}
	if number == 0 {
		return refs[len(refs)-1], nil
	}
	i := slices.IndexFunc(refs, func(v ref) bool { return v.number == number })
	if i < 0 {
		return ref{}, fmt.Errorf("version %d of image %s: %w", number, image, dormer.ErrNotFound)
	}
	return refs[i], nil
}

// Delete deletes a version. Its number is never used again; what no other
// version needs is swept after Config.SweepAfter.
func (r *Repository) Delete(ctx context.Context, image string, number int, by string) error {
	if number < 1 {
		return dormer.Invalidf("number", "say which version to delete")
	}
	v, err := r.find(ctx, image, number)
	if err != nil {
		return err
	}
	return r.bury(ctx, v, by)
}

// DeleteAll deletes every version of an image and returns how many there were.
func (r *Repository) DeleteAll(ctx context.Context, image, by string) (int, error) {
	refs, err := r.livingOf(ctx, image)
	if err != nil {
		return 0, err
	}
	for i, v := range refs {
		if err := r.bury(ctx, v, by); err != nil {
			return i, err
		}
	}
	return len(refs), nil
}

func (r *Repository) bury(ctx context.Context, v ref, by string) error {
	err := r.putJSON(ctx, prefixTombstones+v.path(), tombstone{Deleted: r.cfg.Now().UTC().Truncate(time.Microsecond), By: by})
	if err != nil && !errors.Is(err, dormer.ErrExists) {
		return fmt.Errorf("delete version %d: %w", v.number, err)
	}
	return nil
}
