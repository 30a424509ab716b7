package store

import (
	"context"
	"time"

	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/notice"
)

var _ notice.Store = (*State)(nil)

// RecordsAfter implements notice.Store.
func (s *State) RecordsAfter(ctx context.Context, after int64, limit int) ([]audit.Record, error) {
	return all(ctx, s.db.read, "follow audit log", scanRecord,
		"SELECT "+recordColumns+" FROM audit WHERE id > $1 ORDER BY id LIMIT $2", after, int64(limit))
}

// NewestRecord implements notice.Store.
func (s *State) NewestRecord(ctx context.Context) (int64, error) {
	return one(ctx, s.db.read, "find the newest record of the audit log", value[int64], "SELECT coalesce(max(id), 0) FROM audit")
}

// Presences implements notice.Store.
func (s *State) Presences(ctx context.Context, since time.Time, limit int) ([]notice.Presence, error) {
	return all(ctx, s.db.read, "list who is where", func(row scanner) (notice.Presence, error) {
		var (
			p           notice.Presence
			editing     int64
			began, seen int64
		)
		err := row.Scan(&p.Console.Principal, &p.Console.Name, &p.Who, &p.Where, &editing, &began, &seen)
		p.Editing, p.Since, p.Seen = editing != 0, moment(began), moment(seen)
		return p, err
	}, `SELECT principal, console, who, place, editing, since, seen FROM presences
		WHERE seen > $1 ORDER BY place, since, principal, console LIMIT $2`, micros(since), int64(limit))
}

// SetPresence implements notice.Store.
func (s *State) SetPresence(ctx context.Context, p notice.Presence) error {
	_, err := s.db.exec(ctx, "note who is where", `INSERT INTO presences (principal, console, who, place, editing, since, seen)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (principal, console) DO UPDATE SET who = excluded.who, place = excluded.place, editing = excluded.editing, seen = excluded.seen,
			since = CASE WHEN presences.place = excluded.place THEN presences.since ELSE excluded.since END`,
		string(p.Console.Principal), p.Console.Name, clean(p.Who), clean(p.Where), bit(p.Editing), micros(p.Since), micros(p.Seen))
	return err
}

// RenewPresence implements notice.Store.
func (s *State) RenewPresence(ctx context.Context, c notice.Console, seen time.Time) error {
	_, err := s.db.exec(ctx, "renew who is where", "UPDATE presences SET seen = $3 WHERE principal = $1 AND console = $2 AND seen < $3",
		string(c.Principal), c.Name, micros(seen))
	return err
}

// EndPresence implements notice.Store.
func (s *State) EndPresence(ctx context.Context, c notice.Console) error {
	_, err := s.db.exec(ctx, "forget who is where", "DELETE FROM presences WHERE principal = $1 AND console = $2", string(c.Principal), c.Name)
	return err
}

// DeletePresencesBefore implements notice.Store.
func (s *State) DeletePresencesBefore(ctx context.Context, t time.Time) error {
	_, err := s.db.exec(ctx, "forget who was where", "DELETE FROM presences WHERE seen <= $1", micros(t))
	return err
}
