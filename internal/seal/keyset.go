package seal

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/dormer-project/dormer"
)

// Purpose is what a key of a key set may sign.
type Purpose string

// The purposes of keys.
const (
	// PurposeLease signs leases.
	PurposeLease Purpose = "lease"
	// PurposeOrder signs orders, those that delete among them.
	PurposeOrder Purpose = "order"
	// PurposeAuthority signs answers to polls and the records that name
	// versions of images.
	PurposeAuthority Purpose = "authority"
	// PurposePublisher signs manifests of images.
	PurposePublisher Purpose = "publisher"
)

// purposeOf says which purpose a key needs to sign a payload of a type. Key
// sets are not listed: only the root key signs them.
var purposeOf = map[Type]Purpose{
	TypeLease:    PurposeLease,
	TypeOrder:    PurposeOrder,
	TypeAnswer:   PurposeAuthority,
	TypeName:     PurposeAuthority,
	TypeManifest: PurposePublisher,
}

// PublicKey is one key of a key set.
type PublicKey struct {
	ID       KeyID             `json:"id"`
	Purposes []Purpose         `json:"purposes"`
	Key      ed25519.PublicKey `json:"key"`
	// Name says whose key it is, for people: "publisher alice".
	Name string `json:"name,omitempty"`
}

// KeySet is what an instance's clients trust: its public keys and where its
// servers are. The root key signs it; a client takes only a higher Version.
type KeySet struct {
	Version  int               `json:"version"`
	Instance dormer.InstanceID `json:"instance"`
	// Epoch is that of the server which signed the set: proof to a superseded
	// one that its time is over.
	Epoch dormer.Epoch `json:"epoch"`
	Keys  []PublicKey  `json:"keys"`
	// Servers are base URLs in the order in which clients try them.
	Servers []string `json:"servers"`
}

// Sign signs the set with the root key.
func (s KeySet) Sign(root *SigningKey) (Envelope, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return Envelope{}, fmt.Errorf("encode key set: %w", err)
	}
	return root.Sign(TypeKeySet, b), nil
}

// OpenKeySet verifies e against the instance's root key and decodes it.
func OpenKeySet(root ed25519.PublicKey, e Envelope) (KeySet, error) {
	payload, err := Verify(root, TypeKeySet, e)
	if err != nil {
		return KeySet{}, err
	}
	var s KeySet
	if err := json.Unmarshal(payload, &s); err != nil {
		return KeySet{}, fmt.Errorf("key set is not valid JSON: %w", dormer.ErrCorrupt)
	}
	for _, k := range s.Keys {
		if len(k.Key) != ed25519.PublicKeySize || IDOf(k.Key) != k.ID {
			return KeySet{}, fmt.Errorf("key set lists a key whose identity does not fit: %w", dormer.ErrCorrupt)
		}
	}
	return s, nil
}

// Open returns the payload of e if e is of type t and was signed by a key that
// the set lists for that purpose. Otherwise ErrCorrupt, and ErrDenied when the
// key is not listed or is listed for other purposes only.
func (s KeySet) Open(t Type, e Envelope) ([]byte, error) {
	i := slices.IndexFunc(s.Keys, func(k PublicKey) bool { return k.ID == e.KeyID })
	if i < 0 {
		return nil, fmt.Errorf("%s is signed by key %q, which this instance does not trust: %w", t, e.KeyID, dormer.ErrDenied)
	}
	need, ok := purposeOf[t]
	if !ok || !slices.Contains(s.Keys[i].Purposes, need) {
		return nil, fmt.Errorf("key %s may not sign %s: %w", e.KeyID, t, dormer.ErrDenied)
	}
	return Verify(s.Keys[i].Key, t, e)
}
