package access

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rates of failed attempts. Only failures count: whoever signs in rightly uses
// nothing up.
//
// A guesser is held by the pair of account and address. The limit of an
// account over all addresses stops guessing from many addresses; it does not
// hold for an address from which that account signed in before, so that
// nobody can lock a user out of the computer he sits at.
var (
	pairRate    = attemptRate{every: 5 * time.Second, burst: 10}
	addressRate = attemptRate{every: time.Second, burst: 100}
	accountRate = attemptRate{every: 2 * time.Second, burst: 50}
)

// maxTracked bounds how many accounts, addresses and pairs are remembered.
const maxTracked = 20_000

type attemptRate struct {
	every time.Duration
	burst int
}

// attempts limits attempts to sign in.
type attempts struct {
	now func() time.Time

	mu        sync.Mutex // guards the fields below
	pairs     map[string]*rate.Limiter
	addresses map[string]*rate.Limiter
	accounts  map[string]*rate.Limiter
	known     map[string]time.Time // pairs that signed in, and when
}

func newAttempts(now func() time.Time) *attempts {
	return &attempts{
		now: now, pairs: map[string]*rate.Limiter{}, addresses: map[string]*rate.Limiter{},
		accounts: map[string]*rate.Limiter{}, known: map[string]time.Time{},
	}
}

// begin takes one attempt from every limit that holds, before the password is
// checked, so that guesses side by side count. refund gives them back; right
// says that the password was right.
func (a *attempts) begin(account, address string) (refund func(right bool), err error) {
	now := a.now()
	address = network(address)
	pair := account + "\x00" + address

	a.mu.Lock()
	defer a.mu.Unlock()
	_, known := a.known[pair]
	limiters := []*rate.Limiter{limiter(a.pairs, pair, pairRate, now), limiter(a.addresses, address, addressRate, now)}
	if !known {
		limiters = append(limiters, limiter(a.accounts, account, accountRate, now))
	}
	taken := make([]*rate.Reservation, 0, len(limiters))
	giveBack := func() {
		for _, r := range taken {
			r.CancelAt(now)
		}
	}
	for _, l := range limiters {
		r := l.ReserveN(now, 1)
		if wait := r.DelayFrom(now); wait > 0 {
			r.CancelAt(now)
			giveBack()
			return nil, &LimitedError{After: wait}
		}
		taken = append(taken, r)
	}
	return func(right bool) {
		a.mu.Lock()
		defer a.mu.Unlock()
		giveBack()
		if !right {
			return
		}
		if len(a.known) >= maxTracked {
			for k := range a.known {
				delete(a.known, k)
				break
			}
		}
		a.known[pair] = now
	}, nil
}

// limiter returns the limiter of key, making room first when there are too
// many: those that are full again hold nobody back.
func limiter(m map[string]*rate.Limiter, key string, r attemptRate, now time.Time) *rate.Limiter {
	if l, ok := m[key]; ok {
		return l
	}
	if len(m) >= maxTracked {
		for k, l := range m {
			if l.TokensAt(now) >= float64(l.Burst()) {
				delete(m, k)
			}
		}
		for k := range m {
			if len(m) < maxTracked {
				break
			}
			delete(m, k)
		}
	}
	l := rate.NewLimiter(rate.Every(r.every), r.burst)
	m[key] = l
	return l
}

// network returns what counts as one address: an IPv4 address, or the /64 of
// an IPv6 address, since a single host commands all of it.
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
