package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

var (
	_ event.Follower = (*Events)(nil)
	_ event.Turns    = (*Events)(nil)
)

// followWait is how long Follow waits for those who are storing events; they
// wait no longer for Follow.
const followWait = "3s"

// Follow implements event.Follower.
func (s *Events) Follow(ctx context.Context, i dormer.InstanceID, after int64, limit int) (rows []event.Row, next int64, err error) {
	if limit < 1 {
		return nil, 0, dormer.Invalidf("limit", "must be at least 1")
	}
	instance, err := s.instanceID(ctx, s.db.read, i)
	switch {
	case errors.Is(err, dormer.ErrNotFound):
		return nil, after, nil // nothing was stored yet
	case err != nil:
		return nil, 0, err
	}
	top, err := s.settled(ctx, after)
	if err != nil || top <= after {
		return nil, after, err
	}
	rows, err = all(ctx, s.db.read, "follow events", scanEvent, s.followQuery(), instance, after, top, int64(limit))
	if err != nil {
		return nil, 0, err
	}
	if len(rows) == limit {
		return rows, rows[limit-1].ID, nil
	}
	return rows, top, nil
}

// followQuery is the statement for events of an instance ($1) with identities
// over $2 up to $3, at most $4.
func (s *Events) followQuery() string {
	of := "+e.instance = $1" // SQLite goes by identity then, and not by its index on instances
	if s.db.postgres {
		of = "e.instance = $1" // finds the partitions
	}
	return "SELECT " + eventColumns + " FROM events e CROSS JOIN contexts c WHERE c.id = e.context AND " + of +
		" AND e.id > $2 AND e.id <= $3 ORDER BY e.id LIMIT $4"
}

// End implements event.Follower.
func (s *Events) End(ctx context.Context) (int64, error) { return s.settled(ctx, -1) }

// given is the highest identity that was given to an event, committed or not.
func (s *Events) given(ctx context.Context, q querier) (int64, error) {
	query := "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'"
	if s.db.postgres {
		query = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM events_id"
	}
	return one(ctx, q, "find the newest event", value[int64], query)
}

// settled returns an identity up to which nothing will be committed any more:
// the highest that was given while nobody was storing events. Where none is over
// after it returns after or less without waiting for anybody.
func (s *Events) settled(ctx context.Context, after int64) (top int64, err error) {
	top, err = s.given(ctx, s.db.read)
	if err != nil || top <= after || !s.db.postgres {
		return top, err
	}
	// Identities are given before they are committed. Who stores events shares
	// this lock until then.
	const what = "wait for events that are being stored"
	tx, err := s.db.read.BeginTx(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, kind(err))
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, "SET LOCAL lock_timeout = '"+followWait+"'"); err != nil {
		return 0, fmt.Errorf("%s: %w", what, kind(err))
	}
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock("+appendLock+")"); err != nil {
		return 0, fmt.Errorf("%s: %w", what, kind(err))
	}
	if top, err = s.given(ctx, tx); err != nil {
		return 0, err
	}
	if err := tx.Commit(); err != nil {
		return 0, fmt.Errorf("%s: %w", what, kind(err))
	}
	return top, nil
}

// Position implements event.Follower.
func (s *Events) Position(ctx context.Context, i dormer.InstanceID, name string) (position int64, state []byte, err error) {
	const what = "find how far events were followed"
	instance, err := s.instanceID(ctx, s.db.read, i)
	if err != nil {
		return 0, nil, fmt.Errorf("%s: %w", what, err)
	}
	type row struct {
		position int64
		state    []byte
	}
	r, err := one(ctx, s.db.read, what, func(c scanner) (row, error) {
		var r row
		return r, c.Scan(&r.position, &r.state)
	}, "SELECT position, state FROM follows WHERE instance = $1 AND name = $2", instance, name)
	return r.position, r.state, err
}

// SetPosition implements event.Follower.
func (s *Events) SetPosition(ctx context.Context, i dormer.InstanceID, name string, position int64, state []byte) error {
	instance, err := s.ensureInstance(ctx, i)
	if err != nil {
		return err
	}
	return s.db.update(ctx, "store how far events were followed", func(tx *sql.Tx) error {
		return setPosition(ctx, tx, instance, name, position, state)
	})
}

func setPosition(ctx context.Context, tx *sql.Tx, instance int64, name string, position int64, state []byte) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO follows (instance, name, position, state) VALUES ($1, $2, $3, $4)
		ON CONFLICT (instance, name) DO UPDATE SET position = excluded.position, state = excluded.state`,
		instance, name, position, bytesOf(state))
	return err
}

// ensureInstance returns the number of an instance, which it gets if it has none.
func (s *Events) ensureInstance(ctx context.Context, i dormer.InstanceID) (int64, error) {
	id, err := s.instanceID(ctx, s.db.write, i)
	if !errors.Is(err, dormer.ErrNotFound) {
		return id, err
	}
	if err := s.makeInstance(ctx, i); err != nil {
		return 0, err
	}
	return s.instanceID(ctx, s.db.write, i)
}

// turnOf is the name of the row that says whose turn it is.
func turnOf(name string) string { return "turn: " + name }

// databaseNow is the clock of the database, in microseconds.
func (s *Events) databaseNow(ctx context.Context, tx *sql.Tx) (int64, error) {
	query := "SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER)"
	if s.db.postgres {
		query = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"
	}
	return one(ctx, tx, "ask for the time", value[int64], query)
}

// TakeTurn implements event.Turns.
func (s *Events) TakeTurn(ctx context.Context, i dormer.InstanceID, name, holder string, length time.Duration) (mine bool, err error) {
	instance, err := s.ensureInstance(ctx, i)
	if err != nil {
		return false, err
	}
	err = s.db.update(ctx, "take a turn", func(tx *sql.Tx) error {
		now, err := s.databaseNow(ctx, tx)
		if err != nil {
			return err
		}
		has, until, err := turn(ctx, tx, instance, name)
		if err != nil {
			return err
		}
		if mine = has == holder || until <= now; !mine {
			return nil
		}
		return setPosition(ctx, tx, instance, turnOf(name), now+length.Microseconds(), []byte(holder))
	})
	return mine, err
}

// turn returns who has a turn, and until when.
func turn(ctx context.Context, tx *sql.Tx, instance int64, name string) (holder string, until int64, err error) {
	var b []byte
	err = tx.QueryRowContext(ctx, "SELECT state, position FROM follows WHERE instance = $1 AND name = $2", instance, turnOf(name)).Scan(&b, &until)
	if errors.Is(err, sql.ErrNoRows) {
		return "", 0, nil
	}
	return string(b), until, err
}
