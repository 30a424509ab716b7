// Package clientapi answers agents: the client protocol of package wire over
// HTTP, and image objects. Only the server's composition root imports it.
//
// Its words: a poll is one request in which a client says what it has and is
// told what changed; a claim is a user who is signed in on the client and what
// that user gets. A poll in which nothing changed touches no database: tokens
// are checked by their HMAC, sessions, policies and leases by what is in
// memory, and signs of life are written in bulk.
package clientapi

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/imagerepo"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/throttle"
	"github.com/dormer-project/dormer/internal/wire"
)

// People knows who users are: access.Authenticator.
type People interface {
	// SignIn checks name and password; ErrUnauthenticated when one is wrong,
	// ErrDenied with the reason for the user when the account is refused.
	SignIn(ctx context.Context, t access.Attempt) (dormer.Principal, error)
	Sessions
	// RedeemCode returns who a one-time code stands for, once.
	// ErrUnauthenticated, with a cause that is fit for the audit log, when it does
	// not count on that client; ErrDenied as SignIn, beside the user whom it is
	// about.
	RedeemCode(ctx context.Context, code string, client dormer.ClientID) (dormer.Principal, error)
	// Resolve finds a user by the name that was typed, else ErrNotFound.
	Resolve(ctx context.Context, kind dormer.PrincipalKind, who string) (dormer.Principal, error)
	// GroupsOf asks the user's directory. ErrNotFound when the user is gone,
	// *access.RefusedError when the account may not be used.
	GroupsOf(ctx context.Context, user dormer.Principal) ([]dormer.Principal, error)
	// Operator checks the token of an operator's session, or an API token.
	Operator(ctx context.Context, token string) (access.Caller, error)
}

// Sessions are those of users on clients: access.Authenticator.
type Sessions interface {
	// OpenSession opens a session of user on client and returns its secret, which
	// is not kept. ErrUnauthenticated when the user's sessions were ended since the
	// sign-in began.
	OpenSession(ctx context.Context, kind access.SessionKind, user dormer.Principal, client dormer.ClientID) (access.Session, string, error)
	// CheckSession touches no database but for a session that this replica does
	// not know. ErrUnauthenticated when it is over, ErrUnavailable when that
	// cannot be found out.
	CheckSession(ctx context.Context, kind access.SessionKind, id, secret string) (access.Session, error)
	// EndSession ends a session; repeating it changes nothing.
	EndSession(ctx context.Context, id string) error
}

// Events takes what clients report: event.Ingester.
type Events interface {
	// Submit returns the journal's watermarks once the batch is durable;
	// ErrUnavailable (*event.BusyError) when there is no room for it now.
	Submit(ctx context.Context, b event.Batch) (event.Marks, error)
}

// Objects serves image objects: imagerepo.Repository.
type Objects interface {
	// Open opens an object by its name. ErrNotFound when there is none,
	// ErrInvalid for what is no object's name.
	Open(ctx context.Context, object string) (imagerepo.Blob, error)
}

// KeySet is the current key set of the instance.
type KeySet struct {
	Version int
	Signed  seal.Envelope
}

// Config says what an API works with. All fields are needed but those that say
// otherwise.
type Config struct {
	Instance dormer.InstanceID
	Epoch    dormer.Epoch
	// RootKey signs key sets.
	RootKey ed25519.PublicKey
	// KeySet returns the current key set; it is called at every poll.
	KeySet func() KeySet
	// Answers signs answers to polls (purpose authority).
	Answers *seal.SigningKey

	Enrollment *enroll.Service
	Catalog    *catalog.Catalog
	Issuer     *lease.Issuer
	People     People
	Events     Events
	Objects    Objects
	Joins      Joins
	// Diagnostics keeps what clients send when they are ordered to.
	Diagnostics Diagnostics
	Deliveries  Deliveries
	Audit       audit.Log

	// Interval is the poll interval; 0 is one minute. The issuer has the same.
	Interval time.Duration
	// DirectoryAge is for how long a user's groups count without asking the
	// directory again; 0 is fifteen minutes. DirectoryChanged makes it shorter.
	DirectoryAge time.Duration
	// FlushEvery is how often signs of life and reports are written; 0 is ten
	// seconds.
	FlushEvery time.Duration
	// Replicas says that other servers use the same state store: what they
	// enrol, revoke and order is read now and then.
	Replicas bool
	// TimeZone names the instance's zone, as "Europe/Berlin"; empty: clients are
	// not told.
	TimeZone string
	// SavePasswords lets clients save passwords where a grant allows it too.
	SavePasswords bool
	// Domains are told to clients, who sign users on to guests.
	Domains []wire.Domain
	// Address returns the address of who asks, for limits and the audit log;
	// nil takes that of the connection.
	Address func(*http.Request) string
	// Fenced is called once, when a client has seen a higher epoch. From then
	// on all requests are answered with 503. It may be nil.
	Fenced func(heard dormer.Epoch)
	// Tell is told what the server itself should report among the events. It may
	// be nil.
	Tell func(code event.Code, detail string)

	Now    func() time.Time
	Random io.Reader
	Logger *slog.Logger
}

// Defaults of Config.
const (
	DefaultInterval     = time.Minute
	defaultDirectoryAge = 15 * time.Minute
	defaultFlushEvery   = 10 * time.Second
	refreshEvery        = 15 * time.Second
	refreshClientsEvery = time.Minute
)

// API answers agents. It is an http.Handler for wire's paths.
type API struct {
	cfg    Config
	mux    *http.ServeMux
	users  *users
	joins  *throttle.Limit // attempts to enrol
	proofs *throttle.Limit // attempts to get a token
	codes  *throttle.Limit // one-time codes, by client
	joined *throttle.Limit // joins of domains, by machine
	fenced atomic.Uint64
	bodies sync.Pool // of *bytes.Buffer
}

// New returns an API. Run must be called for what it keeps in memory to be
// written.
func New(cfg Config) (*API, error) {
	if cfg.Interval == 0 {
		cfg.Interval = DefaultInterval
	}
	if cfg.DirectoryAge == 0 {
		cfg.DirectoryAge = defaultDirectoryAge
	}
	if cfg.FlushEvery == 0 {
		cfg.FlushEvery = defaultFlushEvery
	}
	if cfg.Address == nil {
		cfg.Address = func(r *http.Request) string { return r.RemoteAddr }
	}
	switch {
	case cfg.Interval < 0 || cfg.DirectoryAge < 0 || cfg.FlushEvery < 0:
		return nil, dormer.Invalidf("interval", "must be positive")
	case len(cfg.RootKey) != ed25519.PublicKeySize || cfg.Answers == nil || cfg.KeySet == nil:
		return nil, fmt.Errorf("client protocol: a key is missing: %w", dormer.ErrInvalid)
	}
	a := &API{
		cfg: cfg, mux: http.NewServeMux(),
		joins:  throttle.New(joinRate, cfg.Now),
		proofs: throttle.New(proofRate, cfg.Now),
		codes:  throttle.New(codeRate, cfg.Now),
		joined: throttle.New(joinedRate, cfg.Now),
	}
	a.users = newUsers(cfg.People, cfg.Catalog, cfg.DirectoryAge, cfg.Now, cfg.Logger)
	a.bodies.New = func() any { return new(bytes.Buffer) }
	for _, r := range a.routes() {
		a.mux.Handle(r.method+" "+r.path, problem.Handler(cfg.Logger, a.guard(r.serve)))
	}
	a.mux.Handle("/", problem.Handler(cfg.Logger, a.unknown))
	return a, nil
}

type handler func(http.ResponseWriter, *http.Request) error

// routes is the client protocol. Who may use a route is checked by its
// handler: a client's token for all but enrolment and the way to a token.
func (a *API) routes() []struct {
	method, path string
	serve        handler
} {
	return []struct {
		method, path string
		serve        handler
	}{
		{http.MethodPost, wire.PathEnrol, a.enrol},
		{http.MethodPost, wire.PathChallenge, a.challenge},
		{http.MethodPost, wire.PathToken, a.token},
		{http.MethodPost, wire.PathSignIn, a.forClient(a.signIn)},
		{http.MethodPost, wire.PathSignOut, a.forClient(a.signOut)},
		{http.MethodPost, wire.PathPoll, a.forClient(a.poll)},
		{http.MethodPost, wire.PathJoin, a.forClient(a.join)},
		{http.MethodPost, wire.PathOverride, a.forClient(a.override)},
		{http.MethodPut, wire.PathCollected + "{order}", a.forClient(a.collected)},
		{http.MethodGet, wire.PathPolicy + "{hash}", a.forClient(a.policy)},
		{http.MethodGet, wire.PathObject + "{object...}", a.object},
	}
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

func (a *API) unknown(_ http.ResponseWriter, r *http.Request) error {
	for _, route := range a.routes() {
		if route.path == r.URL.Path {
			return problem.ErrMethod
		}
	}
	return fmt.Errorf("the client protocol has no such path: %w", dormer.ErrNotFound)
}

// guard refuses everything once the server was superseded.
func (a *API) guard(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if a.fenced.Load() != 0 {
			return a.errFenced()
		}
		w.Header().Set("Cache-Control", "no-store")
		return next(w, r)
	}
}

func (a *API) errFenced() error {
	return fmt.Errorf("this server has epoch %d, a client has seen %d: %w", a.cfg.Epoch, a.fenced.Load(), dormer.ErrFenced)
}

// heardOf looks at what a client shows for a higher epoch. A number alone
// counts for nothing: any client could stop the instance with it.
func (a *API) heardOf(ctx context.Context, client dormer.ClientID, proof seal.Envelope) error {
	set, err := seal.OpenKeySet(a.cfg.RootKey, proof)
	if err != nil || set.Instance != a.cfg.Instance || set.Epoch <= a.cfg.Epoch {
		return dormer.Invalidf("epoch_proof", "is no key set of this instance with a higher epoch")
	}
	return a.fence(ctx, client, set.Epoch)
}

// fence takes the server out of service: another one was promoted.
func (a *API) fence(ctx context.Context, client dormer.ClientID, heard dormer.Epoch) error {
	if a.fenced.CompareAndSwap(0, uint64(heard)) {
		a.cfg.Logger.LogAttrs(ctx, slog.LevelError, "a client has seen a higher epoch; this server answers clients no more",
			slog.String("client", string(client)), slog.Uint64("epoch", uint64(a.cfg.Epoch)), slog.Uint64("heard", uint64(heard)))
		if a.cfg.Fenced != nil {
			a.cfg.Fenced(heard)
		}
	}
	return a.errFenced()
}

// forClient passes the client whose token the request carries.
func (a *API) forClient(next func(http.ResponseWriter, *http.Request, dormer.ClientID) error) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		client, err := a.cfg.Enrollment.Verify(bearer(r))
		if err != nil {
			return err
		}
		return next(w, r, client)
	}
}

// bearer returns the token of the request, or "".
func bearer(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

// DirectoryChanged makes the groups and the standing of the users of the
// embedded directory be looked up again at the next poll. Call it after every
// change of that.
func (a *API) DirectoryChanged() { a.users.embedded.Add(1) }

// Run writes what is kept in memory and reads what other replicas changed,
// until ctx ends; then it writes once more.
func (a *API) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.every(ctx, a.cfg.FlushEvery, "write what clients reported", a.Flush) })
	g.Go(func() error { return a.every(ctx, refreshEvery, "read workspaces again", a.cfg.Catalog.Refresh) })
	if a.cfg.Replicas {
		g.Go(func() error { return a.every(ctx, refreshEvery, "read orders again", a.cfg.Issuer.Refresh) })
		g.Go(func() error { return a.every(ctx, refreshClientsEvery, "read clients again", a.cfg.Enrollment.Refresh) })
	}
	err := g.Wait()
	a.users.close()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), defaultFlushEvery)
	defer cancel()
	return errors.Join(err, a.Flush(last))
}

// every calls f until ctx ends. What goes wrong is tried again the next time.
func (a *API) every(ctx context.Context, d time.Duration, what string, f func(context.Context) error) error {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			if err := f(ctx); err != nil && ctx.Err() == nil {
				a.cfg.Logger.LogAttrs(ctx, slog.LevelError, "background work met an error",
					slog.String("work", what), slog.Any("error", err))
			}
		}
	}
}

// Flush writes signs of life and reports of machines.
func (a *API) Flush(ctx context.Context) error {
	return errors.Join(a.cfg.Enrollment.Flush(ctx), a.cfg.Issuer.Flush(ctx))
}

// record writes to the audit log. The change it records has taken place
// already, so that an error is logged.
func (a *API) record(r *http.Request, rec audit.Record) {
	rec.Remote = a.cfg.Address(r)
	a.keep(r.Context(), rec)
}

// keep is record for what has its address already.
func (a *API) keep(ctx context.Context, rec audit.Record) {
	rec.Time = a.cfg.Now().UTC()
	ctx = context.WithoutCancel(ctx)
	if err := a.cfg.Audit.Append(ctx, rec); err != nil {
		a.cfg.Logger.LogAttrs(ctx, slog.LevelError, "the audit log cannot be written",
			slog.String("action", rec.Action), slog.Any("error", err))
	}
}
