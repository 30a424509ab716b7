package clientapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/wire"
)

func TestDirectoryAway(t *testing.T) {
	s, c, _ := ready(t)
	away := func() {
		s.groups.err = fmt.Errorf("directory: %w", dormer.ErrUnavailable)
		s.api.DirectoryChanged()
	}
	tag := c.keysTag
	quiet := func(when string) {
		t.Helper()
		for range 2 {
			a := c.poll()
			if len(a.EndedSessions)+len(a.Withdrawn)+len(a.Leases) > 0 || a.Keys != nil || c.keysTag != tag {
				t.Errorf("%s: answer is %+v", when, a)
			}
		}
	}
	away()
	quiet("what was known counts")
	// A server that has just started knows nothing, and takes nothing away.
	_ = errors.Join(s.state.Close(), s.events.Close())
	s.start()
	away()
	quiet("nothing is known")
	s.groups.err = &access.RefusedError{Reason: access.ReasonLocked}
	s.api.DirectoryChanged()
	quiet("somebody locked the account")

	s.groups.err = nil
	s.clock.Add(time.Minute)
	if a := c.poll(); len(a.Leases) != 1 || len(a.Withdrawn) > 0 {
		t.Errorf("when it is back: %+v", a)
	}
	if !strings.Contains(s.log.String(), "a directory does not answer") {
		t.Error("the log says nothing of it")
	}
}

func TestStateStoreAway(t *testing.T) {
	s, c, _ := ready(t)
	s.workspace("Second", "office", "alice")
	if err := s.state.Close(); err != nil {
		t.Fatal(err)
	}
	before := c.one()
	s.clock.Add(time.Minute)
	q := c.request()
	q.Machines[0].BudgetUsed = 3 * 24 * 3600
	a, err := c.send(q)
	if err != nil {
		t.Fatal(err)
	}
	// The new workspace has to wait; the machine that is there is renewed.
	if len(a.Leases) != 1 || c.one().Machine != before.Machine || c.one().Serial == before.Serial || a.Keys != nil {
		t.Errorf("answer is %+v", a)
	}
}

// TestStrangersSendLittle: who has no token yet cannot make the server read
// and keep much.
func TestStrangersSendLittle(t *testing.T) {
	s := newServer(t)
	body := append([]byte(`{"protocol":1,"client":"`), bytes.Repeat([]byte("x"), 20<<10)...)
	for _, path := range []string{wire.PathEnrol, wire.PathChallenge, wire.PathToken} {
		wantKind(t, s.post(path, "", body, nil), dormer.ErrTooLarge)
	}
}

func TestUnknownRepositoryKey(t *testing.T) {
	s, c, _ := ready(t)
	s.images.set("office", catalog.Image{ID: imageID("b"), Number: 2, KeyID: "ffffffffffffffff"})
	if err := s.catalog.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := c.poll(); len(a.Leases) > 0 || len(a.Withdrawn) != 1 || !strings.Contains(a.Withdrawn[0].Reason, "key") {
		t.Errorf("answer is %+v", a)
	}
}

func TestRunWritesAtTheEnd(t *testing.T) {
	s, c, _ := ready(t)
	s.clock.Add(time.Minute)
	c.poll()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.api.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if got := must(s.state.Client(t.Context(), c.id))(t); got.LastSeen == nil || !got.LastSeen.Equal(s.clock.Now()) {
		t.Errorf("last seen is %v", got.LastSeen)
	}
	if m := must(s.state.Machines(t.Context()))(t); m[0].State != "ready" {
		t.Errorf("machine is %+v", m[0])
	}
}

func TestFlushKeepsWhatCouldNotBeWritten(t *testing.T) {
	s, c, _ := ready(t)
	s.clock.Add(time.Minute)
	c.poll()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s.api.Flush(ctx) == nil {
		t.Fatal("a flush that was cut short reports success")
	}
	if err := s.api.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := must(s.state.Client(t.Context(), c.id))(t); !got.LastSeen.Equal(s.clock.Now()) {
		t.Errorf("last seen is %v", got.LastSeen)
	}
	if m := must(s.state.Machines(t.Context()))(t); m[0].State != "ready" {
		t.Errorf("machine is %+v", m[0])
	}
}

// TestManyAtOnce lets clients poll while workspaces, images and orders change,
// and looks at where it ends.
func TestManyAtOnce(t *testing.T) {
	const clients, polls = 8, 15
	s := newServer(t)
	s.user("alice")
	w := s.workspace("Office", "office", "alice")
	var all []*client
	for range clients {
		c := s.client(true)
		if err := c.signIn("alice", password); err != nil {
			t.Fatal(err)
		}
		c.poll() // it learns the epoch, without which no events are taken
		all = append(all, c)
	}
	var wg sync.WaitGroup
	for n, c := range all {
		wg.Go(func() {
			for i := range polls {
				q := c.request()
				q.Journal, q.Events = dormer.JournalID(fmt.Sprint("journal-", n)), numbered(uint64(i+1))
				if a, err := c.send(q); err != nil || a.ReceivedThrough != uint64(i+1) {
					t.Errorf("client %d: %d, %v", n, a.ReceivedThrough, err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		tag := w.ETag
		for i := range polls {
			grant := []string{"clipboard: both", "clipboard: none"}[i%2]
			r, _, err := s.catalog.Commit(t.Context(), w.Workspace, document("Office", "office", "alice", grant), tag, "admin", "")
			if err != nil {
				t.Error(err)
				return
			}
			tag = r.ETag
			s.images.set("office", catalog.Image{ID: imageID("b"), Number: i + 2})
			s.api.DirectoryChanged()
			if err := errors.Join(s.catalog.Refresh(t.Context()), s.issuer.Refresh(t.Context()), s.enroll.Refresh(t.Context()), s.api.Flush(t.Context())); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	machines := map[dormer.MachineID]bool{}
	for _, c := range all {
		c.poll()
		l := c.one()
		if l.PolicyRevision != polls+1 || l.ImageName != fmt.Sprintf("office/%d", polls+1) || c.keys[wire.DiskKeyName(l.Machine)] == nil {
			t.Errorf("lease at the end is %+v", l)
		}
		machines[l.Machine] = true
	}
	if len(machines) != clients || len(must(s.state.Machines(t.Context()))(t)) != clients {
		t.Errorf("%d machines, expected %d", len(machines), clients)
	}
}
