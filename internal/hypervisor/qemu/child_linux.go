package qemu

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"github.com/dormer-project/dormer/internal/hypervisor/account"
)

// child is a process that dies with this one, however this one dies.
type child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and was waited for
	err  error         // valid after done
}

// startChild starts a process that the kernel kills when the calling process
// ends. The kernel looks at the thread that started it, so that one thread is
// kept for it. It runs as user, or as the calling process's user if that is nil.
func startChild(cmd *exec.Cmd, user *account.Account) (*child, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	if user != nil {
		cmd.SysProcAttr.Credential = user.Credential()
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	// Ctrl-C in a terminal is for who owns the machine, not for it.
	cmd.SysProcAttr.Setpgid = true
	c := &child{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		c.err = cmd.Wait()
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// kill ends the process and waits for it.
func (c *child) kill() {
	// It may have ended by itself; waiting is what counts.
	_ = c.cmd.Process.Kill()
	<-c.done
}

// socketPair returns a connection and the file that a child inherits as its
// other end.
func socketPair(name string) (net.Conn, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make socket pair %s: %w", name, err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name)
	conn, err := net.FileConn(ours)
	_ = ours.Close() // FileConn has a duplicate
	if err != nil {
		_ = theirs.Close()
		return nil, nil, fmt.Errorf("make socket pair %s: %w", name, err)
	}
	return conn, theirs, nil
}

// freeSpace is how many bytes may still be written in dir.
func freeSpace(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("free space: %w", err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}
