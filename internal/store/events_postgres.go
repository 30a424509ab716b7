package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

// appendLock is held shared by every transaction that stores events. Who has
// it alone for a moment knows that all identities given out until then belong
// to rows that are committed or never will be.
const appendLock = "hashtext(current_schema()), hashtext('dormer events appended')"

var copyColumns = []string{
	"received", "time", "instance", "context", "journal", "sequence", "code", "count", "severity", "category", "description",
}

// appendPostgres stores a in one transaction: one round trip for the
// watermarks, and COPY for the events.
func (s *Events) appendPostgres(ctx context.Context, a *appended) error {
	err := s.native(ctx, func(c *pgx.Conn) error {
		tx, err := c.Begin(ctx)
		if err != nil {
			return err
		}
		defer tx.Rollback(ctx)
		if err := lockWatermarks(ctx, tx, a); err != nil {
			return err
		}
		rows := make(map[int64][][]any)
		err = a.rows(func(b *event.Batch, j *journalMark, context int64, sequence uint64, e *dormer.Event) error {
			rows[j.instance] = append(rows[j.instance], []any{
				micros(b.Received), micros(e.Time), j.instance, context, j.id, int64(sequence), int32(e.Code), countOf(e), int16(rank(e.Severity)),
				clean(e.Category), clean(e.Description),
			})
			return nil
		})
		if err != nil {
			return err
		}
		for instance, rows := range rows {
			// Into the instance's own partition, which its role may write to.
			table := pgx.Identifier{partition{instance: instance}.parent()}
			if _, err := tx.CopyFrom(ctx, table, copyColumns, pgx.CopyFromRows(rows)); err != nil {
				return noPartition(err)
			}
		}
		return tx.Commit(ctx)
	})
	if err != nil {
		return fmt.Errorf("store events: %w", kind(err))
	}
	return nil
}

// native runs f with a connection that writes.
func (s *Events) native(ctx context.Context, f func(*pgx.Conn) error) error {
	conn, err := s.db.write.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(driver any) error { return f(driver.(*stdlib.Conn).Conn()) })
}

// lockWatermarks takes the locks, reads the watermarks and raises them to what
// the transaction brings. errStale if a journal is gone.
func lockWatermarks(ctx context.Context, tx pgx.Tx, a *appended) error {
	ids := a.ids()
	next, days := make([]int64, len(ids)), make([]int64, len(ids))
	for i, id := range ids {
		next[i], days[i] = int64(a.marks[id].next), a.marks[id].day
	}
	var batch pgx.Batch
	batch.Queue("SELECT pg_advisory_xact_lock_shared(" + appendLock + ")")
	batch.Queue("SELECT id, watermark FROM journals WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE", ids)
	batch.Queue(`UPDATE journals j SET watermark = v.mark, used = v.day FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS v (id, mark, day)
		WHERE j.id = v.id AND j.watermark < v.mark`, ids, next, days)
	results := tx.SendBatch(ctx, &batch)
	defer results.Close()
	if _, err := results.Exec(); err != nil {
		return err
	}
	rows, err := results.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	locked := 0
	for rows.Next() {
		var id, mark int64
		if err := rows.Scan(&id, &mark); err != nil {
			return err
		}
		a.marks[id].watermark = uint64(mark)
		locked++
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if locked < len(ids) {
		return fmt.Errorf("%d of %d journals: %w", len(ids)-locked, len(ids), errStale)
	}
	if _, err := results.Exec(); err != nil {
		return err
	}
	return results.Close()
}
