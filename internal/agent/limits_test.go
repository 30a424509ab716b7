package agent

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/policymatrix"
)

// gone waits until nothing of the machine is left.
func (d *desk) gone(disks string) {
	d.t.Helper()
	away := false
	d.house.set(func(h *house) { away = h.away })
	if away && d.agent.pollNow(d.t.Context()) == nil { // by itself an agent deletes only after it has asked in vain
		d.t.Fatal("the server answered")
	}
	d.eventually("the machine is deleted", func() bool {
		_, there := d.workspace()
		_, err := os.Stat(disks)
		return !there && errors.Is(err, os.ErrNotExist)
	})
	if d.running() != 0 {
		d.t.Error("what was deleted runs")
	}
}

// expires makes leases end in so long, and the client delete at these limits.
func (d *desk) expires(in time.Duration, deletes ...lease.Verdict) {
	d.t.Helper()
	until := d.now().Add(in)
	d.terms(func(l *lease.Lease) { l.ValidUntil, l.DeleteWhen = &until, deletes })
}

// What happens at a limit, to a machine that runs and to one that does not.
func TestAtLimit(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "grants[].atLimit.action", "grants[].atLimit.grace", "grants[].expires")
	for _, action := range []string{"refuse-start", "lock", "stop", "delete"} {
		for _, runs := range []bool{true, false} {
			name := action + ", not running"
			if runs {
				name = action + ", running"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				grace := ""
				if action == "stop" || action == "delete" {
					grace = ", grace: 10m"
				}
				d := aWorkspace(t, "machine: {revertible: false}", "atLimit: {action: "+action+grace+"}")
				if runs {
					d.startUp()
				}
				var deletes []lease.Verdict
				if action == "delete" {
					deletes = []lease.Verdict{lease.Expired, lease.OfflineTooLong}
				}
				d.expires(time.Hour, deletes...)
				disks := d.disks()
				d.away(true)
				d.pass(61 * time.Minute)
				atLimit(t, d, action, runs, disks)
			})
		}
	}
}

func atLimit(t *testing.T, d *desk, action string, runs bool, disks string) {
	t.Helper()
	if !runs {
		if action == "delete" {
			d.gone(disks)
			d.mustTell(event.WorkspaceDeleted, 1)
			return
		}
		d.await("refused", func(w agentapi.Workspace) bool { return !w.Permitted && w.Desired == "halt" })
		if _, err := d.agent.Act(t.Context(), anne, "Office", agentapi.CommandStart); !errors.Is(err, dormer.ErrDenied) {
			t.Errorf("start after the limit: %v", err)
		}
		return
	}
	switch action {
	case "refuse-start":
		d.never("it stops", func() bool { return d.running() != 1 })
		if err := d.machine().usable(); err != nil {
			t.Errorf("it cannot be used: %v", err)
		}
		d.act(agentapi.CommandStop)
		d.await("stopped", func(w agentapi.Workspace) bool { return w.State == "ready" })
		if _, err := d.agent.Act(t.Context(), anne, "Office", agentapi.CommandStart); !errors.Is(err, dormer.ErrDenied) {
			t.Errorf("start after the limit: %v", err)
		}
	case "lock":
		d.await("locked", func(w agentapi.Workspace) bool { return strings.Contains(w.Locked, "expired") })
		d.pass(24 * time.Hour)
		d.never("it stops", func() bool { return d.running() != 1 })
		if _, err := d.agent.Unlock(t.Context(), anne, "Office", agentapi.UnlockRequest{Secret: annesWord}); !errors.Is(err, dormer.ErrDenied) {
			t.Errorf("unlocked past the limit: %v", err)
		}
		d.away(false)
		later := d.now().Add(time.Hour)
		d.terms(func(l *lease.Lease) { l.ValidUntil = &later })
		if !d.machine().locked() {
			t.Error("the server's permission alone unlocked it")
		}
		if _, err := d.agent.Unlock(t.Context(), anne, "Office", agentapi.UnlockRequest{Secret: annesWord}); err != nil {
			t.Errorf("unlock with the permission: %v", err)
		}
	case "stop", "delete":
		d.mustTell(event.WorkspaceWarned, 1)
		d.never("it stops within its grace", func() bool { return d.running() != 1 })
		d.pass(7*time.Minute + 30*time.Second)
		d.mustTell(event.WorkspaceWarned, 2)
		d.pass(2 * time.Minute)
		if action == "stop" {
			d.awaitState("ready")
			d.mustTell(event.WorkspaceExpired, 1)
			return
		}
		d.gone(disks)
		d.mustTell(event.WorkspaceDeleted, 1)
	}
}

// What deletes by itself, and what never does.
func TestDeleteWhen(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "grants[].deleteWhen.expired", "grants[].deleteWhen.offline", "grants[].offline.allow", "grants[].offline.limit")
	t.Run("off-line too long, not running", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "", "")
		d.terms(func(l *lease.Lease) { l.DeleteWhen = []lease.Verdict{lease.OfflineTooLong} })
		disks := d.disks()
		d.away(true)
		d.pass(25 * time.Hour)
		d.gone(disks)
		d.mustTell(event.WorkspaceDeleted, 1)
	})
	t.Run("off-line too long, running", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "", "atLimit: {grace: 20m}")
		d.terms(func(l *lease.Lease) { l.DeleteWhen = []lease.Verdict{lease.OfflineTooLong} })
		d.startUp()
		disks := d.disks()
		d.away(true)
		d.pass(24*time.Hour + time.Minute)
		w := d.await("warned", func(w agentapi.Workspace) bool { return strings.Contains(w.Verdict, "deleted at") })
		if w.State != "running" {
			t.Errorf("within its grace it is %+v", w)
		}
		d.pass(20 * time.Minute)
		d.gone(disks)
	})
	t.Run("a limit that the lease does not name", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "", "atLimit: {action: delete, grace: 0s}")
		d.startUp()
		d.away(true)
		d.pass(48 * time.Hour)
		d.await("stopped", func(w agentapi.Workspace) bool { return w.State == "ready" && !w.Permitted })
		d.never("it is deleted", func() bool { _, there := d.workspace(); return !there })
	})
	t.Run("expired while the server is there", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "", "atLimit: {grace: 0s}")
		d.expires(time.Hour, lease.Expired, lease.OfflineTooLong)
		kept := func(when string) {
			t.Helper()
			d.await("refused", func(w agentapi.Workspace) bool { return !w.Permitted && strings.Contains(w.Verdict, "deleted unless") })
			d.never("it is deleted "+when, func() bool { _, there := d.workspace(); return !there })
		}
		d.pass(61 * time.Minute)
		kept("before the server could say anything")
		d.poll()
		kept("although the server orders nothing")
		d.away(true)
		d.pass(12 * time.Hour)
		if err := d.agent.pollNow(t.Context()); err == nil {
			t.Fatal("the server answered")
		}
		kept("after the server spoke and went")
	})
	t.Run("off-line too long, but not asked yet", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "", "atLimit: {grace: 0s}")
		d.terms(func(l *lease.Lease) { l.DeleteWhen = []lease.Verdict{lease.OfflineTooLong} })
		d.pass(25 * time.Hour) // the computer slept
		d.await("refused", func(w agentapi.Workspace) bool { return !w.Permitted })
		d.never("it is deleted", func() bool { _, there := d.workspace(); return !there })
		d.poll()
		d.await("permitted again", func(w agentapi.Workspace) bool { return w.Permitted })
	})
	t.Run("a server that answers and does not renew", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "", "atLimit: {grace: 0s}")
		d.terms(func(l *lease.Lease) { l.DeleteWhen = []lease.Verdict{lease.OfflineTooLong} })
		d.house.set(func(h *house) { h.none = true })
		for range 3 {
			d.pass(20 * time.Hour)
			d.poll()
		}
		d.away(true)
		d.pass(5 * time.Minute)
		if err := d.agent.pollNow(t.Context()); err == nil {
			t.Fatal("the server answered")
		}
		d.await("refused", func(w agentapi.Workspace) bool { return !w.Permitted })
		d.never("it is deleted", func() bool { _, there := d.workspace(); return !there })
	})
	t.Run("only the wall clock is ahead", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "", "atLimit: {grace: 0s}")
		d.expires(time.Hour, lease.Expired, lease.OfflineTooLong)
		d.away(true)
		d.wallOnly(20 * 365 * 24 * time.Hour)
		d.await("refused", func(w agentapi.Workspace) bool { return !w.Permitted })
		d.never("it is deleted", func() bool { _, there := d.workspace(); return !there })
		d.wallOnly(-20 * 365 * 24 * time.Hour)
		d.away(false)
		d.poll()
		d.await("permitted again", func(w agentapi.Workspace) bool { return w.Permitted })
	})
	t.Run("withdrawn without an order", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "", "atLimit: {action: delete, grace: 0s}, deleteWhen: {disabled: true, offline: true}")
		d.terms(func(l *lease.Lease) { l.DeleteWhen = []lease.Verdict{lease.Expired, lease.OfflineTooLong} })
		d.startUp()
		d.withdraw("no grant is left")
		d.awaitState("ready")
		d.pass(1000 * time.Hour)
		d.never("it is deleted", func() bool { _, there := d.workspace(); return !there })
	})
}

func TestOfflineNone(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "grants[].offline.allow")
	d := aWorkspace(t, "", "offline: {allow: none}, atLimit: {grace: 1h}", func(d *desk) { d.house.budget = 3 * time.Minute })
	d.startUp()
	d.away(true)
	d.pass(2 * time.Minute)
	d.never("it stops before three poll intervals", func() bool { return d.running() != 1 })
	d.pass(time.Minute)
	d.await("stopped without grace", func(w agentapi.Workspace) bool { return w.State == "ready" && !w.Permitted })
}

func TestOrdersWithGrace(t *testing.T) {
	tenMinutes, none := int64(600), int64(0)
	t.Run("stop", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "", "")
		d.startUp()
		d.order("o1", lease.OrderStop, &tenMinutes)
		d.mustTell(event.WorkspaceWarned, 1)
		d.never("it stops within its grace", func() bool { return d.running() != 1 })
		d.pass(10 * time.Minute)
		d.awaitState("ready")
		d.mustTell(event.OrderRun, 1)
		d.startUp() // once
		d.poll()
		d.never("it stops again", func() bool { return d.running() != 1 })
	})
	t.Run("stop of one that ends by itself meanwhile", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "", "")
		d.startUp()
		d.order("o1", lease.OrderStop, &tenMinutes)
		d.act(agentapi.CommandStop)
		d.awaitState("ready")
		d.mustTell(event.OrderRun, 1)
		d.startUp()
		d.pass(10 * time.Minute)
		d.never("the old order stops it", func() bool { return d.running() != 1 })
	})
	t.Run("delete, with the policy's grace, and the agent restarted in it", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "", "atLimit: {grace: 30m}")
		d.startUp()
		disks := d.disks()
		d.order("o1", lease.OrderDelete, nil)
		d.mustTell(event.WorkspaceWarned, 1)
		d.pass(20 * time.Minute)
		d.restart()
		d.never("a restart ends its grace", func() bool { return d.running() != 1 })
		d.pass(11 * time.Minute)
		d.gone(disks)
		d.mustTell(event.WorkspaceDeleted, 1)
		d.mustTell(event.OrderRun, 1)
	})
	t.Run("delete off-line after a restart", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "", "atLimit: {grace: 30m}")
		d.startUp()
		disks := d.disks()
		d.order("o1", lease.OrderDelete, nil)
		d.away(true)
		d.restart()
		d.pass(31 * time.Minute)
		d.gone(disks)
	})
	t.Run("delete at once", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "", "atLimit: {grace: 30m}")
		d.startUp()
		disks := d.disks()
		d.order("o1", lease.OrderDelete, &none)
		d.gone(disks)
	})
	t.Run("delete of one that does not run", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "", "atLimit: {grace: 30m}")
		disks := d.disks()
		d.order("o1", lease.OrderDelete, nil)
		d.gone(disks)
		d.mustTell(event.OrderRun, 1)
	})
	t.Run("lock", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "", "")
		d.startUp()
		d.order("o1", lease.OrderLock, nil)
		d.await("locked", func(w agentapi.Workspace) bool { return w.Locked == "by order: for the test" })
		d.mustTell(event.OrderRun, 1)
		d.eventually("the guest is locked", func() bool { return d.guest().Locked })
	})
}

// A deletion goes on when the agent is killed after it was marked.
func TestRemovingGoesOn(t *testing.T) {
	d := aWorkspace(t, "", "")
	d.startUp()
	disks := d.disks()
	m := d.machine()
	d.stop()
	m.record.Removing, m.record.RemovingWhy = "expired", "expired: yesterday"
	if err := m.save(); err != nil {
		t.Fatal(err)
	}
	d.away(true)
	d.start()
	d.gone(disks)
	d.mustTell(event.WorkspaceDeleted, 1)
}

// A lease that needs what this agent cannot enforce starts nothing.
func TestClientTooOld(t *testing.T) {
	d := aWorkspace(t, "", "")
	d.terms(func(l *lease.Lease) { l.Requires = []string{"a thing of later years"} })
	if _, err := d.agent.Act(t.Context(), anne, "Office", agentapi.CommandStart); !errors.Is(err, dormer.ErrUnsupported) || !strings.Contains(err.Error(), "a thing of later years") {
		t.Errorf("start: %v", err)
	}
	d.mustTell(event.WorkspaceTooOld, 1)
	if d.host.Starts() != 0 {
		t.Error("it was started")
	}
}

// A server whose clock was years ahead gave a lease of then. What it gives after
// it was set right counts, although its serial is lower.
func TestServerClockWasAhead(t *testing.T) {
	ahead := 3 * 365 * 24 * time.Hour
	d := aWorkspace(t, "", "")
	was := d.now().Add(ahead)
	d.terms(func(l *lease.Lease) {
		if !was.IsZero() {
			l.IssuedAt, l.Serial = was, uint64(was.UnixMicro())
		}
	})
	d.await("refused", func(w agentapi.Workspace) bool { return strings.Contains(w.Verdict, string(lease.NotYet)) })
	d.house.set(func(*house) { was = time.Time{} })
	d.poll()
	d.await("permitted", func(w agentapi.Workspace) bool { return w.Permitted })
}
