// Package httpapi is the REST API of dormerd: one table of routes (routes.go),
// one file a resource. Programs import it. Bodies are read by the package's own
// strict decoder and documents by package policy; package openapi describes the
// types and does nothing else.
package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagerepo"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/report"
	"github.com/dormer-project/dormer/internal/vault"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Limits of requests; see docs/limits.md.
const (
	// maxBody is the largest body of a route that sets no other limit, in bytes.
	maxBody = 1 << 20
	// requestTime is how long a request may take; a stream may stand still so
	// long.
	requestTime = 60 * time.Second
	// maxList is the longest list that is answered at once.
	maxList = 1000
)

// Config is what the API works with. All fields are needed unless they say
// otherwise.
type Config struct {
	Access     *access.Authenticator
	Accounts   *access.Accounts
	Audit      audit.Log
	Workspaces Workspaces
	// WorkspaceSchema is the JSON Schema of the workspace document.
	WorkspaceSchema []byte
	Enrolment       *enroll.Service
	Orders          *lease.Issuer
	// OnlineWithin is how long after it was last seen a client counts as on-line.
	OnlineWithin time.Duration
	Machines     lease.MachineFinder
	// Diagnostics are archives that clients have sent.
	Diagnostics interface {
		Diagnostics(ctx context.Context, of dormer.ClientID) ([]lease.Diagnostics, error)
		DiagnosticsArchive(ctx context.Context, id string) (lease.Diagnostics, []byte, error)
		DeleteDiagnostics(ctx context.Context, id string) (lease.Diagnostics, error)
	}
	Images *imagerepo.Repository
	// ImageKey encrypts the objects of images.
	ImageKey   *imageformat.RepositoryKey
	Publishers Publishers
	Secrets    *vault.Vault
	Reports    *report.Reporter
	Alerts     Alerts
	Notices    Notices
	Observer   Observer
	// PublicURL and Authority go into join tokens: where clients find the
	// server, and the fingerprint of its authority (or enroll.SystemAuthority).
	PublicURL, Authority string
	// DirectoryChanged and ImagesChanged tell the rest of the server.
	DirectoryChanged func()
	ImagesChanged    func(context.Context) error
	// Health is how the server is.
	Health func(context.Context) (rest.Health, error)
	// Instance says who this server is.
	Instance func() (dormer.InstanceID, dormer.Epoch)
	// Version of the program.
	Version string
	// TrustedProxies are the addresses whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	Now            func() time.Time
	Random         io.Reader
	Logger         *slog.Logger
}

// API answers requests below rest.Prefix. It is safe for concurrent use.
type API struct {
	Config
	mux      *http.ServeMux
	document []byte
	exports  chan struct{} // holds one for each export that is being written
	plans    chan struct{} // holds one for each plan that is being worked out
}

// New returns the handler for everything below rest.Prefix.
func New(cfg Config) (*API, error) {
	a := &API{Config: cfg, mux: http.NewServeMux(), exports: make(chan struct{}, maxExports), plans: make(chan struct{}, maxPlans)}
	var err error
	if a.document, err = Document(); err != nil {
		return nil, err
	}
	for _, r := range routes() {
		a.mux.Handle(r.method+" "+rest.Prefix+r.path, problem.Handler(cfg.Logger, func(w http.ResponseWriter, req *http.Request) error {
			return a.serve(r, w, req)
		}))
	}
	return a, nil
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, pattern := a.mux.Handler(r); pattern == "" {
		problem.Write(w, a.unrouted(w, r))
		return
	}
	a.mux.ServeHTTP(w, r)
}

// unrouted says why no route fits, and which methods would.
func (a *API) unrouted(w http.ResponseWriter, r *http.Request) error {
	other := r.Clone(r.Context())
	for _, other.Method = range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		if _, pattern := a.mux.Handler(other); pattern != "" {
			w.Header().Add("Allow", other.Method)
		}
	}
	if w.Header().Get("Allow") != "" {
		return problem.ErrMethod
	}
	return fmt.Errorf("no such path: %w", dormer.ErrNotFound)
}

// serve lets the caller in or refuses, then calls the handler of the route.
func (a *API) serve(r route, w http.ResponseWriter, req *http.Request) error {
	c := &call{api: a, route: r, w: w, r: req, remote: Remote(req, a.TrustedProxies), request: w.Header().Get(problem.RequestHeader)}
	if !r.streams {
		ctx, cancel := context.WithTimeout(req.Context(), requestTime)
		defer cancel()
		c.r = req.WithContext(ctx)
	}
	if r.need != public {
		if err := c.authenticate(); err != nil {
			return err
		}
	}
	if r.limit == 0 {
		r.limit = maxBody
	}
	c.r.Body = http.MaxBytesReader(w, c.r.Body, r.limit)
	err := r.handle(a, c)
	if r.proof != "" && errors.Is(err, dormer.ErrUnauthenticated) {
		return answerSignIn(c, err)
	}
	return err
}
