package event

import "github.com/dormer-project/dormer"

// journalKey names a journal.
type journalKey struct {
	instance dormer.InstanceID
	client   dormer.ClientID
	journal  dormer.JournalID
}

func keyOf(b Batch) journalKey {
	return journalKey{instance: b.Instance, client: b.Client, journal: b.Journal}
}

// recentMarks remembers the watermarks of the journals that were used last,
// between limit and twice as many. The zero value with a limit is empty. It is
// not safe for concurrent use.
type recentMarks struct {
	limit       int
	recent, old map[journalKey]uint64
}

func (m *recentMarks) get(k journalKey) (uint64, bool) {
	mark, ok := m.recent[k]
	if !ok {
		if mark, ok = m.old[k]; ok {
			m.put(k, mark)
		}
	}
	return mark, ok
}

// raise remembers mark unless a higher one is known, and returns the higher.
func (m *recentMarks) raise(k journalKey, mark uint64) uint64 {
	if known, ok := m.get(k); ok && known >= mark {
		return known
	}
	m.put(k, mark)
	return mark
}

func (m *recentMarks) put(k journalKey, mark uint64) {
	if m.recent == nil || len(m.recent) >= m.limit {
		m.old, m.recent = m.recent, make(map[journalKey]uint64)
	}
	m.recent[k] = mark
}
