// Package guest is the program dormer-guest, the agent inside a virtual
// machine. It answers the host on one virtio-serial port: it runs commands as
// the guest's user, mounts the data disk, says how the guest is and shuts it
// down. Only cmd/dormer-guest imports it.
//
// It trusts the host, which holds the guest in its hand anyway. It runs as the
// guest's administrator.
package guest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/dormer-project/dormer/internal/guestwire"
)

// Config is what the agent is told at its start.
type Config struct {
	// Port is the device of the virtio-serial port; empty finds it by name.
	Port string
	// User runs commands that name no user; empty is the first regular user.
	User string
	// Root is the root of the system that files are looked for and written in;
	// empty is "/". Tests name another.
	Root    string
	Version string
	Log     *slog.Logger
	Now     func() time.Time
}

// reopen is how long to wait before the port is looked for or opened again.
const reopen = 100 * time.Millisecond

// Guest is the agent.
type Guest struct {
	cfg   Config
	input *activity

	channels  channels
	arranging sync.Mutex // held while who is signed on, and what is theirs, changes

	mu           sync.Mutex // guards the fields below
	applications int
	locked       bool
	signed       signed
	ofSystem     ofSystem
}

// signed is the user whom the host has signed on. The zero value is nobody.
type signed struct {
	account, principal string
	// password is a hash under a key of this run: it shows a change, and is of
	// no use to anybody else.
	password [sha256.Size]byte
}

// New returns an agent.
func New(cfg Config) (*Guest, error) {
	if cfg.Log == nil || cfg.Now == nil {
		return nil, errors.New("guest agent needs a log and a clock")
	}
	return &Guest{cfg: cfg, input: newActivity(cfg.Now)}, nil
}

// path is where a file of the guest's system is.
func (g *Guest) path(name string) string { return filepath.Join(g.cfg.Root, name) }

// Run serves the port until ctx ends. It waits for a port that is not there
// yet and opens it again when it was closed.
func (g *Guest) Run(ctx context.Context) error {
	go g.input.watch(ctx, g.cfg.Log)
	go g.care(ctx)
	go g.serveChannels(ctx)
	tick := time.NewTicker(reopen)
	defer tick.Stop()
	var last string
	for {
		err := g.open(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && err.Error() != last {
			last = err.Error()
			g.cfg.Log.Info("port is not usable; trying again", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (g *Guest) open(ctx context.Context) error {
	path := g.cfg.Port
	if path == "" {
		found, err := findPort()
		if err != nil {
			return err
		}
		path = found
	}
	port, err := openPort(path)
	if err != nil {
		return fmt.Errorf("open port: %w", err)
	}
	g.cfg.Log.Info("port is open", slog.String("port", path))
	return g.Serve(ctx, port)
}

// Serve answers the host on port until ctx or the port ends, and closes port.
// A port whose host end is closed reads as ended; it is kept open and read
// again, because closing it would lose what the host sends next.
func (g *Guest) Serve(ctx context.Context, port io.ReadWriteCloser) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		if err := port.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
			g.cfg.Log.Debug("close port", slog.Any("error", err))
		}
	})
	defer stop()
	c := newConversation(g, port)
	defer c.end()
	tick := time.NewTicker(reopen)
	defer tick.Stop()
	r := guestwire.NewReader(port)
	for {
		f, err := r.ReadFrame()
		switch {
		case err == nil:
			c.take(ctx, f)
		case guestwire.Recoverable(err):
			g.cfg.Log.Debug("host sends what is no frame", slog.Any("error", err))
		case errors.Is(err, io.EOF) && reopensItself(port):
			c.reset("")
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
		default:
			return fmt.Errorf("read port: %w", err)
		}
	}
}
