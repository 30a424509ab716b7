// Package control is the conversation between an agent and a machine process,
// over a Unix socket in the machine's directory: the server is the machine
// process's, the client is that of driver process.
//
// A connection carries one request and one answer, each one line of JSON.
// Closing it gives the request up. The request watch is answered when the
// machine has ended. After the answer to open the connection carries the bytes
// of a channel, both ways, until either end closes it.
package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// Protocol is the version of this build, Oldest the oldest it still
// understands: an agent that was updated adopts machines of the one before.
//
//	1  2026-11  first version
const (
	Protocol = 1
	Oldest   = 1
)

// maxMessage is the longest line, in bytes: an answer to exec with full outputs.
const maxMessage = guestwire.MaxFrame + 64<<10

// Method is what a request asks for.
type Method string

// The methods are those of hypervisor.Machine.
const (
	MethodStatus   Method = "status"
	MethodExec     Method = "exec"
	MethodShutdown Method = "shutdown"
	MethodKill     Method = "kill"
	MethodWatch    Method = "watch"
	MethodAsk      Method = "ask"
	MethodOpen     Method = "open"
	MethodApply    Method = "apply"
	MethodDevices  Method = "devices"
)

type request struct {
	Protocol int    `json:"protocol"`
	Method   Method `json:"method"`
	// Timeout is how long the caller waits; 0 is no limit.
	Timeout time.Duration          `json:"timeout_ns,omitempty"`
	Exec    *guestwire.ExecRequest `json:"exec,omitempty"`
	Ask     *question              `json:"ask,omitempty"`
	Channel guestwire.Channel      `json:"channel,omitempty"`
	Spec    *hypervisor.Spec       `json:"spec,omitempty"`
}

// question is a request to the guest's agent.
type question struct {
	Need   guestwire.Capability `json:"need"`
	Method guestwire.Method     `json:"method"`
	Body   json.RawMessage      `json:"body,omitempty"`
}

type answer struct {
	Status  *hypervisor.Status    `json:"status,omitempty"`
	Result  *guestwire.ExecResult `json:"result,omitempty"`
	Body    json.RawMessage       `json:"body,omitempty"`
	Parts   []hypervisor.Part     `json:"parts,omitempty"`
	Devices []hypervisor.Device   `json:"devices,omitempty"`
	Error   *guestwire.Error      `json:"error,omitempty"`
}

// Listen opens a socket of a machine's directory, however long its path is.
// The caller removes the file.
func Listen(dir, name string) (*net.UnixListener, error) {
	var l *net.UnixListener
	err := inDir(dir, func(prefix string) error {
		if err := os.Remove(prefix + name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		var err error
		if l, err = net.ListenUnix("unix", &net.UnixAddr{Name: prefix + name, Net: "unix"}); err != nil {
			return err
		}
		l.SetUnlinkOnClose(false)
		return os.Chmod(prefix+name, 0o600)
	})
	if err != nil {
		if l != nil {
			err = errors.Join(err, l.Close())
		}
		return nil, fmt.Errorf("listen on %s: %w", name, err)
	}
	return l, nil
}

// Dial connects to a socket of a machine's directory.
func Dial(ctx context.Context, dir, name string) (net.Conn, error) {
	var conn net.Conn
	err := inDir(dir, func(prefix string) (err error) {
		conn, err = (&net.Dialer{}).DialContext(ctx, "unix", prefix+name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", name, err)
	}
	return conn, nil
}

// inDir calls f with a short prefix for files of dir: the names of sockets have
// at most 107 bytes.
func inDir(dir string, f func(prefix string) error) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f(fmt.Sprintf("/proc/self/fd/%d/", d.Fd())), d.Close())
}

// sameUser reports whether the other end belongs to this process's user or to root.
func sameUser(conn net.Conn) bool {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return false
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return false
	}
	allowed := false
	err = raw.Control(func(fd uintptr) {
		cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
		allowed = err == nil && (cred.Uid == 0 || int(cred.Uid) == os.Geteuid())
	})
	return err == nil && allowed
}

// decodeRequest decodes the line of a client.
func decodeRequest(line []byte) (request, error) {
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		return request{}, fmt.Errorf("request is not valid: %w", dormer.ErrInvalid)
	}
	if r.Protocol < Oldest {
		return request{}, fmt.Errorf("request of protocol %d: %w", r.Protocol, dormer.ErrUnsupported)
	}
	switch r.Method {
	case MethodStatus, MethodShutdown, MethodKill, MethodWatch, MethodDevices, MethodSuspend, MethodResume, MethodSave:
	case MethodExec:
		if r.Exec == nil {
			return request{}, dormer.Invalidf("exec", "is missing")
		}
	case MethodAsk:
		if r.Ask == nil || r.Ask.Method == "" {
			return request{}, dormer.Invalidf("ask", "is missing")
		}
	case MethodOpen:
		if r.Channel == "" {
			return request{}, dormer.Invalidf("channel", "is missing")
		}
	case MethodApply:
		if r.Spec == nil {
			return request{}, dormer.Invalidf("spec", "is missing")
		}
	default:
		return request{}, fmt.Errorf("request is not known: %w", dormer.ErrUnsupported)
	}
	if r.Timeout < 0 {
		return request{}, dormer.Invalidf("timeout_ns", "must not be negative")
	}
	return r, nil
}

// readLine reads one line of bounded length.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case len(line) > maxMessage:
			return nil, fmt.Errorf("message: %w", dormer.ErrTooLarge)
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}
