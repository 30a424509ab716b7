package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/seal"
)

// publisherStore is where trusted publishers are kept.
type publisherStore interface {
	Publishers(ctx context.Context) ([]seal.PublicKey, error)
}

// keyRing is the instance's current key set. Its version is raised whenever
// its content changes, and the raised version is durable before it is signed:
// a client never sees two contents under one number.
type keyRing struct {
	path       string // of keyset.json
	keys       *keys
	instance   dormer.InstanceID
	epoch      dormer.Epoch
	servers    []string
	publishers publisherStore

	mu       sync.RWMutex // guards the fields below
	set      seal.KeySet
	envelope seal.Envelope
}

// versionsPerEpoch is how many versions of the key set one epoch has.
const versionsPerEpoch = 1_000_000

// keySetRecord is what keyset.json holds.
type keySetRecord struct {
	Version int    `json:"version"`
	SHA256  string `json:"sha256"` // of the content, version 0
}

// Refresh reads the publishers again and signs a new set if something changed.
func (r *keyRing) Refresh(ctx context.Context) error {
	publishers, err := r.publishers.Publishers(ctx)
	if err != nil {
		return fmt.Errorf("read publishers: %w", err)
	}
	own := seal.PublicKey{
		ID: r.keys.instance.ID(), Key: r.keys.instance.Public(), Name: "instance",
		Purposes: []seal.Purpose{seal.PurposeLease, seal.PurposeOrder, seal.PurposeAuthority},
	}
	set := seal.KeySet{Instance: r.instance, Epoch: r.epoch, Keys: append([]seal.PublicKey{own}, publishers...), Servers: r.servers}
	content, err := json.Marshal(set)
	if err != nil {
		return fmt.Errorf("encode key set: %w", err)
	}
	sum := sha256.Sum256(content)
	r.mu.Lock()
	defer r.mu.Unlock()
	record, err := r.readRecord()
	if err != nil {
		return err
	}
	if hash := hex.EncodeToString(sum[:]); record.SHA256 != hash {
		// Each epoch has versions of its own: what a server that was lost
		// signed last need not be known to the one in its place.
		record = keySetRecord{Version: max(record.Version+1, int(r.epoch-1)*versionsPerEpoch+1), SHA256: hash}
		b, err := json.Marshal(record)
		if err != nil {
			return fmt.Errorf("encode version of key set: %w", err)
		}
		if err := durable.WriteFile(r.path, b); err != nil {
			return err
		}
	}
	set.Version = record.Version
	envelope, err := set.Sign(r.keys.root)
	if err != nil {
		return err
	}
	r.set, r.envelope = set, envelope
	return nil
}

func (r *keyRing) readRecord() (keySetRecord, error) {
	b, err := os.ReadFile(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return keySetRecord{}, nil
	}
	if err != nil {
		return keySetRecord{}, fmt.Errorf("read version of key set: %w", err)
	}
	var record keySetRecord
	if err := json.Unmarshal(b, &record); err != nil {
		return keySetRecord{}, fmt.Errorf("%s is not valid JSON: %w", r.path, dormer.ErrCorrupt)
	}
	return record, nil
}

// Set returns the current key set.
func (r *keyRing) Set() seal.KeySet {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.set
}

// Signed returns the current key set as clients get it.
func (r *keyRing) Signed() (version int, envelope seal.Envelope) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.set.Version, r.envelope
}
