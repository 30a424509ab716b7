package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
)

// apiTokenPrefix begins every API token, so that scanners for secrets know one.
const apiTokenPrefix = "dormer_api_"

// Limits of API tokens; see docs/limits.md.
const (
	// MaxAPITokens is how many API tokens that count one operator has.
	MaxAPITokens = 100
	// MaxAPITokenLifetime is the longest that an API token counts.
	MaxAPITokenLifetime = 366 * 24 * time.Hour
	// DefaultAPITokenLifetime is how long one counts when nothing is said.
	DefaultAPITokenLifetime = 90 * 24 * time.Hour
	// usedEvery is how exactly it is noted when an API token was last used.
	usedEvery = time.Minute
)

// Allows reports whether the caller may do what needs that role in that area.
func (c Caller) Allows(area Area, need dormer.Role) bool {
	return c.Role.Allows(need) && (len(c.Areas) == 0 || slices.Contains(c.Areas, area))
}

// counts reports whether t may be used at now.
func (t APIToken) counts(now time.Time) bool { return t.Revoked == nil && now.Before(t.Expires) }

// apiTokens are the API tokens that count, in memory for checking and in the
// store for good.
type apiTokens struct {
	store APITokenStore // nil: there are none
	now   func() time.Time

	mu sync.RWMutex
	// guards the fields below
	byID map[string]APIToken
	// revoked are those that were revoked here: refused whatever the store says,
	// and whatever it said a moment before.
	revoked map[string]bool
	lookups misses

	usedMu sync.Mutex
	// guards the field below
	used map[string]time.Time // since it was last flushed
}

func loadAPITokens(ctx context.Context, store APITokenStore, now func() time.Time) (*apiTokens, error) {
	t := &apiTokens{store: store, now: now, byID: map[string]APIToken{}, revoked: map[string]bool{}, lookups: newMisses(now), used: map[string]time.Time{}}
	return t, t.refresh(ctx)
}

// refresh makes what is in memory what the store has: tokens that were made or
// revoked on another replica count as such from now on.
func (t *apiTokens) refresh(ctx context.Context) error {
	if t.store == nil {
		return nil
	}
	t.mu.RLock()
	before := make(map[string]bool, len(t.byID))
	for id := range t.byID {
		before[id] = true
	}
	t.mu.RUnlock()
	all, err := t.store.APITokens(ctx)
	if err != nil {
		return fmt.Errorf("load API tokens: %w", err)
	}
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, one := range all {
		if one.counts(now) && !t.revoked[one.ID] {
			t.byID[one.ID] = one
			delete(before, one.ID)
		}
	}
	// One that was made since the store was asked was not there before.
	for id := range before {
		delete(t.byID, id)
	}
	return nil
}

// check returns the token with that identity and secret, "ID.SECRET".
func (t *apiTokens) check(ctx context.Context, text string) (APIToken, error) {
	refused := fmt.Errorf("no such API token: %w", dormer.ErrUnauthenticated)
	id, secret, ok := strings.Cut(text, ".")
	if !ok || t.store == nil {
		return APIToken{}, refused
	}
	one, err := t.find(ctx, id)
	if err != nil && !errors.Is(err, dormer.ErrNotFound) {
		return APIToken{}, fmt.Errorf("find API token: %w", err)
	}
	if !isSecret(secret, one.Hash) || err != nil || !one.counts(t.now()) {
		return APIToken{}, refused
	}
	return one, nil
}

// find returns a token from memory, or from the store when another replica
// made it. ErrNotFound when there is none.
func (t *apiTokens) find(ctx context.Context, id string) (APIToken, error) {
	t.mu.RLock()
	one, ok := t.byID[id]
	t.mu.RUnlock()
	if ok {
		return one, nil
	}
	one, err := lookUp(ctx, &t.lookups, id, t.store.APIToken)
	if err != nil {
		return APIToken{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.revoked[id] || !one.counts(t.now()) {
		t.lookups.add(id)
		return APIToken{}, dormer.ErrNotFound
	}
	t.byID[id] = one
	return one, nil
}

// noteUse notes that a token was used.
func (t *apiTokens) noteUse(one APIToken) {
	now := t.now()
	t.usedMu.Lock()
	defer t.usedMu.Unlock()
	if last := t.used[one.ID]; now.Sub(last) >= usedEvery {
		t.used[one.ID] = now
	}
}

// flush writes to the store when tokens were last used.
func (t *apiTokens) flush(ctx context.Context) error {
	t.usedMu.Lock()
	used := t.used
	t.used = map[string]time.Time{}
	t.usedMu.Unlock()
	if len(used) == 0 || t.store == nil {
		return nil
	}
	err := t.store.UsedAPITokens(ctx, used)
	if err == nil {
		return nil
	}
	t.usedMu.Lock()
	defer t.usedMu.Unlock()
	for id, at := range used {
		if t.used[id].Before(at) {
			t.used[id] = at
		}
	}
	return fmt.Errorf("note the use of API tokens: %w", err)
}

// apiCaller returns who uses the API with a token, and the role now: that of
// the token, and no more than its owner has.
func (a *Authenticator) apiCaller(ctx context.Context, text string) (Caller, error) {
	t, err := a.tokens.check(ctx, text)
	if err != nil {
		return Caller{}, err
	}
	role, err := a.Role(ctx, t.Owner)
	switch {
	case errors.Is(err, dormer.ErrNotFound), errors.Is(err, dormer.ErrDenied):
		return Caller{}, fmt.Errorf("the owner of the API token may not be used any more: %w", dormer.ErrUnauthenticated)
	case err != nil:
		return Caller{}, err
	case role == dormer.RoleNone:
		return Caller{}, fmt.Errorf("the owner of the API token is no operator any more: %w", dormer.ErrUnauthenticated)
	}
	if role.Allows(t.Role) {
		role = t.Role
	}
	a.tokens.noteUse(t)
	return Caller{User: t.Owner, Role: role, Areas: t.Areas, Token: t.ID}, nil
}

// NewAPIToken is an API token to be made.
type NewAPIToken struct {
	Name string // what it is for
	// Role is the most that it may do.
	Role dormer.Role
	// Areas confine it; none: everywhere, or where the token may that makes it.
	Areas []Area
	// Lifetime is how long it counts; 0: DefaultAPITokenLifetime.
	Lifetime time.Duration
}

// CreateAPIToken makes an API token for the operator who asks, with no more
// than the operator has. By an API token only one is made that may do no more
// and counts no longer than it. text is the token, which is not kept.
// *dormer.InvalidError, ErrDenied when the caller may make none, and
// ErrTooLarge when the operator has MaxAPITokens.
func (a *Authenticator) CreateAPIToken(ctx context.Context, by Caller, n NewAPIToken) (t APIToken, text string, err error) {
	if a.cfg.Tokens == nil {
		return APIToken{}, "", fmt.Errorf("API tokens: %w", dormer.ErrUnsupported)
	}
	t = APIToken{Name: n.Name, Owner: by.User, Role: n.Role, Created: a.cfg.Now().UTC().Truncate(time.Microsecond)}
	if err := checkNewAPIToken(by, n); err != nil {
		return APIToken{}, "", err
	}
	if n.Lifetime == 0 {
		n.Lifetime = DefaultAPITokenLifetime
	}
	t.Areas = slices.Clone(n.Areas)
	t.Expires = t.Created.Add(n.Lifetime)
	if by.Token != "" {
		parent, err := a.tokens.find(ctx, by.Token)
		if err != nil {
			return APIToken{}, "", fmt.Errorf("find the API token that asks: %w", err)
		}
		if t.Expires.After(parent.Expires) {
			t.Expires = parent.Expires
		}
		if len(t.Areas) == 0 {
			t.Areas = slices.Clone(by.Areas)
		}
	}
	slices.Sort(t.Areas)
	t.Areas = slices.Compact(t.Areas)
	var secret string
	if t.ID, secret, t.Hash, err = newSecret(a.cfg.Random); err != nil {
		return APIToken{}, "", fmt.Errorf("make API token: %w", err)
	}
	if err := a.tokens.create(ctx, t); err != nil {
		return APIToken{}, "", err
	}
	return t, apiTokenPrefix + t.ID + "." + secret, nil
}

func checkNewAPIToken(by Caller, n NewAPIToken) error {
	switch {
	case by.Token != "" && !by.Allows(AreaAccess, dormer.RoleFull):
		return fmt.Errorf("this API token may not make API tokens: %w", dormer.ErrDenied)
	case strings.TrimSpace(n.Name) == "":
		return dormer.Invalidf("name", "say what the token is for")
	case !utf8.ValidString(n.Name) || utf8.RuneCountInString(n.Name) > dormer.MaxName || strings.ContainsFunc(n.Name, unicode.IsControl):
		return dormer.Invalidf("name", "is longer than %d characters, not valid UTF-8, or has control characters", dormer.MaxName)
	case n.Role != dormer.RoleReadOnly && n.Role != dormer.RoleFull:
		return dormer.Invalidf("role", "is %q or %q", dormer.RoleReadOnly, dormer.RoleFull)
	case !by.Role.Allows(n.Role):
		return dormer.Invalidf("role", "is more than your own, which is %q", by.Role)
	case n.Lifetime < 0 || n.Lifetime > MaxAPITokenLifetime:
		return dormer.Invalidf("lifetime_hours", "is at most %d", int(MaxAPITokenLifetime/time.Hour))
	}
	for _, area := range n.Areas {
		if !slices.Contains(Areas(), area) {
			return dormer.Invalidf("areas", "are some of %s", AreaNames(Areas()))
		}
		if len(by.Areas) > 0 && !slices.Contains(by.Areas, area) {
			return dormer.Invalidf("areas", "are more than those of the token that asks: %s", AreaNames(by.Areas))
		}
	}
	return nil
}

// create keeps a token; ErrTooLarge when its owner has too many.
func (t *apiTokens) create(ctx context.Context, one APIToken) error {
	all, err := t.store.APITokens(ctx)
	if err != nil {
		return fmt.Errorf("count API tokens: %w", err)
	}
	n := 0
	for _, other := range all {
		if other.Owner.ID() == one.Owner.ID() && other.counts(one.Created) {
			n++
		}
	}
	if n >= MaxAPITokens {
		return fmt.Errorf("you have %d API tokens; revoke some that are not needed: %w", n, dormer.ErrTooLarge)
	}
	if err := t.store.CreateAPIToken(ctx, one); err != nil {
		return fmt.Errorf("keep API token: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byID[one.ID] = one
	return nil
}

// APITokens lists all API tokens, newest first, those too that do not count any
// more.
func (a *Authenticator) APITokens(ctx context.Context) ([]APIToken, error) {
	if a.cfg.Tokens == nil {
		return nil, nil
	}
	all, err := a.cfg.Tokens.APITokens(ctx)
	if err != nil {
		return nil, fmt.Errorf("list API tokens: %w", err)
	}
	a.tokens.usedMu.Lock()
	defer a.tokens.usedMu.Unlock()
	for i, t := range all {
		if at, ok := a.tokens.used[t.ID]; ok && (t.LastUsed == nil || t.LastUsed.Before(at)) {
			all[i].LastUsed = &at
		}
	}
	return all, nil
}

// RevokeAPIToken makes a token count no more: at once on this replica, on
// others within the interval of Follow. Repeating it changes nothing;
// ErrNotFound when there is none.
func (a *Authenticator) RevokeAPIToken(ctx context.Context, id string) error {
	if a.cfg.Tokens == nil || !dormer.ValidID(id) {
		return fmt.Errorf("API token %.50q: %w", id, dormer.ErrNotFound)
	}
	a.tokens.mu.Lock()
	delete(a.tokens.byID, id)
	a.tokens.revoked[id] = true
	a.tokens.mu.Unlock()
	err := a.cfg.Tokens.RevokeAPIToken(ctx, id, a.cfg.Now())
	if errors.Is(err, dormer.ErrNotFound) {
		a.tokens.mu.Lock()
		delete(a.tokens.revoked, id)
		a.tokens.mu.Unlock()
	}
	if err != nil {
		return fmt.Errorf("revoke API token: %w", err)
	}
	return nil
}

// FlushAPITokens writes to the store when API tokens were last used. It is
// called now and then, and at the end.
func (a *Authenticator) FlushAPITokens(ctx context.Context) error { return a.tokens.flush(ctx) }
