package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
)

// sessions are all sessions, in memory for checking and in the store for good.
// One that was ended is refused at once; the store follows before EndSession
// returns. One that another replica opened is looked up in the store when it is
// first met; one that another replica ended counts until follow.
type sessions struct {
	store   SessionStore
	now     func() time.Time
	random  io.Reader
	lookups misses

	mu sync.RWMutex
	// guards the fields below
	byID map[string]Session
	// ended are those that were ended here, and when: they do not come back,
	// whatever the store said a moment before.
	ended map[string]time.Time
	// ends counts how often the sessions of a user were ended here. Whoever
	// reads a session from the store, or writes one, looks whether it has changed
	// meanwhile.
	ends uint64
	// endsOf is ends when sessions of a user were last ended here, provedOf when
	// the user last began to prove who they are. Who began before the end, with a
	// password that was changed since, opens none after it. Both are emptied by
	// sweep: what is in between a proof and its session takes no hour.
	endsOf, provedOf map[dormer.UserID]uint64
}

// endedKept is for how long it is remembered that a session was ended, far
// longer than the store takes to say so.
const endedKept = time.Hour

func loadSessions(ctx context.Context, store SessionStore, now func() time.Time, random io.Reader) (*sessions, error) {
	s := &sessions{
		store: store, now: now, random: random, lookups: newMisses(now), byID: map[string]Session{}, ended: map[string]time.Time{},
		endsOf: map[dormer.UserID]uint64{}, provedOf: map[dormer.UserID]uint64{},
	}
	if err := store.DeleteExpiredSessions(ctx, now()); err != nil {
		return nil, fmt.Errorf("remove expired sessions: %w", err)
	}
	for _, kind := range []SessionKind{SessionOperator, SessionUser} {
		all, err := store.Sessions(ctx, kind)
		if err != nil {
			return nil, fmt.Errorf("load sessions: %w", err)
		}
		for _, one := range all {
			s.byID[one.ID] = one
		}
	}
	return s, nil
}

func (s *sessions) open(ctx context.Context, one Session) (Session, string, error) {
	var secret string
	var err error
	if one.ID, secret, one.Hash, err = newSecret(s.random); err != nil {
		return Session{}, "", fmt.Errorf("make session: %w", err)
	}
	s.mu.RLock()
	ends := s.ends
	proved, known := s.provedOf[one.User.ID()]
	late := known && proved < s.endsOf[one.User.ID()]
	s.mu.RUnlock()
	if late {
		return Session{}, "", fmt.Errorf("the user's sessions were ended after this sign-in began: %w", dormer.ErrUnauthenticated)
	}
	if err := s.store.CreateSession(ctx, one); err != nil {
		return Session{}, "", fmt.Errorf("keep session: %w", err)
	}
	if err := s.insert(ctx, one, ends); err != nil {
		return Session{}, "", err
	}
	s.mu.RLock()
	over := s.over(one)
	s.mu.RUnlock()
	for _, old := range over {
		if err := s.end(ctx, old); err != nil {
			return Session{}, "", err
		}
	}
	return one, secret, nil
}

// MaxSessions is how many sessions of one kind somebody has at once on one
// client, or, for operators, at all; see docs/limits.md. Programs that sign in
// again and again would otherwise fill the server's memory.
const MaxSessions = 64

// over returns the oldest sessions beyond MaxSessions of those that are like
// one. It needs s.mu.
func (s *sessions) over(one Session) []string {
	var like []Session
	for _, o := range s.byID {
		if o.Kind == one.Kind && o.Client == one.Client && o.User.ID() == one.User.ID() {
			like = append(like, o)
		}
	}
	if len(like) <= MaxSessions {
		return nil
	}
	slices.SortFunc(like, func(a, b Session) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	var out []string
	for _, o := range like[:len(like)-MaxSessions] {
		if o.ID != one.ID {
			out = append(out, o.ID)
		}
	}
	return out
}

// begin returns what proved takes, before somebody proves who they are.
func (s *sessions) begin() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ends
}

// proved notes that a user has proved who they are, and when that began.
func (s *sessions) proved(user dormer.UserID, began uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.provedOf[user] = began
}

// insert puts into memory what the store has had since ends was read. When
// sessions of a user were ended since, the store is asked whether it still has
// it: ErrUnauthenticated when not.
func (s *sessions) insert(ctx context.Context, one Session, ends uint64) error {
	for {
		s.mu.Lock()
		_, over := s.ended[one.ID]
		current := s.ends == ends
		if current && !over {
			s.byID[one.ID] = one
		}
		ends = s.ends
		s.mu.Unlock()
		if over {
			return fmt.Errorf("the session was ended: %w", dormer.ErrUnauthenticated)
		}
		if current {
			return nil
		}
		_, err := s.store.Session(ctx, one.ID)
		if errors.Is(err, dormer.ErrNotFound) {
			return fmt.Errorf("the session was ended: %w", dormer.ErrUnauthenticated)
		}
		if err != nil {
			return fmt.Errorf("find session: %w", err)
		}
	}
}

func (s *sessions) check(ctx context.Context, kind SessionKind, id, secret string) (Session, error) {
	one, err := s.find(ctx, id)
	if err != nil && !errors.Is(err, dormer.ErrNotFound) && !errors.Is(err, dormer.ErrUnauthenticated) {
		return Session{}, fmt.Errorf("find session: %w", err)
	}
	if !isSecret(secret, one.Hash) || err != nil || one.Kind != kind || !s.now().Before(one.Expires) {
		return Session{}, fmt.Errorf("no such session: %w", dormer.ErrUnauthenticated)
	}
	return one, nil
}

// find returns a session from memory, or from the store when another replica
// opened it.
func (s *sessions) find(ctx context.Context, id string) (Session, error) {
	s.mu.RLock()
	one, ok := s.byID[id]
	_, over := s.ended[id]
	ends := s.ends
	s.mu.RUnlock()
	if ok {
		return one, nil
	}
	if over {
		return Session{}, dormer.ErrNotFound
	}
	one, err := lookUp(ctx, &s.lookups, id, s.store.Session)
	if err != nil {
		return Session{}, err
	}
	return one, s.insert(ctx, one, ends)
}

// forget forgets sessions. It needs s.mu.
func (s *sessions) forget(id string) {
	delete(s.byID, id)
	s.ended[id] = s.now()
}

// forgetOf forgets those of a user, of one kind or, if kind is empty, of both.
func (s *sessions) forgetOf(kind SessionKind, user dormer.UserID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends++
	s.endsOf[user] = s.ends
	for id, one := range s.byID {
		if one.User.ID() == user && (kind == "" || one.Kind == kind) {
			s.forget(id)
		}
	}
}

// end forgets the session first, so that it is refused whatever the store says.
func (s *sessions) end(ctx context.Context, id string) error {
	if !dormer.ValidID(id) {
		return nil
	}
	s.mu.Lock()
	s.forget(id)
	s.mu.Unlock()
	if err := s.store.EndSession(ctx, id); err != nil && !errors.Is(err, dormer.ErrNotFound) {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// endOf forgets a user's sessions before the store does and once more after
// it: one that is opened meanwhile is either gone from the store, or was opened
// after the others were ended.
func (s *sessions) endOf(ctx context.Context, user dormer.UserID) error {
	s.forgetOf("", user)
	ended, err := s.store.EndSessionsOf(ctx, user)
	if err != nil {
		return fmt.Errorf("end sessions of user: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends++
	s.endsOf[user] = s.ends
	for _, id := range ended {
		s.forget(id)
	}
	return nil
}

// endKindOf ends a user's sessions of one kind, also those that only the store
// knows.
func (s *sessions) endKindOf(ctx context.Context, kind SessionKind, user dormer.UserID) error {
	s.forgetOf(kind, user)
	all, err := s.store.Sessions(ctx, kind)
	if err != nil {
		return fmt.Errorf("end sessions of user: %w", err)
	}
	for _, one := range all {
		if one.User.ID() == user {
			if err := s.end(ctx, one.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// follow makes memory what the store has of a kind: sessions that were ended
// elsewhere are forgotten, those that were opened elsewhere known. A session
// is in the store before it is in memory, so that only those are forgotten
// which were in memory before the store was asked.
func (s *sessions) follow(ctx context.Context, kind SessionKind) error {
	s.mu.RLock()
	gone := map[string]bool{}
	for id, one := range s.byID {
		if one.Kind == kind {
			gone[id] = true
		}
	}
	ends := s.ends
	s.mu.RUnlock()
	all, err := s.store.Sessions(ctx, kind)
	if err != nil {
		return fmt.Errorf("look for ended sessions: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range all {
		delete(gone, one.ID)
		if _, over := s.ended[one.ID]; !over && s.ends == ends {
			s.byID[one.ID] = one
		}
	}
	for id := range gone {
		delete(s.byID, id)
	}
	return nil
}

// sweep forgets what has expired.
func (s *sessions) sweep(ctx context.Context) error {
	now := s.now()
	s.mu.Lock()
	for id, one := range s.byID {
		if !now.Before(one.Expires) {
			delete(s.byID, id)
		}
	}
	clear(s.endsOf)
	clear(s.provedOf)
	for id, at := range s.ended {
		if age := now.Sub(at); age < 0 || age > endedKept {
			delete(s.ended, id)
		}
	}
	s.mu.Unlock()
	if err := s.store.DeleteExpiredSessions(ctx, now); err != nil {
		return fmt.Errorf("remove expired sessions: %w", err)
	}
	return nil
}
