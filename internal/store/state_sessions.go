package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
)

const sessionColumns = "id, hash, kind, user_directory, user_kind, user_key, user_name, client, created, expires"

func scanSession(s scanner) (access.Session, error) {
	var (
		v                access.Session
		hash             []byte
		created, expires int64
	)
	if err := s.Scan(&v.ID, &hash, &v.Kind, &v.User.Directory, &v.User.Kind, &v.User.Key, &v.User.Name, &v.Client, &created, &expires); err != nil {
		return v, err
	}
	if len(hash) != len(v.Hash) {
		return v, fmt.Errorf("session %s has a hash of %d bytes: %w", v.ID, len(hash), dormer.ErrCorrupt)
	}
	copy(v.Hash[:], hash)
	v.Created, v.Expires = moment(created), moment(expires)
	return v, nil
}

// CreateSession implements access.SessionStore.
func (s *State) CreateSession(ctx context.Context, v access.Session) error {
	_, err := s.db.exec(ctx, "create session", `INSERT INTO sessions
		(id, hash, kind, user_id, user_directory, user_kind, user_key, user_name, client, created, expires)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		v.ID, v.Hash[:], string(v.Kind), string(v.User.ID()), v.User.Directory, string(v.User.Kind), v.User.Key, v.User.Name,
		string(v.Client), micros(v.Created), micros(v.Expires))
	return err
}

// Session implements access.SessionStore.
func (s *State) Session(ctx context.Context, id string) (access.Session, error) {
	return one(ctx, s.db.read, "find session", scanSession, "SELECT "+sessionColumns+" FROM sessions WHERE id = $1", id)
}

// Sessions implements access.SessionStore.
func (s *State) Sessions(ctx context.Context, kind access.SessionKind) ([]access.Session, error) {
	return all(ctx, s.db.read, "list sessions", scanSession,
		"SELECT "+sessionColumns+" FROM sessions WHERE kind = $1 ORDER BY created, id", string(kind))
}

// EndSession implements access.SessionStore. Ending it again changes nothing.
func (s *State) EndSession(ctx context.Context, id string) error {
	_, err := s.db.exec(ctx, "end session", "DELETE FROM sessions WHERE id = $1", id)
	return err
}

// EndSessionsOf implements access.SessionStore.
func (s *State) EndSessionsOf(ctx context.Context, user dormer.UserID) ([]string, error) {
	const what = "end sessions of user"
	var ended []string
	err := s.db.update(ctx, what, func(tx *sql.Tx) error {
		var err error
		ended, err = all(ctx, tx, what, value[string], "DELETE FROM sessions WHERE user_id = $1 RETURNING id", string(user))
		return err
	})
	if err != nil {
		return nil, err
	}
	return ended, nil
}

// DeleteExpiredSessions implements access.SessionStore.
func (s *State) DeleteExpiredSessions(ctx context.Context, now time.Time) error {
	_, err := s.db.exec(ctx, "delete expired sessions", "DELETE FROM sessions WHERE expires <= $1", micros(now))
	return err
}
