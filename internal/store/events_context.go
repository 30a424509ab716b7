package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

// recent remembers the values that were used last, between limit and twice as
// many. It is safe for concurrent use.
type recent[K comparable, V any] struct {
	limit int

	mu       sync.Mutex // guards the fields below
	now, old map[K]V
}

func (r *recent[K, V]) get(k K) (V, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.now[k]
	if !ok {
		if v, ok = r.old[k]; ok {
			r.set(k, v)
		}
	}
	return v, ok
}

func (r *recent[K, V]) put(k K, v V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.set(k, v)
}

// set is put for who holds mu.
func (r *recent[K, V]) set(k K, v V) {
	if r.now == nil || len(r.now) >= r.limit {
		r.old, r.now = r.now, make(map[K]V)
	}
	r.now[k] = v
}

func (r *recent[K, V]) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now, r.old = nil, nil
}

// How many numbers of rows a store remembers; see docs/limits.md.
const (
	knownInstances = 1000
	knownJournals  = 100_000
	knownContexts  = 200_000
)

// numbers remembers the numbers of rows that events name. What is remembered
// was committed; a row that somebody removed meanwhile is noticed before an
// event names it: a journal by locking it, a context by its day (see
// removeUnused).
type numbers struct {
	instances recent[dormer.InstanceID, int64]
	journals  recent[journalKey, int64]
	contexts  recent[contextKey, contextNumber]
}

func newNumbers() *numbers {
	n := &numbers{}
	n.instances.limit, n.journals.limit, n.contexts.limit = knownInstances, knownJournals, knownContexts
	return n
}

func (n *numbers) forget() {
	n.instances.forget()
	n.journals.forget()
	n.contexts.forget()
}

// journalKey names a journal.
type journalKey struct {
	instance int64
	client   dormer.ClientID
	journal  dormer.JournalID
}

func (k journalKey) compare(o journalKey) int {
	return cmp.Or(cmp.Compare(k.instance, o.instance), cmp.Compare(k.client, o.client), cmp.Compare(k.journal, o.journal))
}

// contextKey names a context.
type contextKey struct {
	instance int64
	hash     [16]byte
}

func (k contextKey) compare(o contextKey) int {
	return cmp.Or(cmp.Compare(k.instance, o.instance), slices.Compare(k.hash[:], o.hash[:]))
}

// contextNumber is the row of a context, and the day up to which it is known
// to be in use.
type contextNumber struct {
	id, used int64
}

// contextHash returns the hash of what an event has in common with others of
// its client.
func contextHash(c dormer.ClientID, e *dormer.Event) (h [16]byte) {
	var room [512]byte
	b := room[:0]
	for _, s := range [...]string{
		string(c), e.Host, e.User, string(e.Workspace), e.WorkspaceName, e.Guest, e.ClientVersion, e.Image,
	} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = binary.AppendVarint(b, int64(e.PolicyRevision))
	sum := sha256.Sum256(b)
	copy(h[:], sum[:])
	return h
}

// sameContext reports whether two events of a client have a context in common.
func sameContext(a, b *dormer.Event) bool {
	return a.Host == b.Host && a.User == b.User && a.Workspace == b.Workspace && a.WorkspaceName == b.WorkspaceName && a.Guest == b.Guest &&
		a.ClientVersion == b.ClientVersion && a.Image == b.Image && a.PolicyRevision == b.PolicyRevision
}

const contextColumns = `instance, hash, client, host, host_folded, user_name, user_folded, workspace, workspace_name, guest,
	client_version, policy_revision, image, used`

func contextRow(k contextKey, c dormer.ClientID, e *dormer.Event, day int64) []any {
	host, user := clean(e.Host), clean(e.User)
	return []any{
		k.instance, k.hash[:], string(c), host, folded(host), user, folded(user), clean(string(e.Workspace)), clean(e.WorkspaceName), clean(e.Guest),
		clean(e.ClientVersion), int64(e.PolicyRevision), clean(e.Image), day,
	}
}

// appended is what AppendEvents stores, with the numbers of the rows that it
// names.
type appended struct {
	batches  []event.Batch
	journals []*journalMark // of each batch
	contexts []int64        // of each event of the batches, one after the other
	marks    map[int64]*journalMark
}

// journalMark is a journal within a transaction.
type journalMark struct {
	id, instance int64
	watermark    uint64 // as stored
	next         uint64 // the highest sequence that the transaction brings
	day          int64  // the last day of its events
}

// resolve finds or makes the rows that the events of batches name. They are
// committed when it returns.
func (s *Events) resolve(ctx context.Context, batches []event.Batch) (*appended, error) {
	a := &appended{batches: batches, journals: make([]*journalMark, len(batches)), marks: make(map[int64]*journalMark, len(batches))}
	for range 2 {
		missing, err := s.resolveKnown(ctx, a)
		if err != nil || missing == nil {
			return a, err
		}
		if err := s.makeRows(ctx, missing); err != nil {
			return nil, err
		}
	}
	// One group of events names more rows than are remembered.
	return nil, fmt.Errorf("store events of %d clients at once: %w", len(batches), dormer.ErrTooLarge)
}

// rowsToMake are rows that events name and that are not known.
type rowsToMake struct {
	instances map[dormer.InstanceID]bool
	journals  map[journalKey]int64
	contexts  map[contextKey][]any
}

// resolveKnown fills a with what is remembered and returns what is not, nil
// if that is nothing.
func (s *Events) resolveKnown(ctx context.Context, a *appended) (*rowsToMake, error) {
	m := rowsToMake{instances: map[dormer.InstanceID]bool{}, journals: map[journalKey]int64{}, contexts: map[contextKey][]any{}}
	a.contexts = a.contexts[:0]
	clear(a.marks)
	for i, b := range a.batches {
		instance, err := s.instanceID(ctx, s.db.write, b.Instance)
		if errors.Is(err, dormer.ErrNotFound) {
			if err := s.makeInstance(ctx, b.Instance); err != nil {
				return nil, err
			}
			instance, err = s.instanceID(ctx, s.db.write, b.Instance)
		}
		if err != nil {
			return nil, err
		}
		day := dayOf(micros(b.Received))
		k := journalKey{instance: instance, client: b.Client, journal: b.Journal}
		id, ok := s.numbers.journals.get(k)
		if !ok {
			m.journals[k] = day
		}
		j := a.marks[id]
		if j == nil {
			j = &journalMark{id: id, instance: instance}
			a.marks[id] = j
		}
		j.day = max(j.day, day)
		a.journals[i] = j
		for n := range b.Events {
			e := &b.Events[n].Event
			if n > 0 && sameContext(e, &b.Events[n-1].Event) { // most are
				a.contexts = append(a.contexts, a.contexts[len(a.contexts)-1])
				continue
			}
			k := contextKey{instance: instance, hash: contextHash(b.Client, e)}
			c, ok := s.numbers.contexts.get(k)
			if !ok || c.used < day {
				if row, ok := m.contexts[k]; !ok || row[len(row)-1].(int64) < day {
					m.contexts[k] = contextRow(k, b.Client, e, day)
				}
			}
			a.contexts = append(a.contexts, c.id)
		}
	}
	if len(m.journals)+len(m.contexts) == 0 {
		return nil, nil
	}
	return &m, nil
}

// instanceID returns the number of an instance in this database, ErrNotFound
// where nothing of it was stored yet.
func (s *Events) instanceID(ctx context.Context, q querier, i dormer.InstanceID) (int64, error) {
	if id, ok := s.numbers.instances.get(i); ok {
		return id, nil
	}
	id, err := one(ctx, q, "find instance", value[int64], "SELECT id FROM instances WHERE instance = $1", string(i))
	if err == nil {
		s.numbers.instances.put(i, id)
	}
	return id, err
}

func (s *Events) makeInstance(ctx context.Context, i dormer.InstanceID) error {
	_, err := s.db.exec(ctx, "store events: add the instance", "INSERT INTO instances (instance) VALUES ($1) ON CONFLICT (instance) DO NOTHING", string(i))
	return err
}

// makeRows makes rows or notes the day on which they are used, and remembers
// their numbers.
func (s *Events) makeRows(ctx context.Context, m *rowsToMake) error {
	journals, contexts := map[journalKey]int64{}, map[contextKey]contextNumber{}
	err := s.db.update(ctx, "store what events have in common", func(tx *sql.Tx) error {
		clear(journals)
		clear(contexts)
		var rows [][]any
		for _, k := range slices.SortedFunc(maps.Keys(m.journals), journalKey.compare) {
			rows = append(rows, []any{k.instance, string(k.client), string(k.journal), int64(0), m.journals[k]})
		}
		// The update changes nothing but makes RETURNING see the row.
		err := s.db.bulk(ctx, tx, "INSERT INTO journals (instance, client, journal, watermark, used) VALUES ", make([]string, 5),
			` ON CONFLICT (instance, client, journal) DO UPDATE SET watermark = journals.watermark
			RETURNING instance, client, journal, id`, rows, func(r scanner) error {
				var (
					k  journalKey
					id int64
				)
				err := r.Scan(&k.instance, &k.client, &k.journal, &id)
				journals[k] = id
				return err
			})
		if err != nil {
			return err
		}
		rows = rows[:0]
		for _, k := range slices.SortedFunc(maps.Keys(m.contexts), contextKey.compare) {
			rows = append(rows, m.contexts[k])
		}
		return s.db.bulk(ctx, tx, "INSERT INTO contexts ("+contextColumns+") VALUES ", make([]string, 1+strings.Count(contextColumns, ",")),
			` ON CONFLICT (instance, hash) DO UPDATE SET used = CASE WHEN excluded.used > contexts.used THEN excluded.used ELSE contexts.used END
			RETURNING instance, hash, id, used`, rows, func(r scanner) error {
				var (
					k    contextKey
					hash []byte
					c    contextNumber
				)
				if err := r.Scan(&k.instance, &hash, &c.id, &c.used); err != nil {
					return err
				}
				if copy(k.hash[:], hash) != len(hash) {
					return fmt.Errorf("a context has a hash of %d bytes: %w", len(hash), dormer.ErrCorrupt)
				}
				contexts[k] = c
				return nil
			})
	})
	if err != nil {
		return err
	}
	for k := range m.journals {
		id, ok := journals[k]
		if !ok { // its text is not what it was in the database
			return fmt.Errorf("journal %q of client %q: %w", k.journal, k.client, dormer.ErrInvalid)
		}
		s.numbers.journals.put(k, id)
	}
	for k, c := range contexts {
		s.numbers.contexts.put(k, c)
	}
	return nil
}
