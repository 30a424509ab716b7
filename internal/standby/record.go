package standby

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
)

// Names at the target.
const (
	prefixRecord     = "record/"
	prefixRepository = "repository/"
	prefixFollowers  = "followers/"
	nameSecrets      = "secrets"
	nameAlive        = "alive"
	nameImages       = "images"
)

// Limits of what is read from a target, in bytes.
const (
	maxRecord  = 64 << 10
	maxSecrets = 16 << 20
)

// keptRevisions of the record stay at the target, for people who look.
const keptRevisions = 10

func epochName(e dormer.Epoch, name string) string {
	return fmt.Sprintf("epoch-%06d/%s", e, name)
}

func revisionName(n int) string { return fmt.Sprintf("%s%09d", prefixRecord, n) }

// Record says who rules at the target.
type Record struct {
	Format   int               `json:"format"`
	Instance dormer.InstanceID `json:"instance"`
	// Epoch of the server that rules, and its Owner: the identity of its copy.
	Epoch dormer.Epoch `json:"epoch"`
	Owner string       `json:"owner"`
	Host  string       `json:"host"`
	// Source is the epoch whose data at the target are whole; 0 before there
	// are any. It is Epoch once the server of Epoch has shipped everything.
	Source dormer.Epoch `json:"source"`
	Time   time.Time    `json:"time"`

	revision int
}

// recordFormat is what this program reads and writes.
const recordFormat = 1

// ReadRecord returns the record that rules; ErrNotFound when there is none.
func (t *Target) ReadRecord(ctx context.Context) (Record, error) {
	for {
		newest, err := t.newest(ctx)
		if err != nil {
			return Record{}, err
		}
		if newest == 0 {
			return Record{}, fmt.Errorf("the target %s holds no instance: %w", t, dormer.ErrNotFound)
		}
		b, err := t.read(ctx, revisionName(newest), maxRecord)
		if errors.Is(err, dormer.ErrNotFound) {
			continue // it has become old meanwhile, and was removed
		}
		if err != nil {
			return Record{}, err
		}
		r, err := decodeRecord(b)
		if err != nil {
			return Record{}, fmt.Errorf("read the record at %s: %w", t, err)
		}
		r.revision = newest
		return r, nil
	}
}

func (t *Target) newest(ctx context.Context) (int, error) {
	newest := 0
	err := t.List(ctx, prefixRecord, func(name string, _ int64) error {
		if n, err := strconv.Atoi(strings.TrimPrefix(name, prefixRecord)); err == nil && revisionName(n) == name {
			newest = max(newest, n)
		}
		return nil
	})
	return newest, err
}

func decodeRecord(b []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(b, &r); err != nil {
		return Record{}, fmt.Errorf("it is not valid JSON: %w", dormer.ErrCorrupt)
	}
	if r.Format > recordFormat {
		return Record{}, fmt.Errorf("it has format %d, this program knows %d: %w", r.Format, recordFormat, dormer.ErrUnsupported)
	}
	if r.Format < 1 || r.Instance == "" || r.Epoch < 1 || r.Owner == "" || r.Source > r.Epoch {
		return Record{}, fmt.Errorf("it is not whole: %w", dormer.ErrCorrupt)
	}
	return r, nil
}

// replace makes next the record in place of r. ErrConflict when somebody else
// was first.
func (t *Target) replace(ctx context.Context, r, next Record) (Record, error) {
	next.Format, next.revision = recordFormat, r.revision+1
	b, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return Record{}, fmt.Errorf("encode the record: %w", err)
	}
	err = t.Create(ctx, revisionName(next.revision), append(b, '\n'))
	if errors.Is(err, dormer.ErrExists) {
		// It may be one's own, made by a request whose answer was lost.
		there, e := t.read(ctx, revisionName(next.revision), maxRecord)
		if e != nil || !bytes.Equal(there, append(b, '\n')) {
			return Record{}, fmt.Errorf("another server has changed the record at %s: %w", t, dormer.ErrConflict)
		}
	} else if err != nil {
		return Record{}, err
	}
	// Who was away for long may have made a revision that was removed as old.
	now, err := t.ReadRecord(ctx)
	if err != nil {
		return Record{}, err
	}
	if now.revision != next.revision {
		return Record{}, fmt.Errorf("another server has changed the record at %s: %w", t, dormer.ErrConflict)
	}
	if old := next.revision - keptRevisions; old > 0 {
		if err := t.Delete(ctx, revisionName(old)); err != nil {
			return Record{}, err
		}
	}
	return next, nil
}

// standing is how a server stands to the record at its target.
type standing int

const (
	standingNew        standing = iota // the target holds nothing
	standingRules                      // the record is the server's own
	standingHigher                     // the server's epoch was raised since: by a restore, or by promotion
	standingSuperseded                 // another server has a higher epoch
	standingTwin                       // another copy of the data folder has the same epoch
	standingForeign                    // the target is another instance's
)

// standingOf compares a server with the record.
func standingOf(r *Record, instance dormer.InstanceID, epoch dormer.Epoch, owner string) standing {
	switch {
	case r == nil:
		return standingNew
	case r.Instance != instance:
		return standingForeign
	case r.Epoch > epoch:
		return standingSuperseded
	case r.Epoch < epoch:
		return standingHigher
	case r.Owner != owner:
		return standingTwin
	}
	return standingRules
}

func dormerKind(err error) bool {
	for _, kind := range []error{
		dormer.ErrInvalid, dormer.ErrUnauthenticated, dormer.ErrDenied, dormer.ErrNotFound, dormer.ErrExists, dormer.ErrConflict,
		dormer.ErrTooLarge, dormer.ErrFull, dormer.ErrUnavailable, dormer.ErrCorrupt, dormer.ErrUnsupported, dormer.ErrFenced,
	} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return errors.Is(err, context.Canceled)
}
