package server

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/console"
	"github.com/dormer-project/dormer/internal/httpapi"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Times of requests.
const (
	readyTime = 5 * time.Second  // a database's, to answer a probe
	stallTime = 60 * time.Second // a download may stand still so long
)

func (s *Server) makeHandler(context.Context) error {
	api, err := httpapi.New(httpapi.Config{
		Access: s.access, Accounts: s.accounts, Audit: s.audit, Workspaces: s.catalog, WorkspaceSchema: policy.Schema(),
		Enrolment: s.enrolment, OnlineWithin: s.connectedWithin() + flushTime, Orders: s.issuer, Machines: s.state, Diagnostics: s.state, Images: s.images, ImageKey: s.keys.repository,
		Secrets: s.vault, Publishers: publishers{State: s.state, ring: s.ring}, Reports: s.reports, Alerts: s.alerts, Notices: s.notices, Observer: s.observer(),
		PublicURL: s.publicURLs[0], Authority: s.Fingerprint(),
		DirectoryChanged: func() {
			s.access.DirectoryChanged()
			s.clients.DirectoryChanged()
		},
		ImagesChanged:  s.catalog.Refresh,
		Health:         s.health,
		Instance:       func() (dormer.InstanceID, dormer.Epoch) { return s.instance, s.epoch },
		Version:        s.deps.Version,
		TrustedProxies: s.trustedProxies(),
		Now:            s.deps.Now, Random: s.deps.Random, Logger: s.deps.Logger,
	})
	if err != nil {
		return err
	}
	pages, err := console.New(console.Options{Random: s.deps.Random})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(rest.Prefix+"/", s.unlessFenced(api))
	clients := s.unlessFenced(s.clients) // the target tells it too, before any client does
	mux.Handle("/client/v1/", clients)
	mux.Handle(wire.PathObject, httpapi.Flowing(clients, stallTime))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, "ok\n") })
	mux.Handle("GET /readyz", problem.Handler(s.deps.Logger, s.ready))
	mux.Handle("GET /metrics", api.Reading(access.AreaReports, s.metrics.Handler()))
	mux.Handle(console.Path, pages)
	mux.HandleFunc("GET /{$}", toConsole)
	mux.Handle("/", problem.Handler(s.deps.Logger, func(http.ResponseWriter, *http.Request) error { return dormer.ErrNotFound }))
	s.handler = httpapi.Front(s.metrics.Measure(mux), s.deps.Logger, s.deps.Now, s.deps.Random, s.trustedProxies(), func(r *http.Request) bool {
		return strings.HasPrefix(r.URL.Path, "/api/") // polls and probes are too many
	})
	s.handler = belowPrefixes(s.handler, s.publicURLs)
	return nil
}

// unlessFenced refuses everything once another server of the instance has
// taken over: what was changed here would be lost.
func (s *Server) unlessFenced(next http.Handler) http.Handler {
	return problem.Handler(s.deps.Logger, func(w http.ResponseWriter, r *http.Request) error {
		if s.fenced.Load() {
			return dormer.ErrFenced
		}
		next.ServeHTTP(w, r)
		return nil
	})
}

// publishers are those in the store; changes go into the key set at once.
type publishers struct {
	*store.State
	ring *keyRing
}

func (p publishers) AddPublisher(ctx context.Context, k seal.PublicKey, by string, at time.Time) error {
	if err := p.State.AddPublisher(ctx, k, by, at); err != nil {
		return err
	}
	return p.ring.Refresh(ctx)
}

func (p publishers) RemovePublisher(ctx context.Context, id seal.KeyID) error {
	if err := p.State.RemovePublisher(ctx, id); err != nil {
		return err
	}
	return p.ring.Refresh(ctx)
}

// notReadyError says why requests cannot be served now, to whoever asks: nothing
// of hosts, files or users.
type notReadyError []string

func (n notReadyError) Error() string      { return strings.Join(n, "; ") }
func (notReadyError) ProblemKind() string  { return problem.KindNotReady }
func (notReadyError) Is(target error) bool { return target == dormer.ErrUnavailable }

// ready says whether requests can be served now.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) error {
	var why notReadyError
	if s.stopping.Load() {
		why = append(why, "the server is stopping")
	}
	if s.fenced.Load() {
		why = append(why, "another server of this instance has taken over")
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTime)
	defer cancel()
	var state, events error
	var both sync.WaitGroup
	both.Go(func() { state = s.state.Ping(ctx) })
	both.Go(func() { events = s.events.Ping(ctx) })
	both.Wait()
	if state != nil {
		why = append(why, "the state database does not answer")
	}
	if events != nil {
		why = append(why, "the events database does not answer")
	}
	if len(why) > 0 {
		return why
	}
	plain(w, "ready\n")
	return nil
}

func plain(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text)
}
