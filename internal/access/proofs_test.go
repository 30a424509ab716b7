package access_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/access/accesstest"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/store/fresh"
	"github.com/dormer-project/dormer/internal/throttle"
)

// realms is an instance with two directories, of which other trusts corp, and
// as many replicas as are opened.
type realms struct {
	*access.Authenticator // the first replica

	state       *store.State
	corp, other *accesstest.Directory
	sso         *accesstest.Provider
	alice       dormer.Principal
	cfg         access.Config

	mu  sync.Mutex
	now time.Time // guarded by mu
}

func (r *realms) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *realms) wait(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

// replica returns another server of the instance.
func (r *realms) replica(t testing.TB) *access.Authenticator {
	t.Helper()
	a, err := access.NewAuthenticator(t.Context(), r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

const home = "192.0.2.1"

func newRealms(t testing.TB) *realms {
	t.Helper()
	state := fresh.State(t)
	t.Cleanup(func() {
		if err := state.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &realms{state: state, corp: accesstest.NewDirectory("corp"), other: accesstest.NewDirectory("other"), now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	r.alice = r.corp.Add(accesstest.User{Name: "alice", DisplayName: "Alice A.", Password: password})
	r.sso = accesstest.NewProvider(access.ProviderInfo{Name: "sso", Title: "Example", Device: true}, r.clock)
	r.cfg = access.Config{
		Directories: []access.Mount{
			{Directory: r.corp, Prefixes: []string{"CORPNT"}, Suffixes: []string{"corp.example.test", "mail.example.test"}, Realm: "CORP.EXAMPLE.TEST", Fresh: time.Minute},
			{Directory: r.other, Prefixes: []string{"OTHERNT"}, Suffixes: []string{"other.example.test"}, Trusts: []string{"corp"}},
		},
		Default: "corp", Negotiator: accesstest.Negotiator{Now: r.clock}, Providers: []access.Provider{r.sso}, Once: state, Tokens: state,
		Examined:  []access.Examined{{Name: "corp", Tester: r.corp}, {Name: "other", Tester: r.other}},
		Operators: state, Sessions: state, CodeKey: bytes.Repeat([]byte{7}, 32), OperatorSession: time.Hour, UserSession: 24 * time.Hour,
		Now: r.clock, Random: rand.Reader,
	}
	r.Authenticator = r.replica(t)
	return r
}

func wantKind(t *testing.T, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: error is %v, want %v", what, err, kind)
	}
}

func TestMethods(t *testing.T) {
	r := newRealms(t)
	r.cfg.Default, r.cfg.Service = "Other", "HTTP/dormer.example.com"
	want := access.Methods{
		Directories: []string{"other", "corp"}, Kerberos: true, Service: "HTTP/dormer.example.com",
		Providers: []access.ProviderInfo{{Name: "sso", Title: "Example", Device: true}},
	}
	if diff := cmp.Diff(want, r.replica(t).Methods()); diff != "" {
		t.Error(diff)
	}
	r.cfg.Negotiator, r.cfg.Providers = nil, nil
	if m := r.replica(t).Methods(); m.Kerberos || len(m.Providers) > 0 {
		t.Errorf("methods %+v", m)
	}
}

// TestTickets count once on all replicas, for users of the realm's directory
// alone, and say nothing but who somebody is.
func TestTickets(t *testing.T) {
	r := newRealms(t)
	second := r.replica(t)
	r.corp.Add(accesstest.User{Name: "off", Refused: access.ReasonDisabled})
	r.other.Add(accesstest.User{Name: "carol"})
	ticket := func(serial int, user, realm string) []byte { return accesstest.Ticket(user, realm, serial, r.clock()) }

	one := ticket(1, "alice", "CORP.EXAMPLE.TEST")
	p, reply, err := r.SignInTicket(t.Context(), one, home)
	if err != nil || p != r.alice || string(reply) != "reply to alice" {
		t.Fatalf("signed in as %+v with reply %q, %v", p, reply, err)
	}
	for i, a := range []*access.Authenticator{r.Authenticator, second} {
		_, reply, err := a.SignInTicket(t.Context(), one, home)
		if !errors.Is(err, dormer.ErrUnauthenticated) || !strings.Contains(err.Error(), "used before") || reply != nil {
			t.Errorf("replayed to replica %d: %q, %v", i, reply, err)
		}
	}
	if _, _, err := second.SignInTicket(t.Context(), ticket(2, "alice", "CORP.EXAMPLE.TEST"), home); err != nil {
		t.Errorf("another ticket: %v", err)
	}
	for what, token := range map[string][]byte{
		"another realm":          ticket(3, "alice", "OTHER.EXAMPLE.TEST"),
		"no realm":               ticket(4, "carol", ""),
		"the realm in small":     ticket(5, "alice", "corp.example.test"),
		"nobody of the realm":    ticket(6, "carol", "CORP.EXAMPLE.TEST"),
		"a service":              ticket(7, "HTTP/alice", "CORP.EXAMPLE.TEST"),
		"another's prefix":       ticket(8, `OTHERNT\carol`, "CORP.EXAMPLE.TEST"),
		"no ticket":              []byte("no ticket"),
		"nothing":                nil,
		"a ticket without end":   bytes.Repeat([]byte("x"), access.MaxTicket+1),
		"a name without an end":  ticket(9, strings.Repeat("x", 5000), "CORP.EXAMPLE.TEST"),
		"an expired ticket":      accesstest.Ticket("alice", "CORP.EXAMPLE.TEST", 10, r.clock().Add(-time.Hour)),
		"a name with a wildcard": ticket(11, "al*", "CORP.EXAMPLE.TEST"),
	} {
		p, _, err := r.SignInTicket(t.Context(), token, home)
		if !errors.Is(err, dormer.ErrUnauthenticated) || p != (dormer.Principal{}) {
			t.Errorf("%s: %+v, %v", what, p, err)
		}
	}
	p, _, err = r.SignInTicket(t.Context(), ticket(12, "off", "CORP.EXAMPLE.TEST"), home)
	if refused, ok := errors.AsType[*access.RefusedError](err); !ok || refused.Reason != access.ReasonDisabled || p.Name != "off" {
		t.Errorf("a disabled account: %+v, %v", p, err)
	}
	r.corp.Down(true)
	_, _, err = r.SignInTicket(t.Context(), ticket(13, "alice", "CORP.EXAMPLE.TEST"), home)
	wantKind(t, "while the directory does not answer", err, dormer.ErrUnavailable)

	r.cfg.Negotiator = nil
	_, _, err = r.replica(t).SignInTicket(t.Context(), one, home)
	wantKind(t, "where none are taken", err, dormer.ErrUnsupported)
}

// sidNegotiator says of tickets which account they are of.
type sidNegotiator struct {
	access.Negotiator
	account uint32
}

func (n sidNegotiator) Accept(ctx context.Context, token []byte) (access.Ticket, error) {
	t, err := n.Negotiator.Accept(ctx, token)
	t.Account = n.account
	return t, err
}

// sidDirectory is a directory of one user with a SID.
type sidDirectory struct {
	access.Directory
	user dormer.Principal
}

func (d sidDirectory) Resolve(context.Context, dormer.PrincipalKind, string) (dormer.Principal, error) {
	return d.user, nil
}

func (d sidDirectory) Groups(context.Context, dormer.Principal) ([]dormer.Principal, error) {
	return nil, nil
}

// TestTicketOfAnotherAccount: a ticket that was given to another account than
// the one of its name signs nobody in.
func TestTicketOfAnotherAccount(t *testing.T) {
	for account, kind := range map[uint32]error{0: nil, 1104: nil, 104: dormer.ErrUnauthenticated, 1105: dormer.ErrUnauthenticated} {
		r := newRealms(t)
		r.cfg.Negotiator = sidNegotiator{r.cfg.Negotiator, account}
		r.cfg.Directories[0].Directory = sidDirectory{r.corp, dormer.Principal{Directory: "corp", Kind: dormer.KindUser, Key: "S-1-5-21-1-2-3-1104", Name: "alice"}}
		_, _, err := r.replica(t).SignInTicket(t.Context(), accesstest.Ticket("alice", "CORP.EXAMPLE.TEST", 1, r.clock()), home)
		wantKind(t, fmt.Sprintf("account %d", account), err, kind)
	}
}

// TestReplayAtOnce: of one ticket that is presented to two replicas at once,
// many times, one counts; of one code likewise.
func TestReplayAtOnce(t *testing.T) {
	r := newRealms(t)
	replicas := []*access.Authenticator{r.Authenticator, r.replica(t)}
	ticket := accesstest.Ticket("alice", "CORP.EXAMPLE.TEST", 1, r.clock())
	code, err := r.MakeCode(r.alice, "client1")
	if err != nil {
		t.Fatal(err)
	}
	for what, present := range map[string]func(*access.Authenticator) error{
		"ticket": func(a *access.Authenticator) error {
			_, _, err := a.SignInTicket(t.Context(), ticket, home)
			return err
		},
		"code": func(a *access.Authenticator) error {
			_, err := a.RedeemCode(t.Context(), code.Code, "client1")
			return err
		},
	} {
		var wg sync.WaitGroup
		errs := make([]error, 20)
		for i := range errs {
			wg.Go(func() { errs[i] = present(replicas[i%2]) })
		}
		wg.Wait()
		counted := 0
		for _, err := range errs {
			if err == nil {
				counted++
			} else {
				wantKind(t, what, err, dormer.ErrUnauthenticated)
			}
		}
		if counted != 1 {
			t.Errorf("one %s counted %d times", what, counted)
		}
	}
}

// TestOpenID signs in by a browser and by another device, each outcome once.
func TestOpenID(t *testing.T) {
	r := newRealms(t)
	ctx := t.Context()
	b := access.Authorization{RedirectURI: "http://127.0.0.1:1234/", State: "s", Nonce: "n", Challenge: "c"}
	if url, err := r.BeginOpenID(ctx, "sso", b); err != nil || !strings.HasPrefix(url, "https://sso.example.com/") {
		t.Errorf("%q, %v", url, err)
	}
	_, err := r.BeginOpenID(ctx, "nobody", b)
	wantKind(t, "an unknown provider", err, dormer.ErrNotFound)
	for _, bad := range []access.Authorization{{}, {RedirectURI: b.RedirectURI, Nonce: "n"}, {RedirectURI: strings.Repeat("x", 1<<20), State: "s", Nonce: "n", Challenge: "c"}} {
		_, err := r.BeginOpenID(ctx, "sso", bad)
		wantKind(t, "what is missing or without end", err, dormer.ErrInvalid)
	}

	code := r.sso.Finish("n", r.alice)
	r.sso.Forgetful() // as a provider must not be
	_, err = r.SignInOpenID(ctx, "sso", access.Authorization{RedirectURI: b.RedirectURI, Nonce: "another"}, code, "v", home)
	wantKind(t, "another's code", err, dormer.ErrUnauthenticated)
	if p, err := r.SignInOpenID(ctx, "sso", b, code, "v", home); err != nil || p != r.alice {
		t.Errorf("%+v, %v", p, err)
	}
	_, err = r.replica(t).SignInOpenID(ctx, "sso", b, code, "v", home)
	wantKind(t, "a second time, on another replica", err, dormer.ErrUnauthenticated)

	grant, err := r.BeginDevice(ctx, "sso", home)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.SignInDevice(ctx, "sso", grant.DeviceCode, home)
	if pending, ok := errors.AsType[*access.PendingError](err); !ok || pending.Wait != grant.Interval {
		t.Errorf("not finished: %v", err)
	}
	r.sso.FinishDevice(grant.DeviceCode, r.alice)
	if p, err := r.SignInDevice(ctx, "sso", grant.DeviceCode, home); err != nil || p != r.alice {
		t.Errorf("%+v, %v", p, err)
	}
	_, err = r.replica(t).SignInDevice(ctx, "sso", grant.DeviceCode, home)
	wantKind(t, "a device code a second time", err, dormer.ErrUnauthenticated)

	// The directory decides whether the account may be used.
	r.corp.Change(r.alice, func(u *accesstest.User) { u.Refused = access.ReasonLocked })
	_, err = r.SignInOpenID(ctx, "sso", access.Authorization{RedirectURI: "r", Nonce: "n2"}, r.sso.Finish("n2", r.alice), "v", home)
	wantKind(t, "a locked account", err, dormer.ErrDenied)
	r.corp.Remove(r.alice)
	_, err = r.SignInOpenID(ctx, "sso", access.Authorization{RedirectURI: "r", Nonce: "n3"}, r.sso.Finish("n3", r.alice), "v", home)
	wantKind(t, "somebody who is gone", err, dormer.ErrUnauthenticated)
}

// TestFloods of proofs that do not count are held back by address, keep nobody
// from typing a password, and those that count use nothing up.
func TestFloods(t *testing.T) {
	r := newRealms(t)
	ctx := t.Context()
	flood := func(what string, n int, do func() error) {
		t.Helper()
		for range n {
			err := do()
			if limited, ok := errors.AsType[*throttle.Error](err); ok {
				if limited.After <= 0 {
					t.Errorf("%s: told to wait %s", what, limited.After)
				}
				return
			}
		}
		t.Errorf("%s: %d were let through", what, n)
	}
	for i := range 1000 {
		if _, _, err := r.SignInTicket(ctx, accesstest.Ticket("alice", "CORP.EXAMPLE.TEST", i, r.clock()), home); err != nil {
			t.Fatalf("sign-in %d: %v", i, err)
		}
	}
	flood("tickets", 1000, func() error { _, _, err := r.SignInTicket(ctx, []byte("x"), home); return err })
	if _, err := r.SignIn(ctx, access.Attempt{User: "alice", Password: password, Remote: home}); err != nil {
		t.Errorf("a password from the same address: %v", err)
	}
	flood("codes", 1000, func() error {
		_, err := r.SignInOpenID(ctx, "sso", access.Authorization{RedirectURI: "r", Nonce: "n"}, "x", "v", "192.0.2.2")
		return err
	})
	flood("devices", 1000, func() error { _, err := r.BeginDevice(ctx, "sso", "192.0.2.3"); return err })
	flood("device codes", 1000, func() error { _, err := r.SignInDevice(ctx, "sso", "x"+rand.Text(), "192.0.2.4"); return err })
	if _, err := r.BeginDevice(ctx, "sso", "192.0.2.5"); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
	// Somebody who does not wait as told is slowed down before the provider is
	// asked, and gets in all the same.
	grant, err := r.BeginDevice(ctx, "sso", "192.0.2.6")
	if err != nil {
		t.Fatal(err)
	}
	for range 500 {
		_, err := r.SignInDevice(ctx, "sso", grant.DeviceCode, "192.0.2.6")
		if _, ok := errors.AsType[*access.PendingError](err); !ok {
			t.Fatalf("polling without pause: %v", err)
		}
	}
	r.sso.FinishDevice(grant.DeviceCode, r.alice)
	_, err = r.SignInDevice(ctx, "sso", grant.DeviceCode, "192.0.2.6")
	wantKind(t, "at once", err, dormer.ErrUnavailable)
	r.wait(5 * time.Second)
	if p, err := r.SignInDevice(ctx, "sso", grant.DeviceCode, "192.0.2.6"); err != nil || p != r.alice {
		t.Errorf("after waiting: %+v, %v", p, err)
	}
}

// TestCodes count once, on their client, for a minute, while the account may be
// used, and only as they were made.
func TestCodes(t *testing.T) {
	r := newRealms(t)
	ctx := t.Context()
	second := r.replica(t)
	fresh := func() string {
		t.Helper()
		code, err := r.MakeCode(r.alice, "client1")
		if err != nil || code.User != r.alice || code.Expires.Sub(r.clock()) < time.Minute || code.Expires.Sub(r.clock()) > time.Minute+time.Second {
			t.Fatalf("%+v, %v", code, err)
		}
		return code.Code
	}
	redeem := func(what, code string, client dormer.ClientID, kind error) {
		t.Helper()
		p, err := second.RedeemCode(ctx, code, client)
		if !errors.Is(err, kind) || (err == nil) != (p == r.alice) {
			t.Errorf("%s: %+v, %v; want %v", what, p, err, kind)
		}
		if err != nil && strings.Contains(err.Error(), code) && code != "" {
			t.Errorf("%s: the error repeats the code", what)
		}
	}
	code := fresh()
	redeem("on another client", code, "client2", dormer.ErrUnauthenticated)
	redeem("on no client", code, "", dormer.ErrUnauthenticated)
	redeem("on its client", code, "client1", nil)
	redeem("a second time", code, "client1", dormer.ErrUnauthenticated)
	if _, err := r.RedeemCode(ctx, code, "client1"); !errors.Is(err, dormer.ErrUnauthenticated) {
		t.Errorf("a second time on the replica that made it: %v", err)
	}
	code = fresh()
	r.wait(59 * time.Second)
	redeem("after 59 seconds", code, "client1", nil)
	code = fresh()
	r.wait(61 * time.Second)
	redeem("after 61 seconds", code, "client1", dormer.ErrUnauthenticated)
	if err := r.Sweep(ctx); err != nil {
		t.Fatal(err)
	}

	code = fresh()
	raw, err := base64.RawURLEncoding.DecodeString(code)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		redeem(fmt.Sprint("with byte ", i, " changed"), base64.RawURLEncoding.EncodeToString(changed), "client1", dormer.ErrUnauthenticated)
	}
	redeem("cut", code[:len(code)-4], "client1", dormer.ErrUnauthenticated)
	redeem("empty", "", "client1", dormer.ErrUnauthenticated)
	redeem("with a line feed", code[:10]+"\n"+code[10:], "client1", dormer.ErrUnauthenticated)
	redeem("without end", strings.Repeat("A", 1<<20), "client1", dormer.ErrUnauthenticated)
	other := r.cfg
	other.CodeKey = bytes.Repeat([]byte{8}, 32)
	stranger, err := access.NewAuthenticator(ctx, other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.RedeemCode(ctx, code, "client1"); !errors.Is(err, dormer.ErrUnauthenticated) {
		t.Errorf("under another key: %v", err)
	}

	r.corp.Down(true)
	redeem("while the directory does not answer", code, "client1", dormer.ErrUnavailable)
	r.corp.Down(false)
	redeem("when it answers again", code, "client1", nil)
	code = fresh()
	r.corp.Change(r.alice, func(u *accesstest.User) { u.Refused = access.ReasonDisabled })
	if who, err := second.RedeemCode(ctx, code, "client1"); !errors.Is(err, dormer.ErrDenied) || who != r.alice {
		t.Errorf("of a disabled account: %+v, %v; want whom it is about, and %v", who, err, dormer.ErrDenied)
	}
	r.corp.Remove(r.alice)
	redeem("of an account that is gone", code, "client1", dormer.ErrUnauthenticated)

	if _, err := r.MakeCode(r.alice, ""); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("for no client: %v", err)
	}
	long := r.alice
	long.Key = strings.Repeat("x", 1<<16)
	if _, err := r.MakeCode(long, "client1"); !errors.Is(err, dormer.ErrTooLarge) {
		t.Errorf("of a key without end: %v", err)
	}
	other.CodeKey = nil
	keyless, err := access.NewAuthenticator(ctx, other)
	if err != nil {
		t.Fatal(err)
	}
	_, err = keyless.MakeCode(r.alice, "client1")
	wantKind(t, "without a key", err, dormer.ErrUnsupported)
	other.CodeKey = []byte("short")
	_, err = access.NewAuthenticator(ctx, other)
	wantKind(t, "with a short key", err, dormer.ErrInvalid)
}

// TestCancelledSignIns come to an end.
func TestCancelledSignIns(t *testing.T) {
	r := newRealms(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := r.SignInTicket(ctx, accesstest.Ticket("alice", "CORP.EXAMPLE.TEST", 1, r.clock()), home)
	wantKind(t, "a ticket", err, context.Canceled)
	code, err := r.MakeCode(r.alice, "c")
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.RedeemCode(ctx, code.Code, "c")
	wantKind(t, "a code", err, context.Canceled)
}
