package access

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/dormer-project/dormer/internal/throttle"
)

// Rates of failed attempts. Only failures count: whoever signs in rightly uses
// nothing up.
//
// A guesser is held by the pair of account and address. The limit of an
// account over all addresses stops guessing from many addresses; it does not
// hold for an address from which that account signed in before, so that
// nobody can lock a user out of the computer he sits at.
var (
	pairRate    = throttle.Rate{Every: 5 * time.Second, Burst: 10}
	addressRate = throttle.Rate{Every: time.Second, Burst: 100}
	accountRate = throttle.Rate{Every: 2 * time.Second, Burst: 50}
)

// pair stands for an account and the address that it signed in from.
type pair [sha256.Size]byte

// attempts limits attempts to sign in.
type attempts struct {
	pairs, addresses, accounts *throttle.Limit

	mu    sync.Mutex // guards the field below
	known map[pair]struct{}
}

func newAttempts(now func() time.Time) *attempts {
	return &attempts{
		pairs: throttle.New(pairRate, now), addresses: throttle.New(addressRate, now), accounts: throttle.New(accountRate, now),
		known: map[pair]struct{}{},
	}
}

// begin takes one attempt from every limit that holds, before the password is
// checked, so that guesses side by side count. refund gives them back; right
// says that the password was right. *throttle.Error when too many failed.
func (a *attempts) begin(account, address string) (refund func(right bool), err error) {
	address = throttle.Network(address)
	both := account + "\x00" + address
	id := pair(sha256.Sum256([]byte(both)))
	a.mu.Lock()
	_, known := a.known[id]
	a.mu.Unlock()
	limits := []struct {
		limit *throttle.Limit
		key   string
	}{{a.pairs, both}, {a.addresses, address}, {a.accounts, account}}
	if known {
		limits = limits[:2]
	}
	taken := make([]throttle.Taken, 0, len(limits))
	giveBack := func() {
		for _, t := range taken {
			t.GiveBack()
		}
	}
	for _, l := range limits {
		t, err := l.limit.Take(l.key)
		if err != nil {
			giveBack()
			return nil, err
		}
		taken = append(taken, t)
	}
	return func(right bool) {
		giveBack()
		if right {
			a.remember(id)
		}
	}, nil
}

// remember notes that an account signed in from an address.
func (a *attempts) remember(id pair) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= throttle.MaxKeys {
		for k := range a.known {
			delete(a.known, k)
			break
		}
	}
	a.known[id] = struct{}{}
}
