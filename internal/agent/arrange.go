package agent

import (
	"context"
	"errors"
	"log/slog"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/policy"
)

// guest is what arranging a guest works on: a machine that runs, whose guest is
// ready, and the policy that it shall have.
type guest struct {
	m  *machine
	vm hypervisor.Machine
	p  *policy.Effective
	// first says that this guest was started anew and has been told nothing yet;
	// resumed that it goes on from saved state or from being suspended.
	first, resumed bool
}

// arrangement is one thing about a guest that follows from its policy.
type arrangement struct {
	name string
	// do makes the guest so; it is harmless to repeat and does nothing when the
	// policy says nothing. ErrUnsupported when the guest cannot do it.
	do func(ctx context.Context, g guest) error
	// must says that the workspace is not ready before it is done.
	must bool
}

// arrangements are done in this order once a guest is ready, and again when the
// policy, the host or the user's credentials have changed.
var arrangements = []arrangement{
	{name: "clock", do: arrangeClock},
	{name: "time zone", do: arrangeTimeZone},
	{name: "name service", do: arrangeDNS},
	{name: "regional settings", do: arrangeRegional},
	{name: "first-time setup", do: arrangeSetup, must: true},
	{name: "sign-on", do: arrangeSignOn},
	{name: "shared folders", do: arrangeFolders},
	{name: "printers", do: arrangePrinters},
	{name: "network drives", do: arrangeDrives},
	{name: "applications that start with the workspace", do: arrangeApplications},
}

// arrange makes a guest as its policy says and returns nil when the workspace
// can be used. What fails is told once; what may fail does not keep the rest
// from being done.
func (g guest) arrange(ctx context.Context) error {
	for _, a := range arrangements {
		err := a.do(ctx, g)
		switch {
		case err == nil:
			continue
		case ctx.Err() != nil:
			return ctx.Err()
		case a.must:
			return err
		}
		g.m.agent.log.LogAttrs(ctx, slog.LevelWarn, "a guest cannot be arranged",
			slog.String("machine", string(g.m.id)), slog.String("what", a.name), slog.Any("error", err))
		if !errors.Is(err, dormer.ErrUnsupported) || g.first {
			g.m.agent.tell(event.New(event.ArrangeFailed, g.m.agent.now(), a.name+": "+err.Error()), g.m)
		}
	}
	return nil
}
