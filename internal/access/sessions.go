package access

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
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
// returns.
type sessions struct {
	store  SessionStore
	now    func() time.Time
	random io.Reader

	mu   sync.RWMutex // guards byID
	byID map[string]Session
}

func loadSessions(ctx context.Context, store SessionStore, now func() time.Time, random io.Reader) (*sessions, error) {
	s := &sessions{store: store, now: now, random: random, byID: map[string]Session{}}
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
	id, err := dormer.NewID(s.random)
	if err != nil {
		return Session{}, "", err
	}
	b := make([]byte, 32)
	if _, err := io.ReadFull(s.random, b); err != nil {
		return Session{}, "", fmt.Errorf("make session: %w", err)
	}
	secret := base64.RawURLEncoding.EncodeToString(b)
	one.ID, one.Hash = id, sha256.Sum256([]byte(secret))
	if err := s.store.CreateSession(ctx, one); err != nil {
		return Session{}, "", fmt.Errorf("keep session: %w", err)
	}
	s.mu.Lock()
	s.byID[id] = one
	over := s.over(one)
	s.mu.Unlock()
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

func (s *sessions) check(kind SessionKind, id, secret string) (Session, error) {
	s.mu.RLock()
	one, ok := s.byID[id]
	s.mu.RUnlock()
	sum := sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(sum[:], one.Hash[:]) != 1 || !ok || one.Kind != kind || !s.now().Before(one.Expires) {
		return Session{}, fmt.Errorf("no such session: %w", dormer.ErrUnauthenticated)
	}
	return one, nil
}

// end forgets the session first, so that it is refused whatever the store says.
func (s *sessions) end(ctx context.Context, id string) error {
	s.mu.Lock()
	delete(s.byID, id)
	s.mu.Unlock()
	if err := s.store.EndSession(ctx, id); err != nil && !errors.Is(err, dormer.ErrNotFound) {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

func (s *sessions) endOf(ctx context.Context, user dormer.UserID) error {
	s.mu.Lock()
	for id, one := range s.byID {
		if one.User.ID() == user {
			delete(s.byID, id)
		}
	}
	s.mu.Unlock()
	if _, err := s.store.EndSessionsOf(ctx, user); err != nil {
		return fmt.Errorf("end sessions of user: %w", err)
	}
	return nil
}

// endKindOf ends a user's sessions of one kind, also those that only the store
// knows.
func (s *sessions) endKindOf(ctx context.Context, kind SessionKind, user dormer.UserID) error {
	all, err := s.store.Sessions(ctx, kind)
	if err != nil {
		return fmt.Errorf("end sessions of user: %w", err)
	}
	s.mu.Lock()
	for id, one := range s.byID {
		if one.Kind == kind && one.User.ID() == user {
			delete(s.byID, id)
		}
	}
	s.mu.Unlock()
	for _, one := range all {
		if one.User.ID() == user {
			if err := s.end(ctx, one.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// follow forgets sessions of a kind that the store does not have any more. A
// session is in the store before it is in memory, so that only those count
// which were in memory before the store was asked.
func (s *sessions) follow(ctx context.Context, kind SessionKind) error {
	s.mu.RLock()
	gone := map[string]bool{}
	for id, one := range s.byID {
		if one.Kind == kind {
			gone[id] = true
		}
	}
	s.mu.RUnlock()
	all, err := s.store.Sessions(ctx, kind)
	if err != nil {
		return fmt.Errorf("look for ended sessions: %w", err)
	}
	for _, one := range all {
		delete(gone, one.ID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
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
	s.mu.Unlock()
	if err := s.store.DeleteExpiredSessions(ctx, now); err != nil {
		return fmt.Errorf("remove expired sessions: %w", err)
	}
	return s.follow(ctx, SessionUser)
}
