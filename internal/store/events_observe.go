package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/plan/observation"
)

var _ observation.Events = (*Reports)(nil)

// newestEvents are an instance's ($1) latest events from a time ($2) on, at
// most so many ($3).
const newestEvents = "SELECT " + eventColumns + ` FROM (SELECT * FROM events WHERE instance = $1 AND received >= $2 ORDER BY received DESC LIMIT $3) e
	JOIN contexts c ON c.id = e.context ORDER BY e.received DESC, e.id DESC`

// Observe implements observation.Events. On PostgreSQL sizes are those of the
// days of the instance that are asked about, on SQLite those of the whole file,
// from which old events have gone.
func (s *Reports) Observe(ctx context.Context, i dormer.InstanceID, since time.Time, newest int) (observation.Stored, error) {
	const what = "observe events"
	var o observation.Stored
	id, err := numberIn(ctx, s.db, i)
	if err != nil || id == 0 {
		return o, err
	}
	// The days of PostgreSQL's partitions begin at midnight.
	from, begin := micros(since), micros(since)
	if s.db.postgres {
		begin = dayOf(from) * dayMicros
	}
	type span struct{ events, rows, first int64 }
	counted, err := one(ctx, s.db.read, what, func(r scanner) (span, error) {
		var v span
		var first sql.NullInt64
		err := r.Scan(&v.events, &v.rows, &first)
		v.first = first.Int64
		return v, err
	}, "SELECT count(*) FILTER (WHERE received >= $2), count(*), min(received) FILTER (WHERE received >= $2) FROM events WHERE instance = $1 AND received >= $3", id, from, begin)
	if err != nil || counted.rows == 0 {
		return o, err
	}
	o.Events, o.Rows = counted.events, counted.rows
	if o.Events > 0 {
		o.First = moment(counted.first)
	}
	if err := s.sizes(ctx, partition{instance: id, day: dayOf(from)}, &o); err != nil {
		return o, err
	}
	rows, err := all(ctx, s.db.read, what, scanEvent, newestEvents, id, from, int64(newest))
	for _, r := range rows {
		o.Newest = append(o.Newest, r.Event)
	}
	return o, err
}

// sizes fills in what events take: on PostgreSQL those from the first day on,
// which are counted already.
func (s *Reports) sizes(ctx context.Context, first partition, o *observation.Stored) error {
	const what = "measure the events database"
	var err error
	if s.db.postgres {
		// The names of days before 1970 are no numbers.
		o.Bytes, err = one(ctx, s.db.read, what, value[int64], `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
			FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
			WHERE i.inhparent = to_regclass($1) AND coalesce(substring(c.relname FROM '_([0-9]+)$')::bigint, -1) >= $2`, first.parent(), first.day)
		return err
	}
	// Identities are given one after the other, and old events go first.
	o.Rows, err = one(ctx, s.db.read, what, value[int64], "SELECT (SELECT id FROM events ORDER BY id DESC LIMIT 1) - (SELECT id FROM events ORDER BY id LIMIT 1) + 1")
	if err != nil {
		return err
	}
	o.Bytes, err = one(ctx, s.db.read, what, value[int64], `SELECT (p.page_count - f.freelist_count) * s.page_size
		FROM pragma_page_count AS p, pragma_freelist_count AS f, pragma_page_size AS s`)
	return err
}
