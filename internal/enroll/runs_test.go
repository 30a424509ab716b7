package enroll

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire"
)

var day = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func seenAt(at time.Duration, run string) Seen {
	return Seen{Client: "c", Time: day.Add(at), Run: run, Host: wire.Host{Name: "pc"}, Address: "192.0.2.1:1"}
}

func newWatch() *Service {
	return &Service{known: map[dormer.ClientID]*known{"c": {}}, seen: map[dormer.ClientID]Seen{}}
}

// TestRuns: whatever one agent does that is restarted now and then, it is not
// told as copied; two that poll side by side are, soon.
func TestRuns(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 7))
		one, two := newWatch(), newWatch()
		var at time.Duration
		n, found := 0, false
		for range 400 {
			at += time.Duration(random.IntN(90)) * time.Second
			if random.IntN(10) == 0 {
				n++
			}
			run := fmt.Sprint("run", n)
			if c := one.Saw(seenAt(at, run)); c != nil {
				t.Fatalf("seed %d: one agent is told as copied at %s: %s", seed, at, c)
			}
			two.Saw(seenAt(at, run))
			if c := two.Saw(seenAt(at+10*time.Second, "copy")); c != nil {
				found = true
			}
		}
		if !found {
			t.Errorf("seed %d: two agents were not noticed", seed)
		}
	}
}

// TestClones: computers that were cloned with the agent enrolled, far more than
// are remembered, are noticed.
func TestClones(t *testing.T) {
	for _, clones := range []int{2, 5, 100, 600, 2000, -600} {
		alike := clones < 0 // all of one name and behind one address
		clones = max(clones, -clones)
		s := newWatch()
		var copied *Copied
		for minute := range 10 {
			for i := range clones {
				at := time.Duration(minute)*time.Minute + time.Duration(i)*time.Minute/time.Duration(clones)
				seen := seenAt(at, fmt.Sprint("clone", i))
				if !alike {
					seen.Host.Name = fmt.Sprint("pc", i)
				}
				if c := s.Saw(seen); c != nil && copied == nil {
					copied = c
				}
			}
		}
		if copied == nil {
			t.Errorf("%d clones were not noticed within ten minutes (alike: %t)", clones, alike)
		}
		if n := len(s.known["c"].runs); n > maxRuns {
			t.Errorf("%d runs are remembered", n)
		}
	}
}

// TestCopyUsedOnce: a copy that was used for a moment is told once.
func TestCopyUsedOnce(t *testing.T) {
	s := newWatch()
	s.Saw(seenAt(0, "agent"))
	s.Saw(seenAt(time.Minute, "thief"))
	told := 0
	for i := range 600 {
		if s.Saw(seenAt(time.Duration(2+i)*time.Minute, "agent")) != nil {
			told++
		}
	}
	if told != 1 {
		t.Errorf("told %d times, expected once", told)
	}
	if c := s.Saw(seenAt(700*time.Minute, "thief")); c != nil {
		t.Error("a later run that comes again is no news by itself")
	}
	if s.Saw(seenAt(701*time.Minute, "agent")) == nil {
		t.Error("the copy was used again, and it is not told")
	}
}

// TestRestartLoop: an agent that fails at once and is started again and again is
// one agent.
func TestRestartLoop(t *testing.T) {
	s := newWatch()
	for i := range 5000 {
		if c := s.Saw(seenAt(time.Duration(i)*time.Second, fmt.Sprint("run", i))); c != nil {
			t.Fatalf("told as copied: %s", c)
		}
	}
}

func TestRunsAreSmall(t *testing.T) {
	s := newWatch()
	for i := range 1000 {
		s.Saw(seenAt(time.Duration(i)*time.Hour, fmt.Sprint("run", i)))
	}
	kept := s.known["c"].runs
	if size := len(kept) * int(unsafe.Sizeof(run{})); len(kept) != keptRuns || size > 320 {
		t.Errorf("%d runs in %d bytes are kept of an agent that was restarted often", len(kept), size)
	}
}

func TestAddressOf(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "192.0.2.1": "192.0.2.1", "[2001:db8::1]:80": "2001:db8::1", "[fe80::1%eth0]:80": "fe80::1",
		"::ffff:192.0.2.1": "192.0.2.1", "": "invalid IP", "@": "invalid IP", "pc:80": "invalid IP",
	} {
		if got := addressOf(in).String(); got != want {
			t.Errorf("address of %q is %s, expected %s", in, got, want)
		}
	}
}
