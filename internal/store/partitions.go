package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// errNoPartition: PostgreSQL has no partition for a row.
var errNoPartition = errors.New("no partition for the day")

// noPartition recognizes that among the errors of an insert.
func noPartition(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23514" && pg.ConstraintName == "" {
		return fmt.Errorf("%w: %w", errNoPartition, err)
	}
	return err
}

// partition is one day (UTC) of one instance.
type partition struct {
	instance int64 // instances.id
	day      int64 // days since 1970
}

const dayMicros = int64(24 * time.Hour / time.Microsecond)

// dayOf returns the day of a time in microseconds.
func dayOf(us int64) int64 {
	day := us / dayMicros
	if us%dayMicros < 0 {
		day--
	}
	return day
}

// parent is the table that holds the days of the instance.
func (p partition) parent() string { return "events_" + strconv.FormatInt(p.instance, 10) }

func (p partition) table() string {
	return p.parent() + "_" + strings.ReplaceAll(strconv.FormatInt(p.day, 10), "-", "m")
}

// partitions remembers which partitions are there.
type partitions struct {
	mu    sync.Mutex // guards known
	known map[partition]bool
}

func (p *partitions) has(x partition) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[x]
}

func (p *partitions) add(list []partition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// A day is known for a day or two; nothing is lost by forgetting all.
	if p.known == nil || len(p.known) > 1000 {
		p.known = make(map[partition]bool)
	}
	for _, x := range list {
		p.known[x] = true
	}
}

func (p *partitions) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = nil
}

// ensurePartitions makes the partitions that the batches need, in a
// transaction of their own.
func (s *Events) ensurePartitions(ctx context.Context, a *appended) error {
	var missing []partition
	for i, b := range a.batches {
		p := partition{instance: a.journals[i].instance, day: dayOf(micros(b.Received))}
		if len(b.Events) > 0 && (len(missing) == 0 || missing[len(missing)-1] != p) && !s.partitions.has(p) {
			missing = append(missing, p)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	err := s.db.update(ctx, "make partitions of events", func(tx *sql.Tx) error {
		for _, p := range missing {
			if err := makePartition(ctx, tx, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.partitions.add(missing)
	return nil
}

// makePartition makes the tables of p that are not there. The caller holds the
// track's lock, or nobody else stores events of the instance.
func makePartition(ctx context.Context, tx *sql.Tx, p partition) error {
	_, err := tx.ExecContext(ctx, "SELECT events_make_day($1, $2)", p.instance, p.day)
	return err
}

// deletePartitions drops the days that are wholly before t and deletes the
// rest row by row.
func (s *Events) deletePartitions(ctx context.Context, instance int64, t time.Time) (int64, error) {
	const what = "delete old events"
	defer s.partitions.forget()
	parent := partition{instance: instance}.parent()
	tables, err := all(ctx, s.db.write, "list partitions", value[string], `SELECT c.relname FROM pg_inherits i
		JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass($1) ORDER BY length(c.relname), c.relname`, parent)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	var total int64
	before := dayOf(micros(t))
	for _, table := range tables {
		p := partition{instance: instance}
		p.day, err = strconv.ParseInt(strings.ReplaceAll(strings.TrimPrefix(table, parent+"_"), "m", "-"), 10, 64)
		if err != nil || p.day >= before || p.table() != table {
			continue
		}
		n, err := s.dropPartition(ctx, p)
		if err != nil {
			return total, fmt.Errorf("%s: %w", what, err)
		}
		total += n
	}
	// The day of t is deleted from row by row; without it nothing is.
	if !slices.Contains(tables, partition{instance: instance, day: before}.table()) {
		return total, nil
	}
	n, err := s.db.exec(ctx, what, "DELETE FROM events WHERE instance = $1 AND received >= $2 AND received < $3",
		instance, before*dayMicros, micros(t))
	return total + n, err
}

// dropPartition drops a day in a transaction of its own, so that nobody waits
// for more than one.
func (s *Events) dropPartition(ctx context.Context, p partition) (n int64, err error) {
	err = s.db.update(ctx, "drop a day of events", func(tx *sql.Tx) error {
		// Dropping waits for long reports, and everybody else would wait
		// behind it: rather come back later (ErrUnavailable).
		if _, err := tx.ExecContext(ctx, "SET LOCAL lock_timeout = '5s'"); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, "SELECT events_drop_day($1, $2)", p.instance, p.day).Scan(&n)
	})
	return n, err
}

// keptDays is how long a journal's watermark is kept after its last event, at
// least: while a client may come back that never learnt what was stored.
const keptDays = 400

// removeUnused removes contexts and journals that no event names any more
// since those before t were deleted.
//
// Another server of the instance may remember the number of a context. It
// notes the day before it stores an event of a later one; so contexts of the
// last day with events, and of the one before it, stay whatever t is.
func (s *Events) removeUnused(ctx context.Context, instance int64, t time.Time) error {
	const what = "remove what no event has in common any more"
	last, err := one(ctx, s.db.read, what, value[sql.NullInt64], "SELECT max(used) FROM contexts WHERE instance = $1", instance)
	if err != nil {
		return err
	}
	day := dayOf(micros(t))
	if _, err = s.db.exec(ctx, what, "DELETE FROM contexts WHERE instance = $1 AND used < $2", instance, min(day, last.Int64-1)); err != nil {
		return err
	}
	_, err = s.db.exec(ctx, what, "DELETE FROM journals WHERE instance = $1 AND used < $2", instance, min(day, last.Int64)-keptDays)
	s.numbers.forget()
	return err
}
