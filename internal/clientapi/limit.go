package clientapi

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/dormer-project/dormer"
)

// Rates of failed attempts from one address. Only failures count, so that a
// whole building behind one address enrols and comes back at once. Sign-in has
// limits of its own (access.Authenticator).
var (
	joinRate  = failureRate{every: 3 * time.Second, burst: 20}
	proofRate = failureRate{every: 200 * time.Millisecond, burst: 200}
)

// maxAddresses bounds how many addresses are remembered.
const maxAddresses = 20_000

type failureRate struct {
	every time.Duration
	burst int
}

// failures holds addresses back that failed too often.
type failures struct {
	rate failureRate
	now  func() time.Time

	mu sync.Mutex
	// guards the field below
	byAddress map[string]*rate.Limiter
}

func newFailures(r failureRate, now func() time.Time) *failures {
	return &failures{rate: r, now: now, byAddress: make(map[string]*rate.Limiter)}
}

// limitedError says when an address may try again.
type limitedError struct{ after time.Duration }

func (e *limitedError) Error() string {
	return fmt.Sprintf("too many failed attempts from this address; try again in %s", e.after.Round(time.Second))
}
func (e *limitedError) Is(target error) bool      { return target == dormer.ErrUnavailable }
func (e *limitedError) ProblemKind() string       { return "rate-limited" }
func (e *limitedError) RetryAfter() time.Duration { return e.after }

// attempt runs f unless the address failed too often. Failures that are not
// the caller's doing do not count.
func (l *failures) attempt(address string, f func() error, counts func(error) bool) error {
	now := l.now()
	l.mu.Lock()
	limiter := l.of(network(address), now)
	l.mu.Unlock()
	// Taken before f runs, so that attempts side by side count.
	taken := limiter.ReserveN(now, 1)
	if wait := taken.DelayFrom(now); wait > 0 {
		taken.CancelAt(now)
		return &limitedError{after: wait}
	}
	err := f()
	if err == nil || !counts(err) {
		taken.CancelAt(now)
	}
	return err
}

// of needs l.mu.
func (l *failures) of(address string, now time.Time) *rate.Limiter {
	if one, ok := l.byAddress[address]; ok {
		return one
	}
	if len(l.byAddress) >= maxAddresses {
		for k, one := range l.byAddress {
			if one.TokensAt(now) >= float64(one.Burst()) {
				delete(l.byAddress, k)
			}
		}
		for k := range l.byAddress {
			if len(l.byAddress) < maxAddresses {
				break
			}
			delete(l.byAddress, k)
		}
	}
	one := rate.NewLimiter(rate.Every(l.rate.every), l.rate.burst)
	l.byAddress[address] = one
	return one
}

// network returns what counts as one address: an IPv4 address or the /64 of an
// IPv6 address, all of which one host commands.
func network(address string) string {
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
