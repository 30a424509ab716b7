package domaintest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/agent"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/directory/ldap"
	"github.com/dormer-project/dormer/internal/directory/testdomain"
	"github.com/dormer-project/dormer/internal/hypervisor/fake"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/imagepack/packtest"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/loopback"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/server"
	"github.com/dormer-project/dormer/internal/wire"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

const (
	// patience bounds each wait.
	patience = time.Minute
	// age is how long the server believes what a domain said of a user.
	age           = time.Second
	adminPassword = "correct horse battery"
)

// instance is a server whose directories are domains, with one image.
type instance struct {
	t     *testing.T
	cfg   server.Config
	admin *apiclient.Client
}

// directory is a domain as the server is told of it.
func directory(d *testdomain.Domain, servers ...string) server.DirectoryConfig {
	user, password := d.Service()
	if len(servers) == 0 {
		servers = []string{d.LDAPS()}
	}
	return server.DirectoryConfig{
		Name: strings.ToLower(d.NetBIOS), Type: ldap.ActiveDirectory, Servers: servers, Authority: d.AuthorityFile,
		Domain: d.Name, NetBIOS: d.NetBIOS, BindUser: user, BindPasswordFile: password, Timeout: server.Duration(3 * time.Second),
	}
}

// newInstance starts a server and signs its first operator in.
func newInstance(t *testing.T, change func(*server.Config)) *instance {
	t.Helper()
	cfg := server.Default()
	cfg.Data = t.TempDir()
	cfg.Listen = []string{freeAddress(t)}
	_, port, _ := strings.Cut(cfg.Listen[0], ":")
	cfg.PublicURLs = []string{"https://localhost:" + port}
	cfg.Clients.PollInterval = server.Duration(time.Second)
	cfg.Access.DirectoryAge = server.Duration(age)
	change(&cfg)
	i := &instance{t: t, cfg: cfg}

	ctx, stop := context.WithCancel(context.Background())
	listening := make(chan []net.Addr, 1)
	s, err := server.New(ctx, cfg, server.Deps{
		Now: time.Now, Random: rand.Reader, Logger: logger(t), Version: "test", Hostname: "server",
		PasswordCost: access.Cost{MemoryKiB: 64, Passes: 1, Threads: 1},
		Listening:    func(a []net.Addr) { listening <- a },
	})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- errors.Join(s.Run(ctx), s.Close()) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with: %v", err)
		}
	})
	select {
	case <-listening:
	case <-time.After(patience):
		t.Fatal("the server does not listen")
	}
	once, err := os.ReadFile(filepath.Join(cfg.Data, "first-admin-password"))
	if err != nil {
		t.Fatal(err)
	}
	in, err := i.client("").SignIn(t.Context(), rest.SignIn{User: `local\admin`, Password: strings.TrimSpace(string(once)), NewPassword: adminPassword})
	if err != nil {
		t.Fatalf("first sign-in: %v", err)
	}
	i.admin = i.client(in.Token)
	i.push()
	return i
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := loopback.Address(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// logger shows what goes wrong when DORMER_TEST_LOG is set.
func logger(t *testing.T) *slog.Logger {
	if os.Getenv("DORMER_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

func (i *instance) authorityFile() string { return filepath.Join(i.cfg.Data, "keys", "tls", "ca.crt") }

// client returns a client of the REST API.
func (i *instance) client(token string) *apiclient.Client {
	i.t.Helper()
	authority, err := os.ReadFile(i.authorityFile())
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

// push packs a small image and pushes it as "office".
func (i *instance) push() {
	i.t.Helper()
	ctx := i.t.Context()
	publisher, _, _ := packtest.Keys(i.t, "")
	if _, err := i.admin.AddPublisher(ctx, rest.NewPublisher{Name: "tester", Key: publisher.Public()}); err != nil {
		i.t.Fatal(err)
	}
	key, err := i.admin.ImageKey(ctx)
	if err != nil {
		i.t.Fatal(err)
	}
	k, err := imageformat.ParseRepositoryKey(key.Key)
	if err != nil {
		i.t.Fatal(err)
	}
	packed := packtest.Pack(i.t, packtest.NewDisk(1, 1<<20), imagepack.Options{
		Machine: imagepack.Machine{Architecture: "x86_64", Firmware: imageformat.FirmwareBIOS, DiskBus: "virtio"}, Signer: publisher, Key: k,
	})
	e, err := seal.ParseEnvelope(packed.Envelope)
	if err != nil {
		i.t.Fatal(err)
	}
	p, err := i.admin.BeginPush(ctx, rest.NewPush{Name: "office", Manifest: e})
	if err != nil {
		i.t.Fatal(err)
	}
	for _, o := range p.Missing {
		f, err := packed.Open(o.Name)
		if err != nil {
			i.t.Fatal(err)
		}
		if err := i.admin.PutObject(ctx, p.ID, o, f); err != nil {
			i.t.Fatal(err)
		}
		_ = f.Close()
	}
	if _, err := i.admin.CommitPush(ctx, p.ID, 0); err != nil {
		i.t.Fatal(err)
	}
}

// workspace makes the workspace Office, granted to a user or group of CORP.
func (i *instance) workspace(kind dormer.PrincipalKind, who string) dormer.WorkspaceID {
	i.t.Helper()
	c, err := i.admin.CreateWorkspace(i.t.Context(), fmt.Appendf(nil, `
apiVersion: dormer/v1
kind: Workspace
metadata:
  name: Office
spec:
  machine:
    image: {name: office}
  applications:
    published:
      - name: Hello
        command: echo hello world
  network: {mode: nat}
  performance:
    memory: [{guest: 128MiB}]
grants:
  - principal: {directory: corp, kind: %s, name: %s}
    offline: {allow: limited, limit: 8h}
    atLimit: {action: stop, grace: 0s}
`, kind, who), "")
	if err != nil {
		i.t.Fatalf("commit workspace: %v", err)
	}
	return c.ID
}

// audited waits for a record of the audit log.
func (i *instance) audited(what string, fits func(rest.AuditRecord) bool) {
	i.t.Helper()
	eventually(i.t, what+" in the audit log", func() bool {
		all, err := i.admin.Audit(i.t.Context(), 0, 50)
		return err == nil && slices.ContainsFunc(all.Items, fits)
	})
}

// eventually waits until it is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !so() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// computer is a client with an agent that polls by itself.
type computer struct {
	t      *testing.T
	name   string
	domain *testdomain.Domain // whose passwords its users have
	agent  *agent.Agent
}

// The users of a computer, by number.
const (
	first  = 1001
	second = 1002
)

func me(uid uint32) agentapi.Peer { return agentapi.Peer{UID: uid} }

// newComputer starts an agent and enrols it.
func (i *instance) newComputer(name string, d *testdomain.Domain) *computer {
	t := i.t
	t.Helper()
	c := &computer{t: t, name: name, domain: d}
	dir, began := t.TempDir(), time.Now()
	images, err := agent.OpenImages(filepath.Join(dir, "images"))
	if err != nil {
		t.Fatal(err)
	}
	c.agent, err = agent.New(agent.Config{
		StateDir: filepath.Join(dir, "state"), Managed: true, Version: "1.0-test",
		StopTime: time.Second, LookEvery: 20 * time.Millisecond, LimitsEvery: 20 * time.Millisecond,
	}, agent.Deps{
		Driver: fake.NewHost(time.Now).Driver(), Images: images, Random: rand.Reader, Logger: logger(t),
		Time: lease.TimeSources{Wall: time.Now, Boot: func() time.Duration { return time.Since(began) }, BootID: "boot"},
		Host: func() wire.Host {
			return wire.Host{Name: name, OS: "linux", Arch: "amd64", MemoryMiB: 4096, Processors: 2}
		},
		OwnUID: uint32(os.Getuid()),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.agent.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, images.Close()); err != nil {
			t.Errorf("agent of %s: %v", name, err)
		}
	})
	j, err := i.admin.CreateJoinToken(t.Context(), rest.NewJoinToken{Name: name, Managed: true, Unmanaged: true, MaxUses: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.agent.Enrol(t.Context(), me(0), agentapi.EnrolRequest{JoinToken: j.Token}); err != nil {
		t.Fatalf("enrol %s: %v", name, err)
	}
	return c
}

// signIn signs a user of the domain in, by however the name is written.
func (c *computer) signIn(uid uint32, written, account string) error {
	_, err := c.agent.SignIn(c.t.Context(), me(uid), agentapi.SignInRequest{User: written, Password: c.domain.Password(c.t, account)})
	return err
}

func (c *computer) mustSignIn(uid uint32, written, account string) {
	c.t.Helper()
	if err := c.signIn(uid, written, account); err != nil {
		c.t.Fatalf("sign in %s on %s: %v", written, c.name, err)
	}
}

func (c *computer) workspaces(uid uint32) []agentapi.Workspace {
	c.t.Helper()
	all, err := c.agent.Workspaces(c.t.Context(), me(uid))
	if err != nil {
		c.t.Fatal(err)
	}
	return all
}

// await waits until the user's one workspace is as it should be.
func (c *computer) await(uid uint32, what string, so func(agentapi.Workspace) bool) agentapi.Workspace {
	c.t.Helper()
	var w agentapi.Workspace
	eventually(c.t, c.name+": "+what, func() bool {
		all := c.workspaces(uid)
		if len(all) != 1 {
			return false
		}
		w = all[0]
		return so(w)
	})
	return w
}

func ready(w agentapi.Workspace) bool     { return w.Permitted && w.State == "ready" }
func running(w agentapi.Workspace) bool   { return w.Permitted && w.State == "running" }
func permitted(w agentapi.Workspace) bool { return w.Permitted }

// start starts the user's one workspace.
func (c *computer) start(uid uint32) {
	c.t.Helper()
	w := c.await(uid, "ready", ready)
	if _, err := c.agent.Act(c.t.Context(), me(uid), string(w.Machine), agentapi.CommandStart); err != nil {
		c.t.Fatalf("start on %s: %v", c.name, err)
	}
	c.await(uid, "running", running)
}

// poll polls once and returns the error.
func (c *computer) poll() error {
	_, err := c.agent.Refresh(c.t.Context(), me(0))
	return err
}
