package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
)

const (
	// maxOutput is how much of what a command prints is kept, the end, in bytes.
	maxOutput = 4 << 10
	// outputTime is how long output is waited for after a command has ended: what
	// it left running may hold it open.
	outputTime = 2 * time.Second
)

// hostCommand runs a command as the user. It is what the policy says, in a
// process group of its own, which ends as a whole at the time limit and with the
// request.
func (s *Session) hostCommand(w http.ResponseWriter, r *http.Request) error {
	q, err := agentapi.ReadDesk[agentapi.HostCommandRequest](w, r)
	if err != nil {
		return err
	}
	if len(q.Args) == 0 || q.Args[0] == "" || q.Timeout <= 0 {
		return dormer.Invalidf("args", "need a program, and a time limit")
	}
	return agentapi.AnswerDesk(w, s.run(r.Context(), q), nil)
}

func (s *Session) run(ctx context.Context, q agentapi.HostCommandRequest) agentapi.HostCommandResult {
	ctx, cancel := context.WithTimeout(ctx, q.Timeout)
	defer cancel()
	stop := context.AfterFunc(s.ended, cancel)
	defer stop()
	var out ending
	c := exec.CommandContext(ctx, q.Args[0], q.Args[1:]...)
	c.Stdout, c.Stderr = &out, &out
	c.Dir = s.cfg.Env("HOME")
	c.WaitDelay = outputTime
	c.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return unix.Kill(-c.Process.Pid, unix.SIGKILL) }
	err := c.Run()
	var result agentapi.HostCommandResult
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		result.TimedOut = true
	case exited && exit.Exited():
		result.ExitStatus = exit.ExitCode()
	case exited:
		result.Problem = fmt.Sprintf("%s was ended: %s", q.Args[0], exit)
	default:
		result.Problem = "the command cannot be run: " + err.Error()
	}
	result.Output = out.String()
	return result
}

// ending keeps the end of what is written to it.
type ending struct {
	mu sync.Mutex // guards b
	b  []byte
}

func (e *ending) Write(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.b = append(e.b, b...)
	if over := len(e.b) - maxOutput; over > 0 {
		e.b = append([]byte(nil), e.b[over:]...)
	}
	return len(b), nil
}

func (e *ending) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.ToValidUTF8(string(e.b), "?")
}
