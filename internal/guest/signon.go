package guest

import (
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"unicode"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// Limits of who signs on, in bytes.
const (
	maxUser     = 104
	maxPassword = 512
)

// hashKey makes hashes of passwords useless to anybody who sees them.
var hashKey = rand.Text()

func passwordHash(password string) [sha256.Size]byte {
	return sha256.Sum256([]byte(hashKey + password))
}

func (g *Guest) setLocked(locked bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.locked = locked
}

// checkUser checks a name without a domain.
func checkUser(field, name string) error {
	if name == "" || len(name) > maxUser || strings.HasPrefix(name, "-") || strings.ContainsAny(name, "\\/@:\"'*?<>|,;=+[]") || strings.ContainsFunc(name, unicode.IsControl) {
		return dormer.Invalidf(field, "must be a name without a domain")
	}
	return nil
}

func checkPassword(field, password string) error {
	if len(password) > maxPassword || strings.ContainsFunc(password, unicode.IsControl) {
		return dormer.Invalidf(field, "must have at most %d bytes and no control characters", maxPassword)
	}
	return nil
}

func checkSignOn(r guestwire.SignOnRequest) error {
	if err := checkUser("user", r.User); err != nil {
		return err
	}
	if r.Domain != "" && !isDomain(r.Domain) {
		return dormer.Invalidf("domain", "must be the name of a domain")
	}
	if r.Realm != "" && !isDomain(r.Realm) {
		return dormer.Invalidf("realm", "must be the full name of a domain")
	}
	return checkPassword("password", r.Password)
}
