package openid

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/oauth2-proxy/mockoidc"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
)

// deviceIssuer is a provider whose users sign in by another device: each
// request to the token endpoint takes the next of its answers.
type deviceIssuer struct {
	*httptest.Server
	keys *mockoidc.Keypair

	mu      sync.Mutex // guards what follows
	device  any
	answers []any
	last    string // what was posted last
}

func startDeviceIssuer(t *testing.T) *deviceIssuer {
	t.Helper()
	keys, err := mockoidc.DefaultKeypair()
	if err != nil {
		t.Fatal(err)
	}
	i := &deviceIssuer{keys: keys}
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		if m, ok := v.(map[string]any); ok && m["error"] != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{
			"issuer": i.URL, "authorization_endpoint": i.URL + "/auth", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
			"device_authorization_endpoint": i.URL + "/device",
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		set, err := keys.JWKS()
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(set)
	})
	mux.HandleFunc("POST /device", func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		_ = r.ParseForm()
		i.last = r.Form.Encode()
		answer(w, i.device)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		_ = r.ParseForm()
		i.last = r.Form.Encode()
		next := i.answers[0]
		i.answers = i.answers[1:]
		answer(w, next)
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *deviceIssuer) next(device any, answers ...any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.device, i.answers = device, answers
}

func TestDevice(t *testing.T) {
	i := startDeviceIssuer(t)
	c := startIssuer(t, "", nil).config(t)
	c.Issuer, c.Secret, c.ClientID = i.URL, nil, "dormer"
	p := open(t, c)
	i.next(map[string]any{
		"device_code": "dc", "user_code": "ABCD-EFGH", "verification_uri": "https://login.example.com/device",
		"verification_uri_complete": "https://login.example.com/device?user_code=ABCD-EFGH", "expires_in": 600, "interval": 7,
	})
	before := c.Now()
	g, err := p.BeginDevice(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if left := g.Expires.Sub(before); left < 590*time.Second || left > 610*time.Second {
		t.Errorf("it lasts %s", left)
	}
	g.Expires = time.Time{}
	if want := (access.DeviceGrant{
		DeviceCode: "dc", UserCode: "ABCD-EFGH", VerificationURI: "https://login.example.com/device",
		VerificationURIComplete: "https://login.example.com/device?user_code=ABCD-EFGH", Interval: 7 * time.Second,
	}); g != want {
		t.Errorf("begun %+v", g)
	}
	if i.last != "client_id=dormer&scope=openid+profile+email+offline_access" {
		t.Errorf("asked with %s", i.last)
	}

	id, err := i.keys.SignJWT(jwt.MapClaims{
		"iss": i.URL, "aud": "dormer", "sub": "a-1", "preferred_username": "alice", "exp": before.Add(time.Hour).Unix(), "iat": before.Unix(),
	})
	if err != nil {
		t.Fatal(err)
	}
	problem := func(code string) any { return map[string]any{"error": code, "error_description": "SECRET dc"} }
	i.next(nil, problem("authorization_pending"), problem("slow_down"), map[string]any{"access_token": "a", "id_token": id, "refresh_token": "r"})
	for _, wait := range []time.Duration{interval, 2 * interval} {
		_, err := p.PollDevice(t.Context(), "dc")
		pending, ok := errors.AsType[*access.PendingError](err)
		if !ok || pending.Wait != wait {
			t.Errorf("want to wait %s: %v", wait, err)
		}
	}
	who, err := p.PollDevice(t.Context(), "dc")
	if err != nil || who.Name != "alice" || who.Key != i.URL+"|a-1" {
		t.Errorf("%+v, %v", who, err)
	}
	if !strings.Contains(i.last, "device_code=dc") || !strings.Contains(i.last, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code") {
		t.Errorf("polled with %s", i.last)
	}

	for code, cause := range map[string]string{
		"access_denied": "the user refused", "expired_token": "not finished in time", "invalid_grant": "invalid_grant",
	} {
		i.next(nil, problem(code))
		_, err := p.PollDevice(t.Context(), "dc")
		refuses(t, err, cause)
		if strings.Contains(err.Error(), "SECRET") {
			t.Errorf("the provider's text is repeated: %v", err)
		}
	}
	i.next(nil, problem("a code\nwith a line"))
	if _, err := p.PollDevice(t.Context(), "dc"); !errors.Is(err, dormer.ErrUnavailable) || strings.Contains(err.Error(), "line") {
		t.Errorf("a code that is none: %v", err)
	}
	for _, code := range []string{"", strings.Repeat("x", maxDeviceCode+1)} {
		_, err := p.PollDevice(t.Context(), code)
		refuses(t, err, "not one")
	}
}

// TestDeviceAnswers: answers that a user could do nothing with, or should not.
func TestDeviceAnswers(t *testing.T) {
	i := startDeviceIssuer(t)
	c := startIssuer(t, "", nil).config(t)
	c.Issuer, c.Secret = i.URL, nil
	p := open(t, c)
	for name, change := range map[string]map[string]any{
		"no code":                {"device_code": ""},
		"long code":              {"device_code": strings.Repeat("x", maxDeviceCode+1)},
		"no user code":           {"user_code": ""},
		"user code with escapes": {"user_code": "\x1b[2J"},
		"no address":             {"verification_uri": ""},
		"plain address":          {"verification_uri": "http://login.example.com/device"},
		"script":                 {"verification_uri": "javascript:alert(1)"},
		"over already":           {"expires_in": 0},
		"refused":                {"error": "unsupported_grant_type"},
	} {
		full := map[string]any{"device_code": "dc", "user_code": "ABCD", "verification_uri": "https://login.example.com/device", "expires_in": 600}
		maps.Copy(full, change)
		i.next(full)
		want := dormer.ErrUnavailable
		if name == "refused" {
			want = dormer.ErrUnsupported
		}
		if _, err := p.BeginDevice(t.Context()); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	i.next(map[string]any{"device_code": "dc", "user_code": "ABCD", "verification_url": i.URL, "expires_in": 1 << 62, "interval": 1 << 62, "verification_uri_complete": "x:y"})
	g, err := p.BeginDevice(t.Context())
	if err != nil || g.Interval != maxInterval || g.Expires.After(c.Now().Add(maxDeviceLife)) || g.VerificationURIComplete != "" || g.VerificationURI != i.URL {
		t.Errorf("%+v, %v", g, err)
	}
}
