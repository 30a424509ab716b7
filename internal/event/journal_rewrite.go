package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
)

// makeRoom writes the file anew with room for extra bytes, without what was
// trimmed and, if that is not enough, without the events that give way first.
// It leaves a quarter free, so that it is not done for every event. The caller
// holds writing.
func (j *Journal) makeRoom(extra int64) error {
	keep, dropped := giveWay(j.live, j.maxBytes.Load()*3/4-extra)
	if len(dropped) == 0 {
		return j.rewrite(j.id, keep, nil)
	}
	return j.rewrite(j.id, keep, []dormer.Event{New(JournalGap, j.o.Now(), j.gap(dropped))})
}

// gap says what is lost with events that give way.
func (j *Journal) gap(dropped []stored) string {
	var total int
	var lost [classes]int
	var first, last time.Time
	for _, r := range dropped {
		n := 1
		b := make([]byte, r.size)
		if _, err := j.file.ReadAt(b, r.offset); err == nil {
			if e, err := decodeEvent(b); err == nil {
				n = max(n, e.Event.Count)
				if at := e.Event.Time; first.IsZero() || at.Before(first) {
					first = at
				}
				if at := e.Event.Time; at.After(last) {
					last = at
				}
			}
		}
		lost[r.class] += n
		total += n
	}
	text := fmt.Sprintf("%d events were dropped unsent (%d of information, %d warnings, %d errors)",
		total, lost[classInformation], lost[classWarning], lost[classError]+lost[classGap])
	if !first.IsZero() {
		text += fmt.Sprintf(", from %s to %s", first.UTC().Format(time.RFC3339), last.UTC().Format(time.RFC3339))
	}
	return text
}

// giveWay returns what is kept of list so that it has at most room bytes, and
// what is not: the oldest of the lowest class first.
func giveWay(list []stored, room int64) (keep, dropped []stored) {
	excess := total(list) - room
	gone := make(map[uint64]bool)
	for c := range classes {
		for _, r := range list {
			if excess <= 0 {
				break
			}
			if r.class == c {
				gone[r.sequence] = true
				excess -= int64(r.size)
			}
		}
	}
	for _, r := range list {
		if gone[r.sequence] {
			dropped = append(dropped, r)
		} else {
			keep = append(keep, r)
		}
	}
	return keep, dropped
}

// rewrite replaces the file by one with that identity, the records of keep
// taken from the old file, and events of the journal's own after them. A crash
// leaves either the old file or the new one. The caller holds writing, or is
// alone.
func (j *Journal) rewrite(id dormer.JournalID, keep []stored, tell []dormer.Event) error {
	header, err := json.Marshal(journalHeader{Version: journalVersion, Journal: id})
	if err != nil {
		return fmt.Errorf("encode header: %w", err)
	}
	// The header's sequence covers all that were ever given.
	next := j.next + uint64(len(tell))
	buf := appendRecord(nil, headerMagic, next, header)
	live := make([]stored, 0, len(keep)+len(tell))
	for _, r := range keep {
		at := len(buf)
		buf = append(buf, make([]byte, r.size)...)
		if _, err := j.file.ReadAt(buf[at:], r.offset); err != nil {
			return fmt.Errorf("read event %d: %w", r.sequence, err)
		}
		r.offset = int64(at)
		live = append(live, r)
	}
	for i, e := range tell {
		body, err := encodeEvent(e)
		if err != nil {
			return err
		}
		at := len(buf)
		sequence := j.next + uint64(i)
		buf = appendRecord(buf, recordMagic, sequence, body)
		live = append(live, stored{sequence: sequence, offset: int64(at), size: int32(len(buf) - at), class: classOf(e)})
	}
	f, err := replaceFile(filepath.Join(j.dir, journalTemp), filepath.Join(j.dir, JournalFile), buf)
	if f == nil {
		return err
	}
	j.mu.Lock()
	old := j.file
	j.id, j.file, j.size, j.live, j.next = id, f, int64(len(buf)), live, next
	if len(live) > 0 {
		j.last = max(j.last, live[len(live)-1].sequence)
	}
	j.mu.Unlock()
	if old != nil {
		// Everything in it is in the new file.
		err = errors.Join(err, old.Close())
	}
	return err
}

// replaceFile puts a file with content b in the place of path, by way of temp
// beside it, and returns it open for reading and writing. With an error and a
// file the new file is in place, but a crash may bring the old one back.
func replaceFile(temp, path string, b []byte) (*os.File, error) {
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(temp))
	}
	return f, durable.SyncFolder(filepath.Dir(path))
}
