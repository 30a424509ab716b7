package clientapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/domainjoin"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire"
)

// joins notes what is asked of the domain.
type joins struct {
	mu    sync.Mutex
	asked []domainjoin.Request
	err   error
}

func (j *joins) Join(_ context.Context, r domainjoin.Request) (wire.JoinSecret, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.asked = append(j.asked, r)
	return wire.JoinSecret{Domain: r.Step.Domain, Computer: r.Machine.ComputerName, Password: "one-time"}, j.err
}

const joining = "apiVersion: dormer/v1\nkind: Workspace\nmetadata: {name: Office}\nspec:\n  machine: {image: {name: office}, revertible: false}\n" +
	"  setup:\n    computerName: 'PC-####'\n    actions:\n      - renameComputer: {}\n      - restart: {}\n      - joinDomain: {domain: corp.example.test}\n" +
	"grants:\n  - principal: {kind: user, name: alice}\n"

// joiner is a client whose machine is to join a domain.
func joiner(t *testing.T) (*server, *client) {
	t.Helper()
	s := newServer(t)
	s.user("alice")
	must2(s.catalog.Create(t.Context(), []byte(joining), "admin", ""))(t)
	c := s.client(true)
	if err := c.signIn("alice", password); err != nil {
		t.Fatal(err)
	}
	c.poll()
	return s, c
}

func (c *client) join(change func(*wire.JoinRequest)) (wire.JoinSecret, error) {
	c.s.t.Helper()
	q := wire.JoinRequest{Protocol: wire.ProtocolVersion, Session: c.sessions[0], Machine: c.one().Machine, Step: 2, System: "linux"}
	if change != nil {
		change(&q)
	}
	var (
		a      wire.JoinAnswer
		secret wire.JoinSecret
	)
	if err := c.s.post(wire.PathJoin, c.token, q, &a); err != nil {
		return secret, err
	}
	plain, err := seal.Unseal(c.key, wire.JoinInfo(q.Machine), a.Sealed)
	if err != nil {
		return secret, err
	}
	return secret, json.Unmarshal(plain, &secret)
}

func TestJoin(t *testing.T) {
	s, c := joiner(t)
	got := must(c.join(nil))(t)
	want := wire.JoinSecret{Domain: "corp.example.test", Computer: c.one().ComputerName, Password: "one-time"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(s.joins.asked) != 1 || s.joins.asked[0].Machine.ID != c.one().Machine || s.joins.asked[0].Workspace != "Office" || s.joins.asked[0].System != "linux" {
		t.Errorf("asked for %+v", s.joins.asked)
	}
	last := must(s.state.Records(t.Context(), 0, 1))(t)[0]
	if last.Action != "join.prepare" || last.Who != "alice" || strings.Contains(last.Detail, "one-time") {
		t.Errorf("audit log has %+v", last)
	}
	if strings.Contains(s.log.String(), "one-time") {
		t.Error("the log holds the password")
	}
}

func TestJoinRefused(t *testing.T) {
	s, c := joiner(t)
	s.user("bob")
	stranger := s.client(true)
	for _, user := range []string{"alice", "bob"} {
		if err := stranger.signIn(user, password); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.signIn("bob", password); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*wire.JoinRequest)
		kind   error
	}{
		"no step":                    {func(q *wire.JoinRequest) { q.Step = 3 }, dormer.ErrInvalid},
		"before the first step":      {func(q *wire.JoinRequest) { q.Step = -1 }, dormer.ErrInvalid},
		"another step":               {func(q *wire.JoinRequest) { q.Step = 1 }, dormer.ErrInvalid},
		"no machine of this client":  {func(q *wire.JoinRequest) { q.Machine = "aaaaaaaaaaaaaaaaaaaaaaaaaa" }, dormer.ErrNotFound},
		"no session":                 {func(q *wire.JoinRequest) { q.Session.Secret = "x" }, dormer.ErrDenied},
		"another client's session":   {func(q *wire.JoinRequest) { q.Session = stranger.sessions[0] }, dormer.ErrDenied},
		"another user's machine":     {func(q *wire.JoinRequest) { q.Session = c.sessions[1] }, dormer.ErrDenied},
		"a protocol of another time": {func(q *wire.JoinRequest) { q.Protocol = 9 }, dormer.ErrUnsupported},
	} {
		_, err := c.join(test.change)
		t.Run(name, func(t *testing.T) { wantKind(t, err, test.kind) })
	}
	if len(s.joins.asked) > 0 {
		t.Errorf("the domain was asked for %+v", s.joins.asked)
	}
	// The domain's own refusals are recorded, and attempts are limited.
	s.joins.err = dormer.ErrConflict
	for i := range 6 {
		_, err := c.join(nil)
		if i < 5 {
			wantKind(t, err, dormer.ErrConflict)
		} else {
			wantKind(t, err, dormer.ErrUnavailable)
		}
	}
	if last := must(s.state.Records(t.Context(), 0, 1))(t)[0]; last.Action != "join.refuse" {
		t.Errorf("audit log has %+v", last)
	}
	s.clock.Add(2 * time.Minute)
	s.joins.err = nil
	if _, err := c.join(nil); err != nil {
		t.Errorf("two minutes later: %v", err)
	}
}

func TestJoinWithoutPermission(t *testing.T) {
	for name, grant := range map[string]string{"disabled": "enabled: false", "expired": "expires: 2026-11-01"} {
		t.Run(name, func(t *testing.T) {
			s, c := joiner(t)
			r := must(s.catalog.GetByName(t.Context(), "Office"))(t)
			must2(s.catalog.Commit(t.Context(), r.Workspace, []byte(joining+"    "+grant+"\n"), r.ETag, "admin", ""))(t)
			_, err := c.join(nil)
			wantKind(t, err, dormer.ErrDenied)
		})
	}
}

// TestJoinUnmanaged: what an agent of a user gets no lease for, it joins no domain
// for either.
func TestJoinUnmanaged(t *testing.T) {
	s := newServer(t)
	s.user("alice")
	must2(s.catalog.Create(t.Context(), []byte(joining), "admin", ""))(t)
	r := must(s.catalog.GetByName(t.Context(), "Office"))(t)
	c := s.client(false)
	if err := c.signIn("alice", password); err != nil {
		t.Fatal(err)
	}
	c.poll()
	if _, err := c.join(nil); err != nil {
		t.Fatalf("while it may: %v", err)
	}
	refusing := strings.Replace(joining, "  setup:\n", "  general: {unmanagedClients: refuse}\n  setup:\n", 1)
	must2(s.catalog.Commit(t.Context(), r.Workspace, []byte(refusing), r.ETag, "admin", ""))(t)
	_, err := c.join(nil)
	wantKind(t, err, dormer.ErrDenied)
}

func TestOverride(t *testing.T) {
	s := newServer(t)
	for _, u := range []string{"alice", "bob", "carol"} {
		s.user(u)
	}
	doc := string(document("Office", "office", "alice", "fileTransfer: {direction: both}")) +
		"  - principal: {kind: user, name: bob}\n    fileTransfer: {direction: both, mayOverride: true}\n"
	must2(s.catalog.Create(t.Context(), []byte(doc), "admin", ""))(t)
	c := s.client(true)
	if err := c.signIn("alice", password); err != nil {
		t.Fatal(err)
	}
	c.poll()
	machine := c.one().Machine
	ask := func(from *client, user, pass string, m dormer.MachineID) (wire.OverrideAnswer, error) {
		var a wire.OverrideAnswer
		err := s.post(wire.PathOverride, from.token, wire.OverrideRequest{Protocol: wire.ProtocolVersion, Machine: m, User: user, Password: pass}, &a)
		return a, err
	}
	a, err := ask(c, "bob", password, machine)
	if err != nil || a.User.Name != "bob" {
		t.Fatalf("bob may override: %+v, %v", a, err)
	}
	if last := must(s.state.Records(t.Context(), 0, 1))(t)[0]; last.Action != "transfer.override" || last.Who != "bob" || last.Object != "machine "+string(machine) {
		t.Errorf("audit log has %+v", last)
	}
	other := s.client(true)
	for name, test := range map[string]struct {
		from       *client
		user, pass string
		machine    dormer.MachineID
		kind       error
	}{
		"without the right":   {c, "alice", password, machine, dormer.ErrDenied},
		"in no grant":         {c, "carol", password, machine, dormer.ErrDenied},
		"wrong password":      {c, "bob", "wrong", machine, dormer.ErrDenied},
		"nobody":              {c, "nobody", password, machine, dormer.ErrDenied},
		"no password":         {c, "bob", "", machine, dormer.ErrInvalid},
		"machine of another":  {other, "bob", password, machine, dormer.ErrNotFound},
		"no machine":          {c, "bob", password, "x", dormer.ErrNotFound},
		"not a client at all": {&client{}, "bob", password, machine, dormer.ErrUnauthenticated},
	} {
		_, err := ask(test.from, test.user, test.pass, test.machine)
		t.Run(name, func(t *testing.T) { wantKind(t, err, test.kind) })
	}
	for range 20 {
		if _, err = ask(c, "bob", "wrong", machine); errors.Is(err, dormer.ErrUnavailable) {
			break
		}
	}
	wantKind(t, err, dormer.ErrUnavailable) // guessing is held back
}
