package store

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/seal"
)

// Append implements audit.Log.
func (s *State) Append(ctx context.Context, r audit.Record) error {
	_, err := s.db.exec(ctx, "append to audit log", `INSERT INTO audit (time, who, principal, action, object, detail, request, remote, who_folded, object_folded)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		micros(r.Time), clean(r.Who), clean(r.Principal), r.Action, clean(r.Object), clean(r.Detail), clean(r.Request), clean(r.Remote),
		folded(clean(r.Who)), folded(clean(r.Object)))
	return err
}

// Records implements audit.Log.
func (s *State) Records(ctx context.Context, before int64, limit int) ([]audit.Record, error) {
	return s.Find(ctx, audit.Filter{Before: before, Limit: limit})
}

// Find implements audit.Log.
func (s *State) Find(ctx context.Context, f audit.Filter) ([]audit.Record, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	b := builder{}
	conditions := []string{"id < " + b.arg(cmp.Or(max(f.Before, 0), math.MaxInt64))}
	if !f.Since.IsZero() {
		conditions = append(conditions, "time >= "+b.arg(micros(f.Since)))
	}
	if !f.Until.IsZero() {
		conditions = append(conditions, "time < "+b.arg(micros(f.Until)))
	}
	for _, c := range []struct{ column, folded, contains string }{
		{"who", "who_folded", f.Who}, {"action", "action", f.Action}, {"object", "object_folded", f.Object}, // actions are lower case
	} {
		if c.contains != "" {
			conditions = append(conditions, b.contains(c.column, c.folded, c.contains))
		}
	}
	query := "SELECT " + recordColumns + " FROM audit WHERE " + strings.Join(conditions, " AND ") + " ORDER BY id DESC LIMIT " + b.arg(int64(f.Limit))
	return all(ctx, s.db.read, "read audit log", scanRecord, query, b.args...)
}

const recordColumns = "id, time, who, principal, action, object, detail, request, remote"

func scanRecord(row scanner) (audit.Record, error) {
	var (
		r  audit.Record
		at int64
	)
	err := row.Scan(&r.ID, &at, &r.Who, &r.Principal, &r.Action, &r.Object, &r.Detail, &r.Request, &r.Remote)
	r.Time = moment(at)
	return r, err
}

// DeleteRecordsBefore removes records of the audit log that are older than t,
// and returns how many.
func (s *State) DeleteRecordsBefore(ctx context.Context, t time.Time) (int64, error) {
	// In pieces, so that others can write in between.
	const piece = 10_000
	var total int64
	for {
		n, err := s.db.exec(ctx, "delete old records of the audit log",
			"DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE time < $1 LIMIT $2)", micros(t), int64(piece))
		total += n
		if err != nil || n < piece {
			return total, err
		}
	}
}

// Publishers returns the keys whose signature on images the instance trusts,
// in the order of their names.
func (s *State) Publishers(ctx context.Context) ([]seal.PublicKey, error) {
	return all(ctx, s.db.read, "list publishers", func(row scanner) (seal.PublicKey, error) {
		var (
			k             seal.PublicKey
			key, purposes []byte
		)
		if err := row.Scan(&k.ID, &key, &purposes, &k.Name); err != nil {
			return k, err
		}
		k.Key = ed25519.PublicKey(key)
		if err := json.Unmarshal(purposes, &k.Purposes); err != nil {
			return k, fmt.Errorf("purposes of publisher %s: %w", k.ID, dormer.ErrCorrupt)
		}
		return k, nil
	}, "SELECT id, public_key, purposes, name FROM publishers ORDER BY name, id")
}

// AddPublisher makes the instance trust a key. ErrExists when it does already.
func (s *State) AddPublisher(ctx context.Context, k seal.PublicKey, by string, at time.Time) error {
	purposes, err := json.Marshal(k.Purposes)
	if err != nil {
		return fmt.Errorf("encode purposes of publisher: %w", err)
	}
	_, err = s.db.exec(ctx, "add publisher", `INSERT INTO publishers (id, public_key, purposes, name, added_by, added)
		VALUES ($1, $2, $3, $4, $5, $6)`, string(k.ID), bytesOf(k.Key), string(purposes), k.Name, by, micros(at))
	return err
}

// RemovePublisher ends the trust. ErrNotFound when there is none.
func (s *State) RemovePublisher(ctx context.Context, id seal.KeyID) error {
	const what = "remove publisher"
	n, err := s.db.exec(ctx, what, "DELETE FROM publishers WHERE id = $1", string(id))
	return mustChange(what, n, err)
}
