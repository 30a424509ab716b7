package openid

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/directory/testdomain"
)

// recheck is short: dex has its own clock, and does not go along.
const recheck = 5 * time.Minute

// dexWithin is how long dex may take to start.
const dexWithin = 30 * time.Second

// dex is a running dex whose users are those of a domain.
type dex struct {
	issuer, address, config, program string
	stop                             func()
}

// startDex builds dex, unless the cache has it, and starts it before a domain
// controller.
func startDex(t *testing.T, domain *testdomain.Domain) *dex {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), filepath.Join(root, "scripts", "dex.sh"))
	var progress bytes.Buffer
	build.Stderr = &progress
	out, err := build.Output()
	if err != nil {
		t.Fatalf("build dex: %v\n%s", err, progress.String())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	x := &dex{program: lines[len(lines)-1], config: filepath.Join(t.TempDir(), "dex.json")}

	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x.address = l.Addr().String()
	x.issuer = "http://" + x.address // with a path, dex loses its way in sign-ins by another device
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	user, passwordFile := domain.Service()
	password, err := os.ReadFile(passwordFile)
	if err != nil {
		t.Fatal(err)
	}
	type fields = map[string]any
	config, err := json.Marshal(fields{ // which is YAML, too
		"issuer": x.issuer, "storage": fields{"type": "memory"}, "web": fields{"http": x.address},
		"logger": fields{"level": "error"},
		"oauth2": fields{"skipApprovalScreen": true},
		"expiry": fields{"refreshTokens": fields{"reuseInterval": "0s"}},
		"staticClients": []any{
			fields{"id": "dormer", "name": "Dormer", "secret": "a secret of dex", "redirectURIs": []string{redirectURI, "/device/callback"}},
			fields{"id": "dormer-public", "name": "Dormer", "public": true, "redirectURIs": []string{redirectURI}},
		},
		"connectors": []any{fields{"type": "ldap", "id": "corp", "name": "corp", "config": fields{
			"host": domain.Address + ":636", "rootCA": domain.AuthorityFile, "bindDN": user, "bindPW": string(password),
			"userSearch": fields{
				// Without the bit of disabled accounts: dex must not find them.
				"baseDN": domain.BaseDN, "filter": "(&(objectClass=user)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))",
				"username": "sAMAccountName", "idAttr": "sAMAccountName", "emailAttr": "userPrincipalName",
				"nameAttr": "cn", "preferredUsernameAttr": "sAMAccountName",
			},
			"groupSearch": fields{
				// The rule goes through groups in groups.
				"baseDN": domain.BaseDN, "filter": "(objectClass=group)", "nameAttr": "cn",
				"userMatchers": []any{fields{"userAttr": "DN", "groupAttr": "member:1.2.840.113556.1.4.1941:"}},
			},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(x.config, config, 0o600); err != nil {
		t.Fatal(err)
	}
	x.start(t)
	t.Cleanup(func() { x.stop() })
	return x
}

func (x *dex) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, x.program, "serve", x.config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	x.stop = func() {
		cancel()
		_ = cmd.Wait() // it was killed
		x.stop = func() {}
	}
	waiting, cancelWait := context.WithTimeout(t.Context(), dexWithin)
	defer cancelWait()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		r, err := http.NewRequestWithContext(waiting, http.MethodGet, x.issuer+"/healthz", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		a, err := newClient(nil, time.Now).Do(r)
		if err == nil {
			_ = a.Body.Close()
			tick.Stop()
			return
		}
		select {
		case <-tick.C:
		case <-waiting.Done():
			t.Fatalf("dex does not start: %v", err)
		}
	}
}

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
func (x *dex) signIn(t *testing.T, p *Provider, user, password string) (dormer.Principal, error) {
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
	x := startDex(t, domain)
	ahead := &clock{}
	state := openStore(t)
	c := Config{
		Name: "login", Issuer: x.issuer, ClientID: "dormer", Secret: func() (string, error) { return "a secret of dex", nil },
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
	if alice.Name != "alice" || alice.Directory != "login" || !strings.HasPrefix(alice.Key, x.issuer+"|") {
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
			Name: "corp-login", Issuer: x.issuer, ClientID: "dormer-public", Now: ahead.now, Directory: "corp", UserClaim: "preferred_username",
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
		x.stop()
		groupNames(t, d, alice) // it is away
		x.start(t)              // it has forgotten all tokens, and has other keys
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
