package clientapi_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/policymatrix"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/store/storetest"
	"github.com/dormer-project/dormer/internal/wire"
)

// ready is a server with one workspace and a client on which its user is
// signed in and holds a lease.
func ready(t testing.TB, more ...string) (*server, *client, catalog.Revision) {
	t.Helper()
	s := newServer(t)
	s.user("alice")
	w := s.workspace("Office", "office", "alice", more...)
	c := s.client(true)
	if err := c.signIn("alice", password); err != nil {
		t.Fatal(err)
	}
	c.poll()
	return s, c, w
}

func TestFirstLease(t *testing.T) {
	s, c, w := ready(t)
	l := c.one()
	if l.Workspace != w.Workspace || l.WorkspaceName != "Office" || l.PolicyRevision != 1 || l.User.Name != "alice" || l.Image != imageID("a") || l.ImageName != "office/1" {
		t.Errorf("lease is %+v", l)
	}
	if l.ValidUntil != nil || l.OfflineBudget == nil || *l.OfflineBudget != 7*24*3600 {
		t.Errorf("limits of the lease are %v, %v; the defaults are no end and 7 days", l.ValidUntil, l.OfflineBudget)
	}
	if len(c.keys[wire.DiskKeyName(l.Machine)]) != lease.DiskKeySize || len(c.keys[wire.RepositoryKeyName(repositoryKey)]) != 32 || len(c.keys) != 2 {
		t.Errorf("keys are %d, expected the disk's and the repository's", len(c.keys))
	}
	for _, name := range l.Keys {
		if c.keys[name] == nil {
			t.Errorf("the lease names key %q, which was not sent", name)
		}
	}
	resp, err := s.call(http.MethodGet, wire.PathPolicy+l.PolicyHash, c.token, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := policy.DecodeEffective(must(io.ReadAll(resp.Body))(t), l.PolicyHash)
	if err != nil || e.Machine.Image.Name != "office" {
		t.Errorf("policy of the lease: %v", err)
	}
}

func TestNothingChangedTouchesNoDatabase(t *testing.T) {
	s, c, _ := ready(t)
	c.poll() // takes in the keys' tag
	if err := s.api.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	// With both databases gone, whatever asks one fails and is logged.
	if err := errors.Join(s.state.Close(), s.events.Close()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.clock.Add(time.Minute)
		a := c.poll()
		if len(a.Leases)+len(a.Withdrawn)+len(a.Orders)+len(a.EndedSessions) > 0 || a.Keys != nil || a.KeySet != nil {
			t.Errorf("an answer with nothing new has %+v", a)
		}
	}
	if _, err := s.call(http.MethodGet, wire.PathPolicy+c.one().PolicyHash, c.token, nil, nil); err != nil {
		t.Errorf("policy: %v", err)
	}
	if s.log.Len() > 0 {
		t.Errorf("a poll in which nothing changed asked a database:\n%s", s.log)
	}
}

func TestAnswer(t *testing.T) {
	s, c, _ := ready(t)
	q := c.request()
	q.KeySet = 3
	a, err := c.send(q)
	if err != nil {
		t.Fatal(err)
	}
	if a.KeySet == nil || a.Epoch != 3 || a.Instance != s.instance || !a.Time.Equal(s.clock.Now()) || a.IntervalMillis != 60_000 {
		t.Errorf("answer is %+v", a)
	}
	var low, high int
	for range 200 {
		switch ms := c.poll().NextPollMillis; {
		case ms < 54_000 || ms > 66_000:
			t.Fatalf("next poll in %d ms", ms)
		case ms < 60_000:
			low++
		default:
			high++
		}
	}
	if low < 40 || high < 40 {
		t.Errorf("delays are not spread: %d below the interval, %d above", low, high)
	}
}

func TestPolicyChange(t *testing.T) {
	s, c, w := ready(t)
	before := c.one()
	s.clock.Add(time.Minute)
	next, _, err := s.catalog.Commit(t.Context(), w.Workspace, document("Office", "office", "alice", "clipboard: both"), w.ETag, "admin", "")
	if err != nil || next.Number != 2 {
		t.Fatal(next.Number, err)
	}
	c.poll()
	after := c.one()
	if after.PolicyHash == before.PolicyHash || after.PolicyRevision != 2 || after.Machine != before.Machine || len(after.Requires) != 1 || after.Requires[0] != "clipboard" {
		t.Errorf("lease after the change is %+v", after)
	}
	if a := c.poll(); len(a.Leases) > 0 {
		t.Error("the same lease was issued again")
	}
	// The old policy is still there for who has not polled.
	if _, err := s.call(http.MethodGet, wire.PathPolicy+before.PolicyHash, c.token, nil, nil); err != nil {
		t.Error(err)
	}
}

func TestNewImageVersion(t *testing.T) {
	s, c, _ := ready(t)
	s.images.set("office", catalog.Image{ID: imageID("b"), Number: 2, KeyID: repositoryKey})
	if err := s.catalog.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := c.poll(); len(a.Leases) != 1 || c.one().Image != imageID("b") || c.one().ImageName != "office/2" {
		t.Errorf("lease after the push is %+v", c.one())
	}
	// While the repository does not answer, nothing changes.
	s.images.err = dormer.ErrUnavailable
	if err := s.catalog.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := c.poll(); len(a.Leases)+len(a.Withdrawn) > 0 {
		t.Errorf("an answer while the repository is away has %+v", a)
	}
}

func TestRenewal(t *testing.T) {
	for _, test := range []struct {
		name   string
		grant  string
		budget int64 // 0: none
		used   int64
		renew  bool
	}{
		{"below 5 %", "offline: {allow: limited, limit: 1d}", 86400, 4319, false},
		{"at 5 %", "offline: {allow: limited, limit: 1d}", 86400, 4320, true},
		{"more than there is", "offline: {allow: limited, limit: 1d}", 86400, 1 << 62, true},
		{"none allowed is three intervals", "offline: {allow: none}", 180, 9, true},
		{"none allowed, just answered", "offline: {allow: none}", 180, 8, false},
		{"unrestricted", "offline: {allow: unrestricted}", 0, 1 << 40, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, c, _ := ready(t, test.grant)
			l := c.one()
			if (l.OfflineBudget == nil) != (test.budget == 0) || (l.OfflineBudget != nil && *l.OfflineBudget != test.budget) {
				t.Fatalf("budget is %v, expected %d", l.OfflineBudget, test.budget)
			}
			s.clock.Add(time.Hour)
			q := c.request()
			q.Machines[0].BudgetUsed = test.used
			a, err := c.send(q)
			if err != nil {
				t.Fatal(err)
			}
			if renewed := len(a.Leases) == 1; renewed != test.renew {
				t.Errorf("renewed: %t, expected %t", renewed, test.renew)
			}
			if test.renew && !c.one().IssuedAt.Equal(s.clock.Now()) {
				t.Errorf("renewed lease was issued at %s", c.one().IssuedAt)
			}
		})
	}
}

func TestExpiry(t *testing.T) {
	s, c, _ := ready(t, "expires: 2026-11-23 Europe/Berlin")
	end := time.Date(2026, 11, 23, 23, 0, 0, 0, time.UTC)
	if u := c.one().ValidUntil; u == nil || !u.Equal(end) {
		t.Fatalf("valid until %v, expected 24:00 in Berlin, %s", u, end)
	}
	s.clock.Add(end.Sub(s.clock.Now()))
	if err := c.authenticate(); err != nil {
		t.Fatal(err)
	}
	q := c.request()
	q.Machines[0].BudgetUsed = 100_000
	a, err := c.send(q)
	if err != nil || len(a.Leases)+len(a.Withdrawn) > 0 {
		t.Errorf("a lease that ended is neither renewed nor withdrawn: %+v, %v", a, err)
	}
	c.leases = map[dormer.MachineID]lease.Lease{}
	if a := c.poll(); len(a.Leases) > 0 || len(a.Withdrawn) != 1 || !strings.Contains(a.Withdrawn[0].Reason, "ended") {
		t.Errorf("a client without the lease gets %+v", a)
	}
}

func TestGrantsThatEndOneAfterTheOther(t *testing.T) {
	s := newServer(t)
	s.user("alice")
	doc := string(document("Office", "office", "alice", "expires: 2026-11-22", "clipboard: both")) +
		"  - principal: {kind: group, name: staff}\n"
	g := must(s.accounts.CreateGroup(t.Context(), "staff"))(t)
	alice := must(s.accounts.ByName(t.Context(), "alice"))(t)
	if err := s.accounts.SetMember(t.Context(), g.ID, access.Member{Kind: dormer.KindUser, ID: alice.ID}, true); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.catalog.Create(t.Context(), []byte(doc), "admin", ""); err != nil {
		t.Fatal(err)
	}
	c := s.client(true)
	if err := c.signIn("alice", password); err != nil {
		t.Fatal(err)
	}
	c.poll()
	if l := c.one(); l.ValidUntil != nil || len(l.Requires) != 1 {
		t.Fatalf("both grants: %+v", l)
	}
	s.clock.Add(14 * time.Hour)
	c.poll()
	if l := c.one(); l.ValidUntil != nil || len(l.Requires) != 0 {
		t.Errorf("the grant that ended still gives the clipboard: %+v", l)
	}
}

func TestWithdrawal(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(t *testing.T, s *server, c *client, w catalog.Revision)
		reason string
	}{
		{"workspace deleted", func(t *testing.T, s *server, _ *client, w catalog.Revision) {
			if err := s.catalog.Delete(t.Context(), w.Workspace, w.ETag, "admin"); err != nil {
				t.Fatal(err)
			}
		}, "no grant gives alice this workspace"},
		{"grant disabled", func(t *testing.T, s *server, _ *client, w catalog.Revision) {
			_, _, err := s.catalog.Commit(t.Context(), w.Workspace, document("Office", "office", "alice", "enabled: false"), w.ETag, "admin", "")
			if err != nil {
				t.Fatal(err)
			}
		}, "disabled"},
		{"image deleted", func(t *testing.T, s *server, _ *client, _ catalog.Revision) {
			delete(s.images.known, "office")
			if err := s.catalog.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, "not in the repository"},
		{"signed out", func(t *testing.T, s *server, c *client, _ catalog.Revision) {
			if err := s.post(wire.PathSignOut, c.token, wire.SignOutRequest{Protocol: 1, Session: c.sessions[0]}, nil); err != nil {
				t.Fatal(err)
			}
		}, "not signed in"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, c, w := ready(t)
			test.change(t, s, c, w)
			a := c.poll()
			if len(a.Withdrawn) != 1 || !strings.Contains(a.Withdrawn[0].Reason, test.reason) || len(a.Leases) > 0 {
				t.Errorf("answer is %+v, expected a withdrawal: %s", a, test.reason)
			}
			if len(c.leases) != 0 {
				t.Error("the lease is still there")
			}
		})
	}
}

func TestImageNotThereYet(t *testing.T) {
	s, c, _ := ready(t)
	s.workspace("Lab", "lab", "alice")
	a := c.poll()
	if len(a.Withdrawn) != 1 || !strings.Contains(a.Withdrawn[0].Reason, "image lab is not in the repository") || len(c.leases) != 1 {
		t.Fatalf("answer is %+v", a)
	}
	s.images.set("lab", catalog.Image{ID: imageID("c"), Number: 1})
	if err := s.catalog.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := c.poll(); len(a.Leases) != 1 || len(c.leases) != 2 || a.Keys == nil {
		t.Errorf("answer after the push is %+v", a)
	}
}

func TestUnmanagedClientRefused(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "spec.general.unmanagedClients")
	s := newServer(t)
	s.user("alice")
	raw := bytes.Replace(document("Office", "office", "alice"), []byte("spec:\n"), []byte("spec:\n  general: {unmanagedClients: refuse}\n"), 1)
	if _, _, err := s.catalog.Create(t.Context(), raw, "admin", ""); err != nil {
		t.Fatal(err)
	}
	for _, managed := range []bool{true, false} {
		c := s.client(managed)
		if err := c.signIn("alice", password); err != nil {
			t.Fatal(err)
		}
		a := c.poll()
		if got := len(a.Leases) == 1; got != managed || (!managed && len(a.Withdrawn) != 1) {
			t.Errorf("managed %t: answer is %+v", managed, a)
		}
	}
}

func TestSessionsEnd(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(t *testing.T, s *server, id string)
		reason string
	}{
		{"disabled", func(t *testing.T, s *server, id string) {
			yes := true
			must(s.accounts.Update(t.Context(), id, access.AccountChange{Disabled: &yes}))(t)
		}, string(access.ReasonDisabled)},
		{"expired", func(t *testing.T, s *server, id string) {
			at := s.clock.Now().Add(-time.Second)
			must(s.accounts.Update(t.Context(), id, access.AccountChange{Expires: &at}))(t)
		}, string(access.ReasonExpired)},
		{"deleted", func(t *testing.T, s *server, id string) {
			if err := s.accounts.Delete(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}, "deleted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, c, _ := ready(t)
			test.change(t, s, must(s.accounts.ByName(t.Context(), "alice"))(t).ID)
			if a := c.poll(); len(a.EndedSessions) > 0 {
				t.Fatal("the directory was asked without a reason")
			}
			s.api.DirectoryChanged()
			a := c.poll()
			if len(a.EndedSessions) != 1 || a.EndedSessions[0].ID != c.sessions[0].ID || !strings.Contains(a.EndedSessions[0].Reason, test.reason) || len(a.Withdrawn) != 1 {
				t.Errorf("answer is %+v, expected an ended session: %s", a, test.reason)
			}
			if _, err := s.people.CheckSession(t.Context(), access.SessionUser, c.sessions[0].ID, c.sessions[0].Secret); err == nil {
				t.Error("the session still counts")
			}
		})
	}
	t.Run("after 30 days", func(t *testing.T) {
		s, c, _ := ready(t)
		s.clock.Add(30 * 24 * time.Hour)
		if err := c.authenticate(); err != nil {
			t.Fatal(err)
		}
		if a := c.poll(); len(a.EndedSessions) != 1 || len(a.Withdrawn) != 1 {
			t.Errorf("answer is %+v", a)
		}
	})
	t.Run("directory asked again after a while", func(t *testing.T) {
		s, c, _ := ready(t)
		yes := true
		must(s.accounts.Update(t.Context(), must(s.accounts.ByName(t.Context(), "alice"))(t).ID, access.AccountChange{Disabled: &yes}))(t)
		s.clock.Add(15 * time.Minute)
		if a := c.poll(); len(a.EndedSessions) != 1 {
			t.Errorf("answer is %+v", a)
		}
	})
}

func TestSessionOfAnotherClient(t *testing.T) {
	s, c, _ := ready(t)
	other := s.client(true)
	other.sessions = c.sessions
	if a := other.poll(); len(a.EndedSessions) != 1 || len(a.Leases) > 0 {
		t.Errorf("a session taken from another client gives %+v", a)
	}
	if a := c.poll(); len(a.EndedSessions) > 0 {
		t.Error("the client's own session ended")
	}
}

func TestMachineOfAnotherClient(t *testing.T) {
	s, c, _ := ready(t)
	l := c.one()
	other := s.client(true)
	other.leases[l.Machine] = l
	a := other.poll()
	if len(a.Withdrawn) != 1 || !strings.Contains(a.Withdrawn[0].Reason, "not a machine of this client") || a.Keys != nil {
		t.Errorf("answer is %+v", a)
	}
	if a := c.poll(); len(a.Withdrawn) > 0 {
		t.Error("the machine's own client lost it")
	}
	if _, err := lease.Open(s.keySet, lease.Holder{Instance: s.instance, Client: other.id}, must(l.Sign(s.key))(t)); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("another client opens the lease: %v", err)
	}
}

func TestRestartKeepsMachineAndKeys(t *testing.T) {
	s, c, _ := ready(t)
	l, key := c.one(), c.keys[wire.DiskKeyName(c.one().Machine)]
	tag := c.keysTag
	if err := errors.Join(s.state.Close(), s.events.Close()); err != nil {
		t.Fatal(err)
	}
	s.start()
	a := c.poll()
	if after := c.one(); len(a.Leases) != 1 || after.Machine != l.Machine || after.PolicyHash != l.PolicyHash || after.Serial <= l.Serial {
		t.Errorf("lease after the restart is %+v", after)
	}
	if a.Keys != nil || c.keysTag != tag {
		t.Error("keys that are current were sent again")
	}
	c.keysTag = ""
	c.poll()
	if !bytes.Equal(key, c.keys[wire.DiskKeyName(l.Machine)]) {
		t.Error("the disk key is another one")
	}
	if a := c.poll(); len(a.Leases) > 0 {
		t.Error("the lease was issued a third time")
	}
}

func TestLostAnswer(t *testing.T) {
	s, c, w := ready(t)
	old := c.request()
	must2(s.catalog.Commit(t.Context(), w.Workspace, document("Office", "office", "alice", "clipboard: both"), w.ETag, "admin", ""))(t)
	s.clock.Add(time.Second)
	c.poll() // this answer is lost
	s.clock.Add(time.Second)
	a, err := c.send(old)
	if err != nil || len(a.Leases) != 1 {
		t.Errorf("the lease of a lost answer comes again: %+v, %v", a, err)
	}
}

func must2[A, B any](a A, _ B, err error) func(testing.TB) A { return must(a, err) }

func TestServerClockSetBack(t *testing.T) {
	s, c, w := ready(t)
	before := c.one()
	s.clock.Add(-24 * time.Hour)
	must2(s.catalog.Commit(t.Context(), w.Workspace, document("Office", "office", "alice", "audio: true"), w.ETag, "admin", ""))(t)
	c.poll()
	if after := c.one(); after.Serial <= before.Serial {
		t.Errorf("serial %d after %d", after.Serial, before.Serial)
	}
}

// A lease of a server whose clock was ahead starts nothing until that time: it is
// issued again, once.
func TestServerClockWasAhead(t *testing.T) {
	s, c, _ := ready(t)
	s.clock.Add(-48 * time.Hour)
	c.poll()
	after := c.one()
	if after.IssuedAt.After(s.clock.Now()) {
		t.Errorf("the client still holds a lease of %s, now is %s", after.IssuedAt, s.clock.Now())
	}
	c.poll()
	if again := c.one(); again.Serial != after.Serial {
		t.Error("it is issued at each poll")
	}
}

func TestFencing(t *testing.T) {
	s, c, _ := ready(t)
	q := c.request()
	q.Epoch = 4
	if _, err := c.send(q); err != nil {
		t.Fatalf("a claim without proof: %v", err)
	}
	root := s.root
	for name, forge := range map[string]func(*seal.KeySet){
		"of another instance": func(k *seal.KeySet) { k.Instance = "elsewhere" },
		"of the same epoch":   func(k *seal.KeySet) { k.Epoch = 3 },
		"of another root":     func(*seal.KeySet) { root = s.key },
	} {
		set := s.keySet
		set.Epoch = 4
		forge(&set)
		proof := must(set.Sign(root))(t)
		root = s.root
		q.Nonce, q.EpochProof = c.request().Nonce, &proof
		if _, err := c.send(q); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("proof %s: %v, want ErrInvalid", name, err)
		}
	}
	if len(s.heard) != 0 {
		t.Fatalf("fenced without proof: %v", s.heard)
	}
	set := s.keySet
	set.Epoch = 4
	proof := must(set.Sign(s.root))(t)
	q.Nonce, q.EpochProof = c.request().Nonce, &proof
	_, err := c.send(q)
	wantKind(t, err, dormer.ErrFenced)
	if len(s.heard) != 1 || s.heard[0] != 4 {
		t.Errorf("told of epochs %v", s.heard)
	}
	other := c.request()
	_, err = c.send(other)
	wantKind(t, err, dormer.ErrFenced)
	_, err = c.challenge()
	wantKind(t, err, dormer.ErrFenced)
	if len(s.heard) != 1 {
		t.Error("told more than once")
	}
}

func TestEpochRaised(t *testing.T) {
	s, c, _ := ready(t)
	_ = errors.Join(s.state.Close(), s.events.Close())
	s.epoch = 4
	s.start()
	if a := c.poll(); len(a.Leases) != 1 || c.one().Epoch != 4 || a.Epoch != 4 {
		t.Errorf("lease after the promotion is %+v", c.one())
	}
}

func numbered(seqs ...uint64) []wire.NumberedEvent {
	var out []wire.NumberedEvent
	for _, n := range seqs {
		out = append(out, wire.NumberedEvent{Sequence: n, Event: dormer.Event{
			Code: 1000, Severity: dormer.Information, Category: "agent", Description: "something", Time: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC),
		}})
	}
	return out
}

func TestEvents(t *testing.T) {
	s, c, _ := ready(t)
	send := func(seqs ...uint64) (wire.PollAnswer, error) {
		q := c.request()
		q.Journal, q.Events = "journal-1", numbered(seqs...)
		return c.send(q)
	}
	stored := func() int {
		return len(storetest.Rows(t, s.events, s.instance))
	}
	for _, seqs := range [][]uint64{{1, 2, 3}, {1, 2, 3}, {3}} { // repeats store nothing
		if a := must(send(seqs...))(t); a.Journal != "journal-1" || a.ReceivedThrough != 3 || a.SafeThrough != 3 {
			t.Errorf("watermarks are %+v", a)
		}
	}
	if n := stored(); n != 3 {
		t.Errorf("%d events stored, expected 3", n)
	}
	if a := must(send())(t); a.ReceivedThrough != 3 {
		t.Errorf("a poll without events is told %d", a.ReceivedThrough)
	}
	_, err := send(5, 4)
	wantKind(t, err, dormer.ErrInvalid)

	s.submit.err = &event.BusyError{RetryAfter: 90 * time.Second, Reason: "full"}
	if a := must(send(4))(t); a.Journal != "" || a.ReceivedThrough != 0 || a.NextPollMillis != 90_000 {
		t.Errorf("with a full queue the answer is %+v", a)
	}
	q := c.request()
	q.Journal, q.Events = "journal-1", numbered(4)
	resp, err := s.call(http.MethodPost, wire.PathPoll, c.token, nil, q)
	if err != nil || resp.Header.Get("Retry-After") != "90" {
		t.Errorf("with a full queue: %v, Retry-After %q", err, resp.Header.Get("Retry-After"))
	}
	s.submit.err = nil
	if a := must(send(4))(t); a.ReceivedThrough != 4 || stored() != 4 {
		t.Errorf("afterwards the answer is %+v", a)
	}
}

func TestReportsAndLastSeen(t *testing.T) {
	s, c, _ := ready(t)
	l := c.one()
	q := c.request()
	q.Machines[0].State, q.Machines[0].Detail, q.Machines[0].Guest = "running", "since today", "OFFICE-1"
	q.Host.Name = "pc-renamed"
	s.clock.Add(time.Minute)
	must(c.send(q))(t)
	if got := must(s.enroll.Client(t.Context(), c.id))(t); got.Host.Name != "pc-renamed" || !got.LastSeen.Equal(s.clock.Now()) {
		t.Errorf("client before the flush is %+v", got)
	}
	if err := s.api.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := must(s.state.Client(t.Context(), c.id))(t); got.Host.Name != "pc-renamed" || !got.LastSeen.Equal(s.clock.Now()) {
		t.Errorf("stored client is %+v", got)
	}
	m := must(s.state.Machines(t.Context()))(t)
	if len(m) != 1 || m[0].ID != l.Machine || m[0].State != "running" || m[0].Guest != "OFFICE-1" || m[0].Image != l.Image {
		t.Errorf("stored machines are %+v", m)
	}
	if bytes.Contains(m[0].DiskKey, c.keys[wire.DiskKeyName(l.Machine)]) {
		t.Error("the disk key is stored in the clear")
	}
}

func TestPollRefused(t *testing.T) {
	_, c, _ := ready(t)
	long := strings.Repeat("x", 2000)
	for _, test := range []struct {
		name   string
		change func(*wire.PollRequest)
		kind   error
	}{
		{"no nonce", func(q *wire.PollRequest) { q.Nonce = nil }, dormer.ErrInvalid},
		{"short nonce", func(q *wire.PollRequest) { q.Nonce = q.Nonce[1:] }, dormer.ErrInvalid},
		{"old protocol", func(q *wire.PollRequest) { q.Protocol = wire.MinProtocolVersion - 1 }, dormer.ErrUnsupported},
		{"new protocol", func(q *wire.PollRequest) { q.Protocol = wire.ProtocolVersion + 1 }, dormer.ErrUnsupported},
		{"too many sessions", func(q *wire.PollRequest) { q.Sessions = make([]wire.Session, 33) }, dormer.ErrInvalid},
		{"too many machines", func(q *wire.PollRequest) { q.Machines = make([]wire.MachineState, 257) }, dormer.ErrInvalid},
		{"machine twice", func(q *wire.PollRequest) { q.Machines = append(q.Machines, q.Machines...) }, dormer.ErrInvalid},
		{"machine with a path", func(q *wire.PollRequest) { q.Machines[0].Machine = "../../etc" }, dormer.ErrInvalid},
		{"negative budget", func(q *wire.PollRequest) { q.Machines[0].BudgetUsed = -1 }, dormer.ErrInvalid},
		{"long detail", func(q *wire.PollRequest) { q.Machines[0].Detail = long }, dormer.ErrInvalid},
		{"too many events", func(q *wire.PollRequest) { q.Journal, q.Events = "j", make([]wire.NumberedEvent, 501) }, dormer.ErrInvalid},
		{"events without a journal", func(q *wire.PollRequest) { q.Events = numbered(1) }, dormer.ErrInvalid},
		{"host with a line break", func(q *wire.PollRequest) { q.Host.Name = "a\nb" }, dormer.ErrInvalid},
		{"more than a mebibyte", func(q *wire.PollRequest) { q.AgentVersion = strings.Repeat("x", wire.MaxBody) }, dormer.ErrTooLarge},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := c.request()
			test.change(&q)
			_, err := c.send(q)
			wantKind(t, err, test.kind)
			if err != nil && (strings.Contains(err.Error(), "xxx") || strings.Contains(err.Error(), "etc")) {
				t.Errorf("the error repeats a value: %v", err)
			}
		})
	}
	var e any
	err := c.s.post(wire.PathPoll, c.token, []byte(`{"protocol":1,"future":{"a":[1]},"nonce":"AAAAAAAAAAAAAAAAAAAAAA=="}`), &e)
	if err != nil {
		t.Errorf("a field of a later release is refused: %v", err)
	}
	for _, body := range []string{``, `{`, `[]`, `null`, `{"protocol":"1"}`, "\xff"} {
		if err := c.s.post(wire.PathPoll, c.token, []byte(body), nil); err == nil {
			t.Errorf("body %q is taken", body)
		}
	}
}

func TestObjects(t *testing.T) {
	s, c, _ := ready(t)
	get := func(token, path string, header http.Header) (*http.Response, string, error) {
		resp, err := s.call(http.MethodGet, path, token, header, nil)
		b, _ := io.ReadAll(resp.Body)
		return resp, string(b), err
	}
	resp, body, err := get(c.token, wire.PathObject+"pack/abc", nil)
	if err != nil || body != "0123456789" || !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") || resp.Header.Get("ETag") != `"pack/abc"` {
		t.Errorf("object: %v %q %v", err, body, resp.Header)
	}
	resp, body, err = get(c.token, wire.PathObject+"pack/abc", http.Header{"Range": {"bytes=2-4"}})
	if err != nil || resp.StatusCode != http.StatusPartialContent || body != "234" || resp.Header.Get("Content-Range") != "bytes 2-4/10" {
		t.Errorf("range: %v %d %q", err, resp.StatusCode, body)
	}
	_, _, err = get("", wire.PathObject+"pack/abc", nil)
	wantKind(t, err, dormer.ErrUnauthenticated)
	_, _, err = get(c.token, wire.PathObject+"pack/none", nil)
	wantKind(t, err, dormer.ErrNotFound)
	_, _, err = get("abc.def", wire.PathObject+"pack/abc", nil)
	wantKind(t, err, dormer.ErrUnauthenticated)

	p := s.user("olga")
	principal := dormer.Principal{Directory: dormer.EmbeddedDirectory, Kind: dormer.KindUser, Key: p.ID, Name: p.Name}
	session, secret, err := s.people.OpenSession(t.Context(), access.SessionOperator, principal, "")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = get(access.Token(session, secret), wire.PathObject+"pack/abc", nil)
	if err == nil {
		t.Error("somebody without a role reads an object")
	}
	if err := s.state.SetOperator(t.Context(), access.Operator{Principal: principal, Role: dormer.RoleReadOnly}); err != nil {
		t.Fatal(err)
	}
	if _, body, err := get(access.Token(session, secret), wire.PathObject+"pack/abc", nil); err != nil || body != "0123456789" {
		t.Errorf("an operator gets %q, %v", body, err)
	}
}

func TestPolicyBody(t *testing.T) {
	s, c, _ := ready(t)
	path := wire.PathPolicy + c.one().PolicyHash
	plain := must(s.call(http.MethodGet, path, c.token, nil, nil))(t)
	zipped := must(s.call(http.MethodGet, path, c.token, http.Header{"Accept-Encoding": {"br, gzip"}}, nil))(t)
	a, b := must(io.ReadAll(plain.Body))(t), unzip(t, zipped.Body)
	if !bytes.Equal(a, b) || plain.Header.Get("ETag") == zipped.Header.Get("ETag") {
		t.Errorf("plain and compressed differ or share a tag")
	}
	again, err := s.call(http.MethodGet, path, c.token, http.Header{"If-None-Match": {plain.Header.Get("ETag")}}, nil)
	if err != nil || again.StatusCode != http.StatusNotModified {
		t.Errorf("If-None-Match: %d, %v", again.StatusCode, err)
	}
	_, err = s.call(http.MethodGet, wire.PathPolicy+"sha256:"+strings.Repeat("0", 64), c.token, nil, nil)
	wantKind(t, err, dormer.ErrNotFound)
	_, err = s.call(http.MethodGet, wire.PathPolicy+"nothing", c.token, nil, nil)
	wantKind(t, err, dormer.ErrInvalid)
	_, err = s.call(http.MethodGet, path, "", nil, nil)
	wantKind(t, err, dormer.ErrUnauthenticated)
}
