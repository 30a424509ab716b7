package notice_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/notice"
)

// kept is a store in memory.
type kept struct {
	mu       sync.Mutex // guards the fields below
	records  []audit.Record
	presents map[notice.Console]notice.Presence
	asked    int
	broken   error
}

func (k *kept) put(r audit.Record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.ID == 0 {
		r.ID = 1
		for _, other := range k.records {
			r.ID = max(r.ID, other.ID+1)
		}
	}
	k.records = append(k.records, r)
	slices.SortFunc(k.records, func(a, b audit.Record) int { return int(a.ID - b.ID) })
}

func (k *kept) Append(_ context.Context, r audit.Record) error {
	k.put(r)
	return nil
}

func (k *kept) Records(context.Context, int64, int) ([]audit.Record, error) { return nil, nil }

func (k *kept) Find(context.Context, audit.Filter) ([]audit.Record, error) { return nil, nil }

func (k *kept) RecordsAfter(_ context.Context, after int64, limit int) ([]audit.Record, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	var list []audit.Record
	for _, r := range k.records {
		if r.ID > after && len(list) < limit {
			list = append(list, r)
		}
	}
	return list, k.broken
}

func (k *kept) NewestRecord(context.Context) (int64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.records) == 0 {
		return 0, nil
	}
	return k.records[len(k.records)-1].ID, nil
}

func (k *kept) Presences(_ context.Context, since time.Time, _ int) ([]notice.Presence, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []notice.Presence
	for _, p := range k.presents {
		if p.Seen.After(since) {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b notice.Presence) int { return a.Since.Compare(b.Since) })
	return list, nil
}

func (k *kept) SetPresence(_ context.Context, p notice.Presence) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.presents[p.Console] = p
	return nil
}

func (k *kept) RenewPresence(_ context.Context, c notice.Console, seen time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p, ok := k.presents[c]; ok {
		p.Seen = seen
		k.presents[c] = p
	}
	return nil
}

func (k *kept) EndPresence(_ context.Context, c notice.Console) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.presents, c)
	return nil
}

func (k *kept) DeletePresencesBefore(_ context.Context, t time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for c, p := range k.presents {
		if !p.Seen.After(t) {
			delete(k.presents, c)
		}
	}
	return nil
}

// bench is a board that runs within a bubble of time.
type bench struct {
	t     *testing.T
	store *kept
	board *notice.Board
	log   audit.Log
}

// run runs a test with a board, in time of its own.
func run(t *testing.T, test func(*testing.T, *bench)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, store: &kept{presents: map[notice.Console]notice.Presence{}}}
		b.board = notice.New(b.store, time.Now)
		b.log = b.board.Log(b.store)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.board.Run(ctx) }()
		test(t, b)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

var alice = notice.Console{Principal: "local/alice", Name: "console-a"}

// listen begins a stream and takes what it begins with.
func (b *bench) listen(of notice.Console, after int64) (*notice.Stream, notice.Told) {
	b.t.Helper()
	s, err := b.board.Listen(b.t.Context(), notice.Listener{Console: of, After: after})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(s.Close)
	return s, b.next(s)
}

func (b *bench) next(s *notice.Stream) notice.Told {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Hour)
	defer cancel()
	told, err := s.Next(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	return told
}

// silent fails when there is something to tell within a time.
func (b *bench) silent(s *notice.Stream, d time.Duration) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), d)
	defer cancel()
	if told, err := s.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		b.t.Errorf("it told %+v (%v)", told, err)
	}
}

func actions(told notice.Told) []string {
	var list []string
	for _, c := range told.Changes {
		list = append(list, c.Action)
	}
	return list
}

func (b *bench) same(got, want any) {
	b.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestChanges(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		b.store.put(audit.Record{Action: "workspace.commit"}) // before anybody listens
		s, first := b.listen(alice, 0)
		b.same(first, notice.Told{Moved: true})

		const id = "aaaaaaaaaaaaaaaaaaaaaaaaaa"
		began := time.Now()
		record := audit.Record{
			Time: began, Who: "bob", Principal: "local/bob", Action: "workspace.commit", Object: "Office (2) (" + id + ")", Detail: "revision 4", Request: "r", Remote: "192.0.2.1",
		}
		if err := b.log.Append(t.Context(), record); err != nil {
			t.Fatal(err)
		}
		b.same(b.next(s).Changes, []notice.Change{{
			ID: 2, Time: began, Who: "bob", Principal: "local/bob", Action: "workspace.commit", Kind: "workspace", Object: id, Name: "Office (2)", Detail: "revision 4", Request: "r",
		}})
		if took := time.Since(began); took != 0 {
			t.Errorf("what this server recorded came after %v", took)
		}

		// Another server of the instance.
		b.store.put(audit.Record{Action: "image.delete", Object: "base/3"})
		b.store.put(audit.Record{Action: "join-token.revoke", Object: id})
		b.store.put(audit.Record{Action: "report.save", Object: "Weekly (all)"})
		b.store.put(audit.Record{Action: "operator.set", Object: "ann (corp/x)"})
		b.store.put(audit.Record{Action: "alert-rule.set", Object: "rule Full (disks)"})
		told := b.next(s)
		b.same(actions(told), []string{"image.delete", "join-token.revoke", "report.save", "operator.set", "alert-rule.set"})
		var objects [][2]string
		for _, c := range told.Changes {
			objects = append(objects, [2]string{c.Name, c.Object})
		}
		b.same(objects, [][2]string{{"base/3", ""}, {"", id}, {"Weekly (all)", ""}, {"ann", "corp/x"}, {"Full (disks)", ""}})
		if took := time.Since(began); took > time.Second {
			t.Errorf("what another server recorded came after %v", took)
		}

		// What changes nothing that others see.
		for _, action := range []string{"session.open", "session.refuse", "client.refuse", "report.export", "image-key.read"} {
			if err := b.log.Append(t.Context(), audit.Record{Action: action}); err != nil {
				t.Fatal(err)
			}
		}
		b.silent(s, time.Minute)
	})
}

// TestNobodyListens: then the store is left alone.
func TestNobodyListens(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		s, _ := b.listen(alice, 0)
		s.Close()
		synctest.Wait()
		before := b.store.asked
		b.silentFor(time.Hour)
		if b.store.asked != before {
			t.Errorf("the store was asked %d times", b.store.asked-before)
		}
		if _, err := s.Next(t.Context()); !errors.Is(err, dormer.ErrUnavailable) {
			t.Errorf("a closed stream: %v", err)
		}
		// What came meanwhile is no news to who listens then.
		b.store.put(audit.Record{Action: "image.delete"})
		_, first := b.listen(alice, 0)
		b.same(first, notice.Told{Moved: true})
	})
}

// silentFor lets time go by.
func (b *bench) silentFor(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

// TestLateRecord: who writes at once may commit in another order.
func TestLateRecord(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		s, _ := b.listen(alice, 0)
		b.store.put(audit.Record{ID: 3, Action: "image.third"})
		b.same(actions(b.next(s)), []string{"image.third"})
		b.store.put(audit.Record{ID: 2, Action: "image.second"})
		b.same(actions(b.next(s)), []string{"image.second"})
		for id := range int64(2000) { // many behind the gap
			b.store.put(audit.Record{ID: 4 + id, Action: "session.open"})
		}
		b.store.put(audit.Record{ID: 4000, Action: "image.last"})
		b.same(actions(b.next(s)), []string{"image.last"})
		b.store.put(audit.Record{ID: 1, Action: "image.first"})
		b.same(actions(b.next(s)), []string{"image.first"})
		b.silent(s, time.Minute)
		b.store.put(audit.Record{ID: 3999, Action: "image.too-late"})
		b.silent(s, time.Minute)
	})
}

// TestMissed: who comes again is told what happened meanwhile.
func TestMissed(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		for i := range 600 {
			b.store.put(audit.Record{Action: fmt.Sprint("image.change-", i)})
		}
		_, told := b.listen(alice, 598)
		b.same(actions(told), []string{"image.change-598", "image.change-599"})
		s, told := b.listen(alice, 50)
		if !told.Missed || told.Changes != nil {
			t.Errorf("of 550 it told %+v", told)
		}
		b.store.put(audit.Record{Action: "image.next"})
		b.same(actions(b.next(s)), []string{"image.next"})
		_, told = b.listen(alice, 1_000_000) // of another database
		b.same(told, notice.Told{Moved: true})
	})
}

// TestSlow: who takes nothing is cut, others are not kept waiting.
func TestSlow(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		slow, _ := b.listen(alice, 0)
		quick, _ := b.listen(alice, 0)
		got := 0
		for range 3 {
			for range 400 {
				b.store.put(audit.Record{Action: "image.change"})
			}
			got += len(b.next(quick).Changes)
			for got%400 != 0 {
				got += len(b.next(quick).Changes)
			}
		}
		if _, err := slow.Next(t.Context()); !errors.Is(err, dormer.ErrUnavailable) || got != 1200 {
			t.Errorf("the slow one: %v; the quick one was told %d", err, got)
		}
	})
}

func TestTooMany(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		for range notice.MaxStreamsOfPrincipal {
			b.listen(alice, 0)
		}
		if _, err := b.board.Listen(t.Context(), notice.Listener{Console: alice}); !errors.Is(err, dormer.ErrConflict) {
			t.Errorf("one more of an operator: %v", err)
		}
		for i := range notice.MaxStreams - notice.MaxStreamsOfPrincipal {
			b.listen(notice.Console{Principal: dormer.UserID(fmt.Sprint("local/", i))}, 0)
		}
		if _, err := b.board.Listen(t.Context(), notice.Listener{Console: notice.Console{Principal: "local/bob"}}); !errors.Is(err, dormer.ErrUnavailable) {
			t.Errorf("one more of another: %v", err)
		}
	})
}

func TestStop(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		s, _ := b.listen(alice, 0)
		ended := make(chan error)
		go func() {
			_, err := s.Next(t.Context())
			ended <- err
		}()
		synctest.Wait()
		b.board.Stop()
		if err := <-ended; !errors.Is(err, dormer.ErrUnavailable) {
			t.Errorf("the stream ended with %v", err)
		}
		if _, err := b.board.Listen(t.Context(), notice.Listener{Console: alice}); !errors.Is(err, dormer.ErrUnavailable) {
			t.Errorf("another one: %v", err)
		}
	})
}

func TestPresence(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		bob := notice.Console{Principal: "local/bob", Name: "console-b"}
		s, _ := b.listen(alice, 0)
		be := func(where string, editing bool) notice.Presence {
			t.Helper()
			p := notice.Presence{Console: bob, Who: "bob", Where: where, Editing: editing, Since: time.Now(), Seen: time.Now()}
			if err := b.board.Be(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			return p
		}
		p := be("workspaces/x", false)
		b.same(b.next(s), notice.Told{Moved: true, Present: []notice.Presence{p}})
		p = be("workspaces/x", true)
		b.same(b.next(s), notice.Told{Moved: true, Present: []notice.Presence{p}})
		// Who is renewed is there, and that is no news.
		for range 10 {
			if err := b.board.Renew(t.Context(), bob); err != nil {
				t.Fatal(err)
			}
			b.silent(s, notice.PresenceInterval)
		}
		// Who is silent is not there after a minute.
		began := time.Now()
		b.same(b.next(s), notice.Told{Moved: true})
		if took := time.Since(began); took > notice.PresenceTime {
			t.Errorf("it took %v", took)
		}
		be("images", false)
		b.next(s)
		be("", false)
		b.same(b.next(s), notice.Told{Moved: true})

		// A console that has come again does not go when its old stream ends.
		p = be("images", false)
		b.next(s)
		again, told := b.listen(bob, 0)
		b.same(told.Present, []notice.Presence{p})
		for _, leaves := range []bool{false, true} {
			if err := b.board.Leave(t.Context(), bob); err != nil {
				t.Fatal(err)
			}
			if leaves {
				b.same(b.next(s), notice.Told{Moved: true})
			} else {
				b.silent(s, 10*time.Second)
				again.Close()
			}
		}
	})
}
