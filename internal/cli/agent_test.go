package cli_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"github.com/dormer-project/dormer/internal/agent"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/guest"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/fake"
	"github.com/dormer-project/dormer/internal/lease"
)

// runAgent is dormer-agent with machines in memory: what `run --user` does. A
// machine does not start while there is a file no-start in the state folder.
// Its other commands are the program's own.
func runAgent() {
	ctx, stop := untilSignal()
	var err error
	if len(os.Args) > 1 && os.Args[1] == "run" {
		err = serveAgent(ctx, len(os.Args) > 2 && os.Args[2] == "--user")
	} else {
		err = agent.Command("1.2.3", os.Stdin, os.Stdout, os.Stderr, os.Getenv).ExecuteContext(ctx)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "dormer-agent: "+err.Error())
		os.Exit(1)
	}
}

func serveAgent(ctx context.Context, own bool) (err error) {
	f, err := agent.LoadFile(agent.DefaultFilePath(own, os.Getenv), false, agent.DefaultFile(true, os.Getenv))
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	clocks, err := lease.SystemTime()
	if err != nil {
		return err
	}
	images, err := agent.OpenImages(f.Images)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, images.Close()) }()
	host := fake.NewHost(time.Now)
	host.SetAnswer(answer)
	host.SetBootTime(50 * time.Millisecond)
	if err := serveGuest(ctx, host, f.State); err != nil {
		return err
	}
	host.SetStartError(func(hypervisor.Spec) error {
		if _, err := os.Stat(filepath.Join(f.State, "no-start")); err == nil {
			return errors.New("the machine has no processor")
		}
		return nil
	})
	a, err := agent.New(agent.Config{StateDir: f.State, Managed: !own, Version: "1.2.3", LookEvery: 100 * time.Millisecond}, agent.Deps{
		Driver: host.Driver(), Images: images, Time: clocks, Random: rand.Reader, Logger: log, Host: agent.ThisHost, OwnUID: uint32(os.Getuid()),
	})
	if err != nil {
		return err
	}
	listener, err := agentapi.Listen(ctx, f.Socket, false)
	if err != nil {
		return errors.Join(err, a.Close())
	}
	local := agentapi.NewServer(a, log)
	served := make(chan error, 1)
	go func() { served <- local.Serve(listener) }()
	err = errors.Join(a.Run(ctx), local.Close())
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// serveGuest makes this computer the guest as far as files and the clipboard go.
func serveGuest(ctx context.Context, host *fake.Host, state string) error {
	who, err := user.Current()
	if err != nil {
		return err
	}
	root := filepath.Join(state, "guest")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return err
	}
	g, err := guest.New(guest.Config{Version: "1.2.3", Log: slog.New(slog.DiscardHandler), Now: time.Now, Root: root, User: who.Username})
	if err != nil {
		return err
	}
	for _, c := range []guestwire.Channel{guestwire.ChannelFiles, guestwire.ChannelClipboard} {
		host.SetChannel(c, func(_ hypervisor.Spec, conn io.ReadWriteCloser) { g.ServeChannel(ctx, c, conn) })
	}
	return nil
}

// answer is the guest of the scripts: "fail TEXT" fails, the rest is left to
// the fake's own guest.
//
//nolint:revive // the order is that of fake.AnswerFunc
func answer(_ context.Context, _ hypervisor.Spec, r guestwire.ExecRequest) (guestwire.ExecResult, error, bool) {
	if len(r.Args) == 2 && r.Args[0] == "fail" {
		if r.Args[1] == "--binary" {
			r.Args[1] = "\xffend"
		}
		return guestwire.ExecResult{ExitCode: 42, Stderr: []byte(r.Args[1] + "\n")}, nil, true
	}
	return guestwire.ExecResult{}, nil, false
}
