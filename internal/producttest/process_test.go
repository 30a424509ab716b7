package producttest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agent"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/hypervisor/fake"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/wire"
)

// The test program is also an agent in a process of its own, and a user of one.
const (
	roleVariable = "DORMER_PRODUCTTEST_ROLE"
	dirVariable  = "DORMER_PRODUCTTEST_DIR"
	roleAgent    = "agent"
	roleUser     = "user"
	roleServer   = "server"
)

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case roleAgent:
		exit(serveAgent(os.Getenv(dirVariable)))
	case roleUser:
		exit(askAgent(os.Getenv(dirVariable)))
	case roleServer:
		exit(serveProgram())
	}
	os.Exit(m.Run())
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func socketIn(dir string) string { return filepath.Join(dir, "run", "agent.sock") }

// serveAgent is an agent as cmd/dormer-agent runs it, with a hypervisor in
// memory. It ends by being killed.
func serveAgent(dir string) error {
	syscall.Umask(0o077)
	clocks, err := lease.SystemTime()
	if err != nil {
		return err
	}
	images, err := agent.OpenImages(filepath.Join(dir, "images"))
	if err != nil {
		return err
	}
	a, err := agent.New(agent.Config{StateDir: filepath.Join(dir, "state"), Managed: true, Version: "1.0-test", LookEvery: 20 * time.Millisecond}, agent.Deps{
		Driver: fake.NewHost(time.Now).Driver(), Images: images, Time: clocks, Random: rand.Reader, Logger: quiet,
		Host: func() wire.Host {
			return wire.Host{Name: "process", OS: "linux", Arch: "amd64", MemoryMiB: 4096, Processors: 2}
		},
		OwnUID: uint32(os.Getuid()),
	})
	if err != nil {
		return err
	}
	l, err := agentapi.Listen(context.Background(), socketIn(dir), true)
	if err != nil {
		return err
	}
	s := agentapi.NewServer(a, quiet)
	go func() { _ = s.Serve(l) }()
	err = a.Run(context.Background())
	if closing := s.Close(); closing != nil && !errors.Is(closing, http.ErrServerClosed) {
		err = errors.Join(err, closing)
	}
	return err
}

// askAgent prints what the user it runs as sees and may do: one line for each
// workspace, then what happens to the machine that the variable names.
func askAgent(dir string) error {
	c := agentapi.NewClient(socketIn(dir))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	all, err := c.Workspaces(ctx)
	if err != nil {
		return err
	}
	for _, w := range all {
		fmt.Println("sees", w.Machine, w.User) //nolint:forbidigo // the parent reads it
	}
	_, err = c.Act(ctx, os.Getenv("DORMER_PRODUCTTEST_MACHINE"), agentapi.CommandStart)
	fmt.Println("start", errors.Is(err, dormer.ErrNotFound)) //nolint:forbidigo // the parent reads it
	_, err = c.Enrol(ctx, "dormer1.x")
	fmt.Println("enrol", errors.Is(err, dormer.ErrDenied)) //nolint:forbidigo // the parent reads it
	if u, p, ok := strings.Cut(os.Getenv("DORMER_PRODUCTTEST_SIGN_IN"), ":"); ok {
		_, err = c.SignIn(ctx, u, p)
		fmt.Println("sign-in", err) //nolint:forbidigo // the parent reads it
	}
	_, err = os.ReadDir(filepath.Join(dir, "state"))
	fmt.Println("state", errors.Is(err, fs.ErrPermission)) //nolint:forbidigo // the parent reads it
	return nil
}

// agentProcess is an agent in a process of its own.
type agentProcess struct {
	t      *testing.T
	dir    string
	cmd    *exec.Cmd
	client *agentapi.Client
}

func newAgentProcess(t *testing.T) *agentProcess {
	t.Helper()
	dir, err := os.MkdirTemp("", "dormer") //nolint:usetesting // t.TempDir is too long for a socket, and closed to others
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := &agentProcess{t: t, dir: dir, client: agentapi.NewClient(socketIn(dir))}
	t.Cleanup(func() {
		p.kill()
		p.client.Close()
		_ = os.RemoveAll(dir)
	})
	return p
}

func (p *agentProcess) start() {
	p.t.Helper()
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), roleVariable+"="+roleAgent, dirVariable+"="+p.dir)
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	eventually(p.t, "the agent answers", func() bool {
		_, err := p.client.Status(p.t.Context())
		return err == nil
	})
}

func (p *agentProcess) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // it was killed
	p.cmd = nil
}

// TestKilledAgent kills an agent at any moment, again and again: it comes back
// each time, nothing that was acknowledged is lost, and no event comes twice.
func TestKilledAgent(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	i.push("office")
	i.user("alice")
	i.workspace("Office", office, grant("alice"))
	p := newAgentProcess(t)
	p.start()
	if _, err := p.client.Enrol(t.Context(), i.joinToken()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.client.SignIn(t.Context(), "alice", userPassword); err != nil {
		t.Fatal(err)
	}
	tried, done := 0, 0
	for range 8 {
		pause, err := rand.Int(rand.Reader, big.NewInt(400))
		if err != nil {
			t.Fatal(err)
		}
		killed := make(chan struct{})
		timer := time.AfterFunc(time.Duration(pause.Int64())*time.Millisecond, func() {
			_ = p.cmd.Process.Kill()
			close(killed)
		})
		for {
			tried++
			r, err := p.client.Run(t.Context(), "Office", agentapi.RunRequest{Application: "Hello"})
			if err != nil {
				break
			}
			if string(r.Stdout) != "hello world\n" {
				t.Errorf("ran %+v", r)
			}
			done++
		}
		<-killed
		timer.Stop()
		p.kill()
		p.start()
		st, err := p.client.Status(t.Context())
		if err != nil || !st.Enrolled || len(st.Users) != 1 || len(st.Workspaces) > 1 {
			t.Fatalf("after a kill: %+v, %v", st, err)
		}
	}
	eventually(t, "all events are delivered", func() bool {
		st, err := p.client.Refresh(t.Context())
		return err == nil && st.EventsWaiting == 0
	})
	if n := i.count("process", event.ApplicationRun); n < done || n > tried {
		t.Errorf("%d applications were run and acknowledged, %d tried, %d are in the report", done, tried, n)
	}
	if n := i.count("process", event.AgentStarted); n != 9 {
		t.Errorf("%d starts are in the report, want 9", n)
	}
	if n := i.count("process", event.Enrolled); n != 1 {
		t.Errorf("%d enrolments are in the report", n)
	}
	if done == 0 {
		t.Error("nothing was run at all")
	}
}

// TestTwoRealUsers runs the agent as a service and asks it as two users of the
// computer, over its socket.
func TestTwoRealUsers(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatal("this test must run as root to become two users; it does not")
		}
		t.Skip("SKIPPED: this test must run as root to become two users")
	}
	i := newInstance(t)
	i.push("office")
	i.user("alice")
	i.user("bob")
	i.workspace("Office", office, grant("alice")+grant("bob"))
	p := newAgentProcess(t)
	p.start()
	if _, err := p.client.Enrol(t.Context(), i.joinToken()); err != nil {
		t.Fatal(err)
	}
	// The users cannot reach the test's own folder.
	program := filepath.Join(p.dir, "user")
	b, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	// Commands of dormerd in this process have changed what is made for others.
	if err := errors.Join(os.WriteFile(program, b, 0o755), os.Chmod(program, 0o755)); err != nil {
		t.Fatal(err)
	}
	ask := func(uid uint32, machine, signIn string) string {
		t.Helper()
		var out bytes.Buffer
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Env = []string{
			roleVariable + "=" + roleUser, dirVariable + "=" + p.dir,
			"DORMER_PRODUCTTEST_MACHINE=" + machine, "DORMER_PRODUCTTEST_SIGN_IN=" + signIn,
		}
		cmd.Dir, cmd.Stdout, cmd.Stderr = "/", &out, &out
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		if err := cmd.Run(); err != nil {
			t.Fatalf("as user %d: %v\n%s", uid, err, out.String())
		}
		return out.String()
	}
	common := "start true\nenrol true\n"
	if got := ask(alice, "x", "alice:"+userPassword); got != common+"sign-in <nil>\nstate true\n" {
		t.Errorf("alice signs in:\n%s", got)
	}
	if got := ask(bob, "x", "bob:"+userPassword); got != common+"sign-in <nil>\nstate true\n" {
		t.Errorf("bob signs in:\n%s", got)
	}
	machines := map[string]string{}
	for uid, user := range map[uint32]string{alice: "alice", bob: "bob"} {
		got := ask(uid, "x", "")
		fields := strings.Fields(got)
		if len(fields) < 3 || fields[0] != "sees" || fields[2] != user || strings.Count(got, "sees") != 1 {
			t.Fatalf("user %s sees:\n%s", strconv.Itoa(int(uid)), got)
		}
		machines[user] = fields[1]
	}
	if got := ask(bob, machines["alice"], ""); !strings.Contains(got, common) || strings.Contains(got, machines["alice"]) {
		t.Errorf("bob reaches for alice's machine:\n%s", got)
	}
	if all, err := p.client.Workspaces(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("root sees %+v, %v", all, err)
	}
}
