package access

import (
	"context"
	"crypto/sha256"
	"strings"
	"testing"
	"time"
)

// oneToken is an APITokenStore of one token.
type oneToken struct {
	APITokenStore
	token APIToken
}

func (s oneToken) APITokens(context.Context) ([]APIToken, error) { return []APIToken{s.token}, nil }

// BenchmarkCheckAPIToken checks the token alone, in memory, on all processors.
func BenchmarkCheckAPIToken(b *testing.B) {
	id := strings.Repeat("a", 26)
	tokens, err := loadAPITokens(b.Context(), oneToken{token: APIToken{ID: id, Hash: sha256.Sum256([]byte("secret")), Expires: time.Now().Add(time.Hour)}}, time.Now)
	if err != nil {
		b.Fatal(err)
	}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := tokens.check(b.Context(), id+".secret"); err != nil {
				b.Error(err)
			}
		}
	})
}
