package openid

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/directory/testdomain"
)

// recheck is short: dex has its own clock, and does not go along.
const recheck = 5 * time.Minute

// dex signs people in at a running dex.
type dex struct{ *testdomain.Dex }

var (
	formTag  = regexp.MustCompile(`(?s)<form[^>]*>`)
	inputTag = regexp.MustCompile(`(?s)<input[^>]*>`)
	attr     = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

func attributes(tag string) map[string]string {
	out := map[string]string{}
	for _, m := range attr.FindAllStringSubmatch(tag, -1) {
		out[m[1]] = html.UnescapeString(m[2])
	}
	return out
}

// browser goes through the pages of dex from an address on, fills in their
// forms, and returns the address that it is sent to elsewhere, or the last page.
func browser(t *testing.T, address, user, password string) (back *url.URL, page string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	host, method, form := at.Host, http.MethodGet, url.Values{}
	for range 10 {
		r, err := http.NewRequestWithContext(t.Context(), method, at.String(), strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		a, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(bufio.NewReader(a.Body))
		_ = a.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if a.StatusCode >= 300 && a.StatusCode < 400 {
			if at, err = a.Location(); err != nil {
				t.Fatal(err)
			}
			if at.Host != host {
				return at, ""
			}
			method, form = http.MethodGet, url.Values{}
			continue
		}
		tag := formTag.FindString(string(body))
		if tag == "" || a.StatusCode != http.StatusOK {
			return nil, string(body)
		}
		if method == http.MethodPost && form.Has("password") {
			return nil, string(body) // asked again
		}
		method, form = http.MethodPost, url.Values{}
		for _, input := range inputTag.FindAllString(string(body), -1) {
			switch f := attributes(input); f["name"] {
			case "":
			case "login":
				form.Set("login", user)
			case "password":
				form.Set("password", password)
			default:
				form.Set(f["name"], f["value"])
			}
		}
		if action := attributes(tag)["action"]; action != "" {
			if at, err = at.Parse(action); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Fatalf("dex sends the browser round and round, at last to %s", at)
	return nil, ""
}

// signIn signs somebody of the domain in.
func (x dex) signIn(t *testing.T, p *Provider, user, password string) (dormer.Principal, error) {
	t.Helper()
	a := newAttempt()
	address, err := p.Begin(t.Context(), a.Authorization)
	if err != nil {
		t.Fatal(err)
	}
	back, page := browser(t, address, user, password)
	if back == nil {
		t.Fatalf("dex does not send the browser back: %s", page)
	}
	if q := back.Query(); q.Get("state") != a.State || q.Get("code") == "" {
		t.Fatalf("sent back to %s", back)
	}
	return p.Redeem(t.Context(), a.Authorization, back.Query().Get("code"), a.verifier)
}

// TestDex signs people of a real domain in through a real provider.
func TestDex(t *testing.T) {
	domain := testdomain.StartDomain(t, testdomain.Options{})
	x := dex{testdomain.StartDex(t, domain, redirectURI)}
	ahead := &clock{}
	state := openStore(t)
	c := Config{
		Name: "login", Issuer: x.Issuer, ClientID: testdomain.DexClient, Secret: func() (string, error) { return testdomain.DexSecret, nil },
		Recheck: recheck, Store: state, Once: state, Key: bytes.Repeat([]byte{7}, KeySize), Now: ahead.now, Random: rand.Reader,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	forward := func(d time.Duration) {
		ahead.mu.Lock()
		defer ahead.mu.Unlock()
		ahead.ahead += d
	}
	p := open(t, c)
	d := p.Directory()

	found, err := p.Test(t.Context())
	if err != nil || len(found) != 3 {
		t.Errorf("%+v, %v", found, err)
	}
	for _, f := range found {
		if f.Problem != "" {
			t.Errorf("%s: %s", f.What, f.Problem)
		}
	}
	wrong := c
	wrong.Secret = func() (string, error) { return "another secret", nil }
	if found, err := open(t, wrong).Test(t.Context()); err != nil || !strings.Contains(found[2].Problem, "invalid_client") {
		t.Errorf("another secret: %+v, %v", found, err)
	}

	password := domain.Password(t, "alice")
	alice, err := x.signIn(t, p, "alice", password)
	if err != nil {
		t.Fatal(err)
	}
	if alice.Name != "alice" || alice.Directory != "login" || !strings.HasPrefix(alice.Key, x.Issuer+"|") {
		t.Errorf("signed in %+v", alice)
	}
	if diff := cmp.Diff([]string{"everyone-office", "office", "staff"}, groupNames(t, d, alice)); diff != "" {
		t.Errorf("groups through two others:\n%s", diff)
	}

	t.Run("group", func(t *testing.T) {
		domain.RemoveMember(t, "everyone-office", domain.GroupDN("office"))
		forward(recheck - time.Minute)
		if got := groupNames(t, d, alice); len(got) != 3 {
			t.Errorf("before the time: %q", got)
		}
		forward(time.Minute)
		if diff := cmp.Diff([]string{"office", "staff"}, groupNames(t, d, alice)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("disabled", func(t *testing.T) {
		domain.SetDisabled(t, "alice", true)
		forward(recheck)
		groupNames(t, d, alice) // dex may be without its domain
		forward(recheck)
		if _, err := d.Groups(t.Context(), alice); reason(err) != access.ReasonSignInAgain {
			t.Errorf("disabled in the domain: %v", err)
		}
		domain.SetDisabled(t, "alice", false)
		forward(pause)
		groupNames(t, d, alice)
	})
	t.Run("device", func(t *testing.T) {
		g, err := p.BeginDevice(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if g.UserCode == "" || !strings.Contains(g.VerificationURIComplete, g.UserCode) || g.Interval != 5*time.Second {
			t.Errorf("begun: %+v", g)
		}
		for _, wait := range []time.Duration{interval, 2 * interval} {
			_, err := p.PollDevice(t.Context(), g.DeviceCode)
			if pending, ok := errors.AsType[*access.PendingError](err); !ok || pending.Wait != wait {
				t.Errorf("poll, want to wait %s: %v", wait, err)
			}
		}
		if back, page := browser(t, g.VerificationURIComplete, "carol", domain.Password(t, "carol")); back != nil || !strings.Contains(page, "Dormer") {
			t.Errorf("at the end of the pages: %v\n%s", back, page)
		}
		carol, err := p.PollDevice(t.Context(), g.DeviceCode)
		if err != nil || carol.Name != "carol" {
			t.Fatalf("%+v, %v", carol, err)
		}
		if got := groupNames(t, d, carol); len(got) != 0 {
			t.Errorf("groups of carol: %q", got)
		}
		if a, err := state.Federated(t.Context(), "login", carol.Key); err != nil || len(a.Refresh) == 0 {
			t.Errorf("kept: %+v, %v", a, err)
		}
		_, err = p.PollDevice(t.Context(), "no-such-code")
		refuses(t, err, "device code")
	})
	t.Run("public client of a directory", func(t *testing.T) {
		corp := dormer.Principal{Directory: "corp", Kind: dormer.KindUser, Key: "S-1-5-21-1", Name: "alice"}
		p := open(t, Config{
			Name: "corp-login", Issuer: x.Issuer, ClientID: testdomain.DexPublic, Now: ahead.now, Directory: "corp", UserClaim: "preferred_username",
			Lookup: func(_ context.Context, claim string) (dormer.Principal, error) {
				if claim != "alice" {
					return dormer.Principal{}, dormer.ErrNotFound
				}
				return corp, nil
			},
		})
		if who, err := x.signIn(t, p, "alice", password); err != nil || who != corp {
			t.Errorf("%+v, %v", who, err)
		}
		_, err := x.signIn(t, p, "carol", domain.Password(t, "carol"))
		refuses(t, err, `has no user for the claim preferred_username "carol"`)
	})
	t.Run("restarted", func(t *testing.T) {
		forward(recheck)
		x.Stop()
		groupNames(t, d, alice) // it is away
		x.Start(t)              // it has forgotten all tokens, and has other keys
		forward(pause)
		if _, err := d.Groups(t.Context(), alice); reason(err) != access.ReasonSignInAgain {
			t.Errorf("a token that it does not know: %v", err)
		}
		again, err := x.signIn(t, p, "alice", password)
		if err != nil || again != alice {
			t.Errorf("%+v, %v", again, err)
		}
		if diff := cmp.Diff([]string{"office", "staff"}, groupNames(t, d, alice)); diff != "" {
			t.Error(diff)
		}
	})
}
