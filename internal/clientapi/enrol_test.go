package clientapi_test

import (
	"bytes"
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire"
)

func TestEnrolmentRefused(t *testing.T) {
	for _, test := range []struct {
		name    string
		token   func(*enroll.JoinRequest)
		prepare func(t *testing.T, s *server, token enroll.JoinToken, secret *string)
		managed bool
		kind    error
		says    string
	}{
		{"wrong secret", nil, func(_ *testing.T, _ *server, _ enroll.JoinToken, secret *string) {
			*secret = strings.Repeat("A", len(*secret))
		}, true, dormer.ErrDenied, "no such join token"},
		{"expired", func(r *enroll.JoinRequest) { r.Lifetime = time.Minute }, func(_ *testing.T, s *server, _ enroll.JoinToken, _ *string) {
			s.clock.Add(time.Minute)
		}, true, dormer.ErrDenied, "expired"},
		{"used up", func(r *enroll.JoinRequest) { r.MaxUses = 1 }, func(t *testing.T, s *server, _ enroll.JoinToken, secret *string) {
			if err := s.post(wire.PathEnrol, "", s.enrolRequest(*secret, must(seal.NewFileKey(rand.Reader))(t), true), nil); err != nil {
				t.Fatal(err)
			}
		}, true, dormer.ErrDenied, "as often as it allows"},
		{"revoked", nil, func(t *testing.T, s *server, token enroll.JoinToken, _ *string) {
			if err := s.enroll.RevokeJoinToken(t.Context(), token.ID); err != nil {
				t.Fatal(err)
			}
		}, true, dormer.ErrDenied, "revoked"},
		{"managed client with a token for unmanaged", func(r *enroll.JoinRequest) { r.AdmitsManaged = false }, nil, true, dormer.ErrDenied, "as a service"},
		{"unmanaged client with a token for managed", func(r *enroll.JoinRequest) { r.AdmitsUnmanaged = false }, nil, false, dormer.ErrDenied, "for one user"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t)
			token, secret := s.joinToken(test.token)
			if test.prepare != nil {
				test.prepare(t, s, token, &secret)
			}
			before := must(s.state.Clients(t.Context()))(t)
			err := s.post(wire.PathEnrol, "", s.enrolRequest(secret, must(seal.NewFileKey(rand.Reader))(t), test.managed), nil)
			wantKind(t, err, test.kind)
			if err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("error is %q, expected %q in it", err, test.says)
			}
			if after := must(s.state.Clients(t.Context()))(t); len(after) != len(before) {
				t.Error("a client was added all the same")
			}
			records := must(s.state.Records(t.Context(), 0, 1))(t)
			if len(records) != 1 || records[0].Action != "client.refuse" || strings.Contains(records[0].Detail, secret) {
				t.Errorf("audit log has %+v", records)
			}
		})
	}
}

func TestEnrolmentWithABadKey(t *testing.T) {
	s := newServer(t)
	_, secret := s.joinToken(nil)
	q := s.enrolRequest(secret, must(seal.NewFileKey(rand.Reader))(t), true)
	q.PublicKey = q.PublicKey[:40]
	wantKind(t, s.post(wire.PathEnrol, "", q, nil), dormer.ErrInvalid)
	q = s.enrolRequest(secret, must(seal.NewFileKey(rand.Reader))(t), true)
	q.Protocol = 99
	wantKind(t, s.post(wire.PathEnrol, "", q, nil), dormer.ErrUnsupported)
}

func TestEnrolmentRepeated(t *testing.T) {
	s := newServer(t)
	_, secret := s.joinToken(func(r *enroll.JoinRequest) { r.MaxUses = 1 })
	q := s.enrolRequest(secret, must(seal.NewFileKey(rand.Reader))(t), true)
	var first, second wire.EnrolAnswer
	if err := s.post(wire.PathEnrol, "", q, &first); err != nil {
		t.Fatal(err)
	}
	if err := s.post(wire.PathEnrol, "", q, &second); err != nil || second.Client != first.Client {
		t.Errorf("the same enrolment again: client %q, then %q, %v", first.Client, second.Client, err)
	}
	if err := s.enroll.Revoke(t.Context(), first.Client); err != nil {
		t.Fatal(err)
	}
	wantKind(t, s.post(wire.PathEnrol, "", q, nil), dormer.ErrDenied)
}

func TestJoinTokenAdmitsNoMoreThanItSays(t *testing.T) {
	s := newServer(t)
	_, secret := s.joinToken(func(r *enroll.JoinRequest) { r.MaxUses = 3 })
	var wg sync.WaitGroup
	for range 8 {
		q := s.enrolRequest(secret, must(seal.NewFileKey(rand.Reader))(t), true)
		wg.Go(func() { _ = s.post(wire.PathEnrol, "", q, nil) })
	}
	wg.Wait()
	if n := len(must(s.state.Clients(t.Context()))(t)); n != 3 {
		t.Errorf("%d clients are enrolled, expected 3", n)
	}
}

func TestEnrolmentAttemptsAreLimited(t *testing.T) {
	s := newServer(t)
	_, secret := s.joinToken(nil)
	q := s.enrolRequest(strings.Repeat("A", len(secret)), must(seal.NewFileKey(rand.Reader))(t), true)
	for range 20 {
		wantKind(t, s.post(wire.PathEnrol, "", q, nil), dormer.ErrDenied)
	}
	resp, err := s.call(http.MethodPost, wire.PathEnrol, "", nil, q)
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Errorf("the 21st attempt: %d, %v", resp.StatusCode, err)
	}
	s.clock.Add(4 * time.Second)
	q.Secret = secret
	if err := s.post(wire.PathEnrol, "", q, nil); err != nil {
		t.Errorf("with the right token, later: %v", err)
	}
}

func TestChallenges(t *testing.T) {
	s := newServer(t)
	c, other := s.client(true), s.client(true)
	challenge := must(c.challenge())(t)
	c.token = ""
	if err := c.prove(challenge); err != nil || c.token == "" {
		t.Fatal(err)
	}
	wantKind(t, c.prove(challenge), dormer.ErrUnauthenticated) // replayed

	challenge = must(c.challenge())(t)
	s.clock.Add(enroll.ChallengeLifetime)
	wantKind(t, c.prove(challenge), dormer.ErrUnauthenticated) // expired

	wantKind(t, other.prove(must(c.challenge())(t)), dormer.ErrUnauthenticated) // another client's
	forged := must(c.challenge())(t)
	forged[20] ^= 1
	wantKind(t, c.prove(forged), dormer.ErrUnauthenticated)
	wantKind(t, c.prove([]byte("short")), dormer.ErrUnauthenticated)

	thief := *c
	thief.key = other.key
	wantKind(t, thief.authenticate(), dormer.ErrUnauthenticated) // another key

	ghost := *c
	ghost.id = "zzzzzzzzzzzzzzzzzzzzzzzzzy"
	err := ghost.authenticate()
	if err == nil {
		t.Error("a client that was never enrolled gets a token")
	}
}

func TestClientTokens(t *testing.T) {
	s, c, _ := ready(t)
	whole := c.token
	for _, token := range []string{"", "x", whole[:len(whole)-1], whole + "A", strings.Replace(whole, whole[10:11], "_", 1), strings.ToUpper(whole)} {
		c.token = token
		_, err := c.send(c.request())
		wantKind(t, err, dormer.ErrUnauthenticated)
	}
	c.token = whole
	s.clock.Add(enroll.TokenLifetime)
	_, err := c.send(c.request())
	wantKind(t, err, dormer.ErrUnauthenticated)
	if err := c.authenticate(); err != nil {
		t.Fatal(err)
	}
	c.poll()

	// A replica with the same key takes it, a server with another does not.
	config := enroll.Config{Instance: s.instance, Key: s.token, Store: s.state, Clients: s.state, Now: s.clock.Now, Random: rand.Reader}
	if id, err := must(enroll.New(t.Context(), config))(t).Verify(c.token); err != nil || id != c.id {
		t.Errorf("a replica says %q, %v", id, err)
	}
	config.Key = bytes.Repeat([]byte{9}, 32)
	_, err = must(enroll.New(t.Context(), config))(t).Verify(c.token)
	wantKind(t, err, dormer.ErrUnauthenticated)
}

func TestRevokedClient(t *testing.T) {
	s, c, _ := ready(t)
	replica := must(enroll.New(t.Context(), enroll.Config{Instance: s.instance, Key: s.token, Store: s.state, Clients: s.state, Now: s.clock.Now, Random: rand.Reader}))(t)
	if err := s.enroll.Revoke(t.Context(), c.id); err != nil {
		t.Fatal(err)
	}
	_, err := c.send(c.request())
	wantKind(t, err, dormer.ErrDenied)
	wantKind(t, c.authenticate(), dormer.ErrDenied)
	wantKind(t, c.signIn("alice", password), dormer.ErrDenied)
	_, err = s.call(http.MethodGet, wire.PathObject+"pack/abc", c.token, nil, nil)
	wantKind(t, err, dormer.ErrDenied)

	if err := replica.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = replica.Verify(c.token)
	wantKind(t, err, dormer.ErrDenied)
	s.start()
	_, err = c.send(c.request())
	wantKind(t, err, dormer.ErrDenied)
}

func TestSignIn(t *testing.T) {
	s := newServer(t)
	alice := s.user("alice")
	c := s.client(true)
	wantKind(t, c.signIn("alice", "wrong"), dormer.ErrDenied)
	wantKind(t, c.signIn("nobody", password), dormer.ErrDenied)
	wantKind(t, c.signIn("", password), dormer.ErrInvalid)
	wantKind(t, c.signIn("alice", strings.Repeat("x", wire.MaxPasswordLength+1)), dormer.ErrInvalid)
	stranger := *c
	stranger.token = "x"
	wantKind(t, stranger.signIn("alice", password), dormer.ErrUnauthenticated)
	if err := c.signIn("ALICE", password); err != nil {
		t.Fatal(err)
	}
	yes := true
	must(s.accounts.Update(t.Context(), alice.ID, access.AccountChange{Disabled: &yes}))(t)
	err := c.signIn("alice", password)
	wantKind(t, err, dormer.ErrDenied)
	if err == nil || !strings.Contains(err.Error(), string(access.ReasonDisabled)) {
		t.Errorf("a disabled account is told %v", err)
	}
	for _, r := range must(s.state.Records(t.Context(), 0, 100))(t) {
		if strings.Contains(r.Who+r.Object+r.Detail, password) || strings.Contains(r.Who+r.Object+r.Detail, "nobody") {
			t.Errorf("audit record repeats what was typed: %+v", r)
		}
	}
	if strings.Contains(s.log.String(), password) {
		t.Error("the log has the password")
	}
}

func TestSignInAttemptsAreLimited(t *testing.T) {
	s := newServer(t)
	s.user("alice")
	c := s.client(true)
	limited := false
	for range 30 {
		resp, _ := s.call(http.MethodPost, wire.PathSignIn, c.token, nil, wire.SignInRequest{Protocol: 1, User: "alice", Password: "wrong"})
		if resp.StatusCode == http.StatusTooManyRequests {
			limited = resp.Header.Get("Retry-After") != ""
		}
	}
	if !limited {
		t.Error("30 wrong passwords in a row are not limited")
	}
}

func TestSignOutIsForItsOwnClient(t *testing.T) {
	s, c, _ := ready(t)
	other := s.client(true)
	if err := s.post(wire.PathSignOut, other.token, wire.SignOutRequest{Protocol: 1, Session: c.sessions[0]}, nil); err != nil {
		t.Fatal(err)
	}
	if a := c.poll(); len(a.EndedSessions) > 0 {
		t.Error("another client ended the session")
	}
	for range 2 { // a repeat is no error
		if err := s.post(wire.PathSignOut, c.token, wire.SignOutRequest{Protocol: 1, Session: c.sessions[0]}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if a := c.poll(); len(a.EndedSessions) != 1 {
		t.Errorf("answer is %+v", a)
	}
}

func TestPathsAndMethods(t *testing.T) {
	s := newServer(t)
	for _, test := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, wire.PathPoll, http.StatusMethodNotAllowed},
		{http.MethodDelete, wire.PathEnrol, http.StatusMethodNotAllowed},
		{http.MethodPost, "/client/v1/other", http.StatusNotFound},
		{http.MethodPost, wire.PathPoll, http.StatusUnauthorized},
		{http.MethodPost, wire.PathSignIn, http.StatusUnauthorized},
		{http.MethodPost, wire.PathSignOut, http.StatusUnauthorized},
		{http.MethodGet, wire.PathPolicy + "x", http.StatusUnauthorized},
		{http.MethodGet, wire.PathObject + "x", http.StatusUnauthorized},
	} {
		resp, err := s.call(test.method, test.path, "", nil, nil)
		if resp.StatusCode != test.status || resp.Header.Get("Content-Type") != wire.ProblemType {
			t.Errorf("%s %s: %d %s %v, expected %d", test.method, test.path, resp.StatusCode, resp.Header.Get("Content-Type"), err, test.status)
		}
	}
}
