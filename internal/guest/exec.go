package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// outputGrace is how long a command's outputs are read after it has ended: a
// child that it left behind may hold them open for ever.
const outputGrace = time.Second

// defaultPath is where programs without a slash are looked for.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// exec runs a command and waits for it, unless it is detached.
func (g *Guest) exec(ctx context.Context, r guestwire.ExecRequest, stream func(guestwire.Output)) (_ guestwire.ExecResult, err error) {
	if err := r.Validate(); err != nil {
		return guestwire.ExecResult{}, err
	}
	who, err := g.account(r.User)
	if err != nil {
		return guestwire.ExecResult{}, err
	}
	g.input.touch()
	if len(r.SecretFile) > 0 {
		name, remove, err := secretFile(r.SecretFile, who)
		if err != nil {
			return guestwire.ExecResult{}, err
		}
		defer func() { err = errors.Join(err, remove()) }()
		r.Env = append(slices.Clip(r.Env), "DORMER_SECRET_FILE="+name)
	}
	if r.Interactive {
		// What the request names itself counts more.
		r.Env = append(who.desktop(), r.Env...)
	}
	timed := ctx
	if r.Timeout > 0 {
		var cancel context.CancelFunc
		timed, cancel = context.WithTimeout(ctx, r.Timeout)
		defer cancel()
	}
	cmd, err := command(r, who)
	if err != nil {
		return guestwire.ExecResult{}, err
	}
	stdout, stderr := keeper(r, 1, stream), keeper(r, 2, stream)
	if !r.Detach {
		cmd.Stdout, cmd.Stderr = stdout, stderr
		cmd.Stdin = bytes.NewReader(r.Stdin)
	}
	if r.Once != "" {
		if err := g.begin(r.Once); err != nil {
			return guestwire.ExecResult{}, err
		}
	}
	if err := cmd.Start(); err != nil {
		err = startError(cmd.Path, err)
		if r.Once != "" {
			err = errors.Join(err, g.unbegun(r.Once))
		}
		return guestwire.ExecResult{}, err
	}
	pid := cmd.Process.Pid
	if r.Detach {
		if r.Application {
			g.count(1)
		}
		go func() {
			if r.Application {
				defer g.count(-1)
			}
			if err := cmd.Wait(); err != nil {
				g.cfg.Log.Debug("detached command has ended", slog.Int("pid", pid), slog.Any("error", err))
			}
		}()
		return guestwire.ExecResult{PID: pid}, nil
	}
	stop := context.AfterFunc(timed, func() { killGroup(pid) })
	err = cmd.Wait()
	stop()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return guestwire.ExecResult{}, fmt.Errorf("run %s: %w", filepath.Base(cmd.Path), err)
	}
	code, signal := ended(cmd.ProcessState)
	out, outCut := stdout.result()
	errOut, errCut := stderr.result()
	return guestwire.ExecResult{
		PID: pid, ExitCode: code, Signal: signal, Stdout: out, Stderr: errOut,
		Truncated: outCut || errCut,
		TimedOut:  timed.Err() != nil && ctx.Err() == nil && signal != 0,
	}, ctx.Err()
}

// count adds to the number of published applications that run.
func (g *Guest) count(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.applications += n
}

// command prepares a command without starting it.
func command(r guestwire.ExecRequest, who account) (*exec.Cmd, error) {
	env := environment(who, r.Env)
	path, err := lookPath(r.Args[0], env)
	if err != nil {
		return nil, err
	}
	dir := r.Dir
	if dir == "" {
		dir = who.home
	}
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		if r.Dir != "" {
			return nil, fmt.Errorf("directory %s to start in: %w", r.Dir, dormer.ErrNotFound)
		}
		dir = string(filepath.Separator)
	}
	cmd := &exec.Cmd{Path: path, Args: r.Args, Env: env, Dir: dir, WaitDelay: outputGrace}
	return cmd, who.apply(cmd)
}

func environment(who account, extra []string) []string {
	env := append(who.environment(), extra...)
	// The last of two variables of a name counts.
	seen := map[string]bool{}
	var out []string
	for _, v := range slices.Backward(env) {
		name, _, _ := strings.Cut(v, "=")
		if !seen[name] {
			seen[name] = true
			out = append(out, v)
		}
	}
	return out
}

// lookPath finds a program in the PATH that the command will have.
func lookPath(program string, env []string) (string, error) {
	if strings.ContainsRune(program, filepath.Separator) {
		return program, nil
	}
	for _, v := range env {
		name, list, _ := strings.Cut(v, "=")
		if !strings.EqualFold(name, "PATH") {
			continue
		}
		for _, dir := range filepath.SplitList(list) {
			for _, candidate := range executableNames(filepath.Join(dir, program)) {
				if st, err := os.Stat(candidate); err == nil && executable(st) {
					return candidate, nil
				}
			}
		}
	}
	return "", fmt.Errorf("program %s: %w in the guest", program, dormer.ErrNotFound)
}

func startError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("program %s: %w in the guest", path, dormer.ErrNotFound)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("program %s: %w", path, dormer.ErrDenied)
	default:
		return fmt.Errorf("start %s: %w", path, err)
	}
}

// output keeps the beginning of what a command prints, or passes it on.
type output struct {
	number int
	max    int
	stream func(guestwire.Output) // nil to keep

	mu   sync.Mutex // guards the fields below
	kept []byte
	cut  bool
}

func keeper(r guestwire.ExecRequest, number int, stream func(guestwire.Output)) *output {
	limit := r.MaxOutput
	if limit == 0 || limit > guestwire.MaxOutput {
		limit = guestwire.MaxOutput
	}
	o := &output{number: number, max: limit}
	if r.Stream {
		o.stream = stream
	}
	return o
}

var _ io.Writer = (*output)(nil)

func (o *output) Write(p []byte) (int, error) {
	n := len(p)
	if o.stream != nil {
		for len(p) > 0 {
			chunk := p[:min(len(p), guestwire.MaxChunk)]
			o.stream(guestwire.Output{Stream: o.number, Data: chunk})
			p = p[len(chunk):]
		}
		return n, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	room := o.max - len(o.kept)
	if room < n {
		o.cut = true
	}
	o.kept = append(o.kept, p[:min(room, n)]...)
	return n, nil
}

func (o *output) result() ([]byte, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.kept, o.cut
}
