package guest

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// The agent serves users of the guest on a Unix socket: the clipboard, and the
// host's printers. Only whoever channels are for, and the administrator, gets
// an answer.
const (
	localSocket     = "/run/dormer-guest/local.sock"
	pathClipboard   = "/clipboard"
	desktopPatience = 5 * time.Second
)

type peerKey struct{}

// serveLocal serves the socket until ctx ends.
func (g *Guest) serveLocal(ctx context.Context) {
	l, err := listenLocal(ctx, g.path(localSocket))
	if err != nil {
		g.cfg.Log.Warn("users of the guest cannot reach the agent", slog.Any("error", err))
		return
	}
	s := &http.Server{
		Handler: g.localHandler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, localPeer(c))
		},
		ErrorLog: slog.NewLogLogger(g.cfg.Log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() }) // ends Serve
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		g.cfg.Log.Warn("users of the guest cannot reach the agent any more", slog.Any("error", err))
	}
}

func listenLocal(ctx context.Context, path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// localHandler answers users of the guest.
func (g *Guest) localHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathClipboard, func(w http.ResponseWriter, _ *http.Request) { sendText(w, g.channels.clipboard.get()) })
	mux.HandleFunc("PUT "+pathClipboard, func(w http.ResponseWriter, r *http.Request) {
		text, err := readText(w, r)
		if err == nil {
			g.channels.clipboard.set(text)
		}
		reply(w, nil, err)
	})
	mux.Handle(guestwire.PrintersPath, relay(&g.channels.printing))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if allowed, _ := r.Context().Value(peerKey{}).(func(*Guest) bool); allowed == nil || !allowed(g) {
			reply(w, nil, fmt.Errorf("this is for whoever the machine is for: %w", dormer.ErrDenied))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// relay hands requests on to the host, with their path as it is.
func relay(to http.RoundTripper) http.Handler {
	return &httputil.ReverseProxy{
		Transport: to,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", "host", "host"
			r.Out.Header.Del("Authorization")
			r.Out.Header.Del("Expect") // the listener has said to continue
			// Where something goes is told by its path alone: names of hosts mean
			// nothing on the way.
			if d, err := url.Parse(r.Out.Header.Get("Destination")); err == nil && d.Path != "" {
				r.Out.Header.Set("Destination", d.EscapedPath())
			}
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, "the host does not answer", http.StatusServiceUnavailable)
		},
	}
}

// localClient asks the agent of this guest.
func localClient() *http.Client {
	var d net.Dialer
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", localSocket)
		},
	}}
}

// askLocal sends one request to the agent of this guest and returns its answer,
// which is read with a bound.
func askLocal(ctx context.Context, method, path, contentType string, body io.Reader) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", contentType)
	resp, err := localClient().Do(r)
	if err != nil {
		return nil, fmt.Errorf("dormer-guest does not answer; its service must run (%w): %w", err, dormer.ErrUnavailable)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, guestwire.MaxFrame))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, answered(b)
	}
	return b, nil
}

// copyText puts what is read from in where the host can fetch it.
func copyText(ctx context.Context, in io.Reader) error {
	_, err := askLocal(ctx, http.MethodPut, pathClipboard, "text/plain; charset=utf-8", in)
	return err
}

// pasteText writes what the host has put there.
func pasteText(ctx context.Context, out io.Writer) error {
	b, err := askLocal(ctx, http.MethodGet, pathClipboard, "", nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, bytes.NewReader(b))
	return err
}

// channelCommand runs one of the commands that use channels.
func channelCommand(ctx context.Context, flags *flag.FlagSet, args []string, stdout io.Writer) error {
	printer := ""
	if args[0] == "print" {
		flags.StringVar(&printer, "printer", "", "name of the printer (default: the host's)")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch {
	case args[0] == "print" && flags.NArg() == 1:
		return printFile(ctx, flags.Arg(0), printer, stdout)
	case flags.NArg() > 0 || args[0] == "print":
		return fmt.Errorf("dormer-guest %s: %w", args[0], dormer.Invalidf("arguments", "are not what the command takes"))
	case args[0] == "copy":
		return copyText(ctx, os.Stdin)
	case args[0] == "paste":
		return pasteText(ctx, stdout)
	default:
		return serveFilesHere(ctx)
	}
}
