package enroll

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire"
)

// Config says what a Service works with. All fields are needed.
type Config struct {
	Instance dormer.InstanceID
	// Key is the key of challenges and client tokens, KeySize bytes, the same
	// on every replica.
	Key     []byte
	Store   Store
	Clients ClientStore
	Now     func() time.Time
	// Random is read by several goroutines at once.
	Random io.Reader
}

// Service enrols clients and tells who they are. Its methods may be called
// from several goroutines.
type Service struct {
	instance dormer.InstanceID
	key      []byte
	store    Store
	clients  ClientStore
	now      func() time.Time
	random   io.Reader
	spent    spent

	mu sync.RWMutex
	// guards the fields below
	known map[dormer.ClientID]*known
	byKey map[keyHash]dormer.ClientID
	seen  map[dormer.ClientID]Seen // not flushed yet
}

// keyHash is the beginning of the SHA-256 of a public key.
type keyHash [16]byte

func hashKey(public []byte) keyHash {
	sum := sha256.Sum256(public)
	return keyHash(sum[:16])
}

// Fingerprint is what people compare public keys by: their SHA-256.
func Fingerprint(public []byte) string {
	sum := sha256.Sum256(public)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// known is what is kept in memory of each client: small, there are 100,000.
type known struct {
	public    []byte
	joinToken string
	managed   bool
	revoked   bool
	copied    time.Time // when it was last reported as copied
	clock     bool      // that it is wrong was reported
	runs      runs
}

// Identity is what the server needs of a client to answer it.
type Identity struct {
	ID      dormer.ClientID
	Managed bool
	// Public is the client's key, to seal to.
	Public seal.ClientPublic
}

var errRevoked = fmt.Errorf("this client was revoked; enrol it again with a new join token: %w", dormer.ErrDenied)

// New returns a Service that has loaded the clients.
func New(ctx context.Context, c Config) (*Service, error) {
	if len(c.Key) != KeySize {
		return nil, fmt.Errorf("key of client tokens has %d bytes, expected %d: %w", len(c.Key), KeySize, dormer.ErrCorrupt)
	}
	s := &Service{
		instance: c.Instance, key: bytes.Clone(c.Key), store: c.Store, clients: c.Clients, now: c.Now, random: c.Random,
		known: make(map[dormer.ClientID]*known), byKey: make(map[keyHash]dormer.ClientID), seen: make(map[dormer.ClientID]Seen),
	}
	if err := s.Refresh(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Refresh reads the clients again, so that what other replicas enrolled or
// revoked counts here. Call it now and then.
func (s *Service) Refresh(ctx context.Context) error {
	all, err := s.clients.Clients(ctx)
	if err != nil {
		return fmt.Errorf("load clients: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range all {
		s.remember(c)
	}
	return nil
}

// remember needs s.mu. A revocation is never taken back.
func (s *Service) remember(c Client) *known {
	k := s.known[c.ID]
	if k == nil {
		k = &known{public: c.PublicKey, joinToken: c.JoinToken, managed: c.Managed}
		k.clock = c.ClockAhead != nil && c.ClockAhead.Abs() > ClockWrong
		s.known[c.ID] = k
	}
	k.revoked = k.revoked || c.Revoked != nil
	if c.Copied != nil && c.Copied.After(k.copied) {
		k.copied = *c.Copied
	}
	if hash := hashKey(c.PublicKey); !k.revoked {
		s.byKey[hash] = c.ID
	} else if s.byKey[hash] == c.ID {
		delete(s.byKey, hash)
	}
	return k
}

func (s *Service) revoked(id dormer.ClientID) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.known[id]
	return k != nil && k.revoked
}

// lookup finds a client in memory, else in the store: another replica may
// have enrolled it.
func (s *Service) lookup(ctx context.Context, id dormer.ClientID) (known, error) {
	s.mu.RLock()
	k := s.known[id]
	if k != nil {
		found := *k
		s.mu.RUnlock()
		return found, nil
	}
	s.mu.RUnlock()
	c, err := s.clients.Client(ctx, id)
	if err != nil {
		return known{}, fmt.Errorf("look client %s up: %w", id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.remember(c), nil
}

// Identity returns an enrolled client. ErrNotFound when there is none,
// ErrDenied when it was revoked.
func (s *Service) Identity(ctx context.Context, id dormer.ClientID) (Identity, error) {
	k, err := s.lookup(ctx, id)
	if err != nil {
		return Identity{}, err
	}
	if k.revoked {
		return Identity{}, errRevoked
	}
	public, err := seal.ParseClientPublic(k.public)
	if err != nil {
		return Identity{}, fmt.Errorf("key of client %s: %w", id, dormer.ErrCorrupt)
	}
	return Identity{ID: id, Managed: k.managed, Public: public}, nil
}

// Managed reports whether a client's agent runs as a system service; false for
// an unknown one. It touches no database for clients in memory.
func (s *Service) Managed(ctx context.Context, id dormer.ClientID) (bool, error) {
	k, err := s.lookup(ctx, id)
	if err != nil {
		return false, err
	}
	return k.managed, nil
}

// Enrol admits a client by the secret of a join token. ErrUnauthenticated when
// there is no such token, ErrDenied with the reason when it admits nobody (any
// more). Enrolling the same key with the same token again returns the same
// client and counts no use: the first answer may have been lost.
func (s *Service) Enrol(ctx context.Context, r wire.EnrolRequest) (Client, error) {
	if _, err := seal.ParseClientPublic(r.PublicKey); err != nil {
		return Client{}, err
	}
	if err := CheckHost(r.Host, r.AgentVersion); err != nil {
		return Client{}, err
	}
	hash := secretHash(r.Secret)
	id, err := dormer.NewID(s.random)
	if err != nil {
		return Client{}, fmt.Errorf("enrol: %w", err)
	}
	now := s.now().UTC()
	c := Client{
		ID: dormer.ClientID(id), PublicKey: bytes.Clone(r.PublicKey), Managed: r.Managed, Host: r.Host,
		AgentVersion: r.AgentVersion, Enrolled: now, LastSeen: &now,
	}
	err = s.store.Enrol(ctx, hash, c, func(t JoinToken) error {
		c.JoinToken = t.ID
		if earlier, ok := s.earlier(c.PublicKey, t.ID, r.Managed); ok {
			return &repeatedError{client: earlier}
		}
		return t.admit(r.Managed, now)
	})
	var repeated *repeatedError
	switch {
	case errors.As(err, &repeated):
		return s.clients.Client(ctx, repeated.client)
	case errors.Is(err, dormer.ErrNotFound):
		return Client{}, fmt.Errorf("there is no such join token: %w", dormer.ErrUnauthenticated)
	case err != nil:
		return Client{}, fmt.Errorf("enrol: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remember(c)
	return c, nil
}

// repeatedError ends the transaction of an enrolment that took place before.
type repeatedError struct{ client dormer.ClientID }

func (e *repeatedError) Error() string { return "the client is enrolled already" }

func (s *Service) earlier(public []byte, token string, managed bool) (dormer.ClientID, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	id, ok := s.byKey[hashKey(public)]
	if !ok {
		return "", false
	}
	k := s.known[id]
	return id, k != nil && !k.revoked && k.managed == managed && k.joinToken == token && bytes.Equal(k.public, public)
}

// Token exchanges a signed challenge for a client token. ErrUnauthenticated
// when client, challenge or signature are wrong; ErrDenied when the client was
// revoked.
func (s *Service) Token(ctx context.Context, r wire.TokenRequest) (token string, expires time.Time, err error) {
	if !dormer.ValidID(string(r.Client)) {
		return "", time.Time{}, dormer.Invalidf("client", "is not the identity of a client")
	}
	if err := s.checkChallenge(r.Client, r.Challenge); err != nil {
		return "", time.Time{}, err
	}
	k, err := s.lookup(ctx, r.Client)
	if errors.Is(err, dormer.ErrNotFound) {
		return "", time.Time{}, fmt.Errorf("the challenge is not signed by an enrolled client: %w", dormer.ErrUnauthenticated)
	}
	if err != nil {
		return "", time.Time{}, err
	}
	public, err := seal.ParseClientPublic(k.public)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("key of client %s: %w", r.Client, dormer.ErrCorrupt)
	}
	if !public.VerifyChallenge(r.Challenge, r.Signature) {
		return "", time.Time{}, fmt.Errorf("the challenge is not signed by an enrolled client: %w", dormer.ErrUnauthenticated)
	}
	if k.revoked {
		return "", time.Time{}, errRevoked
	}
	if !s.spent.use(r.Challenge, s.now()) {
		return "", time.Time{}, fmt.Errorf("the challenge was answered before: %w", dormer.ErrUnauthenticated)
	}
	token, expires = s.makeToken(r.Client)
	return token, expires, nil
}

// Clients returns all clients in the order of their host names, with the
// newest signs of life.
func (s *Service) Clients(ctx context.Context) ([]Client, error) {
	all, err := s.clients.Clients(ctx)
	if err != nil {
		return nil, fmt.Errorf("list clients: %w", err)
	}
	for i := range all {
		s.update(&all[i])
	}
	return all, nil
}

// Client returns one client with its newest sign of life and its runs.
func (s *Service) Client(ctx context.Context, id dormer.ClientID) (Client, error) {
	c, err := s.clients.Client(ctx, id)
	if err != nil {
		return Client{}, err
	}
	s.update(&c)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if k := s.known[id]; k != nil {
		c.Runs = make([]Run, len(k.runs))
		for i, r := range k.runs {
			c.Runs[i] = r.shown()
		}
	}
	return c, nil
}

// update adds to c what was not flushed yet.
func (s *Service) update(c *Client) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if seen, ok := s.seen[c.ID]; ok && (c.LastSeen == nil || seen.Time.After(*c.LastSeen)) {
		c.LastSeen, c.Host, c.AgentVersion = &seen.Time, seen.Host, seen.AgentVersion
		if seen.ClockAhead != nil {
			c.ClockAhead = seen.ClockAhead
		}
	}
}

// Revoke ends a client: its tokens count no more from now on.
func (s *Service) Revoke(ctx context.Context, id dormer.ClientID) error {
	now := s.now().UTC()
	if err := s.clients.RevokeClient(ctx, id, now); err != nil {
		return fmt.Errorf("revoke client %s: %w", id, err)
	}
	c, err := s.clients.Client(ctx, id)
	if err != nil {
		return fmt.Errorf("revoke client %s: %w", id, err)
	}
	c.Revoked = &now
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remember(c)
	return nil
}

// Saw notes a sign of life in memory; Flush writes it. It returns what shows
// that the client's identity is used twice, else nil: once for each time that
// another agent appears, and at most once an hour. The caller reports it.
func (s *Service) Saw(seen Seen) *Copied {
	now := runOf(seen)
	s.mu.Lock()
	defer s.mu.Unlock()
	if earlier, ok := s.seen[seen.Client]; ok && seen.ClockAhead == nil {
		seen.ClockAhead = earlier.ClockAhead
	}
	s.seen[seen.Client] = seen
	k := s.known[seen.Client]
	if k == nil || seen.Run == "" {
		return nil
	}
	var other *run
	k.runs, other = k.runs.saw(now)
	if other == nil || seen.Time.Sub(k.copied) < copiedEvery || other.last <= k.copied.Unix() {
		return nil
	}
	k.copied = seen.Time
	return &Copied{Client: seen.Client, Time: seen.Time, This: now.shown(), That: other.shown()}
}

// Flush records the signs of life since the last one in one transaction. What
// could not be written is kept for the next.
func (s *Service) Flush(ctx context.Context) error {
	s.mu.Lock()
	taken := s.seen
	s.seen = make(map[dormer.ClientID]Seen, len(taken))
	s.mu.Unlock()
	if len(taken) == 0 {
		return nil
	}
	batch := make([]Seen, 0, len(taken))
	for _, one := range taken {
		batch = append(batch, one)
	}
	if err := s.clients.FlushSeen(ctx, batch); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		for id, one := range taken {
			if _, newer := s.seen[id]; !newer {
				s.seen[id] = one
			}
		}
		return fmt.Errorf("record %d signs of life: %w", len(batch), err)
	}
	return nil
}

// Limits on what a client says of its host.
const (
	maxHostText       = 255     // characters of a name, system, processor or version
	maxHostMemory     = 1 << 30 // MiB
	maxHostProcessors = 1 << 16
)

// CheckHost checks what a client says of its computer and its agent.
func CheckHost(h wire.Host, agentVersion string) error {
	for _, t := range []struct{ path, text string }{
		{"host.name", h.Name}, {"host.os", h.OS}, {"host.arch", h.Arch}, {"agent_version", agentVersion},
	} {
		if !plain(t.text) {
			return dormer.Invalidf(t.path, "must be at most %d printable characters", maxHostText)
		}
	}
	if h.MemoryMiB < 0 || h.MemoryMiB > maxHostMemory {
		return dormer.Invalidf("host.memory_mib", "is out of range")
	}
	if h.DiskFree < 0 || h.DiskTotal < 0 || h.ImagesBytes < 0 || h.DiskFree > h.DiskTotal {
		return dormer.Invalidf("host.disk_free", "is out of range, as the disk or the images may be")
	}
	if h.Processors < 0 || h.Processors > maxHostProcessors {
		return dormer.Invalidf("host.processors", "is out of range")
	}
	return nil
}

func plain(s string) bool {
	if len(s) > maxHostText || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}
