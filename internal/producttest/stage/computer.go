package stage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/agent"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/fake"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/wire"
)

// Computer is one client: its clocks, its hypervisor and its agent, which goes
// and comes back.
type Computer struct {
	Name string
	// Dir keeps the agent's state and its images.
	Dir  string
	Host *fake.Host
	// Agent is the one that runs; another after each Start.
	Agent *agent.Agent
	// Images is the store of Agent.
	Images *agent.StoreImages
	// Silent: machines that run do not answer who looks for them.
	Silent atomic.Bool

	log   *slog.Logger
	began time.Time
	wall  atomic.Int64 // how far the wall clock is ahead of the real one
	boot  atomic.Int64 // how much longer the computer has been on
	boots int
	stop  context.CancelFunc
	ended chan error
}

// NewComputer prepares a computer that keeps what it has in dir.
func NewComputer(name, dir string, log *slog.Logger) *Computer {
	return &Computer{Name: name, Dir: dir, Host: fake.NewHost(time.Now), log: log, began: time.Now()}
}

// Pass lets time go by for the computer's clocks.
func (c *Computer) Pass(d time.Duration) {
	c.wall.Add(int64(d))
	c.boot.Add(int64(d))
}

// SetWall sets the wall clock.
func (c *Computer) SetWall(to time.Time) { c.wall.Store(int64(time.Until(to))) }

func (c *Computer) clocks() lease.TimeSources {
	return lease.TimeSources{
		Wall:   func() time.Time { return time.Now().Add(time.Duration(c.wall.Load())) },
		Boot:   func() time.Duration { return time.Since(c.began) + time.Duration(c.boot.Load()) },
		BootID: fmt.Sprintf("boot %d", c.boots),
	}
}

// Start runs the agent.
func (c *Computer) Start() error {
	var err error
	if c.Images, err = agent.OpenImages(filepath.Join(c.Dir, "images")); err != nil {
		return fmt.Errorf("open images of %s: %w", c.Name, err)
	}
	if c.Agent, err = c.NewAgent(c.Images); err != nil {
		return fmt.Errorf("make agent of %s: %w", c.Name, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	c.stop, c.ended = stop, make(chan error, 1)
	go func() { c.ended <- c.Agent.Run(ctx) }()
	return nil
}

// zone is the time zone of the computer that the tests run on, which stays.
var zone = sync.OnceValue(agent.HostZone)

// NewAgent returns an agent on the computer's state that does not run.
func (c *Computer) NewAgent(images agent.Images) (*agent.Agent, error) {
	return agent.New(agent.Config{
		StateDir: filepath.Join(c.Dir, "state"), Managed: true, Version: "1.0-test",
		StopTime: time.Second, LookEvery: 20 * time.Millisecond, LimitsEvery: 50 * time.Millisecond,
		Cost: access.Cost{MemoryKiB: 64, Passes: 1, Threads: 1},
	}, agent.Deps{
		Driver: driver{c.Host.Driver(), &c.Silent}, Images: images, Time: c.clocks(), Random: rand.Reader, Logger: c.log,
		Host: func() wire.Host {
			return wire.Host{Name: c.Name, OS: "linux", Arch: "amd64", MemoryMiB: 4096, Processors: 2}
		},
		Zone: zone, OwnUID: uint32(os.Getuid()),
	})
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

// Runs reports whether the agent runs.
func (c *Computer) Runs() bool { return c.stop != nil }

// Shut stops the agent; its machines go on. Repeating it changes nothing.
func (c *Computer) Shut() error {
	if c.stop == nil {
		return nil
	}
	c.stop()
	c.stop = nil
	if err := errors.Join(<-c.ended, c.Images.Close()); err != nil {
		return fmt.Errorf("agent of %s: %w", c.Name, err)
	}
	return nil
}

// Reboot starts the computer again, its machines gone.
func (c *Computer) Reboot() error {
	if err := c.Shut(); err != nil {
		return err
	}
	c.Host.PowerCut()
	c.boots++
	c.began = time.Now()
	c.boot.Store(0)
	return c.Start()
}

// Me is a user of the computer.
func Me(uid uint32) agentapi.Peer { return agentapi.Peer{UID: uid} }

// Enrol makes the computer a client.
func (c *Computer) Enrol(ctx context.Context, token string) error {
	if err := c.Agent.Enrol(ctx, Me(0), agentapi.EnrolRequest{JoinToken: token}); err != nil {
		return fmt.Errorf("enrol %s: %w", c.Name, err)
	}
	return nil
}

// SignIn signs a user of the server in as a user of the computer.
func (c *Computer) SignIn(ctx context.Context, uid uint32, user string) error {
	if _, err := c.Agent.SignIn(ctx, Me(uid), agentapi.SignInRequest{User: user, Password: UserPassword}); err != nil {
		return fmt.Errorf("sign %s in on %s: %w", user, c.Name, err)
	}
	return nil
}

// Refresh polls the server at once.
func (c *Computer) Refresh(ctx context.Context) error {
	_, err := c.Agent.Refresh(ctx, Me(0))
	return err
}
