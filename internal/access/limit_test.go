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
// its user signs in where he did before, and others are not held at all.
func TestNobodyIsLockedOut(t *testing.T) {
	c := newClock()
	a := newAttempts(c.now)
	refund, err := a.begin("alice", "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	refund(true)
	everywhere := func(i int) string { return fmt.Sprintf("10.%d.%d.1", i/250, i%250) }
	if n := guesses(a, 1000, "alice", everywhere); n != accountRate.Burst {
		t.Errorf("%d guesses from 1000 addresses", n)
	}
	if _, err := a.begin("alice", "192.0.2.1"); err != nil {
		t.Errorf("alice at her own computer: %v", err)
	}
	if _, err := a.begin("bob", "10.0.7.1"); err != nil {
		t.Errorf("bob: %v", err)
	}
	c.at = c.at.Add(accountRate.Every)
	if _, err := a.begin("alice", "198.51.100.1"); err != nil {
		t.Errorf("alice at a new computer, shortly after: %v", err)
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
	for _, n := range []int{a.pairs.Len(), a.accounts.Len(), a.addresses.Len(), len(a.known)} {
		if n > throttle.MaxKeys {
			t.Errorf("%d are remembered", n)
		}
	}
}
