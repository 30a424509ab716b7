package enroll

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
)

// Challenges and client tokens are proofs that the server gave itself: an
// HMAC over what they say. Nothing about them is stored, and every replica
// that has the key accepts those of the others.
//
//	token:     base64url( client [26] | expires, microseconds [8] | HMAC [32] )
//	challenge:            nonce [16]  | expires, microseconds [8] | HMAC [32]
const (
	// ChallengeLifetime is how long a client has to answer a challenge.
	ChallengeLifetime = 2 * time.Minute
	// TokenLifetime is how long a client token is valid.
	TokenLifetime = 24 * time.Hour
	// KeySize is the length of the key of the proofs, in bytes.
	KeySize = 32

	clientIDSize  = 26
	nonceSize     = 16
	challengeSize = nonceSize + 8 + sha256.Size
	tokenSize     = clientIDSize + 8 + sha256.Size
)

// The domains keep the two kinds of proofs apart.
const (
	tokenDomain     = "dormer client token v1\x00"
	challengeDomain = "dormer enrol challenge v1\x00"
)

func (s *Service) mac(domain string, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(domain))
	h.Write([]byte(s.instance))
	for _, p := range parts {
		h.Write([]byte{0})
		h.Write(p)
	}
	return h.Sum(nil)
}

func expiry(b []byte) time.Time { return time.UnixMicro(int64(binary.BigEndian.Uint64(b))) }

// Challenge returns a challenge for a client to sign. It says nothing about
// whether there is such a client.
func (s *Service) Challenge(client dormer.ClientID) ([]byte, error) {
	if !dormer.ValidID(string(client)) {
		return nil, dormer.Invalidf("client", "is not the identity of a client")
	}
	b := make([]byte, nonceSize, challengeSize)
	if _, err := io.ReadFull(s.random, b); err != nil {
		return nil, fmt.Errorf("make challenge: %w", err)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(s.now().Add(ChallengeLifetime).UnixMicro()))
	return append(b, s.mac(challengeDomain, []byte(client), b)...), nil
}

func (s *Service) checkChallenge(client dormer.ClientID, challenge []byte) error {
	if len(challenge) != challengeSize {
		return fmt.Errorf("the challenge is not one of this server: %w", dormer.ErrUnauthenticated)
	}
	said := challenge[:nonceSize+8]
	if !hmac.Equal(challenge[nonceSize+8:], s.mac(challengeDomain, []byte(client), said)) {
		return fmt.Errorf("the challenge is not one of this server: %w", dormer.ErrUnauthenticated)
	}
	if !s.now().Before(expiry(said[nonceSize:])) {
		return fmt.Errorf("the challenge has expired: %w", dormer.ErrUnauthenticated)
	}
	return nil
}

func (s *Service) makeToken(client dormer.ClientID) (string, time.Time) {
	expires := s.now().Add(TokenLifetime).UTC().Truncate(time.Microsecond)
	b := make([]byte, 0, tokenSize)
	b = append(b, client...)
	b = binary.BigEndian.AppendUint64(b, uint64(expires.UnixMicro()))
	b = append(b, s.mac(tokenDomain, b)...)
	return base64.RawURLEncoding.EncodeToString(b), expires
}

// Verify returns the client that a token authenticates. It touches no
// database. ErrUnauthenticated when the token is wrong or has expired: the
// client asks for another; ErrDenied when the client was revoked.
func (s *Service) Verify(token string) (dormer.ClientID, error) {
	var b [tokenSize]byte
	if base64.RawURLEncoding.DecodedLen(len(token)) != tokenSize {
		return "", fmt.Errorf("the client token is not one of this server: %w", dormer.ErrUnauthenticated)
	}
	if n, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(token)); err != nil || n != tokenSize {
		return "", fmt.Errorf("the client token is not one of this server: %w", dormer.ErrUnauthenticated)
	}
	said := b[:clientIDSize+8]
	if !hmac.Equal(b[clientIDSize+8:], s.mac(tokenDomain, said)) {
		return "", fmt.Errorf("the client token is not one of this server: %w", dormer.ErrUnauthenticated)
	}
	if !s.now().Before(expiry(said[clientIDSize:])) {
		return "", fmt.Errorf("the client token has expired: %w", dormer.ErrUnauthenticated)
	}
	client := dormer.ClientID(said[:clientIDSize])
	if s.revoked(client) {
		return "", errRevoked
	}
	return client, nil
}

// spent remembers the challenges that were answered for as long as they could
// be answered again, so that a recorded answer makes no second token on this
// server. It holds at most what two lifetimes bring.
type spent struct {
	mu sync.Mutex
	// guards the fields below
	turned    time.Time
	now, last map[[nonceSize]byte]struct{}
}

// use reports whether the challenge was not used before, and marks it.
func (u *spent) use(challenge []byte, now time.Time) bool {
	nonce := [nonceSize]byte(challenge[:nonceSize])
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.now == nil || now.Sub(u.turned) >= ChallengeLifetime {
		u.last, u.now, u.turned = u.now, make(map[[nonceSize]byte]struct{}), now
	}
	_, again := u.now[nonce]
	if !again {
		_, again = u.last[nonce]
	}
	u.now[nonce] = struct{}{}
	return !again
}
