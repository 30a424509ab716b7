package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
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
	instance dormer.InstanceID
	day      int64 // days since 1970
}

const dayMicros = int64(24 * time.Hour / time.Microsecond)

func partitionOf(b event.Batch) partition {
	us := micros(b.Received)
	day := us / dayMicros
	if us%dayMicros < 0 {
		day--
	}
	return partition{instance: b.Instance, day: day}
}

// parent is the table that holds the days of the instance. Its name is made
// of a hash, since identities may be longer than a name of a table.
func (p partition) parent() string {
	sum := sha256.Sum256([]byte(p.instance))
	return "events_" + hex.EncodeToString(sum[:8])
}

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
func (s *Events) ensurePartitions(ctx context.Context, batches []event.Batch) error {
	if !s.db.postgres {
		return nil
	}
	var missing []partition
	for _, b := range batches {
		p := partitionOf(b)
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

// makePartition makes the tables of p that are not there. A day is made beside
// its parent and then attached: that waits for nobody who reads or writes the
// other days. The caller holds the track's lock.
func makePartition(ctx context.Context, tx *sql.Tx, p partition) error {
	var statements []string
	there, err := one(ctx, tx, "find partition", value[bool], "SELECT to_regclass($1) IS NOT NULL", p.parent())
	if err != nil {
		return err
	}
	if !there {
		statements = append(statements, fmt.Sprintf("CREATE TABLE %s PARTITION OF events FOR VALUES IN (%s) PARTITION BY RANGE (received)",
			p.parent(), literal(string(p.instance))))
	}
	there, err = one(ctx, tx, "find partition", value[bool], "SELECT to_regclass($1) IS NOT NULL", p.table())
	if err != nil {
		return err
	}
	if !there {
		statements = append(statements,
			fmt.Sprintf("CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS)", p.table(), p.parent()),
			fmt.Sprintf("ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%d) TO (%d)",
				p.parent(), p.table(), p.day*dayMicros, (p.day+1)*dayMicros))
	}
	for _, text := range statements {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// literal quotes s for a statement that takes no parameters.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// deletePartitions drops the days that are wholly before t and deletes the
// rest row by row.
func (s *Events) deletePartitions(ctx context.Context, i dormer.InstanceID, t time.Time) (int64, error) {
	parent := partition{instance: i}.parent()
	before := partitionOf(event.Batch{Received: t}).day
	var total int64
	err := s.db.update(ctx, "delete old events", func(tx *sql.Tx) error {
		// Dropping waits for long reports, and everybody else would wait
		// behind it: rather come back later (ErrUnavailable).
		if _, err := tx.ExecContext(ctx, "SET LOCAL lock_timeout = '5s'"); err != nil {
			return err
		}
		tables, err := all(ctx, tx, "list partitions", value[string], `SELECT c.relname FROM pg_inherits i
			JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass($1)`, parent)
		if err != nil {
			return err
		}
		for _, table := range tables {
			day, err := strconv.ParseInt(strings.ReplaceAll(strings.TrimPrefix(table, parent+"_"), "m", "-"), 10, 64)
			if err != nil || day >= before || (partition{instance: i, day: day}).table() != table {
				continue
			}
			n, err := one(ctx, tx, "count events", value[int64], "SELECT count(*) FROM "+table)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "DROP TABLE "+table); err != nil {
				return err
			}
			total += n
		}
		r, err := tx.ExecContext(ctx, "DELETE FROM events WHERE instance = $1 AND received < $2", string(i), micros(t))
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		total += n
		return err
	})
	s.partitions.forget()
	if err != nil {
		return 0, err
	}
	return total, nil
}
