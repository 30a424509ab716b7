package httpapi

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Publishers keeps the keys of publishers and puts them into the key set.
type Publishers interface {
	Publishers(ctx context.Context) ([]seal.PublicKey, error)
	// AddPublisher returns ErrExists for a key that is there.
	AddPublisher(ctx context.Context, k seal.PublicKey, by string, at time.Time) error
	// RemovePublisher returns ErrNotFound for one that is not.
	RemovePublisher(ctx context.Context, id seal.KeyID) error
}

func publisherOf(k seal.PublicKey) rest.Publisher {
	return rest.Publisher{ID: k.ID, Name: k.Name, Key: k.Key}
}

func (a *API) listPublishers(c *call, _ rest.None) (rest.List[rest.Publisher], error) {
	all, err := a.Publishers.Publishers(c.ctx())
	if err != nil {
		return rest.List[rest.Publisher]{}, err
	}
	items := make([]rest.Publisher, len(all))
	for i, k := range all {
		items[i] = publisherOf(k)
	}
	return rest.List[rest.Publisher]{Items: items}, nil
}

func (a *API) addPublisher(c *call, in rest.NewPublisher) (rest.Publisher, error) {
	if len(in.Key) != ed25519.PublicKeySize {
		return rest.Publisher{}, dormer.Invalidf("key", "is not an Ed25519 public key: expected %d bytes in base64", ed25519.PublicKeySize)
	}
	if strings.TrimSpace(in.Name) == "" || utf8.RuneCountInString(in.Name) > dormer.MaxName {
		return rest.Publisher{}, dormer.Invalidf("name", "must have 1 to %d characters", dormer.MaxName)
	}
	k := seal.PublicKey{ID: seal.IDOf(in.Key), Purposes: []seal.Purpose{seal.PurposePublisher}, Key: in.Key, Name: in.Name}
	if err := a.Publishers.AddPublisher(c.ctx(), k, c.who(), a.Now().UTC().Truncate(time.Microsecond)); err != nil {
		return rest.Publisher{}, err
	}
	return publisherOf(k), c.audit("publisher.add", named(k.Name, string(k.ID)), "")
}

func (a *API) removePublisher(c *call, _ rest.None) (rest.None, error) {
	all, err := a.Publishers.Publishers(c.ctx())
	if err != nil {
		return rest.None{}, err
	}
	id := seal.KeyID(c.r.PathValue("id"))
	i := slices.IndexFunc(all, func(k seal.PublicKey) bool { return k.ID == id })
	if i < 0 {
		return rest.None{}, fmt.Errorf("no publisher has this key: %w", dormer.ErrNotFound)
	}
	if err := a.Publishers.RemovePublisher(c.ctx(), id); err != nil {
		return rest.None{}, err
	}
	return rest.None{}, c.audit("publisher.remove", named(all[i].Name, string(id)), "")
}
