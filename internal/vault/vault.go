// Package vault keeps secrets that administrators leave with the server, for
// policies to name: the password of an account that joins computers to a domain.
// A secret is set, used by the server itself and deleted, and never shown again.
// It belongs to the server.
package vault

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
)

const (
	// KeySize is the length of the key that secrets are encrypted under, in bytes.
	KeySize = 32
	// MaxName is the longest name of a secret, in bytes.
	MaxName = 100
	// MaxValue is the longest secret, in bytes.
	MaxValue = 4 << 10
	// MaxSecrets is how many an instance keeps.
	MaxSecrets = 1000
	version    = 1
)

// Secret is what is told of a secret.
type Secret struct {
	Name string
	Set  time.Time
	By   string // operator's name
}

// Store keeps secrets as they are encrypted.
type Store interface {
	// PutSecret stores a secret or replaces the one of that name. ErrTooLarge when
	// there would be more than most.
	PutSecret(ctx context.Context, s Secret, sealed []byte, most int) error
	// Secrets returns all by name, SealedSecret one; ErrNotFound.
	Secrets(ctx context.Context) ([]Secret, error)
	SealedSecret(ctx context.Context, name string) ([]byte, error)
	DeleteSecret(ctx context.Context, name string) error
}

// Vault keeps secrets. It is safe for concurrent use.
type Vault struct {
	store  Store
	aead   cipher.AEAD
	random io.Reader
	now    func() time.Time
}

// New returns a vault that encrypts under key, the same on all servers of an
// instance. random is read by several goroutines at once.
func New(store Store, key []byte, random io.Reader, now func() time.Time) (*Vault, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("key of the secrets has %d bytes, expected %d: %w", len(key), KeySize, dormer.ErrCorrupt)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("key of the secrets: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("key of the secrets: %w", err)
	}
	return &Vault{store: store, aead: aead, random: random, now: now}, nil
}

// ValidName reports whether a secret can be called that: 1 to MaxName letters,
// digits, dots, hyphens and underscores.
func ValidName(name string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return name != "" && len(name) <= MaxName && strings.Trim(name, allowed) == ""
}

// about binds what is stored to its name: one secret cannot take the place of
// another.
func about(name string) []byte { return []byte("dormer secret v1\x00" + name) }

// Set keeps a secret under a name, in place of the one that has it.
func (v *Vault) Set(ctx context.Context, name, value, by string) error {
	switch {
	case !ValidName(name):
		return dormer.Invalidf("name", "must be 1 to %d letters, digits, dots, hyphens and underscores", MaxName)
	case value == "" || len(value) > MaxValue:
		return dormer.Invalidf("value", "must have 1 to %d bytes", MaxValue)
	case !utf8.ValidString(value) || strings.ContainsAny(value, "\x00\r\n"):
		return dormer.Invalidf("value", "must be one line of text")
	}
	b := make([]byte, 1+v.aead.NonceSize(), 1+v.aead.NonceSize()+len(value)+v.aead.Overhead())
	b[0] = version
	if _, err := io.ReadFull(v.random, b[1:]); err != nil {
		return fmt.Errorf("encrypt secret: %w", err)
	}
	sealed := v.aead.Seal(b, b[1:], []byte(value), about(name))
	set := Secret{Name: name, Set: v.now().UTC().Truncate(time.Microsecond), By: by}
	if err := v.store.PutSecret(ctx, set, sealed, MaxSecrets); err != nil {
		return fmt.Errorf("store secret %s: %w", name, err)
	}
	return nil
}

// List says which secrets there are, by name.
func (v *Vault) List(ctx context.Context) ([]Secret, error) {
	list, err := v.store.Secrets(ctx)
	if err != nil {
		return nil, fmt.Errorf("list secrets: %w", err)
	}
	return list, nil
}

// Open returns a secret, for the server's own use. ErrNotFound when there is
// none of that name, ErrCorrupt when it was encrypted under another key.
func (v *Vault) Open(ctx context.Context, name string) (string, error) {
	b, err := v.store.SealedSecret(ctx, name)
	if err != nil {
		return "", fmt.Errorf("secret %q: %w", name, err)
	}
	n := 1 + v.aead.NonceSize()
	if len(b) < n || b[0] != version {
		return "", fmt.Errorf("secret %q: %w", name, dormer.ErrCorrupt)
	}
	value, err := v.aead.Open(nil, b[1:n], b[n:], about(name))
	if err != nil {
		return "", fmt.Errorf("secret %q: %w", name, dormer.ErrCorrupt)
	}
	return string(value), nil
}

// Delete forgets a secret. ErrNotFound when there is none of that name.
func (v *Vault) Delete(ctx context.Context, name string) error {
	if err := v.store.DeleteSecret(ctx, name); err != nil {
		return fmt.Errorf("secret %q: %w", name, err)
	}
	return nil
}
