package cli_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// provider is a server with an OpenID provider, both played: what the command
// line sees of them.
type provider struct {
	answers string // what the provider does: see providerCommand
	url     string

	mu    sync.Mutex // guards the fields below
	begun rest.BeginOpenID
	polls int
}

// provider ANSWER: a server whose operators sign in at a provider. SERVER is
// set. The provider signs everybody in ("signs-in"), refuses them ("refuses"),
// sends what does not belong there to the command first ("mixes-up"), or is an
// address that no browser should be sent to ("is-a-file").
func providerCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: provider signs-in|refuses|mixes-up|is-a-file")
	}
	p := &provider{answers: args[0]}
	s := httptest.NewServer(p.handler())
	p.url = s.URL
	ts.Defer(s.Close)
	ts.Setenv("SERVER", s.URL)
}

func (p *provider) handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET " + rest.Prefix + "/sign-in-methods":        p.methods,
		"POST " + rest.Prefix + "/sessions/openid/begin": p.begin,
		"POST " + rest.Prefix + "/sessions/openid":       p.finish,
		"POST " + rest.Prefix + "/sessions/device/begin": p.beginDevice,
		"POST " + rest.Prefix + "/sessions/device":       p.poll,
		"GET /authorize": p.authorize,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if err := h(w, r); err != nil {
				problem.Write(w, err)
			}
		})
	}
	return mux
}

func (p *provider) methods(w http.ResponseWriter, _ *http.Request) error {
	service := ""
	if p.answers == "other-service" {
		service = "HTTP/dormer.example.com"
	}
	return json.NewEncoder(w).Encode(rest.SignInMethods{
		Directories: []string{"local"}, Kerberos: true, Service: service,
		Providers: []rest.Provider{{Name: "corp", Title: "Corp sign-in", Device: true}},
	})
}

func (p *provider) begin(w http.ResponseWriter, r *http.Request) error {
	if err := json.NewDecoder(r.Body).Decode(&p.begun); err != nil {
		return err
	}
	if p.begun.Provider != "corp" {
		return fmt.Errorf("OpenID provider: %w", dormer.ErrNotFound)
	}
	address := p.url + "/authorize?state=" + p.begun.State
	if p.answers == "is-a-file" {
		address = "file:///etc/passwd"
	}
	return json.NewEncoder(w).Encode(rest.OpenIDBegun{URL: address})
}

// authorize is the page of the provider.
func (p *provider) authorize(w http.ResponseWriter, r *http.Request) error {
	back := url.Values{"state": {r.FormValue("state")}, "code": {"code for " + p.begun.Nonce}}
	switch p.answers {
	case "refuses":
		back.Del("code")
		back.Set("error", "access_denied")
		back.Set("error_description", "not on this\ncomputer")
	case "mixes-up":
		for _, other := range []struct{ host, rest string }{
			{"", "?code=x&state=another"}, {"", "?code=x"}, {"localhost", "?" + back.Encode()}, {"", "/other?" + back.Encode()},
		} {
			q, err := http.NewRequestWithContext(r.Context(), http.MethodGet, p.begun.RedirectURI+other.rest, nil)
			if err != nil {
				return err
			}
			q.Host = other.host
			resp, err := new(http.Client).Do(q)
			if err != nil {
				return err
			}
			if err := resp.Body.Close(); err != nil || resp.StatusCode < 400 {
				return fmt.Errorf("%s is taken with status %d", other, resp.StatusCode)
			}
		}
	}
	http.Redirect(w, r, p.begun.RedirectURI+"?"+back.Encode(), http.StatusFound)
	return nil
}

func (p *provider) finish(w http.ResponseWriter, r *http.Request) error {
	var f rest.FinishOpenID
	if err := json.NewDecoder(r.Body).Decode(&f); err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(f.Verifier))
	if f.Code != "code for "+p.begun.Nonce || f.Nonce != p.begun.Nonce || f.RedirectURI != p.begun.RedirectURI ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != p.begun.Challenge || len(p.begun.State) < 40 || p.begun.State == p.begun.Nonce {
		return fmt.Errorf("%+v does not finish %+v: %w", f, p.begun, dormer.ErrUnauthenticated)
	}
	return signedIn(w)
}

func signedIn(w http.ResponseWriter) error {
	return json.NewEncoder(w).Encode(rest.ProofAnswer{SignedIn: rest.SignedIn{
		Token: "a.b", Expires: time.Now().Add(time.Hour), Role: dormer.RoleFull,
		Principal: dormer.Principal{Directory: "corp", Kind: dormer.KindUser, Key: "1", Name: "alice"},
	}})
}

func (p *provider) beginDevice(w http.ResponseWriter, _ *http.Request) error {
	expires := time.Now().Add(time.Minute)
	if p.answers == "mixes-up" {
		expires = time.Now().Add(time.Second)
	}
	return json.NewEncoder(w).Encode(rest.DeviceBegun{
		DeviceCode: "a secret", UserCode: "ABCD-EFGH", VerificationURI: p.url + "/device", Expires: expires, IntervalSeconds: 0,
	})
}

func (p *provider) poll(w http.ResponseWriter, r *http.Request) error {
	var in rest.PollDevice
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return err
	}
	p.polls++
	switch {
	case in.DeviceCode != "a secret":
		return errors.New("another device code")
	case p.polls == 1:
		return &access.PendingError{Wait: time.Second}
	case p.answers == "refuses":
		return dormer.ErrUnauthenticated
	}
	return signedIn(w)
}
