package cli_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dormer-project/dormer/internal/cli"
	"github.com/dormer-project/dormer/internal/server"
)

// TestMain makes the programs that scripts call: each is this test's binary
// under another name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"dormer":       runDormer,
		"dormerd":      runServer,
		"dormer-agent": runAgent,
		"xdg-open":     runBrowser,
	})
}

// runBrowser stands for a browser in which somebody is signed in at every
// provider: it goes where it is sent. What it saw last is kept in $BROWSED.
func runBrowser() {
	if path, ok := strings.CutPrefix(os.Args[1], "file://"); ok {
		b, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(os.Getenv("BROWSED"), b, 0o600)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	resp, err := http.Get(os.Args[1]) //nolint:forbidigo // a program of its own
	if err == nil {
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		err = os.WriteFile(os.Getenv("BROWSED"), append([]byte(resp.Status+"\n"), b...), 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func untilSignal() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

func runDormer() {
	ctx, stop := untilSignal()
	code := cli.Run(ctx, os.Args[1:], cli.Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Env: os.Getenv, Now: time.Now, Rand: rand.Reader, Version: "1.2.3", Program: os.Executable,
	})
	stop()
	os.Exit(code)
}

func runServer() {
	ctx, stop := untilSignal()
	err := server.Command("1.2.3", os.Stdin, os.Stdout, os.Stderr).ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "dormerd: "+err.Error())
		os.Exit(1)
	}
}

func params(dir string) testscript.Params {
	return testscript.Params{
		Dir:           dir,
		Setup:         setup,
		Cmds:          commands,
		Condition:     condition,
		UpdateScripts: cli.Update(),
	}
}

// TestScripts runs the command line against a real server, script by script.
func TestScripts(t *testing.T) {
	testscript.Run(t, params("testdata/script"))
}

// endSessions ends the sessions in the background that a script has left: nobody
// else would, as on a computer they outlive who began them.
func endSessions(run string) {
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range all {
		env, err := os.ReadFile(file)
		if err != nil || !strings.Contains("\x00"+string(env), "\x00XDG_RUNTIME_DIR="+run+"\x00") {
			continue // another's, or gone meanwhile
		}
		args, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && strings.HasPrefix(string(args), "dormer\x00session\x00") {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// setup gives a script its folders. Sockets have short paths, so theirs lies
// elsewhere.
func setup(env *testscript.Env) error {
	run, err := os.MkdirTemp("/tmp", "dormer-cli-")
	if err != nil {
		return err
	}
	env.Defer(func() {
		endSessions(run)
		_ = os.RemoveAll(run)
	})
	for name, dir := range map[string]string{
		"HOME": "home", "XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "data", "XDG_STATE_HOME": "state",
	} {
		path := filepath.Join(env.WorkDir, dir)
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
		env.Setenv(name, path)
	}
	env.Setenv("XDG_RUNTIME_DIR", run)
	examples, err := filepath.Abs("../../examples/workspaces")
	if err != nil {
		return err
	}
	env.Setenv("EXAMPLES", examples)
	env.Setenv("TZ", "UTC")
	return nil
}
