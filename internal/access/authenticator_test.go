package access_test

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/directory"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/store/fresh"
	"github.com/dormer-project/dormer/internal/throttle"
)

const password = "correct horse battery"

type fixture struct {
	*access.Authenticator
	accounts *access.Accounts
	state    *store.State
	now      time.Time
	alice    dormer.Principal
}

func (f *fixture) open(t *testing.T) {
	t.Helper()
	var err error
	f.Authenticator, err = access.NewAuthenticator(t.Context(), access.Config{
		Directories: []access.Mount{{Directory: directory.NewEmbedded(f.accounts)}}, Default: dormer.EmbeddedDirectory,
		Operators: f.state, Sessions: f.state, OperatorSession: time.Hour, UserSession: 24 * time.Hour,
		Now: func() time.Time { return f.now }, Random: rand.Reader,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func newFixture(t *testing.T, cost access.Cost) *fixture {
	t.Helper()
	state := fresh.State(t)
	t.Cleanup(func() {
		if err := state.Close(); err != nil {
			t.Error(err)
		}
	})
	hasher, err := access.NewHasher(rand.Reader, cost, 2)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{state: state, now: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
	f.accounts = access.NewAccounts(state, state, hasher, func() time.Time { return f.now }, rand.Reader)
	f.open(t)
	a, _, err := f.accounts.Create(t.Context(), access.NewAccount{Name: "alice", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	f.alice = dormer.Principal{Directory: dormer.EmbeddedDirectory, Kind: dormer.KindUser, Key: a.ID, Name: "alice"}
	return f
}

var cheap = access.Cost{MemoryKiB: 64, Passes: 1, Threads: 1}

// TestSessions live as long as they should, survive a restart, end when they
// are ended, and never count where they were not made for.
func TestSessions(t *testing.T) {
	f := newFixture(t, cheap)
	p, err := f.SignIn(t.Context(), access.Attempt{User: `LOCAL\Alice`, Password: password, Remote: "192.0.2.1"})
	if err != nil || p != f.alice {
		t.Fatalf("signed in as %+v, %v", p, err)
	}
	user, secret, err := f.OpenSession(t.Context(), access.SessionUser, p, "client1")
	if err != nil {
		t.Fatal(err)
	}
	operator, operatorSecret, err := f.OpenSession(t.Context(), access.SessionOperator, p, "")
	if err != nil {
		t.Fatal(err)
	}
	check := func(kind access.SessionKind, id, secret string, want bool) {
		t.Helper()
		s, err := f.CheckSession(t.Context(), kind, id, secret)
		if want != (err == nil) || err != nil && !errors.Is(err, dormer.ErrUnauthenticated) || want && s.User != p {
			t.Errorf("session of kind %s: %+v, %v; expected %v", kind, s.User, err, want)
		}
	}
	for range 2 {
		check(access.SessionUser, user.ID, secret, true)
		check(access.SessionOperator, operator.ID, operatorSecret, true)
		check(access.SessionOperator, user.ID, secret, false)
		check(access.SessionUser, operator.ID, operatorSecret, false)
		check(access.SessionUser, user.ID, operatorSecret, false)
		check(access.SessionUser, user.ID, "", false)
		check(access.SessionUser, "", "", false)
		f.open(t) // a restart
	}
	stored, err := f.state.Session(t.Context(), user.ID)
	if err != nil || stored.Client != "client1" || strings.Contains(string(stored.Hash[:]), secret) {
		t.Errorf("stored: %+v, %v", stored, err)
	}
	f.now = f.now.Add(time.Hour)
	check(access.SessionOperator, operator.ID, operatorSecret, false)
	check(access.SessionUser, user.ID, secret, true)
	if err := f.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.state.Session(t.Context(), operator.ID); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("an expired session after the sweep: %v", err)
	}
	if err := f.EndSession(t.Context(), user.ID); err != nil {
		t.Fatal(err)
	}
	check(access.SessionUser, user.ID, secret, false)
	if err := f.EndSession(t.Context(), user.ID); err != nil {
		t.Errorf("ending it again: %v", err)
	}
	f.open(t)
	check(access.SessionUser, user.ID, secret, false)
}

// TestChangedPasswordEndsSessions of that user alone.
func TestChangedPasswordEndsSessions(t *testing.T) {
	f := newFixture(t, cheap)
	mine, secret, err := f.OpenSession(t.Context(), access.SessionUser, f.alice, "c")
	if err != nil {
		t.Fatal(err)
	}
	bob := dormer.Principal{Directory: dormer.EmbeddedDirectory, Kind: dormer.KindUser, Key: "bob", Name: "bob"}
	other, otherSecret, err := f.OpenSession(t.Context(), access.SessionUser, bob, "c")
	if err != nil {
		t.Fatal(err)
	}
	attempt := access.Attempt{User: "alice", Password: password, Remote: "192.0.2.1"}
	if _, err := f.ChangePassword(t.Context(), attempt, "short"); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("a short one: %v", err)
	}
	if _, err := f.CheckSession(t.Context(), access.SessionUser, mine.ID, secret); err != nil {
		t.Errorf("after a refused change: %v", err)
	}
	p, err := f.ChangePassword(t.Context(), attempt, "a better horse battery")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.OpenSession(t.Context(), access.SessionUser, p, "c"); err != nil {
		t.Errorf("a session by the new password: %v", err)
	}
	if _, err := f.CheckSession(t.Context(), access.SessionUser, mine.ID, secret); !errors.Is(err, dormer.ErrUnauthenticated) {
		t.Errorf("a session from before: %v", err)
	}
	if _, err := f.CheckSession(t.Context(), access.SessionUser, other.ID, otherSecret); err != nil {
		t.Errorf("another's session: %v", err)
	}
	if _, err := f.SignIn(t.Context(), attempt); !errors.Is(err, dormer.ErrUnauthenticated) {
		t.Errorf("the old password: %v", err)
	}
}

// TestUnknownUsersTakeAsLong as those who exist: the best of several tries of
// each, in turn and until they are alike, at a cost that outweighs everything
// else. On a busy computer it takes more tries.
func TestUnknownUsersTakeAsLong(t *testing.T) {
	f := newFixture(t, access.Cost{MemoryKiB: 8 * 1024, Passes: 3, Threads: 1})
	try := func(user string) time.Duration {
		f.now = f.now.Add(time.Minute)
		began := time.Now()
		_, err := f.SignIn(t.Context(), access.Attempt{User: user, Password: "wrong horse battery", Remote: "192.0.2.1"})
		if !errors.Is(err, dormer.ErrUnauthenticated) {
			t.Fatal(err)
		}
		return time.Since(began)
	}
	exists, unknown := time.Hour, time.Hour
	for i := range 60 {
		exists, unknown = min(exists, try("alice")), min(unknown, try("nobody"))
		if ratio := float64(unknown) / float64(exists); i >= 5 && ratio > 0.5 && ratio < 2 {
			return
		}
	}
	t.Errorf("an unknown user takes %s, a known one %s", unknown, exists)
}

// TestRoles are the highest that a user has.
func TestRoles(t *testing.T) {
	f := newFixture(t, cheap)
	g, err := f.accounts.CreateGroup(t.Context(), "staff")
	if err != nil {
		t.Fatal(err)
	}
	role := func(want dormer.Role) {
		t.Helper()
		if got, err := f.Role(t.Context(), f.alice); err != nil || got != want {
			t.Errorf("role %q, %v; expected %q", got, err, want)
		}
	}
	role(dormer.RoleNone)
	for _, set := range []struct {
		kind dormer.PrincipalKind
		name string
		role dormer.Role
	}{{dormer.KindGroup, "Staff", dormer.RoleFull}, {dormer.KindUser, "alice", dormer.RoleReadOnly}} {
		if _, err := f.SetOperator(t.Context(), set.kind, set.name, set.role); err != nil {
			t.Fatal(err)
		}
	}
	role(dormer.RoleReadOnly)
	if err := f.accounts.SetMember(t.Context(), g.ID, access.Member{Kind: dormer.KindUser, ID: f.alice.Key}, true); err != nil {
		t.Fatal(err)
	}
	role(dormer.RoleFull)
	if _, err := f.SetOperator(t.Context(), dormer.KindUser, "nobody", dormer.RoleFull); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("an unknown operator: %v", err)
	}
	if _, err := f.SetOperator(t.Context(), dormer.KindUser, "alice", "root"); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("an unknown role: %v", err)
	}
	if _, err := f.SetOperator(t.Context(), dormer.KindGroup, "staff", dormer.RoleNone); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("the last full operator: %v", err)
	}
}

// TestNamesOfAccounts that would be mistaken for something else are refused.
func TestNamesOfAccounts(t *testing.T) {
	f := newFixture(t, cheap)
	for _, name := range []string{"", " a", "a ", `a\b`, "a@b", "a/b", "a\nb", "a:b", strings.Repeat("x", 201), "\xff"} {
		if _, _, err := f.accounts.Create(t.Context(), access.NewAccount{Name: name}); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("user %q: %v", name, err)
		}
		if _, err := f.accounts.CreateGroup(t.Context(), name); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("group %q: %v", name, err)
		}
	}
	if _, _, err := f.accounts.Create(t.Context(), access.NewAccount{Name: "ALICE"}); !errors.Is(err, dormer.ErrExists) {
		t.Errorf("a name in use: %v", err)
	}
	a, generated, err := f.accounts.Create(t.Context(), access.NewAccount{Name: "José María"})
	if err != nil || !a.MustChange || len(generated) < 20 {
		t.Errorf("generated %q, must change %v, %v", generated, a.MustChange, err)
	}
}

// TestSessionsAreBounded: who signs in again and again has the newest sessions
// of each kind and client, and nobody else loses any.
func TestSessionsAreBounded(t *testing.T) {
	f := newFixture(t, cheap)
	type opened struct{ id, secret string }
	open := func(kind access.SessionKind, client dormer.ClientID) opened {
		t.Helper()
		s, secret, err := f.OpenSession(t.Context(), kind, f.alice, client)
		if err != nil {
			t.Fatal(err)
		}
		return opened{s.ID, secret}
	}
	elsewhere, operator := open(access.SessionUser, "client2"), open(access.SessionOperator, "")
	var all []opened
	for range access.MaxSessions + 3 {
		f.now = f.now.Add(time.Second)
		all = append(all, open(access.SessionUser, "client1"))
	}
	for range 2 {
		for i, s := range all {
			if _, err := f.CheckSession(t.Context(), access.SessionUser, s.id, s.secret); (err == nil) != (i >= 3) {
				t.Errorf("session %d: %v", i, err)
			}
		}
		if _, err := f.CheckSession(t.Context(), access.SessionUser, elsewhere.id, elsewhere.secret); err != nil {
			t.Errorf("on another client: %v", err)
		}
		if _, err := f.CheckSession(t.Context(), access.SessionOperator, operator.id, operator.secret); err != nil {
			t.Errorf("of another kind: %v", err)
		}
		f.open(t) // the server is started again
	}
}

// TestNamesWithoutEnd are refused unread, and count as failures of their address.
func TestNamesWithoutEnd(t *testing.T) {
	f := newFixture(t, cheap)
	long := access.Attempt{User: strings.Repeat("x", 1<<20), Password: password, Remote: "192.0.2.1"}
	var limited *throttle.Error
	for i := range 1000 {
		_, err := f.SignIn(t.Context(), long)
		if errors.As(err, &limited) {
			break
		}
		if !errors.Is(err, dormer.ErrUnauthenticated) {
			t.Fatalf("attempt %d: %v", i, err)
		}
	}
	if limited == nil {
		t.Error("they are never held back")
	}
	long.Remote = "198.51.100.1"
	long.User, long.Password = "alice", strings.Repeat("x", 1<<20)
	if _, err := f.SignIn(t.Context(), long); !errors.Is(err, dormer.ErrUnauthenticated) {
		t.Errorf("a password without end: %v", err)
	}
}

// TestEndedBesideTheServer: sessions that a command ended in the store are
// refused once the server has looked, others are not.
func TestEndedBesideTheServer(t *testing.T) {
	f := newFixture(t, access.Cost{MemoryKiB: 64, Passes: 1, Threads: 1})
	open := func(kind access.SessionKind) (id, secret string) {
		t.Helper()
		s, secret, err := f.OpenSession(t.Context(), kind, f.alice, "")
		if err != nil {
			t.Fatal(err)
		}
		return s.ID, secret
	}
	check := func(what string, kind access.SessionKind, id, secret string, want bool) {
		t.Helper()
		if _, err := f.CheckSession(t.Context(), kind, id, secret); (err == nil) != want {
			t.Errorf("%s: %v", what, err)
		}
	}
	gone, goneSecret := open(access.SessionOperator)
	user, userSecret := open(access.SessionUser)
	if _, err := f.state.EndSessionsOf(t.Context(), f.alice.ID()); err != nil {
		t.Fatal(err)
	}
	kept, keptSecret := open(access.SessionOperator)
	if err := f.Follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("ended as an operator", access.SessionOperator, gone, goneSecret, false)
	check("opened since", access.SessionOperator, kept, keptSecret, true)
	if err := f.FollowUsers(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("ended as a user", access.SessionUser, user, userSecret, false)

	// Those on clients are left when only the operator's are ended.
	user, userSecret = open(access.SessionUser)
	if err := f.EndOperatorSessionsOf(t.Context(), f.alice.ID()); err != nil {
		t.Fatal(err)
	}
	check("of an operator", access.SessionOperator, kept, keptSecret, false)
	check("of a user", access.SessionUser, user, userSecret, true)
	f.open(t)
	check("of an operator after a restart", access.SessionOperator, kept, keptSecret, false)
	check("of a user after a restart", access.SessionUser, user, userSecret, true)
}
