package agentapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/wire"
)

// Info tells about the agent. Each method shows only what belongs to peer.
type Info interface {
	Status(ctx context.Context, peer Peer) (Status, error)
	Diagnostics(ctx context.Context, peer Peer) (Diagnostics, error)
	// Refresh polls now and returns the status after it. ErrUnavailable when
	// the server does not answer.
	Refresh(ctx context.Context, peer Peer) (Status, error)
}

// Accounts gives the agent and its users their identities.
type Accounts interface {
	// Enrol is for root and the agent's own user: ErrDenied for others.
	// ErrExists when the agent is enrolled already and no other identity is
	// asked for.
	Enrol(ctx context.Context, peer Peer, r EnrolRequest) error
	// SignInInfo is ErrUnavailable before enrolment.
	SignInInfo(ctx context.Context, peer Peer) (SignInInfo, error)
	// SignIn returns ErrDenied with the reason for a wrong name, password or
	// code, and for an account that may not be used.
	SignIn(ctx context.Context, peer Peer, r SignInRequest) (User, error)
	SignOut(ctx context.Context, peer Peer, r SignOutRequest) error
}

// Proofs tell off-line whether the user at the computer is the one who is
// signed in for peer.
type Proofs interface {
	// SetPIN returns ErrDenied when the sign-in is too long ago, ErrConflict when
	// the password of the sign-in is what proves it.
	SetPIN(ctx context.Context, peer Peer, r PINRequest) (User, error)
	// Prove returns ErrDenied for a wrong secret, *throttle.Error after too many,
	// and ErrDenied when nothing may run for the user any more.
	Prove(ctx context.Context, peer Peer, r ProveRequest) error
}

// Machines moves the machines of peer; those of others are ErrNotFound.
type Machines interface {
	Workspaces(ctx context.Context, peer Peer) ([]Workspace, error)
	// Act returns at once with the state that follows.
	Act(ctx context.Context, peer Peer, machine string, c Command) (Workspace, error)
	// RunApplication runs a published application. It returns when that has
	// ended, or runs if it is detached.
	RunApplication(ctx context.Context, peer Peer, machine string, r RunRequest) (RunResult, error)
}

// Agent is everything that the interface serves.
type Agent interface {
	Info
	Accounts
	Proofs
	Machines
	Desks
	Life
	Setups
	Files
	Exchange
	Devices
}

type peerKey struct{}

// withPeer is the ConnContext of the server: it notes who connected.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	unix, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	p, err := peerOf(unix)
	if err != nil {
		return ctx // without a peer every request is refused
	}
	return context.WithValue(ctx, peerKey{}, p)
}

// route is one row of the table of routes.
type route struct {
	method, path string
	serve        func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error
}

// routes are all routes; each file of the package has those of its own subject.
var routes = slices.Concat(baseRoutes, lifeRoutes, setupRoutes, deskRoutes, channelRoutes, deviceRoutes)

var baseRoutes = []route{
	{http.MethodGet, pathStatus, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		return answer(w)(s.agent.Status(r.Context(), p))
	}},
	{http.MethodGet, pathDiagnostics, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		return answer(w)(s.agent.Diagnostics(r.Context(), p))
	}},
	{http.MethodPost, pathRefresh, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		return answer(w)(s.agent.Refresh(r.Context(), p))
	}},
	{http.MethodPost, pathEnrol, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		q, err := decode[EnrolRequest](w, r)
		if err != nil {
			return err
		}
		if err := s.agent.Enrol(r.Context(), p, q); err != nil {
			return err
		}
		return answer(w)(s.agent.Status(r.Context(), p))
	}},
	{http.MethodGet, pathSignIn, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		return answer(w)(s.agent.SignInInfo(r.Context(), p))
	}},
	{http.MethodPost, pathPIN, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		q, err := decode[PINRequest](w, r)
		if err != nil {
			return err
		}
		return answer(w)(s.agent.SetPIN(r.Context(), p, q))
	}},
	{http.MethodPost, pathProve, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		q, err := decode[ProveRequest](w, r)
		if err != nil {
			return err
		}
		if err := s.agent.Prove(r.Context(), p, q); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}},
	{http.MethodPost, pathSignIn, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		q, err := decode[SignInRequest](w, r)
		if err != nil {
			return err
		}
		return answer(w)(s.agent.SignIn(r.Context(), p, q))
	}},
	{http.MethodPost, pathSignOut, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		q, err := decode[SignOutRequest](w, r)
		if err != nil {
			return err
		}
		if err := s.agent.SignOut(r.Context(), p, q); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}},
	{http.MethodGet, pathWorkspaces, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		return answer(w)(s.agent.Workspaces(r.Context(), p))
	}},
	{http.MethodPost, pathRun, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		q, err := decode[RunRequest](w, r)
		if err != nil {
			return err
		}
		return answer(w)(s.agent.RunApplication(r.Context(), p, r.PathValue("machine"), q))
	}},
	{http.MethodPost, pathAct, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		c := Command(r.PathValue("command"))
		if !slices.Contains([]Command{CommandStart, CommandStop, CommandRestart, CommandKill}, c) {
			return fmt.Errorf("command of a workspace: %w", dormer.ErrNotFound)
		}
		return answer(w)(s.agent.Act(r.Context(), p, r.PathValue("machine"), c))
	}},
}

type server struct {
	agent Agent
	log   *slog.Logger
}

// NewHandler serves agent. It needs the connections of NewServer: a request
// whose peer is not known is refused.
func NewHandler(agent Agent, log *slog.Logger) http.Handler {
	s := &server{agent: agent, log: log}
	mux := http.NewServeMux()
	for _, rt := range routes {
		mux.HandleFunc(rt.method+" "+rt.path, func(w http.ResponseWriter, r *http.Request) {
			p, ok := r.Context().Value(peerKey{}).(Peer)
			err := fmt.Errorf("who asks is not known: %w", dormer.ErrDenied)
			if ok {
				err = rt.serve(s, w, r, p)
			}
			if err != nil {
				s.refuse(w, r, err)
			}
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, fmt.Errorf("this interface of the agent: %w", dormer.ErrNotFound))
	})
	return mux
}

// NewServer returns an HTTP server for a Unix socket that knows its peers.
func NewServer(agent Agent, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: NewHandler(agent, log), ConnContext: withPeer,
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// refuse answers with the document for err. Unlike a server's, the text of
// every kind goes to who asks: it is their own computer.
func (s *server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := problem.Of(err)
	if p.Kind == problem.KindInternal {
		s.log.LogAttrs(r.Context(), slog.LevelError, "request of a local user met a fault",
			slog.String("method", r.Method), slog.String("route", r.Pattern), slog.String("error", err.Error()))
		p.Title, p.Detail = "The agent has a fault", "the agent's log says more"
	} else {
		p.Detail = dormer.Plain(err)
	}
	b, mistake := json.Marshal(p)
	if mistake != nil {
		panic("agentapi: a problem always marshals: " + mistake.Error())
	}
	w.Header().Set("Content-Type", wire.ProblemType)
	w.WriteHeader(p.Status)
	// The caller may be gone; nobody is left to be told.
	_, _ = w.Write(append(b, '\n'))
}

// answer sends what a method of the agent returned.
func answer(w http.ResponseWriter) func(v any, err error) error {
	return func(v any, err error) error {
		if err != nil {
			return err
		}
		b, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("encode answer: %w", err)
		}
		w.Header().Set("Content-Type", "application/json")
		// The caller may be gone; nobody is left to be told.
		_, _ = w.Write(append(b, '\n'))
		return nil
	}
}

// decode reads a request strictly.
func decode[T any](w http.ResponseWriter, r *http.Request) (T, error) {
	var v T
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return v, err
		}
		return v, dormer.Invalidf("", "the request is not the JSON document that is expected here")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return v, dormer.Invalidf("", "something follows the request's JSON document")
	}
	return v, nil
}
