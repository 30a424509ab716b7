package enroll

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
)

const (
	// joinTokenPrefix names the form of a join token.
	joinTokenPrefix = "dormer1"
	// SystemAuthority stands in a join token for the authorities that the
	// client's system trusts, where the server's certificate is from one.
	SystemAuthority = "system"
	// joinSecretBytes is the length of a join token's secret before encoding.
	joinSecretBytes = 32
	// maxJoinToken is the longest join token that ParseJoinToken reads, in bytes.
	maxJoinToken = 4096
	// MaxJoinUses is the largest number of clients that one token may admit.
	MaxJoinUses = 1_000_000
	// MaxJoinLifetime is the longest time for which a token may be valid.
	MaxJoinLifetime = 366 * 24 * time.Hour
	maxJoinName     = 200
)

// Invitation is what a join token says: where the server is, which authority
// its certificate must be from, and the secret that admits the client. Nothing
// is trusted on first use.
type Invitation struct {
	// URL is the base URL of the server.
	URL string
	// Authority is the SHA-256 of the authority's certificate (DER) as 64
	// hexadecimal digits, or SystemAuthority.
	Authority string
	Secret    string
}

// String returns the join token: dormer1.<base64url of URL>.<authority>.<secret>.
func (i Invitation) String() string {
	return joinTokenPrefix + "." + base64.RawURLEncoding.EncodeToString([]byte(i.URL)) + "." + i.Authority + "." + i.Secret
}

// ParseJoinToken reads a join token. Errors are ErrInvalid and never repeat
// the token.
func ParseJoinToken(s string) (Invitation, error) {
	s = strings.TrimSpace(s)
	if len(s) > maxJoinToken {
		return Invitation{}, dormer.Invalidf("join_token", "is longer than %d bytes", maxJoinToken)
	}
	parts := strings.Split(s, ".")
	if len(parts) != 4 || parts[0] != joinTokenPrefix {
		return Invitation{}, dormer.Invalidf("join_token", "is not a join token: it has the form %s.URL.AUTHORITY.SECRET; was it copied whole?", joinTokenPrefix)
	}
	address, err := base64.RawURLEncoding.Strict().DecodeString(parts[1])
	if err != nil {
		return Invitation{}, dormer.Invalidf("join_token", "its second part is not base64url")
	}
	i := Invitation{URL: string(address), Authority: parts[2], Secret: parts[3]}
	if err := i.check(); err != nil {
		return Invitation{}, err
	}
	return i, nil
}

func (i Invitation) check() error {
	if err := checkServerURL(i.URL); err != nil {
		return err
	}
	if i.Authority != SystemAuthority {
		if b, err := hex.DecodeString(i.Authority); err != nil || len(b) != sha256.Size || strings.ToLower(i.Authority) != i.Authority {
			return dormer.Invalidf("join_token", "its authority is neither %q nor a SHA-256 in lower-case hexadecimal", SystemAuthority)
		}
	}
	if b, err := base64.RawURLEncoding.Strict().DecodeString(i.Secret); err != nil || len(b) != joinSecretBytes {
		return dormer.Invalidf("join_token", "its secret is not complete")
	}
	return nil
}

// checkServerURL accepts absolute http and https URLs of a server.
func checkServerURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || !utf8.ValidString(s):
		return dormer.Invalidf("url", "is not a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return dormer.Invalidf("url", "must begin with https:// (or http://)")
	case u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return dormer.Invalidf("url", "must be the base URL of a server: a host, perhaps a port and a path, nothing else")
	}
	return nil
}

// JoinRequest asks for a join token.
type JoinRequest struct {
	Name string
	// URL is the base URL under which clients reach the server.
	URL string
	// Authority pins the server's authority: its fingerprint or SystemAuthority.
	Authority string
	// AdmitsManaged and AdmitsUnmanaged say which agents it enrols; at least one.
	AdmitsManaged, AdmitsUnmanaged bool
	// MaxUses is how many clients it admits, at least 1.
	MaxUses int
	// Lifetime is how long it is valid.
	Lifetime time.Duration
	By       string
}

// check names fields as the REST API does.
func (r JoinRequest) check() error {
	var wrong []dormer.FieldError
	add := func(path, format string, args ...any) {
		wrong = append(wrong, dormer.FieldError{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	switch {
	case strings.TrimSpace(r.Name) == "":
		add("name", "say what the token is for")
	case !utf8.ValidString(r.Name), utf8.RuneCountInString(r.Name) > maxJoinName, strings.ContainsFunc(r.Name, unicode.IsControl):
		add("name", "must be at most %d printable characters", maxJoinName)
	}
	if !r.AdmitsManaged && !r.AdmitsUnmanaged {
		add("managed", "the token must admit managed clients, unmanaged ones, or both")
	}
	if r.MaxUses < 1 || r.MaxUses > MaxJoinUses {
		add("max_uses", "must be from 1 to %d", MaxJoinUses)
	}
	if r.Lifetime <= 0 || r.Lifetime > MaxJoinLifetime {
		add("lifetime_hours", "must be in the future, at most %d days ahead", int(MaxJoinLifetime/(24*time.Hour)))
	}
	if len(wrong) > 0 {
		return &dormer.InvalidError{Fields: wrong}
	}
	return nil
}

// CreateJoinToken makes a join token and returns its record and its text,
// which is shown once and not kept.
func (s *Service) CreateJoinToken(ctx context.Context, r JoinRequest) (JoinToken, string, error) {
	if err := r.check(); err != nil {
		return JoinToken{}, "", err
	}
	secret := make([]byte, joinSecretBytes)
	if _, err := io.ReadFull(s.random, secret); err != nil {
		return JoinToken{}, "", fmt.Errorf("make join token: %w", err)
	}
	id, err := dormer.NewID(s.random)
	if err != nil {
		return JoinToken{}, "", fmt.Errorf("make join token: %w", err)
	}
	text := Invitation{URL: strings.TrimRight(r.URL, "/"), Authority: r.Authority, Secret: base64.RawURLEncoding.EncodeToString(secret)}
	if err := text.check(); err != nil {
		return JoinToken{}, "", err
	}
	now := s.now().UTC()
	t := JoinToken{
		ID: id, Hash: secretHash(text.Secret), Name: r.Name,
		AdmitsManaged: r.AdmitsManaged, AdmitsUnmanaged: r.AdmitsUnmanaged,
		MaxUses: r.MaxUses, Expires: now.Add(r.Lifetime), Created: now, By: r.By,
	}
	if err := s.store.CreateJoinToken(ctx, t); err != nil {
		return JoinToken{}, "", fmt.Errorf("store join token: %w", err)
	}
	return t, text.String(), nil
}

// JoinTokens returns all join tokens without their secrets.
func (s *Service) JoinTokens(ctx context.Context) ([]JoinToken, error) {
	return s.store.JoinTokens(ctx)
}

// RevokeJoinToken makes a token admit nobody any more.
func (s *Service) RevokeJoinToken(ctx context.Context, id string) error {
	return s.store.RevokeJoinToken(ctx, id)
}

func secretHash(secret string) [32]byte { return sha256.Sum256([]byte(secret)) }

// admit says whether t admits a client now.
func (t JoinToken) admit(managed bool, now time.Time) error {
	switch {
	case t.Revoked:
		return fmt.Errorf("the join token was revoked: %w", dormer.ErrDenied)
	case !now.Before(t.Expires):
		return fmt.Errorf("the join token has expired: %w", dormer.ErrDenied)
	case t.Uses >= t.MaxUses:
		return fmt.Errorf("the join token was used as often as it allows: %w", dormer.ErrDenied)
	case managed && !t.AdmitsManaged:
		return fmt.Errorf("the join token does not admit agents that run as a service: %w", dormer.ErrDenied)
	case !managed && !t.AdmitsUnmanaged:
		return fmt.Errorf("the join token does not admit agents that run for one user: %w", dormer.ErrDenied)
	}
	return nil
}
