package server

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/httpapi"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// readyTime is how long a database may take to answer a probe.
const readyTime = 5 * time.Second

func (s *Server) makeHandler(context.Context) error {
	api, err := httpapi.New(httpapi.Config{
		Access: s.access, Accounts: s.accounts, Audit: s.state, Workspaces: s.catalog, WorkspaceSchema: policy.Schema(),
		Instance:       func() (dormer.InstanceID, dormer.Epoch) { return s.instance, s.epoch },
		Version:        s.deps.Version,
		TrustedProxies: s.trustedProxies(),
		Now:            s.deps.Now, Random: s.deps.Random, Logger: s.deps.Logger,
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(rest.Prefix+"/", api)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, "ok\n") })
	mux.Handle("GET /readyz", problem.Handler(s.deps.Logger, s.ready))
	mux.Handle("/", problem.Handler(s.deps.Logger, func(http.ResponseWriter, *http.Request) error { return dormer.ErrNotFound }))
	s.handler = httpapi.Front(mux, s.deps.Logger, s.deps.Now, s.deps.Random, s.trustedProxies(), func(r *http.Request) bool {
		return strings.HasPrefix(r.URL.Path, "/api/") // polls and probes are too many
	})
	return nil
}

// ready says whether requests can be served now.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) error {
	if s.stopping.Load() {
		return dormer.ErrUnavailable
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTime)
	defer cancel()
	if s.state.Ping(ctx) != nil || s.events.Ping(ctx) != nil {
		return dormer.ErrUnavailable
	}
	plain(w, "ready\n")
	return nil
}

func plain(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text)
}
