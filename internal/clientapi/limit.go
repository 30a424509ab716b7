package clientapi

import (
	"time"

	"github.com/dormer-project/dormer/internal/throttle"
)

// Rates of failed attempts from one address, and of one-time codes from one
// client: nobody guesses those, but each that is refused is a row in the audit
// log. Only failures count, so that a whole building behind one address enrols
// and comes back at once. Passwords have limits of their own
// (access.Authenticator).
var (
	joinRate  = throttle.Rate{Every: 3 * time.Second, Burst: 20}
	proofRate = throttle.Rate{Every: 200 * time.Millisecond, Burst: 200}
	codeRate  = throttle.Rate{Every: 5 * time.Second, Burst: 20}
	// Of joins every attempt counts: each changes an account of the domain.
	joinedRate = throttle.Rate{Every: 2 * time.Minute, Burst: 5}
)

// attempt runs f unless whoever key stands for failed too often. Failures that
// are not the caller's doing do not count.
func attempt(l *throttle.Limit, key string, f func() error, counts func(error) bool) error {
	taken, err := l.Take(key)
	if err != nil {
		return err
	}
	err = f()
	if err == nil || !counts(err) {
		taken.GiveBack()
	}
	return err
}
