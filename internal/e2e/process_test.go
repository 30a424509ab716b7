package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/hypervisor"
)

// program is a daemon under test.
type program struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// start starts a daemon that appends to a log.
func start(t *testing.T, log string, env []string, words ...string) *program {
	t.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p := &program{cmd: exec.Command(words[0], words[1:]...), ended: make(chan struct{})} // ended by the tests
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = env, out, out, "/"
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // killed ones do not end well
	}()
	return p
}

func (p *program) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill is kill -9.
func (p *program) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// stop is an orderly end. It must come within a minute.
func (p *program) stop(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	timer := time.NewTimer(soon)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		t.Errorf("%s did not end when it was told to", filepath.Base(p.cmd.Path))
		p.kill()
	}
}

// family returns the identities of a process and of all that descend from it.
func family(t *testing.T, root hypervisor.ProcessID) map[string]hypervisor.ProcessID {
	t.Helper()
	children := map[int][]int{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		text := string(b)
		fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
		pid, err1 := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parent, err2 := strconv.Atoi(fields[1])
		if err1 == nil && err2 == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	out := map[string]hypervisor.ProcessID{}
	for queue := []int{root.PID}; len(queue) > 0; queue = queue[1:] {
		id, err := hypervisor.IdentifyProcess(queue[0])
		if err != nil {
			continue
		}
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", id.PID))
		if err != nil {
			continue
		}
		out[fmt.Sprintf("%s (%d)", strings.TrimSpace(string(name)), id.PID)] = id
		queue = append(queue, children[queue[0]]...)
	}
	return out
}

// named returns the first of some processes whose name begins so.
func named(t *testing.T, all map[string]hypervisor.ProcessID, name string) hypervisor.ProcessID {
	t.Helper()
	for n, id := range all {
		if strings.HasPrefix(n, name) {
			return id
		}
	}
	t.Fatalf("no process %s in %v", name, all)
	return hypervisor.ProcessID{}
}

// gone waits until none of the processes runs.
func gone(t *testing.T, all map[string]hypervisor.ProcessID) {
	t.Helper()
	eventually(t, soon, "processes end", func() string {
		var left []string
		for name, id := range all {
			if id.Alive() {
				left = append(left, name)
			}
		}
		return strings.Join(left, ", ")
	})
}
