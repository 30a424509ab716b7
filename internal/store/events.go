package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/name"
)

// Events keeps events, of several instances if they share the database. It is
// safe for concurrent use.
type Events struct {
	db         *engine
	partitions partitions
}

// What Events is to the domain packages.
var (
	_ event.Store  = (*Events)(nil)
	_ event.Reader = (*Events)(nil)
)

// OpenEvents opens the events database at dsn, "sqlite:PATH" or a postgres://
// URL, makes it if the file is not there, and migrates it. Errors as those of
// OpenState. The caller closes it.
func OpenEvents(ctx context.Context, dsn string, o Options) (*Events, error) {
	db, err := openEngine(ctx, dsn, trackEvents, o)
	if err != nil {
		return nil, err
	}
	return &Events{db: db}, nil
}

// Ping reports whether the database answers.
func (s *Events) Ping(ctx context.Context) error { return s.db.Ping(ctx) }

// Close closes the database.
func (s *Events) Close() error { return s.db.Close() }

// journalKey names a journal.
type journalKey struct {
	instance dormer.InstanceID
	client   dormer.ClientID
	journal  dormer.JournalID
}

func (k journalKey) compare(o journalKey) int {
	return cmp.Or(cmp.Compare(k.instance, o.instance), cmp.Compare(k.client, o.client), cmp.Compare(k.journal, o.journal))
}

// journalRow is what the database knows of a journal.
type journalRow struct {
	id        int64
	watermark uint64
	changed   bool
}

func keyOf(b event.Batch) journalKey {
	return journalKey{instance: b.Instance, client: b.Client, journal: b.Journal}
}

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
	if errors.Is(err, errNoPartition) {
		// Somebody cleared that day meanwhile: make it again.
		s.partitions.forget()
		marks, err = s.appendOnce(ctx, batches)
	}
	return marks, err
}

func (s *Events) appendOnce(ctx context.Context, batches []event.Batch) ([]uint64, error) {
	if err := s.ensurePartitions(ctx, batches); err != nil {
		return nil, err
	}
	marks := make([]uint64, len(batches))
	err := s.db.transact(ctx, "store events", func(tx *sql.Tx) error {
		journals, err := s.lockJournals(ctx, tx, batches)
		if err != nil {
			return err
		}
		var rows [][]any
		for i, b := range batches {
			j := journals[keyOf(b)]
			for _, e := range b.Events {
				if e.Sequence <= j.watermark {
					continue
				}
				j.watermark, j.changed = e.Sequence, true
				rows = append(rows, eventRow(b, j.id, e.Sequence, e.Event))
			}
			marks[i] = j.watermark
		}
		if err := s.db.bulk(ctx, tx, "INSERT INTO events ("+insertColumns+") VALUES ", insertTypes, "", rows, nil); err != nil {
			return noPartition(err)
		}
		return s.storeWatermarks(ctx, tx, journals)
	})
	if err != nil {
		return nil, err
	}
	return marks, nil
}

// lockJournals finds or makes the rows of the journals and keeps other
// transactions from changing them, in the order of their keys so that two
// never wait for each other.
func (s *Events) lockJournals(ctx context.Context, tx *sql.Tx, batches []event.Batch) (map[journalKey]*journalRow, error) {
	journals := make(map[journalKey]*journalRow, len(batches))
	for _, b := range batches {
		journals[keyOf(b)] = nil
	}
	var rows [][]any
	for _, k := range slices.SortedFunc(maps.Keys(journals), journalKey.compare) {
		rows = append(rows, []any{string(k.instance), string(k.client), string(k.journal), int64(0)})
	}
	// The update changes nothing: it locks the row and makes RETURNING see it.
	err := s.db.bulk(ctx, tx, "INSERT INTO journals (instance, client, journal, watermark) VALUES ", make([]string, 4),
		` ON CONFLICT (instance, client, journal) DO UPDATE SET watermark = journals.watermark
		RETURNING instance, client, journal, id, watermark`, rows, func(r scanner) error {
			var (
				k journalKey
				j journalRow
			)
			if err := r.Scan(&k.instance, &k.client, &k.journal, &j.id, &j.watermark); err != nil {
				return err
			}
			journals[k] = &j
			return nil
		})
	if err != nil {
		return nil, err
	}
	for k, j := range journals {
		if j == nil {
			return nil, fmt.Errorf("journal %q of client %q: %w", k.journal, k.client, dormer.ErrInvalid)
		}
	}
	return journals, nil
}

// storeWatermarks stores those that changed.
func (s *Events) storeWatermarks(ctx context.Context, tx *sql.Tx, journals map[journalKey]*journalRow) error {
	var rows [][]any
	for _, j := range journals {
		if j.changed {
			rows = append(rows, []any{j.id, int64(j.watermark)})
		}
	}
	return s.db.bulk(ctx, tx, "UPDATE journals SET watermark = v.column2 FROM (VALUES ", []string{"bigint", "bigint"},
		") AS v WHERE journals.id = v.column1", rows, nil)
}

const insertColumns = `instance, journal, sequence, received, time, code, severity, category, description,
	host, host_folded, user_name, user_folded, workspace, workspace_name, guest, client_version, policy_revision, image`

// insertTypes has no casts: the columns tell the types.
var insertTypes = make([]string, 19)

func eventRow(b event.Batch, journal int64, sequence uint64, e dormer.Event) []any {
	host, user := clean(e.Host), clean(e.User)
	return []any{
		string(b.Instance), journal, int64(sequence), micros(b.Received), micros(e.Time), int64(e.Code), rank(e.Severity),
		clean(e.Category), clean(e.Description), host, folded(host), user, folded(user), clean(string(e.Workspace)),
		clean(e.WorkspaceName), clean(e.Guest), clean(e.ClientVersion), int64(e.PolicyRevision), clean(e.Image),
	}
}

// folded returns the folded form of s, nil where it is the same.
func folded(s string) any {
	if f := name.Fold(s); f != s {
		return f
	}
	return nil
}

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
	w, err := one(ctx, s.db.read, "find watermark", value[uint64],
		"SELECT watermark FROM journals WHERE instance = $1 AND client = $2 AND journal = $3", string(i), string(c), string(j))
	if errors.Is(err, dormer.ErrNotFound) {
		return 0, nil
	}
	return w, err
}

// DeleteEventsBefore implements event.Reader. Watermarks stay.
func (s *Events) DeleteEventsBefore(ctx context.Context, i dormer.InstanceID, t time.Time) (int64, error) {
	if s.db.postgres {
		return s.deletePartitions(ctx, i, t)
	}
	// In pieces, so that events can be stored in between.
	const piece = 10_000
	var total int64
	for {
		n, err := s.db.exec(ctx, "delete old events",
			"DELETE FROM events WHERE id IN (SELECT id FROM events WHERE instance = $1 AND received < $2 LIMIT $3)",
			string(i), micros(t), int64(piece))
		total += n
		if err != nil || n < piece {
			return total, err
		}
	}
}
