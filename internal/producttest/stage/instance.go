// Package stage has the parts of which the whole product is put together in one
// process: instances, each a real server with its databases, TLS and repository,
// and computers, each a real agent with its store and a hypervisor in memory.
// Clocks are moved, servers and agents go and come back. Tests import it, and
// nothing else: producttest for the product itself, consoletest for the console.
package stage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/imagepack/packtest"
	"github.com/dormer-project/dormer/internal/imagesync"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/server"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Passwords of the first operator and of all users.
const (
	AdminPassword = "correct horse battery"
	UserPassword  = "a password for tests"
)

// Patience bounds each wait.
const Patience = time.Minute

// Instance is one server that goes and comes back on the same data and port.
type Instance struct {
	Config server.Config
	// Ahead is how far the server's clock is ahead of the real one.
	Ahead atomic.Int64
	// Admin asks the REST API as the first operator, from SignIn on.
	Admin *apiclient.Client
	// Token is that of Admin.
	Token string

	log    *slog.Logger
	pushed int
	stop   context.CancelFunc
	ended  chan error
}

// NewInstance prepares a server that keeps its data in dir and listens on a
// free port of the loopback interface.
func NewInstance(dir string, log *slog.Logger) (*Instance, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("find a port: %w", err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, fmt.Errorf("find a port: %w", err)
	}
	cfg := server.Default()
	cfg.Data = dir
	cfg.Listen, cfg.PublicURLs = []string{address}, []string{"https://" + address}
	cfg.Clients.PollInterval = server.Duration(time.Second)
	return &Instance{Config: cfg, log: log}, nil
}

// Now is the server's clock.
func (i *Instance) Now() time.Time { return time.Now().Add(time.Duration(i.Ahead.Load())) }

// Start runs the server and returns when it listens.
func (i *Instance) Start() error {
	ctx, stop := context.WithCancel(context.Background())
	listening := make(chan []net.Addr, 1)
	s, err := server.New(ctx, i.Config, server.Deps{
		Now: i.Now, Random: rand.Reader, Logger: i.log, Version: "test", Hostname: "server",
		PasswordCost: access.Cost{MemoryKiB: 64, Passes: 1, Threads: 1},
		Listening:    func(a []net.Addr) { listening <- a },
	})
	if err != nil {
		stop()
		return fmt.Errorf("make the server: %w", err)
	}
	i.stop, i.ended = stop, make(chan error, 1)
	go func() {
		err := s.Run(ctx)
		if closing := s.Close(); err == nil {
			err = closing
		}
		i.ended <- err
	}()
	select {
	case <-listening:
		return nil
	case err := <-i.ended:
		return fmt.Errorf("the server ended: %w", err)
	case <-time.After(Patience):
		return errors.New("the server does not listen")
	}
}

// Shut stops the server; repeating it changes nothing.
func (i *Instance) Shut() error {
	if i.stop == nil {
		return nil
	}
	i.stop()
	i.stop = nil
	select {
	case err := <-i.ended:
		if err != nil {
			return fmt.Errorf("the server ended with: %w", err)
		}
		return nil
	case <-time.After(Patience):
		return errors.New("the server does not end")
	}
}

// Authority returns what the server's certificate comes from, PEM.
func (i *Instance) Authority() ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(i.Config.Data, "keys", "tls", "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("read the server's authority: %w", err)
	}
	return b, nil
}

// Client returns a client of the REST API, which the caller closes.
func (i *Instance) Client(token string) (*apiclient.Client, error) {
	authority, err := i.Authority()
	if err != nil {
		return nil, err
	}
	return apiclient.New(apiclient.Config{Server: i.Config.PublicURLs[0], Authority: authority, Token: token, UserAgent: "test"})
}

// SignIn signs the first operator in, for the first time.
func (i *Instance) SignIn(ctx context.Context) error {
	password, err := os.ReadFile(filepath.Join(i.Config.Data, "first-admin-password"))
	if err != nil {
		return fmt.Errorf("read the first password: %w", err)
	}
	c, err := i.Client("")
	if err != nil {
		return err
	}
	defer c.Close()
	in, err := c.SignIn(ctx, rest.SignIn{User: "admin", Password: strings.TrimSpace(string(password)), NewPassword: AdminPassword})
	if err != nil {
		return fmt.Errorf("first sign-in: %w", err)
	}
	i.Token = in.Token
	i.Admin, err = i.Client(in.Token)
	return err
}

// JoinToken makes one that admits many clients of both kinds.
func (i *Instance) JoinToken(ctx context.Context) (string, error) {
	j, err := i.Admin.CreateJoinToken(ctx, rest.NewJoinToken{Name: "test", Managed: true, Unmanaged: true, MaxUses: 1000})
	if err != nil {
		return "", fmt.Errorf("make join token: %w", err)
	}
	return j.Token, nil
}

// imageSize is that of images' disks, in bytes; imageChanges is how many blocks
// the next version changes.
const (
	imageSize    = 1 << 20
	imageChanges = 5
)

// What is in the folder that an image is pushed from.
const (
	diskFile  = "disk.raw"
	packedDir = "packed"
)

// Push packs a small image, in the folder dir, and pushes it as the next version of name.
func (i *Instance) Push(ctx context.Context, dir, name string) (rest.ImageVersion, error) {
	return i.push(ctx, dir, name, packtest.NewDisk(uint64(i.pushed+1), imageSize), nil)
}

// PushOver pushes the next version of the image that version is of; from is the
// folder that version was pushed from. The two have most in common.
func (i *Instance) PushOver(ctx context.Context, dir string, version rest.ImageVersion, from string) (rest.ImageVersion, error) {
	b, err := os.ReadFile(filepath.Join(from, diskFile))
	if err != nil {
		return rest.ImageVersion{}, err
	}
	publisher, err := packtest.Publisher()
	if err != nil {
		return rest.ImageVersion{}, err
	}
	trust := seal.KeySet{Keys: []seal.PublicKey{{ID: publisher.ID(), Key: publisher.Public(), Purposes: []seal.Purpose{seal.PurposePublisher}}}}
	base := imagepack.Base{Image: version.Image, Source: imagesync.DirSource(filepath.Join(from, packedDir)), Trust: trust}
	return i.push(ctx, dir, version.Name, packtest.Disk(b).Change(uint64(i.pushed+1), imageChanges), []imagepack.Base{base})
}

func (i *Instance) push(ctx context.Context, dir, name string, disk packtest.Disk, bases []imagepack.Base) (rest.ImageVersion, error) {
	packed, err := i.pack(ctx, dir, disk, bases)
	if err != nil {
		return rest.ImageVersion{}, fmt.Errorf("pack image %s: %w", name, err)
	}
	e, err := seal.ParseEnvelope(packed.Envelope)
	if err != nil {
		return rest.ImageVersion{}, err
	}
	p, err := i.Admin.BeginPush(ctx, rest.NewPush{Name: name, Manifest: e})
	if err != nil {
		return rest.ImageVersion{}, fmt.Errorf("begin push: %w", err)
	}
	for _, o := range p.Missing {
		f, err := packed.Open(o.Name)
		if err != nil {
			return rest.ImageVersion{}, err
		}
		err = i.Admin.PutObject(ctx, p.ID, o, f)
		_ = f.Close() // it was only read, and sending it may have closed it
		if err != nil {
			return rest.ImageVersion{}, fmt.Errorf("push object: %w", err)
		}
	}
	v, err := i.Admin.CommitPush(ctx, p.ID, 0)
	if err != nil {
		return rest.ImageVersion{}, fmt.Errorf("commit push: %w", err)
	}
	return v, nil
}

func (i *Instance) pack(ctx context.Context, dir string, content packtest.Disk, bases []imagepack.Base) (*imagepack.Packed, error) {
	publisher, err := packtest.Publisher()
	if err != nil {
		return nil, err
	}
	if i.pushed == 0 {
		if _, err := i.Admin.AddPublisher(ctx, rest.NewPublisher{Name: "tester", Key: publisher.Public()}); err != nil {
			return nil, fmt.Errorf("trust publisher: %w", err)
		}
	}
	i.pushed++
	key, err := i.Admin.ImageKey(ctx)
	if err != nil {
		return nil, err
	}
	k, err := imageformat.ParseRepositoryKey(key.Key)
	if err != nil {
		return nil, err
	}
	disk := filepath.Join(dir, diskFile)
	if err := content.WriteFile(disk); err != nil {
		return nil, err
	}
	return imagepack.Pack(ctx, imagepack.Options{
		Machine: imagepack.Machine{
			Architecture: "x86_64", Firmware: imageformat.FirmwareBIOS, DiskBus: "virtio",
			Data: &imageformat.DataConvention{Label: "data", MountPoint: "/data"},
		},
		Disks: []imagepack.DiskInput{{Name: "system", Path: disk, Format: "raw"}},
		Bases: bases, Signer: publisher, Key: k, Dir: filepath.Join(dir, packedDir),
	})
}
