package httpapi_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/access/accesstest"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/directory"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/httpapi"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/store/fresh"
	"github.com/dormer-project/dormer/internal/wire"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

const (
	realm    = "CORP.EXAMPLE.TEST"
	provider = "corp-sso"
)

// ticket is what somebody presents. Number tells authenticators apart.
type ticket struct {
	User, Realm string
	Number      int
	Expired     bool
}

// sso is a Provider. Codes and device codes are what it was told beforehand.
type sso struct {
	mu      sync.Mutex
	codes   map[string]dormer.Principal // by code
	devices map[string]dormer.Principal // zero: pending
}

func (s *sso) Info() access.ProviderInfo {
	return access.ProviderInfo{Name: provider, Title: "Corp", Device: true}
}

func (s *sso) Begin(_ context.Context, b access.Authorization) (string, error) {
	return "https://sso.example.com/authorize?state=" + b.State + "&nonce=" + b.Nonce + "&code_challenge=" + b.Challenge, nil
}

func (s *sso) Redeem(_ context.Context, _ access.Authorization, code, verifier string) (dormer.Principal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.codes[code]
	switch {
	case code == "other audience":
		return dormer.Principal{}, fmt.Errorf("the ID token is for another audience: %w", dormer.ErrUnauthenticated)
	case !ok, verifier != "verifier":
		return dormer.Principal{}, fmt.Errorf("the code does not count: %w", dormer.ErrUnauthenticated)
	}
	delete(s.codes, code)
	return p, nil
}

func (s *sso) BeginDevice(context.Context) (access.DeviceGrant, error) {
	return access.DeviceGrant{
		DeviceCode: "device", UserCode: "ABCD-EFGH", VerificationURI: "https://sso.example.com/device",
		Expires: time.Now().Add(time.Minute), Interval: 5 * time.Second,
	}, nil
}

func (s *sso) PollDevice(_ context.Context, deviceCode string) (dormer.Principal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.devices[deviceCode]
	switch {
	case !ok:
		return dormer.Principal{}, fmt.Errorf("the user refused: %w", dormer.ErrUnauthenticated)
	case p.Name == "":
		return dormer.Principal{}, &access.PendingError{Wait: 7 * time.Second}
	}
	return p, nil
}

// failingLog is an audit log that can be made to fail.
type failingLog struct {
	audit.Log
	mu   sync.Mutex
	fail bool
}

func (l *failingLog) Append(ctx context.Context, r audit.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail {
		return errors.New("the disk is full")
	}
	return l.Log.Append(ctx, r)
}

func (l *failingLog) set(fail bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = fail
}

// proofs is the API over real stores, with a Negotiator and a Provider of the
// test. alice is a full operator, carol none.
type proofs struct {
	*harness
	state     *store.State
	access    *access.Authenticator
	enrolment *enroll.Service
	accounts  *access.Accounts
	sso       *sso
	log       *failingLog
	began     time.Time    // when tickets were made
	changed   atomic.Int32 // calls of DirectoryChanged
	client    dormer.ClientID
	revoked   dormer.ClientID
	principal map[string]dormer.Principal
}

func newProofs(t *testing.T) *proofs {
	t.Helper()
	ctx := t.Context()
	state := fresh.State(t)
	t.Cleanup(func() { _ = state.Close() })
	hasher, err := access.NewHasher(rand.Reader, access.Cost{MemoryKiB: 64, Passes: 1, Threads: 1}, 2)
	if err != nil {
		t.Fatal(err)
	}
	h := &proofs{
		state: state, accounts: access.NewAccounts(state, state, hasher, time.Now, rand.Reader), principal: map[string]dormer.Principal{},
		sso: &sso{codes: map[string]dormer.Principal{}, devices: map[string]dormer.Principal{}}, log: &failingLog{Log: state},
		began: time.Now(),
	}
	for _, name := range []string{"alice", "carol"} {
		a, _, err := h.accounts.Create(ctx, access.NewAccount{Name: name, Password: adminPassword})
		if err != nil {
			t.Fatal(err)
		}
		h.principal[name] = dormer.Principal{Directory: dormer.EmbeddedDirectory, Kind: dormer.KindUser, Key: a.ID, Name: name}
	}
	if err := state.SetOperator(ctx, access.Operator{Principal: h.principal["alice"], Role: dormer.RoleFull}); err != nil {
		t.Fatal(err)
	}
	h.enrolment, err = enroll.New(ctx, enroll.Config{Instance: "i", Key: make([]byte, 32), Store: state, Clients: state, Now: time.Now, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	h.client, h.revoked = enrolClient(t, h.enrolment), enrolClient(t, h.enrolment)
	if err := h.enrolment.Revoke(ctx, h.revoked); err != nil {
		t.Fatal(err)
	}
	h.harness = &harness{t: t}
	h.serve()
	h.admin = h.signIn("alice", adminPassword)
	return h
}

// serve starts the API with directories beside the embedded one, in place of
// the one that was served before.
func (h *proofs) serve(mounts ...access.Mount) {
	h.t.Helper()
	var examined []access.Examined
	for _, m := range mounts {
		if tester, ok := m.Directory.(access.Tester); ok {
			examined = append(examined, access.Examined{Name: m.Name(), Tester: tester})
		}
	}
	var err error
	h.access, err = access.NewAuthenticator(h.t.Context(), access.Config{
		Examined:    examined,
		Directories: append(mounts, access.Mount{Directory: directory.NewEmbedded(h.accounts), Realm: realm}), Default: dormer.EmbeddedDirectory,
		Negotiator: accesstest.Negotiator{Now: time.Now}, Service: "HTTP/dormer.example.com", Providers: []access.Provider{h.sso}, Once: h.state, Tokens: h.state,
		Operators: h.state, Sessions: h.state, CodeKey: make([]byte, 32), OperatorSession: time.Hour, UserSession: time.Hour, Now: time.Now, Random: rand.Reader,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	api, err := httpapi.New(httpapi.Config{
		Access: h.access, Accounts: h.accounts, Audit: h.log, Enrolment: h.enrolment, DirectoryChanged: func() { h.changed.Add(1) },
		Now: time.Now, Random: rand.Reader, Logger: logger,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	s := httptest.NewServer(httpapi.Front(api, logger, time.Now, rand.Reader, nil, func(*http.Request) bool { return false }))
	h.t.Cleanup(s.Close)
	h.url = s.URL
}

func enrolClient(t *testing.T, s *enroll.Service) dormer.ClientID {
	t.Helper()
	_, token, err := s.CreateJoinToken(t.Context(), enroll.JoinRequest{
		Name: "x", URL: "http://dormer.example.com", Authority: enroll.SystemAuthority, AdmitsManaged: true, MaxUses: 1, Lifetime: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.NewFileKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := seal.MarshalClientPublic(key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Enrol(t.Context(), wire.EnrolRequest{
		Protocol: wire.ProtocolVersion, Secret: token[strings.LastIndex(token, ".")+1:], PublicKey: public, Managed: true,
		Host: wire.Host{Name: "pc1", OS: "linux", Arch: "amd64"}, AgentVersion: "1",
	})
	if err != nil {
		t.Fatal(err)
	}
	return c.ID
}

// newest returns the newest record of the audit log.
func (h *proofs) newest() audit.Record {
	h.t.Helper()
	all, err := h.state.Records(h.t.Context(), 0, 1)
	if err != nil || len(all) != 1 {
		h.t.Fatal(len(all), err)
	}
	return all[0]
}

// negotiate signs in by a ticket. headers are pairs.
func (h *proofs) negotiate(k ticket, body any, headers ...string) answer {
	h.t.Helper()
	made := h.began
	if k.Expired {
		made = made.Add(-time.Hour)
	}
	token := accesstest.Ticket(k.User, k.Realm, k.Number, made)
	return h.ask("POST", rest.Prefix+"/sessions/kerberos", "", body, append(headers, "Authorization", "Negotiate "+base64.StdEncoding.EncodeToString(token))...)
}
