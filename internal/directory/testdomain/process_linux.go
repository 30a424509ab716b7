package testdomain

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// process is a server in a process group of its own. It does not survive the
// test process, however that ends.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it was waited for
}

// startProcess starts a server. The kernel kills it when the thread that
// started it ends, so one thread is kept for it. Its standard input is a pipe
// that ends with this process, for those that look at that.
func startProcess(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	// A pipe of the kernel's: of another reader exec would make a copy.
	in, hold, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	cmd.Stdin = in
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := cmd.Start()
		_ = in.Close()
		started <- err
		if err == nil {
			_ = cmd.Wait() // it is always killed
		}
		_ = hold.Close()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// await asks again and again until it is ready, and returns false when the
// process ended or the time is up.
func (p *process) await(ctx context.Context, limit time.Duration, ready func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for !ready() {
		select {
		case <-again.C:
		case <-p.done:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// kill ends the process and its children, and waits for it.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may have ended by itself
	<-p.done
}

// pause stops the process where it is, or lets it go on.
func (p *process) pause(t testing.TB, yes bool) {
	t.Helper()
	signal := syscall.SIGCONT
	if yes {
		signal = syscall.SIGSTOP
	}
	if err := syscall.Kill(-p.cmd.Process.Pid, signal); err != nil {
		t.Fatal(err)
	}
}

// tryLock locks a file for this process and those that inherit it.
func tryLock(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
