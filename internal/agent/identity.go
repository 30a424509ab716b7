package agent

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/seal"
)

// identity is who the client is and whom it trusts. It is kept in FileIdentity
// and replaced as a whole.
type identity struct {
	Client   dormer.ClientID   `json:"client"`
	Instance dormer.InstanceID `json:"instance"`
	// RootKey signs key sets. It was believed because the join token pinned
	// the authority.
	RootKey []byte `json:"root_key"`
	// Authority is the certificate (DER) that servers' certificates are signed
	// by; empty: the system's authorities.
	Authority []byte        `json:"authority,omitempty"`
	KeySet    seal.Envelope `json:"key_set"`
	// Key is the SHA-256 of the client's public key (seal.MarshalClientPublic).
	// Identities of earlier agents lack it.
	Key []byte `json:"key,omitempty"`
	// Epoch is the highest that was seen.
	Epoch    dormer.Epoch `json:"epoch"`
	Enrolled time.Time    `json:"enrolled"`
	// Revoked says that the server has refused this identity for good.
	Revoked bool `json:"revoked,omitempty"`
	// Again says that the client had another identity before.
	Again bool `json:"again,omitempty"`
}

// trust is an identity with its key set opened. It is not changed; a newer one
// takes its place.
type trust struct {
	identity
	keys seal.KeySet
}

// holder is who leases and orders must name.
func (t *trust) holder() lease.Holder {
	return lease.Holder{Instance: t.Instance, Client: t.Client, Epoch: t.Epoch}
}

// open verifies an identity that was read or just received.
func (i identity) open() (*trust, error) {
	if len(i.RootKey) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("root key of the instance: %w", dormer.ErrCorrupt)
	}
	keys, err := seal.OpenKeySet(ed25519.PublicKey(i.RootKey), i.KeySet)
	if err != nil {
		return nil, fmt.Errorf("key set of the instance: %w", err)
	}
	if keys.Instance != i.Instance || len(keys.Servers) == 0 {
		return nil, fmt.Errorf("key set of another instance, or without servers: %w", dormer.ErrCorrupt)
	}
	return &trust{identity: i, keys: keys}, nil
}

// withKeySet returns the trust after a newer key set; nil when e is not newer.
func (t *trust) withKeySet(e seal.Envelope) (*trust, error) {
	next := t.identity
	next.KeySet = e
	n, err := next.open()
	if err != nil {
		return nil, err
	}
	// After a restore the versions begin lower, in a higher epoch.
	if n.keys.Epoch < t.keys.Epoch || (n.keys.Epoch == t.keys.Epoch && n.keys.Version <= t.keys.Version) {
		return nil, nil
	}
	return n, nil
}

// loadIdentity reads key and identity; all nil when the client is not enrolled.
// An enrolment that was interrupted after the identity was kept is finished.
func loadIdentity(f folder) (*seal.FileKey, *trust, error) {
	key, _, err := readKey(f, FileKey)
	if err != nil {
		return nil, nil, err
	}
	var i identity
	if err := f.readJSON(FileIdentity, &i); err != nil {
		return nil, nil, err
	}
	if i.Client == "" {
		return key, nil, nil
	}
	if !i.isOf(key) {
		next, pem, err := readKey(f, FileNextKey)
		if err != nil {
			return nil, nil, err
		}
		if next == nil || len(i.Key) == 0 || !i.isOf(next) {
			return nil, nil, fmt.Errorf("the client's key is missing beside its identity: %w", dormer.ErrCorrupt)
		}
		if err := adoptKey(f, pem); err != nil {
			return nil, nil, err
		}
		key = next
	}
	t, err := i.open()
	if err != nil {
		return nil, nil, err
	}
	return key, t, nil
}

// readKey reads a key, also in PEM; nil when there is none.
func readKey(f folder, name string) (*seal.FileKey, []byte, error) {
	b, err := f.read(name)
	if errors.Is(err, dormer.ErrNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	key, err := seal.ParseFileKey(b)
	return key, b, err
}

// adoptKey makes the key of an identity that was kept just before the client's
// own. Sessions of another identity mean nothing, and the new key does not open
// them: they go first.
func adoptKey(f folder, pem []byte) error {
	if err := f.writeJSON(FileUsers, users{}); err != nil {
		return err
	}
	return f.write(FileKey, pem)
}

// isOf reports whether the identity goes with a key, as far as it says.
func (i identity) isOf(key *seal.FileKey) bool {
	if key == nil {
		return false
	}
	hash, err := hashOf(key)
	return err == nil && (len(i.Key) == 0 || bytes.Equal(i.Key, hash))
}

func hashOf(key *seal.FileKey) ([]byte, error) {
	public, err := seal.MarshalClientPublic(key)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(public)
	return sum[:], nil
}

// nextKey returns the key to enrol with, in PEM too. It is kept before it is
// used, so that an enrolment whose answer was lost is repeated with the same
// key, and beside the client's own, which an enrolment that fails must not
// touch. current is that one, nil when there is none.
func nextKey(f folder, random io.Reader, current *seal.FileKey) (*seal.FileKey, []byte, error) {
	b, err := f.read(FileNextKey)
	if err == nil {
		// One that was taken already, before a crash, is no next one.
		if k, err := seal.ParseFileKey(b); err == nil && (current == nil || !k.Equal(current.PrivateKey)) {
			return k, b, nil
		}
	} else if !errors.Is(err, dormer.ErrNotFound) {
		return nil, nil, err
	}
	k, err := seal.NewFileKey(random)
	if err != nil {
		return nil, nil, err
	}
	if b, err = k.MarshalPEM(); err != nil {
		return nil, nil, err
	}
	return k, b, f.write(FileNextKey, b)
}
