package access_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/access/accesstest"
)

// hooked is a SessionStore that lets tests act between what it does and its
// answer.
type hooked struct {
	access.SessionStore
	created, found func()
	down           atomic.Bool
	asked          atomic.Int64 // how often one session was looked for
}

func (h *hooked) CreateSession(ctx context.Context, s access.Session) error {
	err := h.SessionStore.CreateSession(ctx, s)
	if h.created != nil {
		h.created()
	}
	return err
}

func (h *hooked) Session(ctx context.Context, id string) (access.Session, error) {
	h.asked.Add(1)
	if h.down.Load() {
		return access.Session{}, dormer.ErrUnavailable
	}
	s, err := h.SessionStore.Session(ctx, id)
	if h.found != nil {
		h.found()
	}
	return s, err
}

func (h *hooked) EndSession(ctx context.Context, id string) error {
	if h.down.Load() {
		return dormer.ErrUnavailable
	}
	return h.SessionStore.EndSession(ctx, id)
}

func (r *realms) checkSession(t *testing.T, what string, a *access.Authenticator, s access.Session, secret string, kind error) {
	t.Helper()
	got, err := a.CheckSession(t.Context(), s.Kind, s.ID, secret)
	if !errors.Is(err, kind) || err == nil && got != s || err != nil && got != (access.Session{}) {
		t.Errorf("%s: %+v, %v; want %v", what, got, err, kind)
	}
}

// TestSessionsOfReplicas: what one replica opens counts on others at once, and
// what one ends counts no more on others after Follow.
func TestSessionsOfReplicas(t *testing.T) {
	r := newRealms(t)
	ctx := t.Context()
	first, second := r.Authenticator, r.replica(t)
	for _, kind := range []access.SessionKind{access.SessionOperator, access.SessionUser} {
		s, secret, err := first.OpenSession(ctx, kind, r.alice, "c")
		if err != nil {
			t.Fatal(err)
		}
		r.checkSession(t, "with another secret on another replica", second, s, "x", dormer.ErrUnauthenticated)
		r.checkSession(t, "on another replica", second, s, secret, nil)
		if err := first.EndSession(ctx, s.ID); err != nil {
			t.Fatal(err)
		}
		r.checkSession(t, "ended here", first, s, secret, dormer.ErrUnauthenticated)
		follow := second.Follow
		if kind == access.SessionUser {
			follow = second.FollowUsers
		}
		if err := follow(ctx); err != nil {
			t.Fatal(err)
		}
		r.checkSession(t, "ended on another replica", second, s, secret, dormer.ErrUnauthenticated)
	}
	// Follow learns of those that were opened elsewhere, so that they count in
	// what somebody has at most.
	s, secret, err := first.OpenSession(ctx, access.SessionOperator, r.alice, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Follow(ctx); err != nil {
		t.Fatal(err)
	}
	for range access.MaxSessions {
		r.wait(time.Millisecond)
		if _, _, err := second.OpenSession(ctx, access.SessionOperator, r.alice, ""); err != nil {
			t.Fatal(err)
		}
	}
	r.checkSession(t, "beyond the most", second, s, secret, dormer.ErrUnauthenticated)
}

// TestUnknownSessions are looked for in the store seldom, and while it does not
// answer nobody is told that a session is over.
func TestUnknownSessions(t *testing.T) {
	r := newRealms(t)
	store := &hooked{SessionStore: r.state}
	r.cfg.Sessions = store
	a := r.replica(t)
	for _, id := range []string{"", "x", strings.Repeat("A", 26), strings.Repeat("a", 27), strings.Repeat("x", 1<<20), "../../../../../../etc/passw"} {
		r.checkSession(t, "malformed", a, access.Session{ID: id, Kind: access.SessionUser}, "", dormer.ErrUnauthenticated)
	}
	if n := store.asked.Load(); n != 0 {
		t.Errorf("the store was asked %d times for what can be no session", n)
	}
	unknown := access.Session{ID: strings.Repeat("a", 26), Kind: access.SessionUser}
	for range 100 {
		r.checkSession(t, "unknown", a, unknown, "", dormer.ErrUnauthenticated)
	}
	if n := store.asked.Load(); n != 1 {
		t.Errorf("the store was asked %d times for one that is unknown", n)
	}
	r.wait(time.Minute)
	store.down.Store(true)
	_, err := a.CheckSession(t.Context(), access.SessionUser, unknown.ID, "")
	if !errors.Is(err, dormer.ErrUnavailable) || errors.Is(err, dormer.ErrUnauthenticated) {
		t.Errorf("while the store does not answer: %v", err)
	}
	s, secret, err := a.OpenSession(t.Context(), access.SessionUser, r.alice, "c")
	if err != nil {
		t.Fatal(err)
	}
	r.checkSession(t, "a known one, while the store does not answer", a, s, secret, nil)
	if err := a.EndSession(t.Context(), s.ID); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("end, while the store does not answer: %v", err)
	}
	store.down.Store(false)
	r.checkSession(t, "ended, though the store has it", a, s, secret, dormer.ErrUnauthenticated)
	if err := a.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.checkSession(t, "even so after a sweep", a, s, secret, dormer.ErrUnauthenticated)
}

// TestOpenWhileEnding: a session that is opened while those of its user are
// ended either is refused, or was opened after.
func TestOpenWhileEnding(t *testing.T) {
	for what, end := range map[string]func(*access.Authenticator, context.Context, dormer.UserID) error{
		"all":        (*access.Authenticator).EndSessionsOf,
		"operator's": (*access.Authenticator).EndOperatorSessionsOf,
	} {
		r := newRealms(t)
		store := &hooked{SessionStore: r.state}
		r.cfg.Sessions = store
		a := r.replica(t)
		store.created = func() { // it is in the store and not in memory yet
			if err := end(a, t.Context(), r.alice.ID()); err != nil {
				t.Error(err)
			}
		}
		s, secret, err := a.OpenSession(t.Context(), access.SessionOperator, r.alice, "")
		if !errors.Is(err, dormer.ErrUnauthenticated) || secret != "" {
			t.Errorf("%s: opened %+v, %v", what, s, err)
		}
		if all, err := r.state.Sessions(t.Context(), access.SessionOperator); err != nil || len(all) > 0 {
			t.Errorf("%s: the store has %d, %v", what, len(all), err)
		}
	}
}

// TestSignInBeforeTheEnd: a sign-in that began before the user's sessions were
// ended, with a password that was changed since, opens no session after it.
func TestSignInBeforeTheEnd(t *testing.T) {
	r := newRealms(t)
	ctx := t.Context()
	attempt := access.Attempt{User: "alice", Password: password, Remote: home}
	signIn := map[string]func() error{
		"password": func() error { _, err := r.SignIn(ctx, attempt); return err },
		"ticket": func() error {
			_, _, err := r.SignInTicket(ctx, accesstest.Ticket("alice", "CORP.EXAMPLE.TEST", 1, r.clock()), home)
			r.wait(time.Second)
			return err
		},
		"code": func() error {
			code, err := r.MakeCode(r.alice, "c")
			if err == nil {
				_, err = r.RedeemCode(ctx, code.Code, "c")
			}
			return err
		},
	}
	for what, prove := range signIn {
		for range 2 {
			if err := prove(); err != nil {
				t.Fatal(err)
			}
			if err := r.EndSessionsOf(ctx, r.alice.ID()); err != nil {
				t.Fatal(err)
			}
			if _, _, err := r.OpenSession(ctx, access.SessionUser, r.alice, "c"); !errors.Is(err, dormer.ErrUnauthenticated) {
				t.Errorf("%s before, session after the end: %v", what, err)
			}
			if err := prove(); err != nil {
				t.Fatal(err)
			}
			if _, _, err := r.OpenSession(ctx, access.SessionUser, r.alice, "c"); err != nil {
				t.Errorf("%s after the end: %v", what, err)
			}
		}
	}
}

// TestFindWhileEnding: a session that is read from the store while it is ended
// does not come back.
func TestFindWhileEnding(t *testing.T) {
	for what, end := range map[string]func(*access.Authenticator, context.Context, access.Session) error{
		"itself": func(a *access.Authenticator, ctx context.Context, s access.Session) error {
			return a.EndSession(ctx, s.ID)
		},
		"all": func(a *access.Authenticator, ctx context.Context, s access.Session) error {
			return a.EndSessionsOf(ctx, s.User.ID())
		},
	} {
		r := newRealms(t)
		store := &hooked{SessionStore: r.state}
		s, secret, err := r.OpenSession(t.Context(), access.SessionUser, r.alice, "c")
		if err != nil {
			t.Fatal(err)
		}
		r.cfg.Sessions = &hooked{SessionStore: noSessions{store}}
		a := r.replica(t) // as if it was started before
		store.found = func() {
			store.found = nil
			if err := end(a, t.Context(), s); err != nil {
				t.Error(err)
			}
		}
		r.checkSession(t, what, a, s, secret, dormer.ErrUnauthenticated)
		r.checkSession(t, what+", asked again", a, s, secret, dormer.ErrUnauthenticated)
	}
}

// noSessions lists none.
type noSessions struct{ access.SessionStore }

func (noSessions) Sessions(context.Context, access.SessionKind) ([]access.Session, error) {
	return nil, nil
}

// TestSessionsAtOnce opens, checks and ends on two replicas side by side: at
// the end nobody's sessions are left whose were ended last.
func TestSessionsAtOnce(t *testing.T) {
	r := newRealms(t)
	replicas := []*access.Authenticator{r.Authenticator, r.replica(t)}
	ctx := t.Context()
	type opened struct {
		s      access.Session
		secret string
	}
	var (
		mu  sync.Mutex
		all []opened // guarded by mu
		wg  sync.WaitGroup
	)
	for i := range 8 {
		a := replicas[i%2]
		wg.Go(func() {
			for n := range 15 {
				s, secret, err := a.OpenSession(ctx, access.SessionOperator, r.alice, "")
				if err != nil && !errors.Is(err, dormer.ErrUnauthenticated) {
					t.Error(err)
				}
				mu.Lock()
				if err == nil {
					all = append(all, opened{s, secret})
				}
				mu.Unlock()
				if _, err := replicas[n%2].CheckSession(ctx, access.SessionOperator, s.ID, secret); err != nil && !errors.Is(err, dormer.ErrUnauthenticated) {
					t.Error(err)
				}
				if n%5 == 4 {
					if err := a.EndSessionsOf(ctx, r.alice.ID()); err != nil {
						t.Error(err)
					}
				}
				if n%7 == 6 {
					if err := a.Follow(ctx); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if err := r.EndSessionsOf(ctx, r.alice.ID()); err != nil {
		t.Fatal(err)
	}
	if err := replicas[1].Follow(ctx); err != nil {
		t.Fatal(err)
	}
	for i, a := range replicas {
		for _, o := range all {
			if _, err := a.CheckSession(ctx, access.SessionOperator, o.s.ID, o.secret); !errors.Is(err, dormer.ErrUnauthenticated) {
				t.Fatalf("replica %d: a session counts after all were ended: %v", i, err)
			}
		}
	}
}
