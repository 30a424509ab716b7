package agent

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/policy"
)

// hostCommandSlack is what a session process has beyond the time of a command
// to end it and answer.
const hostCommandSlack = 15 * time.Second

// hostCommand runs the command that the policy wants run on the host before the
// machine starts, as its user, in the user's session process. The error says
// why the machine must not start; nil when there is no command or the policy
// goes on without it.
func (a *Agent) hostCommand(ctx context.Context, m *machine) error {
	m.mu.Lock()
	p := m.policy
	m.mu.Unlock()
	if p == nil || p.General.HostCommand.Command == "" {
		return nil
	}
	h := p.General.HostCommand
	c, ok := a.desk(m.uid)
	if !ok {
		a.tell(event.New(event.NoSession, a.now(), "the host command was not run"), m)
		if !h.StopOnFailure {
			return nil
		}
		return fmt.Errorf("the workspace starts only after a command has run as its user, and no session process of the user is connected; 'dormer start' begins one: %w", dormer.ErrUnavailable)
	}
	failure := a.runHostCommand(ctx, c, h)
	if ctx.Err() != nil {
		return fmt.Errorf("run the host command: %w", ctx.Err())
	}
	if failure == "" {
		return nil
	}
	a.tell(event.New(event.HostCommandFailed, a.now(), failure), m)
	if !h.StopOnFailure {
		return nil
	}
	return fmt.Errorf("the workspace starts only after the host command has succeeded: %s: %w", failure, dormer.ErrDenied)
}

// runHostCommand returns what went wrong, "" when nothing did.
func (a *Agent) runHostCommand(ctx context.Context, c *http.Client, h policy.EffectiveHostCommand) string {
	args, err := policy.SplitCommand(h.Command)
	if err != nil || len(args) == 0 {
		return "the command line in the policy is not valid"
	}
	limit := h.Timeout.Duration()
	short, cancel := context.WithTimeout(ctx, limit+hostCommandSlack)
	defer cancel()
	r, err := agentapi.AskDesk[agentapi.HostCommandResult](short, c, http.MethodPost, agentapi.DeskHostCommand, agentapi.HostCommandRequest{Args: args, Timeout: limit})
	switch {
	case err != nil:
		return err.Error()
	case r.Problem != "":
		return cut(r.Problem, maxDetailText)
	case r.TimedOut:
		return fmt.Sprintf("%s took longer than %s and was ended", cut(args[0], maxDetailText), limit)
	case r.ExitStatus != 0:
		return fmt.Sprintf("%s ended with status %d", cut(args[0], maxDetailText), r.ExitStatus)
	}
	return ""
}
