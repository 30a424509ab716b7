package access_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/access/accesstest"
	"github.com/dormer-project/dormer/internal/throttle"
)

// TestRouting: a name reaches the directory that it says, or the default one,
// and there whom it means.
func TestRouting(t *testing.T) {
	r := newRealms(t)
	alice := r.other.Add(accesstest.User{Name: "alice", Password: password})
	carol := r.other.Add(accesstest.User{Name: "carol", Password: password})
	for user, want := range map[string]dormer.Principal{
		"alice":                         r.alice,
		"ALICE":                         r.alice,
		`corp\alice`:                    r.alice,
		`CorpNT\Alice`:                  r.alice,
		"alice@Corp.Example.Test":       r.alice,
		"alice@mail.example.test":       r.alice,
		"alice@unknown.example.test":    r.alice, // a name in the default directory
		`OTHER\alice`:                   alice,
		`othernt\alice`:                 alice,
		"alice@other.example.test":      alice,
		`OTHERNT\carol`:                 carol,
		"carol":                         {},
		`nosuch\alice`:                  {},
		`\alice`:                        {},
		`CORPNT\`:                       {},
		`OTHER\CORP\alice`:              {},
		"":                              {},
		"@other.example.test":           {},
		"alice\x00@other.example.test":  {},
		"*":                             {},
		`OTHERNT\*)(cn=carol`:           {},
		strings.Repeat("x", 1<<20):      {},
		`x\` + strings.Repeat("x", 999): {},
	} {
		p, err := r.SignIn(t.Context(), access.Attempt{User: user, Password: password, Remote: home})
		if p != want || (want == dormer.Principal{}) != errors.Is(err, dormer.ErrUnauthenticated) {
			t.Errorf("sign in as %.60q: %+v, %v", user, p, err)
		}
		p, err = r.Resolve(t.Context(), dormer.KindUser, user)
		if p != want || (want == dormer.Principal{}) != errors.Is(err, dormer.ErrNotFound) {
			t.Errorf("resolve %.60q: %+v, %v", user, p, err)
		}
		r.wait(time.Minute)
	}
	if _, err := r.Resolve(t.Context(), "computer", "alice"); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("an unknown kind: %v", err)
	}
}

// TestSpellings of one account share its limit of attempts.
func TestSpellings(t *testing.T) {
	r := newRealms(t)
	spellings := []string{"alice", `corp\ALICE`, `CORPNT\alice`, "Alice@corp.example.test", "alice@mail.example.test", `corp\alice@corp.example.test`}
	through := 0
	for i := range 100 {
		_, err := r.SignIn(t.Context(), access.Attempt{User: spellings[i%len(spellings)], Password: "wrong", Remote: home})
		if _, limited := errors.AsType[*throttle.Error](err); !limited {
			through++
		}
	}
	if through != 10 {
		t.Errorf("%d guesses at once at one account, want 10", through)
	}
	if _, err := r.SignIn(t.Context(), access.Attempt{User: `other\alice`, Password: "wrong", Remote: home}); !errors.Is(err, dormer.ErrUnauthenticated) {
		t.Errorf("the alice of another directory: %v", err)
	}
}

// TestGuardedAccountsAreGuessedAt: that an account is locked says nothing about
// the password, so that such attempts count as failed, and the address does not
// become known. Reasons that the directory tells only to who has the password
// are no failures.
func TestGuardedAccountsAreGuessedAt(t *testing.T) {
	for reason, guess := range map[access.Reason]bool{
		access.ReasonLocked: true, access.ReasonGuarded: true, access.ReasonDisabled: false, access.ReasonExpired: false, access.ReasonMustChange: false,
	} {
		r := newRealms(t)
		r.corp.Change(r.alice, func(u *accesstest.User) { u.Refused = reason })
		limited := false
		for range 50 {
			_, err := r.SignIn(t.Context(), access.Attempt{User: "alice", Password: password, Remote: home})
			if _, ok := errors.AsType[*throttle.Error](err); ok {
				limited = true
			} else if !errors.Is(err, dormer.ErrDenied) {
				t.Fatal(err)
			}
		}
		if limited != guess {
			t.Errorf("%s: held back %t, want %t", reason, limited, guess)
		}
	}
}

// TestPasswordsThatAreChangedElsewhere: where passwords cannot be changed here
// nobody is asked for a new one, but told where.
func TestPasswordsThatAreChangedElsewhere(t *testing.T) {
	r := newRealms(t)
	for _, reason := range []access.Reason{access.ReasonMustChange, access.ReasonPasswordExpired} {
		r.corp.Change(r.alice, func(u *accesstest.User) { u.Refused = reason })
		_, err := r.SignIn(t.Context(), access.Attempt{User: "alice", Password: password, Remote: home})
		refused, ok := errors.AsType[*access.RefusedError](err)
		if !ok || refused.Reason != reason || refused.Elsewhere != "corp" || refused.ProblemKind() != "denied" || !strings.Contains(err.Error(), "in directory corp") {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

// TestGuardedFromKnownPlaces: a directory that guards an account against
// guessers learns who signs in from where the account did before.
func TestGuardedFromKnownPlaces(t *testing.T) {
	r := newRealms(t)
	attempt := access.Attempt{User: "alice", Password: password, Remote: home}
	if _, err := r.SignIn(t.Context(), attempt); err != nil {
		t.Fatal(err)
	}
	r.corp.Change(r.alice, func(u *accesstest.User) { u.Refused = access.ReasonGuarded })
	if _, err := r.SignIn(t.Context(), attempt); err != nil {
		t.Errorf("from a known place: %v", err)
	}
	attempt.Remote = "198.51.100.1"
	for range 2 { // the refusal does not make the place known
		_, err := r.SignIn(t.Context(), attempt)
		wantKind(t, "from elsewhere", err, dormer.ErrDenied)
	}
}

// TestThroughClients: attempts through a client count for the client, not for
// the address that it shares with others.
func TestThroughClients(t *testing.T) {
	r := newRealms(t)
	for range 500 {
		_, err := r.SignIn(t.Context(), access.Attempt{User: "alice", Password: "wrong", Remote: home, Client: "client1"})
		if err == nil {
			t.Fatal("a wrong password counts")
		}
	}
	for what, a := range map[string]access.Attempt{"another client": {Client: "client2"}, "the console": {}} {
		a.User, a.Password, a.Remote = "alice", password, home
		if _, err := r.SignIn(t.Context(), a); err != nil {
			t.Errorf("%s at the same address: %v", what, err)
		}
	}
}

// TestKnownAfterRestart: while an account is guessed at from everywhere, its user
// signs in on the client where he has a session, also when the server was
// started again since.
func TestKnownAfterRestart(t *testing.T) {
	r := newRealms(t)
	if _, _, err := r.OpenSession(t.Context(), access.SessionUser, r.alice, "client1"); err != nil {
		t.Fatal(err)
	}
	r.Authenticator = r.replica(t)
	for i := range 300 {
		_, err := r.SignIn(t.Context(), access.Attempt{User: "alice", Password: "wrong", Remote: fmt.Sprintf("10.0.%d.%d", i/250, i%250)})
		if err == nil {
			t.Fatal("a wrong password counts")
		}
	}
	for client, known := range map[dormer.ClientID]bool{"client1": true, "client2": false} {
		_, err := r.SignIn(t.Context(), access.Attempt{User: "alice", Password: password, Client: client})
		if _, limited := errors.AsType[*throttle.Error](err); known != (err == nil) || known == limited {
			t.Errorf("on %s: %v", client, err)
		}
	}
}

func entryNames(entries []access.Entry) []string {
	out := []string{}
	for _, e := range entries {
		out = append(out, e.Principal.Directory+`\`+e.Principal.Name)
	}
	return out
}

// TestSearch asks all directories, or the one that a name says.
func TestSearch(t *testing.T) {
	r := newRealms(t)
	r.other.Add(accesstest.User{Name: "alice"})
	r.other.Add(accesstest.User{Name: "alicia"})
	for who, want := range map[string][]string{
		"Alice": {`corp\alice`, `other\alice`}, "alice a.": {`corp\alice`}, `OTHERNT\alice`: {`other\alice`}, "alice@other.example.test": {`other\alice`},
		"nobody": {}, `nosuch\alice`: {}, "*": {}, "": {}, strings.Repeat("x", 1<<20): {},
	} {
		got, err := r.Match(t.Context(), dormer.KindUser, who, 10)
		if diff := cmp.Diff(want, entryNames(got)); err != nil || diff != "" {
			t.Errorf("match %.60q: %v\n%s", who, err, diff)
		}
	}
	for prefix, want := range map[string][]string{"ali": {`corp\alice`, `other\alice`, `other\alicia`}, `other\ali`: {`other\alice`, `other\alicia`}, `nosuch\a`: {}} {
		got, err := r.Find(t.Context(), prefix, 10)
		if diff := cmp.Diff(want, entryNames(got)); err != nil || diff != "" {
			t.Errorf("find %q: %v\n%s", prefix, err, diff)
		}
	}
	if got, err := r.Find(t.Context(), "ali", 2); err != nil || len(got) != 2 {
		t.Errorf("at most two: %v, %v", entryNames(got), err)
	}
	r.other.Down(true)
	for what, search := range map[string]func() ([]access.Entry, error){
		"match": func() ([]access.Entry, error) { return r.Match(t.Context(), dormer.KindUser, "alice", 10) },
		"find":  func() ([]access.Entry, error) { return r.Find(t.Context(), "ali", 10) },
	} {
		got, err := search()
		wantKind(t, what+" when one directory does not answer", err, dormer.ErrUnavailable)
		away, ok := errors.AsType[*access.UnansweredError](err)
		if !ok || cmp.Diff([]string{"other"}, away.Directories) != "" || !strings.Contains(err.Error(), "directory other") {
			t.Errorf("%s: the error does not name the directory: %v", what, err)
		}
		if diff := cmp.Diff([]string{`corp\alice`}, entryNames(got)); diff != "" {
			t.Errorf("%s of those that answer:\n%s", what, diff)
		}
	}
	got, err := r.Match(t.Context(), dormer.KindUser, `other\alice`, 10)
	if _, some := errors.AsType[*access.UnansweredError](err); some || !errors.Is(err, dormer.ErrUnavailable) || len(got) > 0 {
		t.Errorf("in the one that does not answer: %v, %v", got, err)
	}
	if _, err := r.Match(t.Context(), dormer.KindUser, `corp\alice`, 10); err != nil {
		t.Errorf("in the one that does: %v", err)
	}
	found, err := r.Test(t.Context())
	if err != nil || len(found) != 2 || found[0].Findings[0].Problem != "" || found[1].Findings[0].Problem == "" || found[1].Directory != "other" {
		t.Errorf("test: %+v, %v", found, err)
	}
}

// TestForeignGroups: a user has the groups of directories that trust the
// user's, by themselves and through groups of their own, and the chain to them
// is found. While one does not answer, nothing is said.
func TestForeignGroups(t *testing.T) {
	r := newRealms(t)
	staff := r.corp.AddGroup("staff", r.alice)
	many := []dormer.Principal{staff}
	for range 20 {
		many = append(many, r.corp.AddGroup("more", r.alice))
	}
	office := r.corp.AddGroup("office", many[11])
	guests := r.other.AddGroup("guests", office)
	direct := r.other.AddGroup("direct", r.alice)
	printers := r.other.AddGroup("printers", guests, direct)
	r.other.AddGroup("strangers")
	carol := r.other.Add(accesstest.User{Name: "carol"})
	theirs := r.other.AddGroup("theirs", carol)
	r.corp.AddGroup("not trusting", theirs)

	names := func(user dormer.Principal) []string {
		t.Helper()
		groups, err := r.GroupsOf(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		out := []string{}
		for _, g := range groups {
			if g.Name != "more" {
				out = append(out, g.Directory+`\`+g.Name)
			}
		}
		return out
	}
	if diff := cmp.Diff([]string{`corp\staff`, `corp\office`, `other\guests`, `other\direct`, `other\printers`}, names(r.alice)); diff != "" {
		t.Errorf("groups of alice:\n%s", diff)
	}
	if diff := cmp.Diff([]string{`other\theirs`}, names(carol)); diff != "" {
		t.Errorf("groups of carol, whom corp does not trust:\n%s", diff)
	}
	for _, want := range [][]dormer.Principal{
		{staff}, {many[11], office}, {direct}, {direct, printers}, {many[11], office, guests},
	} {
		got, err := r.Chain(t.Context(), r.alice, want[len(want)-1])
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("chain to %s: %v\n%s", want[len(want)-1].Name, err, diff)
		}
	}
	gone := dormer.Principal{Directory: "gone", Kind: dormer.KindGroup, Key: "x", Name: "x"}
	for _, pair := range [][2]dormer.Principal{{r.alice, theirs}, {carol, staff}, {r.alice, gone}, {gone, staff}} {
		_, err := r.Chain(t.Context(), pair[0], pair[1])
		wantKind(t, "no chain from "+pair[0].Name+" to "+pair[1].Name, err, dormer.ErrNotFound)
	}
	for _, p := range []dormer.Principal{r.alice, guests} {
		old := p
		old.Name = "before"
		if got, err := r.Lookup(t.Context(), old); err != nil || got != p {
			t.Errorf("lookup: %+v, %v", got, err)
		}
	}
	_, err := r.Lookup(t.Context(), gone)
	wantKind(t, "a directory that is gone", err, dormer.ErrNotFound)
	_, err = r.GroupsOf(t.Context(), gone)
	wantKind(t, "groups of a directory that is gone", err, dormer.ErrNotFound)
	if none, ok := errors.AsType[*access.NoDirectoryError](err); !ok || none.Directory != gone.Directory {
		t.Errorf("groups of a directory that is gone: %v", err)
	}

	r.other.Down(true)
	_, err = r.GroupsOf(t.Context(), r.alice)
	wantKind(t, "while the trusting directory does not answer", err, dormer.ErrUnavailable)
	_, err = r.Chain(t.Context(), r.alice, guests)
	wantKind(t, "its chain", err, dormer.ErrUnavailable)
	// Signing in needs the user's own directory alone.
	if _, err := r.SignIn(t.Context(), access.Attempt{User: "alice", Password: password, Remote: home}); err != nil {
		t.Errorf("sign in: %v", err)
	}
}

// TestMountsThatDoNotFit are refused at the start.
func TestMountsThatDoNotFit(t *testing.T) {
	a, b := accesstest.NewDirectory("a"), accesstest.NewDirectory("B")
	for what, mounts := range map[string][]access.Mount{
		"no default":               {{Directory: b}},
		"one name twice":           {{Directory: a}, {Directory: accesstest.NewDirectory("A")}},
		"no name":                  {{Directory: a}, {Directory: accesstest.NewDirectory("")}},
		"another's prefix":         {{Directory: a, Prefixes: []string{"X"}}, {Directory: b, Prefixes: []string{"x"}}},
		"another's name as prefix": {{Directory: a, Prefixes: []string{"b"}}, {Directory: b}},
		"another's suffix":         {{Directory: a, Suffixes: []string{"x"}}, {Directory: b, Suffixes: []string{"X"}}},
		"an empty prefix":          {{Directory: a, Prefixes: []string{""}}},
		"trust in nobody":          {{Directory: a, Trusts: []string{"c"}}},
		"trust in itself":          {{Directory: a, Trusts: []string{"A"}}},
		"trust that cannot be":     {{Directory: struct{ access.Directory }{a}, Trusts: []string{"b"}}, {Directory: b}},
	} {
		r := newRealms(t)
		r.cfg.Directories, r.cfg.Default = mounts, "a"
		_, err := access.NewAuthenticator(t.Context(), r.cfg)
		wantKind(t, what, err, dormer.ErrInvalid)
	}
	r := newRealms(t)
	r.cfg.Once = nil
	_, err := access.NewAuthenticator(t.Context(), r.cfg)
	wantKind(t, "tickets without a store for what counts once", err, dormer.ErrInvalid)
	r = newRealms(t)
	r.cfg.Providers = append(r.cfg.Providers, r.sso)
	_, err = access.NewAuthenticator(t.Context(), r.cfg)
	wantKind(t, "one provider twice", err, dormer.ErrInvalid)
	// A directory may go by one name in two ways.
	r = newRealms(t)
	r.cfg.Directories, r.cfg.Default = []access.Mount{{Directory: a, Prefixes: []string{"A", "a"}, Suffixes: []string{"x", "X"}}}, "A"
	if _, err := access.NewAuthenticator(t.Context(), r.cfg); err != nil {
		t.Error(err)
	}
}
