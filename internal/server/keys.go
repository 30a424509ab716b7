package server

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/seal"
)

// Names in the folder of keys. All are secret.
const (
	keyRoot       = "root.key"
	keyInstance   = "instance.key"
	keyToken      = "token.key"
	keyEscrow     = "escrow.key"
	keyRepository = "repository.key"
	keyTickets    = "tickets.key"
	keySetState   = "keyset.json"
)

// secretSize is the size of each symmetric key, in bytes.
const secretSize = 32

// keySizes are the lengths of the keys that every instance has, in bytes.
var keySizes = map[string]int{
	keyRoot: ed25519.SeedSize, keyInstance: ed25519.SeedSize, keyToken: secretSize, keyEscrow: secretSize, keyRepository: secretSize,
}

// keys are the secrets of an instance.
type keys struct {
	root       *seal.SigningKey // signs key sets, nothing else
	instance   *seal.SigningKey // leases, orders, answers, names of images
	token      []byte           // HMAC of client tokens and challenges
	escrow     []byte           // AES, disk keys at rest
	repository *imageformat.RepositoryKey
}

// loadKeys reads the keys, making them at the first start. Later a missing key
// is an error: a new one would cut all clients off.
func loadKeys(d *dataDir, random io.Reader) (*keys, error) {
	if err := os.MkdirAll(d.file(dirKeys, dirTLS), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of keys: %w", err)
	}
	k := &keys{}
	seeds := map[string][]byte{}
	for name, size := range keySizes {
		b, err := loadSecret(d, name, size, random)
		if err != nil {
			return nil, err
		}
		seeds[name] = b
	}
	k.token, k.escrow = seeds[keyToken], seeds[keyEscrow]
	var err error
	if k.root, err = seal.SigningKeyFromSeed(seeds[keyRoot]); err != nil {
		return nil, err
	}
	if k.instance, err = seal.SigningKeyFromSeed(seeds[keyInstance]); err != nil {
		return nil, err
	}
	if k.repository, err = imageformat.ParseRepositoryKey(seeds[keyRepository]); err != nil {
		return nil, err
	}
	return k, nil
}

// loadSecret reads one file of raw bytes in the folder of keys.
func loadSecret(d *dataDir, name string, size int, random io.Reader) ([]byte, error) {
	path := d.file(dirKeys, name)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && d.fresh:
		b = make([]byte, size)
		if _, err := io.ReadFull(random, b); err != nil {
			return nil, fmt.Errorf("make key %s: %w", name, err)
		}
		return b, durable.WriteFile(path, b)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("the key %s is missing; restore it from a backup: %w", path, dormer.ErrCorrupt)
	case err != nil:
		return nil, fmt.Errorf("read key: %w", err)
	case len(b) != size:
		return nil, fmt.Errorf("the key %s has %d bytes, expected %d: %w", path, len(b), size, dormer.ErrCorrupt)
	}
	return b, nil
}
