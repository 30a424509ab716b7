package access

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/throttle"
)

// clock is a clock that tests set.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newClock() *clock { return &clock{at: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)} }

// guesses counts how many of n failed attempts are let through.
func guesses(a *attempts, n int, account string, address func(int) string) (through int) {
	for i := range n {
		if _, err := a.begin(account, address(i)); err == nil {
			through++
		}
	}
	return through
}

func from(s string) func(int) string { return func(int) string { return s } }

func TestGuessesFromOneAddress(t *testing.T) {
	c := newClock()
	a := newAttempts(c.now)
	if n := guesses(a, 100, "alice", from("192.0.2.1")); n != pairRate.Burst {
		t.Errorf("%d guesses at once", n)
	}
	_, err := a.begin("alice", "192.0.2.1")
	limited, ok := errors.AsType[*throttle.Error](err)
	if !ok || !errors.Is(err, dormer.ErrUnavailable) || limited.After <= 0 || limited.After > pairRate.Every {
		t.Errorf("refusal: %v", err)
	}
	c.at = c.at.Add(limited.After)
	if _, err := a.begin("alice", "192.0.2.1"); err != nil {
		t.Errorf("after waiting as told: %v", err)
	}
	// In a day that is some thousand guesses, however many are tried.
	total := 0
	for range 24 * 60 {
		c.at = c.at.Add(time.Minute)
		total += guesses(a, 100, "alice", from("192.0.2.1"))
	}
	if total > 24*3600/5+pairRate.Burst {
		t.Errorf("%d guesses in a day", total)
	}
}

// TestNobodyIsLockedOut: while an account is being attacked from everywhere,
// its user signs in where he did before and, before long, where he never was;
// others are not held at all.
func TestNobodyIsLockedOut(t *testing.T) {
	c := newClock()
	a := newAttempts(c.now)
	signIn := func(account, address string) bool {
		refund, err := a.begin(account, address)
		if err == nil {
			refund(true)
		}
		return err == nil
	}
	if !signIn("alice", "192.0.2.1") {
		t.Fatal("alice before the attack")
	}
	const addresses = 200
	everywhere := func(i int) string { return fmt.Sprintf("10.%d.%d.1", i%addresses/250, i%addresses%250) }
	began, next, through := c.at, 0, 0
	var waited time.Duration
	// Every address guesses every two seconds, far more than is let through, and
	// alice tries at a computer where she never was, last.
	for c.at.Before(began.Add(30 * time.Minute)) {
		through += guesses(a, addresses, "alice", func(int) string { next++; return everywhere(next) })
		if !signIn("alice", "192.0.2.1") {
			t.Fatalf("alice at her own computer, after %s", c.at.Sub(began))
		}
		if !signIn("bob", "192.0.2.1") || !signIn("bob", "198.51.100.7") {
			t.Fatalf("bob after %s", c.at.Sub(began))
		}
		if waited == 0 {
			if _, err := a.begin("alice", "198.51.100.1"); err == nil {
				waited = c.at.Sub(began)
			}
		}
		c.at = c.at.Add(2 * time.Second)
	}
	if most := addresses * time.Duration(triesRate.Burst) * firstRate.Every; waited == 0 || waited > most {
		t.Errorf("alice got in at a new computer after %s, want it within %s", waited, most)
	}
	most := 1800/int(accountRate.Every/time.Second) + accountRate.Burst + addresses*triesRate.Burst + 1
	if through > most {
		t.Errorf("%d guesses were let through, want at most %d", through, most)
	}
}

// TestSiteOfAGuesser: a guesser who commands a /48 of IPv6, and so as many
// addresses as they like, does not lock users out of new computers.
func TestSiteOfAGuesser(t *testing.T) {
	c := newClock()
	a := newAttempts(c.now)
	for i := range 3600 {
		guesses(a, 10, "alice", func(n int) string { return fmt.Sprintf("[2001:db8:1:%x::1]:1", (10*i+n)%0x10000) })
		if i%60 == 59 {
			refund, err := a.begin("alice", fmt.Sprint("198.51.100.", i/60))
			if err != nil {
				t.Fatalf("alice at a new computer after %d s: %v", i, err)
			}
			refund(true)
		}
		c.at = c.at.Add(time.Second)
	}
}

// TestNeighbours: who guesses at many accounts from one address keeps those
// who signed in there from nothing.
func TestNeighbours(t *testing.T) {
	c := newClock()
	a := newAttempts(c.now)
	refund, err := a.begin("alice", "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	refund(true)
	n := 0
	for range 3600 {
		n += guesses(a, 5, fmt.Sprint("user", c.at.Unix()), from("192.0.2.1"))
		if refund, err := a.begin("alice", "192.0.2.1"); err != nil {
			t.Fatalf("alice beside a guesser: %v", err)
		} else {
			refund(true)
		}
		c.at = c.at.Add(time.Second)
	}
	if most := 3600 + addressRate.Burst; n > most {
		t.Errorf("%d guesses from one address, want at most %d", n, most)
	}
}

// TestKnownAddresses: an account that signs in from ever more addresses
// forgets its oldest, and no other account's.
func TestKnownAddresses(t *testing.T) {
	a := newAttempts(newClock().now)
	a.remember("alice", "192.0.2.1")
	for i := range 2 * maxKnown {
		a.remember("mallory", fmt.Sprint("10.0.0.", i))
		a.remember("mallory", "10.0.1.1")
	}
	for account, addresses := range map[string]map[string]bool{
		"alice":   {"192.0.2.1": true, "10.0.1.1": false},
		"mallory": {"10.0.0.0": false, "10.0.0.31": true, "10.0.1.1": true, "192.0.2.1": false},
	} {
		for address, want := range addresses {
			if a.knows(account, address) != want {
				t.Errorf("%s at %s: want %t", account, address, want)
			}
		}
	}
	if n := len(a.known[digestOf("mallory")]); n != maxKnown {
		t.Errorf("%d addresses are remembered, want %d", n, maxKnown)
	}
}

// TestSuccessCostsNothing: whoever knows the password may sign in as often as
// wanted.
func TestSuccessCostsNothing(t *testing.T) {
	a := newAttempts(newClock().now)
	for i := range 1000 {
		refund, err := a.begin("alice", "192.0.2.1")
		if err != nil {
			t.Fatalf("sign-in %d: %v", i, err)
		}
		refund(true)
	}
}

func TestAddressesOfOneHost(t *testing.T) {
	a := newAttempts(newClock().now)
	if n := guesses(a, 100, "alice", func(i int) string { return fmt.Sprintf("[2001:db8::%x]:1", i+1) }); n != pairRate.Burst {
		t.Errorf("%d guesses from one /64", n)
	}
}

// TestMemoryIsBounded however many names are tried.
func TestMemoryIsBounded(t *testing.T) {
	c := newClock()
	a := newAttempts(c.now)
	for i := range throttle.MaxKeys + 500 {
		if i%50 == 0 {
			c.at = c.at.Add(time.Minute)
		}
		refund, err := a.begin(fmt.Sprint("user", i), fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255))
		if err == nil {
			refund(true)
		}
	}
	for _, n := range []int{a.pairs.Len(), a.accounts.Len(), a.addresses.Len(), a.homes.Len(), a.firsts.Len(), a.tries.Len(), len(a.known)} {
		if n > throttle.MaxKeys {
			t.Errorf("%d are remembered", n)
		}
	}
}
