package access

import (
	"crypto/sha256"
	"time"

	"github.com/dormer-project/dormer/internal/throttle"
)

// Rates of what is no password: tickets, codes of providers, device codes. None
// of them can be guessed, so that only what a flood costs is bounded, and with
// limits of their own: computers whose tickets do not count, as of a domain
// that is set up wrongly, keep nobody at the same address from typing a
// password.
var (
	refusedRate = throttle.Rate{Every: time.Second / 2, Burst: 300} // of one address
	// Of one address: each makes the provider remember something.
	deviceRate = throttle.Rate{Every: 2 * time.Second, Burst: 100}
	// Of one device code, whether or not the client waits as it was told.
	pollRate = throttle.Rate{Every: time.Second, Burst: 5}
)

// proofs limits attempts to sign in by something that is no password.
type proofs struct {
	refused, devices, polls *throttle.Limit
}

func newProofs(now func() time.Time) *proofs {
	return &proofs{refused: throttle.New(refusedRate, now), devices: throttle.New(deviceRate, now), polls: throttle.New(pollRate, now)}
}

// begin takes one attempt from an address before it is tried. refund gives it
// back. *throttle.Error when too many failed.
func (p *proofs) begin(address string) (refund func(), err error) {
	t, err := p.refused.Take(throttle.Network(address))
	if err != nil {
		return nil, err
	}
	return t.GiveBack, nil
}

// device takes one sign-in on another device; none is given back.
func (p *proofs) device(address string) error {
	_, err := p.devices.Take(throttle.Network(address))
	return err
}

// poll takes one question about a device code; *PendingError when they come
// too fast.
func (p *proofs) poll(id [sha256.Size]byte) error {
	_, err := p.polls.Take(string(id[:]))
	if wait, ok := waitOf(err); ok {
		return &PendingError{Wait: wait}
	}
	return err
}

func waitOf(err error) (time.Duration, bool) {
	if t, ok := err.(*throttle.Error); ok { //nolint:errorlint // of Take, not wrapped
		return t.After, true
	}
	return 0, false
}
