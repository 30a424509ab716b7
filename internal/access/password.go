package access

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/wire"
)

// Cost is what hashing one password takes (argon2id).
type Cost struct {
	MemoryKiB uint32
	Passes    uint32
	Threads   uint8
}

// DefaultCost is about 30 ms and 19 MiB.
var DefaultCost = Cost{MemoryKiB: 19 * 1024, Passes: 2, Threads: 1}

// Limits of a stored hash, so that a damaged or planted one cannot make the
// server allocate without bound.
const (
	maxHashMemoryKiB = 1 << 20
	maxHashPasses    = 64
	hashSalt         = 16 // bytes
	hashKey          = 32 // bytes
)

// Hasher hashes and checks passwords. At most so many at a time as it was made
// for; others wait, so that memory stays bounded whoever tries to sign in.
type Hasher struct {
	cost   Cost
	random io.Reader
	slots  chan struct{}
	// nobody is the hash of no password, which is checked for users who do not
	// exist, so that they cost as much as those who do.
	nobody string
}

// NewHasher returns a hasher that hashes at most concurrent passwords at once.
func NewHasher(random io.Reader, cost Cost, concurrent int) (*Hasher, error) {
	h := &Hasher{cost: cost, random: random, slots: make(chan struct{}, max(1, concurrent))}
	b := make([]byte, hashSalt+hashKey)
	if _, err := io.ReadFull(random, b); err != nil {
		return nil, fmt.Errorf("make password hasher: %w", err)
	}
	h.nobody = h.encode(b[:hashSalt], b[hashSalt:])
	return h, nil
}

// encode writes the PHC form.
func (h *Hasher) encode(salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		h.cost.MemoryKiB, h.cost.Passes, h.cost.Threads, b64.EncodeToString(salt), b64.EncodeToString(key))
}

func (h *Hasher) acquire(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait to check a password: %w", ctx.Err())
	}
}

func (h *Hasher) release() { <-h.slots }

// Hash returns the hash of password in PHC form with a new salt.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, hashSalt)
	if _, err := io.ReadFull(h.random, salt); err != nil {
		return "", fmt.Errorf("make salt: %w", err)
	}
	if err := h.acquire(ctx); err != nil {
		return "", err
	}
	defer h.release()
	return h.encode(salt, argon2.IDKey([]byte(password), salt, h.cost.Passes, h.cost.MemoryKiB, h.cost.Threads, hashKey)), nil
}

// Verify reports whether password is the one that was hashed. An empty hash
// fits no password and costs as much as any other; one that cannot be read is
// ErrCorrupt.
func (h *Hasher) Verify(ctx context.Context, hash, password string) (bool, error) {
	exists := hash != ""
	if !exists {
		hash = h.nobody
	}
	cost, salt, want, err := parseHash(hash)
	if err != nil {
		return false, err
	}
	if err := h.acquire(ctx); err != nil {
		return false, err
	}
	defer h.release()
	got := argon2.IDKey([]byte(password), salt, cost.Passes, cost.MemoryKiB, cost.Threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1 && exists, nil
}

// parseHash reads the PHC form that Hash writes.
func parseHash(s string) (cost Cost, salt, key []byte, err error) {
	bad := func(what string) (Cost, []byte, []byte, error) {
		return Cost{}, nil, nil, fmt.Errorf("password hash: %s: %w", what, dormer.ErrCorrupt)
	}
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return bad("is not argon2id in PHC form")
	}
	if parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return bad("has an unknown version")
	}
	params := strings.Split(parts[3], ",")
	if len(params) != 3 {
		return bad("lacks parameters")
	}
	var numbers [3]uint64
	for i, prefix := range []string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(params[i], prefix)
		if !ok {
			return bad("lacks a parameter")
		}
		if numbers[i], err = strconv.ParseUint(digits, 10, 32); err != nil || numbers[i] == 0 {
			return bad("has a parameter that is not a number")
		}
	}
	if numbers[0] > maxHashMemoryKiB || numbers[1] > maxHashPasses || numbers[2] > 255 {
		return bad("asks for too much memory or time")
	}
	if salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil || len(salt) < 8 || len(salt) > 64 {
		return bad("has no proper salt")
	}
	if key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(key) < 16 || len(key) > 64 {
		return bad("has no proper key")
	}
	return Cost{MemoryKiB: uint32(numbers[0]), Passes: uint32(numbers[1]), Threads: uint8(numbers[2])}, salt, key, nil
}

// MinPassword is the shortest password that a person may choose, in characters.
const MinPassword = 12

// CheckPassword returns an error naming field when password is not good enough
// for the user of that name. It never repeats the password.
func CheckPassword(field, user, password string) error {
	switch {
	case !utf8.ValidString(password):
		return dormer.Invalidf(field, "is not valid UTF-8")
	case utf8.RuneCountInString(password) < MinPassword:
		return dormer.Invalidf(field, "a password needs at least %d characters", MinPassword)
	case len(password) > wire.MaxPasswordLength:
		return dormer.Invalidf(field, "is longer than %d bytes", wire.MaxPasswordLength)
	case name.Fold(password) == name.Fold(user):
		return dormer.Invalidf(field, "must not be the name of the user")
	case strings.Count(password, password[:1]) == len(password):
		return dormer.Invalidf(field, "must not be one character over and over")
	}
	return nil
}

// generatedAlphabet has no characters that look alike; 32 of them, 5 bits each.
const generatedAlphabet = "abcdefghijkmnpqrstuvwxyz23456789"

// GeneratePassword returns a password of 100 random bits in four groups.
func GeneratePassword(random io.Reader) (string, error) {
	b := make([]byte, 20)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", fmt.Errorf("make password: %w", err)
	}
	var s strings.Builder
	for i, c := range b {
		if i > 0 && i%5 == 0 {
			s.WriteByte('-')
		}
		s.WriteByte(generatedAlphabet[c&31])
	}
	return s.String(), nil
}
