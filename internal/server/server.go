// Package server is the program dormerd: it puts stores, domain services and
// edges together and runs them. It is a composition root; cmd/dormerd and tests
// of the whole product import it.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/alert"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/blobstore"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/clientapi"
	"github.com/dormer-project/dormer/internal/directory"
	"github.com/dormer-project/dormer/internal/domainjoin"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/forward"
	"github.com/dormer-project/dormer/internal/httpapi"
	"github.com/dormer-project/dormer/internal/imagerepo"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/metrics"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/notice"
	"github.com/dormer-project/dormer/internal/report"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/standby"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/vault"
)

// Deps are what the server takes from its surroundings. All fields are needed
// unless they say otherwise.
type Deps struct {
	Now    func() time.Time
	Random io.Reader
	Logger *slog.Logger
	// Version of the program.
	Version string
	// Terminal is told what a person must know at the first start; nil: nobody.
	Terminal io.Writer
	// Hostname of this computer; empty: what the system says.
	Hostname string
	// PasswordCost is for tests; zero is access.DefaultCost.
	PasswordCost access.Cost
	// ConfigFile is where the configuration was read from; empty: nowhere.
	ConfigFile string
	// AcceptSplitBrain starts the server even if its standby's target cannot say
	// that no other has taken over.
	AcceptSplitBrain bool
	// Listening is called with the addresses when all listen; nil: nobody.
	Listening func([]net.Addr)
}

// Server is one dormerd. Make it with New, run it with Run, or mount Handler
// and run Background where no listener is wanted; Close it in the end.
type Server struct {
	cfg  Config
	deps Deps

	data     *dataDir
	keys     *keys
	state    *store.State
	audit    audit.Log // in state
	notices  *notice.Board
	events   *store.Events
	journal  *journal // of the server's own events
	instance dormer.InstanceID
	epoch    dormer.Epoch

	accounts  *access.Accounts
	people    *people
	access    *access.Authenticator
	first     *firstOperator
	ring      *keyRing
	images    *imagerepo.Repository
	catalog   *catalog.Catalog
	enrolment *enroll.Service
	issuer    *lease.Issuer
	ingester  *event.Ingester
	reports   *report.Reporter
	vault     *vault.Vault
	joins     *domainjoin.Service
	clients   *clientapi.API

	alerts     *alert.Service
	forwarding *forward.Service
	halted     atomic.Int64 // deletions that wait, when they were last counted

	watch   *watch           // how all of it is; see observe.go
	shipper *standby.Shipper // nil: nothing is shipped
	// standbyState says how the standby follows; nil: there is none.
	standbyState func() ObservedStandby
	// openAlerts counts the alerts that are raised and not cleared; nil: there are
	// none.
	openAlerts func(context.Context) (map[dormer.Severity]int, error)
	metrics    *metrics.Metrics

	publicURLs []string
	authority  *authority    // nil unless tls.mode is "authority"
	certs      *certificates // nil when tls.mode is "off"
	handler    http.Handler
	stopping   atomic.Bool
	fenced     atomic.Bool    // another server of the instance has taken over
	closers    []func() error // called in reverse
}

// New makes a complete server: folder locked, databases open, keys made at the
// first start. Nothing listens yet. Errors name the setting that is wrong.
func New(ctx context.Context, cfg Config, deps Deps) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	deps.Logger = slog.New(httpapi.LogRequests(deps.Logger.Handler()))
	s := &Server{cfg: cfg, deps: deps, watch: newWatch(deps.Now)}
	if err := s.build(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) build(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		s.openData, s.openStores, s.openJournal, s.openStandby, s.makeAccess, s.makeTLS, s.makeVault, s.makeServices, s.makeForwarding, s.makeAlerts, s.makeJoins, s.makeClients, s.makeMetrics, s.makeHandler, s.firstStart,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) onClose(f func() error) { s.closers = append(s.closers, f) }

func (s *Server) openData(context.Context) error {
	if s.deps.Hostname == "" {
		h, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("ask for this computer's name: %w", err)
		}
		s.deps.Hostname = h
	}
	s.publicURLs = s.cfg.publicURLs(s.deps.Hostname)
	var err error
	if s.data, err = openDataDir(s.cfg.Data); err != nil {
		return err
	}
	s.onClose(s.data.Close)
	s.keys, err = loadKeys(s.data, s.deps.Random)
	return err
}

func (s *Server) openStores(ctx context.Context) error {
	var err error
	if s.state, err = store.OpenState(ctx, s.cfg.stateDSN(), s.storeOptions()); err != nil {
		return fmt.Errorf("setting state.dsn: open the database: %w", err)
	}
	s.onClose(s.state.Close)
	s.notices = notice.New(s.state, s.deps.Now)
	s.audit = audit.Thin(s.notices.Log(s.state), s.deps.Now)
	if s.events, err = store.OpenEvents(ctx, s.cfg.eventsDSN(), s.storeOptions()); err != nil {
		return fmt.Errorf("setting events.dsn: open the database: %w", err)
	}
	s.onClose(s.events.Close)
	id, err := dormer.NewID(s.deps.Random)
	if err != nil {
		return err
	}
	if s.instance, s.epoch, err = s.state.Instance(ctx, dormer.InstanceID(id)); err != nil {
		return fmt.Errorf("read the identity of the instance: %w", err)
	}
	return s.data.checkFence(s.epoch)
}

func (s *Server) storeOptions() store.Options {
	return store.Options{KeepWAL: s.cfg.Standby.Target != ""}
}

func (s *Server) makeAccess(ctx context.Context) error {
	cost := s.deps.PasswordCost
	if cost == (access.Cost{}) {
		cost = access.DefaultCost
	}
	hasher, err := access.NewHasher(s.deps.Random, cost, s.cfg.Access.PasswordChecks)
	if err != nil {
		return err
	}
	s.accounts = access.NewAccounts(s.state, s.state, hasher, s.deps.Now, s.deps.Random)
	s.first = &firstOperator{
		path: s.data.file(fileFirstPassword), accounts: s.accounts, operators: s.state, log: s.state,
		now: s.deps.Now, random: s.deps.Random,
	}
	code, err := derive(s.keys.token, "sign-in codes")
	if err != nil {
		return err
	}
	kept, err := derive(s.keys.escrow, "refresh tokens")
	if err != nil {
		return err
	}
	deps := peopleDeps{
		now: s.deps.Now, random: s.deps.Random, logger: s.deps.Logger,
		embedded: s.embedded(), accounts: s.state, once: s.state, key: kept,
	}
	for _, u := range s.publicURLs {
		if strings.HasPrefix(u, "https://") {
			deps.redirectBases = append(deps.redirectBases, u)
		}
	}
	if s.people, err = newPeople(s.cfg, deps); err != nil {
		return err
	}
	s.onClose(s.people.Close)
	s.access, err = access.NewAuthenticator(ctx, access.Config{
		Directories: s.people.mounts, Default: s.cfg.Access.DefaultDirectory,
		Negotiator: s.people.negotiator, Service: s.people.service, Providers: s.people.providers, Examined: s.people.examined,
		Operators: s.state, Sessions: s.state, Once: s.state, Tokens: s.state, CodeKey: code,
		OperatorSession: time.Duration(s.cfg.Access.SessionLength), UserSession: time.Duration(s.cfg.Clients.SessionLength),
		Now: s.deps.Now, Random: s.deps.Random,
	})
	if err != nil {
		return fmt.Errorf("setting access: %w", err)
	}
	return nil
}

func (s *Server) embedded() access.Directory {
	return embedded{Embedded: directory.NewEmbedded(s.accounts), first: s.first}
}

func (s *Server) makeTLS(context.Context) error {
	load := loadFiles(s.cfg.TLS, s.deps.Now)
	switch s.cfg.TLS.Mode {
	case TLSOff:
		s.deps.Logger.Warn("plain HTTP: passwords and keys cross the network readable", slog.String("setting", "tls.mode"))
		return nil
	case TLSAuthority:
		var err error
		if s.authority, err = loadAuthority(s.data, s.instance, s.deps.Now, s.deps.Random); err != nil {
			return err
		}
		names := certificateNames(s.publicURLs, s.cfg.Listen, s.cfg.TLS.Names, s.deps.Hostname)
		load = s.authority.loader(names)
	case TLSACME:
		names := publicNames(s.publicURLs, s.cfg.TLS.Names)
		a, err := newACME(s.cfg.TLS.ACME, s.data.file(dirKeys, dirTLS, dirACME), names, s.deps.Now, s.deps.Logger)
		if err != nil {
			return err
		}
		s.certs, err = newACMECertificates(s.data, s.deps.Now, s.deps.Random, a)
		return err
	case TLSFiles:
	}
	var err error
	s.certs, err = newCertificates(s.data, s.deps.Now, s.deps.Random, load)
	return err
}

func (s *Server) makeServices(ctx context.Context) error {
	s.ring = &keyRing{
		path: s.data.file(dirKeys, keySetState), keys: s.keys, instance: s.instance, epoch: s.epoch,
		servers: s.publicURLs, publishers: s.state,
	}
	if err := s.ring.Refresh(ctx); err != nil {
		return err
	}
	folder, err := blobstore.OpenFolder(s.cfg.repositoryFolder())
	if err != nil {
		return fmt.Errorf("setting repository.folder: %w", err)
	}
	s.images, err = imagerepo.New(folder, imagerepo.Config{
		Instance: s.instance, Trust: s.ring.Set, Now: s.deps.Now, Random: s.deps.Random,
		Sign: func(payload []byte) seal.Envelope { return s.keys.instance.Sign(seal.TypeName, payload) },
	})
	if err != nil {
		return err
	}
	zone, err := time.LoadLocation(s.cfg.TimeZone)
	if err != nil {
		return fmt.Errorf("setting time_zone: %w", err)
	}
	s.catalog, err = catalog.New(ctx, catalog.Config{
		Store: s.state, Policies: s.state, Directories: s.people.mounts,
		Images: catalogImages{images: s.images}, Secrets: s.vault,
		Zone: zone, Now: s.deps.Now, Random: s.deps.Random, Logger: s.deps.Logger,
	})
	if err != nil {
		return fmt.Errorf("load workspaces: %w", err)
	}
	s.enrolment, err = enroll.New(ctx, enroll.Config{
		Instance: s.instance, Key: s.keys.token, Store: s.state, Clients: s.state, Now: s.deps.Now, Random: s.deps.Random,
	})
	if err != nil {
		return err
	}
	s.issuer, err = lease.NewIssuer(ctx, lease.IssuerConfig{
		Instance: s.instance, Epoch: s.epoch, Signer: s.keys.instance, Escrow: s.keys.escrow,
		RepositoryKeys: map[string][]byte{s.keys.repository.ID(): s.keys.repository[:]},
		Machines:       s.state, Orders: s.state, Deletions: s.state, Interval: time.Duration(s.cfg.Clients.PollInterval),
		Now: s.deps.Now, Random: s.deps.Random,
	})
	if err != nil {
		return fmt.Errorf("load machines: %w", err)
	}
	s.ingester = event.NewIngester(s.events, event.IngestConfig{
		Now: s.deps.Now, Logger: s.deps.Logger, Limits: event.IngestLimits{QueueEvents: s.cfg.Events.Queue}, Tell: s.tell, Replicate: s.replicate(), Stored: s.stored,
	})
	names := &imageNames{images: s.images, now: s.deps.Now, logger: s.deps.Logger}
	return s.makeReports(ctx, names)
}

func (s *Server) makeClients(context.Context) error {
	var err error
	s.clients, err = clientapi.New(clientapi.Config{
		Instance: s.instance, Epoch: s.epoch, RootKey: s.keys.root.Public(), Answers: s.keys.instance,
		KeySet: func() clientapi.KeySet {
			version, signed := s.ring.Signed()
			return clientapi.KeySet{Version: version, Signed: signed}
		},
		Enrollment: s.enrolment, Catalog: s.catalog, Issuer: s.issuer, People: s.access, Events: s.ingester,
		Objects: s.images, Joins: s.joins, Diagnostics: s.state, Deliveries: s.state, Audit: s.audit, Interval: time.Duration(s.cfg.Clients.PollInterval),
		DirectoryAge: time.Duration(s.cfg.Access.DirectoryAge), TimeZone: s.cfg.TimeZone, SavePasswords: s.cfg.Clients.SavePasswords, Domains: s.cfg.domains(),
		Replicas: !strings.HasPrefix(s.cfg.stateDSN(), "sqlite:"),
		Address:  func(r *http.Request) string { return httpapi.Remote(r, s.trustedProxies()) },
		Fenced:   s.fence,
		Tell:     s.tell,
		Now:      s.deps.Now, Random: s.deps.Random, Logger: s.deps.Logger,
	})
	return err
}

func (s *Server) firstStart(ctx context.Context) error {
	made, err := s.first.ensure(ctx)
	if err != nil {
		return err
	}
	if err := s.data.finish(); err != nil {
		return err
	}
	if made && s.deps.Terminal != nil {
		called := firstAdmin
		if name.Fold(s.cfg.Access.DefaultDirectory) != dormer.EmbeddedDirectory {
			called = dormer.EmbeddedDirectory + `\` + called
		}
		fmt.Fprintf(s.deps.Terminal, "The first operator is \"%s\". The one-time password is in the file\n  %s\nand must be changed at the first sign-in.\n", called, s.first.path)
	}
	return nil
}

// Handler answers everything that the server answers over HTTP.
func (s *Server) Handler() http.Handler { return s.handler }

// Fingerprint is what join tokens pin: the SHA-256 of the own authority, or
// enroll.SystemAuthority where the certificate is another's.
func (s *Server) Fingerprint() string {
	if s.authority == nil {
		return enroll.SystemAuthority
	}
	return s.authority.fingerprint()
}

// AuthorityPEM is the certificate of the own authority; nil where there is none.
func (s *Server) AuthorityPEM() []byte {
	if s.authority == nil {
		return nil
	}
	return s.authority.pem()
}

// Close closes the databases and unlocks the folder. Run and Background must
// have returned.
func (s *Server) Close() error {
	var all []error
	for _, f := range slices.Backward(s.closers) {
		all = append(all, f())
	}
	s.closers = nil
	return errors.Join(all...)
}

// trustedProxies are valid: Validate has read them.
func (s *Server) trustedProxies() []netip.Prefix {
	var all []netip.Prefix
	for _, p := range s.cfg.TrustedProxies {
		if prefix, err := parsePrefix(p); err == nil {
			all = append(all, prefix.Masked())
		}
	}
	return all
}

// fence takes the server out of service for good: one of a higher epoch has
// taken over. A restart must not bring it back.
func (s *Server) fence(heard dormer.Epoch) {
	s.fenced.Store(true)
	s.notices.Stop() // consoles ask again, and are told why there is no answer
	s.tell(event.ServerSuperseded, fmt.Sprintf("it has epoch %d, another server has %d", s.epoch, heard))
	if err := s.data.keepFence(heard); err != nil {
		s.deps.Logger.LogAttrs(context.Background(), slog.LevelError, "after a restart this server would not know that it was superseded",
			slog.String("error", err.Error()))
	}
}

// catalogImages finds images of workspaces in the repository.
type catalogImages struct {
	images *imagerepo.Repository
}

func (c catalogImages) Resolve(ctx context.Context, image string, number int) (catalog.Image, error) {
	v, err := c.images.Version(ctx, image, number)
	if err != nil {
		return catalog.Image{}, err
	}
	return catalog.Image{ID: v.Image, Number: v.Number, KeyID: v.KeyID}, nil
}
