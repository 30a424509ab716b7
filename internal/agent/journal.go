package agent

import (
	"time"

	"github.com/dormer-project/dormer/internal/event"
)

// What a machine writes into the journal while the server cannot be reached;
// see docs/limits.md.
const (
	eventsADay = 20
	eventBytes = 500 // of the file, with what a record has around it
	// burstFactor is for days on which more happens.
	burstFactor = 10
	// unlimitedJournal is for machines that may be off-line without end.
	unlimitedJournal = event.MaxJournalBytes
)

// growJournal makes the journal large enough for what happens until the
// off-line limits of all machines are reached. It never shrinks: what is in it
// is not given up because a policy changed.
func (a *Agent) growJournal(all []*machine) {
	var budgets []*int64
	for _, m := range all {
		m.mu.Lock()
		if m.lease != nil {
			budgets = append(budgets, m.lease.OfflineBudget)
		}
		m.mu.Unlock()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.journal != nil {
		a.journal.Grow(journalBytes(budgets))
	}
}

// journalBytes is how large the journal of machines with these off-line
// budgets, in seconds, must be; nil is one without a limit.
func journalBytes(budgets []*int64) int64 {
	const perSecond = float64(eventsADay*eventBytes*burstFactor) / float64(24*time.Hour/time.Second)
	n := 0.0
	for _, b := range budgets {
		if b == nil {
			return unlimitedJournal
		}
		n += float64(max(*b, 0)) * perSecond
	}
	return int64(min(max(n, event.DefaultJournalBytes), event.MaxJournalBytes))
}
