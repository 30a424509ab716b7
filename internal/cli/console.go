package cli

import (
	"context"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer/internal/wire/rest"
	"github.com/dormer-project/dormer/internal/workbench"
	"github.com/dormer-project/dormer/internal/workbench/desk"
)

const (
	// consoleEnd is how long requests may take to end when the console does.
	consoleEnd = 2 * time.Second
	// openingFile leads the browser to the console, in the user's data folder.
	openingFile = "open-console.html"
)

func newConsole(a *app) *cobra.Command {
	var port uint16
	var noBrowser bool
	cmd := &cobra.Command{
		Use: "console", Short: "Open the management console in the browser, with the images of this computer", Args: noArgs,
		Example: "  dormer console\n  dormer console --server https://dormer.example.com:8443 --port 9443 --no-browser",
		Long: `Serves the management console on this computer, for you alone, and opens the
browser. It shows what the server's own console shows, and beside that the
images of this computer: disks are run under a workspace's policy with their
screen in the browser, packed, uploaded and fetched.

It works with the server of your profile, or with the one that --server names
and that it keeps; another can be chosen in the console. Who signs in there is
signed in for the command line too, and the other way round: the session stays
in your profile and does not reach the browser.

The address that is opened counts once, for the browser that uses it first. The
console runs until Ctrl-C, which also ends jobs and machines that are tried.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.console(cmd.Context(), port, noBrowser)
		},
	}
	cmd.Flags().Uint16Var(&port, "port", 0, "port on 127.0.0.1 (default: any that is free)")
	cmd.Flags().BoolVar(&noBrowser, "no-browser", false, "print the address, open no browser")
	return cmd
}

func (a *app) console(ctx context.Context, port uint16, noBrowser bool) (err error) {
	accounts, err := a.newAccounts()
	if err != nil {
		return err
	}
	data, err := a.dataDir("", "XDG_DATA_HOME")
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	bench, err := workbench.Open(workbench.Config{
		Folder: data, Work: a.Env("TMPDIR"), Software: "dormer " + a.Version, Now: a.Now, Random: a.Rand, Log: logger, Signer: a.trustedKey,
		Server: accounts.client,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bench.Close()) }()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		return fmt.Errorf("listen for the browser: %w", err)
	}
	d, err := desk.New(desk.Config{
		Host: l.Addr().String(), Accounts: accounts, Ticket: a.ticketSession, Bench: bench, Home: a.Env("HOME"),
		UserAgent: "dormer/" + a.Version, Random: a.Rand, Log: logger,
	})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer d.Close()
	if !d.Built() {
		a.warn("This program was built without the console; its API is there, its pages are not.")
	}
	server := &http.Server{
		Handler: d, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(desk.OwnConnections(l)) }()
	defer func() { err = errors.Join(err, endServer(ctx, server)) }()
	if err := a.openConsole(ctx, d.Address(), filepath.Join(data, openingFile), noBrowser); err != nil {
		return err
	}
	defer os.Remove(filepath.Join(data, openingFile))
	select {
	case <-ctx.Done():
		a.note("The console ends.")
		return nil
	case err := <-ended:
		return fmt.Errorf("serve the console: %w", err)
	}
}

// endServer lets requests end, and cuts those that do not: who follows the news
// would stay for ever.
func endServer(ctx context.Context, s *http.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), consoleEnd)
	defer cancel()
	if s.Shutdown(ctx) != nil {
		return s.Close()
	}
	return nil
}

// openConsole opens the address in the user's browser, where there is a desktop,
// and prints it in any case. Every user of the computer sees the arguments of
// programs, so that the browser gets a file that leads on.
func (a *app) openConsole(ctx context.Context, address, file string, only bool) error {
	if a.json {
		if err := a.printJSON(struct {
			Address string `json:"address"`
		}{address}); err != nil {
			return err
		}
	}
	program := a.browser()
	if only || program == "" {
		a.tell("Open this address in a browser on this computer; it counts once:\n  %s\nCtrl-C ends the console.", address)
		return nil
	}
	text := html.EscapeString(address)
	page := `<!doctype html><html lang="en"><meta charset="utf-8"><title>Dormer</title><meta http-equiv="refresh" content="0; url=` + text + `"><p><a href="` + text + `">To the console</a></p></html>`
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("file for the browser: %w", err)
	}
	if err := writeSecret(file, page); err != nil {
		return fmt.Errorf("file for the browser: %w", err)
	}
	a.tell("The console opens in the browser. If it does not, open this address; it counts once:\n  %s\nCtrl-C ends the console.", address)
	open := exec.CommandContext(context.WithoutCancel(ctx), program, (&url.URL{Scheme: "file", Path: file}).String())
	if open.Start() == nil { // else the address that was printed has to do
		go func() { _ = open.Wait() }()
	}
	return nil
}

// ticketSession opens a session with the current server by the Kerberos ticket
// of whoever runs the program.
func (a *app) ticketSession(ctx context.Context) (rest.SignedIn, error) {
	p, err := a.loadProfile()
	if err != nil {
		return rest.SignedIn{}, err
	}
	p.Token = ""
	c, err := a.serverOf(p)
	if err != nil {
		return rest.SignedIn{}, err
	}
	defer c.Close()
	r, err := a.prove(ctx, c, p.Server, proof{kerberos: true}, "")
	return r.SignedIn, err
}
