package event

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/wire"
)

// The files of a journal's folder.
const (
	// JournalFile is the journal.
	JournalFile = "journal"
	// journalTemp is a journal that is being written anew; left over after a
	// crash it means nothing.
	journalTemp = "journal.new"
	// journalUnreadable is a journal that was put aside: too large to be one,
	// or of a format that this build does not know.
	journalUnreadable = "journal.unreadable"
)

// Limits of journals; see docs/limits.md.
const (
	// DefaultJournalBytes holds years of ordinary events.
	DefaultJournalBytes = 8 << 20
	// MinJournalBytes is the smallest bound of a journal, MaxJournalBytes the
	// largest.
	MinJournalBytes = 256 << 10
	MaxJournalBytes = 64 << 20
	// journalADay is what a journal has for each day that a machine may work
	// off-line: 20 events of 200 bytes with what is around them, ten times for days
	// on which more happens.
	journalADay = 10 * 20 * (200 + RecordBytes)
	// RecordBytes is what a record of the file has around an event, about.
	RecordBytes = 300
	// maxJournalFile is the largest file that is taken for a journal.
	maxJournalFile = 256 << 20
	// maxGroup is how many bytes are gathered for one write.
	maxGroup = 64 << 10
	// trimSlack is how many bytes of acknowledged events stay in the file
	// before it is written anew.
	trimSlack = 64 << 10
)

// JournalOptions configure a journal. The zero value is right for most.
type JournalOptions struct {
	// MaxBytes bounds the file, between MinJournalBytes and MaxJournalBytes; 0
	// means DefaultJournalBytes.
	MaxBytes int64
	// Random makes identities; nil means crypto/rand.
	Random io.Reader
	// Now is the time of the journal's own events; nil means time.Now.
	Now func() time.Time
}

// Journal keeps the events of a client on its disk until the server has them
// for good. An event is durable when Append returns. When the journal is full
// the oldest events of information give way first, then warnings, then errors,
// and an event tells how many did.
//
// Sequences ascend, not always by one, and are never used twice under the same
// identity. It is safe for concurrent use; only one process opens a folder.
type Journal struct {
	dir string
	o   JournalOptions
	// maxBytes bounds the file; it only grows.
	maxBytes atomic.Int64

	// writing is held by who writes to the file or replaces it. It guards
	// next; it is taken before mu.
	writing sync.Mutex
	next    uint64

	mu      sync.Mutex // guards the fields below
	id      dormer.JournalID
	file    *os.File // nil when closed
	size    int64    // of the good part of the file
	live    []stored // not yet trimmed, ascending
	last    uint64   // highest sequence that is stored
	lost    int      // events that Next found damaged and nobody was told of
	pending *group
}

// group is what is written at once. Whoever makes a group writes it; the
// others wait for done.
type group struct {
	bodies  [][]byte
	classes []class
	bytes   int
	done    chan struct{}
	// Set before done is closed: the sequence of the first body, or why
	// nothing was stored.
	first uint64
	err   error
}

// errClosed is what a closed journal answers.
var errClosed = fmt.Errorf("the journal of events is closed: %w", dormer.ErrUnavailable)

// OpenJournal opens the journal in dir, making it if there is none. What a
// crash left half written is removed; damage is passed over and told in an
// event; a journal that cannot be recognized gets a new identity. The caller
// closes it.
func OpenJournal(dir string, o JournalOptions) (*Journal, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultJournalBytes
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of journal: %w", err)
	}
	j := &Journal{dir: dir, o: o}
	j.maxBytes.Store(min(max(o.MaxBytes, MinJournalBytes), MaxJournalBytes))
	if err := j.open(); err != nil {
		return nil, fmt.Errorf("open journal in %s: %w", dir, err)
	}
	return j, nil
}

func (j *Journal) open() error {
	path := filepath.Join(j.dir, JournalFile)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return j.begin(nil, nil)
	case err != nil:
		return err
	case info.Size() > maxJournalFile:
		return j.putAside("the file was far too large")
	}
	j.Grow(info.Size()) // it was allowed to grow to that before
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	b := make([]byte, info.Size())
	if _, err := io.ReadFull(f, b); err != nil {
		return errors.Join(err, f.Close())
	}
	d := decodeJournal(b)
	if d.header != nil && d.header.Version != journalVersion {
		if err := f.Close(); err != nil {
			return err
		}
		return j.putAside(fmt.Sprintf("its format has version %d, this agent knows %d", d.header.Version, journalVersion))
	}
	j.file, j.size, j.live = f, int64(len(b)), d.events
	j.next = d.base
	if n := len(d.events); n > 0 {
		j.last = d.events[n-1].sequence
		j.next = max(j.next, j.last+1)
	}
	if d.header == nil {
		j.next = max(j.next, 1)
		return j.renew("its beginning was not readable")
	}
	j.id = d.header.Journal
	if d.damaged == 0 && d.torn == 0 {
		return nil
	}
	// What was torn may have been whole once and sent: its sequences are not
	// used again.
	j.next += uint64(d.torn / recordOverhead)
	var tell []dormer.Event
	if d.damaged > 0 {
		tell = append(tell, New(JournalDamaged, j.o.Now(), fmt.Sprintf("in %d places", d.damaged)))
	}
	return j.rewrite(j.id, j.live, tell)
}

// putAside keeps the file under another name and begins a new journal that
// tells why.
func (j *Journal) putAside(why string) error {
	if err := os.Rename(filepath.Join(j.dir, JournalFile), filepath.Join(j.dir, journalUnreadable)); err != nil {
		return err
	}
	return j.begin(nil, []dormer.Event{New(JournalRebuilt, j.o.Now(), why)})
}

// begin makes a file with a new identity.
func (j *Journal) begin(keep []stored, tell []dormer.Event) error {
	id, err := dormer.NewID(j.o.Random)
	if err != nil {
		return err
	}
	j.next = max(j.next, 1)
	return j.rewrite(dormer.JournalID(id), keep, tell)
}

// renew gives the journal a new identity and tells why. What it holds is sent
// again under the new one. The caller holds writing, or is alone.
func (j *Journal) renew(why string) error {
	return j.begin(j.live, []dormer.Event{New(JournalRebuilt, j.o.Now(), why)})
}

// ID returns the journal's identity.
func (j *Journal) ID() dormer.JournalID {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.id
}

// Last returns the highest sequence that is stored, 0 when there never was one
// since the journal was opened.
func (j *Journal) Last() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last
}

// JournalFor is how large the journal of a client must be whose machines may work
// off-line for so many seconds, all together; MaxJournalBytes where one may do so
// without end.
func JournalFor(offline float64) int64 {
	return int64(min(max(offline/86_400*journalADay, DefaultJournalBytes), MaxJournalBytes))
}

// Grow raises the bound of the file to n bytes, at most MaxJournalBytes. A lower
// one changes nothing.
func (j *Journal) Grow(n int64) {
	n = min(n, MaxJournalBytes)
	for {
		now := j.maxBytes.Load()
		if now >= n || j.maxBytes.CompareAndSwap(now, n) {
			return
		}
	}
}

// Len returns how many events wait to be trimmed.
func (j *Journal) Len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.live)
}

// Close closes the file. Appending afterwards is ErrUnavailable.
func (j *Journal) Close() error {
	j.writing.Lock()
	defer j.writing.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	f := j.file
	j.file = nil
	return f.Close()
}

// Append stores events and returns the sequence of the last. Calls at the same
// time share one write to the disk. ErrFull when the disk is full and
// ErrTooLarge when they are too many for one call: nothing of this call is
// stored then.
func (j *Journal) Append(events ...dormer.Event) (uint64, error) {
	if len(events) == 0 {
		return j.Last(), nil
	}
	bodies := make([][]byte, len(events))
	classes := make([]class, len(events))
	total := 0
	for i, e := range events {
		b, err := encodeEvent(e)
		if err != nil {
			return 0, err
		}
		bodies[i], classes[i] = b, classOf(e)
		total += len(b) + recordOverhead
	}
	if int64(total) > j.maxBytes.Load()/4 {
		return 0, fmt.Errorf("append %d events to the journal at once: %w", len(events), dormer.ErrTooLarge)
	}

	j.mu.Lock()
	g := j.pending
	leads := g == nil || g.bytes+total > maxGroup
	if leads {
		g = &group{done: make(chan struct{})}
		j.pending = g
	}
	g.bodies = append(g.bodies, bodies...)
	g.classes = append(g.classes, classes...)
	g.bytes += total
	mine := uint64(len(g.bodies) - 1) // place of this call's last event
	j.mu.Unlock()

	if leads {
		j.lead(g)
	} else {
		<-g.done
	}
	if g.err != nil {
		return 0, g.err
	}
	return g.first + mine, nil
}

// lead waits for its turn, during which others may join g, and writes g.
func (j *Journal) lead(g *group) {
	j.writing.Lock()
	defer j.writing.Unlock()
	j.mu.Lock()
	if j.pending == g {
		j.pending = nil
	}
	j.mu.Unlock()
	if err := j.write(g); err != nil {
		g.err = fmt.Errorf("append to the journal of events: %w", err)
	}
	close(g.done)
}

// write stores g. The caller holds writing.
func (j *Journal) write(g *group) error {
	if j.file == nil {
		return errClosed
	}
	if j.size+int64(g.bytes) > j.maxBytes.Load() {
		if err := j.makeRoom(int64(g.bytes)); err != nil {
			return fmt.Errorf("make room: %w", durable.Kind(err))
		}
	}
	if err := j.tellLost(g); err != nil {
		return err
	}
	g.first = j.next
	j.next += uint64(len(g.bodies))
	buf := make([]byte, 0, g.bytes)
	added := make([]stored, len(g.bodies))
	for i, body := range g.bodies {
		at := len(buf)
		buf = appendRecord(buf, recordMagic, g.first+uint64(i), body)
		added[i] = stored{
			sequence: g.first + uint64(i), offset: j.size + int64(at), size: int32(len(buf) - at), class: g.classes[i],
		}
	}
	_, err := j.file.WriteAt(buf, j.size)
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		// The sequences are skipped: nobody knows what reached the disk.
		return durable.Kind(errors.Join(err, j.file.Truncate(j.size)))
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.size += int64(len(buf))
	j.live = append(j.live, added...)
	j.last = g.first + uint64(len(added)) - 1
	return nil
}

// tellLost adds an event of the journal's own to g if there is something to
// tell.
func (j *Journal) tellLost(g *group) error {
	j.mu.Lock()
	lost := j.lost
	j.lost = 0
	j.mu.Unlock()
	if lost == 0 {
		return nil
	}
	body, err := encodeEvent(New(JournalDamaged, j.o.Now(), fmt.Sprintf("%d events could not be read", lost)))
	if err != nil {
		return err
	}
	g.bodies, g.classes = append(g.bodies, body), append(g.classes, classGap)
	return nil
}

// Next returns at most limit events with sequences above the given one, in
// ascending order, and the identity of the journal they belong to. Events that
// turn out damaged are passed over and told of with the next event.
func (j *Journal) Next(above uint64, limit int) (dormer.JournalID, []wire.NumberedEvent, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return "", nil, errClosed
	}
	from := sort.Search(len(j.live), func(i int) bool { return j.live[i].sequence > above })
	list := j.live[from:min(len(j.live), from+max(limit, 0))]
	events := make([]wire.NumberedEvent, 0, len(list))
	var damaged []uint64
	for _, r := range list {
		b := make([]byte, r.size)
		if _, err := j.file.ReadAt(b, r.offset); err != nil {
			return "", nil, fmt.Errorf("read event %d of the journal: %w", r.sequence, err)
		}
		e, err := decodeEvent(b)
		if err != nil || e.Sequence != r.sequence {
			damaged = append(damaged, r.sequence)
			continue
		}
		events = append(events, e)
	}
	if len(damaged) > 0 {
		j.lost += len(damaged)
		j.live = slices.DeleteFunc(slices.Clone(j.live), func(r stored) bool { return slices.Contains(damaged, r.sequence) })
	}
	return j.id, events, nil
}

// Trim lets go of the events up to through, which the server has for good, if
// id is the journal's identity. If through was never stored here this journal
// is an old copy: it gets a new identity, so that no sequence is used twice.
func (j *Journal) Trim(id dormer.JournalID, through uint64) error {
	j.writing.Lock()
	defer j.writing.Unlock()
	if j.file == nil {
		return errClosed
	}
	if id != j.id {
		return nil
	}
	if through >= j.next {
		if err := j.renew("the server has received more than it holds"); err != nil {
			return fmt.Errorf("renew the journal of events: %w", durable.Kind(err))
		}
		return nil
	}
	j.mu.Lock()
	n := sort.Search(len(j.live), func(i int) bool { return j.live[i].sequence > through })
	j.live = slices.Clone(j.live[n:])
	dead := j.size - total(j.live)
	j.mu.Unlock()
	if dead < trimSlack || dead < j.size/2 {
		return nil
	}
	if err := j.rewrite(j.id, j.live, nil); err != nil {
		return fmt.Errorf("trim the journal of events: %w", durable.Kind(err))
	}
	return nil
}

func total(list []stored) int64 {
	var n int64
	for _, r := range list {
		n += int64(r.size)
	}
	return n
}
