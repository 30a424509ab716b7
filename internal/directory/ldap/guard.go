package ldap

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
)

// guard keeps guessers from locking accounts: Active Directory locks an account
// everywhere after a number of wrong passwords, so the last of them are not
// tried through Dormer. Its counters are read before each attempt, and attempts
// for one account are made one after the other, or guesses side by side would
// all find the counter low. Replicas do not wait for each other: as many
// attempts more as there are replicas can slip through, which is why more than
// one is spared. Each domain controller counts for itself; only the one that is
// the domain's PDC emulator counts what all were told, so it should be the first
// of the servers.
type guard struct {
	spare int
	// patience is for how long an attempt waits for others.
	patience time.Duration

	mu sync.Mutex
	// guards the fields below
	busy     map[string]*turn
	policies map[string]lockout
}

// turn is the right to try a password for one account.
type turn struct {
	token   chan struct{}
	waiting int
}

// lockout is when a domain locks accounts.
type lockout struct {
	// threshold is after how many wrong passwords; 0: never.
	threshold int
	// window is for how long a wrong password counts; it may be forEver.
	window time.Duration
	until  time.Time // when this is read again
}

const (
	policyLife = time.Minute
	// forEver is a span that does not end.
	forEver = time.Duration(1<<63 - 1)
	// longestRest is the longest window whose end somebody may wait for.
	longestRest = 30 * 24 * time.Hour
	maxPolicies = 1_000
)

func newGuard(spare int, patience time.Duration) *guard {
	return &guard{spare: spare, patience: patience, busy: make(map[string]*turn), policies: make(map[string]lockout)}
}

// enter waits until nobody else tries a password for that account.
func (g *guard) enter(ctx context.Context, key string) (leave func(), err error) {
	g.mu.Lock()
	t := g.busy[key]
	if t == nil {
		t = &turn{token: make(chan struct{}, 1)}
		g.busy[key] = t
	}
	t.waiting++
	g.mu.Unlock()
	done := func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if t.waiting--; t.waiting == 0 {
			delete(g.busy, key)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, g.patience)
	defer cancel()
	select {
	case t.token <- struct{}{}:
		return func() { <-t.token; done() }, nil
	case <-ctx.Done():
		done()
		return nil, fmt.Errorf("wait for other sign-ins of the account: %w: %w", dormer.ErrUnavailable, ctx.Err())
	}
}

// attempts is what Active Directory counts of an account.
type attempts struct {
	wrong  int
	last   time.Time // when the last wrong one was; zero: never
	locked bool
}

// forbids reports whether one more wrong password would bring the account too
// near to being locked. The first attempt is always let through. From where the
// account signed in before all but the last one are tried: guessers elsewhere
// must not keep users from the computers they sit at.
func (g *guard) forbids(a attempts, l lockout, known bool, now time.Time) bool {
	spare := g.spare
	if known {
		spare = min(spare, 1)
	}
	if g.spare < 0 || l.threshold <= 0 || a.locked || a.wrong <= 0 {
		// A locked account is not harmed; the server says that it is.
		return false
	}
	if !a.last.IsZero() && now.Sub(a.last) > l.window {
		return false // it begins anew
	}
	return l.threshold-a.wrong <= min(spare, l.threshold-1)
}

// rest is for how long such an account is guarded still, in whole minutes: until
// its domain forgets the last wrong password. 0: nobody waits for that.
func (l lockout) rest(a attempts, now time.Time) time.Duration {
	if l.window > longestRest {
		return 0
	}
	left := l.window
	if !a.last.IsZero() {
		// At most the window, also where the clocks differ.
		left = min(left, l.window-now.Sub(a.last))
	}
	return (max(left, 1) - 1).Truncate(time.Minute) + time.Minute
}

// mayTry returns a *access.RefusedError when no password must be tried now, else
// the server whose counters it read.
func (d *Directory) mayTry(ctx context.Context, dn string) (*server, error) {
	if d.config.Kind != ActiveDirectory || d.guard.spare < 0 {
		return nil, nil
	}
	var at *server
	err := d.pool.search(ctx, func(c *conn) error {
		at = c.server
		found, _, err := c.find(ctx, request{
			base: dn, scope: goldap.ScopeBaseObject, filter: anything, limit: 1,
			attributes: []string{"badPwdCount", "badPasswordTime", "msDS-User-Account-Control-Computed", "msDS-ResultantPSO"},
		})
		if err != nil {
			return d.explain(c, err)
		}
		if len(found) == 0 {
			return nil // gone: the server will say so
		}
		e := found[0]
		a := attempts{}
		a.wrong, _ = strconv.Atoi(e.GetEqualFoldAttributeValue("badPwdCount"))
		a.last, _ = fileTime(e.GetEqualFoldAttributeValue("badPasswordTime"))
		control, _ := strconv.ParseInt(e.GetEqualFoldAttributeValue("msDS-User-Account-Control-Computed"), 10, 64)
		a.locked = control&accountLocked != 0
		if a.wrong <= 0 || a.locked {
			return nil
		}
		l, err := d.lockout(ctx, c, e.GetEqualFoldAttributeValue("msDS-ResultantPSO"))
		if err != nil {
			return err
		}
		if now := d.config.Now(); d.guard.forbids(a, l, access.KnownPlace(ctx), now) {
			return &access.RefusedError{Reason: access.ReasonGuarded, Wait: l.rest(a, now)}
		}
		return nil
	})
	return at, err
}

// lockout returns when accounts are locked: as the domain says, or as a
// fine-grained policy does.
func (d *Directory) lockout(ctx context.Context, c *conn, policyDN string) (lockout, error) {
	d.guard.mu.Lock()
	l, ok := d.guard.policies[policyDN]
	d.guard.mu.Unlock()
	if ok && d.config.Now().Before(l.until) {
		return l, nil
	}
	l, ok, err := d.readLockout(ctx, c, policyDN)
	if err != nil {
		return lockout{}, err
	}
	if !ok && policyDN != "" {
		// The service account may not read the fine-grained policy, which may lock
		// sooner than the domain: one wrong password is all there is.
		if l, ok, err = d.readLockout(ctx, c, ""); err != nil {
			return lockout{}, err
		}
		l.threshold = d.guard.spare + 1
	}
	if !ok {
		return lockout{}, fmt.Errorf("%s: the service account may not read lockoutThreshold of the domain: %w", settingBindUser, dormer.ErrUnavailable)
	}
	l.until = d.config.Now().Add(policyLife)
	d.guard.mu.Lock()
	defer d.guard.mu.Unlock()
	if len(d.guard.policies) >= maxPolicies {
		clear(d.guard.policies)
	}
	d.guard.policies[policyDN] = l
	return l, nil
}

// readLockout reads one policy; ok is false when it cannot be read.
func (d *Directory) readLockout(ctx context.Context, c *conn, policyDN string) (l lockout, ok bool, err error) {
	threshold, window := "msDS-LockoutThreshold", "msDS-LockoutObservationWindow"
	if policyDN == "" {
		threshold, window = "lockoutThreshold", "lockOutObservationWindow"
		if policyDN, err = d.domain(ctx, c); err != nil {
			return lockout{}, false, err
		}
	}
	found, _, err := c.find(ctx, request{base: policyDN, scope: goldap.ScopeBaseObject, filter: anything, attributes: []string{threshold, window}, limit: 1})
	if resultCode(err) == goldap.LDAPResultNoSuchObject || resultCode(err) == goldap.LDAPResultInsufficientAccessRights {
		return lockout{}, false, nil
	}
	if err != nil {
		return lockout{}, false, d.explain(c, err)
	}
	if len(found) == 0 {
		return lockout{}, false, nil
	}
	n, err := strconv.Atoi(found[0].GetEqualFoldAttributeValue(threshold))
	if err != nil {
		return lockout{}, false, nil //nolint:nilerr // an attribute that is not there, or not for the service account
	}
	// Spans of time are negative, in steps of 100 ns; the lowest number is for ever.
	steps, err := strconv.ParseInt(found[0].GetEqualFoldAttributeValue(window), 10, 64)
	l = lockout{threshold: n, window: forEver}
	if err == nil && steps <= 0 && -steps >= 0 && -steps < (1<<63-1)/100 {
		l.window = time.Duration(-steps * 100)
	}
	return l, true, nil
}
