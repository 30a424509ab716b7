package agent

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/fake"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/policymatrix"
)

const hello = ", applications: {published: [{name: Hello, command: 'echo hello'}, {name: Long, command: 'sleep 3600'}]}"

func TestLockAndUnlock(t *testing.T) {
	t.Parallel()
	d := aWorkspace(t, "machine: {revertible: false}"+hello, "clipboard: both")
	d.startUp()
	w, err := d.agent.Lock(t.Context(), anne, "Office")
	if err != nil || w.Locked != "by its user" {
		t.Fatalf("lock: %+v, %v", w, err)
	}
	d.eventually("the guest is locked", func() bool { return d.guest().Locked })
	d.mustTell(event.WorkspaceLocked, 1)
	refused := func(when string) {
		t.Helper()
		if err := d.machine().usable(); !errors.Is(err, dormer.ErrDenied) || !strings.Contains(err.Error(), "dormer unlock") {
			t.Errorf("%s: used: %v", when, err)
		}
		if err := d.run("Hello"); !errors.Is(err, dormer.ErrDenied) {
			t.Errorf("%s: ran: %v", when, err)
		}
	}
	refused("locked")
	d.poll()
	d.house.set(func(h *house) {
		if len(h.states) != 1 || !h.states[0].Locked {
			t.Errorf("the server was told %+v", h.states)
		}
	})
	d.restart()
	d.awaitState("running")
	refused("after a restart of the agent")
	d.away(true)
	if _, err := d.agent.Unlock(t.Context(), anne, "Office", agentapi.UnlockRequest{Secret: "wrong"}); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("unlocked with a wrong password: %v", err)
	}
	refused("after a wrong password")
	if _, err := d.agent.Unlock(t.Context(), agentapi.Peer{UID: annesUID + 1}, "Office", agentapi.UnlockRequest{Secret: annesWord}); err == nil {
		t.Error("another user unlocked it")
	}
	if w, err := d.agent.Unlock(t.Context(), anne, "Office", agentapi.UnlockRequest{Secret: annesWord}); err != nil || w.Locked != "" {
		t.Errorf("unlock off-line: %+v, %v", w, err)
	}
	d.mustTell(event.WorkspaceUnlocked, 1)
	if err := d.run("Hello"); err != nil {
		t.Errorf("after unlocking: %v", err)
	}
}

func TestLockIdle(t *testing.T) {
	t.Parallel()
	policymatrix.Exercised(t, policymatrix.Product, "spec.machine.lock.idle", "spec.machine.lock.onHostSleep")
	host := newSleeper()
	d := aWorkspace(t, "machine: {revertible: false, lock: {idle: 10m, onHostSleep: true}}", "", func(d *desk) {
		d.deps = func(deps *Deps) { deps.WatchSleep = host.watch }
	})
	d.startUp()
	d.pass(9 * time.Minute)
	d.idle(9 * time.Minute)
	d.never("it locks too early", func() bool { return d.machine().locked() })
	d.pass(2 * time.Minute)
	d.idle(11 * time.Minute)
	d.await("locked", func(w agentapi.Workspace) bool { return w.Locked == "idle for 10m" })
	d.unlock()
	d.never("it locks again although somebody has just unlocked it", func() bool { return d.machine().locked() })
	host.sleeps(true)
	if w, _ := d.workspace(); !strings.Contains(w.Locked, "sleep") {
		t.Errorf("when the host slept: %+v", w)
	}
	before := d.guest().Clock
	d.pass(time.Hour)
	host.sleeps(false)
	d.eventually("the guest's clock is set after sleeping", func() bool { return d.guest().Clock.Sub(before) > 59*time.Minute })
}

// An idle guest is suspended in memory, or saved when its changes are kept, and
// goes on when it is used.
func TestSuspendIdle(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "spec.machine.suspendIdle", "spec.machine.revertible")
	for _, c := range []struct{ name, spec, state string }{
		{"revertible", "machine: {suspendIdle: 10m}", "suspended"},
		{"persistent", "machine: {revertible: false, suspendIdle: 10m}", "saved"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := aWorkspace(t, c.spec+hello, "")
			d.startUp()
			d.pass(11 * time.Minute)
			d.idle(11 * time.Minute)
			w := d.awaitState(c.state)
			if w.Suspended != (c.state == "suspended") || w.Saved != (c.state == "saved") {
				t.Errorf("it is %+v", w)
			}
			d.never("it goes on by itself", func() bool { w, _ := d.workspace(); return w.State != c.state })
			d.restart()
			d.awaitState(c.state)
			d.pass(time.Hour)
			if err := d.run("Hello"); err != nil {
				t.Fatal(err)
			}
			d.await("running", func(w agentapi.Workspace) bool { return w.State == "running" && !w.Suspended && !w.Saved })
			d.mustTell(event.WorkspaceResumed, 1)
			d.eventually("the clock is right after resuming", func() bool { return d.guest().Clock.After(d.now().Add(-time.Minute)) })
			if n := d.running(); n != 1 {
				t.Errorf("%d machines run", n)
			}
		})
	}
}

func TestOnStop(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "spec.machine.onStop")
	t.Run("save state", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "machine: {revertible: false, onStop: save-state}", "")
		d.startUp()
		d.act(agentapi.CommandStop)
		d.awaitState("saved")
		d.mustTell(event.WorkspaceSaved, 1)
		d.restart()
		d.awaitState("saved")
		d.startUp()
		d.mustTell(event.WorkspaceResumed, 1)
		if !d.host.Running()[0].Resume {
			t.Error("it was not asked to go on")
		}
		d.act(agentapi.CommandRestart)
		d.eventually("a restart starts anew", func() bool { return d.host.Starts() == 3 && d.running() == 1 })
		if d.host.Running()[0].Resume {
			t.Error("a restart goes on from saved memory")
		}
	})
	t.Run("cannot be saved", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "machine: {revertible: false, onStop: save-state}", "")
		d.host.SetSaveError(func(hypervisor.Spec) error { return dormer.ErrFull })
		d.startUp()
		d.act(agentapi.CommandStop)
		d.awaitState("ready")
		d.mustTell(event.WorkspaceNotSaved, 1)
	})
	t.Run("at a limit", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "machine: {revertible: false, onStop: save-state}", "atLimit: {grace: 0s}")
		d.startUp()
		d.expires(time.Minute)
		d.away(true)
		d.pass(2 * time.Minute)
		d.awaitState("saved")
	})
	t.Run("shut down", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "machine: {revertible: false}", "")
		d.startUp()
		d.act(agentapi.CommandStop)
		d.awaitState("ready")
		d.mustTell(event.WorkspaceStopped, 1)
	})
}

func TestLastWindow(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "spec.machine.lastWindow")
	for _, c := range []struct{ value, state string }{{"shut-down", "ready"}, {"save-state", "saved"}, {"continue", "running"}} {
		t.Run(c.value, func(t *testing.T) {
			t.Parallel()
			d := aWorkspace(t, "machine: {revertible: false, lastWindow: "+c.value+"}"+hello, "")
			d.startUp()
			d.never("it stops before anything ran", func() bool { return d.running() != 1 })
			for range 2 {
				if _, err := d.agent.RunApplication(t.Context(), anne, "Office", agentapi.RunRequest{Application: "Long", Detach: true}); err != nil {
					t.Fatal(err)
				}
			}
			d.eventually("two windows", func() bool { return len(d.guest().Applications) == 2 })
			d.windows(1)
			d.never("it stops with a window open", func() bool { return d.running() != 1 })
			d.windows(0)
			if c.state == "running" {
				d.never("it stops", func() bool { return d.running() != 1 })
				return
			}
			d.awaitState(c.state)
		})
	}
}

func TestStart(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "spec.machine.start")
	t.Run("manual", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "machine: {start: manual}"+hello, "")
		if err := d.run("Hello"); !errors.Is(err, dormer.ErrConflict) || !strings.Contains(err.Error(), "dormer start") {
			t.Errorf("an application started it: %v", err)
		}
		d.startUp()
		if err := d.run("Hello"); err != nil {
			t.Error(err)
		}
	})
	t.Run("first use", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "machine: {start: first-use}"+hello, "")
		d.machine().sessionBegan()
		d.never("it starts with the session", func() bool { return d.running() != 0 })
		if err := d.run("Hello"); err != nil || d.running() != 1 {
			t.Errorf("%v, %d run", err, d.running())
		}
	})
	t.Run("sign-on", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "machine: {start: sign-on}", "", func(d *desk) { d.house.none = true })
		d.house.set(func(h *house) { h.none = false })
		d.poll()
		d.awaitState("ready")
		d.machine().sessionBegan()
		d.awaitState("running")
	})
}

func TestGuestUpdates(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "spec.machine.guestUpdates.from", "spec.machine.guestUpdates.length")
	soon := func(d *desk) string {
		return d.now().In(time.Local).Truncate(time.Minute).Add(2 * time.Hour).Format("15:04")
	}
	prepare := func(t *testing.T) *desk {
		var from string
		d := aWorkspace(t, "machine: {revertible: false}"+hello, "", func(d *desk) { from = soon(d) })
		d.startUp() // what is kept is decided at the first start
		d.act(agentapi.CommandStop)
		d.awaitState("ready")
		d.changePolicy(2, "machine: {revertible: false, guestUpdates: {from: '"+from+"', length: 1h}}"+hello, "")
		d.never("it is woken before its time", func() bool { return d.running() != 0 })
		d.pass(2*time.Hour + 5*time.Minute)
		d.awaitState("running")
		d.mustTell(event.GuestUpdateTime, 1)
		return d
	}
	t.Run("woken and stopped", func(t *testing.T) {
		t.Parallel()
		d := prepare(t)
		d.pass(30 * time.Minute)
		d.never("it stops within the window", func() bool { return d.running() != 1 })
		d.pass(30 * time.Minute)
		d.awaitState("ready")
		d.never("it is woken again", func() bool { return d.running() != 0 })
		d.pass(12 * time.Hour)
		d.poll()
		d.pass(11 * time.Hour)
		d.awaitState("running")
		d.mustTell(event.GuestUpdateTime, 2)
	})
	t.Run("its user comes meanwhile", func(t *testing.T) {
		t.Parallel()
		d := prepare(t)
		if err := d.run("Hello"); err != nil {
			t.Fatal(err)
		}
		d.pass(2 * time.Hour)
		d.never("it stops", func() bool { return d.running() != 1 })
	})
	t.Run("the agent restarts within the window", func(t *testing.T) {
		t.Parallel()
		d := prepare(t)
		d.restart()
		d.awaitState("running")
		d.pass(time.Hour)
		d.awaitState("ready")
	})
}

func TestWindowAt(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time {
		t.Helper()
		v, err := time.ParseInLocation("2006-01-02 15:04", s, berlin)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct {
		from   policy.TimeOfDay
		length time.Duration
		now    string
		open   bool
		opened string
	}{
		{150, 2 * time.Hour, "2026-06-10 02:29", false, ""},
		{150, 2 * time.Hour, "2026-06-10 02:30", true, "2026-06-10 02:30"},
		{150, 2 * time.Hour, "2026-06-10 04:29", true, "2026-06-10 02:30"},
		{150, 2 * time.Hour, "2026-06-10 04:30", false, ""},
		{23 * 60, 3 * time.Hour, "2026-06-10 01:59", true, "2026-06-09 23:00"},
		{23 * 60, 3 * time.Hour, "2026-06-10 02:00", false, ""},
		// Clocks go ahead: from 02:00 to 03:00 on 29 March 2026. The window is as
		// long as ever, and ends an hour later by the clock.
		{60, 2 * time.Hour, "2026-03-29 03:59", true, "2026-03-29 01:00"},
		{60, 2 * time.Hour, "2026-03-29 04:00", false, ""},
		// An opening that does not exist is at the moment that would be it.
		{150, time.Hour, "2026-03-29 03:31", true, "2026-03-29 03:30"},
		// Clocks go back: from 03:00 to 02:00 on 25 October 2026. Three hours from
		// 01:00 end at 03:00 by the clock.
		{60, 3 * time.Hour, "2026-10-25 02:59", true, "2026-10-25 01:00"},
		{60, 3 * time.Hour, "2026-10-25 03:00", false, ""},
	} {
		w, open := windowAt(&policy.EffectiveMaintenance{From: c.from, Length: policy.Duration(c.length)}, at(c.now))
		if open != c.open || open && !w.from.Equal(at(c.opened)) {
			t.Errorf("from %s for %s at %s: %t, %v", c.from, c.length, c.now, open, w)
		}
	}
}

func TestArrangeGuest(t *testing.T) {
	t.Parallel()
	policymatrix.Exercised(t, policymatrix.Product, "spec.machine.timeZone", "spec.network.dns.mode", "spec.network.dns.servers",
		"spec.network.dns.thenHost", "spec.network.suffixes.list", "spec.network.suffixes.withHost", "spec.applications.published[].startWithWorkspace")
	zone := "Europe/Berlin"
	var change func(HostNetwork)
	d := aWorkspace(t, "machine: {revertible: false, timeZone: host}, network: {dns: {mode: servers, servers: [192.0.2.1], thenHost: true}, suffixes: {list: [a.example.com], withHost: true}}"+
		", applications: {published: [{name: Mail, command: 'sleep 3600', startWithWorkspace: true}]}", "", func(d *desk) {
		d.deps = func(deps *Deps) {
			deps.Zone = func() string {
				d.mu.Lock()
				defer d.mu.Unlock()
				return zone
			}
			deps.WatchNetwork = aNetwork(&change, HostNetwork{Servers: []string{"198.51.100.1"}, Suffixes: []string{"host.example.com"}})
		}
	})
	d.startUp()
	d.eventually("arranged", func() bool { return d.guest().TimeZone == "Europe/Berlin" && len(d.guest().Applications) == 1 })
	g := d.guest()
	if got := strings.Join(g.DNS.Servers, " ") + "; " + strings.Join(g.DNS.Suffixes, " "); got != "192.0.2.1 198.51.100.1; a.example.com host.example.com" {
		t.Errorf("name service: %s", got)
	}
	change(HostNetwork{Servers: []string{"198.51.100.2"}})
	d.eventually("the name service follows the host", func() bool { return strings.Join(d.guest().DNS.Servers, " ") == "192.0.2.1 198.51.100.2" })
	d.mu.Lock()
	zone = "Asia/Tokyo"
	d.mu.Unlock()
	d.eventually("the time zone follows the host", func() bool { return d.guest().TimeZone == "Asia/Tokyo" })
	if err := d.host.RestartGuestAgent(d.disks()); err != nil {
		t.Fatal(err)
	}
	d.never("applications start twice", func() bool { return len(d.guest().Applications) != 1 })
	d.restart()
	d.awaitState("running")
	d.never("applications start twice", func() bool { return len(d.guest().Applications) != 1 })
	d.changePolicy(2, "machine: {revertible: false, timeZone: host}", "")
	d.eventually("the guest has its own name service again", func() bool { return len(d.guest().DNS.Servers) == 0 && len(d.guest().DNS.Suffixes) == 0 })
	if n := d.told(event.ArrangeFailed); n != 0 {
		t.Errorf("%d failures were told", n)
	}
}

func TestServerThenHost(t *testing.T) {
	t.Parallel()
	d := aWorkspace(t, "machine: {revertible: false, timeZone: server-then-host}", "", func(d *desk) {
		d.house.answer = zoneAnswer("America/New_York")
		d.deps = func(deps *Deps) { deps.Zone = func() string { return "Europe/Berlin" } }
	})
	d.startUp()
	d.eventually("the server's zone at first", func() bool { return d.guest().TimeZone == "America/New_York" })
	d.machine().rearrange()
	d.never("it changes within the first run", func() bool { return d.guest().TimeZone != "America/New_York" })
	d.act(agentapi.CommandStop)
	d.awaitState("ready")
	d.startUp()
	d.eventually("the host's zone later", func() bool { return d.guest().TimeZone == "Europe/Berlin" })
}

// What fails in a guest is told once, tried again, and keeps nothing else back.
func TestArrangeFails(t *testing.T) {
	t.Parallel()
	d := aWorkspace(t, "machine: {revertible: false, timeZone: host}, network: {dns: {mode: servers, servers: [192.0.2.1]}}", "", func(d *desk) {
		d.deps = func(deps *Deps) { deps.Zone = func() string { return "Europe/Berlin" } }
	})
	tries := d.breakGuest(guestwire.MethodTimeZone)
	d.startUp()
	d.eventually("the rest is done", func() bool { return len(d.guest().DNS.Servers) == 1 })
	d.eventually("it is tried again", func() bool { return tries() > 2 })
	d.mustTell(event.ArrangeFailed, 1)
	d.host.SetAsk(nil)
	d.eventually("it works in the end", func() bool { return d.guest().TimeZone == "Europe/Berlin" })
}

// A changed policy changes what is attached to a machine that runs; what cannot
// is marked.
func TestPolicyChangesRunningMachine(t *testing.T) {
	t.Parallel()
	d := aWorkspace(t, "machine: {revertible: false}, performance: {memory: [{host: 0GiB, guest: 1GiB}]}", "")
	d.startUp()
	if c := d.host.Running()[0].Channels; len(c) != 0 {
		t.Errorf("a machine without grants has channels %v", c)
	}
	d.changePolicy(2, "machine: {revertible: false}, performance: {memory: [{host: 0GiB, guest: 2GiB}]}", "clipboard: both, fileTransfer: {direction: host-to-guest}")
	d.eventually("the channels are there", func() bool { return len(d.host.Running()[0].Channels) == 2 })
	w := d.await("what waits", func(w agentapi.Workspace) bool { return len(w.AtNextStart) > 0 })
	if !strings.Contains(strings.Join(w.AtNextStart, " "), "spec.performance.memory") {
		t.Errorf("at next start: %v", w.AtNextStart)
	}
	d.mustTell(event.PolicyNextStart, 1)
	d.poll()
	d.house.set(func(h *house) {
		if len(h.states) != 1 || len(h.states[0].AtNextStart) == 0 || h.states[0].PolicyRevision != 2 {
			t.Errorf("the server was told %+v", h.states)
		}
	})
	d.restart()
	d.awaitState("running")
	d.changePolicy(3, "machine: {revertible: false}, performance: {memory: [{host: 0GiB, guest: 2GiB}]}", "")
	d.act(agentapi.CommandRestart)
	d.eventually("started with the policy", func() bool {
		r := d.host.Running()
		return d.host.Starts() == 2 && len(r) == 1 && r[0].Memory == 2048 && len(r[0].Channels) == 0
	})
	if w := d.awaitState("running"); len(w.AtNextStart) != 0 {
		t.Errorf("still waiting: %v", w.AtNextStart)
	}
}

func TestNotEnforcedIsTold(t *testing.T) {
	t.Parallel()
	d := aWorkspace(t, "general: {display: seamless}", "")
	d.mustTell(event.PolicyNotEnforced, 1)
	if w, _ := d.workspace(); len(w.NotEnforced) == 0 {
		t.Errorf("the user sees %+v", w)
	}
	d.poll()
	d.restart()
	d.poll()
	d.mustTell(event.PolicyNotEnforced, 1)
	d.terms(func(l *lease.Lease) { l.PolicyRevision = 2 })
	d.mustTell(event.PolicyNotEnforced, 2)
}

func TestUserCredentials(t *testing.T) {
	t.Parallel()
	policymatrix.Exercised(t, policymatrix.Product, "spec.applications.published[].userCredentials", "spec.applications.networkDrives[].letter", "spec.applications.networkDrives[].path")
	d := aWorkspace(t, `machine: {signOn: user}, applications: {published: [{name: Who, command: whoami, userCredentials: true}], networkDrives: [{letter: N, path: '\\files.example.com\anne'}]}`, "")
	d.signIn(agentapi.SignInRequest{User: "anne", Password: annesWord}) // now a policy needs the password
	ctx := t.Context()
	r, err := d.agent.RunApplication(ctx, anne, "Office", agentapi.RunRequest{Application: "Who"})
	if err != nil || string(r.Stdout) != "anne\n" {
		t.Fatalf("ran as %q, %v", r.Stdout, err)
	}
	g := d.guest()
	if len(g.Drives.Drives) != 1 || g.Drives.Account != "anne" || g.Drives.Password != annesWord || g.Drives.Drives[0].Letter != "N" {
		t.Errorf("drives: %+v of %s", g.Drives.Drives, g.Drives.Account)
	}
}

// idle makes the guest unused for so long.
func (d *desk) idle(since time.Duration) {
	d.t.Helper()
	if err := d.host.SetIdle(d.disks(), time.Now().Add(-since)); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) unlock() {
	d.t.Helper()
	if _, err := d.agent.Unlock(d.t.Context(), anne, "Office", agentapi.UnlockRequest{Secret: annesWord}); err != nil {
		d.t.Fatal(err)
	}
}

// windows leaves so many applications running in the guest.
func (d *desk) windows(left int) {
	d.t.Helper()
	if err := d.host.ChangeGuest(d.disks(), func(g *fake.Guest) { g.Applications = g.Applications[:left] }); err != nil {
		d.t.Fatal(err)
	}
}
