package guest

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/transfer"
)

// loopback are the listeners on which programs of the guest reach what the host
// serves.
type loopback struct {
	mu       sync.Mutex // guards the fields below
	folders  *listener
	printers *listener
}

// listener is one of them, on 127.0.0.1.
type listener struct {
	port   int
	secret string // of folders; a user of the guest must not reach those of another
}

// loopbackUser is the name that goes with the secret.
const loopbackUser = "dormer"

// address is where a program finds a path there.
func (l *listener) address(scheme, path string) string {
	return scheme + "://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(l.port)) + path
}

// printPort is where printers are when that is free: queues keep their address.
const printPort = 8631

// foldersListener returns the listener of folders, which it makes the first
// time.
func (g *Guest) foldersListener() (*listener, error) {
	g.channels.loopback.mu.Lock()
	defer g.channels.loopback.mu.Unlock()
	if l := g.channels.loopback.folders; l != nil {
		return l, nil
	}
	l := &listener{secret: rand.Text()}
	to := relay(&g.channels.folders)
	err := g.listenLoopback(l, 0, func(w http.ResponseWriter, r *http.Request) {
		user, secret, _ := r.BasicAuth()
		if user != loopbackUser || subtle.ConstantTimeCompare([]byte(secret), []byte(l.secret)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="Dormer"`)
			http.Error(w, "who asks is not known", http.StatusUnauthorized)
			return
		}
		to.ServeHTTP(w, r)
	})
	if err != nil {
		return nil, err
	}
	g.channels.loopback.folders = l
	return l, nil
}

// printListener returns the listener of printers, which it makes the first time.
func (g *Guest) printListener() (*listener, error) {
	g.channels.loopback.mu.Lock()
	defer g.channels.loopback.mu.Unlock()
	if l := g.channels.loopback.printers; l != nil {
		return l, nil
	}
	l := &listener{}
	mux := http.NewServeMux()
	mux.Handle("POST "+guestwire.PrintersPath, relay(&g.channels.printing))
	err := g.listenLoopback(l, printPort, mux.ServeHTTP)
	if err != nil {
		err = g.listenLoopback(l, 0, mux.ServeHTTP)
	}
	if err != nil {
		return nil, err
	}
	g.channels.loopback.printers = l
	return l, nil
}

// listenLoopback serves on a port of 127.0.0.1, 0 for any, as long as the agent
// runs.
func (g *Guest) listenLoopback(l *listener, port int, h http.HandlerFunc) error {
	var lc net.ListenConfig
	on, err := lc.Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("listen for programs of the guest: %w", err)
	}
	if a, ok := on.Addr().(*net.TCPAddr); ok {
		l.port = a.Port
	}
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 5 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(g.cfg.Log.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := s.Serve(on); !errors.Is(err, http.ErrServerClosed) {
			g.cfg.Log.Error("programs of the guest cannot reach the host any more", slog.Any("error", err))
		}
	}()
	return nil
}

// mountFolders makes the shared folders of the host those of the request.
func (g *Guest) mountFolders(ctx context.Context, r guestwire.FoldersRequest) (guestwire.FoldersResult, error) {
	names := transfer.Names{}
	for _, f := range r.Folders {
		if err := names.Add(f.Name); err != nil {
			return guestwire.FoldersResult{}, err
		}
	}
	g.arranging.Lock()
	defer g.arranging.Unlock()
	var who account
	var err error
	if r.Account != "" {
		who, err = g.account(r.Account)
	} else {
		who, err = g.channelAccount()
	}
	if err != nil {
		return guestwire.FoldersResult{}, err
	}
	l, err := g.foldersListener()
	if err != nil {
		return guestwire.FoldersResult{}, err
	}
	return g.mountShares(ctx, l, who, r.Folders)
}

// setPrinters makes the queues of the host's printers those of the request. A
// guest without CUPS has none: dormer-guest print reaches them all the same.
func (g *Guest) setPrinters(ctx context.Context, r guestwire.PrintersRequest) error {
	names := transfer.Names{}
	for _, p := range r.Printers {
		if err := names.Add(p.Name); err != nil {
			return err
		}
		if !queueForm.MatchString(p.Name) {
			return dormer.Invalidf("printers", "a name has characters that names of printers do not have")
		}
	}
	l, err := g.printListener()
	if err != nil {
		return err
	}
	return g.makeQueues(ctx, l, r.Printers)
}
