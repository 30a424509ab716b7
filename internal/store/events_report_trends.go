package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/report"
)

const (
	quarterMicros = int64(report.Quarter / time.Microsecond)
	// closedAfter is how long after a quarter of an hour no event of it is stored
	// any more: those that a server has acknowledged are.
	closedAfter = time.Hour
)

// countedEvents are the events of an instance from a time to another, by
// quarter and severity.
const countedEvents = `SELECT e.instance, e.received / 900000000 * 900000000, CAST(e.severity AS bigint), CAST(SUM(CASE WHEN e.count > 1 THEN e.count ELSE 1 END) AS bigint)
	FROM events e WHERE e.instance = $1 AND e.received >= $2 AND e.received < $3 GROUP BY e.instance, e.received / 900000000, e.severity`

// CountEvents counts the events of the quarters of an hour that are over and
// were not counted yet, for trends.
func (s *Events) CountEvents(ctx context.Context, i dormer.InstanceID, now time.Time) error {
	const what = "count events"
	id, err := numberIn(ctx, s.db, i)
	if err != nil || id == 0 {
		return err
	}
	from, err := counted(ctx, s.db, id)
	if err != nil {
		return err
	}
	if from == 0 {
		first, err := one(ctx, s.db.read, what, value[int64], "SELECT received FROM events WHERE instance = $1 ORDER BY received LIMIT 1", id)
		if errors.Is(err, dormer.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		from = first / quarterMicros * quarterMicros
	}
	end := micros(now.Add(-closedAfter)) / quarterMicros * quarterMicros
	// Some hours at a time, so that events can be stored in between.
	for from < end {
		to := min(from+dayMicros/4, end)
		err := s.db.transact(ctx, what, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, "INSERT INTO event_counts (instance, time, severity, events) "+countedEvents+
				" ON CONFLICT (instance, time, severity) DO UPDATE SET events = excluded.events", id, from, to); err != nil {
				return err
			}
			// It says how far was counted, events or none.
			_, err := tx.ExecContext(ctx, `INSERT INTO event_counts (instance, time, severity, events) VALUES ($1, $2, 1, 0)
				ON CONFLICT (instance, time, severity) DO NOTHING`, id, to-quarterMicros)
			return err
		})
		if err != nil {
			return err
		}
		from = to
	}
	return nil
}

// counted returns up to when events were counted, 0: none were.
func counted(ctx context.Context, db *engine, id int64) (int64, error) {
	last, err := one(ctx, db.read, "count events", value[sql.NullInt64], "SELECT max(time) FROM event_counts WHERE instance = $1", id)
	if err != nil || !last.Valid {
		return 0, err
	}
	return last.Int64 + quarterMicros, nil
}

// numberIn returns the number of an instance, 0 where nothing of it was stored
// yet.
func numberIn(ctx context.Context, db *engine, i dormer.InstanceID) (int64, error) {
	id, err := one(ctx, db.read, "find instance", value[int64], "SELECT id FROM instances WHERE instance = $1", string(i))
	if errors.Is(err, dormer.ErrNotFound) {
		return 0, nil
	}
	return id, err
}

// AddSamples stores samples; of those of the same hour the highest stays.
func (s *Events) AddSamples(ctx context.Context, i dormer.InstanceID, samples []report.Sample) error {
	id, err := numberIn(ctx, s.db, i)
	if err != nil || id == 0 {
		return err
	}
	rows := make([][]any, len(samples))
	for i, sample := range samples {
		rows[i] = []any{id, sample.Name, clean(sample.Label), micros(sample.Time), sample.Value}
	}
	return s.db.transact(ctx, "store samples", func(tx *sql.Tx) error {
		return s.db.bulk(ctx, tx, "INSERT INTO samples (instance, name, label, time, value) VALUES ", make([]string, 5),
			` ON CONFLICT (instance, name, time, label) DO UPDATE
			SET value = CASE WHEN excluded.value > samples.value THEN excluded.value ELSE samples.value END`, rows, nil)
	})
}

// DeleteTrendsBefore removes an instance's samples and counts of times before t.
func (s *Events) DeleteTrendsBefore(ctx context.Context, i dormer.InstanceID, t time.Time) error {
	id, err := numberIn(ctx, s.db, i)
	if err != nil || id == 0 {
		return err
	}
	return s.db.transact(ctx, "delete old trends", func(tx *sql.Tx) error {
		for _, table := range []string{"samples", "event_counts"} {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE instance = $1 AND time < $2", id, micros(t)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Counts implements report.Events: what was counted, and what came since.
func (s *Reports) Counts(ctx context.Context, i dormer.InstanceID, since time.Time) ([]report.Count, error) {
	const what = "read counts of events"
	id, err := numberIn(ctx, s.db, i)
	if err != nil || id == 0 {
		return nil, err
	}
	from, err := counted(ctx, s.db, id)
	if err != nil {
		return nil, err
	}
	scan := func(r scanner) (report.Count, error) {
		var (
			c                 report.Count
			skip, at, ranking int64
		)
		err := r.Scan(&skip, &at, &ranking, &c.Events)
		c.Time, c.Severity = moment(at), severities[ranking]
		return c, err
	}
	list, err := all(ctx, s.db.read, what, scan,
		"SELECT instance, time, severity, events FROM event_counts WHERE instance = $1 AND time >= $2 AND events > 0", id, micros(since))
	if err != nil {
		return nil, err
	}
	const never = int64(1) << 62
	live, err := all(ctx, s.db.read, what, scan, countedEvents, id, max(from, micros(since)), never)
	return append(list, live...), err
}

// Samples implements report.Events.
func (s *Reports) Samples(ctx context.Context, i dormer.InstanceID, name string, since time.Time) ([]report.Sample, error) {
	id, err := numberIn(ctx, s.db, i)
	if err != nil || id == 0 {
		return nil, err
	}
	return all(ctx, s.db.read, "read samples", func(r scanner) (report.Sample, error) {
		var at int64
		sample := report.Sample{Name: name}
		err := r.Scan(&at, &sample.Label, &sample.Value)
		sample.Time = moment(at)
		return sample, err
	}, "SELECT time, label, value FROM samples WHERE instance = $1 AND name = $2 AND time >= $3 ORDER BY time, label", id, name, micros(since))
}
