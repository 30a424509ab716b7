package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// suite is what all tests share.
type suite struct {
	guest    string // folder of the test guests: tiny, v1 and v2
	dir      string // of everything that is made; short, for the sockets in it
	bin      string
	instance *instance
	desks    int
	probe    []byte // what the first agent found out about QEMU here; it takes its time
}

// TestEndToEnd runs the product. Its parts share one server and its images; each
// has a client of its own and may be run alone.
func TestEndToEnd(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.instance = s.newInstance(t, "")
	s.run(t, []part{
		{"journey", (*suite).journey},
		{"agent killed", (*suite).agentKilled},
		{"server killed", (*suite).serverKilled},
		{"machine killed", (*suite).machineKilled},
		{"download cut", (*suite).cutDownload},
		{"off-line", (*suite).offline},
		{"second version", (*suite).secondVersion},
		{"two at once", (*suite).twoAtOnce},
		{"system service", (*suite).systemService},
		{"orders", (*suite).orders},
		{"disabled", (*suite).disabled},
		{"full disk", (*suite).fullDisk},
		{"full disk of images", (*suite).fullImages},
		{"damaged client", (*suite).damagedClient},
		{"damaged repository", (*suite).damagedRepository},
		{"other authority", (*suite).otherAuthority},
	})
}

// part is one test of a suite.
type part struct {
	name string
	run  func(*suite, *testing.T)
}

// newSuite skips the test where there are no test guests.
func newSuite(t *testing.T) *suite {
	t.Helper()
	s := &suite{guest: os.Getenv("DORMER_TEST_GUEST")}
	if s.guest == "" {
		missing(t, "DORMER_TEST_GUEST: the folder that scripts/testguest.sh prints")
	}
	s.makeFolder(t)
	s.buildPrograms(t)
	return s
}

func (s *suite) run(t *testing.T, parts []part) {
	t.Helper()
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) {
			began := time.Now()
			t.Cleanup(func() { t.Logf("took %.1f s", time.Since(began).Seconds()) })
			p.run(s, t)
		})
	}
}

// makeFolder makes the folder of the suite. Whatever happens to the test, even a
// kill, processes that name the folder end and it is removed: a shell waits for
// the end of a pipe. Not below TMPDIR: a socket's path may have no more than
// 107 bytes.
func (s *suite) makeFolder(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "dormer-e2e.") //nolint:usetesting // short, and removed by the shell
	if err != nil {
		t.Fatal(err)
	}
	s.dir, s.bin = dir, filepath.Join(dir, "bin")
	broom := exec.Command("bash", "-c", sweep) // outlives the test
	broom.Env = append(os.Environ(), "SUITE="+dir)
	broom.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	handle, err := broom.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := broom.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		handle.Close()
		if err := broom.Wait(); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	// Users of other tests reach sockets and programs in it.
	for _, d := range []string{dir, s.bin} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// sweep ends the processes whose command line names the folder, and removes it.
const sweep = `cat >/dev/null
for p in /proc/[0-9]*; do
	if tr '\0' ' ' <"$p/cmdline" 2>/dev/null | grep -qF "$SUITE/"; then kill -9 "${p#/proc/}" 2>/dev/null; fi
done
awk -v d="$SUITE/" 'index($2, d) == 1 { print $2 }' /proc/mounts | xargs -r -n 1 umount -l
for i in 1 2 3 4 5; do rm -rf "$SUITE" 2>/dev/null && break; sleep 1; done
[ ! -e "$SUITE" ]`

func (s *suite) buildPrograms(t *testing.T) {
	t.Helper()
	began := time.Now()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", s.bin+"/", "./cmd/dormerd", "./cmd/dormer-agent", "./cmd/dormer")
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	t.Logf("built in %.1f s", time.Since(began).Seconds())
}

// Deadlines. Machines are emulated, perhaps beside others on few processors.
const (
	soon     = time.Minute
	bootTime = 5 * time.Minute
	lookTime = 200 * time.Millisecond
)

// eventually waits until ok returns "", and fails with what it said last.
func eventually(t *testing.T, limit time.Duration, what string, ok func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(lookTime)
	defer tick.Stop()
	for {
		said := ok()
		if said == "" {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %s: %s", what, limit, said)
		case <-tick.C:
		}
	}
}

// person is somebody at a terminal, with folders of their own.
type person struct {
	s   *suite
	dir string
	// before are words in front of every command.
	before []string
	agent  string // socket, "" for the own agent's
}

func (s *suite) newPerson(t *testing.T, name string) person {
	t.Helper()
	p := person{s: s, dir: filepath.Join(s.dir, name)}
	for _, d := range []string{"", "config", "data", "run", "state"} {
		if err := os.MkdirAll(filepath.Join(p.dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p person) env() []string {
	return []string{
		"PATH=" + p.s.bin + ":" + os.Getenv("PATH"), "HOME=" + p.dir, "LANG=C.UTF-8", "TMPDIR=" + p.dir,
		"XDG_CONFIG_HOME=" + p.dir + "/config", "XDG_DATA_HOME=" + p.dir + "/data",
		"XDG_RUNTIME_DIR=" + p.dir + "/run", "XDG_STATE_HOME=" + p.dir + "/state",
	}
}

// answer is how a command ended.
type answer struct {
	out, err string
	code     int
}

func (a answer) String() string {
	return fmt.Sprintf("exit status %d\n%s%s", a.code, a.out, a.err)
}

// tries runs a dormer command with input and returns how it ended.
func (p person) tries(ctx context.Context, t *testing.T, input string, args ...string) answer {
	t.Helper()
	words := append([]string{}, p.before...)
	words = append(words, filepath.Join(p.s.bin, "dormer"))
	if p.agent != "" {
		words = append(words, "--agent", p.agent)
	}
	words = append(words, args...)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env, cmd.Dir = p.env(), "/"
	cmd.Stdin = strings.NewReader(input)
	cmd.WaitDelay = 5 * time.Second
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("dormer %s: %v", strings.Join(args, " "), err)
	}
	return answer{out: out.String(), err: errOut.String(), code: cmd.ProcessState.ExitCode()}
}

// dormer runs a command that must succeed and returns its output.
func (p person) dormer(t *testing.T, args ...string) string {
	t.Helper()
	return p.types(t, "", args...)
}

// types is dormer with lines on standard input.
func (p person) types(t *testing.T, input string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	a := p.tries(ctx, t, input, args...)
	if a.code != 0 {
		t.Fatalf("dormer %s: %s", strings.Join(args, " "), a)
	}
	return a.out
}

// refused runs a command that must not succeed and returns what it said.
func (p person) refused(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	a := p.tries(ctx, t, "", args...)
	if a.code == 0 {
		t.Fatalf("dormer %s was not refused: %s", strings.Join(args, " "), a)
	}
	return a.err
}

// logged copies the end of a log to the test's output if the test failed.
func logged(t *testing.T, path string) {
	t.Helper()
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		f, err := os.Open(path)
		if err != nil {
			t.Log(err)
			return
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			t.Log(err)
			return
		}
		b, _ := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-6<<10), 6<<10)) // what there is
		t.Logf("end of %s:\n%s", filepath.Base(path), b)
	})
}
