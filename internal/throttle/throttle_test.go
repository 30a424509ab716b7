package throttle_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/throttle"
)

// clock is a clock that tests set.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newClock() *clock { return &clock{at: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)} }

var rate = throttle.Rate{Every: time.Second, Burst: 3}

func TestFailuresAreHeldBack(t *testing.T) {
	c := newClock()
	l := throttle.New(rate, c.now)
	for i := range rate.Burst {
		if _, err := l.Take("k"); err != nil {
			t.Fatalf("failure %d: %v", i, err)
		}
	}
	_, err := l.Take("k")
	held, ok := errors.AsType[*throttle.Error](err)
	if !ok || !errors.Is(err, dormer.ErrUnavailable) || held.RetryAfter() <= 0 || held.RetryAfter() > rate.Every || held.ProblemKind() != "rate-limited" {
		t.Fatalf("one too many: %v", err)
	}
	if _, err := l.Take("another"); err != nil {
		t.Errorf("another key: %v", err)
	}
	c.at = c.at.Add(held.After)
	if _, err := l.Take("k"); err != nil {
		t.Errorf("after waiting as told: %v", err)
	}
	if _, err := l.Take("k"); err == nil {
		t.Error("a second one at the same moment is let through")
	}
}

// A server's clock that was ahead for a while must not keep everybody out.
func TestClockSetBack(t *testing.T) {
	c := newClock()
	l := throttle.New(rate, c.now)
	c.at = c.at.Add(time.Hour)
	if _, err := l.Take("k"); err != nil {
		t.Fatal(err)
	}
	c.at = c.at.Add(-time.Hour)
	for i := range rate.Burst {
		if _, err := l.Take("k"); err != nil {
			t.Fatalf("failure %d after the clock was set back: %v", i, err)
		}
	}
	if _, err := l.Take("k"); err == nil {
		t.Error("no limit after the clock was set back")
	}
}

func TestWhatIsGivenBackCostsNothing(t *testing.T) {
	l := throttle.New(rate, newClock().now)
	for i := range 100 {
		taken, err := l.Take("k")
		if err != nil {
			t.Fatalf("attempt %d: %v", i, err)
		}
		taken.GiveBack()
	}
	// Those under way count until they are given back.
	for range rate.Burst {
		if _, err := l.Take("k"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Take("k"); err == nil {
		t.Error("attempts under way do not count")
	}
}

func TestKeysAreBounded(t *testing.T) {
	c := newClock()
	l := throttle.New(rate, c.now)
	for i := range throttle.MaxKeys + 500 {
		if _, err := l.Take(strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.Len(); n > throttle.MaxKeys {
		t.Errorf("%d keys are remembered", n)
	}
	// All are full again: they are forgotten, and not who fails now.
	c.at = c.at.Add(time.Minute)
	for range rate.Burst {
		if _, err := l.Take("guesser"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range throttle.MaxKeys - l.Len() + 1 {
		if _, err := l.Take("x" + strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.Len(); n > throttle.MaxKeys {
		t.Errorf("%d keys are remembered", n)
	}
}

func TestWhoFailsIsRememberedLonger(t *testing.T) {
	c := newClock()
	l := throttle.New(rate, c.now)
	for i := range throttle.MaxKeys - 1 {
		if _, err := l.Take(strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	c.at = c.at.Add(time.Minute)
	for range rate.Burst {
		if _, err := l.Take("guesser"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Take("one more"); err != nil {
		t.Fatal(err)
	}
	if n := l.Len(); n != 2 {
		t.Errorf("%d keys are remembered, expected those two that are not full again", n)
	}
	if _, err := l.Take("guesser"); err == nil {
		t.Error("who fails was forgotten")
	}
}

// TestKeysOfAnyLength: two keys that only differ far on are two.
func TestKeysOfAnyLength(t *testing.T) {
	l := throttle.New(throttle.Rate{Every: time.Hour, Burst: 1}, newClock().now)
	long := strings.Repeat("x", 1<<20)
	for _, key := range []string{long + "a", long + "b"} {
		if _, err := l.Take(key); err != nil {
			t.Error(err)
		}
		if _, err := l.Take(key); err == nil {
			t.Error("a long key is not held back")
		}
	}
}

func TestNetwork(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "[2001:db8::1]:443": "2001:db8::/64",
		"2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "pipe": "pipe", "": "",
	} {
		if got := throttle.Network(in); got != want {
			t.Errorf("%s: %s, expected %s", in, got, want)
		}
	}
}

// TestAttemptsSideBySide: giving back is exact however long attempts take and
// whatever begins meanwhile.
func TestAttemptsSideBySide(t *testing.T) {
	c := newClock()
	l := throttle.New(rate, c.now)
	var under []throttle.Taken
	for i := range 100 {
		taken, err := l.Take("k")
		if err != nil {
			t.Fatalf("attempt %d: %v", i, err)
		}
		under = append(under, taken)
		c.at = c.at.Add(rate.Every * 2 / 3)
		if len(under) == rate.Burst {
			under[0].GiveBack()
			under = under[1:]
		}
	}
}

// TestTimeAndGivingBack: what time has forgiven is not given back on top of it.
func TestTimeAndGivingBack(t *testing.T) {
	c := newClock()
	l := throttle.New(rate, c.now)
	failures := func() (n int) {
		for {
			if _, err := l.Take("k"); err != nil {
				return n
			}
			n++
		}
	}
	slow, err := l.Take("k")
	if err != nil {
		t.Fatal(err)
	}
	c.at = c.at.Add(time.Hour)
	if n := failures(); n != rate.Burst {
		t.Errorf("%d failures at once", n)
	}
	slow.GiveBack()
	if n := failures(); n != 0 {
		t.Errorf("%d failures more for an attempt of long ago", n)
	}
}
