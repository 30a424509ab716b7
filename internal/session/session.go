// Package session is the program `dormer session`: it runs as a user of the
// computer, connects to the agent, and does for it what is done as the user. It
// is a composition root without a command line of its own; cli makes it one, and
// only cli and tests import it.
//
// The agent asks, this answers: HTTP/2 on the connection that this opened. Only
// the agent is at its other end, and what it asks comes from a policy that the
// server signed. The session trusts it as it trusts the system that it runs on.
package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
)

// Config is what a session works with.
type Config struct {
	// Agent is whom it connects to.
	Agent *agentapi.Client
	// Version of the program.
	Version string
	Logger  *slog.Logger
	// Env looks up variables of the user's environment.
	Env func(string) string
	// SignIn signs the user in by the Kerberos ticket that they have, when
	// nobody is signed in and the server takes tickets; it does nothing else.
	SignIn func(context.Context) error
	// Root is where the system's files are looked for; empty: the real ones.
	Root string
}

// Session is one process. Make it by New.
type Session struct {
	cfg   Config
	log   *slog.Logger
	mux   *http.ServeMux
	stop  context.CancelCauseFunc
	ended context.Context //nolint:containedctx // ends with the session: commands do too
	// ending says that the agent told it to end.
	ending atomic.Bool
}

// route is one row of the table of what the agent may ask. A pattern is as in
// http.ServeMux. handler is called once for each session, so that it may hold
// state.
type route struct {
	pattern string
	handler func(*Session) http.Handler
}

// routes are all of them; each file has those of its own subject.
var routes = slices.Concat(baseRoutes, channelRoutes)

var baseRoutes = []route{
	{"POST " + agentapi.DeskHostCommand, answering((*Session).hostCommand)},
	{"POST " + agentapi.DeskNotify, answering((*Session).notify)},
	{"GET " + agentapi.DeskEnvironment, answering((*Session).environment)},
	{"POST " + agentapi.DeskSignIn, answering((*Session).signIn)},
	{"GET " + agentapi.DeskAlive, answering((*Session).alive)},
	{"POST " + agentapi.DeskEnd, answering((*Session).end)},
}

// answering makes a handler of a method whose errors are answered as problem
// documents.
func answering(serve func(s *Session, w http.ResponseWriter, r *http.Request) error) func(*Session) http.Handler {
	return func(s *Session) http.Handler {
		return agentapi.DeskHandler(s.log, func(w http.ResponseWriter, r *http.Request) error { return serve(s, w, r) })
	}
}

// The pace of connecting.
const (
	firstRetry = 500 * time.Millisecond
	maxRetry   = 10 * time.Second
	// endTime is how long an agent has to close the connection after it told the
	// session to end.
	endTime = 2 * time.Second
)

// errAsked is why a session ends that was told to.
var errAsked = errors.New("the session was told to end")

// New returns a session that is complete; Run makes it work.
func New(cfg Config) *Session {
	s := &Session{cfg: cfg, log: cfg.Logger, mux: http.NewServeMux()}
	s.ended, s.stop = context.WithCancelCause(context.Background())
	for _, r := range routes {
		s.mux.Handle(r.pattern, r.handler(s))
	}
	return s
}

// Run connects to the agent, and again whenever the connection is lost, until
// ctx ends or the agent tells it to end. connected is called after each time
// that it succeeded and may be nil. ErrExists when the user has another session
// that answers, ErrDenied when the agent is another user's.
func (s *Session) Run(ctx context.Context, connected func()) error {
	defer s.stop(errAsked)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(s.ended, cancel)
	defer stop()
	pause, again := firstRetry, false
	for {
		conn, err := s.cfg.Agent.ConnectDesk(ctx, agentapi.DeskHello{Version: s.cfg.Version, Again: again})
		switch {
		case err == nil:
			pause, again = firstRetry, true
			s.serve(ctx, conn, connected)
			if s.ending.Load() {
				return nil
			}
		case errors.Is(err, dormer.ErrExists), errors.Is(err, dormer.ErrDenied), errors.Is(err, dormer.ErrUnsupported):
			return err
		case ctx.Err() == nil:
			s.log.LogAttrs(ctx, slog.LevelDebug, "no agent to connect to", slog.Any("error", err))
		}
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil
		case <-wait.C:
		}
		pause = min(2*pause, maxRetry)
	}
}

// serve answers on one connection.
func (s *Session) serve(ctx context.Context, conn net.Conn, connected func()) {
	defer conn.Close()
	s.log.LogAttrs(ctx, slog.LevelInfo, "connected to the agent")
	if connected != nil {
		connected()
	}
	if s.cfg.SignIn != nil {
		go func() { // it takes as long as the server does
			if err := s.cfg.SignIn(ctx); err != nil && ctx.Err() == nil {
				s.log.LogAttrs(ctx, slog.LevelInfo, "not signed in by a ticket", slog.Any("error", err))
			}
		}()
	}
	agentapi.ServeDesk(ctx, conn, s.mux)
	s.log.LogAttrs(ctx, slog.LevelInfo, "the connection to the agent has ended")
}

// alive says that the session is there.
func (*Session) alive(w http.ResponseWriter, _ *http.Request) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// signIn signs the user in by their ticket.
func (s *Session) signIn(w http.ResponseWriter, r *http.Request) error {
	if s.cfg.SignIn == nil {
		return fmt.Errorf("this session signs nobody in: %w", dormer.ErrUnsupported)
	}
	if err := s.cfg.SignIn(r.Context()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// end ends the session: it does not come back once the agent, with the answer in
// hand, has closed the connection.
func (s *Session) end(w http.ResponseWriter, _ *http.Request) error {
	s.ending.Store(true)
	time.AfterFunc(endTime, func() { s.stop(errAsked) })
	w.WriteHeader(http.StatusNoContent)
	return nil
}
