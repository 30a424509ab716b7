package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

// Events keeps events, of several instances if they share the database. It is
// safe for concurrent use.
type Events struct {
	db         *engine
	partitions partitions
	numbers    *numbers
}

// What Events is to the domain packages.
var (
	_ event.Store = (*Events)(nil)
)

// OpenEvents opens the events database at dsn, "sqlite:PATH" or a postgres://
// URL, makes it if the file is not there, and migrates it. Errors as those of
// OpenState. The caller closes it.
func OpenEvents(ctx context.Context, dsn string, o Options) (*Events, error) {
	db, err := openEngine(ctx, dsn, trackEvents, o)
	if err != nil {
		return nil, err
	}
	return &Events{db: db, numbers: newNumbers()}, nil
}

// Ping reports whether the database answers.
func (s *Events) Ping(ctx context.Context) error { return s.db.Ping(ctx) }

// Close closes the database.
func (s *Events) Close() error { return s.db.Close() }

// errStale: a row whose number was remembered is not there any more.
var errStale = errors.New("somebody has removed rows that are used again")

// AppendEvents implements event.Store. ErrInvalid for a sequence over
// math.MaxInt64.
func (s *Events) AppendEvents(ctx context.Context, batches []event.Batch) ([]uint64, error) {
	if len(batches) == 0 {
		return nil, nil
	}
	for _, b := range batches {
		for _, e := range b.Events {
			if e.Sequence == 0 || e.Sequence > math.MaxInt64 {
				return nil, dormer.Invalidf("events.seq", "must be between 1 and %d", int64(math.MaxInt64))
			}
		}
	}
	marks, err := s.appendOnce(ctx, batches)
	if errors.Is(err, errNoPartition) || errors.Is(err, errStale) {
		// Somebody cleared that day meanwhile: make it again.
		s.partitions.forget()
		s.numbers.forget()
		marks, err = s.appendOnce(ctx, batches)
	}
	return marks, err
}

func (s *Events) appendOnce(ctx context.Context, batches []event.Batch) ([]uint64, error) {
	a, err := s.resolve(ctx, batches)
	if err != nil {
		return nil, err
	}
	for i, b := range batches {
		if j := a.journals[i]; len(b.Events) > 0 {
			j.next = max(j.next, b.Events[len(b.Events)-1].Sequence)
		}
	}
	if s.db.postgres {
		if err := s.ensurePartitions(ctx, a); err != nil {
			return nil, err
		}
		err = s.appendPostgres(ctx, a)
	} else {
		err = s.appendSQLite(ctx, a)
	}
	if err != nil {
		return nil, err
	}
	marks := make([]uint64, len(batches))
	// Within one transaction a client may have sent more than once.
	reached := make(map[*journalMark]uint64, len(a.marks))
	for i, b := range batches {
		j := a.journals[i]
		mark := max(reached[j], j.watermark)
		if len(b.Events) > 0 {
			mark = max(mark, b.Events[len(b.Events)-1].Sequence)
		}
		reached[j], marks[i] = mark, mark
	}
	return marks, nil
}

// ids returns the numbers of the journals in ascending order, in which all
// lock them, so that two never wait for each other.
func (a *appended) ids() []int64 {
	list := make([]int64, 0, len(a.marks))
	for id := range a.marks {
		list = append(list, id)
	}
	slices.Sort(list)
	return list
}

// rows calls row with every event that is not stored yet. The journals'
// watermarks are known.
func (a *appended) rows(row func(b *event.Batch, j *journalMark, context int64, sequence uint64, e *dormer.Event) error) error {
	reached := make(map[*journalMark]uint64, len(a.marks))
	n := 0
	for i := range a.batches {
		b, j := &a.batches[i], a.journals[i]
		mark := max(reached[j], j.watermark)
		if b.Condensed && mark != b.Above {
			return fmt.Errorf("condensed events of client %s: %w", b.Client, dormer.ErrConflict)
		}
		for k := range b.Events {
			e := &b.Events[k]
			if e.Sequence > mark {
				mark = e.Sequence
				if err := row(b, j, a.contexts[n], e.Sequence, &e.Event); err != nil {
					return err
				}
			}
			n++
		}
		reached[j] = mark
	}
	return nil
}

// appendSQLite stores a in one transaction.
func (s *Events) appendSQLite(ctx context.Context, a *appended) error {
	return s.db.transact(ctx, "store events", func(tx *sql.Tx) error {
		if err := readWatermarks(ctx, tx, a); err != nil {
			return err
		}
		if err := insertEvents(ctx, tx, a); err != nil {
			return err
		}
		mark, err := tx.PrepareContext(ctx, "UPDATE journals SET watermark = $1, used = $2 WHERE id = $3 AND watermark < $1")
		if err != nil {
			return err
		}
		defer mark.Close()
		for _, id := range a.ids() {
			if j := a.marks[id]; j.next > j.watermark {
				if _, err := mark.ExecContext(ctx, int64(j.next), j.day, id); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func insertEvents(ctx context.Context, tx *sql.Tx, a *appended) error {
	insert, err := tx.PrepareContext(ctx, "INSERT INTO events ("+insertColumns+") VALUES "+tuples(make([]string, insertWidth), 1, 1)) //nolint:sqlclosecheck // it is closed below, which a function in between hides
	if err != nil {
		return err
	}
	defer insert.Close()
	return a.rows(func(b *event.Batch, j *journalMark, context int64, sequence uint64, e *dormer.Event) error {
		_, err := insert.ExecContext(ctx, eventRow(b, j, context, sequence, e)...)
		return err
	})
}

// readWatermarks reads those of the journals. errStale if one is gone.
func readWatermarks(ctx context.Context, tx *sql.Tx, a *appended) error {
	read, err := tx.PrepareContext(ctx, "SELECT watermark FROM journals WHERE id = $1")
	if err != nil {
		return err
	}
	defer read.Close()
	for id, j := range a.marks {
		switch err := read.QueryRowContext(ctx, id).Scan(&j.watermark); {
		case errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("journal %d: %w", id, errStale)
		case err != nil:
			return err
		}
	}
	return nil
}

// insertColumns are those of a stored event but its identity.
const (
	insertColumns = `received, time, instance, context, journal, sequence, code, count, severity, category, description`
	insertWidth   = 11
)

func eventRow(b *event.Batch, j *journalMark, context int64, sequence uint64, e *dormer.Event) []any {
	return []any{
		micros(b.Received), micros(e.Time), j.instance, context, j.id, int64(sequence), int64(e.Code), countOf(e), rank(e.Severity),
		clean(e.Category), clean(e.Description),
	}
}

// countOf returns how many events e stands for.
func countOf(e *dormer.Event) int32 { return int32(min(max(e.Count, 1), math.MaxInt32)) }

// rank is how severities are stored. One that is not known counts as an error:
// better seen than overlooked.
func rank(s dormer.Severity) int64 {
	switch s {
	case dormer.Information:
		return 1
	case dormer.Warning:
		return 2
	default:
		return 3
	}
}

var severities = map[int64]dormer.Severity{1: dormer.Information, 2: dormer.Warning, 3: dormer.Error}

// Watermark implements event.Store.
func (s *Events) Watermark(ctx context.Context, i dormer.InstanceID, c dormer.ClientID, j dormer.JournalID) (uint64, error) {
	instance, err := s.instanceID(ctx, s.db.read, i)
	if err == nil {
		var w uint64
		w, err = one(ctx, s.db.read, "find watermark", value[uint64],
			"SELECT watermark FROM journals WHERE instance = $1 AND client = $2 AND journal = $3", instance, string(c), string(j))
		if err == nil {
			return w, nil
		}
	}
	if errors.Is(err, dormer.ErrNotFound) {
		return 0, nil
	}
	return 0, err
}

// DeleteEventsBefore removes an instance's events received before t and returns
// how many. Watermarks stay.
func (s *Events) DeleteEventsBefore(ctx context.Context, i dormer.InstanceID, t time.Time) (int64, error) {
	instance, err := s.instanceID(ctx, s.db.read, i)
	switch {
	case errors.Is(err, dormer.ErrNotFound):
		return 0, nil
	case err != nil:
		return 0, err
	}
	var n int64
	if s.db.postgres {
		n, err = s.deletePartitions(ctx, instance, t)
	} else {
		n, err = s.deleteRows(ctx, instance, t)
	}
	if err != nil {
		return n, err
	}
	return n, s.removeUnused(ctx, instance, t)
}

// deleteRows deletes in pieces, so that events can be stored in between.
func (s *Events) deleteRows(ctx context.Context, instance int64, t time.Time) (int64, error) {
	const piece = 5_000
	var total int64
	for {
		n, err := s.db.exec(ctx, "delete old events",
			"DELETE FROM events WHERE id IN (SELECT id FROM events WHERE instance = $1 AND received < $2 LIMIT $3)",
			instance, micros(t), int64(piece))
		total += n
		if err != nil || n < piece {
			return total, err
		}
	}
}
