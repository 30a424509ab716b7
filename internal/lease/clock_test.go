package lease

import (
	"fmt"
	"testing"
	"time"
)

// bench is a computer whose clocks a test moves.
type bench struct {
	wall  time.Time
	boot  time.Duration
	boots int
	clock *Clock
}

func (b *bench) sources() TimeSources {
	return TimeSources{
		Wall:   func() time.Time { return b.wall },
		Boot:   func() time.Duration { return b.boot },
		BootID: fmt.Sprintf("boot %d", b.boots),
	}
}

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func newBench() *bench {
	b := &bench{wall: start, boot: time.Hour}
	b.clock = NewClock(b.sources(), ClockState{})
	return b
}

// pass lets both clocks run.
func (b *bench) pass(d time.Duration) { b.wall = b.wall.Add(d); b.boot += d }

// restartAgent keeps what the agent keeps.
func (b *bench) restartAgent() { b.clock = NewClock(b.sources(), b.clock.State()) }

// reboot starts the computer again after being off for so long.
func (b *bench) reboot(off time.Duration) {
	b.wall = b.wall.Add(off)
	b.boot = 20 * time.Second
	b.boots++
	b.restartAgent()
}

// judge applies a lease issued at start with a date and a budget of 8 hours.
func (b *bench) judge() Verdict {
	until := start.Add(24 * time.Hour)
	budget := int64(8 * 3600)
	return Judge(Facts{
		Lease:  &Lease{Instance: "i", Client: "c", IssuedAt: start, ValidUntil: &until, OfflineBudget: &budget},
		Holder: Holder{Instance: "i", Client: "c"},
		Clock:  b.clock.Read(),
	}).Verdict
}

func TestClockAndLimits(t *testing.T) {
	// Each story begins on-line at start and returns the verdict at its end.
	stories := map[string]struct {
		tell func(*bench)
		want Verdict
	}{
		"nothing happens":     {func(*bench) {}, Allowed},
		"within the budget":   {func(b *bench) { b.pass(7 * time.Hour) }, Allowed},
		"over the budget":     {func(b *bench) { b.pass(8 * time.Hour) }, OfflineTooLong},
		"past the date":       {func(b *bench) { b.pass(25 * time.Hour) }, Expired},
		"off, over the limit": {func(b *bench) { b.reboot(9 * time.Hour) }, OfflineTooLong},
		"set back before the end": {func(b *bench) {
			b.pass(5 * time.Hour)
			b.clock.Read()
			b.wall = b.wall.Add(-5 * time.Hour)
			b.pass(4 * time.Hour)
		}, OfflineTooLong},
		"set to 2000": {func(b *bench) {
			b.wall = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
			b.pass(9 * time.Hour)
		}, OfflineTooLong},
		"set to 2000, within the budget": {func(b *bench) {
			b.wall = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
			b.pass(7 * time.Hour)
		}, Allowed},
		"past the date by the boot clock alone": {func(b *bench) {
			b.boot += 25 * time.Hour
		}, Expired},
		"stopped": {func(b *bench) { b.boot += 9 * time.Hour }, OfflineTooLong},
		"reset at each boot": {func(b *bench) {
			for range 5 {
				b.wall = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
				b.reboot(0)
				b.pass(2 * time.Hour)
				b.clock.Read()
			}
		}, OfflineTooLong},
		"reset at each boot, within the budget": {func(b *bench) {
			for range 3 {
				b.wall = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
				b.reboot(0)
				b.pass(2 * time.Hour)
				b.clock.Read()
			}
		}, Allowed},
		"set to 2099": {func(b *bench) {
			b.wall = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
		}, Expired},
		"set to 2099 and back": {func(b *bench) {
			was := b.wall
			b.wall = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
			b.clock.Read()
			b.wall = was
			b.pass(time.Minute)
		}, Expired},
		"set to 2099 and back, then the server": {func(b *bench) {
			was := b.wall
			b.wall = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
			b.clock.Read()
			b.wall = was
			b.pass(time.Minute)
			b.clock.Answered(start.Add(time.Minute))
		}, Allowed},
		"three hours ahead all the time, on-line": {func(b *bench) {
			b.wall = b.wall.Add(3 * time.Hour)
			b.clock.Read()
			b.pass(time.Hour)
			b.clock.Answered(start.Add(time.Hour))
			b.pass(6 * time.Hour)
		}, Allowed},
		"on-line again and again, never renewed": {func(b *bench) {
			for i := range 9 {
				b.pass(time.Hour)
				b.clock.Answered(start.Add(time.Duration(i+1) * time.Hour))
			}
		}, OfflineTooLong},
		"agent restarted each hour": {func(b *bench) {
			for range 9 {
				b.pass(time.Hour)
				b.restartAgent()
				b.clock.Read()
			}
		}, OfflineTooLong},
		"clock state lost, wall clock set back": {func(b *bench) {
			b.wall = start.Add(-1000 * time.Hour)
			b.clock = NewClock(b.sources(), ClockState{})
		}, NotYet},
		"clock state lost, lease seen": {func(b *bench) {
			b.wall = start.Add(-1000 * time.Hour)
			b.clock = NewClock(b.sources(), ClockState{})
			b.clock.Witness(start)
			b.pass(7 * time.Hour)
		}, Allowed},
		"clock state lost, lease seen, over the budget": {func(b *bench) {
			b.wall = start.Add(-1000 * time.Hour)
			b.clock = NewClock(b.sources(), ClockState{})
			b.clock.Witness(start)
			b.pass(9 * time.Hour)
		}, OfflineTooLong},
	}
	for name, s := range stories {
		t.Run(name, func(t *testing.T) {
			b := newBench()
			b.clock.Answered(start)
			s.tell(b)
			if got := b.judge(); got != s.want {
				t.Errorf("verdict is %q, want %q (clock %+v)", got, s.want, b.clock.State())
			}
		})
	}
}

func TestSetBackIsToldOnce(t *testing.T) {
	b := newBench()
	b.clock.Answered(start)
	b.pass(time.Hour)
	if by := b.clock.SetBack(); by != 0 {
		t.Fatalf("a running clock was told as set back by %s", by)
	}
	b.wall = b.wall.Add(-30 * time.Second)
	if by := b.clock.SetBack(); by != 0 {
		t.Errorf("half a minute was told as set back by %s", by)
	}
	b.wall = b.wall.Add(-10 * time.Minute)
	b.clock.Read() // does not take it away
	if by := b.clock.SetBack(); by != 10*time.Minute {
		t.Errorf("set back by ten minutes was told as %s", by)
	}
	if by := b.clock.SetBack(); by != 0 {
		t.Errorf("told twice: %s", by)
	}
	b.wall = b.wall.Add(-time.Hour)
	b.clock.Answered(start)
	if by := b.clock.SetBack(); by < 59*time.Minute {
		t.Errorf("set back before an answer was told as %s", by)
	}
	b.wall = b.wall.Add(-time.Hour)
	b.reboot(0)
	if by := b.clock.SetBack(); by < 59*time.Minute {
		t.Errorf("set back across a reboot was told as %s", by)
	}
}

func TestNowNeverGoesBack(t *testing.T) {
	b := newBench()
	b.clock.Answered(start)
	last := b.clock.Read().Now
	for i, step := range []func(){
		func() { b.pass(time.Hour) },
		func() { b.wall = b.wall.Add(-48 * time.Hour) },
		func() { b.wall = time.Time{} },
		func() { b.reboot(0) },
		func() { b.wall = start.Add(10 * time.Hour) },
		func() { b.reboot(time.Hour) },
		func() { b.restartAgent() },
	} {
		step()
		now := b.clock.Read().Now
		if now.Before(last) {
			t.Errorf("step %d: %s is before %s", i, now, last)
		}
		last = now
	}
}

func TestElapsedNeverShrinks(t *testing.T) {
	b := newBench()
	b.clock.Answered(start)
	b.pass(time.Hour)
	b.wall = start.AddDate(400, 0, 0) // beyond what a time.Duration holds
	far := b.clock.Read().Elapsed
	b.wall = start
	b.pass(time.Hour)
	if got := b.clock.Read().Elapsed; got < far {
		t.Errorf("%s after %s", got, far)
	}
}

func TestForTLS(t *testing.T) {
	b := newBench()
	b.clock.Answered(start)
	built := start.Add(-24 * time.Hour)

	b.wall = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	b.clock.Read()
	b.wall = start
	if got := b.clock.ForTLS(built); !got.Equal(start) {
		t.Errorf("after a jump to 2099 and back certificates are checked at %s", got)
	}
	b.boot += time.Hour
	b.wall = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	b.clock.Read()
	if got := b.clock.ForTLS(built); !got.Equal(start.Add(time.Hour)) {
		t.Errorf("with the clock at 2000 certificates are checked at %s", got)
	}
	fresh := NewClock(b.sources(), ClockState{})
	if got := fresh.ForTLS(built); !got.Equal(built) {
		t.Errorf("a client that never heard a server checks certificates at %s", got)
	}
}

func TestSystemTime(t *testing.T) {
	src, err := SystemTime()
	if err != nil {
		t.Fatal(err)
	}
	if src.BootID == "" || src.Boot() <= 0 || src.Boot() < src.Boot()-time.Second {
		t.Errorf("boot %q at %s", src.BootID, src.Boot())
	}
}
