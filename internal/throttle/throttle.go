// Package throttle holds back who fails too often: guessers of passwords, of
// join tokens and of clients' keys. It is a leaf that domain packages and edges
// may import.
//
// An attempt is taken before it is tried, so that guesses side by side count,
// and given back when it was no failure: who is right uses nothing up.
package throttle

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
)

// MaxKeys bounds how many keys a Limit remembers; see docs/limits.md.
const MaxKeys = 20_000

// Rate is how many failures of one key are let through.
type Rate struct {
	// Every is the time after which another one is.
	Every time.Duration
	// Burst is how many are at once.
	Burst int
}

// Limit counts failures by key: an account, an address. It is safe for
// concurrent use.
type Limit struct {
	rate Rate
	now  func() time.Time

	mu sync.Mutex
	// guards the field below and what it points to
	byKey map[digest]*failures
}

// failures are those of one key that still count.
type failures struct {
	// until is when none counts any more: each adds Rate.Every.
	until time.Time
	// round is one higher after each time when none counted.
	round uint64
}

// digest stands for a key, so that whoever chooses long keys takes no more
// memory than others.
type digest [16]byte

func digestOf(key string) digest {
	sum := sha256.Sum256([]byte(key))
	return digest(sum[:])
}

// New returns a limit of that rate.
func New(r Rate, now func() time.Time) *Limit {
	return &Limit{rate: r, now: now, byKey: make(map[digest]*failures)}
}

// Taken is an attempt that was let through.
type Taken struct {
	limit *Limit
	of    *failures
	round uint64
}

// GiveBack makes the attempt count for nothing. It is called once. What time
// has forgiven already is not given back a second time.
func (t Taken) GiveBack() {
	t.limit.mu.Lock()
	defer t.limit.mu.Unlock()
	if t.of.round == t.round {
		t.of.until = t.of.until.Add(-t.limit.rate.Every)
	}
}

// Take takes one attempt of key; *Error when it failed too often.
func (l *Limit) Take(key string) (Taken, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	f := l.of(digestOf(key), now)
	most := now.Add(time.Duration(l.rate.Burst) * l.rate.Every)
	if !f.until.After(now) || f.until.After(most) { // past, or the clock was set back
		f.until = now
		f.round++
	}
	until := f.until.Add(l.rate.Every)
	if wait := until.Sub(now) - time.Duration(l.rate.Burst)*l.rate.Every; wait > 0 {
		return Taken{}, &Error{After: wait}
	}
	f.until = until
	return Taken{limit: l, of: f, round: f.round}, nil
}

// of returns the failures of a key. It needs l.mu.
func (l *Limit) of(key digest, now time.Time) *failures {
	if f, ok := l.byKey[key]; ok {
		return f
	}
	if len(l.byKey) >= MaxKeys {
		l.makeRoom(now)
	}
	f := &failures{}
	l.byKey[key] = f
	return f
}

// makeRoom forgets those of which no failure counts any more, since they hold
// nobody back, and others until a quarter is free: so that it is needed seldom,
// however many keys somebody has. It needs l.mu.
func (l *Limit) makeRoom(now time.Time) {
	for k, f := range l.byKey {
		if !f.until.After(now) {
			delete(l.byKey, k)
		}
	}
	for k := range l.byKey {
		if len(l.byKey) <= MaxKeys/4*3 {
			break
		}
		delete(l.byKey, k)
	}
}

// Len returns how many keys are remembered.
func (l *Limit) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.byKey)
}

// Error refuses an attempt because too many failed before it. It is an
// ErrUnavailable: trying again after After may succeed.
type Error struct {
	After time.Duration
}

func (e *Error) Error() string {
	return "too many failed attempts; try again in " + e.After.Round(time.Second).String()
}

// Is makes an *Error match dormer.ErrUnavailable.
func (e *Error) Is(target error) bool { return target == dormer.ErrUnavailable }

// ProblemKind names the problem for the edges.
func (e *Error) ProblemKind() string { return "rate-limited" }

// RetryAfter is how long to wait.
func (e *Error) RetryAfter() time.Duration { return e.After }

// Network returns what counts as one address: an IPv4 address, or the /64 of
// an IPv6 address, since a single host commands all of it. A port is left out;
// what is no address is returned as it is.
func Network(address string) string {
	if ap, err := netip.ParseAddrPort(address); err == nil {
		address = ap.Addr().String()
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	p, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return ip.String()
	}
	return p.String()
}
