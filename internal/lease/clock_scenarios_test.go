package lease

import (
	"testing"
	"time"
)

// hour is one step of a scenario: the computer is on for an hour by its boot
// clock, and wall clocks do what they do.
type hour func(b *bench, n int)

// scenarios are wall clocks that go wrong. Each begins on-line at start; the true
// time is what the computer was on, since only that can be shown.
var scenarios = map[string]hour{
	"right":  func(b *bench, _ int) { b.pass(time.Hour) },
	"frozen": func(b *bench, _ int) { b.boot += time.Hour },
	"set back each hour": func(b *bench, _ int) {
		b.pass(time.Hour)
		b.wall = b.wall.Add(-time.Hour)
	},
	"set back once by a year": func(b *bench, n int) {
		b.pass(time.Hour)
		if n == 3 {
			b.wall = b.wall.AddDate(-1, 0, 0)
		}
	},
	"1970 at each boot": func(b *bench, _ int) {
		b.wall = time.Unix(0, 0).UTC()
		b.reboot(0)
		b.boot = 0
		b.pass(time.Hour)
	},
	"2000 at each boot": func(b *bench, _ int) {
		b.wall = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		b.reboot(0)
		b.boot = 0
		b.pass(time.Hour)
	},
	"the day of the last answer at each boot": func(b *bench, _ int) {
		b.wall = start
		b.reboot(0)
		b.boot = 0
		b.pass(time.Hour)
	},
	"half as fast": func(b *bench, _ int) { b.wall = b.wall.Add(time.Hour / 2); b.boot += time.Hour },
}

// TestNoClockExtendsALease: whatever a wall clock does, a budget of eight hours
// ends after eight hours in which the computer was on, to the hour, and a date a
// day away ends after a day; the next answer with a renewed lease lets the
// machine run again, and certificates are checked by a time that has come.
func TestNoClockExtendsALease(t *testing.T) {
	for name, next := range scenarios {
		t.Run(name, func(t *testing.T) {
			b := newBench()
			b.clock.Answered(start)
			budget, until := int64(8*3600), start.Add(24*time.Hour)
			limited := &Lease{IssuedAt: start, OfflineBudget: &budget}
			dated := &Lease{IssuedAt: start, ValidUntil: &until}
			for n := 1; n <= 30; n++ {
				next(b, n)
				r, sure := b.clock.Read(), b.clock.Sure()
				for _, by := range []struct {
					what string
					r    Reading
				}{{"as far as anything shows", r}, {"for sure", sure}} {
					if got := Judge(Facts{Lease: limited, Clock: by.r}).Verdict; (got == OfflineTooLong) != (n >= 8) {
						t.Fatalf("after %d hours, %s, the verdict on a budget of 8 is %q", n, by.what, got)
					}
					if got := Judge(Facts{Lease: dated, Clock: by.r}).Verdict; (got == Expired) != (n >= 24) {
						t.Fatalf("after %d hours, %s, the verdict on a date in 24 is %q", n, by.what, got)
					}
				}
				if n%7 == 0 {
					b.restartAgent()
				}
				if tls := b.clock.ForTLS(start); tls.After(start.Add(time.Duration(n) * time.Hour)) {
					t.Fatalf("after %d hours certificates are checked at %s", n, tls)
				}
			}
			now := start.Add(30 * time.Hour)
			b.clock.Answered(now)
			renewed := &Lease{IssuedAt: now, OfflineBudget: &budget}
			if got := Judge(Facts{Lease: renewed, Clock: b.clock.Read()}).Verdict; got != Allowed {
				t.Errorf("on-line again with a renewed lease: %q", got)
			}
		})
	}
}

// TestClockOnceFarAhead: while off-line it counts, since nobody can tell; but
// nothing that cannot be undone follows from it, and the next answer, which a
// clock that was set right can get, makes it good. An answer that comes while the
// clock is ahead does, too.
func TestClockOnceFarAhead(t *testing.T) {
	for name, tell := range map[string]func(*bench){
		"for a moment": func(b *bench) {
			b.wall = b.wall.AddDate(70, 0, 0)
			b.clock.Read()
			b.wall = b.wall.AddDate(-70, 0, 0)
		},
		"at one boot": func(b *bench) {
			b.wall = b.wall.AddDate(70, 0, 0)
			b.reboot(0)
			b.clock.Read()
			b.wall = start.Add(time.Hour)
			b.reboot(0)
		},
		"again and again": func(b *bench) {
			for range 5 {
				b.wall = b.wall.AddDate(300, 0, 0)
				b.clock.Read()
				b.wall = start.Add(time.Hour)
				b.restartAgent()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench()
			b.clock.Answered(start)
			b.pass(time.Hour)
			tell(b)
			budget, until := int64(8*3600), start.Add(24*time.Hour)
			l := &Lease{IssuedAt: start, ValidUntil: &until, OfflineBudget: &budget}
			if got := Judge(Facts{Lease: l, Clock: b.clock.Read()}).Verdict; got == Allowed {
				t.Error("a clock that was far ahead counts for nothing off-line: setting it back would do, then")
			}
			if got := Judge(Facts{Lease: l, Clock: b.clock.Sure()}).Verdict; got != Allowed {
				t.Errorf("for sure it is %q", got)
			}
			if tls := b.clock.ForTLS(start); tls.After(start.Add(2 * time.Hour)) {
				t.Errorf("certificates are checked at %s: no server could be reached", tls)
			}
			b.clock.Answered(start.Add(2 * time.Hour))
			if got := Judge(Facts{Lease: l, Clock: b.clock.Read()}).Verdict; got != Allowed {
				t.Errorf("after an answer it is %q", got)
			}
			b.pass(5 * time.Hour)
			if got := Judge(Facts{Lease: l, Clock: b.clock.Read()}).Verdict; got != Allowed {
				t.Errorf("after 7 of 8 hours it is %q", got)
			}
			b.pass(time.Hour)
			if got := Judge(Facts{Lease: l, Clock: b.clock.Read()}).Verdict; got != OfflineTooLong {
				t.Errorf("after 8 hours it is %q", got)
			}
		})
	}
}
