package clientapi

import (
	"time"

	"github.com/dormer-project/dormer/internal/throttle"
)

// Rates of failed attempts from one address. Only failures count, so that a
// whole building behind one address enrols and comes back at once. Sign-in has
// limits of its own (access.Authenticator).
var (
	joinRate  = throttle.Rate{Every: 3 * time.Second, Burst: 20}
	proofRate = throttle.Rate{Every: 200 * time.Millisecond, Burst: 200}
)

// attempt runs f unless the address failed too often. Failures that are not
// the caller's doing do not count.
func attempt(l *throttle.Limit, address string, f func() error, counts func(error) bool) error {
	taken, err := l.Take(throttle.Network(address))
	if err != nil {
		return err
	}
	err = f()
	if err == nil || !counts(err) {
		taken.GiveBack()
	}
	return err
}
