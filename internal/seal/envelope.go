// Package seal signs and verifies documents and seals secrets to clients. It
// is a leaf that every package may import.
//
// An envelope carries the very bytes that were signed, never a value that is
// serialised again. A key set lists the public keys of an instance with their
// purposes; it is signed by the instance's root key, so that every other key
// can be rotated without touching a client.
package seal

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"

	"github.com/dormer-project/dormer"
)

// Type is the type of an envelope's payload. It is part of what is signed, so
// that a signature for one type never serves for another.
type Type string

// The types of payloads that are signed.
const (
	TypeKeySet   Type = "dormer/keyset.v1"
	TypeLease    Type = "dormer/lease.v1"
	TypeOrder    Type = "dormer/order.v1"
	TypeAnswer   Type = "dormer/answer.v1"
	TypeManifest Type = "dormer/manifest.v1"
	TypeName     Type = "dormer/name.v1"
)

// KeyID is the first 16 hexadecimal digits of the SHA-256 of a public key.
type KeyID string

// Envelope is a signed document. It is stored and sent as JSON; Payload and
// Signature are base64 there.
type Envelope struct {
	Type      Type   `json:"type"`
	KeyID     KeyID  `json:"key_id"`
	Payload   []byte `json:"payload"`
	Signature []byte `json:"signature"`
}

// MaxEnvelope is the largest envelope that ParseEnvelope accepts, in bytes. The largest
// documents signed are manifests.
const MaxEnvelope = 4 << 20

// ParseEnvelope decodes an envelope and checks its form, not its signature.
func ParseEnvelope(b []byte) (Envelope, error) {
	if len(b) > MaxEnvelope {
		return Envelope{}, fmt.Errorf("envelope of %d bytes: %w (at most %d)", len(b), dormer.ErrTooLarge, MaxEnvelope)
	}
	var e Envelope
	if err := json.Unmarshal(b, &e); err != nil {
		return Envelope{}, fmt.Errorf("envelope is not valid JSON: %w", dormer.ErrCorrupt)
	}
	if e.Type == "" || len(e.Signature) != ed25519.SignatureSize {
		return Envelope{}, fmt.Errorf("envelope lacks a type or a signature: %w", dormer.ErrCorrupt)
	}
	return e, nil
}

// Bytes returns the envelope as it is stored and sent.
func (e Envelope) Bytes() []byte {
	b, err := json.Marshal(e)
	if err != nil {
		panic("seal: an envelope always marshals: " + err.Error())
	}
	return b
}

// signedBytes is what a signature covers: a fixed prefix, the length of the
// type, the type and the payload. The length keeps type and payload apart.
func signedBytes(t Type, payload []byte) []byte {
	const domain = "dormer envelope v1\x00"
	b := make([]byte, 0, len(domain)+4+len(t)+len(payload))
	b = append(b, domain...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(t)))
	b = append(b, t...)
	return append(b, payload...)
}

// SigningKey is an Ed25519 key that signs envelopes.
type SigningKey struct {
	id      KeyID
	private ed25519.PrivateKey
}

// NewSigningKey makes a key from random.
func NewSigningKey(random io.Reader) (*SigningKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, fmt.Errorf("make signing key: %w", err)
	}
	return SigningKeyFromSeed(seed)
}

// SigningKeyFromSeed returns the key whose Seed is seed.
func SigningKeyFromSeed(seed []byte) (*SigningKey, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("signing key of %d bytes, expected %d: %w", len(seed), ed25519.SeedSize, dormer.ErrCorrupt)
	}
	private := ed25519.NewKeyFromSeed(seed)
	return &SigningKey{id: IDOf(private.Public().(ed25519.PublicKey)), private: private}, nil
}

// Seed returns the secret from which the key can be made again.
func (k *SigningKey) Seed() []byte { return k.private.Seed() }

// ID returns the identity of the key.
func (k *SigningKey) ID() KeyID { return k.id }

// Public returns the public half.
func (k *SigningKey) Public() ed25519.PublicKey { return k.private.Public().(ed25519.PublicKey) }

// Sign puts payload into an envelope. The envelope keeps payload; do not
// change it afterwards.
func (k *SigningKey) Sign(t Type, payload []byte) Envelope {
	return Envelope{Type: t, KeyID: k.id, Payload: payload, Signature: ed25519.Sign(k.private, signedBytes(t, payload))}
}

// IDOf returns the identity of a public key.
func IDOf(public ed25519.PublicKey) KeyID {
	sum := sha256.Sum256(public)
	return KeyID(hex.EncodeToString(sum[:8]))
}

// Verify returns the payload of e if e is of type t and public signed it, else
// ErrCorrupt.
func Verify(public ed25519.PublicKey, t Type, e Envelope) ([]byte, error) {
	if e.Type != t {
		return nil, fmt.Errorf("envelope holds %q, expected %q: %w", e.Type, t, dormer.ErrCorrupt)
	}
	if len(public) != ed25519.PublicKeySize || !ed25519.Verify(public, signedBytes(t, e.Payload), e.Signature) {
		return nil, fmt.Errorf("signature of %s does not fit: %w", t, dormer.ErrCorrupt)
	}
	return e.Payload, nil
}
