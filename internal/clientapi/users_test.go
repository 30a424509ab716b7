package clientapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/lease"
)

// domain is a directory of which a test says how long it takes and what it
// answers.
type domain struct {
	mu sync.Mutex // guards the fields below

	takes  time.Duration
	err    error
	member map[dormer.UserID]bool // of the one group that gives a workspace
	calls  int
	now    int // questions under way
	most   int // of those at once
}

func (d *domain) GroupsOf(ctx context.Context, p dormer.Principal) ([]dormer.Principal, error) {
	d.mu.Lock()
	takes := d.takes
	d.calls++
	d.now++
	d.most = max(d.most, d.now)
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.now--
		d.mu.Unlock()
	}()
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return nil, d.err
	}
	if d.member[p.ID()] {
		return []dormer.Principal{{Directory: p.Directory, Kind: dormer.KindGroup, Key: "staff"}}, nil
	}
	return nil, nil
}

func (d *domain) set(f func(*domain)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d)
}

func (d *domain) asked() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}

// domains are several, by name.
type domains map[string]*domain

func (d domains) GroupsOf(ctx context.Context, p dormer.Principal) ([]dormer.Principal, error) {
	return d[p.Directory].GroupsOf(ctx, p)
}

// oneEach gives one workspace to everybody who is in a group.
type oneEach struct{}

func (oneEach) Generation() uint64 { return 1 }

func (oneEach) Assignments(_ context.Context, _ dormer.Principal, groups []dormer.Principal, _ dormer.ClientID) (catalog.Assignments, error) {
	a := catalog.Assignments{Generation: 1}
	for range groups {
		a.Entitlements = append(a.Entitlements, &lease.Entitlement{})
	}
	return a, nil
}

func person(directory, key string) dormer.Principal {
	return dormer.Principal{Directory: directory, Kind: dormer.KindUser, Key: key, Name: key}
}

const testAge = 15 * time.Minute

// bench is users of domains, with time that a test lets pass.
type bench struct {
	t   *testing.T
	of  domains
	all *users
}

func newBench(t *testing.T, names ...string) *bench {
	t.Helper()
	b := &bench{t: t, of: domains{}}
	for _, n := range names {
		b.of[n] = &domain{member: map[dormer.UserID]bool{}}
	}
	b.all = newUsers(b.of, oneEach{}, testAge, time.Now, slog.New(slog.DiscardHandler))
	t.Cleanup(b.all.close)
	return b
}

func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// claim returns what a user gets, and how long the answer took.
func (b *bench) claim(p dormer.Principal) (c lease.Claim, took time.Duration, err error) {
	began := time.Now()
	c, err = b.all.claim(b.t.Context(), p, "client")
	return c, time.Since(began), err
}

// want polls and fails unless the user gets so many workspaces after so long.
func (b *bench) want(p dormer.Principal, workspaces int, takes time.Duration) {
	b.t.Helper()
	c, took, err := b.claim(p)
	if err != nil || c.Unknown || len(c.Entitlements) != workspaces || took != takes {
		b.t.Errorf("%s gets %+v after %s (%v), expected %d workspaces after %s", p.Name, c, took, err, workspaces, takes)
	}
}

func (b *bench) wantUnknown(p dormer.Principal, takes time.Duration) {
	b.t.Helper()
	c, took, err := b.claim(p)
	if err != nil || !c.Unknown || took != takes {
		b.t.Errorf("%s gets %+v after %s (%v), expected that nothing is known after %s", p.Name, c, took, err, takes)
	}
}

func TestPollsDoNotWaitForASlowDirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "corp")
		alice, corp := person("corp", "alice"), b.of["corp"]
		corp.member[alice.ID()] = true
		b.want(alice, 1, 0)
		corp.set(func(d *domain) { d.takes = 25 * time.Second })
		before := corp.asked()
		for range 14 {
			pass(time.Minute)
			b.want(alice, 1, 0)
		}
		synctest.Wait() // the last poll may be what asks
		if n := corp.asked() - before; n != 1 {
			t.Errorf("asked %d times within the age, expected once", n)
		}
		// Somebody of whom nothing is known waits, for a moment, and is known later.
		bob := person("corp", "bob")
		b.wantUnknown(bob, lookupWait)
		pass(30 * time.Second)
		b.want(bob, 0, 0)
	})
}

func TestClientThatWasAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "corp")
		alice, corp := person("corp", "alice"), b.of["corp"]
		corp.member[alice.ID()] = true
		b.want(alice, 1, 0)
		pass(24 * time.Hour)
		corp.set(func(d *domain) { d.member, d.takes = nil, time.Second })
		b.want(alice, 0, time.Second) // what was known yesterday renews no lease
	})
}

// TestWithinTheAge: whenever a membership changes and however polls come, it
// counts at the next poll after DirectoryAge.
func TestWithinTheAge(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			b := newBench(t, "corp")
			alice, corp := person("corp", fmt.Sprint("alice", seed)), b.of["corp"]
			corp.takes = time.Duration(random.IntN(5000)) * time.Millisecond
			member := random.IntN(2) == 0
			corp.member[alice.ID()] = member
			change := time.Now().Add(time.Duration(random.Int64N(int64(time.Hour))))
			changed := false
			for range 200 {
				pass(54*time.Second + time.Duration(random.Int64N(int64(12*time.Second))))
				if random.IntN(30) == 0 {
					pass(time.Duration(random.Int64N(int64(2 * time.Hour)))) // off-line for a while
				}
				if !changed && time.Now().After(change) {
					changed, change = true, time.Now()
					corp.set(func(d *domain) { d.member[alice.ID()] = !member })
				}
				c, took, err := b.claim(alice)
				if err != nil || took > lookupWait {
					t.Fatalf("seed %d: %v after %s", seed, err, took)
				}
				if !changed || c.Unknown || time.Since(change) < testAge+2*time.Minute || took == lookupWait {
					continue
				}
				if got := len(c.Entitlements) > 0; got == member {
					t.Fatalf("seed %d: %s after the change the membership is still %t", seed, time.Since(change), got)
				}
			}
		})
	}
}

func TestDirectoryThatIsAwayIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const people = 1000
		b := newBench(t, "corp")
		corp := b.of["corp"]
		var all []dormer.Principal
		for i := range people {
			p := person("corp", fmt.Sprint("user", i))
			corp.member[p.ID()] = true
			all = append(all, p)
			b.want(p, 1, 0)
		}
		corp.set(func(d *domain) { d.err, d.takes = fmt.Errorf("corp: %w", dormer.ErrUnavailable), 5*time.Second })
		before := corp.asked()
		for range 60 {
			pass(time.Minute)
			for _, p := range all {
				b.want(p, 1, 0) // what was known counts, and nobody waits
			}
		}
		if n := corp.asked() - before; n < 20 || n > 80 {
			t.Errorf("%d people made the directory be asked %d times in an hour, expected about once a minute", people, n)
		}
		b.wantUnknown(person("corp", "new"), 0)

		corp.set(func(d *domain) { d.err, d.takes, d.member = nil, time.Millisecond, nil })
		pass(maxBackoff)
		b.want(all[0], 1, 0) // finds out that it answers
		pass(time.Second)
		for _, p := range all {
			if c, _, err := b.claim(p); err != nil || len(c.Entitlements) > 0 {
				t.Fatalf("%s gets %+v, %v after the directory is back", p.Name, c, err)
			}
		}
	})
}

func TestLookupsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "corp", "other")
		hung, other := b.of["corp"], b.of["other"]
		hung.takes, other.takes = time.Hour, 10*time.Millisecond
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() { b.wantUnknown(person("corp", fmt.Sprint(i)), lookupWait) })
		}
		// One directory that hangs holds up no other.
		wg.Go(func() { b.want(person("other", "x"), 0, 10*time.Millisecond) })
		wg.Wait()
		hung.set(func(d *domain) {
			if d.most != lookupWorkers || d.calls != lookupWorkers {
				t.Errorf("%d questions at once, %d in all, expected %d", d.most, d.calls, lookupWorkers)
			}
		})
		pass(lookupTime) // they are given up, and so are those who waited behind
		if n := hung.asked(); n != lookupWorkers {
			t.Errorf("asked %d times though it did not answer", n)
		}
		b.all.close()
		if c, took, err := b.claim(person("other", "y")); err != nil || !c.Unknown || took != 0 {
			t.Errorf("after the end: %+v, %s, %v", c, took, err)
		}
	})
}

func TestUrgentLookupsGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const people = 400
		b := newBench(t, "corp")
		corp := b.of["corp"]
		for i := range people {
			b.want(person("corp", fmt.Sprint(i)), 0, 0)
		}
		corp.set(func(d *domain) { d.takes = time.Second / 2 }) // 16 a second
		pass(testAge - time.Minute)
		for i := range people {
			b.want(person("corp", fmt.Sprint(i)), 0, 0) // all of them are due
		}
		synctest.Wait()
		b.want(person("corp", "new"), 0, time.Second) // behind the eight that had begun
	})
}

// TestOverdueGoesFirst: who was to be looked up later is not, once it is late.
func TestOverdueGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const people = 2000
		b := newBench(t, "corp")
		corp := b.of["corp"]
		last := person("corp", "last")
		for i := range people {
			b.want(person("corp", fmt.Sprint(i)), 0, 0)
		}
		b.want(last, 0, 0)
		corp.set(func(d *domain) { d.takes, d.member[last.ID()] = 5*time.Second, true }) // 8 in five seconds
		pass(testAge - time.Minute)
		for i := range people {
			b.want(person("corp", fmt.Sprint(i)), 0, 0)
		}
		b.want(last, 0, 0) // behind all of them
		pass(2 * time.Minute)
		b.want(last, 0, lookupWait)
		pass(10 * time.Second)
		b.want(last, 1, 0)
	})
}

func TestSignInLooksUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "corp")
		alice, corp := person("corp", "alice"), b.of["corp"]
		b.want(alice, 0, 0)
		corp.set(func(d *domain) { d.member[alice.ID()], d.takes = true, time.Second })
		b.all.renew(alice)
		b.want(alice, 1, time.Second)
		// While the directory does not answer, what was known counts.
		corp.set(func(d *domain) { d.err = fmt.Errorf("corp: %w", dormer.ErrUnavailable) })
		b.all.renew(alice)
		b.want(alice, 1, time.Second)
		// A change of the embedded directory is none of corp's.
		corp.set(func(d *domain) { d.err = nil })
		pass(maxBackoff)
		b.want(alice, 1, 0)
		pass(time.Second)
		b.all.embedded.Add(1)
		b.want(alice, 1, 0)
	})
}

func TestRefusalsOfTheDirectory(t *testing.T) {
	for _, test := range []struct {
		err   error
		ended string
	}{
		{&access.RefusedError{Reason: access.ReasonDisabled}, "disabled"},
		{&access.RefusedError{Reason: access.ReasonExpired}, "expired"},
		{&access.RefusedError{Reason: access.ReasonSignInAgain}, "sign in again"},
		{fmt.Errorf("user: %w", dormer.ErrNotFound), "deleted"},
		{&access.NoDirectoryError{Directory: "corp"}, "corp is not configured"},
		{&access.RefusedError{Reason: access.ReasonLocked}, ""},
		{&access.RefusedError{Reason: access.ReasonPasswordExpired}, ""},
		{&access.RefusedError{Reason: access.ReasonGuarded}, ""},
		{errors.New("something unforeseen"), ""},
		{fmt.Errorf("user: %w", dormer.ErrCorrupt), ""},
	} {
		t.Run(test.err.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, "corp")
				alice, corp := person("corp", "alice"), b.of["corp"]
				corp.member[alice.ID()] = true
				b.want(alice, 1, 0)
				corp.set(func(d *domain) { d.err = test.err })
				before := corp.asked()
				pass(testAge - time.Minute)
				b.want(alice, 1, 0) // looked up meanwhile
				synctest.Wait()
				if test.ended == "" {
					pass(2 * time.Minute)
					for range 5 {
						b.want(alice, 1, 0)
					}
					if n := corp.asked() - before; n != 2 {
						t.Errorf("the directory was asked %d times about an account that it does not tell of", n)
					}
					return
				}
				_, _, err := b.claim(alice)
				ended, ok := errors.AsType[*endedError](err)
				if !ok || !strings.Contains(ended.reason, test.ended) {
					t.Fatalf("the session ended with %v, expected %q", err, test.ended)
				}
				if _, _, err := b.claim(alice); !errors.As(err, &ended) {
					t.Errorf("her session on another client goes on: %v", err)
				}
				// A session that was not told yet goes on when the account is good again.
				corp.set(func(d *domain) { d.err = nil })
				b.want(alice, 1, 0)
			})
		})
	}
}
