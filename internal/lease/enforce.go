package lease

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
)

// Verdict says whether a machine may run now, and if not, why. The epoch has no
// part in it: Open refuses leases of an epoch that is over when they arrive,
// but one accepted in its time goes on, so that a promotion stops nobody.
type Verdict string

// The verdicts. All but Allowed stop a machine; none deletes it.
const (
	Allowed        Verdict = "allowed"
	NoLease        Verdict = "no lease"
	Withdrawn      Verdict = "withdrawn"
	WrongInstance  Verdict = "lease of another instance"
	WrongClient    Verdict = "lease for another client"
	ClientTooOld   Verdict = "client too old"
	NotYet         Verdict = "not yet valid"
	Expired        Verdict = "expired"
	OfflineTooLong Verdict = "off-line too long"
)

// notYetTolerance is how far ahead of the client's clock a lease may have been
// issued: two computers never agree to the second.
const notYetTolerance = 5 * time.Minute

// Ahead reports whether the lease was issued after now, by a clock that was ahead
// then: it permits nothing yet.
func (l Lease) Ahead(now time.Time) bool { return isAhead(l.IssuedAt, now) }

func isAhead(issued, now time.Time) bool { return issued.After(now.Add(notYetTolerance)) }

// Facts is all that a judgement rests on.
type Facts struct {
	// Lease is the verified lease, nil when there is none.
	Lease *Lease
	// WithdrawnReason is the server's reason when it withdrew the lease, else
	// "" (see Withdrawn in wire.PollAnswer).
	WithdrawnReason string
	Holder          Holder
	// Enforces lists what this agent can enforce.
	Enforces []string
	Clock    Reading
}

// BudgetUsed is how long the machine went without renewal of l: from its issue
// to the last answer by the server's clock, and from there by the client's.
func BudgetUsed(l Lease, r Reading) time.Duration {
	return max(0, r.Answer.Sub(l.IssuedAt)) + r.Elapsed
}

// missing returns what l requires and the agent does not enforce.
func (f Facts) missing() []string {
	var out []string
	for _, r := range f.Lease.Requires {
		if !slices.Contains(f.Enforces, r) {
			out = append(out, r)
		}
	}
	return out
}

// rules are asked from the top; the first that holds decides. All but the
// first two may rely on a lease being there.
var rules = []struct {
	verdict Verdict
	holds   func(Facts) bool
	detail  func(Facts) string        // nil: nothing to add to the verdict
	over    func(Facts) time.Duration // nil: not a limit in time
}{
	{
		Withdrawn,
		func(f Facts) bool { return f.WithdrawnReason != "" },
		func(f Facts) string { return f.WithdrawnReason },
		nil,
	},
	{NoLease, func(f Facts) bool { return f.Lease == nil }, nil, nil},
	{WrongInstance, func(f Facts) bool { return f.Lease.Instance != f.Holder.Instance }, nil, nil},
	{WrongClient, func(f Facts) bool { return f.Lease.Client != f.Holder.Client }, nil, nil},
	{
		ClientTooOld,
		func(f Facts) bool { return len(f.missing()) > 0 },
		func(f Facts) string { return "this agent cannot enforce " + strings.Join(f.missing(), ", ") },
		nil,
	},
	{
		NotYet,
		func(f Facts) bool { return f.Lease.Ahead(f.Clock.Now) },
		func(Facts) string { return "the clock of this computer is behind the lease" },
		nil,
	},
	{
		Expired,
		func(f Facts) bool { return f.Lease.ValidUntil != nil && !f.Clock.Now.Before(*f.Lease.ValidUntil) },
		func(f Facts) string { return "valid until " + f.Lease.ValidUntil.UTC().Format(time.RFC3339) },
		func(f Facts) time.Duration { return f.Clock.Now.Sub(*f.Lease.ValidUntil) },
	},
	{
		OfflineTooLong,
		func(f Facts) bool {
			return f.Lease.OfflineBudget != nil && BudgetUsed(*f.Lease, f.Clock) >= budget(*f.Lease)
		},
		func(f Facts) string { return "may be off-line for " + budget(*f.Lease).String() },
		func(f Facts) time.Duration { return BudgetUsed(*f.Lease, f.Clock) - budget(*f.Lease) },
	},
}

// maxBudgetSeconds keeps the conversion of a budget within time.Duration.
const maxBudgetSeconds = int64((1<<63 - 1) / time.Second)

// budget returns the off-line budget of a lease that has one.
func budget(l Lease) time.Duration {
	return time.Duration(min(max(*l.OfflineBudget, 0), maxBudgetSeconds)) * time.Second
}

// Judgement is a verdict with its explanation for people.
type Judgement struct {
	Verdict Verdict
	Detail  string
	// Over is how long ago the limit was reached, for Expired and
	// OfflineTooLong: a policy may give a machine that runs some grace.
	Over time.Duration
}

// String returns verdict and detail in one line.
func (j Judgement) String() string {
	if j.Detail == "" {
		return string(j.Verdict)
	}
	return string(j.Verdict) + ": " + j.Detail
}

// Err returns nil when the machine may run, else an error of the fitting kind.
func (j Judgement) Err() error {
	switch j.Verdict {
	case Allowed:
		return nil
	case ClientTooOld:
		return fmt.Errorf("%s: %w", j, dormer.ErrUnsupported)
	default:
		return fmt.Errorf("%s: %w", j, dormer.ErrDenied)
	}
}

// Judge says whether a machine may run.
func Judge(f Facts) Judgement {
	for _, r := range rules {
		if !r.holds(f) {
			continue
		}
		j := Judgement{Verdict: r.verdict}
		if r.detail != nil {
			j.Detail = r.detail(f)
		}
		if r.over != nil {
			j.Over = r.over(f)
		}
		return j
	}
	return Judgement{Verdict: Allowed}
}
