package producttest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func TestPolicyChangeReachesTheAgent(t *testing.T) {
	t.Parallel()
	i, c, w := one(t)
	c.mustStart(alice)
	spec := strings.Replace(office, "echo hello world", "echo hello again", 1)
	spec = strings.Replace(spec, "guest: 128MiB", "guest: 256MiB", 1)
	i.change(w.ID, "Office", spec, grant("alice"))
	c.mustRefresh()
	if got := c.only(alice); got.PolicyRevision != 2 || got.State != "running" {
		t.Errorf("after the change: %+v", got)
	}
	if r, err := c.run(alice, "Hello"); err != nil || string(r.Stdout) != "hello again\n" {
		t.Errorf("%+v, %v", r, err)
	}
	if m := c.Host.Running()[0].Memory; m != 128 {
		t.Errorf("a running machine has %d MiB", m)
	}
	if err := c.act(alice, agentapi.CommandRestart); err != nil {
		t.Fatal(err)
	}
	eventually(t, "restart with the new policy", func() bool {
		r := c.Host.Running()
		return len(r) == 1 && r[0].Memory == 256
	})
	spec1 := c.Host.Running()[0]
	if spec1.Overlay != hypervisor.OverlayKeep || spec1.Network != hypervisor.NetworkNAT || spec1.Data == nil || spec1.Data.Size != 64<<20 {
		t.Errorf("the machine is made of %+v", spec1)
	}
}

func TestNewImageVersion(t *testing.T) {
	t.Parallel()
	i, c, _ := one(t)
	c.mustStart(alice)
	first := c.Host.Running()[0].Layer
	i.push("office")
	c.mustRefresh()
	// A persistent machine stays on the image that its changes lie over.
	if got := c.only(alice).Image; got != "office/1" {
		t.Errorf("the persistent machine is said to be on %s", got)
	}
	if err := c.act(alice, agentapi.CommandRestart); err != nil {
		t.Fatal(err)
	}
	eventually(t, "restart", func() bool { return c.Host.Starts() == 2 && len(c.Host.Running()) == 1 })
	if layer := c.Host.Running()[0].Layer; layer != first {
		t.Errorf("the persistent machine moved from %s to %s", first, layer)
	}
}

func TestRevertibleFollowsTheImage(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	i.push("office")
	i.user("alice")
	spec := strings.Replace(office, "revertible: false", "revertible: true", 1)
	w := i.workspace("Office", spec, grant("alice"))
	c := newComputer(t, "desk")
	c.enrol(i.joinToken())
	c.signIn(alice, "alice")
	c.await(alice, "ready")
	c.mustStart(alice)
	first := c.Host.Running()[0]
	if first.Overlay != hypervisor.OverlayDiscard {
		t.Errorf("a revertible machine keeps its changes: %+v", first)
	}
	again := func() string {
		t.Helper()
		if err := c.act(alice, agentapi.CommandStop); err != nil {
			t.Fatal(err)
		}
		c.await(alice, "ready")
		c.mustStart(alice)
		return c.Host.Running()[0].Layer
	}
	i.push("office")
	eventually(t, "the new version is offered", func() bool {
		return c.refresh() == nil && c.only(alice).Update == "office/2"
	})
	if again() != first.Layer {
		t.Error("the version that is suggested was taken unasked")
	}
	i.change(w.ID, "Office", strings.Replace(spec, "revertible: true", "revertible: true\n  updates: {mode: force}", 1), grant("alice"))
	eventually(t, "the new version is forced", func() bool {
		return c.refresh() == nil && c.only(alice).UpdateAtNextStart == "office/2"
	})
	if again() == first.Layer {
		t.Error("the revertible machine still starts from the old image")
	}
}

func TestWithdrawnGrantStopsAndKeeps(t *testing.T) {
	t.Parallel()
	i, c, w := one(t)
	i.user("bob")
	c.mustStart(alice)
	disks := filepath.Join(c.Dir, "state", "machines", string(c.only(alice).Machine), "vm")
	i.change(w.ID, "Office", office, grant("bob"))
	c.mustRefresh()
	got := c.await(alice, "ready")
	if got.Permitted || !strings.Contains(got.Verdict, "no grant") {
		t.Errorf("after the grant was taken away: %+v", got)
	}
	if _, err := os.Stat(disks); err != nil {
		t.Errorf("the machine's disks are gone: %v", err)
	}
	if err := c.act(alice, agentapi.CommandStart); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("start without a grant: %v", err)
	}
	c.restart()
	if err := c.act(alice, agentapi.CommandStart); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("start without a grant after a restart: %v", err)
	}
	i.change(w.ID, "Office", office, grant("alice"))
	c.mustRefresh()
	if again := c.mustStart(alice); again.Machine != got.Machine {
		t.Errorf("machine %s became %s", got.Machine, again.Machine)
	}
	c.mustRefresh()
	c.mustRefresh()
	if n := i.count("desk", event.LeaseWithdrawn); n != 1 {
		t.Errorf("the withdrawal was told %d times", n)
	}
	if n := i.count("desk", event.WorkspaceDeleted); n != 0 {
		t.Error("a machine was deleted")
	}
}

// What was withdrawn by signing out says after the next sign-in why it is still.
func TestGrantGoneWhileSignedOut(t *testing.T) {
	t.Parallel()
	i, c, w := one(t)
	i.user("bob")
	if err := c.Agent.SignOut(t.Context(), me(alice), agentapi.SignOutRequest{}); err != nil {
		t.Fatal(err)
	}
	i.change(w.ID, "Office", office, grant("bob"))
	c.signIn(alice, "alice")
	c.mustRefresh()
	if got := c.only(alice); got.Permitted || !strings.Contains(got.Verdict, "no grant") {
		t.Errorf("after signing in again: %+v", got)
	}
	c.mustRefresh()
	if n := i.count("desk", event.LeaseWithdrawn); n != 2 {
		t.Errorf("the withdrawals were told %d times", n)
	}
}

func TestGraceAtTheLimit(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	i.push("office")
	i.user("alice")
	i.workspace("Office", office, strings.Replace(grant("alice"), "grace: 0s", "grace: 30m", 1))
	c := newComputer(t, "desk")
	c.enrol(i.joinToken())
	c.signIn(alice, "alice")
	c.await(alice, "ready")
	c.mustStart(alice)
	i.shut()
	c.Pass(8*time.Hour + 10*time.Minute)
	if w := c.only(alice); w.State != "running" || w.Permitted || w.OfflineLeft != nil || !strings.Contains(w.Detail, "stops at ") || !strings.Contains(w.Verdict, "save your work") {
		t.Errorf("ten minutes after the limit: %+v", w)
	}
	if r, err := c.run(alice, "Hello"); err != nil || r.ExitStatus != 0 {
		t.Errorf("within the grace: %+v, %v", r, err)
	}
	c.Pass(30 * time.Minute)
	if w := c.await(alice, "ready"); w.OfflineLeft != nil || !strings.Contains(w.Detail, "off-line") || !strings.Contains(w.Detail, "may not start") {
		t.Errorf("after the grace: %+v", w)
	}
	if err := c.act(alice, agentapi.CommandStart); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("start after the grace: %v", err)
	}
}

func TestNoOfflineWork(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	i.push("office")
	i.user("alice")
	i.workspace("Office", office, "- principal: {directory: local, kind: user, name: alice}\n  offline: {allow: none}\n")
	c := newComputer(t, "desk")
	c.enrol(i.joinToken())
	c.signIn(alice, "alice")
	c.await(alice, "ready")
	c.mustStart(alice)
	i.shut()
	c.await(alice, "ready") // three poll intervals of a second
	i.start()
	c.mustRefresh()
	c.mustStart(alice)
}

func TestOrders(t *testing.T) {
	t.Parallel()
	i, c, _ := one(t)
	w := c.mustStart(alice)
	client := func() dormer.ClientID {
		s, err := c.Agent.Status(t.Context(), me(alice))
		if err != nil {
			t.Fatal(err)
		}
		return s.Client
	}()
	order := func(kind string) {
		t.Helper()
		if _, err := i.Admin.Order(t.Context(), client, rest.NewOrder{Kind: kind, Machine: w.Machine, Reason: "for the test", Confirm: true}); err != nil {
			t.Fatalf("order %s: %v", kind, err)
		}
		c.mustRefresh()
	}
	order("stop")
	c.await(alice, "ready")
	c.mustStart(alice) // an order to stop is for once
	for range 3 {
		c.mustRefresh()
	}
	if got := c.only(alice); got.State != "running" {
		t.Errorf("the order was carried out again: %+v", got)
	}

	order("delete")
	folder := filepath.Join(c.Dir, "state", "machines", string(w.Machine))
	eventually(t, "the machine is deleted", func() bool {
		_, err := os.Stat(folder)
		return errors.Is(err, os.ErrNotExist)
	})
	if len(c.Host.Running()) != 0 {
		t.Error("the deleted machine runs")
	}
	eventually(t, "a new machine", func() bool {
		if c.refresh() != nil {
			return false
		}
		all, err := c.Agent.Workspaces(t.Context(), me(alice))
		return err == nil && len(all) == 1 && all[0].Machine != w.Machine && all[0].State == "ready"
	})
	c.mustRefresh()
	if n := i.count("desk", event.OrderRun); n != 2 {
		t.Errorf("%d orders were told of, want 2", n)
	}
}

func TestRevokedClient(t *testing.T) {
	t.Parallel()
	i, c, _ := one(t)
	c.mustStart(alice)
	s, err := c.Agent.Status(t.Context(), me(alice))
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Admin.RevokeClient(t.Context(), s.Client); err != nil {
		t.Fatal(err)
	}
	if err := c.refresh(); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("poll of a revoked client: %v", err)
	}
	w := c.await(alice, "ready")
	if w.Permitted {
		t.Errorf("after the revocation: %+v", w)
	}
	c.restart()
	if err := c.act(alice, agentapi.CommandStart); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("start on a revoked client: %v", err)
	}
	// A join token that does not count leaves the old identity as it is.
	before, err := os.ReadFile(filepath.Join(c.Dir, "state", "client.key"))
	if err != nil {
		t.Fatal(err)
	}
	used, err := i.Admin.CreateJoinToken(t.Context(), rest.NewJoinToken{Name: "revoked", Managed: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Admin.RevokeJoinToken(t.Context(), used.ID); err != nil {
		t.Fatal(err)
	}
	if err := c.Agent.Enrol(t.Context(), me(0), agentapi.EnrolRequest{JoinToken: used.Token}); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("a revoked token: %v", err)
	}
	if after, err := os.ReadFile(filepath.Join(c.Dir, "state", "client.key")); err != nil || !bytes.Equal(before, after) {
		t.Errorf("a refused enrolment has changed the client's key (%v)", err)
	}
	// It may enrol again, as another client.
	c.enrol(i.joinToken())
	again, err := c.Agent.Status(t.Context(), me(alice))
	if err != nil || again.Client == s.Client || !again.Online || !strings.Contains(strings.Join(again.Notes, "; "), "must sign in again") {
		t.Errorf("enrolled again: %+v, %v", again, err)
	}
	if err := c.Agent.SignOut(t.Context(), me(alice), agentapi.SignOutRequest{}); err == nil || !strings.Contains(err.Error(), "nobody is signed in") {
		t.Errorf("signing out of the earlier enrolment: %v", err)
	}
	// The earlier machine keeps its data and does not take the name.
	c.signIn(alice, "alice")
	both := func(state string) (old, fresh agentapi.Workspace) {
		t.Helper()
		eventually(t, "both machines, the new one "+state, func() bool {
			all, err := c.Agent.Workspaces(t.Context(), me(alice))
			if err != nil || len(all) != 2 {
				return false
			}
			old, fresh = all[0], all[1]
			if old.Machine != w.Machine {
				old, fresh = fresh, old
			}
			return fresh.State == state
		})
		return old, fresh
	}
	for range 2 {
		old, fresh := both("ready")
		if old.Name == "Office" || old.Permitted || !strings.Contains(old.Detail, string(w.Machine)) || !strings.Contains(old.Verdict, "earlier enrolment") || old.Image != "office/1" {
			t.Errorf("the earlier machine: %+v", old)
		}
		if got, err := c.Agent.Act(t.Context(), me(alice), "office", agentapi.CommandStart); err != nil || got.Machine != fresh.Machine {
			t.Errorf("start by name: %+v, %v", got, err)
		}
		both("running")
		if _, err := c.Agent.Act(t.Context(), me(alice), "Office", agentapi.CommandStop); err != nil {
			t.Errorf("stop by name: %v", err)
		}
		both("ready")
		c.restart()
	}
	if _, err := os.Stat(filepath.Join(c.Dir, "state", "machines", string(w.Machine), "vm")); err != nil {
		t.Errorf("the disks of the earlier machine: %v", err)
	}
	if err := c.Agent.SignOut(t.Context(), me(alice), agentapi.SignOutRequest{}); err != nil {
		t.Error(err)
	}
	if _, err := c.Agent.Act(t.Context(), me(alice), "Office", agentapi.CommandStart); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("start when none of them may: %v", err)
	}
}

func TestJoinTokens(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	c := newComputer(t, "desk")
	enrol := func(token string) error {
		return c.Agent.Enrol(t.Context(), me(0), agentapi.EnrolRequest{JoinToken: token})
	}
	once, err := i.Admin.CreateJoinToken(t.Context(), rest.NewJoinToken{Name: "once", Managed: true, MaxUses: 1, LifetimeHours: 1})
	if err != nil {
		t.Fatal(err)
	}
	unmanaged, err := i.Admin.CreateJoinToken(t.Context(), rest.NewJoinToken{Name: "own", Unmanaged: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := enrol("dormer1.nonsense"); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("no token: %v", err)
	}
	if err := enrol(unmanaged.Token); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("a token for agents of users: %v", err)
	}
	if err := c.Agent.Enrol(t.Context(), me(alice), agentapi.EnrolRequest{JoinToken: once.Token}); !errors.Is(err, dormer.ErrDenied) && os.Getuid() != alice {
		t.Errorf("enrolled by just anybody: %v", err)
	}
	i.Ahead.Add(int64(2 * time.Hour))
	if err := enrol(once.Token); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("an expired token: %v", err)
	}
	i.Ahead.Store(0)
	if err := enrol(once.Token); err != nil {
		t.Fatal(err)
	}
	if err := enrol(once.Token); !errors.Is(err, dormer.ErrExists) {
		t.Errorf("enrolled twice: %v", err)
	}
	other := newComputer(t, "other")
	if err := other.Agent.Enrol(t.Context(), me(0), agentapi.EnrolRequest{JoinToken: once.Token}); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("a used token: %v", err)
	}
}

func TestTwoUsersOfOneComputer(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	i.push("office")
	i.user("alice")
	i.user("bob")
	i.workspace("Office", office, grant("alice")+grant("bob"))
	c := newComputer(t, "desk")
	c.enrol(i.joinToken())
	c.signIn(alice, "alice")
	c.signIn(bob, "bob")
	a, b := c.await(alice, "ready"), c.await(bob, "ready")
	if a.Machine == b.Machine || a.User != "alice" || b.User != "bob" {
		t.Fatalf("machines %+v and %+v", a, b)
	}
	// What bob may do with alice's machine: nothing, not even know of it.
	for _, command := range []agentapi.Command{agentapi.CommandStart, agentapi.CommandStop, agentapi.CommandRestart, agentapi.CommandKill} {
		if _, err := c.Agent.Act(t.Context(), me(bob), string(a.Machine), command); !errors.Is(err, dormer.ErrNotFound) {
			t.Errorf("bob's %s of alice's machine: %v", command, err)
		}
	}
	if _, err := c.Agent.RunApplication(t.Context(), me(bob), string(a.Machine), agentapi.RunRequest{Application: "Hello"}); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("bob's application in alice's machine: %v", err)
	}
	if err := c.Agent.SignOut(t.Context(), me(bob), agentapi.SignOutRequest{User: "alice"}); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("bob signed alice out: %v", err)
	}
	d, err := c.Agent.Diagnostics(t.Context(), me(bob))
	if err != nil || len(d.Machines) != 1 || d.Machines[0].Machine != b.Machine || len(d.Status.Users) != 1 {
		t.Errorf("bob's diagnostics: %+v, %v", d, err)
	}
	// Nor can bob take alice's place by signing in as alice.
	if _, err := c.Agent.SignIn(t.Context(), me(bob), agentapi.SignInRequest{User: "alice", Password: userPassword}); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("bob signed in as alice: %v", err)
	}
	c.mustStart(alice)
	c.mustStart(bob)
	if r := c.Host.Running(); len(r) != 2 || r[0].Dir == r[1].Dir {
		t.Errorf("running: %+v", r)
	}
	if err := c.Agent.SignOut(t.Context(), me(alice), agentapi.SignOutRequest{}); err != nil {
		t.Fatal(err)
	}
	if w := c.await(alice, "ready"); w.Permitted {
		t.Errorf("signed out: %+v", w)
	}
	if w := c.only(bob); w.State != "running" {
		t.Errorf("bob's machine after alice signed out: %+v", w)
	}
	if _, err := c.Agent.SignIn(t.Context(), me(alice), agentapi.SignInRequest{User: "alice", Password: "wrong password"}); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("wrong password: %v", err)
	}
	c.signIn(alice, "alice")
	if w := c.mustStart(alice); w.Machine != a.Machine {
		t.Errorf("alice has another machine: %+v", w)
	}
}
