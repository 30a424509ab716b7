package producttest

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agent"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/fake"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/wire"
)

// computer is one client: its clocks, its hypervisor and its agent, which goes
// and comes back.
type computer struct {
	t      *testing.T
	name   string
	dir    string
	host   *fake.Host
	began  time.Time
	wall   atomic.Int64 // how far the wall clock is ahead of the real one
	boot   atomic.Int64 // how much longer the computer has been on
	boots  int
	agent  *agent.Agent
	silent atomic.Bool // machines that run do not answer who looks for them
	images *agent.StoreImages
	stop   context.CancelFunc
	ended  chan error
}

func newComputer(t *testing.T, name string) *computer {
	t.Helper()
	c := &computer{t: t, name: name, dir: t.TempDir(), began: time.Now()}
	c.host = fake.NewHost(time.Now)
	c.start()
	t.Cleanup(c.shut)
	return c
}

// pass lets time go by for the computer's clocks.
func (c *computer) pass(d time.Duration) {
	c.wall.Add(int64(d))
	c.boot.Add(int64(d))
}

// setWall sets the wall clock.
func (c *computer) setWall(to time.Time) { c.wall.Store(int64(time.Until(to))) }

func (c *computer) clocks() lease.TimeSources {
	return lease.TimeSources{
		Wall:   func() time.Time { return time.Now().Add(time.Duration(c.wall.Load())) },
		Boot:   func() time.Duration { return time.Since(c.began) + time.Duration(c.boot.Load()) },
		BootID: fmt.Sprintf("boot %d", c.boots),
	}
}

// start runs the agent.
func (c *computer) start() {
	c.t.Helper()
	var err error
	if c.images, err = agent.OpenImages(filepath.Join(c.dir, "images")); err != nil {
		c.t.Fatal(err)
	}
	c.agent, err = newAgent(c, c.images)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	c.stop, c.ended = stop, make(chan error, 1)
	go func() { c.ended <- c.agent.Run(ctx) }()
}

// driver is that of the host.
type driver struct {
	hypervisor.Driver
	silent *atomic.Bool
}

func (d driver) Adopt(ctx context.Context, dir string) (hypervisor.Machine, error) {
	m, err := d.Driver.Adopt(ctx, dir)
	if err == nil && d.silent.Load() {
		return nil, fmt.Errorf("machine process does not answer: %w", dormer.ErrUnavailable)
	}
	return m, err
}

func newAgent(c *computer, images agent.Images) (*agent.Agent, error) {
	return agent.New(agent.Config{
		StateDir: filepath.Join(c.dir, "state"), Managed: true, Version: "1.0-test",
		StopTime: time.Second, LookEvery: 20 * time.Millisecond, LimitsEvery: 20 * time.Millisecond,
	}, agent.Deps{
		Driver: driver{c.host.Driver(), &c.silent}, Images: images, Time: c.clocks(), Random: rand.Reader, Logger: logger(c.t),
		Host: func() wire.Host {
			return wire.Host{Name: c.name, OS: "linux", Arch: "amd64", MemoryMiB: 4096, Processors: 2}
		},
		OwnUID: uint32(os.Getuid()),
	})
}

// shut stops the agent; its machines go on.
func (c *computer) shut() {
	if c.stop == nil {
		return
	}
	c.stop()
	c.stop = nil
	if err := <-c.ended; err != nil {
		c.t.Errorf("agent of %s: %v", c.name, err)
	}
	if err := c.images.Close(); err != nil {
		c.t.Error(err)
	}
}

func (c *computer) restart() {
	c.shut()
	c.start()
}

// reboot starts the computer again, its machines gone.
func (c *computer) reboot() {
	c.shut()
	c.host.PowerCut()
	c.boots++
	c.began = time.Now()
	c.boot.Store(0)
	c.start()
}

// me is a user of the computer.
func me(uid uint32) agentapi.Peer { return agentapi.Peer{UID: uid} }

const alice, bob = 1001, 1002

func (c *computer) enrol(token string) {
	c.t.Helper()
	if err := c.agent.Enrol(c.t.Context(), me(0), agentapi.EnrolRequest{JoinToken: token}); err != nil {
		c.t.Fatalf("enrol %s: %v", c.name, err)
	}
}

func (c *computer) signIn(uid uint32, user string) {
	c.t.Helper()
	if _, err := c.agent.SignIn(c.t.Context(), me(uid), agentapi.SignInRequest{User: user, Password: userPassword}); err != nil {
		c.t.Fatalf("sign %s in on %s: %v", user, c.name, err)
	}
}

func (c *computer) refresh() error {
	_, err := c.agent.Refresh(c.t.Context(), me(0))
	return err
}

func (c *computer) mustRefresh() {
	c.t.Helper()
	if err := c.refresh(); err != nil {
		c.t.Fatalf("poll of %s: %v", c.name, err)
	}
}

// only returns the one workspace of a user.
func (c *computer) only(uid uint32) agentapi.Workspace {
	c.t.Helper()
	all, err := c.agent.Workspaces(c.t.Context(), me(uid))
	if err != nil || len(all) != 1 {
		c.t.Fatalf("%s: %d workspaces, %v", c.name, len(all), err)
	}
	return all[0]
}

// await waits until the user's one workspace is in a state.
func (c *computer) await(uid uint32, state string) agentapi.Workspace {
	c.t.Helper()
	var w agentapi.Workspace
	last := ""
	eventually(c.t, c.name+": workspace "+state, func() bool {
		all, err := c.agent.Workspaces(c.t.Context(), me(uid))
		if err != nil || len(all) != 1 {
			return false
		}
		w = all[0]
		if now := w.State + " " + w.Error; now != last {
			last = now
			c.t.Logf("%s: %s (%s)", c.name, now, w.Verdict)
		}
		return w.State == state
	})
	return w
}

func (c *computer) act(uid uint32, command agentapi.Command) error {
	c.t.Helper()
	_, err := c.agent.Act(c.t.Context(), me(uid), string(c.only(uid).Machine), command)
	return err
}

func (c *computer) mustStart(uid uint32) agentapi.Workspace {
	c.t.Helper()
	if err := c.act(uid, agentapi.CommandStart); err != nil {
		c.t.Fatalf("start on %s: %v", c.name, err)
	}
	return c.await(uid, "running")
}

func (c *computer) run(uid uint32, application string) (agentapi.RunResult, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	return c.agent.RunApplication(ctx, me(uid), string(c.only(uid).Machine), agentapi.RunRequest{Application: application})
}
