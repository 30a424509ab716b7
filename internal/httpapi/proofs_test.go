package httpapi_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/httpapi"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func TestSignInMethods(t *testing.T) {
	h := newProofs(t)
	m, err := h.harness.client("").SignInMethods(t.Context())
	if err != nil || !m.Kerberos || m.Service != "HTTP/dormer.example.com" || len(m.Providers) != 1 || m.Providers[0] != (rest.Provider{Name: provider, Title: "Corp", Device: true}) || m.Directories[0] != "local" {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestKerberos: a ticket counts once, the answer proves the server, and what
// does not count is told as little as a wrong password.
func TestKerberos(t *testing.T) {
	h := newProofs(t)
	// Nobody is refused who has not shown a ticket yet: that is how clients learn
	// that one is wanted, whatever their body.
	for _, headers := range [][]string{nil, {"Authorization", "Bearer x"}, {"Authorization", "Negotiate"}} {
		a := h.ask("POST", rest.Prefix+"/sessions/kerberos", "", nil, headers...)
		if a.problem(t); a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") != "Negotiate" {
			t.Errorf("%v: status %d, %v", headers, a.status, a.header)
		}
	}
	a := h.negotiate(ticket{User: "alice", Realm: realm}, nil)
	var in rest.ProofAnswer
	if err := json.Unmarshal(a.body, &in); err != nil || a.status != http.StatusOK || in.Token == "" || in.Role != dormer.RoleFull || in.Principal.Name != "alice" || in.Code != nil {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	if got := a.header.Get("WWW-Authenticate"); got != "Negotiate "+base64.StdEncoding.EncodeToString([]byte("reply to alice")) {
		t.Errorf("the answer to the ticket is %q", got)
	}
	if r := h.newest(); r.Action != "session.open" || r.Who != "alice" || r.Detail != "kerberos: full" {
		t.Errorf("record %+v", r)
	}
	h.must("GET", "/sessions/current", in.Token, nil, nil)

	for name, c := range map[string]struct {
		ticket ticket
		body   any
		status int
		cause  string
	}{
		"used before":     {ticket{User: "alice", Realm: realm}, nil, 401, "used before"},
		"expired":         {ticket{User: "alice", Realm: realm, Expired: true}, nil, 401, "expired"},
		"foreign realm":   {ticket{User: "alice", Realm: "OTHER.EXAMPLE.TEST"}, nil, 401, "OTHER.EXAMPLE.TEST"},
		"of a service":    {ticket{User: "HTTP/alice", Realm: realm}, nil, 401, "not that of a user"},
		"metacharacters":  {ticket{User: "alice)(cn=*\x00", Realm: realm}, nil, 401, "kerberos"},
		"no operator":     {ticket{User: "carol", Realm: realm}, nil, 403, "no operator"},
		"no client":       {ticket{User: "carol", Realm: realm, Number: 1}, rest.For{Client: "aaaaaaaaaaaaaaaaaaaaaaaaaa"}, 403, "not enrolled"},
		"revoked client":  {ticket{User: "carol", Realm: realm, Number: 2}, rest.For{Client: h.revoked}, 403, "revoked"},
		"no token at all": {ticket{}, nil, 401, "kerberos"},
	} {
		a := h.negotiate(c.ticket, c.body)
		p := a.problem(t)
		r := h.newest()
		if a.status != c.status || r.Action != "session.refuse" || !strings.HasPrefix(r.Detail, "kerberos: ") || !strings.Contains(r.Detail, c.cause) {
			t.Errorf("%s: status %d, record %+v", name, a.status, r)
		}
		if strings.Count(r.Detail, "kerberos") != 1 || strings.Contains(r.Detail, "sign in by") {
			t.Errorf("%s: the record says things twice: %q", name, r.Detail)
		}
		if strings.ContainsAny(r.Detail, "\x00\n") || strings.Contains(string(a.body), "token\":") {
			t.Errorf("%s: record %q, answer %s", name, r.Detail, a.body)
		}
		if c.status == 401 && (a.header.Get("WWW-Authenticate") != "Negotiate" || !strings.Contains(p.Title, "ticket") || strings.Contains(p.Detail, c.cause)) {
			t.Errorf("%s: %+v, %v", name, p, a.header)
		}
		if kind := p.Kind; name == "no operator" && kind != problem.KindNoOperator {
			t.Errorf("%s: its kind is %s", name, kind)
		}
		if c.status == 403 && r.Who != "carol" {
			t.Errorf("%s: record %+v does not say who", name, r)
		}
	}
	// Unknown fields and a body that is none are refused before the ticket is spent.
	for _, body := range []string{`{"client":"","x":1}`, `[`} {
		if a := h.negotiate(ticket{User: "alice", Realm: realm, Number: 9}, body); a.status != http.StatusBadRequest {
			t.Errorf("body %s: status %d", body, a.status)
		}
	}
	if a := h.negotiate(ticket{User: "alice", Realm: realm, Number: 9}, "{}"); a.status != http.StatusOK {
		t.Errorf("after a wrong body: status %d", a.status)
	}
}

// TestKerberosAcrossSites: a browser attaches a ticket by itself, so that other
// sites must not reach the route that takes one, and no other route takes one.
func TestKerberosAcrossSites(t *testing.T) {
	h := newProofs(t)
	for i, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Origin", "https://evil.example.com"},
		{"Origin", "null"},
		{"Sec-Fetch-Site", "cross-site", "Origin", h.url},
	} {
		if a := h.negotiate(ticket{User: "alice", Realm: realm, Number: i}, nil, headers...); a.status != http.StatusForbidden || a.header.Get("WWW-Authenticate") != "" {
			t.Errorf("%v: status %d, %v", headers, a.status, a.header)
		}
		if a := h.ask("POST", rest.Prefix+"/sessions/kerberos", "", nil, headers...); a.status != http.StatusForbidden || a.header.Get("WWW-Authenticate") != "" {
			t.Errorf("%v without a ticket: status %d challenges with %v", headers, a.status, a.header)
		}
	}
	for i, headers := range [][]string{{"Sec-Fetch-Site", "same-origin", "Origin", h.url}, {"Origin", h.url}, nil} {
		if a := h.negotiate(ticket{User: "alice", Realm: realm, Number: 100 + i}, nil, headers...); a.status != http.StatusOK {
			t.Errorf("%v: status %d: %s", headers, a.status, a.body)
		}
	}
	token := base64.StdEncoding.EncodeToString([]byte(`{"User":"alice","Realm":"` + realm + `","Number":77}`))
	for _, r := range httpapi.Routes() {
		if r.Proof == access.MethodKerberos || r.Public {
			continue
		}
		a := h.ask(r.Method, rest.Prefix+pathOf(r.Path), "", nil, "Authorization", "Negotiate "+token)
		if a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s %s takes a ticket: status %d, %v", r.Method, r.Path, a.status, a.header)
		}
	}
}

// TestCodes: whoever proves who they are gets a code for an enrolled client
// without being an operator; it counts there and nowhere else.
func TestCodes(t *testing.T) {
	h := newProofs(t)
	a := h.negotiate(ticket{User: "carol", Realm: realm}, rest.For{Client: h.client})
	var in rest.ProofAnswer
	if err := json.Unmarshal(a.body, &in); err != nil || a.status != http.StatusOK || in.Code == nil || in.Token != "" || in.Code.User != h.principal["carol"] || !in.Code.Expires.After(time.Now()) {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	if r := h.newest(); r.Action != "session.code" || r.Who != "carol" || r.Object != "pc1 ("+string(h.client)+")" || r.Detail != "kerberos" || strings.Contains(fmt.Sprint(r), in.Code.Code) {
		t.Errorf("record %+v", r)
	}
	if _, err := h.access.RedeemCode(t.Context(), in.Code.Code, h.revoked); !errors.Is(err, dormer.ErrUnauthenticated) {
		t.Errorf("on another client: %v", err)
	}
	if p, err := h.access.RedeemCode(t.Context(), in.Code.Code, h.client); err != nil || p != h.principal["carol"] {
		t.Errorf("%+v, %v", p, err)
	}
	if a := h.ask("GET", rest.Prefix+"/sessions/current", in.Code.Code, nil); a.status != http.StatusUnauthorized {
		t.Errorf("the code opens the API: status %d", a.status)
	}
}

func TestOpenID(t *testing.T) {
	h := newProofs(t)
	c := h.harness.client("")
	url, err := c.BeginOpenID(t.Context(), rest.BeginOpenID{Provider: provider, RedirectURI: "http://127.0.0.1:9/x", State: "s", Nonce: "n", Challenge: "c"})
	if err != nil || !strings.HasPrefix(url, "https://sso.example.com/authorize?state=s") {
		t.Fatal(url, err)
	}
	finish := rest.FinishOpenID{Provider: provider, RedirectURI: "http://127.0.0.1:9/x", Nonce: "n", Code: "good", Verifier: "verifier"}
	h.sso.codes["good"] = h.principal["alice"]
	in, err := c.FinishOpenID(t.Context(), finish)
	if err != nil || in.Token == "" || in.Principal.Name != "alice" {
		t.Fatalf("%+v, %v", in, err)
	}
	if r := h.newest(); r.Action != "session.open" || r.Detail != "openid: full" {
		t.Errorf("record %+v", r)
	}
	for name, change := range map[string]struct {
		change func(*rest.FinishOpenID)
		status int
		cause  string
	}{
		"used code":      {func(*rest.FinishOpenID) {}, 401, "does not count"},
		"other audience": {func(f *rest.FinishOpenID) { f.Code = "other audience" }, 401, "another audience"},
		"used nonce":     {func(f *rest.FinishOpenID) { f.Code = "again" }, 401, "used before"},
		"other verifier": {func(f *rest.FinishOpenID) { f.Code, f.Verifier, f.Nonce = "third", "x", "m" }, 401, "does not count"},
		"no operator":    {func(f *rest.FinishOpenID) { f.Code, f.Nonce = "carol", "o" }, 403, "no operator"},
	} {
		h.sso.codes["again"], h.sso.codes["third"], h.sso.codes["carol"] = h.principal["alice"], h.principal["alice"], h.principal["carol"]
		f := finish
		change.change(&f)
		a := h.ask("POST", rest.Prefix+"/sessions/openid", "", f)
		p, r := a.problem(t), h.newest()
		if a.status != change.status || r.Action != "session.refuse" || !strings.HasPrefix(r.Detail, "openid: ") || !strings.Contains(r.Detail, change.cause) {
			t.Errorf("%s: status %d (%+v), record %+v", name, a.status, p, r)
		}
		if strings.Contains(fmt.Sprint(r), "good") || strings.Contains(fmt.Sprint(r), "verifier") {
			t.Errorf("%s: the record holds a secret: %+v", name, r)
		}
	}
	if _, err := c.BeginOpenID(t.Context(), rest.BeginOpenID{Provider: "nobody", RedirectURI: "http://127.0.0.1:9/x", State: "s", Nonce: "n", Challenge: "c"}); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("unknown provider: %v", err)
	}
	// For a client: a code, whoever it is.
	h.sso.codes["for a client"] = h.principal["carol"]
	finish.Code, finish.Nonce, finish.Client = "for a client", "p", h.client
	if in, err := c.FinishOpenID(t.Context(), finish); err != nil || in.Code == nil || in.Token != "" || in.Code.User.Name != "carol" {
		t.Errorf("%+v, %v", in, err)
	}
	if r := h.newest(); r.Action != "session.code" || r.Detail != "openid" {
		t.Errorf("record %+v", r)
	}
}

func TestDevice(t *testing.T) {
	h := newProofs(t)
	c := h.harness.client("")
	d, err := c.BeginDevice(t.Context(), provider)
	if err != nil || d.UserCode != "ABCD-EFGH" || d.IntervalSeconds != 5 {
		t.Fatalf("%+v, %v", d, err)
	}
	h.sso.devices["device"] = dormer.Principal{}
	_, err = c.PollDevice(t.Context(), rest.PollDevice{Provider: provider, DeviceCode: "device"})
	told, ok := errors.AsType[*problem.Error](err)
	if !ok || told.Kind != problem.KindPending || told.RetryAfter() != 7*time.Second || told.Status != http.StatusServiceUnavailable {
		t.Errorf("while the user has not finished: %#v", err)
	}
	before := h.newest()
	h.sso.mu.Lock()
	h.sso.devices["device"] = h.principal["alice"]
	h.sso.mu.Unlock()
	in, err := c.PollDevice(t.Context(), rest.PollDevice{Provider: provider, DeviceCode: "device"})
	if err != nil || in.Token == "" {
		t.Fatalf("%+v, %v", in, err)
	}
	if r := h.newest(); r.Action != "session.open" || r.Detail != "openid: full" || r.ID != before.ID+1 {
		t.Errorf("records %+v, %+v: waiting leaves none", before, r)
	}
	for code, cause := range map[string]string{"device": "used before", "refused": "refused"} {
		if _, err := c.PollDevice(t.Context(), rest.PollDevice{Provider: provider, DeviceCode: code}); !errors.Is(err, dormer.ErrUnauthenticated) {
			t.Errorf("%s: %v", code, err)
		}
		if r := h.newest(); r.Action != "session.refuse" || !strings.Contains(r.Detail, cause) {
			t.Errorf("%s: record %+v", code, r)
		}
	}
}

// TestTicketIsNotInAnswers: what the client sends in the header of the sign-in
// comes back nowhere.
func TestTicketIsNotInAnswers(t *testing.T) {
	h := newProofs(t)
	secret := base64.StdEncoding.EncodeToString([]byte("this is no ticket"))
	a := h.ask("POST", rest.Prefix+"/sessions/kerberos", "", nil, "Authorization", "Negotiate "+secret)
	if a.status != http.StatusUnauthorized || strings.Contains(string(a.body), secret) || strings.Contains(fmt.Sprint(h.newest()), secret) {
		t.Errorf("status %d: %s", a.status, a.body)
	}
	if _, err := h.harness.client("session").SignInKerberos(t.Context(), []byte("x"), rest.For{}); !errors.Is(err, dormer.ErrUnauthenticated) || !strings.Contains(err.Error(), "ticket") {
		t.Errorf("a client with a session: %v", err)
	}
}
