package openid

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
)

const (
	// stripes is how many accounts are asked about side by side, at most.
	stripes = 64
	// recheckWithin is how long one account may take. It goes on when the caller
	// leaves: a refresh token that was used and whose successor was not stored
	// is lost.
	recheckWithin = 2*answerWithin + 5*time.Second
	// pause is for how long an issuer that was away, or that failed for one
	// account, is not asked again.
	pause = time.Minute
	// doubtful is how often Recheck may pass while the issuer is there and does
	// not say that an account is good.
	doubtful = 2
	// purposeRefresh is the purpose of refresh tokens in the OnceStore, and turn
	// how long one of them is the business of a single replica. It is no longer
	// than the pause after a failure, or the next attempt would be nobody's.
	purposeRefresh = "openid-refresh"
	turn           = pause
	// maxFailed bounds the accounts that are remembered as failed; forgotten ones
	// fail again.
	maxFailed = 10_000
)

// errKeep is what errors of the store have in them.
var errKeep = errors.New("keep the account of an OpenID user")

// directory is a provider that is a directory of its own. Users are keyed by
// issuer and subject, as issuer|subject; groups by what the claim calls them.
type directory struct {
	p    *Provider
	safe *safe

	// turns serialise what is done about one account.
	turns [stripes]chan struct{}

	mu   sync.Mutex // guards what follows
	away time.Time  // until when the issuer is not asked
	// failed are the accounts that the issuer did not say to be good, and before
	// when it is not asked about them again.
	failed map[string]time.Time
	names  *names // nil: to be read
	wrote  uint64 // counts writes, so that names that are older than one are not kept
}

var (
	_ access.Directory = (*directory)(nil)
	_ access.Tester    = (*directory)(nil)
)

func newDirectory(p *Provider) (*directory, error) {
	s, err := newSafe(p.config.Key, p.config.Random)
	if err != nil {
		return nil, err
	}
	d := &directory{p: p, safe: s, failed: map[string]time.Time{}}
	for i := range d.turns {
		d.turns[i] = make(chan struct{}, 1)
	}
	return d, nil
}

// Name is the provider's name.
func (d *directory) Name() string { return d.p.config.Name }

// Test is that of the provider.
func (d *directory) Test(ctx context.Context) ([]access.Finding, error) { return d.p.Test(ctx) }

// Authenticate refuses all: the provider alone sees passwords.
func (d *directory) Authenticate(ctx context.Context, _, _ string) (dormer.Principal, error) {
	if err := ctx.Err(); err != nil {
		return dormer.Principal{}, fmt.Errorf("sign in: %w", err)
	}
	return dormer.Principal{}, refuse("provider %s takes no passwords", d.Name())
}

// begin waits for the turn of an account; end gives it back.
func (d *directory) begin(ctx context.Context, key string) (end func(), err error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // never fails
	t := d.turns[h.Sum32()%stripes]
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the account's turn: %w", ctx.Err())
	}
}

func (d *directory) user(a access.FederatedAccount) dormer.Principal {
	return dormer.Principal{Directory: d.Name(), Kind: dormer.KindUser, Key: a.Key, Name: a.Name}
}

func (d *directory) group(called string) dormer.Principal {
	return dormer.Principal{Directory: d.Name(), Kind: dormer.KindGroup, Key: called, Name: called}
}

// put stores an account.
func (d *directory) put(ctx context.Context, a access.FederatedAccount) error {
	if err := d.p.config.Store.PutFederated(ctx, a); err != nil {
		return fmt.Errorf("%w: %w", errKeep, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names = nil
	d.wrote++
	return nil
}

// signIn keeps what an ID token said of a user who just signed in. It ends an
// earlier refusal; without a new refresh token there is none, because the
// provider may have ended the old one with the sign-in.
func (d *directory) signIn(ctx context.Context, c claims, refresh string) (dormer.Principal, error) {
	who, err := d.p.person(c)
	if err != nil {
		return dormer.Principal{}, err
	}
	now := d.p.config.Now()
	a := access.FederatedAccount{
		Directory: d.Name(), Key: d.p.config.Issuer + "|" + who.subject, Name: who.name, DisplayName: who.display, Groups: who.groups,
		SignedIn: now, Checked: now,
	}
	if len(refresh) <= maxRefreshToken {
		if a.Refresh, err = d.safe.seal(a.Directory, a.Key, refresh); err != nil {
			return dormer.Principal{}, err
		}
	}
	end, err := d.begin(ctx, a.Key)
	if err != nil {
		return dormer.Principal{}, err
	}
	defer end()
	if err := d.put(ctx, a); err != nil {
		return dormer.Principal{}, err
	}
	d.forget(a.Key)
	return d.user(a), nil
}

// Groups returns the groups that the provider said the user is in. Once that is
// older than Recheck, the provider is asked again.
//
// A refresh token that the provider no longer takes is ReasonSignInAgain, not
// ReasonDisabled: the provider does not say whether it ended the account, the
// session or only the token, and somebody whose account is good helps
// themselves by signing in. An account that was disabled gets no further than
// the provider's own sign-in.
//
// ReasonSignInAgain is also the end of an account without a refresh token,
// after MaxAge. And of one that nobody says is good though the provider is
// there, after twice Recheck: dex answers 500 when it does not find the user
// any more, and a refresh token that was encrypted under another key cannot be
// used. That is not stored; it ends when the provider says that the account is
// good. While the provider is away, what is known counts until MaxAge; then it
// is ErrUnavailable, because nobody could sign in again.
func (d *directory) Groups(ctx context.Context, user dormer.Principal) ([]dormer.Principal, error) {
	if user.Kind != dormer.KindUser || user.Directory != d.Name() {
		return nil, fmt.Errorf("find groups of a user of %s: %w", d.Name(), dormer.ErrNotFound)
	}
	a, err := d.p.config.Store.Federated(ctx, d.Name(), user.Key)
	if err != nil {
		return nil, fmt.Errorf("find groups of user: %w", err)
	}
	if d.due(a) {
		if a, err = d.recheck(ctx, a.Key); err != nil {
			return nil, err
		}
	}
	if a.Refused != "" {
		return nil, &access.RefusedError{Reason: a.Refused}
	}
	switch age := d.p.config.Now().Sub(a.Checked); {
	case age >= doubtful*d.p.config.Recheck && d.doubts(a.Key), age >= d.p.config.MaxAge && len(a.Refresh) == 0:
		return nil, &access.RefusedError{Reason: access.ReasonSignInAgain}
	case age >= d.p.config.MaxAge:
		return nil, &awayError{d.Name(), fmt.Errorf("provider %s was not there to be asked again for the groups of a user", d.Name())}
	}
	groups := make([]dormer.Principal, len(a.Groups))
	for i, called := range a.Groups {
		groups[i] = d.group(called)
	}
	return groups, nil
}

// due reports whether the provider should be asked about an account now.
func (d *directory) due(a access.FederatedAccount) bool {
	now := d.p.config.Now()
	if a.Refused != "" || len(a.Refresh) == 0 || now.Sub(a.Checked) < d.p.config.Recheck {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return !now.Before(d.away) && !now.Before(d.failed[a.Key])
}

// pauseAll keeps the issuer from being asked for a while.
func (d *directory) pauseAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.away = d.p.config.Now().Add(pause)
}

// pauseOne keeps it from being asked about one account.
func (d *directory) pauseOne(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.failed) >= maxFailed {
		clear(d.failed)
	}
	d.failed[key] = d.p.config.Now().Add(pause)
}

// doubts reports whether the issuer, when it was last asked about an account,
// answered otherwise than that it is good.
func (d *directory) doubts(key string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, failed := d.failed[key]
	return failed
}

// forget forgets that an account failed.
func (d *directory) forget(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.failed, key)
}

// recheck asks the provider about an account and returns it as it is known
// then. That the provider cannot be asked is no error: what is known counts.
func (d *directory) recheck(ctx context.Context, key string) (access.FederatedAccount, error) {
	end, err := d.begin(ctx, key)
	if err != nil {
		return access.FederatedAccount{}, err
	}
	defer end()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recheckWithin)
	defer cancel()

	// Somebody else may have been at it while this one waited.
	a, err := d.p.config.Store.Federated(ctx, d.Name(), key)
	if err != nil {
		return access.FederatedAccount{}, fmt.Errorf("find groups of user: %w", err)
	}
	if !d.due(a) {
		return a, nil
	}
	if mine, err := d.takeTurn(ctx, a); err != nil || !mine {
		return a, err
	}
	failed := func(err error) {
		d.p.config.Logger.Warn("an OpenID provider did not say whether a user is still good",
			slog.String("provider", d.Name()), slog.String("user", a.Name), slog.Any("error", err))
	}
	token, err := d.safe.open(a.Directory, a.Key, a.Refresh)
	if err != nil {
		d.pauseOne(key)
		failed(err)
		return a, nil
	}
	found, err := d.refresh(ctx, a, token)
	answer, answered := errors.AsType[*refusal](err)
	switch {
	case err == nil:
		d.forget(key)
		return found, nil
	case errors.Is(err, errKeep):
		return a, err
	case answered && answer.ofToken():
		return d.refuse(ctx, a)
	case answered && !answer.away() && !answer.ofClient(), !errors.Is(err, dormer.ErrUnavailable):
		d.pauseOne(key)
	default:
		d.pauseAll()
	}
	failed(err)
	// The refresh token may be another one by now.
	a, err = d.p.config.Store.Federated(ctx, d.Name(), key)
	if err != nil {
		return a, fmt.Errorf("find groups of user: %w", err)
	}
	return a, nil
}

// takeTurn reports whether this replica may use an account's refresh token
// now. Two that do look to many providers like a thief and his victim, and end
// the session.
func (d *directory) takeTurn(ctx context.Context, a access.FederatedAccount) (bool, error) {
	if d.p.config.Once == nil {
		return true, nil
	}
	now := d.p.config.Now()
	slice := now.Truncate(turn)
	id := sha256.Sum256(fmt.Appendf(nil, "%d %x", slice.Unix(), a.Refresh))
	err := d.p.config.Once.UseOnce(ctx, purposeRefresh, id, slice.Add(turn))
	if errors.Is(err, dormer.ErrExists) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("take the turn of an account: %w", err)
	}
	return true, nil
}

// refresh uses a refresh token and stores what comes of it. A successor of the
// token is stored before anything else is done.
func (d *directory) refresh(ctx context.Context, a access.FederatedAccount, token string) (access.FederatedAccount, error) {
	i, err := d.p.issuer(ctx)
	if err != nil {
		return a, err
	}
	var t tokens
	if err := d.p.post(ctx, i, i.TokenURL, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, &t); err != nil {
		return a, err
	}
	if t.Refresh != "" && t.Refresh != token && len(t.Refresh) <= maxRefreshToken {
		if a.Refresh, err = d.safe.seal(a.Directory, a.Key, t.Refresh); err != nil {
			return a, err
		}
		if err := d.put(ctx, a); err != nil {
			return a, err
		}
	}
	c, err := d.p.verify(ctx, i, t, nil)
	if err != nil {
		return a, err
	}
	who, err := d.p.person(c)
	if err != nil {
		return a, err
	}
	if d.p.config.Issuer+"|"+who.subject != a.Key {
		return a, refuse("the ID token is of another user")
	}
	// Meanwhile the account may have been deleted, or the user have signed in on
	// another replica.
	if now, err := d.p.config.Store.Federated(ctx, a.Directory, a.Key); err != nil || now.SignedIn.After(a.SignedIn) {
		return now, err
	}
	a.Name, a.DisplayName, a.Groups, a.Checked = who.name, who.display, who.groups, d.p.config.Now()
	return a, d.put(ctx, a)
}

// refuse notes that the provider no longer takes an account's refresh token,
// unless another replica has stored a newer one meanwhile.
func (d *directory) refuse(ctx context.Context, a access.FederatedAccount) (access.FederatedAccount, error) {
	now, err := d.p.config.Store.Federated(ctx, a.Directory, a.Key)
	if err != nil {
		return a, fmt.Errorf("find groups of user: %w", err)
	}
	if string(now.Refresh) != string(a.Refresh) {
		return now, nil
	}
	a.Refused, a.Refresh, a.Checked = access.ReasonSignInAgain, nil, d.p.config.Now()
	return a, d.put(ctx, a)
}
