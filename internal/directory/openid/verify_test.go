package openid

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/oauth2-proxy/mockoidc"

	"github.com/dormer-project/dormer"
)

// TestIDToken: which ID tokens count.
func TestIDToken(t *testing.T) {
	i := startIssuer(t, "", nil)
	p := open(t, i.config(t))
	at := func(d time.Duration) int64 { return i.clock.now().Add(d).Unix() }
	for _, c := range []struct {
		name   string
		claims map[string]any
		cause  string // empty: it counts
	}{
		{"as it should be", nil, ""},
		{"for this client among others", map[string]any{"aud": []string{"other", i.ClientID}, "azp": i.ClientID}, ""},
		{"another audience", map[string]any{"aud": "other"}, `expected audience`},
		{"no audience", map[string]any{"aud": nil}, "audience"},
		{"several audiences", map[string]any{"aud": []string{i.ClientID, "other"}}, "several audiences"},
		{"another authorized party", map[string]any{"azp": "other"}, "another client (azp)"},
		{"another issuer", map[string]any{"iss": "https://elsewhere.example.com"}, "different provider"},
		{"no issuer", map[string]any{"iss": nil}, "different provider"},
		{"another nonce", map[string]any{"nonce": "of another sign-in"}, "nonce"},
		{"no nonce", map[string]any{"nonce": nil}, "nonce"},
		{"expired", map[string]any{"exp": at(-time.Second)}, "has expired"},
		{"no end", map[string]any{"exp": nil}, "has expired"},
		{"not valid yet", map[string]any{"nbf": at(10 * time.Minute)}, "nbf"},
		{"issued in the future", map[string]any{"iat": at(10 * time.Minute)}, "issued in the future"},
		{"issued a little in the future", map[string]any{"iat": at(time.Minute)}, ""},
		{"issued long ago", map[string]any{"iat": at(-2 * time.Hour)}, "issued too long ago"},
		{"issued at no time", map[string]any{"iat": nil}, "does not say when"},
		{"of another access token", map[string]any{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "at_hash"},
		{"no subject", map[string]any{"sub": nil}, "subject"},
		{"empty subject", map[string]any{"sub": ""}, "subject"},
		{"long subject", map[string]any{"sub": strings.Repeat("x", 256)}, "subject"},
		{"subject with control characters", map[string]any{"sub": "a\x00b"}, "subject"},
		{"name that is no text", map[string]any{"preferred_username": 7}, "preferred_username is no text"},
		{"long name", map[string]any{"preferred_username": strings.Repeat("x", 300)}, "preferred_username is too long"},
		{"groups that are none", map[string]any{"groups": map[string]any{"a": 1}}, "neither a text nor a list"},
		{"group that is no text", map[string]any{"groups": []any{"a", 1}}, "entry that is no text"},
		{"too many groups", map[string]any{"groups": make([]string, maxGroups+1)}, "more than 1000"},
		{
			"groups left out",
			map[string]any{"groups": nil, "_claim_names": map[string]any{"groups": "src1"}, "_claim_sources": map[string]any{"src1": map[string]any{"endpoint": "https://graph.example.com"}}},
			"too many; see docs/openid.md",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			who, err := i.signIn(t, p, alice(c.claims))
			if c.cause != "" {
				refuses(t, err, c.cause)
				return
			}
			if err != nil || who.Name != "alice" {
				t.Errorf("%+v, %v", who, err)
			}
		})
	}
}

// TestSignatures: which signatures count.
func TestSignatures(t *testing.T) {
	i := startIssuer(t, "", nil)
	p := open(t, i.config(t))
	claims := func() jwt.MapClaims {
		now := i.clock.now()
		return jwt.MapClaims{"iss": i.Issuer(), "aud": i.ClientID, "sub": "a-1", "exp": now.Add(time.Hour).Unix(), "iat": now.Unix()}
	}
	kid, err := i.Keypair.KeyID()
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(m jwt.SigningMethod, key any, c jwt.MapClaims) string {
		token := jwt.NewWithClaims(m, c)
		token.Header["kid"] = kid
		s, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, c := range map[string]struct {
		make  func(jwt.MapClaims) string
		cause string
	}{
		"RS256":            {func(c jwt.MapClaims) string { return sign(jwt.SigningMethodRS256, i.Keypair.PrivateKey, c) }, ""},
		"none":             {func(c jwt.MapClaims) string { return sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, c) }, "malformed"},
		"HMAC, secret":     {func(c jwt.MapClaims) string { return sign(jwt.SigningMethodHS256, []byte(i.ClientSecret), c) }, "HS256"},
		"HMAC, public key": {func(c jwt.MapClaims) string { return sign(jwt.SigningMethodHS256, publicPEM(t, i), c) }, "HS256"},
		"not offered":      {func(c jwt.MapClaims) string { return sign(jwt.SigningMethodRS512, i.Keypair.PrivateKey, c) }, "RS512"},
		"a foreign key":    {func(c jwt.MapClaims) string { return sign(jwt.SigningMethodRS256, foreign, c) }, "not signed by a key"},
		"changed afterwards": {func(c jwt.MapClaims) string {
			parts := strings.Split(sign(jwt.SigningMethodRS256, i.Keypair.PrivateKey, c), ".")
			c["sub"] = "b-1"
			parts[1] = strings.Split(sign(jwt.SigningMethodRS256, foreign, c), ".")[1]
			return strings.Join(parts, ".")
		}, "not signed by a key"},
		"two dots":   {func(jwt.MapClaims) string { return ".." }, "malformed"},
		"no token":   {func(jwt.MapClaims) string { return "" }, "gave no ID token"},
		"long token": {func(jwt.MapClaims) string { return strings.Repeat("x", maxToken+1) }, "gave no ID token"},
		"not JSON":   {func(jwt.MapClaims) string { return signRaw(t, i, kid, "[]") }, "does not count"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAttempt()
			full := claims()
			full["nonce"] = a.Nonce
			i.set(func() { i.alter = func(_ url.Values, answer map[string]any) { answer["id_token"] = c.make(full) } })
			i.QueueUser(alice(nil))
			_, err := p.Redeem(t.Context(), a.Authorization, browse(t, p, a), a.verifier)
			if c.cause != "" {
				refuses(t, err, c.cause)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func publicPEM(t *testing.T, i *testIssuer) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(i.Keypair.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// signRaw signs a payload that need not be an object.
func signRaw(t *testing.T, i *testIssuer, kid, payload string) string {
	t.Helper()
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"`+kid+`"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	s, err := jwt.SigningMethodRS256.Sign(text, i.Keypair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(s)
}

// TestAccessTokenHash: a right at_hash counts.
func TestAccessTokenHash(t *testing.T) {
	i := startIssuer(t, "", nil)
	p := open(t, i.config(t))
	a := newAttempt()
	i.set(func() {
		i.alter = func(_ url.Values, answer map[string]any) {
			token, _ := answer["access_token"].(string)
			sum := sha256.Sum256([]byte(token))
			now := i.clock.now()
			id, err := i.Keypair.SignJWT(jwt.MapClaims{
				"iss": i.Issuer(), "aud": i.ClientID, "sub": "a-1", "exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "nonce": a.Nonce,
				"at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]),
			})
			if err != nil {
				t.Error(err)
			}
			answer["id_token"] = id
		}
	})
	i.QueueUser(alice(nil))
	who, err := p.Redeem(t.Context(), a.Authorization, browse(t, p, a), a.verifier)
	if err != nil || who.Name != "a-1" {
		t.Errorf("%+v, %v; want the subject as the name, there is no other", who, err)
	}
}

// TestKeysRotate: new keys are fetched, but not without end.
func TestKeysRotate(t *testing.T) {
	i := startIssuer(t, "", nil)
	p := open(t, i.config(t))
	i.mustSignIn(t, p, alice(nil))
	i.mustSignIn(t, p, alice(nil))
	if n := i.requests(mockoidc.JWKSEndpoint); n != 1 {
		t.Errorf("the keys were fetched %d times for two sign-ins, want once", n)
	}
	rotate := func() *mockoidc.Keypair {
		k, err := mockoidc.RandomKeypair(2048)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	i.Keypair = rotate()
	i.mustSignIn(t, p, alice(nil))
	if n := i.requests(mockoidc.JWKSEndpoint); n != 2 {
		t.Errorf("the keys were fetched %d times, want once more", n)
	}
	published := i.Keypair
	secret := rotate()
	i.set(func() {
		i.alter = func(_ url.Values, answer map[string]any) {
			s, err := secret.SignJWT(jwt.MapClaims{"iss": i.Issuer()})
			if err != nil {
				t.Error(err)
			}
			answer["id_token"] = s
		}
	})
	for range 30 {
		if _, err := i.signIn(t, p, alice(nil)); err == nil {
			t.Fatal("signed in by an unpublished key")
		}
	}
	if n := i.requests(mockoidc.JWKSEndpoint); n > 11 {
		t.Errorf("the keys were fetched %d times", n)
	}
	_, err := i.signIn(t, p, alice(nil))
	if !errors.Is(err, dormer.ErrUnavailable) || !strings.Contains(err.Error(), "too often") {
		t.Errorf("fetched too often: %v", err)
	}
	i.forward(time.Minute)
	i.set(func() { i.alter = nil })
	i.Keypair = published
	i.mustSignIn(t, p, alice(nil))

	i.Keypair = rotate()
	i.set(func() { i.fail[mockoidc.JWKSEndpoint] = status(http.StatusBadGateway) })
	if _, err := i.signIn(t, p, alice(nil)); !errors.Is(err, dormer.ErrUnavailable) || !strings.Contains(err.Error(), "502") {
		t.Errorf("keys that cannot be read: %v", err)
	}
	i.set(func() {
		i.fail[mockoidc.JWKSEndpoint] = func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>SECRET</html>")) }
	})
	if _, err := i.signIn(t, p, alice(nil)); !errors.Is(err, dormer.ErrUnavailable) || !strings.Contains(err.Error(), "not a key set") || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("keys that are none: %v", err)
	}
}
