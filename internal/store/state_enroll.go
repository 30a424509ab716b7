package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/enroll"
)

const joinTokenColumns = "id, hash, name, admits_managed, admits_unmanaged, max_uses, uses, expires, created, created_by, revoked"

func scanJoinToken(s scanner) (enroll.JoinToken, error) {
	var (
		t                enroll.JoinToken
		hash             []byte
		expires, created int64
	)
	if err := s.Scan(&t.ID, &hash, &t.Name, &t.AdmitsManaged, &t.AdmitsUnmanaged, &t.MaxUses, &t.Uses, &expires, &created, &t.By, &t.Revoked); err != nil {
		return t, err
	}
	if len(hash) != len(t.Hash) {
		return t, fmt.Errorf("join token %s has a hash of %d bytes: %w", t.ID, len(hash), dormer.ErrCorrupt)
	}
	copy(t.Hash[:], hash)
	t.Expires, t.Created = moment(expires), moment(created)
	return t, nil
}

// CreateJoinToken implements enroll.Store.
func (s *State) CreateJoinToken(ctx context.Context, t enroll.JoinToken) error {
	_, err := s.db.exec(ctx, "create join token", "INSERT INTO join_tokens ("+joinTokenColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		t.ID, t.Hash[:], t.Name, bit(t.AdmitsManaged), bit(t.AdmitsUnmanaged), int64(t.MaxUses), int64(t.Uses),
		micros(t.Expires), micros(t.Created), t.By, bit(t.Revoked))
	return err
}

// JoinTokens implements enroll.Store; the newest come first.
func (s *State) JoinTokens(ctx context.Context) ([]enroll.JoinToken, error) {
	return all(ctx, s.db.read, "list join tokens", scanJoinToken, "SELECT "+joinTokenColumns+" FROM join_tokens ORDER BY created DESC, id")
}

// RevokeJoinToken implements enroll.Store. Repeating it changes nothing;
// ErrNotFound for one that never was.
func (s *State) RevokeJoinToken(ctx context.Context, id string) error {
	const what = "revoke join token"
	n, err := s.db.exec(ctx, what, "UPDATE join_tokens SET revoked = 1 WHERE id = $1", id)
	return mustChange(what, n, err)
}

// Enrol implements enroll.Store.
func (s *State) Enrol(ctx context.Context, hash [32]byte, c enroll.Client, admit func(enroll.JoinToken) error) error {
	var refused error
	err := s.db.update(ctx, "enrol client", func(tx *sql.Tx) error {
		t, err := one(ctx, tx, "find join token", scanJoinToken, "SELECT "+joinTokenColumns+" FROM join_tokens WHERE hash = $1", hash[:])
		if err != nil {
			return err
		}
		if refused = admit(t); refused != nil {
			return refused
		}
		if _, err := tx.ExecContext(ctx, "UPDATE join_tokens SET uses = uses + 1 WHERE id = $1", t.ID); err != nil {
			return err
		}
		if c.JoinToken == "" {
			c.JoinToken = t.ID
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO clients ("+clientColumns+`, host_folded)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`,
			string(c.ID), bytesOf(c.PublicKey), bit(c.Managed), clean(c.Host.Name), clean(c.Host.OS), clean(c.Host.Arch),
			int64(c.Host.MemoryMiB), int64(c.Host.Processors), clean(c.AgentVersion), c.JoinToken,
			micros(c.Enrolled), microsOrNull(c.Revoked), microsOrNull(c.LastSeen),
			microsOrNull(c.Copied), clean(c.CopiedDetail), durationOrNull(c.ClockAhead),
			numberOrNull(c.Host.DiskFree), numberOrNull(c.Host.DiskTotal), numberOrNull(c.Host.ImagesBytes), folded(clean(c.Host.Name)))
		return err
	})
	if refused != nil {
		return refused
	}
	return err
}

const clientColumns = "id, public_key, managed, host_name, host_os, host_arch, host_memory_mib, host_processors, agent_version, join_token, enrolled, revoked, last_seen, copied_at, copied_detail, clock_ahead, disk_free, disk_total, images_bytes"

func scanClient(s scanner) (enroll.Client, error) {
	var (
		c                                enroll.Client
		enrolled                         int64
		revoked, lastSeen, copied, ahead sql.NullInt64
		free, total, images              sql.NullInt64
	)
	err := s.Scan(&c.ID, &c.PublicKey, &c.Managed, &c.Host.Name, &c.Host.OS, &c.Host.Arch, &c.Host.MemoryMiB, &c.Host.Processors,
		&c.AgentVersion, &c.JoinToken, &enrolled, &revoked, &lastSeen, &copied, &c.CopiedDetail, &ahead, &free, &total, &images)
	c.Host.DiskFree, c.Host.DiskTotal, c.Host.ImagesBytes = free.Int64, total.Int64, images.Int64
	c.Enrolled, c.Revoked, c.LastSeen, c.Copied = moment(enrolled), momentOrNil(revoked), momentOrNil(lastSeen), momentOrNil(copied)
	if ahead.Valid {
		d := time.Duration(ahead.Int64) * time.Microsecond
		c.ClockAhead = &d
	}
	return c, err
}

// Client implements enroll.ClientStore.
func (s *State) Client(ctx context.Context, id dormer.ClientID) (enroll.Client, error) {
	return one(ctx, s.db.read, "find client", scanClient, "SELECT "+clientColumns+" FROM clients WHERE id = $1", string(id))
}

const allClients = "SELECT " + clientColumns + " FROM clients"

// Clients implements enroll.ClientStore.
func (s *State) Clients(ctx context.Context) ([]enroll.Client, error) {
	// Sorted here: SQLite would look up each by its index, or sort whole rows.
	list, err := all(ctx, s.db.read, "list clients", scanClient, allClients)
	slices.SortFunc(list, func(a, b enroll.Client) int {
		return cmp.Or(cmp.Compare(a.Host.Name, b.Host.Name), cmp.Compare(a.ID, b.ID))
	})
	return list, err
}

// ClientsOf returns a client if there is such a one, with "" all.
func (s *State) ClientsOf(ctx context.Context, of dormer.ClientID) ([]enroll.Client, error) {
	if of == "" {
		return s.Clients(ctx)
	}
	return all(ctx, s.db.read, "find client", scanClient, "SELECT "+clientColumns+" FROM clients WHERE id = $1", string(of))
}

// RevokeClient implements enroll.ClientStore. The first time counts.
func (s *State) RevokeClient(ctx context.Context, id dormer.ClientID, at time.Time) error {
	const what = "revoke client"
	n, err := s.db.exec(ctx, what, "UPDATE clients SET revoked = coalesce(revoked, $2) WHERE id = $1", string(id), micros(at))
	return mustChange(what, n, err)
}

// MarkCopied implements enroll.ClientStore.
func (s *State) MarkCopied(ctx context.Context, id dormer.ClientID, at time.Time, detail string) error {
	const what = "note that a client was copied"
	return s.db.update(ctx, what, func(tx *sql.Tx) error {
		// Found before it is changed: of two notes the latest counts, and an older
		// one is no error.
		if _, err := one(ctx, tx, "find client", value[int], "SELECT 1 FROM clients WHERE id = $1", string(id)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "UPDATE clients SET copied_at = $2, copied_detail = $3 WHERE id = $1 AND (copied_at IS NULL OR copied_at <= $2)",
			string(id), micros(at), clean(detail))
		return err
	})
}

// FlushSeen implements enroll.ClientStore.
func (s *State) FlushSeen(ctx context.Context, seen []enroll.Seen) error {
	seen = newest(seen, func(v enroll.Seen) dormer.ClientID { return v.Client }, func(v enroll.Seen) time.Time { return v.Time })
	rows := make([][]any, len(seen))
	for i, v := range seen {
		rows[i] = []any{
			clean(string(v.Client)), micros(v.Time), clean(v.Host.Name), clean(v.Host.OS), clean(v.Host.Arch),
			int64(v.Host.MemoryMiB), int64(v.Host.Processors), clean(v.AgentVersion), durationOrNull(v.ClockAhead),
			numberOrNull(v.Host.DiskFree), numberOrNull(v.Host.DiskTotal), numberOrNull(v.Host.ImagesBytes), folded(clean(v.Host.Name)),
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return s.db.update(ctx, "record signs of life", func(tx *sql.Tx) error {
		return s.db.bulk(ctx, tx, `UPDATE clients SET last_seen = v.column2, host_name = v.column3, host_os = v.column4, host_arch = v.column5,
			host_memory_mib = v.column6, host_processors = v.column7, agent_version = v.column8,
			clock_ahead = coalesce(v.column9, clients.clock_ahead),
			disk_free = v.column10, disk_total = v.column11, images_bytes = v.column12, host_folded = v.column13 FROM (VALUES `,
			[]string{"text", "bigint", "text", "text", "text", "bigint", "bigint", "text", "bigint", "bigint", "bigint", "bigint", "text"},
			`) AS v WHERE clients.id = v.column1 AND (clients.last_seen IS NULL OR clients.last_seen <= v.column2)`, rows, nil)
	})
}

// newest returns the newest item of each key, in the order of the keys.
func newest[T any, K cmp.Ordered](items []T, key func(T) K, at func(T) time.Time) []T {
	list := slices.Clone(items)
	// Stable, so that of two at the same time the later in the list counts.
	slices.SortStableFunc(list, func(a, b T) int {
		return cmp.Or(cmp.Compare(key(a), key(b)), at(a).Compare(at(b)))
	})
	kept := list[:0]
	for i, v := range list {
		if i+1 == len(list) || key(list[i+1]) != key(v) {
			kept = append(kept, v)
		}
	}
	return kept
}

// numberOrNull stores a number whose 0 says that it is not known.
func numberOrNull(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

// durationOrNull stores microseconds.
func durationOrNull(d *time.Duration) any {
	if d == nil {
		return nil
	}
	return d.Microseconds()
}
