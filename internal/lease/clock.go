package lease

import (
	"sync"
	"time"
)

// TimeSources is where a Clock reads time. All three are functions so that
// tests, and hosts other than Linux, bring their own.
type TimeSources struct {
	// Wall is the clock that people and their tools can set.
	Wall func() time.Time
	// Boot is the time since the computer was started, sleep included
	// (CLOCK_BOOTTIME). Nobody can set it.
	Boot func() time.Duration
	// BootID differs after every start of the computer.
	BootID string
}

// ClockState is what a Clock must remember across restarts. The agent keeps it
// in a file, written at least once a minute.
type ClockState struct {
	// Answer is the server's time in the last signed answer; zero before the first.
	Answer time.Time `json:"answer,omitzero"`
	// WallAtAnswer is what the wall clock showed then.
	WallAtAnswer time.Time `json:"wall_at_answer,omitzero"`
	// Offline is the boot-clock time since that answer, over all starts of the
	// computer: a lower bound that no clock setting changes.
	Offline time.Duration `json:"offline_ns"`
	// Elapsed is the time since that answer as far as anything shows it: it
	// grows with the boot clock, and to the wall clock's advance where that is
	// more. It never shrinks until the next answer.
	Elapsed time.Duration `json:"elapsed_ns"`
	// BootID and Mark are the boot and its clock up to which Offline and
	// Elapsed are counted; Wall is what the wall clock showed at Mark.
	BootID string        `json:"boot_id"`
	Mark   time.Duration `json:"mark_ns"`
	Wall   time.Time     `json:"wall,omitzero"`
}

// setBackTolerance is how far the wall clock may fall behind before it counts
// as set back: time services step by seconds.
const setBackTolerance = 2 * time.Minute

// Clock knows what time it is without trusting the wall clock: setting that
// back, or stopping it, gains nothing, and setting it ahead loses nothing that
// the next signed answer of the server does not give back.
//
// Its methods may be called from several goroutines.
type Clock struct {
	src TimeSources

	mu      sync.Mutex // guards the fields below
	state   ClockState
	setBack time.Duration
}

// NewClock returns a clock that goes on from state; the zero state is that of
// a client that never heard from its server.
func NewClock(src TimeSources, state ClockState) *Clock {
	return &Clock{src: src, state: state}
}

// Reading is a look at the clock.
type Reading struct {
	// Now is the latest of: the wall clock, the server's time in the last
	// answer plus what has passed since, and everything shown before.
	Now time.Time
	// Answer is the server's time in the last answer; zero before the first.
	Answer time.Time
	// Elapsed is the time since that answer.
	Elapsed time.Duration
}

// Read looks at the sources, counts what has passed, and says what time it is.
func (c *Clock) Read() Reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read()
}

// Sure is Read by the time that has certainly passed: what the boot clock has
// counted since the last answer. A wall clock that was set ahead, or a computer
// that was off, adds nothing. It is for what cannot be undone.
func (c *Clock) Sure() Reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read()
	return Reading{Now: c.state.Answer.Add(c.state.Offline), Answer: c.state.Answer, Elapsed: c.state.Offline}
}

// read needs c.mu.
func (c *Clock) read() Reading {
	wall, boot := c.src.Wall(), c.src.Boot()
	s := &c.state
	passed := boot - s.Mark
	if s.BootID != c.src.BootID || passed < 0 {
		// The computer was started again: it has been on for as long as its
		// boot clock shows. How long it was off only the wall clock knows.
		passed = boot
	}
	if !s.Wall.IsZero() {
		if behind := s.Wall.Add(passed).Sub(wall); behind > setBackTolerance {
			c.setBack += behind
		}
	}
	if !s.Answer.IsZero() {
		s.Offline += passed
		s.Elapsed = max(s.Elapsed, s.Elapsed+passed, wall.Sub(s.WallAtAnswer)) // the sum may overflow
	}
	s.BootID, s.Mark, s.Wall = c.src.BootID, boot, wall.Round(0)

	r := Reading{Now: wall.Round(0), Answer: s.Answer, Elapsed: s.Elapsed}
	if floor := s.Answer.Add(s.Elapsed); !s.Answer.IsZero() && floor.After(r.Now) {
		r.Now = floor
	}
	r.Now = r.Now.UTC()
	return r
}

// SetBack returns by how much the wall clock was set back since the last call,
// 0 if it was not.
func (c *Clock) SetBack() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read()
	by := c.setBack
	c.setBack = 0
	return by
}

// Answered tells the clock the server's time from a signed answer that was
// just verified. All that was counted since the one before is forgotten: the
// client is on-line.
func (c *Clock) Answered(server time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read() // notes a clock that was set back meanwhile
	wall := c.src.Wall().Round(0)
	c.state = ClockState{
		Answer: server.UTC(), WallAtAnswer: wall,
		BootID: c.src.BootID, Mark: c.src.Boot(), Wall: wall,
	}
}

// Witness tells the clock of a signed document issued at t. It is never before
// that, even when the clock's own state was lost.
func (c *Clock) Witness(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Answer.Add(c.state.Elapsed).Before(t) {
		wall := c.src.Wall().Round(0)
		c.state = ClockState{
			Answer: t.UTC(), WallAtAnswer: wall,
			BootID: c.src.BootID, Mark: c.src.Boot(), Wall: wall,
		}
	}
}

// State returns what to keep for the next start, as of the last look. It looks
// no more, so that a clock that was set back since is noticed at that start.
func (c *Clock) State() ClockState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// ForTLS returns the time to check certificates with: the wall clock or, where
// that is behind, a time that has certainly come. It is never ahead because
// the wall clock once was, for then no certificate would be valid and no
// answer could ever set things right.
func (c *Clock) ForTLS(built time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.src.Wall()
	if sure := c.state.Answer.Add(c.state.Offline); sure.After(t) {
		t = sure
	}
	if built.After(t) {
		t = built
	}
	return t
}
