package guest

import (
	"context"
	"fmt"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// request is how one method is answered. What it returns second is done after
// the answer was sent.
type request func(ctx context.Context, g *Guest, c *conversation, f guestwire.Frame) (answer any, after func() error, err error)

// requests lists what the agent answers on every system. What a system cannot
// do is missing in its capabilities, and its function says ErrUnsupported.
var requests = map[guestwire.Method]request{
	guestwire.MethodExec: execute,
	guestwire.MethodStatus: func(_ context.Context, g *Guest, _ *conversation, _ guestwire.Frame) (any, func() error, error) {
		st, err := g.status()
		return st, nil, err
	},
	guestwire.MethodShutdown: func(_ context.Context, g *Guest, _ *conversation, _ guestwire.Frame) (any, func() error, error) {
		return nil, func() error { return g.powerOff(false) }, nil
	},
	guestwire.MethodRestart: func(_ context.Context, g *Guest, _ *conversation, _ guestwire.Frame) (any, func() error, error) {
		return nil, func() error { return g.powerOff(true) }, nil
	},
	guestwire.MethodMount:     answers((*Guest).mount),
	guestwire.MethodReadFile:  answers((*Guest).readFile),
	guestwire.MethodWriteFile: does((*Guest).writeFile),
	guestwire.MethodHostname:  does((*Guest).setHostname),

	guestwire.MethodTimeZone: does((*Guest).setTimeZone),
	guestwire.MethodClock:    does((*Guest).setClock),
	guestwire.MethodDNS:      does((*Guest).setDNS),
	guestwire.MethodRegional: does((*Guest).setRegional),
	guestwire.MethodNotify:   does((*Guest).notify),
	guestwire.MethodLock:     plain((*Guest).lock),
	guestwire.MethodUnlock:   plain((*Guest).unlock),
	guestwire.MethodSignOn:   answers((*Guest).signOn),
	guestwire.MethodSignOff:  plain((*Guest).signOff),
	guestwire.MethodDrives:   answers((*Guest).mapDrives),
	guestwire.MethodJoin:     answers((*Guest).join),
	guestwire.MethodConnect:  does((*Guest).connect),

	guestwire.MethodReopen:   does((*Guest).reopenChannels),
	guestwire.MethodFolders:  answers((*Guest).mountFolders),
	guestwire.MethodPrinters: does((*Guest).setPrinters),

	guestwire.MethodNoAutoSignOn: plain((*Guest).noAutoSignOn),
	guestwire.MethodCheck: func(ctx context.Context, g *Guest, _ *conversation, _ guestwire.Frame) (any, func() error, error) {
		return guestwire.CheckResult{Findings: g.check(ctx)}, nil, nil
	},
}

// answers answers a method with what do returns.
func answers[Q, A any](do func(*Guest, context.Context, Q) (A, error)) request {
	return func(ctx context.Context, g *Guest, _ *conversation, f guestwire.Frame) (any, func() error, error) {
		var q Q
		if err := guestwire.DecodeBody(f, &q); err != nil {
			return nil, nil, err
		}
		a, err := do(g, ctx, q)
		return a, nil, err
	}
}

// does answers a method whose answer has no body.
func does[Q any](do func(*Guest, context.Context, Q) error) request {
	return func(ctx context.Context, g *Guest, _ *conversation, f guestwire.Frame) (any, func() error, error) {
		var q Q
		if err := guestwire.DecodeBody(f, &q); err != nil {
			return nil, nil, err
		}
		return nil, nil, do(g, ctx, q)
	}
}

// plain answers a method without bodies.
func plain(do func(*Guest, context.Context) error) request {
	return func(ctx context.Context, g *Guest, _ *conversation, _ guestwire.Frame) (any, func() error, error) {
		return nil, nil, do(g, ctx)
	}
}

func execute(ctx context.Context, g *Guest, c *conversation, f guestwire.Frame) (any, func() error, error) {
	var r guestwire.ExecRequest
	if err := guestwire.DecodeBody(f, &r); err != nil {
		return nil, nil, err
	}
	result, err := g.exec(ctx, r, func(out guestwire.Output) {
		c.write(f.Session, guestwire.KindEvent, f.ID, guestwire.EventOutput, out, nil)
	})
	return result, nil, err
}

// work does what a request asks for.
func (g *Guest) work(ctx context.Context, c *conversation, f guestwire.Frame) (answer any, after func() error, err error) {
	do, ok := requests[f.Method]
	if !ok {
		return nil, nil, fmt.Errorf("guest does not know the request: %w", dormer.ErrUnsupported)
	}
	return do(ctx, g, c, f)
}
