package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/policymatrix"
)

// orders gives a machine orders while it runs and while it does not.
func (s *suite) orders(t *testing.T) {
	image := s.instance.image(t, "tiny/1")
	d := s.newDesk(t)
	d.given(t, document{name: "Ordered", image: image})
	d.boots(t, "Ordered")
	machine := d.workspace(t, "Ordered").Machine

	s.instance.admin.dormer(t, "client", "lock", d.client, machine, "--reason", "a lost badge")
	d.dormer(t, "refresh")
	d.awaits(t, soon, "Ordered", "is locked", func(w workspace) bool { return w.Locked != "" && w.State == "running" })
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if a := d.tries(ctx, t, "", "run", "Ordered", "hello"); a.code == 0 || !strings.Contains(a.err, "locked") {
		t.Errorf("a workspace that was ordered to be locked is used: %s", a)
	}
	d.daemon.kill()
	d.startAgent(t)
	d.awaits(t, soon, "Ordered", "is locked after the agent was killed", func(w workspace) bool { return w.Locked != "" })
	d.types(t, password+"\n", "unlock", "Ordered")
	d.runs(t, "Ordered", "hello")

	s.instance.admin.dormer(t, "client", "stop", d.client, machine, "--reason", "maintenance", "--grace", "5s")
	d.dormer(t, "refresh")
	w := d.awaits(t, soon, "Ordered", "is warned", func(w workspace) bool { return len(w.Warnings) > 0 })
	if w.State != "running" {
		t.Errorf("within its grace the machine is %s", w.State)
	}
	d.awaits(t, soon, "Ordered", "is stopped", func(w workspace) bool { return w.State == "ready" })

	// The only machine may always be deleted without a confirmation.
	d.boots(t, "Ordered")
	s.instance.admin.dormer(t, "client", "delete-machine", d.client, machine, "--reason", "returned", "--grace", "3s", "--yes")
	d.dormer(t, "refresh")
	eventually(t, soon, "the running machine is deleted", func() string {
		if _, err := os.Stat(filepath.Join(d.state, "machines", machine)); err == nil {
			return "its folder is there"
		}
		return ""
	})
	events := d.delivered(t)
	for code, want := range map[int]int{530: 1, 531: 1, 511: 1} {
		if n := count(events, code, ""); n != want {
			t.Errorf("event %d is there %d times, not %d", code, n, want)
		}
	}
	if count(events, 536, "") < 2 {
		t.Errorf("the user was warned %d times", count(events, 536, ""))
	}
	once(t, events)
}

// disabled deletes a machine that does not run, since its grant was disabled.
func (s *suite) disabled(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.RealGuest, "grants[].enabled", "grants[].deleteWhen.disabled")
	image := s.instance.image(t, "tiny/1")
	d := s.newDesk(t)
	d.given(t, document{name: "Disabled", image: image, grant: map[string]any{"deleteWhen": map[string]any{"disabled": true}}})
	d.boots(t, "Disabled")
	d.dormer(t, "stop", "Disabled")
	machine := d.workspace(t, "Disabled").Machine
	d.apply(t, document{name: "Disabled", image: image, grant: map[string]any{"enabled": false, "deleteWhen": map[string]any{"disabled": true}}})
	// Another machine was deleted a moment ago: of so few this one is too many.
	eventually(t, soon, "the deletion is halted, and confirmed", func() string {
		if a := s.instance.admin.tries(t.Context(), t, "", "deletions", "confirm", "1", "--yes"); a.code != 0 {
			return a.String()
		}
		return ""
	})
	eventually(t, soon, "the machine is deleted", func() string {
		d.dormer(t, "refresh")
		if _, err := os.Stat(filepath.Join(d.state, "machines", machine)); err == nil {
			return "its folder is there"
		}
		return ""
	})
}
