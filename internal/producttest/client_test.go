package producttest

import (
	"context"
	"testing"

	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/producttest/stage"
)

// computer is one client: its clocks, its hypervisor and its agent, which goes
// and comes back.
type computer struct {
	*stage.Computer
	t *testing.T
}

func newComputer(t *testing.T, name string) *computer {
	t.Helper()
	c := &computer{Computer: stage.NewComputer(name, t.TempDir(), logger(t)), t: t}
	c.start()
	t.Cleanup(c.shut)
	return c
}

// start runs the agent.
func (c *computer) start() {
	c.t.Helper()
	if err := c.Start(); err != nil {
		c.t.Fatal(err)
	}
}

// shut stops the agent; its machines go on.
func (c *computer) shut() {
	c.t.Helper()
	if err := c.Shut(); err != nil {
		c.t.Error(err)
	}
}

func (c *computer) restart() {
	c.t.Helper()
	c.shut()
	c.start()
}

// reboot starts the computer again, its machines gone.
func (c *computer) reboot() {
	c.t.Helper()
	if err := c.Reboot(); err != nil {
		c.t.Fatal(err)
	}
}

// me is a user of the computer.
func me(uid uint32) agentapi.Peer { return stage.Me(uid) }

const alice, bob = 1001, 1002

func (c *computer) enrol(token string) {
	c.t.Helper()
	if err := c.Enrol(c.t.Context(), token); err != nil {
		c.t.Fatal(err)
	}
}

func (c *computer) signIn(uid uint32, user string) {
	c.t.Helper()
	if err := c.SignIn(c.t.Context(), uid, user); err != nil {
		c.t.Fatal(err)
	}
}

func (c *computer) refresh() error { return c.Refresh(c.t.Context()) }

func (c *computer) mustRefresh() {
	c.t.Helper()
	if err := c.refresh(); err != nil {
		c.t.Fatalf("poll of %s: %v", c.Name, err)
	}
}

// only returns the one workspace of a user.
func (c *computer) only(uid uint32) agentapi.Workspace {
	c.t.Helper()
	all, err := c.Agent.Workspaces(c.t.Context(), me(uid))
	if err != nil || len(all) != 1 {
		c.t.Fatalf("%s: %d workspaces, %v", c.Name, len(all), err)
	}
	return all[0]
}

// await waits until the user's one workspace is in a state.
func (c *computer) await(uid uint32, state string) agentapi.Workspace {
	c.t.Helper()
	var w agentapi.Workspace
	last := ""
	eventually(c.t, c.Name+": workspace "+state, func() bool {
		all, err := c.Agent.Workspaces(c.t.Context(), me(uid))
		if err != nil || len(all) != 1 {
			return false
		}
		w = all[0]
		if now := w.State + " " + w.Error; now != last {
			last = now
			c.t.Logf("%s: %s (%s)", c.Name, now, w.Verdict)
		}
		return w.State == state
	})
	return w
}

func (c *computer) act(uid uint32, command agentapi.Command) error {
	c.t.Helper()
	_, err := c.Agent.Act(c.t.Context(), me(uid), string(c.only(uid).Machine), command)
	return err
}

func (c *computer) mustStart(uid uint32) agentapi.Workspace {
	c.t.Helper()
	if err := c.act(uid, agentapi.CommandStart); err != nil {
		c.t.Fatalf("start on %s: %v", c.Name, err)
	}
	return c.await(uid, "running")
}

func (c *computer) run(uid uint32, application string) (agentapi.RunResult, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	return c.Agent.RunApplication(ctx, me(uid), string(c.only(uid).Machine), agentapi.RunRequest{Application: application})
}
