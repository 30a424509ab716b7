package uplink

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire"
)

// authority is a certificate authority of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert: cert, key: key}
}

func (a authority) pin() string {
	sum := sha256.Sum256(a.cert.Raw)
	return hex.EncodeToString(sum[:])
}

// issue returns a certificate for 127.0.0.1 with the authority behind it.
func (a authority) issue(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key}
}

// house is a server of a test.
type house struct {
	mu      sync.Mutex
	tokens  int // how many were given
	valid   string
	resumed []bool // of each poll
	closed  []bool
	refuse  error // of polls
	body    []byte
	taken   map[string][]byte // archives by what they were collected for
}

func (h *house) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	reply := func(v any) {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		_, _ = w.Write(b)
	}
	switch {
	case r.URL.Path == wire.PathEnrol:
		reply(wire.EnrolAnswer{Client: "c", Instance: "i"})
		return
	case r.URL.Path == wire.PathChallenge:
		reply(wire.ChallengeAnswer{Challenge: []byte("challenge")})
		return
	case r.URL.Path == wire.PathToken:
		h.tokens++
		h.valid = fmt.Sprintf("token %d", h.tokens)
		reply(wire.TokenAnswer{Token: h.valid})
		return
	case r.Header.Get("Authorization") != "Bearer "+h.valid:
		problem.Write(w, dormer.ErrUnauthenticated)
		return
	case h.refuse != nil:
		problem.Write(w, h.refuse)
		return
	}
	if order, ok := strings.CutPrefix(r.URL.Path, wire.PathCollected); ok && r.Method == http.MethodPut {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		h.taken = map[string][]byte{order: b}
		w.WriteHeader(http.StatusNoContent)
		return
	}
	switch r.URL.Path {
	case wire.PathPoll:
		h.resumed = append(h.resumed, r.TLS.DidResume)
		h.closed = append(h.closed, r.Close)
		reply(seal.Envelope{Type: seal.TypeAnswer, Signature: make([]byte, 64), Payload: []byte("hello")})
	case wire.PathSignIn:
		problem.Write(w, fmt.Errorf("name or password is wrong: %w", dormer.ErrDenied))
	default:
		_, _ = w.Write(h.body)
	}
}

func serve(t *testing.T, a authority, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{a.issue(t)}}
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func newUplink(t *testing.T, a authority, servers ...string) *Uplink {
	t.Helper()
	key, err := seal.NewFileKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	u, err := New(Config{
		Servers: servers, Authority: a.cert.Raw, Client: "c", Key: key,
		Time: time.Now, Random: rand.Reader, UserAgent: "dormer-agent test",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	return u
}

func TestPoll(t *testing.T) {
	a, h := newAuthority(t), &house{}
	u := newUplink(t, a, serve(t, a, h).URL)
	for i := range 3 {
		if i == 2 {
			h.mu.Lock()
			h.valid = "another after a day"
			h.mu.Unlock()
		}
		got := ""
		if err := u.Poll(t.Context(), wire.PollRequest{}, func(e seal.Envelope) error {
			got = string(e.Payload)
			return nil
		}); err != nil || got != "hello" {
			t.Fatalf("poll %d: %q, %v", i, got, err)
		}
	}
	if h.tokens != 2 {
		t.Errorf("%d tokens were asked for, want 2", h.tokens)
	}
	for i, closed := range h.closed {
		if !closed {
			t.Errorf("poll %d keeps its connection", i)
		}
		if !h.resumed[i] {
			t.Errorf("poll %d does not resume the TLS session", i)
		}
	}
	if err := u.Poll(t.Context(), wire.PollRequest{}, func(seal.Envelope) error { return dormer.ErrCorrupt }); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("what accept says is lost: %v", err)
	}
	h.refuse = fmt.Errorf("this client was revoked: %w", dormer.ErrDenied)
	err := u.Poll(t.Context(), wire.PollRequest{}, func(seal.Envelope) error { return nil })
	if said, ok := errors.AsType[*problem.Error](err); !ok || said.Kind != "denied" || !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("a revoked client sees %v", err)
	}
}

func TestServersInOrder(t *testing.T) {
	a := newAuthority(t)
	gone := serve(t, a, &house{})
	gone.Close()
	fenced, second := &house{refuse: dormer.ErrFenced}, &house{}
	u := newUplink(t, a, gone.URL, serve(t, a, fenced).URL, serve(t, a, second).URL)
	accept := func(seal.Envelope) error { return nil }
	// The servers of one instance take each other's tokens; those of the test
	// do not, and each renewal shows which one was asked.
	if err := u.Poll(t.Context(), wire.PollRequest{}, accept); err != nil {
		t.Fatal(err)
	}
	if len(second.resumed) != 1 || fenced.tokens != 1 {
		t.Errorf("the servers were asked %d and %d times", fenced.tokens, len(second.resumed))
	}
	// An answer of an epoch that is over makes the next server be asked.
	asked := 0
	fenced.refuse = nil
	err := u.Poll(t.Context(), wire.PollRequest{}, func(seal.Envelope) error {
		asked++
		if asked == 1 {
			return dormer.ErrFenced
		}
		return nil
	})
	if err != nil || asked != 2 {
		t.Errorf("asked %d servers: %v", asked, err)
	}
	nobody := newUplink(t, a, gone.URL)
	if err := nobody.Poll(t.Context(), wire.PollRequest{}, accept); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("without a server: %v", err)
	}
}

func TestOtherRequests(t *testing.T) {
	a, h := newAuthority(t), &house{body: []byte(`{"apiVersion":"x"}`)}
	u := newUplink(t, a, serve(t, a, h).URL)
	if _, err := u.Policy(t.Context(), policy.HashOf(h.body)); err != nil {
		t.Error(err)
	}
	if _, err := u.Policy(t.Context(), policy.HashOf([]byte("another"))); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("a policy that is not what its hash names: %v", err)
	}
	_, err := u.SignIn(t.Context(), wire.SignInRequest{User: "anna", Password: "hunter2"})
	if !errors.Is(err, dormer.ErrDenied) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("wrong password: %v", err)
	}
	client, base, authorize := u.Objects()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := authorize(r); err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || r.URL.Path != "/repository/v1/x" {
		t.Errorf("%s: %s", r.URL.Path, resp.Status)
	}
}

// TestCollected: an archive goes to a server that takes it, and comes as it was.
func TestCollected(t *testing.T) {
	a, h := newAuthority(t), &house{}
	fenced := &house{refuse: dormer.ErrFenced}
	u := newUplink(t, a, serve(t, a, fenced).URL, serve(t, a, h).URL)
	archive := []byte{0x1f, 0x8b, 0, 0xff}
	if err := u.Collected(t.Context(), "order", archive); err != nil {
		t.Fatal(err)
	}
	if len(fenced.taken) > 0 || string(h.taken["order"]) != string(archive) {
		t.Errorf("taken were %x and %x", fenced.taken, h.taken)
	}
	h.refuse = fmt.Errorf("no order asks for these diagnostics: %w", dormer.ErrNotFound)
	if err := u.Collected(t.Context(), "another", archive); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("unasked: %v", err)
	}
}

func TestAnotherAuthority(t *testing.T) {
	u := newUplink(t, newAuthority(t), serve(t, newAuthority(t), &house{}).URL)
	err := u.Poll(t.Context(), wire.PollRequest{}, func(seal.Envelope) error { return nil })
	if !errors.Is(err, dormer.ErrUnavailable) || !strings.Contains(err.Error(), "enrol again") {
		t.Errorf("got %v", err)
	}
}

func TestEnrol(t *testing.T) {
	a, h := newAuthority(t), &house{}
	s := serve(t, a, h)
	secret := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	enrol := func(url, pin string, now time.Time) (wire.EnrolAnswer, []byte, error) {
		i, err := enroll.ParseJoinToken(enroll.Invitation{URL: url, Authority: pin, Secret: secret}.String())
		if err != nil {
			t.Fatal(err)
		}
		return Enrol(t.Context(), i, wire.EnrolRequest{Secret: i.Secret}, func() time.Time { return now }, "test")
	}
	answer, der, err := enrol(s.URL, a.pin(), time.Now())
	if err != nil || answer.Client != "c" || string(der) != string(a.cert.Raw) {
		t.Errorf("%+v, %v", answer, err)
	}
	if _, _, err := enrol(s.URL, newAuthority(t).pin(), time.Now()); err == nil || !strings.Contains(err.Error(), "not from the authority") {
		t.Errorf("another authority: %v", err)
	}
	if _, _, err := enrol(s.URL, enroll.SystemAuthority, time.Now()); err == nil {
		t.Error("a private authority passed for one of the system's")
	}
	if _, _, err := enrol(s.URL, a.pin(), time.Now().Add(48*time.Hour)); err == nil {
		t.Error("an expired certificate passed")
	}
	if _, _, err := enrol(strings.Replace(s.URL, "https", "http", 1), a.pin(), time.Now()); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("a pin without TLS: %v", err)
	}
	if _, _, err := enrol(strings.Replace(s.URL, "127.0.0.1", "localhost", 1), a.pin(), time.Now()); err == nil {
		t.Error("a certificate for another name passed")
	}
}
