package agent

import "github.com/dormer-project/dormer/internal/event"

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
	n := 0.0
	for _, b := range budgets {
		if b == nil {
			return event.MaxJournalBytes
		}
		n += float64(max(*b, 0))
	}
	return event.JournalFor(n)
}
