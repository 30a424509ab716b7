package clientapi_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/wire"
)

// code makes a one-time code for a user who has proved who they are.
func (s *server) code(user string, client dormer.ClientID) string {
	s.t.Helper()
	p := must(s.people.Resolve(s.t.Context(), dormer.KindUser, user))(s.t)
	return must(s.people.MakeCode(p, client))(s.t).Code
}

func byCode(code string) wire.SignInRequest {
	return wire.SignInRequest{Protocol: wire.ProtocolVersion, Code: code}
}

func TestSignInByCode(t *testing.T) {
	s := newServer(t)
	s.user("alice")
	s.workspace("Office", "office", "alice")
	c := s.client(true)
	code := s.code("alice", c.id)
	if err := c.signInBy(byCode(code)); err != nil {
		t.Fatal(err)
	}
	if c.poll(); c.one().User.Name != "alice" {
		t.Errorf("lease is %+v", c.one())
	}
	r := must(s.state.Records(t.Context(), 0, 1))(t)[0]
	if r.Action != "session.open" || r.Who != "alice" || !strings.Contains(r.Detail, "one-time code") {
		t.Errorf("audit record is %+v", r)
	}
	if err := c.signInBy(byCode(code)); err == nil || !strings.Contains(err.Error(), "one-time code") {
		t.Errorf("the code counted twice: %v", err)
	}
}

func TestCodesThatDoNotCount(t *testing.T) {
	for _, test := range []struct {
		name string
		code func(t *testing.T, s *server, c *client) string
		says string
	}{
		{"of another client", func(_ *testing.T, s *server, _ *client) string { return s.code("alice", s.client(true).id) }, "one-time code"},
		{"expired", func(_ *testing.T, s *server, c *client) string {
			code := s.code("alice", c.id)
			s.clock.Add(2 * access.CodeLifetime)
			return code
		}, "one-time code"},
		{"changed", func(_ *testing.T, s *server, c *client) string {
			code := []byte(s.code("alice", c.id))
			code[len(code)/2] ^= 1 // another letter of the alphabet, or none
			return string(code)
		}, "one-time code"},
		{"made up", func(*testing.T, *server, *client) string { return "0" }, "one-time code"},
		{"of a disabled account", func(t *testing.T, s *server, c *client) string {
			code, yes := s.code("alice", c.id), true
			must(s.accounts.Update(t.Context(), must(s.accounts.ByName(t.Context(), "alice"))(t).ID, access.AccountChange{Disabled: &yes}))(t)
			return code
		}, string(access.ReasonDisabled)},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t)
			s.user("alice")
			c := s.client(true)
			code := test.code(t, s, c)
			err := c.signInBy(byCode(code))
			wantKind(t, err, dormer.ErrDenied)
			if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), code) {
				t.Errorf("refused with %v, expected %q", err, test.says)
			}
			r := must(s.state.Records(t.Context(), 0, 1))(t)[0]
			if r.Action != "session.refuse" || r.Detail == "" || strings.Contains(r.Who+r.Object+r.Detail, code) && len(code) > 1 {
				t.Errorf("audit record is %+v", r)
			}
			if len(must(s.state.Sessions(t.Context(), access.SessionUser))(t)) > 0 {
				t.Error("there is a session all the same")
			}
		})
	}
}

func TestCodeCountsOnceAmongMany(t *testing.T) {
	s := newServer(t)
	s.user("alice")
	c := s.client(true)
	code := s.code("alice", c.id)
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		good int
	)
	for range 16 {
		wg.Go(func() {
			if s.post(wire.PathSignIn, c.token, byCode(code), nil) == nil {
				mu.Lock()
				defer mu.Unlock()
				good++
			}
		})
	}
	wg.Wait()
	if sessions := must(s.state.Sessions(t.Context(), access.SessionUser))(t); good != 1 || len(sessions) != 1 {
		t.Errorf("one code opened %d sessions, %d are stored", good, len(sessions))
	}
}

// TestRefusedCodesAreLimited: a client that sends what is no code fills neither
// the audit log nor keeps another client's users out.
func TestRefusedCodesAreLimited(t *testing.T) {
	s := newServer(t)
	s.user("alice")
	c, other := s.client(true), s.client(true)
	var limited bool
	for range 50 {
		resp, _ := s.call(http.MethodPost, wire.PathSignIn, c.token, nil, byCode("none"))
		limited = resp.StatusCode == http.StatusTooManyRequests
	}
	records := 0
	for _, r := range must(s.state.Records(t.Context(), 0, 100))(t) {
		if r.Action == "session.refuse" {
			records++
		}
	}
	if !limited || records > 21 {
		t.Errorf("limited: %t, %d records", limited, records)
	}
	if err := other.signInBy(byCode(s.code("alice", other.id))); err != nil {
		t.Errorf("another client: %v", err)
	}
}

func TestSignInIsByOneWay(t *testing.T) {
	s := newServer(t)
	c := s.client(true)
	for _, q := range []wire.SignInRequest{
		{},
		{User: "alice"},
		{Password: "x"},
		{Code: "c", User: "alice"},
		{Code: "c", Password: "x"},
		{Code: strings.Repeat("c", wire.MaxSignInCode+1)},
		{User: strings.Repeat("u", 2000), Password: "x"},
	} {
		q.Protocol = wire.ProtocolVersion
		wantKind(t, c.signInBy(q), dormer.ErrInvalid)
	}
	if resp, _ := s.call(http.MethodPost, wire.PathSignIn, "", nil, byCode("c")); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a client's token: %d", resp.StatusCode)
	}
}

// TestRemovedFromGroup: a workspace is lost at the next poll after the re-read,
// with no change on this server that would tell of it.
func TestRemovedFromGroup(t *testing.T) {
	s := newServer(t)
	alice := s.user("alice")
	group := must(s.accounts.CreateGroup(t.Context(), "staff"))(t)
	member := access.Member{Kind: dormer.KindUser, ID: alice.ID}
	if err := s.state.SetMember(t.Context(), group.ID, member, true); err != nil {
		t.Fatal(err)
	}
	doc := strings.Replace(string(document("Office", "office", "staff")), "kind: user, name: staff", "kind: group, name: staff", 1)
	if _, _, err := s.catalog.Create(t.Context(), []byte(doc), "admin", ""); err != nil {
		t.Fatal(err)
	}
	c := s.client(true)
	if err := c.signIn("alice", password); err != nil {
		t.Fatal(err)
	}
	c.poll()
	c.one()
	if err := s.state.SetMember(t.Context(), group.ID, member, false); err != nil {
		t.Fatal(err)
	}
	s.clock.Add(10 * time.Minute)
	if a := c.poll(); len(a.Withdrawn) > 0 {
		t.Error("the directory was asked without a reason")
	}
	s.clock.Add(5 * time.Minute)
	if a := c.poll(); len(a.Withdrawn) != 1 || len(a.EndedSessions) > 0 || !strings.Contains(a.Withdrawn[0].Reason, "no grant") {
		t.Errorf("answer is %+v", a)
	}
	// A sign-in asks at once.
	if err := s.state.SetMember(t.Context(), group.ID, member, true); err != nil {
		t.Fatal(err)
	}
	if err := c.signIn("alice", password); err != nil {
		t.Fatal(err)
	}
	if a := c.poll(); len(a.Leases) != 1 {
		t.Errorf("after the sign-in the answer is %+v", a)
	}
}
