package httpapi_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// TestWrongPasswordAndUnknownUser: both get the same answer, and the audit log
// does not hold what was typed as a name.
func TestWrongPasswordAndUnknownUser(t *testing.T) {
	h := newHarness(t)
	try := func(user string) answer {
		return h.ask("POST", rest.Prefix+"/sessions", "", rest.SignIn{User: user, Password: "not the password"})
	}
	wrong, unknown := try("admin"), try("my password typed here")
	if wrong.status != http.StatusUnauthorized || unknown.status != http.StatusUnauthorized {
		t.Errorf("status %d for a wrong password, %d for an unknown user", wrong.status, unknown.status)
	}
	// But for the identity of the request, which says nothing.
	body := func(a answer) string {
		return strings.ReplaceAll(string(a.body), a.header.Get("Dormer-Request"), "REQUEST")
	}
	if diff := cmp.Diff(body(wrong), body(unknown)); diff != "" {
		t.Errorf("the answers differ:\n%s", diff)
	}
	if p := wrong.problem(t); p.Kind != "unauthenticated" || !strings.Contains(p.Title, "password is wrong") || !strings.Contains(p.Detail, "name or password is wrong") {
		t.Errorf("the answer does not say what was wrong: %+v", p)
	}
	var records rest.List[rest.AuditRecord]
	h.must("GET", "/audit?limit=2", h.admin, nil, &records)
	for i, who := range []string{"unknown user", "admin"} { // newest first
		if r := records.Items[i]; r.Action != "session.refuse" || r.Who != who || !strings.Contains(r.Detail, "password") {
			t.Errorf("record %d is %+v, expected one of %s", i, r, who)
		}
	}
	a := h.must("GET", "/audit", h.admin, nil, nil)
	if !strings.Contains(string(a.body), "session.refuse") || strings.Contains(string(a.body), "typed here") {
		t.Errorf("audit log: %s", a.body)
	}
}

// TestMustChange: a password that was set by an operator can be made to last
// for one sign-in.
func TestMustChange(t *testing.T) {
	h := newHarness(t)
	var set rest.PasswordSet
	h.must("POST", "/directory/users/"+h.ids["reader"]+"/password", h.admin, rest.SetPassword{}, &set)
	if a := h.ask("GET", rest.Prefix+"/workspaces", h.reader, nil); a.status != http.StatusUnauthorized {
		t.Errorf("a session from before the password was set: status %d", a.status)
	}
	a := h.ask("POST", rest.Prefix+"/sessions", "", rest.SignIn{User: "reader", Password: set.Password})
	if p := a.problem(t); a.status != http.StatusForbidden || p.Kind != problem.KindMustChange {
		t.Errorf("sign-in with a password to be changed: %+v", p)
	}
	for _, bad := range []string{"short", "            ", set.Password, strings.Repeat("x", 2000)} {
		a := h.ask("POST", rest.Prefix+"/sessions", "", rest.SignIn{User: "reader", Password: set.Password, NewPassword: bad})
		p := a.problem(t)
		if a.status != http.StatusBadRequest || len(p.Fields) != 1 || p.Fields[0].Path != "new_password" || strings.Contains(string(a.body), bad) {
			t.Errorf("new password of %d bytes: %s", len(bad), a.body)
		}
	}
	var in rest.SignedIn
	h.must("POST", "/sessions", "", rest.SignIn{User: "READER", Password: set.Password, NewPassword: "another good one"}, &in)
	if in.Role != "read-only" || in.Principal.Name != "reader" || time.Until(in.Expires) < time.Hour {
		t.Errorf("signed in: %+v", in)
	}
	h.signIn(`local\reader`, "another good one")
}

// TestDisabledAndExpired: sessions end at once, and whoever knows the password
// is told why.
func TestDisabledAndExpired(t *testing.T) {
	h := newHarness(t)
	path := "/directory/users/" + h.ids["reader"]
	past := time.Now().Add(-time.Minute)
	never := time.Time{}
	for _, c := range []struct {
		change, back rest.ChangeUser
		reason       string
	}{
		{rest.ChangeUser{Disabled: new(true)}, rest.ChangeUser{Disabled: new(false)}, "disabled"},
		{rest.ChangeUser{Expires: &past}, rest.ChangeUser{Expires: &never}, "expired"},
	} {
		token := h.signIn("reader", readerPassword)
		h.must("PATCH", path, h.admin, c.change, nil)
		if a := h.ask("GET", rest.Prefix+"/workspaces", token, nil); a.status != http.StatusUnauthorized {
			t.Errorf("%s: session answered %d", c.reason, a.status)
		}
		a := h.ask("POST", rest.Prefix+"/sessions", "", rest.SignIn{User: "reader", Password: readerPassword})
		if p := a.problem(t); a.status != http.StatusForbidden || !strings.Contains(p.Detail, c.reason) {
			t.Errorf("%s: sign-in answered %+v", c.reason, p)
		}
		if a := h.ask("POST", rest.Prefix+"/sessions", "", rest.SignIn{User: "reader", Password: "wrong password"}); a.status != http.StatusUnauthorized {
			t.Errorf("%s with a wrong password: status %d", c.reason, a.status)
		}
		h.must("PATCH", path, h.admin, c.back, nil)
	}
	h.signIn("reader", readerPassword)
}

// TestLastOperator cannot lose the role, be disabled or be removed.
func TestLastOperator(t *testing.T) {
	h := newHarness(t)
	admin := "/directory/users/" + h.ids["admin"]
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"PUT", "/operators", rest.SetOperator{Kind: "user", Name: "admin", Role: "read-only"}},
		{"DELETE", admin, nil},
		{"PATCH", admin, rest.ChangeUser{Disabled: new(true)}},
		{"PATCH", admin, rest.ChangeUser{Expires: new(time.Now().Add(-time.Minute))}},
	} {
		if a := h.ask(c.method, rest.Prefix+c.path, h.admin, c.body); a.status != http.StatusConflict {
			t.Errorf("%s %s: status %d", c.method, c.path, a.status)
		}
	}
	h.must("PATCH", admin, h.admin, rest.ChangeUser{Expires: new(time.Now().Add(time.Hour))}, nil)
	h.must("PATCH", admin, h.admin, rest.ChangeUser{Expires: new(time.Time{})}, nil)
	h.must("GET", "/sessions/current", h.admin, nil, nil)
}

// TestTooManyAttempts: guessing is slowed down from one address, and the
// refusal says when to come back.
func TestTooManyAttempts(t *testing.T) {
	h := newHarness(t)
	var last answer
	for range 30 {
		last = h.ask("POST", rest.Prefix+"/sessions", "", rest.SignIn{User: "reader", Password: "guess guess guess"})
		if last.status == http.StatusTooManyRequests {
			break
		}
	}
	p := last.problem(t)
	if last.status != http.StatusTooManyRequests || p.RetryAfter < 1 || last.header.Get("Retry-After") == "" {
		t.Errorf("after many guesses: %+v", p)
	}
	h.signIn("admin", adminPassword) // others at that address are not held
}

// TestFirstPasswordIsRemoved once it was changed.
func TestFirstPasswordIsRemoved(t *testing.T) {
	h := newHarness(t)
	if _, err := os.Stat(h.data + "/first-admin-password"); !os.IsNotExist(err) {
		t.Errorf("the file of the first password: %v", err)
	}
}

// TestEndSessions: all sessions of a user end at once, of whatever kind.
func TestEndSessions(t *testing.T) {
	h := newHarness(t)
	sessions := []string{h.signIn("reader", readerPassword), h.signIn("reader", readerPassword)}
	mine := h.signIn("admin", adminPassword)
	var ended rest.SessionsEnded
	h.must("POST", "/sessions/end", h.admin, rest.EndSessions{User: `local\READER`}, &ended)
	if ended.User.Key != h.ids["reader"] {
		t.Errorf("sessions of %+v ended", ended.User)
	}
	for _, s := range sessions {
		if a := h.ask("GET", rest.Prefix+"/sessions/current", s, nil); a.status != http.StatusUnauthorized {
			t.Errorf("an ended session: status %d", a.status)
		}
	}
	h.must("GET", "/sessions/current", mine, nil, nil)
	for user, status := range map[string]int{"": http.StatusBadRequest, "absent": http.StatusNotFound} {
		if a := h.ask("POST", rest.Prefix+"/sessions/end", h.admin, rest.EndSessions{User: user}); a.status != status {
			t.Errorf("user %q: status %d, want %d", user, a.status, status)
		}
	}
}
