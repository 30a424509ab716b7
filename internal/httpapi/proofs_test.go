package httpapi_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/access/accesstest"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/directory"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/httpapi"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

const (
	realm    = "CORP.EXAMPLE.TEST"
	provider = "corp-sso"
)

// tickets is a Negotiator whose tokens are JSON.
type tickets struct{ now func() time.Time }

// ticket is a token. Number tells authenticators apart.
type ticket struct {
	User, Realm string
	Number      int
	Expired     bool
}

func (n tickets) Accept(_ context.Context, token []byte) (access.Ticket, error) {
	var t ticket
	switch err := json.Unmarshal(token, &t); {
	case err != nil:
		return access.Ticket{}, fmt.Errorf("the token is malformed: %w", dormer.ErrUnauthenticated)
	case t.Expired:
		return access.Ticket{}, fmt.Errorf("the ticket has expired: %w", dormer.ErrUnauthenticated)
	}
	return access.Ticket{User: t.User, Realm: t.Realm, Reply: []byte("reply"), ID: sha256.Sum256(token), Expires: n.now().Add(time.Hour)}, nil
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
	changed   atomic.Int32 // calls of DirectoryChanged
	client    dormer.ClientID
	revoked   dormer.ClientID
	principal map[string]dormer.Principal
}

func newProofs(t *testing.T) *proofs {
	t.Helper()
	ctx := t.Context()
	state, err := store.OpenState(ctx, "sqlite:"+filepath.Join(t.TempDir(), "state.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = state.Close() })
	hasher, err := access.NewHasher(rand.Reader, access.Cost{MemoryKiB: 64, Passes: 1, Threads: 1}, 2)
	if err != nil {
		t.Fatal(err)
	}
	h := &proofs{
		state: state, accounts: access.NewAccounts(state, state, hasher, time.Now, rand.Reader), principal: map[string]dormer.Principal{},
		sso: &sso{codes: map[string]dormer.Principal{}, devices: map[string]dormer.Principal{}}, log: &failingLog{Log: state},
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
		Negotiator: tickets{time.Now}, Service: "HTTP/dormer.example.com", Providers: []access.Provider{h.sso}, Once: h.state, Tokens: h.state,
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
	token, err := json.Marshal(k)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.ask("POST", rest.Prefix+"/sessions/kerberos", "", body, append(headers, "Authorization", "Negotiate "+base64.StdEncoding.EncodeToString(token))...)
}

func TestSignInMethods(t *testing.T) {
	h := newProofs(t)
	m, err := h.harness.client("").SignInMethods(t.Context())
	if err != nil || !m.Kerberos || m.Service != "HTTP/dormer.example.com" || len(m.Providers) != 1 || m.Providers[0] != (rest.Provider{Name: provider, Title: "Corp", Device: true}) || m.Directories[0] != "local" {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestKerberos: a ticket counts once, the answer proves the server, and what
// does not count is told as little as a wrong password.
func TestKerberos(t *testing.T) {
	h := newProofs(t)
	// Nobody is refused who has not shown a ticket yet: that is how clients learn
	// that one is wanted, whatever their body.
	for _, headers := range [][]string{nil, {"Authorization", "Bearer x"}, {"Authorization", "Negotiate"}} {
		a := h.ask("POST", rest.Prefix+"/sessions/kerberos", "", nil, headers...)
		if a.problem(t); a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") != "Negotiate" {
			t.Errorf("%v: status %d, %v", headers, a.status, a.header)
		}
	}
	a := h.negotiate(ticket{User: "alice", Realm: realm}, nil)
	var in rest.ProofAnswer
	if err := json.Unmarshal(a.body, &in); err != nil || a.status != http.StatusOK || in.Token == "" || in.Role != dormer.RoleFull || in.Principal.Name != "alice" || in.Code != nil {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	if got := a.header.Get("WWW-Authenticate"); got != "Negotiate "+base64.StdEncoding.EncodeToString([]byte("reply")) {
		t.Errorf("the answer to the ticket is %q", got)
	}
	if r := h.newest(); r.Action != "session.open" || r.Who != "alice" || r.Detail != "kerberos: full" {
		t.Errorf("record %+v", r)
	}
	h.must("GET", "/sessions/current", in.Token, nil, nil)

	for name, c := range map[string]struct {
		ticket ticket
		body   any
		status int
		cause  string
	}{
		"used before":     {ticket{User: "alice", Realm: realm}, nil, 401, "used before"},
		"expired":         {ticket{User: "alice", Realm: realm, Expired: true}, nil, 401, "expired"},
		"foreign realm":   {ticket{User: "alice", Realm: "OTHER.EXAMPLE.TEST"}, nil, 401, "OTHER.EXAMPLE.TEST"},
		"of a service":    {ticket{User: "HTTP/alice", Realm: realm}, nil, 401, "not that of a user"},
		"metacharacters":  {ticket{User: "alice)(cn=*\x00", Realm: realm}, nil, 401, "kerberos"},
		"no operator":     {ticket{User: "carol", Realm: realm}, nil, 403, "no operator"},
		"no client":       {ticket{User: "carol", Realm: realm, Number: 1}, rest.For{Client: "aaaaaaaaaaaaaaaaaaaaaaaaaa"}, 403, "not enrolled"},
		"revoked client":  {ticket{User: "carol", Realm: realm, Number: 2}, rest.For{Client: h.revoked}, 403, "revoked"},
		"no token at all": {ticket{}, nil, 401, "kerberos"},
	} {
		a := h.negotiate(c.ticket, c.body)
		p := a.problem(t)
		r := h.newest()
		if a.status != c.status || r.Action != "session.refuse" || !strings.HasPrefix(r.Detail, "kerberos: ") || !strings.Contains(r.Detail, c.cause) {
			t.Errorf("%s: status %d, record %+v", name, a.status, r)
		}
		if strings.ContainsAny(r.Detail, "\x00\n") || strings.Contains(string(a.body), "token\":") {
			t.Errorf("%s: record %q, answer %s", name, r.Detail, a.body)
		}
		if c.status == 401 && (a.header.Get("WWW-Authenticate") != "Negotiate" || !strings.Contains(p.Title, "ticket") || strings.Contains(p.Detail, c.cause)) {
			t.Errorf("%s: %+v, %v", name, p, a.header)
		}
		if c.status == 403 && r.Who != "carol" {
			t.Errorf("%s: record %+v does not say who", name, r)
		}
	}
	// Unknown fields and a body that is none are refused before the ticket is spent.
	for _, body := range []string{`{"client":"","x":1}`, `[`} {
		if a := h.negotiate(ticket{User: "alice", Realm: realm, Number: 9}, body); a.status != http.StatusBadRequest {
			t.Errorf("body %s: status %d", body, a.status)
		}
	}
	if a := h.negotiate(ticket{User: "alice", Realm: realm, Number: 9}, "{}"); a.status != http.StatusOK {
		t.Errorf("after a wrong body: status %d", a.status)
	}
}

// TestKerberosAcrossSites: a browser attaches a ticket by itself, so that other
// sites must not reach the route that takes one, and no other route takes one.
func TestKerberosAcrossSites(t *testing.T) {
	h := newProofs(t)
	for i, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Origin", "https://evil.example.com"},
		{"Origin", "null"},
		{"Sec-Fetch-Site", "cross-site", "Origin", h.url},
	} {
		if a := h.negotiate(ticket{User: "alice", Realm: realm, Number: i}, nil, headers...); a.status != http.StatusForbidden || a.header.Get("WWW-Authenticate") != "" {
			t.Errorf("%v: status %d, %v", headers, a.status, a.header)
		}
		if a := h.ask("POST", rest.Prefix+"/sessions/kerberos", "", nil, headers...); a.status != http.StatusForbidden || a.header.Get("WWW-Authenticate") != "" {
			t.Errorf("%v without a ticket: status %d challenges with %v", headers, a.status, a.header)
		}
	}
	for i, headers := range [][]string{{"Sec-Fetch-Site", "same-origin", "Origin", h.url}, {"Origin", h.url}, nil} {
		if a := h.negotiate(ticket{User: "alice", Realm: realm, Number: 100 + i}, nil, headers...); a.status != http.StatusOK {
			t.Errorf("%v: status %d: %s", headers, a.status, a.body)
		}
	}
	token := base64.StdEncoding.EncodeToString([]byte(`{"User":"alice","Realm":"` + realm + `","Number":77}`))
	for _, r := range httpapi.Routes() {
		if r.Proof == access.MethodKerberos || r.Public {
			continue
		}
		a := h.ask(r.Method, rest.Prefix+pathOf(r.Path), "", nil, "Authorization", "Negotiate "+token)
		if a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s %s takes a ticket: status %d, %v", r.Method, r.Path, a.status, a.header)
		}
	}
}

// TestCodes: whoever proves who they are gets a code for an enrolled client
// without being an operator; it counts there and nowhere else.
func TestCodes(t *testing.T) {
	h := newProofs(t)
	a := h.negotiate(ticket{User: "carol", Realm: realm}, rest.For{Client: h.client})
	var in rest.ProofAnswer
	if err := json.Unmarshal(a.body, &in); err != nil || a.status != http.StatusOK || in.Code == nil || in.Token != "" || in.Code.User != h.principal["carol"] || !in.Code.Expires.After(time.Now()) {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	if r := h.newest(); r.Action != "session.code" || r.Who != "carol" || r.Object != "pc1 ("+string(h.client)+")" || r.Detail != "kerberos" || strings.Contains(fmt.Sprint(r), in.Code.Code) {
		t.Errorf("record %+v", r)
	}
	if _, err := h.access.RedeemCode(t.Context(), in.Code.Code, h.revoked); !errors.Is(err, dormer.ErrUnauthenticated) {
		t.Errorf("on another client: %v", err)
	}
	if p, err := h.access.RedeemCode(t.Context(), in.Code.Code, h.client); err != nil || p != h.principal["carol"] {
		t.Errorf("%+v, %v", p, err)
	}
	if a := h.ask("GET", rest.Prefix+"/sessions/current", in.Code.Code, nil); a.status != http.StatusUnauthorized {
		t.Errorf("the code opens the API: status %d", a.status)
	}
}

func TestOpenID(t *testing.T) {
	h := newProofs(t)
	c := h.harness.client("")
	url, err := c.BeginOpenID(t.Context(), rest.BeginOpenID{Provider: provider, RedirectURI: "http://127.0.0.1:9/x", State: "s", Nonce: "n", Challenge: "c"})
	if err != nil || !strings.HasPrefix(url, "https://sso.example.com/authorize?state=s") {
		t.Fatal(url, err)
	}
	finish := rest.FinishOpenID{Provider: provider, RedirectURI: "http://127.0.0.1:9/x", Nonce: "n", Code: "good", Verifier: "verifier"}
	h.sso.codes["good"] = h.principal["alice"]
	in, err := c.FinishOpenID(t.Context(), finish)
	if err != nil || in.Token == "" || in.Principal.Name != "alice" {
		t.Fatalf("%+v, %v", in, err)
	}
	if r := h.newest(); r.Action != "session.open" || r.Detail != "openid: full" {
		t.Errorf("record %+v", r)
	}
	for name, change := range map[string]struct {
		change func(*rest.FinishOpenID)
		status int
		cause  string
	}{
		"used code":      {func(*rest.FinishOpenID) {}, 401, "does not count"},
		"other audience": {func(f *rest.FinishOpenID) { f.Code = "other audience" }, 401, "another audience"},
		"used nonce":     {func(f *rest.FinishOpenID) { f.Code = "again" }, 401, "used before"},
		"other verifier": {func(f *rest.FinishOpenID) { f.Code, f.Verifier, f.Nonce = "third", "x", "m" }, 401, "does not count"},
		"no operator":    {func(f *rest.FinishOpenID) { f.Code, f.Nonce = "carol", "o" }, 403, "no operator"},
	} {
		h.sso.codes["again"], h.sso.codes["third"], h.sso.codes["carol"] = h.principal["alice"], h.principal["alice"], h.principal["carol"]
		f := finish
		change.change(&f)
		a := h.ask("POST", rest.Prefix+"/sessions/openid", "", f)
		p, r := a.problem(t), h.newest()
		if a.status != change.status || r.Action != "session.refuse" || !strings.HasPrefix(r.Detail, "openid: ") || !strings.Contains(r.Detail, change.cause) {
			t.Errorf("%s: status %d (%+v), record %+v", name, a.status, p, r)
		}
		if strings.Contains(fmt.Sprint(r), "good") || strings.Contains(fmt.Sprint(r), "verifier") {
			t.Errorf("%s: the record holds a secret: %+v", name, r)
		}
	}
	if _, err := c.BeginOpenID(t.Context(), rest.BeginOpenID{Provider: "nobody", RedirectURI: "http://127.0.0.1:9/x", State: "s", Nonce: "n", Challenge: "c"}); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("unknown provider: %v", err)
	}
	// For a client: a code, whoever it is.
	h.sso.codes["for a client"] = h.principal["carol"]
	finish.Code, finish.Nonce, finish.Client = "for a client", "p", h.client
	if in, err := c.FinishOpenID(t.Context(), finish); err != nil || in.Code == nil || in.Token != "" || in.Code.User.Name != "carol" {
		t.Errorf("%+v, %v", in, err)
	}
	if r := h.newest(); r.Action != "session.code" || r.Detail != "openid" {
		t.Errorf("record %+v", r)
	}
}

func TestDevice(t *testing.T) {
	h := newProofs(t)
	c := h.harness.client("")
	d, err := c.BeginDevice(t.Context(), provider)
	if err != nil || d.UserCode != "ABCD-EFGH" || d.IntervalSeconds != 5 {
		t.Fatalf("%+v, %v", d, err)
	}
	h.sso.devices["device"] = dormer.Principal{}
	_, err = c.PollDevice(t.Context(), rest.PollDevice{Provider: provider, DeviceCode: "device"})
	told, ok := errors.AsType[*problem.Error](err)
	if !ok || told.Kind != problem.KindPending || told.RetryAfter() != 7*time.Second || told.Status != http.StatusServiceUnavailable {
		t.Errorf("while the user has not finished: %#v", err)
	}
	before := h.newest()
	h.sso.mu.Lock()
	h.sso.devices["device"] = h.principal["alice"]
	h.sso.mu.Unlock()
	in, err := c.PollDevice(t.Context(), rest.PollDevice{Provider: provider, DeviceCode: "device"})
	if err != nil || in.Token == "" {
		t.Fatalf("%+v, %v", in, err)
	}
	if r := h.newest(); r.Action != "session.open" || r.Detail != "openid: full" || r.ID != before.ID+1 {
		t.Errorf("records %+v, %+v: waiting leaves none", before, r)
	}
	for code, cause := range map[string]string{"device": "used before", "refused": "refused"} {
		if _, err := c.PollDevice(t.Context(), rest.PollDevice{Provider: provider, DeviceCode: code}); !errors.Is(err, dormer.ErrUnauthenticated) {
			t.Errorf("%s: %v", code, err)
		}
		if r := h.newest(); r.Action != "session.refuse" || !strings.Contains(r.Detail, cause) {
			t.Errorf("%s: record %+v", code, r)
		}
	}
}

// TestAPITokens: a token is shown once, says who made it in what it does, and
// does no more than its role and areas.
func TestAPITokens(t *testing.T) {
	h := newProofs(t)
	c := h.harness.client(h.admin)
	made, err := c.CreateAPIToken(t.Context(), rest.NewAPIToken{Name: "automation", Role: dormer.RoleFull, Areas: []string{"directory", "access"}, LifetimeHours: 2})
	if err != nil || made.Token == "" || made.Owner.Name != "alice" || time.Until(made.Expires) > 2*time.Hour {
		t.Fatalf("%+v, %v", made, err)
	}
	if r := h.newest(); r.Action != "api-token.create" || r.Object != "automation ("+made.ID+")" || strings.Contains(fmt.Sprint(r), made.Token) {
		t.Errorf("record %+v", r)
	}
	all := h.must("GET", "/api-tokens", h.admin, nil, nil)
	if bytes.Contains(all.body, []byte(made.Token)) || !bytes.Contains(all.body, []byte(`"automation"`)) {
		t.Errorf("list: %s", all.body)
	}
	h.must("POST", "/directory/groups", made.Token, rest.NewGroup{Name: "made by a program"}, nil)
	if r := h.newest(); r.Who != "alice (API token "+made.ID+")" || r.Principal != string(h.principal["alice"].ID()) || r.Action != "group.create" {
		t.Errorf("record %+v", r)
	}
	var s rest.Session
	h.must("GET", "/sessions/current", made.Token, nil, &s)
	if s.APIToken == nil || s.APIToken.ID != made.ID || s.Role != dormer.RoleFull || s.Principal.Name != "alice" || !s.Expires.Equal(made.Expires) {
		t.Errorf("session %+v", s)
	}
	if a := h.ask("DELETE", rest.Prefix+"/sessions/current", made.Token, nil); a.status != http.StatusConflict {
		t.Errorf("sign-out: status %d", a.status)
	}
	if a := h.ask("GET", rest.Prefix+"/clients", made.Token, nil); a.status != http.StatusForbidden || !strings.Contains(a.problem(t).Detail, "area clients") {
		t.Errorf("another area: status %d: %s", a.status, a.body)
	}
	list, err := c.APITokens(t.Context())
	if err != nil || len(list) != 1 || list[0].LastUsed == nil || list[0].Revoked != nil {
		t.Errorf("after use: %+v, %v", list, err)
	}
	if err := c.RevokeAPIToken(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	if r := h.newest(); r.Action != "api-token.revoke" || r.Object != "automation ("+made.ID+")" {
		t.Errorf("record %+v", r)
	}
	if a := h.ask("GET", rest.Prefix+"/operators", made.Token, nil); a.status != http.StatusUnauthorized {
		t.Errorf("after revocation: status %d", a.status)
	}
	if err := c.RevokeAPIToken(t.Context(), "aaaaaaaaaaaaaaaaaaaaaaaaaa"); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("revoking what is not there: %v", err)
	}
	for name, n := range map[string]rest.NewAPIToken{
		"no name":       {Role: dormer.RoleFull},
		"no role":       {Name: "x"},
		"unknown area":  {Name: "x", Role: dormer.RoleFull, Areas: []string{"everything"}},
		"too long":      {Name: "x", Role: dormer.RoleFull, LifetimeHours: 367 * 24},
		"before it was": {Name: "x", Role: dormer.RoleFull, LifetimeHours: -1},
		"overflow":      {Name: "x", Role: dormer.RoleFull, LifetimeHours: 1 << 40},
	} {
		if _, err := c.CreateAPIToken(t.Context(), n); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestChangeThatIsNotRecorded: groups that were changed count, also when the
// audit log could not take the record.
func TestChangeThatIsNotRecorded(t *testing.T) {
	h := newProofs(t)
	h.log.set(true)
	if a := h.ask("POST", rest.Prefix+"/directory/groups", h.admin, rest.NewGroup{Name: "staff"}); a.status != http.StatusInternalServerError {
		t.Errorf("status %d", a.status)
	}
	if n := h.changed.Load(); n != 1 {
		t.Errorf("the change was told %d times", n)
	}
	if a := h.ask("POST", rest.Prefix+"/directory/groups", h.admin, rest.NewGroup{Name: "STAFF"}); a.status != http.StatusConflict || h.changed.Load() != 1 {
		t.Errorf("status %d, told %d times", a.status, h.changed.Load())
	}
	// A token that nobody was shown does not count.
	if a := h.ask("POST", rest.Prefix+"/api-tokens", h.admin, rest.NewAPIToken{Name: "x", Role: dormer.RoleFull}); a.status != http.StatusInternalServerError || strings.Contains(string(a.body), "dormer_api_") {
		t.Errorf("status %d: %s", a.status, a.body)
	}
	h.log.set(false)
	all, err := h.harness.client(h.admin).APITokens(t.Context())
	if err != nil || len(all) != 1 || all[0].Revoked == nil {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestCheckNames lists everybody who goes by a name, and the directories that
// could not be asked are an error and not an answer.
func TestCheckNames(t *testing.T) {
	h := newProofs(t)
	c := h.harness.client(h.admin)
	if _, err := c.CreateGroup(t.Context(), "carol"); err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[dormer.PrincipalKind]int{dormer.KindUser: 1, dormer.KindGroup: 1, "": 2} {
		if found, err := c.Check(t.Context(), kind, "CAROL"); err != nil || len(found) != want {
			t.Errorf("%q: %+v, %v", kind, found, err)
		}
	}
	for _, strange := range []string{"nobody", "*", "a)(cn=*", "x\x00y", `nowhere\alice`, strings.Repeat("x", 5000)} {
		if found, err := c.Check(t.Context(), "", strange); err != nil || len(found) != 0 {
			t.Errorf("%.20q: %+v, %v", strange, found, err)
		}
	}
	for _, path := range []string{"/directory/check", "/directory/check?name=x&kind=computer", "/directory/check?name=x&limit=100000"} {
		if a := h.ask("GET", rest.Prefix+path, h.admin, nil); a.status != http.StatusBadRequest {
			t.Errorf("%s: status %d", path, a.status)
		}
	}
	if l, err := c.TestDirectories(t.Context()); err != nil {
		t.Errorf("%+v, %v", l, err)
	}
}

// TestTicketIsNotInAnswers: what the client sends in the header of the sign-in
// comes back nowhere.
func TestTicketIsNotInAnswers(t *testing.T) {
	h := newProofs(t)
	secret := base64.StdEncoding.EncodeToString([]byte("this is no ticket"))
	a := h.ask("POST", rest.Prefix+"/sessions/kerberos", "", nil, "Authorization", "Negotiate "+secret)
	if a.status != http.StatusUnauthorized || strings.Contains(string(a.body), secret) || strings.Contains(fmt.Sprint(h.newest()), secret) {
		t.Errorf("status %d: %s", a.status, a.body)
	}
	if _, err := h.harness.client("session").SignInKerberos(t.Context(), []byte("x"), rest.For{}); !errors.Is(err, dormer.ErrUnauthenticated) || !strings.Contains(err.Error(), "ticket") {
		t.Errorf("a client with a session: %v", err)
	}
}

// TestOperatorsThatAreNotWhatTheyWere are shown as what they are, not dropped.
func TestOperatorsThatAreNotWhatTheyWere(t *testing.T) {
	h := newProofs(t)
	corp := accesstest.NewDirectory("corp")
	names := []string{"found", "renamed", "gone"}
	for _, name := range names {
		if err := h.state.SetOperator(t.Context(), access.Operator{Principal: corp.Add(accesstest.User{Name: name}), Role: dormer.RoleReadOnly}); err != nil {
			t.Fatal(err)
		}
	}
	h.serve(access.Mount{Directory: corp})
	states := func() map[string]string {
		all, err := h.harness.client(h.admin).Operators(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, o := range all {
			got[o.Principal.Name] = o.State + o.Name
		}
		return got
	}
	for _, name := range names[1:] {
		p, err := corp.Resolve(t.Context(), dormer.KindUser, name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "gone" {
			corp.Remove(p)
		}
		corp.Change(p, func(u *accesstest.User) { u.Name = "another" })
	}
	if diff := cmp.Diff(map[string]string{"alice": "found", "found": "found", "renamed": "renamedanother", "gone": "gone"}, states()); diff != "" {
		t.Error(diff)
	}
	corp.Down(true)
	if diff := cmp.Diff(map[string]string{"alice": "found", "found": "unknown", "renamed": "unknown", "gone": "unknown"}, states()); diff != "" {
		t.Error(diff)
	}
	// Who is gone can lose the role all the same.
	h.must("PUT", "/operators", h.admin, rest.SetOperator{Kind: "user", Name: `corp\gone`}, nil)
	if got := states(); got["gone"] != "" {
		t.Errorf("%v", got)
	}
}

// TestAmbiguousNames: one of several is given no role; the answer lists them.
func TestAmbiguousNames(t *testing.T) {
	h := newProofs(t)
	corp := accesstest.NewDirectory("corp")
	for _, name := range []string{"ann1", "ann2"} {
		corp.Add(accesstest.User{Name: name, DisplayName: "Ann Example"})
	}
	h.serve(access.Mount{Directory: corp})
	found, err := h.harness.client(h.admin).Check(t.Context(), "", `corp\Ann Example`)
	if err != nil || len(found) != 2 {
		t.Fatalf("%+v, %v", found, err)
	}
	a := h.ask("PUT", rest.Prefix+"/operators", h.admin, rest.SetOperator{Kind: "user", Name: `corp\Ann Example`, Role: "full"})
	p := a.problem(t)
	if a.status != http.StatusBadRequest || p.Kind != problem.KindAmbiguous || len(p.Candidates) != 2 || p.Candidates[0].Principal.Name != "ann1" || p.Candidates[0].DisplayName != "Ann Example" {
		t.Errorf("status %d: %s", a.status, a.body)
	}
	corp.Add(accesstest.User{Name: "bea", DisplayName: "Bea Example"})
	if _, err := h.harness.client(h.admin).Resolve(t.Context(), dormer.KindUser, `corp\Bea Example`); !errors.Is(err, dormer.ErrNotFound) || !strings.Contains(err.Error(), `corp\bea goes by it`) {
		t.Errorf("one who goes by another name: %v", err)
	}
	_, err = h.harness.client(h.admin).SetOperator(t.Context(), rest.SetOperator{Kind: "user", Name: `corp\Ann Example`, Role: "full"})
	if ambiguous, ok := errors.AsType[*access.AmbiguousError](err); !ok || len(ambiguous.Candidates) != 2 || !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("%#v", err)
	}
}

// TestFindings are answered as the directories have them.
func TestFindings(t *testing.T) {
	h := newProofs(t)
	corp := accesstest.NewDirectory("corp")
	h.serve(access.Mount{Directory: corp})
	test := func() []rest.DirectoryTest {
		all, err := h.harness.client(h.admin).TestDirectories(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	problems := func() (n int) {
		for _, d := range test() {
			for _, f := range d.Findings {
				if f.What == "" {
					t.Errorf("%s: %+v says not what was examined", d.Directory, f)
				}
				if f.Problem != "" {
					n++
				}
			}
		}
		return n
	}
	if n := problems(); n != 0 || len(test()) != 1 {
		t.Errorf("%d problems: %+v", n, test())
	}
	corp.Down(true)
	if n := problems(); n == 0 {
		t.Errorf("a directory that does not answer: %+v", test())
	}
	before := h.newest()
	if test(); h.newest() != before {
		t.Error("an examination is recorded as a change")
	}
}

// TestTokensDoNotGrow: a token for the directory alone cannot make its holder
// an operator: by an operator's password, by enabling one, or by a group of
// operators, however deep.
func TestTokensDoNotGrow(t *testing.T) {
	h := newProofs(t)
	var outer, inner, other rest.Group
	h.must("POST", "/directory/groups", h.admin, rest.NewGroup{Name: "operators"}, &outer)
	h.must("POST", "/directory/groups", h.admin, rest.NewGroup{Name: "helpdesk"}, &inner)
	h.must("POST", "/directory/groups", h.admin, rest.NewGroup{Name: "staff"}, &other)
	var dave rest.UserCreated
	h.must("POST", "/directory/users", h.admin, rest.NewUser{Name: "dave", Password: readerPassword}, &dave)
	h.must("PUT", "/directory/groups/"+outer.ID+"/members/group/"+inner.ID, h.admin, nil, nil)
	h.must("PUT", "/directory/groups/"+inner.ID+"/members/user/"+dave.ID, h.admin, nil, nil)
	h.must("PUT", "/operators", h.admin, rest.SetOperator{Kind: "group", Name: "operators", Role: "full"}, nil)
	h.must("PATCH", "/directory/users/"+dave.ID, h.admin, rest.ChangeUser{Disabled: new(true)}, nil)

	alice, carol := h.principal["alice"].Key, h.principal["carol"].Key
	concerns := []struct {
		method, path string
		body         any
	}{
		{"POST", "/directory/users/" + alice + "/password", rest.SetPassword{Password: nobodyPassword}},
		{"PATCH", "/directory/users/" + alice, rest.ChangeUser{MustChange: new(false)}},
		{"DELETE", "/directory/users/" + alice, nil},
		{"POST", "/directory/users/" + dave.ID + "/password", rest.SetPassword{Password: nobodyPassword}},
		{"PATCH", "/directory/users/" + dave.ID, rest.ChangeUser{Disabled: new(false)}},
		{"PUT", "/directory/groups/" + outer.ID + "/members/user/" + carol, nil},
		{"PUT", "/directory/groups/" + inner.ID + "/members/user/" + carol, nil},
		{"PUT", "/directory/groups/" + inner.ID + "/members/group/" + other.ID, nil},
		{"DELETE", "/directory/groups/" + inner.ID + "/members/user/" + dave.ID, nil},
		{"DELETE", "/directory/groups/" + outer.ID, nil},
	}
	token := h.apiToken(h.admin, dormer.RoleFull, "directory").Token
	for _, c := range concerns {
		a := h.ask(c.method, rest.Prefix+c.path, token, c.body)
		if a.status != http.StatusForbidden || !strings.Contains(a.problem(t).Detail, "needs the area access") {
			t.Errorf("%s %s: status %d: %s", c.method, c.path, a.status, a.body)
		}
	}
	h.must("POST", "/directory/users/"+carol+"/password", token, rest.SetPassword{Password: nobodyPassword}, nil)
	h.must("PUT", "/directory/groups/"+other.ID+"/members/user/"+carol, token, nil, nil)
	// With the area access, or confined to nothing, it may.
	for i, areas := range [][]string{nil, {"directory", "access"}} {
		token := h.apiToken(h.admin, dormer.RoleFull, areas...).Token
		h.must(concerns[6].method, concerns[6].path, token, nil, nil)
		if i == 1 {
			h.must(concerns[4].method, concerns[4].path, token, concerns[4].body, nil)
		}
	}
	if role, err := h.access.Role(t.Context(), h.principal["carol"]); err != nil || role != dormer.RoleFull {
		t.Errorf("%q, %v", role, err)
	}
}
