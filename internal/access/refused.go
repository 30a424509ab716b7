package access

import (
	"time"

	"github.com/dormer-project/dormer"
)

// ProblemKind names the problem that a program, not only a person, must tell
// apart: a password to be changed. Other refusals are plain denials.
func (e *RefusedError) ProblemKind() string {
	if e.Reason == ReasonMustChange {
		return "must-change-password"
	}
	return "denied"
}

// LimitedError refuses an attempt because too many came before it. It is an
// ErrUnavailable: trying again after After may succeed.
type LimitedError struct {
	After time.Duration
}

func (e *LimitedError) Error() string {
	return "too many attempts to sign in; try again in " + e.After.Round(time.Second).String()
}

// Is makes a *LimitedError match dormer.ErrUnavailable.
func (e *LimitedError) Is(target error) bool { return target == dormer.ErrUnavailable }

// ProblemKind names the problem for the edges.
func (e *LimitedError) ProblemKind() string { return "rate-limited" }

// RetryAfter is how long to wait.
func (e *LimitedError) RetryAfter() time.Duration { return e.After }
