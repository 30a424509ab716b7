package producttest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/server"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// events returns all events of the instance, oldest first.
func (i *instance) events() []rest.EventRow {
	i.t.Helper()
	var all []rest.EventRow
	q := rest.ReportQuery{Days: 30, Limit: 1000}
	for {
		page, err := i.Admin.ActivityReport(i.t.Context(), q)
		if err != nil {
			i.t.Fatal(err)
		}
		all = append(page.Items, all...)
		if page.Next == "" || len(page.Items) == 0 {
			return all
		}
		q.After = page.Next
	}
}

// count counts the events of one code of a host.
func (i *instance) count(host string, code event.Code) int {
	i.t.Helper()
	n := 0
	for _, e := range i.events() {
		if e.Host == host && e.Code == int(code) {
			n += max(1, int(e.Count)) // a loop is one row with its count
		}
	}
	return n
}

// patiently repeats what is refused for being asked too often.
func patiently(t *testing.T, f func() error) error {
	t.Helper()
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for {
		err := f()
		if !errors.Is(err, dormer.ErrUnavailable) {
			return err
		}
		select {
		case <-tick.C:
		case <-end:
			return err
		}
	}
}

// TestManyClients is the main job on many computers at once: enrol, sign in,
// get image and lease, start, run an application, work on without the server,
// and send every event once when it is back.
func TestManyClients(t *testing.T) {
	t.Parallel()
	const clients = 50
	i := newInstance(t)
	i.push("office")
	grants := ""
	for n := range clients {
		i.user(fmt.Sprintf("user%d", n))
		grants += grant(fmt.Sprintf("user%d", n))
	}
	i.workspace("Office", office, grants)
	token := i.joinToken()

	all := make([]*computer, clients)
	each := func(f func(n int, c *computer)) {
		t.Helper()
		var wg sync.WaitGroup
		for n, c := range all {
			wg.Go(func() { f(n, c) })
		}
		wg.Wait()
		if t.Failed() {
			t.FailNow()
		}
	}
	for n := range all {
		all[n] = newComputer(t, fmt.Sprintf("desk%d", n))
	}
	each(func(n int, c *computer) {
		// All come from one address, and the server bounds attempts by address.
		if err := patiently(t, func() error {
			return c.Agent.Enrol(t.Context(), me(0), agentapi.EnrolRequest{JoinToken: token})
		}); err != nil {
			t.Errorf("enrol: %v", err)
			return
		}
		if err := patiently(t, func() error {
			_, err := c.Agent.SignIn(t.Context(), me(alice), agentapi.SignInRequest{User: fmt.Sprintf("user%d", n), Password: userPassword})
			return err
		}); err != nil {
			t.Errorf("sign in: %v", err)
		}
	})
	for _, c := range all {
		c.await(alice, "ready")
	}
	each(func(_ int, c *computer) {
		r, err := c.run(alice, "hello")
		if err != nil || string(r.Stdout) != "hello world\n" || r.ExitStatus != 0 {
			t.Errorf("%s: %+v, %v", c.Name, r, err)
		}
	})

	i.shut()
	each(func(_ int, c *computer) {
		if err := c.refresh(); !errors.Is(err, dormer.ErrUnavailable) {
			t.Errorf("%s: a poll without a server: %v", c.Name, err)
		}
		if err := c.act(alice, agentapi.CommandRestart); err != nil {
			t.Errorf("%s: restart off-line: %v", c.Name, err)
		}
		if r, err := c.run(alice, "Hello"); err != nil || string(r.Stdout) != "hello world\n" {
			t.Errorf("%s: off-line: %+v, %v", c.Name, r, err)
		}
		if r, err := c.run(alice, "Fail"); err != nil || r.ExitStatus != 1 {
			t.Errorf("%s: a command that fails: %+v, %v", c.Name, r, err)
		}
		if _, err := c.run(alice, "none such"); !errors.Is(err, dormer.ErrNotFound) {
			t.Errorf("%s: an application that is not published: %v", c.Name, err)
		}
	})
	// A client counts as connected for three intervals: long enough for the last one's poll.
	i.Config.Clients.PollInterval = server.Duration(time.Minute)
	i.start()
	each(func(_ int, c *computer) {
		for range 2 { // the second brings nothing new
			if err := patiently(t, c.refresh); err != nil {
				t.Errorf("%s: poll after the return: %v", c.Name, err)
			}
		}
	})
	perHost := map[string]map[int]int{}
	for _, e := range i.events() {
		if perHost[e.Host] == nil {
			perHost[e.Host] = map[int]int{}
		}
		perHost[e.Host][e.Code]++
	}
	for _, c := range all {
		for code, want := range map[event.Code]int{
			event.Enrolled: 1, event.SignedIn: 1, event.ImageStarted: 1, event.ImageFinished: 1,
			event.WorkspaceStarted: 2, event.ApplicationRun: 3, event.WorkspaceStopped: 1,
		} {
			if got := perHost[c.Name][int(code)]; got != want {
				t.Errorf("%s: %d events %d, want %d", c.Name, got, code, want)
			}
		}
	}
	rows, err := i.Admin.StatusReport(t.Context(), rest.ReportQuery{Days: 7, Limit: 1000})
	if err != nil || len(rows.Items) != clients {
		t.Errorf("the status report has %d rows, %v", len(rows.Items), err)
	}
	for _, r := range rows.Items {
		if r.Workspace != "Office" || !r.Connected || r.ClientVersion != "1.0-test" {
			t.Errorf("status report: %+v", r)
			break
		}
	}
}

// TestStatusIsFresh: what a client has just reported is in the status report,
// before it is written down.
func TestStatusIsFresh(t *testing.T) {
	t.Parallel()
	i, c, _ := one(t)
	for _, want := range []string{"running", "ready"} {
		if want == "running" {
			c.mustStart(alice)
		} else if err := c.act(alice, agentapi.CommandStop); err != nil {
			t.Fatal(err)
		}
		c.await(alice, want)
		c.mustRefresh()
		rows, err := i.Admin.StatusReport(t.Context(), rest.ReportQuery{Days: 1})
		if err != nil || len(rows.Items) != 1 || rows.Items[0].State != want || rows.Items[0].Image != "office/1" {
			t.Errorf("%s on the client: report %+v, %v", want, rows, err)
		}
	}
}

// one returns an instance with one enrolled computer on which alice is signed
// in and has the workspace Office.
func one(t *testing.T) (*instance, *computer, rest.Committed) {
	t.Helper()
	i := newInstance(t)
	i.push("office")
	i.user("alice")
	w := i.workspace("Office", office, grant("alice"))
	c := newComputer(t, "desk")
	c.enrol(i.joinToken())
	c.signIn(alice, "alice")
	c.await(alice, "ready")
	return i, c, w
}

func TestAgentRestartAndReboot(t *testing.T) {
	t.Parallel()
	i, c, _ := one(t)
	c.mustStart(alice)
	starts := c.Host.Starts()

	c.restart()
	if w := c.only(alice); w.State != "running" || c.Host.Starts() != starts {
		t.Errorf("after a restart of the agent the workspace is %s, started %d times more", w.State, c.Host.Starts()-starts)
	}
	if r, err := c.run(alice, "Hello"); err != nil || string(r.Stdout) != "hello world\n" {
		t.Errorf("the adopted machine: %+v, %v", r, err)
	}

	// Off-line, the computer is started again: lease and sealed keys open it.
	i.shut()
	c.reboot()
	if w := c.only(alice); w.State != "ready" || !w.Permitted {
		t.Errorf("after a reboot off-line: %+v", w)
	}
	if r, err := c.run(alice, "Hello"); err != nil || string(r.Stdout) != "hello world\n" {
		t.Errorf("after a reboot off-line: %+v, %v", r, err)
	}
	i.start()
	c.mustRefresh()
	c.mustRefresh()
	if n := i.count("desk", event.MachineAdopted); n != 1 {
		t.Errorf("%d adoptions were told", n)
	}
	if n := i.count("desk", event.AgentStarted); n != 3 {
		t.Errorf("%d starts of the agent were told, want 3", n)
	}
}

func TestClocks(t *testing.T) {
	t.Parallel()
	i, c, _ := one(t)
	c.mustStart(alice)
	i.shut()

	// Within the budget, with the clock set back again and again.
	for range 3 {
		c.Pass(2 * time.Hour)
		c.SetWall(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
	}
	if w := c.only(alice); w.State != "running" || !w.Permitted {
		t.Errorf("six hours off-line: %+v", w)
	}
	c.Pass(3 * time.Hour)
	if w := c.await(alice, "ready"); w.Permitted {
		t.Errorf("nine hours off-line: %+v", w)
	}
	if err := c.act(alice, agentapi.CommandStart); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("start after the limit: %v", err)
	}
	c.reboot()
	c.SetWall(time.Now())
	if err := c.act(alice, agentapi.CommandStart); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("start after limit and reboot: %v", err)
	}

	i.start()
	c.mustRefresh()
	c.mustStart(alice)

	// To 2099 and back, while the server is there.
	c.SetWall(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC))
	c.await(alice, "ready")
	c.SetWall(time.Now())
	c.mustRefresh() // although certificates of 2099 are asked for no more
	c.mustStart(alice)

	// To 2099 and back, while it is not.
	i.shut()
	c.SetWall(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC))
	c.await(alice, "ready")
	c.SetWall(time.Now())
	c.restart()
	if err := c.act(alice, agentapi.CommandStart); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("start after 2099: %v", err)
	}
	// To 2000, and the server back: the client trusts its own count for TLS.
	c.SetWall(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
	i.start()
	c.mustRefresh()
	c.mustStart(alice)
	if i.count("desk", event.ClockSetBack) == 0 {
		t.Error("nobody was told that the clock was set back")
	}
	if i.count("desk", event.WorkspaceLimit) == 0 || i.count("desk", event.WorkspaceOffline) == 0 {
		t.Error("nobody was told of the limit")
	}
}

// TestManyEvents gathers more events off-line than one poll takes.
func TestManyEvents(t *testing.T) {
	t.Parallel()
	const runs = 540
	i, c, _ := one(t)
	c.mustStart(alice)
	i.shut()
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			for range runs / 12 {
				if r, err := c.run(alice, "Hello"); err != nil || r.ExitStatus != 0 {
					t.Errorf("%+v, %v", r, err)
				}
			}
		})
	}
	wg.Wait()
	i.start()
	eventually(t, "all events are delivered", func() bool {
		if c.refresh() != nil {
			return false
		}
		s, err := c.Agent.Status(t.Context(), me(alice))
		return err == nil && s.EventsWaiting == 0
	})
	if n := i.count("desk", event.ApplicationRun); n != runs {
		t.Errorf("%d applications are in the report, %d were run", n, runs)
	}
}

// TestTokenRunsOut lets more than a day pass for the server.
func TestTokenRunsOut(t *testing.T) {
	t.Parallel()
	i, c, _ := one(t)
	for range 3 {
		i.Ahead.Add(int64(25 * time.Hour))
		c.Pass(25 * time.Hour)
		c.mustRefresh()
	}
	if w := c.only(alice); !w.Permitted {
		t.Errorf("on-line for three days: %+v", w)
	}
	// After thirty days the user signs in again.
	i.Ahead.Add(int64(30 * 24 * time.Hour))
	c.mustRefresh()
	s, err := c.Agent.Status(t.Context(), me(alice))
	if err != nil || len(s.Users) != 0 || s.Workspaces[0].Permitted {
		t.Errorf("after thirty days: %+v, %v", s, err)
	}
}
