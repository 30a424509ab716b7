package access

import (
	"crypto/sha256"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/dormer-project/dormer/internal/throttle"
)

// Rates of failed attempts with passwords. Only failures count: whoever signs
// in rightly uses nothing up.
//
// A guesser is held by the pair of account and address, and by the address. The
// limits of an account over all addresses stop guessing from many, and are made
// so that they do not lock its user out:
//
//   - They do not hold for an address from which the account signed in before:
//     nobody locks a user out of the computer he sits at. There the limit of the
//     address is wider too, so that one neighbour does not lock out the others.
//   - From another address the first attempts count apart from those of
//     addresses that have failed lately. Whoever guesses from many addresses uses
//     up the first attempts of each, and then the user's go through: to lock him
//     out of a new computer for an hour takes 900 addresses, and to do it for
//     ever more than ten thousand. Of IPv6 a whole /48 is one of these addresses:
//     many have one.
var (
	pairRate    = throttle.Rate{Every: 5 * time.Second, Burst: 10}
	addressRate = throttle.Rate{Every: time.Second, Burst: 100}
	knownRate   = throttle.Rate{Every: time.Second / 10, Burst: 300} // of one address, where it is known
	accountRate = throttle.Rate{Every: 4 * time.Second, Burst: 50}   // over addresses that failed lately
	firstRate   = throttle.Rate{Every: 2 * time.Second, Burst: 50}   // over all others
	// triesRate is how many failures of an address are its first, and after how
	// long another one is.
	triesRate = throttle.Rate{Every: 6 * time.Hour, Burst: 2}
)

// maxKnown is how many addresses are remembered of an account: the latest.
const maxKnown = 16

// digest stands for an account or an address.
type digest [sha256.Size]byte

func digestOf(s string) digest { return sha256.Sum256([]byte(s)) }

// attempts limits attempts to sign in with a password.
type attempts struct {
	pairs, addresses, homes, accounts, firsts, tries *throttle.Limit

	mu sync.Mutex
	// guards the field below: where accounts signed in from, latest last
	known map[digest][]digest
}

func newAttempts(now func() time.Time) *attempts {
	return &attempts{
		pairs: throttle.New(pairRate, now), addresses: throttle.New(addressRate, now), homes: throttle.New(knownRate, now),
		accounts: throttle.New(accountRate, now), firsts: throttle.New(firstRate, now), tries: throttle.New(triesRate, now),
		known: map[digest][]digest{},
	}
}

// held is one limit that holds for an attempt, and its key.
type held struct {
	limit *throttle.Limit
	key   string
}

// begin takes one attempt from every limit that holds, before the password is
// checked, so that guesses side by side count. refund gives them back; right
// says that the password was right. *throttle.Error when too many failed.
func (a *attempts) begin(account, address string) (refund func(right bool), err error) {
	refund, _, err = a.beginAt(account, address)
	return refund, err
}

// beginAt is begin that says whether the account signed in there before.
func (a *attempts) beginAt(account, address string) (refund func(right bool), known bool, err error) {
	address = throttle.Network(address)
	limits := []held{{a.pairs, account + "\x00" + address}}
	var taken []throttle.Taken
	if known = a.knows(account, address); known {
		limits = append(limits, held{a.homes, address})
	} else {
		limits = append(limits, held{a.addresses, address})
		first, err := a.tries.Take(site(address))
		if err == nil {
			taken = append(taken, first)
			limits = append(limits, held{a.firsts, account})
		} else {
			limits = append(limits, held{a.accounts, account})
		}
	}
	giveBack := func() {
		for _, t := range taken {
			t.GiveBack()
		}
	}
	for _, l := range limits {
		t, err := l.limit.Take(l.key)
		if err != nil {
			giveBack()
			return nil, known, err
		}
		taken = append(taken, t)
	}
	return func(right bool) {
		giveBack()
		if right {
			a.remember(account, address)
		}
	}, known, nil
}

// siteBits is how much of an IPv6 address a single customer may command: nobody
// has thousands of those.
const siteBits = 48

// site returns what a network (throttle.Network) is a part of that may be
// somebody's alone.
func site(network string) string {
	p, err := netip.ParsePrefix(network)
	if err != nil {
		return network // IPv4, or a client
	}
	if p, err = p.Addr().Prefix(siteBits); err != nil {
		return network
	}
	return p.String()
}

func (a *attempts) knows(account, address string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Contains(a.known[digestOf(account)], digestOf(address))
}

// remember notes that an account signed in from an address. Whoever signs in
// from ever more addresses makes only that account forget some.
func (a *attempts) remember(account, address string) {
	who, from := digestOf(account), digestOf(address)
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.known[who]; !ok && len(a.known) >= throttle.MaxKeys {
		for k := range a.known {
			delete(a.known, k)
			break
		}
	}
	list := slices.DeleteFunc(a.known[who], func(d digest) bool { return d == from })
	if len(list) >= maxKnown {
		list = slices.Delete(list, 0, len(list)-maxKnown+1)
	}
	a.known[who] = append(list, from)
}
