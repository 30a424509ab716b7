package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"

	"github.com/dormer-project/dormer"
)

// newSecret makes the identity and the secret of a session or an API token, and
// the hash that is kept of the secret.
func newSecret(random io.Reader) (id, secret string, hash [sha256.Size]byte, err error) {
	if id, err = dormer.NewID(random); err != nil {
		return "", "", hash, err
	}
	b := make([]byte, 32)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", "", hash, fmt.Errorf("make a secret: %w", err)
	}
	secret = base64.RawURLEncoding.EncodeToString(b)
	return id, secret, sha256.Sum256([]byte(secret)), nil
}

// isSecret reports whether a secret is that of a hash.
func isSecret(secret string, hash [sha256.Size]byte) bool {
	sum := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(sum[:], hash[:]) == 1
}
