package guest

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
)

// toolPatience is how long a program of the guest's system may take when its
// caller sets no time.
const toolPatience = time.Minute

// maxSaid bounds what an error repeats of a program's output, in bytes.
const maxSaid = 400

// tool is a program of the guest's system that the agent has something done by.
// Secrets go to its standard input, never into args and env.
type tool struct {
	args  []string
	env   []string
	stdin []byte
	// who runs it; nil is the agent itself.
	who *account
}

// run returns what it printed. ErrUnsupported when the guest does not have it.
func (t tool) run(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, toolPatience)
	defer cancel()
	env := toolEnvironment()
	dir := ""
	if t.who != nil {
		env = append(t.who.environment(), "LC_ALL=C.UTF-8")
		dir = "/"
	}
	env = append(env, t.env...)
	path, err := lookPath(t.args[0], env)
	if err != nil {
		return nil, fmt.Errorf("the guest has no %s: %w", t.args[0], dormer.ErrUnsupported)
	}
	cmd := exec.CommandContext(ctx, path, t.args[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdin, cmd.WaitDelay = env, dir, bytes.NewReader(t.stdin), outputGrace
	if t.who != nil {
		if err := t.who.apply(cmd); err != nil {
			return nil, err
		}
	}
	out, err := cmd.CombinedOutput()
	if err == nil {
		return out, nil
	}
	if ctx.Err() != nil {
		return out, fmt.Errorf("%s does not end: %w", t.args[0], dormer.ErrUnavailable)
	}
	return out, fmt.Errorf("%s: %w: %s", t.args[0], err, t.said(out))
}

// said is the end of what a program printed, without what it was told in secret.
func (t tool) said(out []byte) string {
	for secret := range bytes.Lines(t.stdin) {
		if secret = bytes.TrimSpace(secret); len(secret) > 3 {
			out = bytes.ReplaceAll(out, secret, []byte("(hidden)"))
		}
	}
	text := strings.Join(strings.Fields(string(out)), " ")
	if len(text) > maxSaid {
		text = text[len(text)-maxSaid:]
	}
	return strings.ToValidUTF8(text, "?")
}
