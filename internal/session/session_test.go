package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
)

// agent is the part of an agent that takes session processes.
type agent struct {
	agentapi.Agent // nothing else is asked
	refuse         error
	desks          chan desk
}

func (a *agent) TakeDesk(_ context.Context, _ agentapi.Peer, hello agentapi.DeskHello) (func(net.Conn), error) {
	return func(c net.Conn) {
		d, err := agentapi.NewDesk(context.Background(), c)
		if err != nil {
			return
		}
		a.desks <- desk{d, hello}
		<-d.Done()
	}, a.refuse
}

// desk is a session process and what it said of itself.
type desk struct {
	*agentapi.Desk
	hello agentapi.DeskHello
}

// bench is an agent and a session with it.
type bench struct {
	t     *testing.T
	agent *agent
	dir   string
	ended chan error
	desk  desk
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// serveAgent serves a on a socket until the test ends or stop is called.
func serveAgent(t *testing.T, a *agent, socket string) (stop func()) {
	t.Helper()
	l, err := agentapi.Listen(t.Context(), socket, false)
	if err != nil {
		t.Fatal(err)
	}
	s := agentapi.NewServer(a, quiet())
	go func() { _ = s.Serve(l) }()
	stop = func() { _ = s.Close() }
	t.Cleanup(stop)
	return stop
}

func newBench(t *testing.T, change func(*Config)) *bench {
	t.Helper()
	b := &bench{t: t, agent: &agent{desks: make(chan desk, 1)}, dir: t.TempDir(), ended: make(chan error, 1)}
	socket := filepath.Join(b.dir, "agent.sock")
	serveAgent(t, b.agent, socket)
	cfg := Config{
		Agent: agentapi.NewClient(socket), Version: "1", Logger: quiet(),
		Env: func(name string) string {
			if name == "HOME" {
				return b.dir
			}
			return ""
		},
	}
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { b.ended <- New(cfg).Run(ctx, nil) }()
	b.desk = <-b.agent.desks
	t.Cleanup(cancel)
	return b
}

func (b *bench) run(timeout time.Duration, args ...string) agentapi.HostCommandResult {
	b.t.Helper()
	r, err := agentapi.AskDesk[agentapi.HostCommandResult](b.t.Context(), b.desk.Client(), http.MethodPost, agentapi.DeskHostCommand,
		agentapi.HostCommandRequest{Args: args, Timeout: timeout})
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func TestHostCommand(t *testing.T) {
	b := newBench(t, nil)
	// No shell looks at the arguments, and the command starts at home.
	mark := filepath.Join(b.dir, "mark")
	r := b.run(time.Minute, "touch", "mark", "$(touch evil); *")
	if want := (agentapi.HostCommandResult{}); r != want {
		t.Errorf("result is %+v", r)
	}
	for _, name := range []string{mark, filepath.Join(b.dir, "$(touch evil); *")} {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
	if r := b.run(time.Minute, "sh", "-c", "echo out; echo err >&2; exit 3"); r.ExitStatus != 3 || r.Output != "out\nerr\n" {
		t.Errorf("result is %+v", r)
	}
	if r := b.run(time.Minute, "sh", "-c", "kill -9 $$"); r.Problem == "" || r.ExitStatus != 0 {
		t.Errorf("result of one that was killed is %+v", r)
	}
	if r := b.run(time.Minute, "no-such-program-of-dormer"); !strings.Contains(r.Problem, "no-such-program-of-dormer") {
		t.Errorf("result of one that is not there is %+v", r)
	}
	if r := b.run(time.Minute, "sh", "-c", "yes dormer | head -c 100000"); len(r.Output) != maxOutput {
		t.Errorf("%d bytes of output are kept", len(r.Output))
	}
	_, err := agentapi.AskDesk[agentapi.HostCommandResult](t.Context(), b.desk.Client(), http.MethodPost, agentapi.DeskHostCommand, agentapi.HostCommandRequest{})
	if !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("without a command it is %v", err)
	}
}

// TestHostCommandEndsWhole: nothing that the command started is left behind,
// neither at the time limit nor when nobody waits any more.
func TestHostCommandEndsWhole(t *testing.T) {
	b := newBench(t, nil)
	fifo := filepath.Join(b.dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	// The child holds the fifo open for as long as it lives.
	hold := fmt.Sprintf("sleep 600 3>%s & wait", fifo)
	gone := make(chan error, 1)
	watch := func() {
		go func() {
			f, err := os.Open(fifo)
			if err == nil {
				_, err = f.Read(make([]byte, 1)) // EOF once the child is gone
				f.Close()
			}
			gone <- err
		}()
	}
	watch()
	if r := b.run(300*time.Millisecond, "sh", "-c", hold); !r.TimedOut {
		t.Errorf("result is %+v", r)
	}
	wait := func() {
		t.Helper()
		select {
		case err := <-gone:
			if err == nil || err.Error() != "EOF" {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("a child of the command is left")
		}
	}
	wait()
	watch()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := agentapi.AskDesk[agentapi.HostCommandResult](ctx, b.desk.Client(), http.MethodPost, agentapi.DeskHostCommand,
		agentapi.HostCommandRequest{Args: []string{"sh", "-c", hold}, Timeout: time.Minute})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
	wait()
}

func TestSessionComesBack(t *testing.T) {
	signedIn := make(chan struct{}, 10)
	b := newBench(t, func(c *Config) {
		c.SignIn = func(context.Context) error { signedIn <- struct{}{}; return nil }
	})
	<-signedIn
	if b.desk.hello.Again || b.desk.hello.Version != "1" {
		t.Errorf("it said %+v", b.desk.hello)
	}
	_ = b.desk.Close()
	b.desk = <-b.agent.desks
	<-signedIn
	if !b.desk.hello.Again {
		t.Error("the second time it does not say that it was here before")
	}
	if _, err := agentapi.AskDesk[struct{}](t.Context(), b.desk.Client(), http.MethodPost, agentapi.DeskSignIn, nil); err != nil {
		t.Error(err)
	}
	<-signedIn
	// Told to end, it answers, ends, and does not come back.
	if _, err := agentapi.AskDesk[struct{}](t.Context(), b.desk.Client(), http.MethodPost, agentapi.DeskEnd, nil); err != nil {
		t.Error(err)
	}
	_ = b.desk.Close() // as the agent does
	if err := <-b.ended; err != nil {
		t.Error(err)
	}
	if len(b.agent.desks) != 0 {
		t.Error("it connected again")
	}
}

func TestSessionRefused(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "agent.sock")
	s := New(Config{Agent: agentapi.NewClient(socket), Logger: quiet(), Env: func(string) string { return "" }})
	serveAgent(t, &agent{refuse: dormer.ErrExists}, socket)
	if err := s.Run(t.Context(), nil); !errors.Is(err, dormer.ErrExists) {
		t.Errorf("error is %v", err)
	}
}

func TestEnvironment(t *testing.T) {
	root := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{}
	s := New(Config{Logger: quiet(), Root: root, Env: func(name string) string { return env[name] }})
	check := func(want agentapi.Environment) {
		t.Helper()
		if diff := cmp.Diff(want, s.settings()); diff != "" {
			t.Error(diff)
		}
	}
	check(agentapi.Environment{})
	write("etc/default/locale", "# a comment\nLANG=\"de_DE.UTF-8\"\n")
	write("etc/default/keyboard", "XKBMODEL=\"pc105\"\nXKBLAYOUT=\"de,us\"\nXKBVARIANT=\"nodeadkeys,\"\n")
	write("etc/timezone", "Europe/Vienna\n")
	check(agentapi.Environment{Locale: "de_DE.UTF-8", Layout: "de", Variant: "nodeadkeys", TimeZone: "Europe/Vienna"})
	if err := os.Symlink("../usr/share/zoneinfo/Europe/Berlin", filepath.Join(root, "etc/localtime")); err != nil {
		t.Fatal(err)
	}
	env["LANG"], env["LC_TIME"] = "fr_FR.UTF-8", "de_CH.UTF-8"
	check(agentapi.Environment{Locale: "fr_FR.UTF-8", Formats: "de_CH.UTF-8", Layout: "de", Variant: "nodeadkeys", TimeZone: "Europe/Berlin"})
	env["LC_ALL"], env["TZ"], env["XKB_DEFAULT_LAYOUT"] = "C", ":America/New_York", "fr"
	check(agentapi.Environment{Locale: "fr_FR.UTF-8", Formats: "de_CH.UTF-8", Layout: "fr", TimeZone: "America/New_York"})
	write("etc/X11/xorg.conf.d/00-keyboard.conf", "Section \"InputClass\"\n  Option \"XkbLayout\" \"cz\"\n  Option \"XkbVariant\" \"qwerty\"\nEndSection\n")
	if err := os.Remove(filepath.Join(root, "etc/default/keyboard")); err != nil {
		t.Fatal(err)
	}
	delete(env, "XKB_DEFAULT_LAYOUT")
	check(agentapi.Environment{Locale: "fr_FR.UTF-8", Formats: "de_CH.UTF-8", Layout: "cz", Variant: "qwerty", TimeZone: "America/New_York"})
}
