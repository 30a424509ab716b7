package openid

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oauth2-proxy/mockoidc"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/directory/directorytest"
	"github.com/dormer-project/dormer/internal/store"
)

func openStore(t *testing.T) *store.State {
	t.Helper()
	state, err := store.OpenState(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "state.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := state.Close(); err != nil {
			t.Error(err)
		}
	})
	return state
}

func TestDirectory(t *testing.T) {
	directorytest.Run(t, func(t *testing.T) directorytest.Fixture {
		i := startIssuer(t, "", nil)
		c := i.config(t)
		p := open(t, c)
		people := map[string]*testUser{}
		for n, name := range []string{directorytest.Alice, directorytest.Bob, directorytest.Disabled, directorytest.Expired} {
			people[name] = &testUser{map[string]any{"sub": string(rune('a' + n)), "preferred_username": name}}
		}
		people[directorytest.Alice].claims["name"], people[directorytest.Bob].claims["name"] = directorytest.TwinsName, directorytest.TwinsName
		people[directorytest.Alice].claims["groups"] = []string{directorytest.Inner, directorytest.Outer, directorytest.Outermost}
		// The first two let their time pass: one without a refresh token, one
		// whose token the provider does not take any more.
		i.set(func() { i.alter = func(_ url.Values, answer map[string]any) { delete(answer, "refresh_token") } })
		i.mustSignIn(t, p, people[directorytest.Expired])
		i.set(func() { i.alter = nil })
		disabled := i.mustSignIn(t, p, people[directorytest.Disabled])
		clear(i.SessionStore.Store)
		i.forward(DefaultRecheck)
		if _, err := p.Directory().Groups(t.Context(), disabled); !errors.Is(err, dormer.ErrDenied) {
			t.Fatal(err)
		}
		i.forward(DefaultMaxAge)
		i.mustSignIn(t, p, people[directorytest.Alice])
		i.mustSignIn(t, p, people[directorytest.Bob])
		return directorytest.Fixture{
			Directory: p.Directory(), Flat: true,
			SignIn: func(t *testing.T, name string) dormer.Principal {
				return i.mustSignIn(t, p, people[name])
			},
			Remove: func(t *testing.T, name string) {
				who, err := p.Directory().Resolve(t.Context(), dormer.KindUser, name)
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Store.DeleteFederated(t.Context(), who.Directory, who.Key); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}

func groupNames(t *testing.T, d access.Directory, who dormer.Principal) []string {
	t.Helper()
	groups, err := d.Groups(t.Context(), who)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, g := range groups {
		out = append(out, g.Name)
	}
	return out
}

func reason(err error) access.Reason {
	if refused, ok := errors.AsType[*access.RefusedError](err); ok {
		return refused.Reason
	}
	return ""
}

// TestRecheck: groups are those that the provider says the user has, not older
// than Recheck.
func TestRecheck(t *testing.T) {
	i := startIssuer(t, "", nil)
	c := i.config(t)
	written := &log{}
	c.Logger = slog.New(slog.NewTextHandler(written, nil))
	p := open(t, c)
	d := p.Directory()
	user := alice(nil)
	var issued []string // all tokens that the provider gave out
	i.set(func() {
		i.alter = func(_ url.Values, answer map[string]any) {
			for _, k := range []string{"access_token", "id_token", "refresh_token"} {
				if s, ok := answer[k].(string); ok {
					issued = append(issued, s)
				}
			}
		}
	})
	who := i.mustSignIn(t, p, user)
	if diff := cmp.Diff([]string{"office", "staff"}, groupNames(t, d, who)); diff != "" {
		t.Error(diff)
	}

	user.claims["groups"], user.claims["preferred_username"] = "sales", "alice.b"
	i.forward(DefaultRecheck - time.Minute)
	if diff := cmp.Diff([]string{"office", "staff"}, groupNames(t, d, who)); diff != "" {
		t.Errorf("before their time: %s", diff)
	}
	i.forward(2 * time.Minute)
	for range 3 {
		if diff := cmp.Diff([]string{"sales"}, groupNames(t, d, who)); diff != "" {
			t.Error(diff)
		}
	}
	if n := i.requests(mockoidc.TokenEndpoint); n != 2 {
		t.Errorf("the token endpoint was asked %d times, want once for each of sign-in and recheck", n)
	}
	if now, err := d.Lookup(t.Context(), who); err != nil || now.Name != "alice.b" || now.Key != who.Key {
		t.Errorf("the new name: %+v, %v", now, err)
	}
	for name, there := range map[string]bool{"office": false, "sales": true} {
		if _, err := d.Resolve(t.Context(), dormer.KindGroup, name); (err == nil) != there {
			t.Errorf("group %s: %v", name, err)
		}
	}

	// The provider is away: what is known counts, for as long as it may.
	away := func(down bool) {
		i.set(func() {
			delete(i.fail, mockoidc.TokenEndpoint)
			if down {
				i.fail[mockoidc.TokenEndpoint] = status(http.StatusServiceUnavailable)
			}
		})
	}
	away(true)
	i.forward(DefaultRecheck)
	for range 3 {
		groupNames(t, d, who)
	}
	if n := i.requests(mockoidc.TokenEndpoint); n != 3 {
		t.Errorf("a provider that is away was asked %d times, want once", n-2)
	}
	i.forward(DefaultMaxAge)
	if _, err := d.Groups(t.Context(), who); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("after the longest time: %v", err)
	}
	away(false)
	i.forward(pause)
	// mockoidc's refresh tokens last an hour.
	if _, err := d.Groups(t.Context(), who); reason(err) != access.ReasonSignInAgain {
		t.Errorf("a token that has expired: %v", err)
	}
	who = i.mustSignIn(t, p, user)
	groupNames(t, d, who)

	// It takes the token no more.
	clear(i.SessionStore.Store)
	i.forward(DefaultRecheck)
	for range 2 {
		if _, err := d.Groups(t.Context(), who); reason(err) != access.ReasonSignInAgain {
			t.Errorf("ended at the provider: %v", err)
		}
	}
	if a, err := c.Store.Federated(t.Context(), d.Name(), who.Key); err != nil || a.Refresh != nil || a.Refused != access.ReasonSignInAgain {
		t.Errorf("stored: %+v, %v", a, err)
	}
	who = i.mustSignIn(t, p, user)
	groupNames(t, d, who)

	a, err := c.Store.Federated(t.Context(), d.Name(), who.Key)
	if err != nil || len(a.Refresh) == 0 {
		t.Fatalf("%+v, %v", a, err)
	}
	if len(issued) == 0 {
		t.Fatal("no tokens were seen")
	}
	for _, token := range issued {
		if bytes.Contains(a.Refresh, []byte(token)) || strings.Contains(written.String(), token) {
			t.Error("a token is stored or logged as it is")
		}
	}
	if !strings.Contains(written.String(), "did not say whether a user is still good") {
		t.Errorf("logged: %s", written)
	}
}

// TestRotation: a refresh token that was replaced is not used again.
func TestRotation(t *testing.T) {
	i := startIssuer(t, "", nil)
	c := i.config(t)
	p := open(t, c)
	d := p.Directory()
	var used []string
	spoil := false
	i.set(func() {
		known := "" // mockoidc knows no successors
		i.before = func(form url.Values) {
			if form.Has("refresh_token") {
				form.Set("refresh_token", known)
			}
		}
		i.alter = func(form url.Values, answer map[string]any) {
			if s, ok := answer["refresh_token"].(string); ok && known == "" {
				known = s
			}
			if form.Has("refresh_token") {
				used = append(used, form.Get("refresh_token"))
				answer["refresh_token"] = fmt.Sprintf("successor-%d", len(used))
			}
			if spoil {
				answer["id_token"] = "spoilt"
			}
		}
	})
	who := i.mustSignIn(t, p, alice(nil))
	i.forward(DefaultRecheck)
	spoil = true // what follows the tokens goes wrong; the successor is kept
	groupNames(t, d, who)
	spoil = false
	i.forward(pause)
	groupNames(t, d, who)
	if len(used) != 2 || used[1] != "successor-1" {
		t.Errorf("used %d tokens, at last %q; want the successor", len(used), used[len(used)-1])
	}
}

// TestDoubt: a provider that is there and does not say that an account is good
// is believed only for a while, and other accounts go on.
func TestDoubt(t *testing.T) {
	i := startIssuer(t, "", nil)
	i.RefreshTTL = 24 * time.Hour
	p := open(t, i.config(t))
	d := p.Directory()
	doubted := i.mustSignIn(t, p, alice(nil))
	other := i.mustSignIn(t, p, alice(map[string]any{"sub": "b-1", "preferred_username": "bob"}))
	broken := true
	i.set(func() {
		first := ""
		i.alter = func(form url.Values, answer map[string]any) {
			if first == "" && form.Get("refresh_token") != "" {
				first = form.Get("refresh_token")
			}
			if broken && first != "" && form.Get("refresh_token") == first {
				clear(answer)
				answer["error"], answer["status"] = "invalid_request", http.StatusInternalServerError
			}
		}
	})
	i.forward(DefaultRecheck)
	groupNames(t, d, doubted)
	groupNames(t, d, other)
	if a, err := p.config.Store.Federated(t.Context(), d.Name(), other.Key); err != nil || a.Checked.Before(a.SignedIn.Add(DefaultRecheck)) {
		t.Errorf("the other account was not asked about: %+v, %v", a, err)
	}
	i.forward(DefaultRecheck - time.Minute)
	groupNames(t, d, doubted)
	i.forward(time.Minute)
	for range 2 {
		if _, err := d.Groups(t.Context(), doubted); reason(err) != access.ReasonSignInAgain {
			t.Errorf("after twice the time: %v", err)
		}
	}
	groupNames(t, d, other)
	i.set(func() { broken = false })
	i.forward(pause)
	groupNames(t, d, doubted)
}

// TestOtherUser: a refresh that answers with somebody else's ID token changes
// nothing.
func TestOtherUser(t *testing.T) {
	i := startIssuer(t, "", nil)
	p := open(t, i.config(t))
	user := alice(nil)
	who := i.mustSignIn(t, p, user)
	user.claims["sub"], user.claims["groups"] = "b-1", "administrators"
	i.forward(DefaultRecheck)
	if got := groupNames(t, p.Directory(), who); slices.Contains(got, "administrators") {
		t.Errorf("groups of somebody else: %q", got)
	}
}

// TestReplicas: of several replicas, one uses the refresh token.
func TestReplicas(t *testing.T) {
	i := startIssuer(t, "", nil)
	c := i.config(t)
	replicas := []*Provider{open(t, c), open(t, c), open(t, c)}
	user := alice(nil)
	who := i.mustSignIn(t, replicas[0], user)
	user.claims["groups"] = "sales"
	i.forward(DefaultRecheck)
	before := i.requests(mockoidc.TokenEndpoint)
	var all sync.WaitGroup
	for n := range 12 {
		all.Go(func() {
			if _, err := replicas[n%len(replicas)].Directory().Groups(t.Context(), who); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := i.requests(mockoidc.TokenEndpoint) - before; n != 1 {
		t.Errorf("the refresh token was used %d times, want once", n)
	}
	for _, p := range replicas {
		if diff := cmp.Diff([]string{"sales"}, groupNames(t, p.Directory(), who)); diff != "" {
			t.Error(diff)
		}
	}
}

// TestReplacedMeanwhile: that a token is refused which another replica has
// replaced meanwhile is no refusal of the user.
func TestReplacedMeanwhile(t *testing.T) {
	i := startIssuer(t, "", nil)
	c := i.config(t)
	c.Once = nil
	p := open(t, c)
	who := i.mustSignIn(t, p, alice(nil))
	clear(i.SessionStore.Store)
	i.forward(DefaultRecheck)
	i.set(func() {
		i.alter = func(form url.Values, _ map[string]any) {
			if form.Get("grant_type") != "refresh_token" {
				return
			}
			a, err := c.Store.Federated(context.Background(), p.config.Name, who.Key)
			if err != nil {
				t.Error(err)
			}
			a.Refresh, a.Checked, a.Groups = []byte("another"), i.clock.now(), []string{"sales"}
			if err := c.Store.PutFederated(context.Background(), a); err != nil {
				t.Error(err)
			}
		}
	})
	if diff := cmp.Diff([]string{"sales"}, groupNames(t, p.Directory(), who)); diff != "" {
		t.Error(diff)
	}
}

// TestCallerLeaves: a refresh goes on, so that its token is not lost.
func TestCallerLeaves(t *testing.T) {
	i := startIssuer(t, "", nil)
	p := open(t, i.config(t))
	user := alice(nil)
	who := i.mustSignIn(t, p, user)
	user.claims["groups"] = "sales"
	i.forward(DefaultRecheck)
	ctx, cancel := context.WithCancel(t.Context())
	i.set(func() { i.alter = func(url.Values, map[string]any) { cancel() } })
	_, _ = p.Directory().Groups(ctx, who) // how it ends for who left does not matter
	if a, err := p.config.Store.Federated(t.Context(), who.Directory, who.Key); err != nil || !slices.Equal(a.Groups, []string{"sales"}) {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestNoRefreshToken: what an ID token said counts for the longest time.
func TestNoRefreshToken(t *testing.T) {
	i := startIssuer(t, "", nil)
	c := i.config(t)
	c.MaxAge = time.Hour
	p := open(t, c)
	i.set(func() { i.alter = func(_ url.Values, answer map[string]any) { delete(answer, "refresh_token") } })
	who := i.mustSignIn(t, p, alice(nil))
	i.forward(59 * time.Minute)
	groupNames(t, p.Directory(), who)
	i.forward(time.Minute)
	if _, err := p.Directory().Groups(t.Context(), who); reason(err) != access.ReasonSignInAgain {
		t.Errorf("after it: %v", err)
	}
	i.mustSignIn(t, p, alice(nil))
	groupNames(t, p.Directory(), who)

	// A token that was encrypted under another key.
	i.set(func() { i.alter = nil })
	i.mustSignIn(t, p, alice(nil))
	c.Key = bytes.Repeat([]byte{8}, KeySize)
	p = open(t, c)
	i.forward(DefaultRecheck)
	groupNames(t, p.Directory(), who)
	i.forward(DefaultRecheck)
	if _, err := p.Directory().Groups(t.Context(), who); reason(err) != access.ReasonSignInAgain {
		t.Errorf("under another key: %v", err)
	}
	if n := i.requests(mockoidc.TokenEndpoint); n != 3 {
		t.Errorf("%d tokens were asked for, want 3", n)
	}
}

// TestNames: names that are there twice, groups that nobody is in yet.
func TestNames(t *testing.T) {
	i := startIssuer(t, "", nil)
	c := i.config(t)
	c.KnownGroups = []string{"known", "STAFF"}
	p := open(t, c)
	d := p.Directory()
	first := i.mustSignIn(t, p, alice(nil))
	second := i.mustSignIn(t, p, alice(map[string]any{"sub": "a-2", "name": 7}))
	if first.Key == second.Key {
		t.Fatalf("two users have the key %s", first.Key)
	}
	_, err := d.Resolve(t.Context(), dormer.KindUser, "ALICE")
	ambiguous, ok := errors.AsType[*access.AmbiguousError](err)
	if !ok || len(ambiguous.Candidates) != 2 || ambiguous.Candidates[0].Detail == ambiguous.Candidates[1].Detail {
		t.Errorf("two of a name: %v", err)
	}
	for name, want := range map[string]string{"known": "known", "staff": "staff", "STAFF": "STAFF", "OFFICE": "office"} {
		g, err := d.Resolve(t.Context(), dormer.KindGroup, name)
		if err != nil || g.Key != want {
			t.Errorf("group %s: %+v, %v", name, g, err)
		}
	}
	if _, err := d.Resolve(t.Context(), dormer.KindGroup, "Staff"); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("two groups that differ in case: %v", err)
	}
	foreign := dormer.Principal{Directory: "other", Kind: dormer.KindUser, Key: first.Key}
	if _, err := d.Groups(t.Context(), foreign); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("groups of a user of another directory: %v", err)
	}
	if _, err := d.Lookup(t.Context(), foreign); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("a user of another directory: %v", err)
	}
	if _, err := d.Chain(t.Context(), foreign, foreign); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("chain of another directory: %v", err)
	}
	if _, err := d.Lookup(t.Context(), dormer.Principal{Directory: d.Name(), Kind: "computer"}); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("unknown kind: %v", err)
	}
}

// TestSafe: a stored token is of use under its key and for its account only.
func TestSafe(t *testing.T) {
	i := startIssuer(t, "", nil)
	c := i.config(t)
	s, err := newSafe(c.Key, c.Random)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := s.seal("corp", "issuer|a", "the token")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.open("corp", "issuer|a", sealed); err != nil || got != "the token" {
		t.Errorf("%q, %v", got, err)
	}
	again, err := s.seal("corp", "issuer|a", "the token")
	if err != nil || bytes.Equal(again, sealed) {
		t.Errorf("the same token is encrypted the same way: %v", err)
	}
	other, err := newSafe(bytes.Repeat([]byte{9}, KeySize), c.Random)
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	version := slices.Clone(sealed)
	version[0] = 2
	for name, try := range map[string]func() (string, error){
		"another account":   func() (string, error) { return s.open("corp", "issuer|b", sealed) },
		"another directory": func() (string, error) { return s.open("cor", "p\x00issuer|a", sealed) },
		"another key":       func() (string, error) { return other.open("corp", "issuer|a", sealed) },
		"changed":           func() (string, error) { return s.open("corp", "issuer|a", flipped) },
		"another version":   func() (string, error) { return s.open("corp", "issuer|a", version) },
		"too short":         func() (string, error) { return s.open("corp", "issuer|a", sealed[:5]) },
		"nothing":           func() (string, error) { return s.open("corp", "issuer|a", nil) },
	} {
		if got, err := try(); err == nil {
			t.Errorf("%s: opened %q", name, got)
		}
	}
}
