package producttest

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/imagepack/packtest"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/server"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// patience bounds each wait of these tests.
const patience = time.Minute

const (
	adminPassword = "correct horse battery"
	userPassword  = "a password for tests"
)

// instance is one server that goes and comes back on the same data and port.
type instance struct {
	t       *testing.T
	cfg     server.Config
	ahead   atomic.Int64 // how far the server's clock is ahead of the real one
	stop    context.CancelFunc
	ended   chan error
	admin   *apiclient.Client
	pushed  int
	quietly *slog.Logger
}

// now is the server's clock.
func (i *instance) now() time.Time { return time.Now().Add(time.Duration(i.ahead.Load())) }

// newInstance starts a server and signs its first operator in.
func newInstance(t *testing.T) *instance {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := server.Default()
	cfg.Data = t.TempDir()
	cfg.Listen, cfg.PublicURLs = []string{address}, []string{"https://" + address}
	cfg.Clients.PollInterval = server.Duration(time.Second)
	i := &instance{t: t, cfg: cfg, quietly: logger(t)}
	i.start()
	t.Cleanup(i.shut)
	i.signIn()
	return i
}

// logger shows what goes wrong when DORMER_TEST_LOG is set.
func logger(t *testing.T) *slog.Logger {
	if os.Getenv("DORMER_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// start runs the server.
func (i *instance) start() {
	i.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	listening := make(chan []net.Addr, 1)
	s, err := server.New(ctx, i.cfg, server.Deps{
		Now: i.now, Random: rand.Reader, Logger: i.quietly, Version: "test", Hostname: "server",
		PasswordCost: access.Cost{MemoryKiB: 64, Passes: 1, Threads: 1},
		Listening:    func(a []net.Addr) { listening <- a },
	})
	if err != nil {
		stop()
		i.t.Fatal(err)
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
	case err := <-i.ended:
		i.t.Fatalf("the server ended: %v", err)
	case <-time.After(patience):
		i.t.Fatal("the server does not listen")
	}
}

// shut stops the server; repeating it changes nothing.
func (i *instance) shut() {
	if i.stop == nil {
		return
	}
	i.stop()
	i.stop = nil
	select {
	case err := <-i.ended:
		if err != nil {
			i.t.Errorf("the server ended with: %v", err)
		}
	case <-time.After(patience):
		i.t.Error("the server does not end")
	}
}

// client returns a client of the REST API.
func (i *instance) client(token string) *apiclient.Client {
	i.t.Helper()
	authority, err := os.ReadFile(filepath.Join(i.cfg.Data, "keys", "tls", "ca.crt"))
	if err != nil {
		i.t.Fatal(err)
	}
	c, err := apiclient.New(apiclient.Config{Server: i.cfg.PublicURLs[0], Authority: authority, Token: token, UserAgent: "test"})
	if err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(c.Close)
	return c
}

func (i *instance) signIn() {
	i.t.Helper()
	password, err := os.ReadFile(filepath.Join(i.cfg.Data, "first-admin-password"))
	if err != nil {
		i.t.Fatal(err)
	}
	in, err := i.client("").SignIn(i.t.Context(), rest.SignIn{
		User: "admin", Password: strings.TrimSpace(string(password)), NewPassword: adminPassword,
	})
	if err != nil {
		i.t.Fatalf("first sign-in: %v", err)
	}
	i.admin = i.client(in.Token)
}

// user adds a user of the embedded directory.
func (i *instance) user(name string) rest.UserCreated {
	i.t.Helper()
	u, err := i.admin.CreateUser(i.t.Context(), rest.NewUser{Name: name, Password: userPassword})
	if err != nil {
		i.t.Fatalf("add user %s: %v", name, err)
	}
	return u
}

// joinToken makes one that admits many clients of both kinds.
func (i *instance) joinToken() string {
	i.t.Helper()
	j, err := i.admin.CreateJoinToken(i.t.Context(), rest.NewJoinToken{Name: "test", Managed: true, Unmanaged: true, MaxUses: 1000})
	if err != nil {
		i.t.Fatalf("make join token: %v", err)
	}
	return j.Token
}

// push packs a small image and pushes it as the next version of name.
func (i *instance) push(name string) rest.ImageVersion {
	i.t.Helper()
	ctx := i.t.Context()
	publisher, _, _ := packtest.Keys(i.t, "")
	if i.pushed == 0 {
		if _, err := i.admin.AddPublisher(ctx, rest.NewPublisher{Name: "tester", Key: publisher.Public()}); err != nil {
			i.t.Fatalf("trust publisher: %v", err)
		}
	}
	i.pushed++
	key, err := i.admin.ImageKey(ctx)
	if err != nil {
		i.t.Fatal(err)
	}
	k, err := imageformat.ParseRepositoryKey(key.Key)
	if err != nil {
		i.t.Fatal(err)
	}
	packed := packtest.Pack(i.t, packtest.NewDisk(uint64(i.pushed), 1<<20), imagepack.Options{
		Machine: imagepack.Machine{
			Architecture: "x86_64", Firmware: imageformat.FirmwareBIOS, DiskBus: "virtio",
			Data: &imageformat.DataConvention{Label: "data", MountPoint: "/data"},
		},
		Signer: publisher, Key: k,
	})
	e, err := seal.ParseEnvelope(packed.Envelope)
	if err != nil {
		i.t.Fatal(err)
	}
	p, err := i.admin.BeginPush(ctx, rest.NewPush{Name: name, Manifest: e})
	if err != nil {
		i.t.Fatalf("begin push: %v", err)
	}
	for _, o := range p.Missing {
		f, err := packed.Open(o.Name)
		if err != nil {
			i.t.Fatal(err)
		}
		if err := i.admin.PutObject(ctx, p.ID, o, f); err != nil {
			i.t.Fatalf("push object: %v", err)
		}
		_ = f.Close()
	}
	v, err := i.admin.CommitPush(ctx, p.ID, 0)
	if err != nil {
		i.t.Fatalf("commit push: %v", err)
	}
	return v
}

// workspace commits a document made from its parts.
func (i *instance) workspace(name, spec, grants string) rest.Committed {
	i.t.Helper()
	c, err := i.admin.CreateWorkspace(i.t.Context(), document(name, spec, grants), "")
	if err != nil {
		i.t.Fatalf("commit workspace: %v", err)
	}
	return c
}

// change replaces a workspace's document.
func (i *instance) change(id dormer.WorkspaceID, name, spec, grants string) {
	i.t.Helper()
	d, err := i.admin.Workspace(i.t.Context(), id, apiclient.JSON)
	if err != nil {
		i.t.Fatal(err)
	}
	if _, err := i.admin.CommitWorkspace(i.t.Context(), id, document(name, spec, grants), d.ETag, ""); err != nil {
		i.t.Fatalf("change workspace: %v", err)
	}
}

func document(name, spec, grants string) []byte {
	return fmt.Appendf(nil, "apiVersion: dormer/v1\nkind: Workspace\nmetadata:\n  name: %s\nspec:\n%s\ngrants:\n%s\n", name, indent(spec), indent(grants))
}

func indent(s string) string {
	lines := strings.Split(strings.Trim(s, "\n"), "\n")
	for n, l := range lines {
		lines[n] = "  " + l
	}
	return strings.Join(lines, "\n")
}

// office is the spec of a workspace with an application in it.
const office = `
machine:
  image: {name: office}
  revertible: false
  dataDisk: {size: 64MiB}
applications:
  published:
    - name: Hello
      command: echo hello world
    - name: Fail
      command: "false"
network: {mode: nat}
performance:
  memory: [{guest: 128MiB}]
`

// grant gives a user a workspace with an off-line limit and no grace.
func grant(user string, more ...string) string {
	return fmt.Sprintf("- principal: {directory: local, kind: user, name: %s}\n  offline: {allow: limited, limit: 8h}\n  atLimit: {action: stop, grace: 0s}\n", user) +
		strings.Join(more, "")
}

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for {
		if ok() {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// quiet is the logger of processes of their own.
var quiet = slog.New(slog.DiscardHandler)
