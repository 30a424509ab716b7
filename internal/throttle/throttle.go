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

	"golang.org/x/time/rate"

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
	// guards the field below
	byKey map[digest]*rate.Limiter
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
	return &Limit{rate: r, now: now, byKey: make(map[digest]*rate.Limiter)}
}

// Taken is an attempt that was let through.
type Taken struct {
	reservation *rate.Reservation
	at          time.Time
}

// GiveBack makes the attempt count for nothing.
func (t Taken) GiveBack() { t.reservation.CancelAt(t.at) }

// Take takes one attempt of key; *Error when it failed too often.
func (l *Limit) Take(key string) (Taken, error) {
	now := l.now()
	r := l.of(digestOf(key), now).ReserveN(now, 1)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return Taken{}, &Error{After: wait}
	}
	return Taken{reservation: r, at: now}, nil
}

// of returns the limiter of a key.
func (l *Limit) of(key digest, now time.Time) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one, ok := l.byKey[key]; ok {
		return one
	}
	if len(l.byKey) >= MaxKeys {
		l.makeRoom(now)
	}
	one := rate.NewLimiter(rate.Every(l.rate.Every), l.rate.Burst)
	l.byKey[key] = one
	return one
}

// makeRoom forgets those that are full again, since they hold nobody back, and
// others until a quarter is free: so that it is needed seldom, however many keys
// somebody has. It needs l.mu.
func (l *Limit) makeRoom(now time.Time) {
	for k, one := range l.byKey {
		if one.TokensAt(now) >= float64(one.Burst()) {
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
