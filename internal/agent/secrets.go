package agent

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire"
)

// openKey opens one of the sealed keys; the result is for memory only.
func openKey(key seal.ClientKey, sealed wire.SealedKeys, name string) ([]byte, error) {
	i := slices.IndexFunc(sealed.Keys, func(k wire.SealedKey) bool { return k.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("key %q has not arrived yet: %w", name, dormer.ErrUnavailable)
	}
	return seal.Unseal(key, wire.KeyInfo(name), sealed.Keys[i].Sealed)
}

// repositoryKey opens the key of the lease's image; nil when the image is not
// encrypted.
func repositoryKey(key seal.ClientKey, sealed wire.SealedKeys, l *lease.Lease) (*imageformat.RepositoryKey, []byte, error) {
	prefix := wire.RepositoryKeyName("")
	for _, name := range l.Keys {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		b, err := openKey(key, sealed, name)
		if err != nil {
			return nil, nil, err
		}
		k, err := imageformat.ParseRepositoryKey(b)
		if err != nil {
			return nil, nil, err
		}
		return k, b, nil
	}
	return nil, nil, nil
}

// secretsOf opens what a machine needs to start.
func secretsOf(key seal.ClientKey, sealed wire.SealedKeys, l *lease.Lease) (hypervisor.Secrets, *imageformat.RepositoryKey, error) {
	disk, err := openKey(key, sealed, wire.DiskKeyName(l.Machine))
	if err != nil {
		return hypervisor.Secrets{}, nil, err
	}
	repository, raw, err := repositoryKey(key, sealed, l)
	if err != nil {
		return hypervisor.Secrets{}, nil, err
	}
	return hypervisor.Secrets{DiskKey: disk, RepositoryKey: raw}, repository, nil
}
